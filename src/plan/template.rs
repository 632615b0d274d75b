//! Text with placeholders, filled for each task. Pure.
//!
//! Variables and `{args}` are put in when a template is made; values that differ from task to task stay a
//! [`Placeholder`]. A value that was put in is not searched for placeholders again.

use super::Item;

pub mod column_names;
pub(super) mod grammar;
mod late;
mod placeholder;
mod tree;

use grammar::{Fill, Hole, holes, replacements};
pub use grammar::{Names, TextError};
use late::Late;
pub(super) use late::Parse;
pub use placeholder::{Modifier, Quote, Source};
use placeholder::{put_joined, put_number};

/// Text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    /// As far as they are known before items are read.
    pieces: Vec<Piece>,
    /// Set if names of columns become known when items are read.
    late: Option<Late>,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(Vec<u8>),
    Placeholder(Placeholder),
}

/// A placeholder that is filled for each task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholder {
    pub source: Source,
    pub modifier: Modifier,
    pub quote: Quote,
    /// The placeholder as it was written, for a task that has no value for it.
    pub spelling: Vec<u8>,
}

/// One argument of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word(pub Template);

/// The values of a task that fill a template. By default those of a task without any.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scope<'a> {
    /// One item, or several with a batch; none for a job without items.
    pub items: &'a [Item],
    /// Names of the columns.
    pub names: &'a [String],
    /// The task's number, `{#}`.
    pub seq: u64,
    /// The task's slot, `{%}`.
    pub slot: usize,
    /// The permits with names that the task holds.
    pub lock_values: &'a [LockValue],
}

/// The permits of a lock that a task holds, if they have names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockValue {
    pub lock: std::sync::Arc<str>,
    /// The names of the permits, joined by commas.
    pub value: String,
}

impl Template {
    /// Parses a text with placeholders.
    ///
    /// # Errors
    /// A placeholder that is probably misspelt.
    pub fn parse(text: &[u8], names: &Names) -> Result<Template, TextError> {
        let found = holes(text, names)?.into_iter().map(|hole| (hole, Quote::Plain));
        Ok(Template::assemble(text, found).until_named(text, names, Template::parse))
    }

    /// Lets the text be parsed anew, by `parse`, when the columns of the items have got names, if they get any.
    pub(super) fn until_named(mut self, text: &[u8], names: &Names, parse: Parse) -> Template {
        if names.open && text.contains(&b'{') {
            self.late = Some(Late::new(text, names, parse));
        }
        self
    }

    /// Tells the template the names of the columns, which were read from a header.
    ///
    /// # Errors
    /// A placeholder that is probably misspelt, or a column that does not exist.
    pub fn name_columns(&self, columns: &[String]) -> Result<(), TextError> {
        self.late.as_ref().map_or(Ok(()), |late| late.name_columns(columns))
    }

    /// True if a header may name columns that the template has placeholders of.
    pub fn is_late(&self) -> bool {
        self.late.is_some()
    }

    /// Parses a text in which `replace` stands for the item, and braces mean nothing: `-I`.
    pub fn parse_replace(text: &[u8], replace: &[u8]) -> Template {
        let found = replacements(text, replace).into_iter().map(|hole| (hole, Quote::Plain));
        Template::assemble(text, found)
    }

    /// Returns a text without placeholders.
    pub fn literal(bytes: &[u8]) -> Template {
        Template { pieces: vec![Piece::Text(bytes.to_vec())], late: None }
    }

    /// Returns the parts of the template.
    pub fn pieces(&self) -> impl Iterator<Item = &Piece> {
        let (pieces, suffix) = match &self.late {
            Some(late) => match late.parsed() {
                Some(parsed) => (&parsed.pieces, late.suffix.as_slice()),
                None => (&self.pieces, &[][..]),
            },
            None => (&self.pieces, &[][..]),
        };
        pieces.iter().chain(suffix)
    }

    /// Adds a part at the end.
    pub fn push(&mut self, piece: Piece) {
        if let Some(late) = &mut self.late {
            late.suffix.push(piece.clone());
        }
        self.pieces.push(piece);
    }

