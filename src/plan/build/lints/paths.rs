//! Doubts about files and directories: files that are read and missing, files that are read and written.

use super::commands::tilde;
use super::{FileKind, Search, files, sources};
use crate::jobfile::{EachSpec, JobSpec, Mistake, StdinSpec, TagSpec, Text};

/// Checks the paths of a job.
pub(super) fn of(search: &mut Search, job: &JobSpec) {
    for (text, _) in read(job).into_iter().chain(files(job).map(|(text, _)| (text, ""))).chain(folder(job)) {
        tilde(search, &text.value, text.span.clone(), "write the path in full, or set it with `-D`");
    }
    for (text, what) in read(job) {
        missing(search, job, text, what);
    }
    missing_folder(search, job);
    missing_matches(search, job);
    strange_placeholders(search, job);
    read_and_written(search, job);
}

fn folder(job: &JobSpec) -> Option<(&Text, &'static str)> {
    job.cwd.as_ref().map(|cwd| (cwd, ""))
}

/// Returns the files that a job reads, and their use for messages.
fn read(job: &JobSpec) -> Vec<(&Text, &'static str)> {
    let mut files = Vec::new();
    for each in sources(job) {
        if let EachSpec::Lines { file, .. } | EachSpec::Csv { file, .. } = each
            && file.value != "-"
        {
            files.push((file, "for items"));
        }
    }
    if let StdinSpec::File(file) = &job.stdin.value {
        files.push((file, "for stdin"));
    }
    files.extend(job.attributes.env_files.iter().map(|file| (file, "of variables")));
    files
}

fn missing(search: &mut Search, job: &JobSpec, text: &Text, what: &str) {
    let Some(path) = search.path(job, text).filter(|path| !search.may_be_made(job, path)) else { return };
    let shown = path.display();
    match search.disk.kind(&path) {
        Some(FileKind::Other) => {}
        Some(FileKind::Directory) => {
            search.doubt(Mistake::at(text.span.clone(), format!("`{shown}` is a folder, not a file {what}")));
        }
        None => {
            let doubt = Mistake::at(text.span.clone(), format!("there is no file `{shown}` {what} now"));
            search
                .doubt(doubt.help("a job that waits for another one (`after`) may find what that one makes"));
        }
    }
}

fn missing_folder(search: &mut Search, job: &JobSpec) {
    let Some(text) = &job.cwd else { return };
    let Some(path) = search.path(job, text).filter(|path| !search.may_be_made(job, path)) else { return };
    let what = match search.disk.kind(&path) {
        Some(FileKind::Directory) => return,
        Some(FileKind::Other) => format!("`{}` is no folder", path.display()),
        None => format!("there is no folder `{}` now", path.display()),
    };
    search.doubt(Mistake::at(text.span.clone(), what).help("nothing can be started in it"));
}

fn missing_matches(search: &mut Search, job: &JobSpec) {
    for each in sources(job) {
        let EachSpec::Glob(text) = each else { continue };
        let Some(Ok(pattern)) = search.fixed(job, text).map(String::from_utf8) else { continue };
        let base = &search.options.base;
        if !search.may_be_made(job, &base.join(&pattern)) && !search.disk.matches(&pattern, base) {
            let message = format!("nothing matches `{pattern}` now");
            search.doubt(Mistake::at(text.span.clone(), message).help("without items the job has no task"));
        }
    }
}

/// Doubts braces in a path or a tag, which are hardly meant to stay there, as they may in a command.
fn strange_placeholders(search: &mut Search, job: &JobSpec) {
    let names = search.texts.of_task(job);
    if names.open {
        return;
    }
    let tag = match &job.tag {
        Some(TagSpec::Template(text)) => Some(text),
        _ => None,
    };
    let texts = read(job).into_iter().chain(folder(job)).map(|(text, _)| text);
    for text in texts.chain(files(job).map(|(text, _)| text)).chain(tag) {
        for (range, word) in braced(&text.value) {
            let known = names.vars.contains_key(word)
                || names.columns.iter().chain(names.locks).any(|name| name == word)
                || word == "args";
            if !known {
                let doubt = Mistake::at(
                    text.place(range),
                    format!("`{{{word}}}` is no placeholder, and stays as it is"),
                );
                search.doubt(doubt.help(format!(
                    "`[vars]` lists variables, and named columns come with `each`; there is no `{word}` among them"
                )));
            }
        }
    }
}

/// Returns each `{word}` that could be a name.
fn braced(text: &str) -> Vec<(std::ops::Range<usize>, &str)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find('{').map(|found| at + found) {
        at = open + 1;
        let Some(end) = text[at..].find('}').map(|found| at + found) else { break };
        let word = &text[at..end];
        let name = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        if name && !text[..open].ends_with(['$', '%', '{']) {
            found.push((open..end + 1, word));
        }
    }
    found
}

/// Doubts a file that the job reads and writes, which a run refuses.
fn read_and_written(search: &mut Search, job: &JobSpec) {
    let inputs = read(job).into_iter().map(|(text, _)| text);
    for input in inputs {
        let Some(path) = search.path(job, input).filter(|path| !path.starts_with("/dev")) else { continue };
        let Some((output, _)) = files(job).find(|(text, _)| search.path(job, text).as_ref() == Some(&path))
        else {
            continue;
        };
        let message = format!("job `{}` reads `{}`, and writes to it", job.name.value, input.value);
        let doubt = Mistake::at(output.span.clone(), message).other(input.span.clone(), "read here");
        let output = output.value.clone();
        search.doubt(doubt.help(format!(
            "a run refuses that: write to another file, and rename it afterwards to `{output}`"
        )));
    }
}
