//! The grammar of placeholders: where they stand in a text and what they mean. Pure.
//!
//! `{}` the item · `{.}` `{..}` `{/}` `{//}` `{/.}` `{%END}` modifiers, also after a name or a number ·
//! `{1}` `{-1}` columns · `{name}` a named column or a variable · `{#}` `{%}` the task's number and slot ·
//! `{args}`. `${…}`, `%{…}` and `{{…}}` are never placeholders, nor is any other word in braces.

use std::collections::BTreeMap;
use std::ops::Range;

use memchr::{memchr, memchr3, memmem};

use super::template::{Modifier, Source};
use crate::jobfile::nearest;

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextError {
    /// Bytes of the text.
    pub range: Range<usize>,
    pub message: String,
    pub help: Option<String>,
}

/// What a text may refer to.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The job has items; without them `{}`, modifiers and columns are left as they are written.
    pub items: bool,
    /// Names of the items' columns.
    pub columns: &'a [String],
    /// Locks whose permits have names, and that each task holds.
    pub locks: &'a [String],
    /// The same of locks that they don't hold.
    pub untaken: &'a [String],
    /// How many columns each item has at most, if that is known.
    pub width: Option<usize>,
    /// `[vars]` and `-D`; put in at once.
    pub vars: &'a BTreeMap<String, String>,
    /// The arguments after `--`; `None` where `{args}` means nothing (`prun exec`).
    pub args: Option<&'a [Vec<u8>]>,
    /// More columns become known at run time (the header of a CSV file): any name may be one.
    pub open: bool,
}

/// A placeholder in a text.
#[derive(Debug)]
pub(super) struct Hole<'a> {
    /// With its braces.
    pub range: Range<usize>,
    pub fill: Fill<'a>,
}

#[derive(Debug)]
pub(super) enum Fill<'a> {
    /// Filled for each task.
    Later { what: Source, modifier: Modifier, sure: Sure },
    /// A variable, modified.
    Now(Vec<u8>),
    /// `{args}`
    Args(&'a [Vec<u8>]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sure {
    Yes,
    /// Only a placeholder if a header that is read later has such a column.
    IfColumn,
}

/// All placeholders of a text, first to last.
pub(super) fn holes<'a>(text: &[u8], names: &Names<'a>) -> Result<Vec<Hole<'a>>, TextError> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = memchr(b'{', &text[at..]).map(|i| at + i) {
        at = open + 1;
        if text.get(at) == Some(&b'{')
            && let Some(end) = memmem::find(&text[at + 1..], b"}}")
        {
            at += 1 + end + 2;
            continue;
        }
        if open > 0 && matches!(text[open - 1], b'$' | b'%') {
            continue;
        }
        let Some(close) = memchr3(b'{', b'}', b'\n', &text[at..]).map(|i| at + i) else { break };
        if text[close] == b'}' {
            let range = open..close + 1;
            if let Some(fill) = meaning(&text[at..close], &range, names)? {
                found.push(Hole { range, fill });
            }
        }
        at = close;
    }
    Ok(found)
}

/// All occurrences of the replacement string of `-I`.
pub(super) fn replacements(text: &[u8], replace: &[u8]) -> Vec<Hole<'static>> {
    if replace.is_empty() {
        return Vec::new();
    }
    memmem::find_iter(text, replace)
        .map(|start| Hole {
            range: start..start + replace.len(),
            fill: Fill::Later { what: Source::Item, modifier: Modifier::None, sure: Sure::Yes },
        })
        .collect()
}