    /// Makes a template of a text and the placeholders in it.
    pub(super) fn assemble<'a>(text: &[u8], found: impl Iterator<Item = (Hole<'a>, Quote)>) -> Template {
        let mut pieces = Vec::new();
        let mut run = Vec::new();
        let mut done = 0;
        for (hole, quote) in found {
            run.extend_from_slice(&text[done..hole.range.start]);
            done = hole.range.end;
            match hole.fill {
                Fill::Fixed(value) => quote.put(&value, &mut run),
                Fill::Args(args) => put_joined(args, quote, &mut run),
                Fill::PerTask { source, modifier, .. } => {
                    if !run.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut run)));
                    }
                    let spelling = text[hole.range].to_vec();
                    pieces.push(Piece::Placeholder(Placeholder { source, modifier, quote, spelling }));
                }
            }
        }
        run.extend_from_slice(&text[done..]);
        if !run.is_empty() {
            pieces.push(Piece::Text(run));
        }
        Template { pieces, late: None }
    }

    /// Returns the filled template. Several items are joined by blanks.
    pub fn rendered(&self, scope: &Scope) -> Vec<u8> {
        let mut out = Vec::new();
        self.render(scope, &mut out);
        out
    }

    /// Fills the template and appends it to `out`, as [`Template::rendered`].
    pub fn render(&self, scope: &Scope, out: &mut Vec<u8>) {
        self.render_each(scope, scope.items, out);
    }

    /// Fills the template as [`Template::render`] does, but its placeholders of each item stand for those of `chosen`.
    pub(super) fn render_each(&self, scope: &Scope, chosen: &[Item], out: &mut Vec<u8>) {
        let spelt = self.late.as_ref().is_some_and(|late| late.without_numbers);
        for piece in self.pieces() {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Placeholder(placeholder) if spelt && placeholder.source.is_number() => {
                    out.extend_from_slice(&placeholder.spelling);
                }
                Piece::Placeholder(placeholder) => placeholder.fill(scope, chosen, out),
            }
        }
    }

    /// Returns the placeholders, first to last.
    pub fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.pieces().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Placeholder(placeholder) => Some(placeholder),
        })
    }

    /// True if the template has a placeholder of the item: `{}`, a column, a name.
    pub fn uses_item(&self) -> bool {
        self.placeholders().any(|placeholder| placeholder.source.is_item())
    }

    /// True if the template differs from task to task: it has any placeholder.
    pub fn uses_task(&self) -> bool {
        self.placeholders().next().is_some()
    }

    /// True if the template has a placeholder, or may turn out to have one when columns get their names.
    pub fn may_use_task(&self) -> bool {
        self.is_late() || self.uses_task()
    }

    /// True if the template has a placeholder of the item, or may turn out to have one when columns get their names.
    pub fn may_use_item(&self) -> bool {
        self.is_late() || self.uses_item()
    }

    /// True if the template has another placeholder than a lock's value, so that the item need not be added to a command.
    pub fn says_where_item_goes(&self) -> bool {
        self.placeholders().any(|placeholder| !matches!(placeholder.source, Source::Lock(_)))
    }

    /// True if the template has a placeholder of a lock's value.
    pub fn uses_lock(&self) -> bool {
        self.placeholders().any(|placeholder| matches!(placeholder.source, Source::Lock(_)))
    }

    /// Returns the length without placeholders.
    pub(super) fn fixed_len(&self) -> usize {
        let text = |piece: &Piece| if let Piece::Text(text) = piece { text.len() } else { 0 };
        self.pieces().map(text).sum()
    }

    /// Replaces `{#}`, `{%}` and values of locks by their spelling.
    pub(super) fn without_numbers(&mut self) {
        if let Some(late) = &mut self.late {
            late.without_numbers = true;
        }
        for piece in &mut self.pieces {
            if let Piece::Placeholder(placeholder) = piece
                && placeholder.source.is_number()
            {
                *piece = Piece::Text(std::mem::take(&mut placeholder.spelling));
            }
        }
    }

    /// Makes `{1}` … `{columns}` empty, instead of their spelling, for tasks with fewer items.
    pub(super) fn blank_columns(&mut self, columns: usize) {
        if let Some(late) = &mut self.late {
            late.blank = columns;
        }
        for piece in &mut self.pieces {
            if let Piece::Placeholder(Placeholder { source: Source::Column(n), spelling, .. }) = piece
                && n.unsigned_abs() as usize <= columns
            {
                spelling.clear();
            }
        }
    }
}

impl Scope<'_> {
    /// True if `{2}` is the second item: in a batch of single values. In a batch of rows it is each item's second column.
    pub(super) fn columns_are_items(&self) -> bool {
        // All have to be single values: one short row does not make a list of a table.
        self.items.len() > 1 && self.names.len() < 2 && self.items.iter().all(|item| item.columns.len() == 1)
    }
}

impl Placeholder {
    /// Appends the value. `chosen`: the items that a placeholder of each item stands for.
    fn fill(&self, scope: &Scope, chosen: &[Item], out: &mut Vec<u8>) {
        match &self.source {
            Source::Seq => put_number(scope.seq, out),
            Source::Slot => put_number(scope.slot as u64, out),
            Source::Lock(name) => match scope.lock_values.iter().find(|value| *value.lock == **name) {
                Some(lock) => self.quote.put(self.modifier.apply(lock.value.as_bytes()), out),
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

    /// Returns the columns of an item that are meant. A column that has a name but is missing in a short row is empty.
    /// A column that does not exist is `None`, and no placeholder (`grep -E 'a{3}'`).
    fn values<'a>(&self, item: &'a Item, names: &[String]) -> Option<&'a [Vec<u8>]> {
        let columns = item.columns.as_slice();
        match &self.source {
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

    /// Appends values joined by blanks, modified and quoted as one.
    fn put(&self, row: &[Vec<u8>], out: &mut Vec<u8>) {
        if let [value] = row {
            return self.quote.put(self.modifier.apply(value), out);
        }
        // The values are joined at the end of `out` and taken away again, so that nothing is allocated.
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

/// Returns the index of the n-th of `len`, counted from 1, or from the end if negative.
fn index(n: i32, len: usize) -> Option<usize> {
    let distance = n.unsigned_abs() as usize;
    (1..=len).contains(&distance).then(|| if n > 0 { distance - 1 } else { len - distance })
}

#[cfg(test)]
mod tests;
