//! Items that are read from a file or a pipe: lines, words, or rows of a table.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::flow::records::Splitter;
use crate::flow::table::Table;
use crate::flow::words::{Unmatched, Words};
use crate::os;
use crate::os::input::{Read, SharedInput};
use crate::plan::items::Next;
use crate::plan::template::column_names;
use crate::plan::{ColumnSeparator, Cut, Header, Item, Reading};
use crate::run::items;

/// Bytes that are read by one call.
const CHUNK: usize = 64 << 10;
/// Bytes that are read before they are wanted, at most.
const AHEAD: usize = 256 << 10;

/// A file or a pipe that items are read from.
pub struct Stream {
    input: SharedInput,
    /// Its name in messages.
    name: String,
    form: Form,
    /// How an item is split into columns.
    columns: Option<ColumnSeparator>,
    /// Whether the first item names the columns; `No` once it was read.
    header: Header,
    skip_empty: bool,
    chunk: Vec<u8>,
    /// Why reading failed; reported after the items that were read before.
    failure: Option<String>,
    /// True once the end was read, or reading has failed.
    ended: bool,
}

/// How bytes are cut into items.
enum Form {
    Records(Splitter),
    Words(Words),
    Table(Box<Table>),
}

impl Stream {
    /// # Errors
    /// When the input can't be opened. For people.
    pub fn open(reading: &Reading) -> Result<Box<Stream>, String> {
        let (name, opened) = items::open(&reading.from);
        let input = opened.and_then(SharedInput::new);
        let input = input
            .map_err(|error| format!("could not read items from {name}: {}", os::errors::reason(&error)))?;
        Ok(Box::new(Stream {
            input,
            name,
            form: Form::new(reading),
            columns: reading.columns.clone(),
            header: reading.header,
            skip_empty: reading.skip_empty,
            chunk: Vec::new(),
            failure: None,
            ended: false,
        }))
    }

    /// Returns the descriptor that is readable when more can be read.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.input.fd()
    }

    /// Overwrites `value` with the next item, if that is a record of one column and has been read. Spares the memory
    /// for a new one.
    pub fn refill(&mut self, value: &mut Vec<u8>) -> bool {
        if self.columns.is_some() || self.header != Header::No {
            return false;
        }
        self.read_ahead();
        let Form::Records(splitter) = &mut self.form else { return false };
        let Some(record) = splitter.next_record() else { return false };
        value.clear();
        value.extend_from_slice(record);
        true
    }

    /// Reads more than the next item, as far as that needs no waiting: so the end, and with it the number of tasks, is
    /// known early.
    fn read_ahead(&mut self) {
        while !self.ended && self.form.pending() < AHEAD && self.read() {}
    }

    /// Returns the next item. Sets `names` if the first item names the columns.
    ///
    /// # Errors
    /// When the input can't be read, or its header is wrong. For people.
    pub fn next(&mut self, names: &mut Arc<[String]>) -> Result<Next, String> {
        self.read_ahead();
        loop {
            match self.form.next(self.columns.as_ref()) {
                Some(Ok(columns)) if self.header != Header::No => {
                    *names = self.read_header(columns)?.into();
                }
                Some(Ok(columns)) if self.skip_empty && columns == [b""] => {}
                Some(Ok(columns)) => return Ok(Next::Item(Some(Item { columns }))),
                Some(Err(why)) => {
                    self.ended = true;
                    self.failure = Some(format!("could not read items from {}: {why}", self.name));
                }
                None if self.ended && self.failure.is_none() && self.header == Header::Strict => {
                    self.header = Header::No;
                    return Err(format!(
                        "{} is empty, but `--header` takes names from its first item",
                        self.name
                    ));
                }
                None if self.ended => return self.failure.take().map_or(Ok(Next::End), Err),
                None => {
                    if !self.read() {
                        return Ok(Next::Wait);
                    }
                }
            }
        }
    }

    /// Returns the names that the first item gives the columns.
    fn read_header(&mut self, columns: Vec<Vec<u8>>) -> Result<Vec<String>, String> {
        // Some programs begin a file with a mark of its encoding.
        let name = |column: &Vec<u8>| {
            String::from_utf8_lossy(column).trim_start_matches('\u{feff}').trim().to_owned()
        };
        let names: Vec<String> = columns.iter().map(name).collect();
        self.header = Header::No;
        match column_names::check(&names) {
            Ok(()) => Ok(names),
            Err(why) => Err(format!("the header of {}: {why}", self.name)),
        }
    }

    /// Returns how many items are left, if the end was read.
    pub fn left(&self) -> Option<u64> {
        match &self.form {
            Form::Records(splitter) if self.header == Header::No => splitter.left(),
            _ => None,
        }
    }

    /// Reads a chunk. Returns `false` if nothing can be read now; the end is something.
    fn read(&mut self) -> bool {
        self.chunk.resize(CHUNK, 0);
        match self.input.read_nowait(&mut self.chunk) {
            Ok(Read::Empty) => return false,
            Ok(Read::Bytes(count)) => {
                self.form.push(&self.chunk[..count]);
                return true;
            }
            Ok(Read::End) => {}
            Err(error) => {
                let why = os::errors::reason(&error);
                self.failure = Some(format!("could not read items from {}: {why}", self.name));
            }
        }
        self.ended = true;
        self.form.end();
        true
    }
}

impl Form {
    fn new(reading: &Reading) -> Form {
        match reading.cut {
            Cut::At(separator) => Form::Records(Splitter::new(separator, reading.skip_empty)),
            Cut::Words => Form::Words(Words::default()),
            Cut::Csv(separator) => Form::Table(Box::new(Table::new(separator))),
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        match self {
            Form::Records(splitter) => splitter.push(bytes),
            Form::Words(words) => words.push(bytes),
            Form::Table(table) => table.push(bytes),
        }
    }

    /// Returns the number of bytes that were read and not used.
    fn pending(&self) -> usize {
        match self {
            Form::Records(splitter) => splitter.pending(),
            Form::Words(words) => words.pending(),
            Form::Table(table) => table.pending(),
        }
    }

    fn end(&mut self) {
        match self {
            Form::Records(splitter) => splitter.end(),
            Form::Words(words) => words.end(),
            Form::Table(table) => table.end(),
        }
    }

    fn next(&mut self, separator: Option<&ColumnSeparator>) -> Option<Result<Vec<Vec<u8>>, String>> {
        let columns =
            |item: &[u8]| separator.map_or_else(|| vec![item.to_vec()], |separator| separator.split(item));
        match self {
            Form::Records(splitter) => splitter.next_record().map(|record| Ok(columns(record))),
            Form::Words(words) => words.next_word().map(|word| match word {
                Ok(word) => Ok(columns(&word)),
                Err(Unmatched { quote, line }) => Err(format!("the {quote} in line {line} is not closed")),
            }),
            Form::Table(table) => table.next_row().map(Ok),
        }
    }
}
