//! Placeholders: text with holes, filled for each task. Pure.
//!
//! What was put in is not looked at again. Variables and `{args}` are put in when the template is made;
//! what differs from task to task stays a [`Place`].

use std::io::Write as _;
use std::ops::Range;

use memchr::{memrchr, memrchr2};

use super::Item;
use super::place::{Fill, Hole, holes, replacements};
pub use super::place::{Names, TextError};
pub use super::script::ScriptText;

/// Text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    pub pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(Vec<u8>),
    Place(Place),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub what: Source,
    pub modifier: Modifier,
    /// How the value is quoted; `Plain` outside scripts.
    pub quote: Quote,
    /// As it was written, for a task that has nothing to put in.
    pub spelling: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `{}`
    Item,
    /// `{1}`, `{-1}`
    Column(i32),
    /// `{name}`: a named column. Variables are put in when the plan is made.
    Named(String),
    /// `{#}`
    Seq,
    /// `{%}`
    Slot,
    /// `{gpu}`: what the permits that it holds of this lock are called.
    Lock(String),
    /// All columns of the item as a path, `1/a/2/b` ([`results`](super::exec)); nobody writes it.
    Tree,
}

/// What is taken of a value. Each does what GNU parallel's replacement string of that name does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Modifier {
    None,
    /// `{.}`: without a last dot and what follows it in the base name: `.bashrc` becomes empty.
    NoExt,
    /// `{..}`: without two of these; a value that has fewer stays as it is.
    NoTwoExts,
    /// `{/}`: what follows the last slash; `dir/` becomes empty.
    Base,
    /// `{//}`: the folder as dirname(1) tells it; `.` for a value without a slash.
    Dir,
    /// `{/.}`
    BaseNoExt,
    /// `{%END}`: without that ending, if it has it.
    Without(Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quote {
    Plain,
    /// Outside all quotes of a shell.
    Bare,
    /// Within `'…'`.
    Single,
    /// Within `"…"`.
    Double,
}

/// One argument of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word(pub Template);

/// What a template is filled from.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// One, or more with a batch; none for a job without items.
    pub items: &'a [Item],
    /// Names of the columns.
    pub names: &'a [String],
    pub seq: u64,
    pub slot: usize,
    /// What the task was given of its locks that have values.
    pub held: &'a [Held],
}

/// Permits of a lock whose permits have names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub lock: std::sync::Arc<str>,
    /// Their names; several are joined by commas.
    pub value: String,
}

impl Template {
    /// Finds the placeholders of a text.
    pub fn parse(text: &[u8], names: &Names) -> Result<Template, TextError> {
        let found = holes(text, names)?.into_iter().map(|hole| (hole, Quote::Plain));
        Ok(Template::assemble(text, found))
    }

    /// The variant of `-I`: `replace` stands for the item, and nothing in braces means anything.
    pub fn parse_replace(text: &[u8], replace: &[u8]) -> Template {
        let found = replacements(text, replace).into_iter().map(|hole| (hole, Quote::Plain));
        Template::assemble(text, found)
    }

    /// A text without placeholders.
    pub fn literal(bytes: &[u8]) -> Template {
        Template { pieces: vec![Piece::Text(bytes.to_vec())] }
    }

