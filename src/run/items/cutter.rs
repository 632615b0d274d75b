//! Bytes of a stream become items: they are cut into records, words or rows, and these into columns.

use crate::flow::long::{OutOfMemory, TooLong};
use crate::flow::records::{Record, Splitter};
use crate::flow::table::{AnyRow, OpenQuote, Table};
use crate::flow::words::{Unmatched, Word, Words};
use crate::plan::{Bound, Bounds, ColumnSeparator, Cut, Item, Oversize, Reading};

/// Cuts what is pushed into items.
pub struct ItemCutter {
    form: Form,
    /// The byte that ends an item; `None` if it is no single one.
    separator: Option<u8>,
    /// The separator of an item's columns.
    columns: Option<ColumnSeparator>,
    bounds: Bounds,
    /// The number of items so far.
    pub count: u64,
}

/// The form of the input.
enum Form {
    Records(Splitter),
    Words(Words),
    Table(Box<Table>),
}

/// The next item, before it is cut into columns.
enum Piece<'a> {
    Bytes(&'a [u8]),
    Owned(Vec<u8>),
    Row(Vec<Vec<u8>>),
    TooLong(TooLong),
}

impl ItemCutter {
    pub fn new(reading: &Reading, bounds: Bounds) -> ItemCutter {
        let most = if reading.columns.is_some() { bounds.row } else { bounds.value };
        let (form, separator) = match reading.cut {
            Cut::At(separator) => {
                (Form::Records(Splitter::new(separator, reading.skip_empty, most)), Some(separator))
            }
            Cut::Words => (Form::Words(Words::new(most)), None),
            Cut::Csv(separator) => (Form::Table(Box::new(Table::new(separator, bounds.row))), None),
        };
        ItemCutter { form, separator, columns: reading.columns.clone(), bounds, count: 0 }
    }

    /// # Errors
    /// When there is no memory for the bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), OutOfMemory> {
        match &mut self.form {
            Form::Records(splitter) => splitter.push(bytes),
            Form::Words(words) => words.push(bytes),
            Form::Table(table) => table.push(bytes),
        }
    }

    /// Returns the number of bytes that were pushed and not used.
    pub fn pending(&self) -> usize {
        match &self.form {
            Form::Records(splitter) => splitter.pending(),
            Form::Words(words) => words.pending(),
            Form::Table(table) => table.pending(),
        }
    }

    pub fn end(&mut self) {
        match &mut self.form {
            Form::Records(splitter) => splitter.end(),
            Form::Words(words) => words.end(),
            Form::Table(table) => table.end(),
        }
    }

    /// Ends a stream that broke off: an item whose end has not come is dropped.
    pub fn break_off(&mut self) {
        match &mut self.form {
            Form::Records(splitter) => splitter.break_off(),
            Form::Words(words) => words.break_off(),
            Form::Table(table) => table.break_off(),
        }
    }

    /// Returns the reason to end reading, if the next item has had no end for too long.
    pub fn endless(&mut self) -> Option<String> {
        let skipped = match &self.form {
            Form::Records(splitter) => splitter.skipped(),
            Form::Words(words) => words.skipped(),
            Form::Table(table) => table.skipped(),
        };
        let size = skipped.filter(|size| *size >= self.bounds.end)?;
        let quote = match &mut self.form {
            Form::Records(_) => None,
            Form::Words(words) => words.open_quote().map(|quote| not_closed(&quote)),
            Form::Table(table) => table.end_within_quote().map(|quote| never_closed(&quote)),
        };
        let number = self.count + 1;
        let end = quote.unwrap_or_else(|| match self.separator {
            Some(b'\n') => "there is no newline".to_owned(),
            Some(0) => "there is no NUL byte".to_owned(),
            Some(other) => format!("there is no `{}`", other.escape_ascii()),
            None => "it has no end".to_owned(),
        });
        Some(format!(
            "{end} in the first {size} bytes of item {number}: do NUL bytes separate the items (`-0`, in a job file \
             `nul = true`), or something else (`-d`)?"
        ))
    }

    /// True for lines that become arguments: NUL bytes among them can only be a mistake.
    pub fn refuses_nul(&self) -> bool {
        self.bounds.is_argument && self.columns.is_none() && self.separator == Some(b'\n')
    }

    /// Overwrites `value` with the next item, if that is a record of one column and has been read.
    pub fn refill(&mut self, value: &mut Vec<u8>) -> bool {
        if self.columns.is_some() {
            return false;
        }
        let Form::Records(splitter) = &mut self.form else { return false };
        let Some(record) = splitter.next_short() else { return false };
        value.clear();
        value.extend_from_slice(record);
        self.count += 1;
        true
    }

    /// Returns the next item. `None` until more is pushed, and always after the last item or an error.
    ///
    /// # Errors
    /// When a quote is not closed. For people.
    pub fn next_item(&mut self) -> Option<Result<Item, String>> {
        let piece = match &mut self.form {
            Form::Records(splitter) => match splitter.next_record()? {
                Record::Short(bytes) => Piece::Bytes(bytes),
                Record::Long(bytes) => Piece::Owned(bytes),
                Record::TooLong(record) => Piece::TooLong(record),
            },
            Form::Words(words) => match words.next_word()? {
                Ok(Word::Whole(word)) => Piece::Owned(word),
                Ok(Word::TooLong(word)) => Piece::TooLong(word),
                Err(quote) => return Some(Err(not_closed(&quote))),
            },
            Form::Table(table) => match table.next_row()? {
                Ok(AnyRow::Whole(row)) => Piece::Row(row),
                Ok(AnyRow::TooLong(row)) => Piece::TooLong(row),
                Err(quote) => return Some(Err(never_closed(&quote))),
            },
        };
        self.count += 1;
        let columns = match (piece, &self.columns) {
            (Piece::Row(columns), _) => columns,
            (Piece::Bytes(bytes), Some(separator)) => separator.split(bytes),
            (Piece::Owned(bytes), Some(separator)) => separator.split(&bytes),
            (Piece::Bytes(bytes), None) => vec![bytes.to_vec()],
            (Piece::Owned(bytes), None) => vec![bytes],
            (Piece::TooLong(TooLong { beginning, size }), separator) => {
                let is_row = separator.is_some() || matches!(self.form, Form::Table(_));
                let most = if is_row { self.bounds.row } else { self.bounds.value };
                let bound = if self.bounds.is_argument { Bound::Argument } else { Bound::Record };
                let oversize = Oversize { number: self.count, size, most, bound };
                return Some(Ok(Item { columns: vec![beginning], oversize: Some(Box::new(oversize)) }));
            }
        };
        Some(Ok(Item::new(columns)))
    }

    /// True if an item has begun of which the end has not come.
    pub fn is_within_item(&self) -> bool {
        match &self.form {
            Form::Records(splitter) => splitter.is_cut_off(),
            Form::Words(words) => words.is_within_word(),
            Form::Table(table) => table.is_within_row(),
        }
    }

    /// Returns how many items are left, if the end was read.
    pub fn left(&self) -> Option<u64> {
        match &self.form {
            Form::Records(splitter) => splitter.left(),
            _ => None,
        }
    }
}

fn not_closed(Unmatched { quote, line }: &Unmatched) -> String {
    format!("the {quote} in line {line} is not closed")
}

fn never_closed(OpenQuote { line }: &OpenQuote) -> String {
    format!("the quote that begins in line {line} is never closed")
}
