//! The grammar of placeholders: where they are in a text and what they mean. Pure.
//!
//! `{}` the item · `{.}` `{..}` `{/}` `{//}` `{/.}` `{%END}` modifiers, also after a name or a number ·
//! `{1}` `{-1}` columns · `{name}` a named column or a variable · `{#}` `{%}` the task's number and slot ·
//! `{args}`. `${…}`, `%{…}` and `{{…}}` are never placeholders, nor is any other word in braces.

use std::collections::BTreeMap;
use std::ops::Range;

use memchr::{memchr, memchr3, memmem};

use super::placeholder::{Modifier, Source};
use crate::jobfile::nearest;

/// A mistake in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextError {
    /// The bytes of the text that are wrong.
    pub range: Range<usize>,
    pub message: String,
    pub help: Option<String>,
}

/// The names that placeholders of a text can have. By default there are none.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// True if the job has items. Without them `{}`, modifiers and columns are left as they are written.
    pub items: bool,
    /// Names of the items' columns.
    pub columns: &'a [String],
    /// Locks whose permits have names, and of which each task holds some.
    pub locks: &'a [String],
    /// Locks whose permits have names, and which the job does not take.
    pub untaken: &'a [String],
    /// The largest number of columns of an item, if that is known.
    pub width: Option<usize>,
    /// True if a task has one item, so that a number is that of a column.
    pub one_item: bool,
    /// `[vars]` and `-D`, which are put in at once.
    pub vars: &'a BTreeMap<String, String>,
    /// The arguments after `--`; `None` where `{args}` means nothing (`prun exec`).
    pub args: Option<&'a [Vec<u8>]>,
    /// True if more columns become known at run time (the header of a CSV file), so that any name may be one.
    pub open: bool,
}

impl Default for Names<'_> {
    fn default() -> Self {
        static NO_VARS: BTreeMap<String, String> = BTreeMap::new();
        Names {
            items: false,
            columns: &[],
            locks: &[],
            untaken: &[],
            width: None,
            one_item: true,
            vars: &NO_VARS,
            args: None,
            open: false,
        }
    }
}

/// A placeholder that was found in a text.
#[derive(Debug)]
pub(in crate::plan) struct Hole<'a> {
    /// The bytes of the text that it takes, with its braces.
    pub range: Range<usize>,
    pub fill: Fill<'a>,
}

/// The source of a placeholder's value.
#[derive(Debug)]
pub(in crate::plan) enum Fill<'a> {
    /// A value of each task.
    PerTask {
        source: Source,
        modifier: Modifier,
        /// True if it is a placeholder only if a header that is read at run time names such a column.
        unsure: bool,
    },
    /// The value of a variable, modified.
    Fixed(Vec<u8>),
    /// The arguments of `{args}`.
    Args(&'a [Vec<u8>]),
}

/// Finds the placeholders of a text, first to last.
pub(in crate::plan) fn holes<'a>(text: &[u8], names: &Names<'a>) -> Result<Vec<Hole<'a>>, TextError> {
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

/// Finds the replacement string of `-I`, wherever it is.
pub(in crate::plan) fn replacements(text: &[u8], replace: &[u8]) -> Vec<Hole<'static>> {
    if replace.is_empty() {
        return Vec::new();
    }
    memmem::find_iter(text, replace)
        .map(|start| Hole {
            range: start..start + replace.len(),
            fill: Fill::PerTask { source: Source::Item, modifier: Modifier::None, unsure: false },
        })
        .collect()
}

/// Returns what fills `{content}`; `None` if it is no placeholder.
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
    if let Some(source) = simple {
        let exists = names.items || source != Source::Item;
        return Ok(exists.then_some(Fill::PerTask { source, modifier: Modifier::None, unsure: false }));
    }
    // A name that is not UTF-8 is known by the same replacement.
    let content = &*String::from_utf8_lossy(content);
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
    if let Some(n) = readings(content).into_iter().flatten().find_map(|(base, _)| missing(base, names)) {
        return Err(TextError {
            range: range.clone(),
            message: format!("there is no column {n}: a task has {}", names.width.unwrap_or_default()),
            help: Some(format!("in a regular expression, `{{{n},{n}}}` means the same as `{{{n}}}`")),
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

/// Returns the ways to read the text in braces, in order of preference: as a name, as a name with a modifier at its
/// end, as a name with an ending to take off.
pub(super) fn readings(content: &str) -> [Option<(&str, Modifier)>; 3] {
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

/// Returns what fills a placeholder of this name and modifier.
fn fill<'a>(base: &str, modifier: Modifier, names: &Names<'a>) -> Option<Fill<'a>> {
    let per_task = |source, unsure| Some(Fill::PerTask { source, modifier: modifier.clone(), unsure });
    if base.is_empty() {
        return if names.items { per_task(Source::Item, false) } else { None };
    }
    if names.columns.iter().any(|name| name == base) {
        return per_task(Source::Named(base.to_owned()), false);
    }
    if let Some(n) = number(base) {
        // `x{2}` is a regular expression where there is one column.
        let exists = names.items && names.width.is_none_or(|width| n.unsigned_abs() as usize <= width);
        return if exists { per_task(Source::Column(n), false) } else { None };
    }
    if names.locks.iter().any(|name| name == base) {
        return per_task(Source::Lock(base.to_owned()), false);
    }
    if let Some(value) = names.vars.get(base) {
        return Some(Fill::Fixed(modifier.apply(value.as_bytes()).to_vec()));
    }
    match names.args {
        Some(args) if base == "args" && modifier == Modifier::None => Some(Fill::Args(args)),
        _ if names.open && is_name(base) => per_task(Source::Named(base.to_owned()), true),
        _ => None,
    }
}

/// Returns the number of a column that no item has. Where items have one column, it may be a part of a regular
/// expression: `x{2}`.
fn missing(base: &str, names: &Names) -> Option<i32> {
    let width = names.width.filter(|width| names.items && *width > 1)?;
    number(base).filter(|n| n.unsigned_abs() as usize > width)
}

/// Returns the lock of this name if the job does not take it.
fn untaken<'a>(base: &str, names: &Names<'a>) -> Option<&'a str> {
    names.untaken.iter().map(String::as_str).find(|name| *name == base)
}

/// Parses the number of a column: not 0, and without leading zeros.
pub(super) fn number(base: &str) -> Option<i32> {
    let digits = base.strip_prefix('-').unwrap_or(base);
    let counts = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    counts.then(|| base.parse().ok()).flatten()
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// Returns the known name of which this one is probably a misspelling.
fn near<'a>(base: &str, names: &Names<'a>) -> Option<&'a str> {
    if names.open || base.len() < 3 {
        return None;
    }
    let columns = names.columns.iter().map(String::as_str);
    if !is_name(base) {
        // Code and data in braces are near to ordinary names by chance.
        let may_be_meant = base.trim() == base && !base.contains(['"', '\'', '$', ';']);
        return may_be_meant.then(|| nearest(base, columns.filter(|name| !is_name(name)))).flatten();
    }
    let known = columns.chain(names.locks.iter().chain(names.vars.keys()).map(String::as_str));
    nearest(base, known.chain(names.args.map(|_| "args")))
}
