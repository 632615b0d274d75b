//! `prun exec --worker[=KEY=VALUE,…]`: processes that take tasks one after another. Pure.

use regex::bytes::Regex;

use super::args::{ExecArgs, ExecError, error};
use super::escapes::unescape;
use crate::jobfile::nearest;
use crate::plan::template::{Source, Template};
use crate::plan::{Reply, Stage, Worker};

const KEYS: [&str; 5] = ["reply", "fail", "ahead", "max_tasks", "init"];

/// Parses `reply=line,ahead=8`. A comma that no key and `=` follow belongs to the value before it.
pub fn parse_worker(text: &str) -> Result<Worker, String> {
    let mut worker = Worker { reply: Reply::Line, fail: None, ahead: 1, max_tasks: None, init: Vec::new() };
    let mut rest = text;
    while !rest.is_empty() {
        let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
        let end = value.match_indices(',').map(|(at, _)| at).find(|at| starts_with_key(&value[at + 1..]));
        let (value, next) = end.map_or((value, ""), |at| (&value[..at], &value[at + 1..]));
        set(&mut worker, key, value)?;
        rest = next;
    }
    worker.end_init_line();
    Ok(worker)
}

fn starts_with_key(text: &str) -> bool {
    text.split_once('=').is_some_and(|(key, _)| KEYS.contains(&key))
}

fn set(worker: &mut Worker, key: &str, value: &str) -> Result<(), String> {
    let count = || value.parse::<usize>().ok().filter(|count| *count > 0);
    let count = || count().ok_or_else(|| format!("`{key}`: expected a number from 1, not `{value}`"));
    let regex = |text: &str| match Regex::new(text) {
        _ if text.is_empty() => Err(format!("`{key}`: expected a regular expression")),
        Ok(regex) => Ok(regex),
        Err(_) => Err(format!("`{key}`: `{text}` is no regular expression")),
    };
    match key {
        "reply" => {
            worker.reply = match (value, value.strip_prefix("until:")) {
                ("line", _) => Reply::Line,
                ("nul", _) => Reply::Nul,
                (_, Some(text)) => Reply::Until(regex(text)?),
                _ => return Err(format!("`reply`: expected `line`, `nul` or `until:REGEX`, not `{value}`")),
            }
        }
        "fail" => worker.fail = Some(regex(value)?),
        "ahead" => worker.ahead = count()?,
        "max_tasks" => worker.max_tasks = Some(count()? as u64),
        "init" => worker.init = unescape(value.as_bytes()).map_err(|why| format!("`init`: {why}"))?,
        _ => {
            let all = || "there are `reply`, `fail`, `ahead`, `max_tasks` and `init`".to_owned();
            let near = nearest(key, KEYS).map_or_else(all, |near| format!("did you mean `{near}`?"));
            return Err(format!("no key is called `{key}`; {near}"));
        }
    }
    Ok(())
}

pub(super) fn check(args: &ExecArgs) -> Result<(), ExecError> {
    if !args.has_items() {
        return error("`--worker` needs items, one for each answer", "give items, or leave out `--worker`");
    }
    if args.fit || args.max_args.is_some() || args.replace.is_some() {
        return error("a worker gets its items one by one on its stdin", "leave out `-n`, `-X` and `-I`");
    }
    if args.stdin.is_some() {
        return error("a worker gets its items on its stdin", "leave out `--stdin` or `--worker`");
    }
    if args.command.is_empty() {
        return error(
            "`--worker` needs a command that lives on",
            "write `prun exec --worker ./square.py`, for example",
        );
    }
    Ok(())
}

/// Refuses placeholders of the item, because a worker is started before it is given a task.
pub(super) fn check_stage(stage: &Stage) -> Result<(), ExecError> {
    let of_task =
        |text: &Template| text.placeholders().any(|placeholder| !matches!(placeholder.source, Source::Slot));
    if stage.command.templates().any(of_task)
        || stage.cwd.iter().any(of_task)
        || stage.env.iter().any(|(_, value)| of_task(value))
    {
        return error(
            "a worker's command, folder and environment can't have placeholders of the item",
            "its stdin gets the items; of placeholders only `{%}`, the slot, is known at its start",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values() {
        let worker = parse_worker("").unwrap();
        assert!(matches!(worker.reply, Reply::Line));
        assert_eq!((worker.ahead, worker.max_tasks, worker.init.len()), (1, None, 0));
        let worker =
            parse_worker(r"ahead=8,fail=^no, never,init=a,b\n,max_tasks=100,reply=until:^(ok|end),$")
                .unwrap();
        assert_eq!((worker.ahead, worker.max_tasks), (8, Some(100)));
        assert_eq!(worker.init, b"a,b\n");
        assert_eq!(worker.fail.unwrap().as_str(), "^no, never");
        assert!(matches!(worker.reply, Reply::Until(regex) if regex.as_str() == "^(ok|end),$"));
        assert!(matches!(parse_worker("reply=nul").unwrap().reply, Reply::Nul));
    }

    #[test]
    fn what_comes_first_is_a_line() {
        assert_eq!(parse_worker("init=hello").unwrap().init, b"hello\n");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("ahed=8", "did you mean `ahead`"),
            ("ahead=0", "`ahead`: expected a number from 1, not `0`"),
            ("ahead=2,x=3", "not `2,x=3`"),
            ("max_tasks", "`max_tasks`: expected a number"),
            ("fail=(", "`fail`: `(` is no regular expression"),
            ("fail=", "`fail`: expected a regular expression"),
            ("reply=word", "`line`, `nul` or `until:REGEX`"),
            (r"init=\q", "`init`: expected"),
        ];
        for (text, part) in cases {
            let why = parse_worker(text).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }
}
