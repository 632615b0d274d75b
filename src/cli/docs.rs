//! Manual pages and completions, made from clap's definitions, the keys of the job file and the prose in
//! `man/parts/`. The files are checked in; `tests/docs.rs` compares them with the text made here, and writes
//! them anew with `PRUN_WRITE_DOCS=1 cargo test --test docs`.

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::args::exec::Exec;
use super::args::run::Run;
use super::check::Check;
use super::completions;
use super::foreign_flags::{Flag, PARALLEL, XARGS};
use super::graph::GraphArgs;
use super::report::Report;
use crate::jobfile::keys::{self, Key};

/// The date of the manual pages: when the prose was last changed.
const DATE: &str = "2026-11-30";

/// The line in a page's prose that the options replace.
const OPTIONS_HERE: &str = ".\\\" OPTIONS\n";

/// Returns every generated file: its path in the repository, and its text.
pub fn files() -> Vec<(&'static str, String)> {
    let shell = |shell| String::from_utf8_lossy(&completions::script(shell)).into_owned();
    vec![
        ("man/prun.1", command_page("PRUN", Run::command(), include_str!("../../man/parts/prun.1"))),
        (
            "man/prun-exec.1",
            command_page("PRUN-EXEC", Exec::command(), include_str!("../../man/parts/prun-exec.1")),
        ),
        (
            "man/prun-check.1",
            command_page("PRUN-CHECK", Check::command(), include_str!("../../man/parts/prun-check.1")),
        ),
        (
            "man/prun-graph.1",
            command_page("PRUN-GRAPH", GraphArgs::command(), include_str!("../../man/parts/prun-graph.1")),
        ),
        (
            "man/prun-report.1",
            command_page("PRUN-REPORT", Report::command(), include_str!("../../man/parts/prun-report.1")),
        ),
        ("man/prun-migrating.7", migrating_page(include_str!("../../man/parts/prun-migrating.7"))),
        ("man/prun.toml.5", job_file_page(include_str!("../../man/parts/prun.toml.5"))),
        ("completions/prun.bash", shell(Shell::Bash)),
        ("completions/prun.fish", shell(Shell::Fish)),
        ("completions/_prun", shell(Shell::Zsh)),
    ]
}

fn title(name: &str, section: u8) -> String {
    format!(".TH {name} {section} {DATE} \"prun {}\"\n", env!("CARGO_PKG_VERSION"))
}

/// Returns a page with the options as clap_mangen writes them, amid the hand-written prose.
fn command_page(name: &str, command: Command, prose: &str) -> String {
    // clap_mangen would leave out options that only the short help hides, and would list operands, which the
    // prose explains.
    let mut command = command.mut_args(|arg| {
        let hide = arg.is_hide_set() || arg.is_positional();
        arg.hide_short_help(false).hide(hide)
    });
    command.build();
    let mut options = Vec::new();
    Man::new(command).render_options_section(&mut options).expect("a Vec takes all that is written");
    let options = String::from_utf8(options).expect("clap's texts are UTF-8");
    let options: String = options.lines().map(help_line).collect();
    title(name, 1) + &fold(&prose.replace(OPTIONS_HERE, &options))
}

/// Turns a line of clap's help into roff: an empty line begins a paragraph, code is bold.
fn help_line(line: &str) -> String {
    if line.is_empty() { ".sp\n".into() } else { bold_code(&line.replace('…', "...")) + "\n" }
}

fn job_file_page(prose: &str) -> String {
    let sections = [
        ("TOP", keys::TOP),
        ("QUEUE", keys::QUEUE),
        ("RECORDS", keys::RECORDS),
        ("WORKER", keys::WORKER),
        ("REPLY", keys::REPLY),
        ("STEP", keys::STEP),
        ("RUN", keys::RUN),
        ("JOB", keys::JOB),
        ("EACH", keys::EACH),
        ("STDIN", keys::STDIN),
        ("OUTPUT", keys::OUTPUT),
        ("STAGE", keys::STAGE),
        ("LIMITS", keys::LIMITS),
        ("RETRY_DELAY", keys::RETRY_DELAY),
        ("READY", keys::READY),
    ];
    let page = sections.iter().fold(prose.to_owned(), |page, (name, keys)| {
        page.replace(&format!(".\\\" KEYS {name}\n"), &keys.iter().map(key).collect::<String>())
    });
    title("PRUN.TOML", 5) + &fold(&page)
}

