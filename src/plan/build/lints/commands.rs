//! Doubts about commands: programs that are missing, words that only a shell understands, items that are not used.

use std::path::Path;

use super::{Program, Search, commands, files, sources};
use crate::jobfile::{
    BodySpec, CommandSpec, EachSpec, JobSpec, Mistake, ReadyCheckSpec, Span, StdinSpec, Text,
};
use crate::plan::HookOn;
use crate::plan::build::run_hooks::in_file;
use crate::plan::script::is_posix;
use crate::plan::template::Template;
use crate::plan::words;

/// Checks the commands of a job.
pub(super) fn of(search: &mut Search, job: &JobSpec) {
    let hooks = [&job.on_success, &job.on_failure, &job.on_exit].into_iter().flatten();
    let lists = sources(job).into_iter().filter_map(|each| match each {
        EachSpec::Command { command, .. } => Some(command),
        _ => None,
    });
    let probe = job.ready.as_ref().and_then(|ready| match &ready.check {
        ReadyCheckSpec::Command(command) => Some(command),
        _ => None,
    });
    for command in commands(job).into_iter().chain(hooks).chain(lists).chain(probe) {
        check(search, job, command);
    }
    unused_items(search, job);
}

/// Checks the hooks of the run.
pub(super) fn of_the_run(search: &mut Search) {
    let file = search.file;
    for command in HookOn::ALL.into_iter().filter_map(|on| in_file(&file.run, on)) {
        check(search, &file.defaults, command);
    }
}

fn check(search: &mut Search, job: &JobSpec, command: &CommandSpec) {
    program(search, job, command);
    tildes(search, command);
    shebang(search, job, command);
}

/// Builtin commands of a shell that are no programs.
const BUILTINS: [&str; 18] = [
    ".", "alias", "bg", "cd", "declare", "eval", "exec", "exit", "export", "fg", "read", "set", "shift",
    "source", "trap", "ulimit", "umask", "unset",
];

/// Searches the program as it will be searched when the command runs.
fn program(search: &mut Search, job: &JobSpec, command: &CommandSpec) {
    // The job has a PATH of its own, or may have.
    if job.attributes.clear_env
        || !job.attributes.env_files.is_empty()
        || job.env.iter().any(|(name, _)| name == "PATH")
    {
        return;
    }
    let Some((text, span)) = first_word(job, command) else { return };
    let Some(name) = search.fixed(job, &text) else { return };
    let with_slash = name.contains(&b'/');
    let directory = search.directory(job);
    let Some(directory) = directory.as_deref().or((!with_slash).then_some(Path::new("/"))) else { return };
    let found = search.disk.program(&name, directory);
    if found == Program::Found {
        return;
    }
    let shown = String::from_utf8_lossy(&name);
    let path = directory.join(&*shown);
    if with_slash && search.may_be_made(job, &path) {
        return;
    }
    let doubt = match (found, with_slash) {
        (Program::NotExecutable, true) => {
            let doubt = Mistake::at(span, format!("`{shown}` is not executable"));
            doubt.help("`chmod +x` makes it so")
        }
        (Program::NotExecutable, false) => {
            Mistake::at(span, format!("`{shown}` is in PATH, but not executable"))
        }
        (_, true) => Mistake::at(span, format!("there is no program `{shown}` now"))
            .help(format!("it is looked for from `{}`", directory.display())),
        (_, false) => {
            let doubt = Mistake::at(span, format!("there is no program `{shown}` in PATH now"));
            match advice(&shown) {
                Some(advice) => doubt.help(advice),
                None => doubt,
            }
        }
    };
    search.doubt(doubt);
}

fn advice(word: &str) -> Option<String> {
    if BUILTINS.contains(&word) {
        return Some(format!("`{word}` is a word of the shell: write `script` instead of `command`"));
    }
    let (name, value) = word.split_once('=')?;
    Some(format!("a variable is set with `env = {{ {name} = \"{value}\" }}`, or by a `script`"))
}

/// Returns the program of a command, and its place.
fn first_word(job: &JobSpec, command: &CommandSpec) -> Option<(Text, Span)> {
    match command {
        CommandSpec::Line(line) => {
            let word = words::split(&line.value).ok()?.into_iter().next()?;
            let span = line.place(word.range);
            Some((Text { value: word.text, span: span.clone(), inner: None }, span))
        }
        CommandSpec::Words(words) => words.first().map(|word| (word.clone(), word.span.clone())),
        // Without `shell` it is /bin/sh, which exists.
        CommandSpec::Script(_) => {
            job.shell.as_ref().and_then(|words| words.first()).map(|word| (word.clone(), word.span.clone()))
        }
    }
}

