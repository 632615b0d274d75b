//! Hints for command lines that work with tools which always use a shell, and that would do something else
//! here.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::LazyLock;

use regex::bytes::Regex;

use crate::cli::instead::Instead;
use crate::os::find::resolve;
use crate::plan::exec::ExecArgs;
use crate::plan::words::quote;
use crate::plan::{Command, Items, Plan, Stdin};

/// The exit status for a command that is not found, as in shells and env(1).
const NOT_FOUND: u8 = 127;

/// Refuses a command that is a whole line in one word, which is meant for a shell. Told once, not for each
/// item.
pub fn check_one_word(args: &ExecArgs) -> Result<(), Instead> {
    let [line] = args.command.as_slice() else { return Ok(()) };
    let program = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    // With `--cwd`, a relative path may lead to another program.
    if args.script
        || args.cwd.is_some()
        || program.len() == line.len()
        || !is_program(program)
        || is_program(line)
    {
        return Ok(());
    }
    let line = quote(line);
    let why = format!(
        "{line} is one word, and there is no program of that name; for a shell: `prun exec -c {line}`"
    );
    match Instead::fail(why) {
        Instead::Fail { lines, .. } => Err(Instead::Fail { lines, status: NOT_FOUND }),
        said => Err(said),
    }
}

fn is_program(word: &[u8]) -> bool {
    if word.contains(&b'/') {
        return Path::new(OsStr::from_bytes(word)).exists();
    }
    let path = std::env::var_os("PATH");
    resolve(word, path.as_ref().map(|path| path.as_bytes()), None).is_ok()
}

/// Printed for a script that does the same for every item.
pub const LEFT_OUT: &str = "prun: warning: the script does not use its item; write `{}` or `$1` where it belongs \
                            (`--repeat N` runs it without items)";

/// Printed if items are read from a terminal.
pub const TYPED: &str = "prun: reading items from the terminal, one per line; Ctrl-D ends them (or give them with \
                         `:::` or `-a FILE`; `--once` takes none)";

/// Printed if `--pipe` reads from a terminal.
pub const TYPED_INPUT: &str =
    "prun: reading from the terminal; Ctrl-D ends the input (or name it with `-a FILE`)";

/// True if the command is a script that does not use its item. Unlike a command, a script does not get the
/// item added at its end.
pub fn leaves_items_out(plan: &Plan) -> bool {
    static PARAMETERS: LazyLock<Regex> = LazyLock::new(|| {
        let asks = r"\$[{#!]*[1-9@*#]|PRUN_|\b(shift|getopts|set)\b|\bfor\s+\w+\s*(;|\n|\bdo\b)";
        Regex::new(asks).expect("it was tried")
    });
    let job = &plan.jobs[0];
    let stage = &job.stages[0];
    let has_items = !matches!(job.items, Items::None | Items::Repeat(_) | Items::Queue { .. });
    let fed = matches!(&stage.stdin, Stdin::File(file) if file.uses_item()) || job.worker.is_some();
    match &stage.command {
        Command::Script { text, posix: true, parameters: true, .. } if has_items && !fed => {
            let script = text.0.rendered(&crate::plan::template::Scope::default());
            !text.0.uses_task() && !PARAMETERS.is_match(&script)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::variables::Variables;
    use crate::jobfile::parse_config;
    use crate::plan::exec::plan;

    fn left_out(line: &str) -> bool {
        let words: Vec<_> = shlex::split(line).unwrap().into_iter().map(Into::into).collect();
        let asked = super::super::typed(&words).unwrap();
        let config = parse_config("config.toml", b"").unwrap();
        let args = super::super::meaning(&asked, &Variables::default(), &config).unwrap();
        super::leaves_items_out(&plan(args).unwrap())
    }

    #[test]
    fn a_script_without_its_item() {
        for line in [
            "-c 'wc -l' ::: a",
            "-c 'gzip -9'",
            "-c 'for x in 1 2; do :; done' ::: a",
            "-c 'echo $0 $? $$' ::: a",
        ] {
            assert!(left_out(line), "{line}");
        }
        for line in [
            "-c 'wc -l {}' ::: a",
            "-c 'wc -l $1' ::: a",
            "-c 'wc -l \"${1}\"' ::: a",
            "-c 'wc -l \"$@\"' ::: a",
            "-c 'echo {#}' ::: a",
            "-c 'echo $PRUN_ITEM' ::: a",
            "-c 'for x; do :; done' ::: a",
            "-c 'for x do :; done' ::: a",
            "-c 'shift; :' ::: a",
            "--repeat 3 -c cat",
            "--stdin {} -c cat ::: a",
            "--pipe -c 'wc -l'",
            "--worker -c cat ::: a",
            "--shell python3 'print(1)' ::: a",
            "wc -l ::: a",
            "-c ::: ls",
        ] {
            assert!(!left_out(line), "{line}");
        }
    }
}