    /// Makes a template of a text and what was found in it.
    pub(super) fn assemble<'a>(text: &[u8], found: impl Iterator<Item = (Hole<'a>, Quote)>) -> Template {
        let mut pieces = Vec::new();
        let mut run = Vec::new();
        let mut done = 0;
        for (hole, quote) in found {
            run.extend_from_slice(&text[done..hole.range.start]);
            done = hole.range.end;
            match hole.fill {
                Fill::Now(value) => quote.put(&value, &mut run),
                Fill::Args(args) => put_joined(args, quote, &mut run),
                Fill::Later { what, modifier, .. } => {
                    if !run.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut run)));
                    }
                    let spelling = text[hole.range].to_vec();
                    pieces.push(Piece::Place(Place { what, modifier, quote, spelling }));
                }
            }
        }
        run.extend_from_slice(&text[done..]);
        if !run.is_empty() {
            pieces.push(Piece::Text(run));
        }
        Template { pieces }
    }

    /// Fills the template; the text is appended to `out`. Several items are joined by blanks.
    pub fn render(&self, scope: &Scope, out: &mut Vec<u8>) {
        self.render_each(scope, scope.items, out);
    }

    /// As [`Template::render`], but what is said of each item is said of `chosen` only.
    pub(super) fn render_each(&self, scope: &Scope, chosen: &[Item], out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Place(place) => place.fill(scope, chosen, out),
            }
        }
    }

    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Place(place) => Some(place),
        })
    }

    /// Has a placeholder of the item: `{}`, a column, a name.
    pub fn uses_item(&self) -> bool {
        self.places().any(|place| place.what.is_item())
    }

    /// Has a placeholder of the item, `{#}`, `{%}` or a lock's value.
    pub fn uses_task(&self) -> bool {
        self.places().next().is_some()
    }

    /// The same, and says by that where the item goes: a lock's value says nothing of it.
    pub fn says_where_item_goes(&self) -> bool {
        self.places().any(|place| !matches!(place.what, Source::Lock(_)))
    }

    /// Has a placeholder of a lock's value.
    pub fn uses_lock(&self) -> bool {
        self.places().any(|place| matches!(place.what, Source::Lock(_)))
    }

    /// Length of what is no placeholder.
    pub(super) fn fixed_len(&self) -> usize {
        let text = |piece: &Piece| if let Piece::Text(text) = piece { text.len() } else { 0 };
        self.pieces.iter().map(text).sum()
    }

    /// Makes `{#}`, `{%}` and values of locks text: as they are written.
    pub(super) fn unnumber(&mut self) {
        for piece in &mut self.pieces {
            if let Piece::Place(place) = piece
                && matches!(place.what, Source::Seq | Source::Slot | Source::Lock(_))
            {
                *piece = Piece::Text(std::mem::take(&mut place.spelling));
            }
        }
    }

    /// Makes `{1}` … `{columns}` empty, not their spelling, where a task has fewer items.
    pub(super) fn blank_columns(&mut self, columns: usize) {
        for piece in &mut self.pieces {
            if let Piece::Place(Place { what: Source::Column(n), spelling, .. }) = piece
                && n.unsigned_abs() as usize <= columns
            {
                spelling.clear();
            }
        }
    }
}

impl Source {
    fn is_item(&self) -> bool {
        matches!(self, Source::Item | Source::Column(_) | Source::Named(_) | Source::Tree)
    }
}

impl Scope<'_> {
    /// Of a batch of single values `{2}` is the second item; of rows it is each one's second column.
    pub(super) fn columns_are_items(&self) -> bool {
        // One short row makes no table a list.
        self.items.len() > 1 && self.names.len() < 2 && self.items.iter().all(|item| item.columns.len() == 1)
    }
}

impl Place {
    fn fill(&self, scope: &Scope, chosen: &[Item], out: &mut Vec<u8>) {
        match &self.what {
            Source::Seq => put_number(scope.seq, out),
            Source::Slot => put_number(scope.slot as u64, out),
            Source::Lock(name) => match scope.held.iter().find(|held| *held.lock == **name) {
                Some(held) => self.quote.put(self.modifier.apply(held.value.as_bytes()), out),
                None => out.extend_from_slice(&self.spelling),
            },
            Source::Tree => tree::put(chosen, scope.names, out),
            Source::Column(n) if scope.columns_are_items() => match index(*n, scope.items.len()) {
                Some(i) => self.put(&scope.items[i].columns, out),
                None => out.extend_from_slice(&self.spelling),
            },
            _ if chosen.is_empty() => out.extend_from_slice(&self.spelling),
            _ => {
                for (i, item) in chosen.iter().enumerate() {
                    if i > 0 {
                        out.push(b' ');
                    }
                    match self.values(item, scope.names) {
                        Some(row) => self.put(row, out),
                        None => out.extend_from_slice(&self.spelling),
                    }
                }
            }
        }
    }