/// What `{content}` means; `None`: it is no placeholder.
fn meaning<'a>(
    content: &[u8],
    range: &Range<usize>,
    names: &Names<'a>,
) -> Result<Option<Fill<'a>>, TextError> {
    let simple = match content {
        b"" => Some(Source::Item),
        b"#" => Some(Source::Seq),
        b"%" => Some(Source::Slot),
        _ => None,
    };
    if let Some(what) = simple {
        let there = names.items || what != Source::Item;
        return Ok(there.then_some(Fill::Later { what, modifier: Modifier::None, sure: Sure::Yes }));
    }
    let Ok(content) = std::str::from_utf8(content) else { return Ok(None) };
    if let Some(fill) = readings(content).into_iter().flatten().find_map(|(base, m)| fill(base, m, names)) {
        return Ok(Some(fill));
    }
    if let Some(lock) = readings(content).into_iter().flatten().find_map(|(base, _)| untaken(base, names)) {
        return Err(TextError {
            range: range.clone(),
            message: format!("the job does not take the lock `{lock}`"),
            help: Some(format!("say `locks = [\"{lock}\"]`; with blanks, `{{ {lock} }}`, it is left alone")),
        });
    }
    match readings(content).into_iter().flatten().find_map(|(base, _)| near(base, names)) {
        Some(known) => Err(TextError {
            range: range.clone(),
            message: format!("unknown placeholder `{{{content}}}`"),
            help: Some(format!(
                "did you mean `{{{known}}}`? With blanks, `{{ {content} }}`, it is left alone"
            )),
        }),
        None => Ok(None),
    }
}

/// The ways to read the words in braces, in order of preference: as a name, as a name with a modifier
/// at its end, as a name with an ending to take off.
fn readings(content: &str) -> [Option<(&str, Modifier)>; 3] {
    let suffixes = [
        ("/.", Modifier::BaseNoExt),
        ("//", Modifier::Dir),
        ("/", Modifier::Base),
        ("..", Modifier::NoTwoExts),
        (".", Modifier::NoExt),
    ];
    let suffix = suffixes.into_iter().find_map(|(s, m)| content.strip_suffix(s).map(|base| (base, m)));
    let ending = content
        .split_once('%')
        .filter(|(_, ending)| !ending.is_empty())
        .map(|(base, ending)| (base, Modifier::Without(ending.as_bytes().to_vec())));
    [Some((content, Modifier::None)), suffix, ending]
}

fn fill<'a>(base: &str, modifier: Modifier, names: &Names<'a>) -> Option<Fill<'a>> {
    let later = |what, sure| Some(Fill::Later { what, modifier: modifier.clone(), sure });
    if base.is_empty() {
        return if names.items { later(Source::Item, Sure::Yes) } else { None };
    }
    if let Some(n) = number(base) {
        // `x{2}` is a regular expression where there is one column.
        let there = names.items && names.width.is_none_or(|width| n.unsigned_abs() as usize <= width);
        return if there { later(Source::Column(n), Sure::Yes) } else { None };
    }
    if names.columns.iter().any(|name| name == base) {
        return later(Source::Named(base.to_owned()), Sure::Yes);
    }
    if names.locks.iter().any(|name| name == base) {
        return later(Source::Lock(base.to_owned()), Sure::Yes);
    }
    if let Some(value) = names.vars.get(base) {
        return Some(Fill::Now(modifier.apply(value.as_bytes()).to_vec()));
    }
    match names.args {
        Some(args) if base == "args" && modifier == Modifier::None => Some(Fill::Args(args)),
        _ if names.open && is_name(base) => later(Source::Named(base.to_owned()), Sure::IfColumn),
        _ => None,
    }
}

/// A lock that the job forgot to take.
fn untaken<'a>(base: &str, names: &Names<'a>) -> Option<&'a str> {
    names.untaken.iter().map(String::as_str).find(|name| *name == base)
}

/// A column's number: not 0, spelt as people count.
fn number(base: &str) -> Option<i32> {
    let digits = base.strip_prefix('-').unwrap_or(base);
    let counts = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    counts.then(|| base.parse().ok()).flatten()
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// The known name for which this one is a likely slip of the pen.
fn near<'a>(base: &str, names: &Names<'a>) -> Option<&'a str> {
    if names.open || !is_name(base) || base.len() < 3 {
        return None;
    }
    let known = names.columns.iter().chain(names.locks).chain(names.vars.keys()).map(String::as_str);
    nearest(base, known.chain(names.args.map(|_| "args")))
}
