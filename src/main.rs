fn main() -> std::process::ExitCode {
    prun::cli::main()
}