    /// What is meant of an item. A column that has a name but is missing in a short row is empty; one that
    /// nobody knows is no placeholder (`grep -E 'a{3}'`).
    fn values<'a>(&self, item: &'a Item, names: &[String]) -> Option<&'a [Vec<u8>]> {
        let columns = item.columns.as_slice();
        match &self.what {
            Source::Column(n) => match index(*n, columns.len()) {
                Some(i) => Some(&columns[i..=i]),
                None => (n.unsigned_abs() as usize <= names.len()).then_some(&[]),
            },
            Source::Named(name) => {
                let i = names.iter().position(|known| known == name)?;
                Some(columns.get(i..=i).unwrap_or_default())
            }
            _ => Some(columns),
        }
    }

    /// Puts in values joined by blanks, modified and quoted as one.
    fn put(&self, row: &[Vec<u8>], out: &mut Vec<u8>) {
        if let [value] = row {
            return self.quote.put(self.modifier.apply(value), out);
        }
        // The joined text is made at the end of `out`, and taken away again, so that nothing is allocated.
        let start = out.len();
        put_joined(row, Quote::Plain, out);
        let joined = out.len();
        let part = self.modifier.part(&out[start..]);
        if self.modifier == Modifier::Dir && part.is_empty() {
            self.quote.put(b".", out);
        } else {
            self.quote.open(out);
            for i in start + part.start..start + part.end {
                self.quote.put_byte(out[i], out);
            }
            self.quote.close(out);
        }
        out.drain(start..joined);
    }
}

impl Modifier {
    /// The value, modified.
    pub(super) fn apply<'a>(&self, value: &'a [u8]) -> &'a [u8] {
        let part = self.part(value);
        if *self == Modifier::Dir && part.is_empty() { b"." } else { &value[part] }
    }

    /// The part of a value that is meant. Empty for the folder of a value without one, which is `.`.
    fn part(&self, value: &[u8]) -> Range<usize> {
        let all = value.len();
        let base = || memrchr(b'/', value).map_or(0, |slash| slash + 1);
        match self {
            Modifier::None => 0..all,
            Modifier::NoExt => 0..ext(value).unwrap_or(all),
            Modifier::NoTwoExts => 0..ext(value).and_then(|dot| ext(&value[..dot])).unwrap_or(all),
            Modifier::Base => base()..all,
            Modifier::Dir => 0..dir_len(value),
            Modifier::BaseNoExt => base()..ext(value).unwrap_or(all),
            Modifier::Without(end) => 0..value.strip_suffix(end.as_slice()).map_or(all, <[u8]>::len),
        }
    }
}

/// Where the last extension begins.
fn ext(value: &[u8]) -> Option<usize> {
    memrchr2(b'.', b'/', value).filter(|last| value[*last] == b'.')
}

/// How much of a value is its folder: what stands before the last name and the slashes around it.
fn dir_len(value: &[u8]) -> usize {
    let unslashed = |value: &[u8]| value.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let name_end = unslashed(value);
    match memrchr(b'/', &value[..name_end]) {
        Some(slash) => unslashed(&value[..slash]).max(1),
        None => usize::from(name_end == 0 && !value.is_empty()),
    }
}

/// The place of the n-th of `len`, counted from 1, or from the end if negative.
fn index(n: i32, len: usize) -> Option<usize> {
    let distance = n.unsigned_abs() as usize;
    (1..=len).contains(&distance).then(|| if n > 0 { distance - 1 } else { len - distance })
}

fn put_number(n: u64, out: &mut Vec<u8>) {
    write!(out, "{n}").expect("writing to a vector does not fail");
}

/// Values joined by blanks, each quoted.
fn put_joined(values: &[Vec<u8>], quote: Quote, out: &mut Vec<u8>) {
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        quote.put(value, out);
    }
}

impl Quote {
    /// Bare values are always put in quotes, also where they look harmless: a `2` before `>file`, or a
    /// `done` where a command may stand, would mean something to the shell.
    fn put(self, value: &[u8], out: &mut Vec<u8>) {
        self.open(out);
        match self {
            Quote::Plain => out.extend_from_slice(value),
            _ => value.iter().for_each(|byte| self.put_byte(*byte, out)),
        }
        self.close(out);
    }

    fn open(self, out: &mut Vec<u8>) {
        if self == Quote::Bare {
            out.push(b'\'');
        }
    }

    fn close(self, out: &mut Vec<u8>) {
        self.open(out);
    }

    fn put_byte(self, byte: u8, out: &mut Vec<u8>) {
        match (self, byte) {
            (Quote::Bare | Quote::Single, b'\'') => out.extend_from_slice(br"'\''"),
            (Quote::Double, b'\\' | b'"' | b'$' | b'`') => out.extend_from_slice(&[b'\\', byte]),
            _ => out.push(byte),
        }
    }
}

mod tree;

#[cfg(test)]
mod tests;