/// Returns the page for people who know other tools, with the tables of their options.
fn migrating_page(prose: &str) -> String {
    let list = |flags: &[Flag]| -> String {
        let entry = |flag: &Flag| format!(".TP 26n\n{}\n{}\n", roff(&flag.head()), roff(&flag.text()));
        flags.iter().map(entry).collect()
    };
    let page = prose.replace(".\\\" FLAGS XARGS\n", &list(XARGS));
    title("PRUN-MIGRATING", 7) + &fold(&page.replace(".\\\" FLAGS PARALLEL\n", &list(PARALLEL)))
}

/// Returns the entry of a key: name and form, then the description, then the default.
fn key(key: &Key) -> String {
    let default = match key.default {
        "" => String::new(),
        default => format!("Default: {}.\n", roff(default)),
    };
    format!(".TP\n\\fB{}\\fR = {}\n{}\n{default}", key.name, roff(key.form), roff(key.doc))
}

/// Turns plain text with `backquotes` around code into roff.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq").replace('"', "\\(dq");
    let text = text.replace('…', "...").replace('^', "\\(ha").replace('~', "\\(ti");
    let text = bold_code(&text);
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// Sets `code` in bold. A backquote without a partner stays.
fn bold_code(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    let mut out = String::with_capacity(text.len());
    for (at, part) in parts.iter().enumerate() {
        match at {
            _ if at % 2 == 0 => out += part,
            _ if at + 1 < parts.len() => out += &format!("\\fB{part}\\fR"),
            _ => out += &format!("`{part}"),
        }
    }
    out
}

/// The longest line that `mandoc -T lint` accepts.
const WIDTH: usize = 80;

/// Breaks long lines of text at blanks; examples and macros stay as they are.
fn fold(page: &str) -> String {
    let mut out = String::with_capacity(page.len());
    let mut verbatim = false;
    for line in page.lines() {
        verbatim = line == ".EX" || (verbatim && line != ".EE");
        if verbatim || line.starts_with('.') {
            out += line;
        } else {
            fold_line(line, &mut out);
        }
        out.push('\n');
    }
    out
}

fn fold_line(line: &str, out: &mut String) {
    let mut used = 0;
    for word in line.split(' ') {
        if used > 0 && used + 1 + word.len() > WIDTH {
            out.push('\n');
            used = 0;
            // At the start of a line these begin a macro.
            if word.starts_with(['.', '\'']) {
                out.push_str("\\&");
                used = 2;
            }
        } else if used > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += word.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_roff() {
        assert_eq!(roff("a `-x \\n` b"), "a \\fB\\-x \\en\\fR b");
        assert_eq!(roff(".x"), "\\&.x");
        assert_eq!(bold_code("odd ` one"), "odd ` one");
    }

    #[test]
    fn long_lines_are_folded_but_not_examples() {
        let long = "word ".repeat(30);
        let page = format!("{long}.x\n.EX\n{long}\n.EE\n");
        let folded = fold(&page);
        assert_eq!(folded.lines().filter(|line| line.len() > WIDTH).collect::<Vec<_>>(), [long.as_str()]);
        assert!(fold(&format!("{} .x\n", "w".repeat(80))).ends_with("\n\\&.x\n"));
    }

    #[test]
    fn every_option_and_every_key_has_its_place() {
        for (path, text) in files() {
            assert!(!text.contains(".\\\" "), "{path} still has a marker");
        }
        let page = job_file_page(include_str!("../../man/parts/prun.toml.5"));
        for key in
            [keys::RUN, keys::JOB, keys::EACH, keys::LIMITS, keys::QUEUE, keys::WORKER, keys::STEP].concat()
        {
            assert!(page.contains(&format!("\\fB{}\\fR = ", key.name)), "{}", key.name);
        }
    }
}