/// Doubts words that begin with `~`, which only a shell replaces by a home directory.
fn tildes(search: &mut Search, command: &CommandSpec) {
    let found: Vec<(String, Span)> = match command {
        CommandSpec::Script(_) => Vec::new(),
        CommandSpec::Line(line) => {
            let words = words::split(&line.value).unwrap_or_default();
            // Within quotes `~` is an ordinary character in a shell as well.
            let bare = words.into_iter().filter(|word| line.value[word.range.clone()].starts_with('~'));
            bare.map(|word| (word.text, line.place(word.range))).collect()
        }
        CommandSpec::Words(words) => {
            words.iter().map(|word| (word.value.clone(), word.span.clone())).collect()
        }
    };
    for (word, span) in found {
        tilde(search, &word, span, "a `script` knows it; and so does `$HOME`, there");
    }
}

pub(super) fn tilde(search: &mut Search, word: &str, span: Span, help: &str) {
    if word == "~" || word.starts_with("~/") {
        let message =
            format!("`{word}` is not in the home folder: without a shell `~` is any other character");
        search.doubt(Mistake::at(span, message).help(help));
    }
}

/// Doubts a `#!` line: a shell that is given the text takes it for a comment.
fn shebang(search: &mut Search, job: &JobSpec, command: &CommandSpec) {
    let CommandSpec::Script(text) = command else { return };
    let Some(line) = text.value.strip_prefix("#!") else { return };
    let line = line.lines().next().unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().collect();
    let base = |path: &&str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let wanted = match words.as_slice() {
        [env, rest @ ..] if base(env) == "env" => rest.iter().find(|word| !word.starts_with('-')).map(base),
        [program, ..] => Some(base(program)),
        [] => None,
    };
    let shell =
        job.shell.as_ref().and_then(|words| words.first()).map_or("/bin/sh", |word| word.value.as_str());
    let Some(wanted) = wanted.filter(|wanted| *wanted != base(&shell)) else { return };
    let message = format!("this script is run by `{shell}`, not by `{wanted}`");
    search.doubt(
        Mistake::at(text.place(0..line.len() + 2), message)
            .label("a comment for the shell")
            .help(format!("write `shell = [\"{wanted}\", \"-c\"]`")),
    );
}

/// Doubts a job whose tasks all do the same, because they do not use their items.
fn unused_items(search: &mut Search, job: &JobSpec) {
    let Some(span) = job.own_key("each").filter(|_| job.worker.is_none()) else { return };
    // A command gets what it doesn't ask for at its end.
    let (plain, help) = match &job.body {
        Some(BodySpec::Command(CommandSpec::Script(_))) => {
            let shell = job.shell.as_ref().and_then(|words| words.first());
            // How other languages use their arguments is not known.
            if shell.is_some_and(|shell| !is_posix(&shell.value)) {
                return;
            }
            ("script", "`{}` or `$1` stands for the item; `repeat = N` runs it N times without any")
        }
        Some(BodySpec::Pipeline(_)) => (
            "pipeline",
            "`{}` stands for the item, in any of its commands; `repeat = N` runs it N times without any",
        ),
        _ => return,
    };
    if !matches!(
        job.stdin.value,
        StdinSpec::Null | StdinSpec::Open | StdinSpec::Inherit | StdinSpec::File(_) | StdinSpec::Text(_)
    ) {
        return;
    }
    let mut texts: Vec<&Text> = job.env.iter().map(|(_, text)| text).chain(&job.cwd).collect();
    texts.extend(files(job).map(|(text, _)| text));
    if let StdinSpec::File(text) | StdinSpec::Text(text) = &job.stdin.value {
        texts.push(text);
    }
    for command in commands(job) {
        match command {
            CommandSpec::Line(text) => texts.push(text),
            CommandSpec::Words(words) => texts.extend(words),
            CommandSpec::Script(text) if looks_at_arguments(&text.value) => return,
            CommandSpec::Script(text) => texts.push(text),
        }
    }
    let names = search.texts.of_task(job);
    let used = |text: &&Text| {
        text.value.contains("PRUN_")
            || Template::parse(text.value.as_bytes(), &names).map_or(true, |template| template.may_use_task())
    };
    if !texts.iter().any(used) {
        let message = format!("the {plain} of job `{}` does not look at its items", job.name.value);
        search.doubt(Mistake::at(span, message).help(help));
    }
}

/// True if a script uses its arguments: `$1`, `"$@"`, `${1%.c}`, `$#`, or a command that reads them.
fn looks_at_arguments(script: &str) -> bool {
    let mut before = ' ';
    let mut open = false;
    for c in script.chars() {
        if (before == '$' || open) && (c.is_ascii_digit() || matches!(c, '@' | '*' | '#')) {
            return true;
        }
        open = before == '$' && c == '{';
        before = c;
    }
    script.contains("shift") || script.contains("getopts") || script.contains("for ")
}
