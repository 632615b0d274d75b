//! Items that are read from a file or a pipe: lines, words, or rows of a table.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::flow::records::Splitter;
use crate::flow::table::Table;
use crate::flow::words::{Unmatched, Words};
use crate::os;
use crate::os::input::{Read, SharedInput};
use crate::plan::items::Next;
use crate::plan::{ColumnSeparator, Cut, Header, Item, Reading};
use crate::run::items;

/// One chunk of a file or a pipe.
const CHUNK: usize = 64 << 10;
/// So much is read before it is wanted.
const AHEAD: usize = 256 << 10;

pub struct Stream {
    input: SharedInput,
    /// For messages.
    name: String,
    form: Form,
    columns: Option<ColumnSeparator>,
    /// What is to be done with the first item; `No` behind it.
    header: Header,
    skip_empty: bool,
    chunk: Vec<u8>,
    /// Why it ended early; told after what was read before.
    failure: Option<String>,
    ended: bool,
}

enum Form {
    Records(Splitter),
    Words(Words),
    Table(Box<Table>),
}

impl Stream {
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

    /// What more can be read from.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.input.fd()
    }

    /// The next item in place of an old one, if it is there: a record of one column.
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

    /// More than the next item, as far as it is there: so the end, and with it the total, is known early.
    fn read_ahead(&mut self) {
        while !self.ended && self.form.pending() < AHEAD && self.read() {}
    }

    /// The next item. Names are those of the columns, if the first item has them.
    pub fn next(&mut self, names: &mut Arc<[String]>) -> Result<Next, String> {
        self.read_ahead();
        loop {
            match self.form.next(self.columns.as_ref()) {
                Some(Ok(columns)) if self.header != Header::No => {
                    *names = self.named(columns)?.into();
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

    /// The names that are in the first item.
    fn named(&mut self, columns: Vec<Vec<u8>>) -> Result<Vec<String>, String> {
        let name = |column: &Vec<u8>| String::from_utf8_lossy(column).trim().to_owned();
        let names: Vec<String> = columns.iter().map(name).collect();
        match (std::mem::replace(&mut self.header, Header::No), twice(&names)) {
            (Header::Strict, Some(name)) => Err(format!("two columns of {} are called `{name}`", self.name)),
            _ => Ok(names),
        }
    }

    /// Items that are left, once the end was read.
    pub fn left(&self) -> Option<u64> {
        match &self.form {
            Form::Records(splitter) if self.header == Header::No => splitter.left(),
            _ => None,
        }
    }

    /// Reads a chunk; says whether there was one, or an end.
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

/// The first name that is there twice.
pub fn twice(names: &[String]) -> Option<&String> {
    let mut seen = BTreeSet::new();
    names.iter().filter(|name| !name.is_empty()).find(|name| !seen.insert(name.as_str()))
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

    /// Bytes that were read and not used.
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

    fn next(&mut self, between: Option<&ColumnSeparator>) -> Option<Result<Vec<Vec<u8>>, String>> {
        let columns =
            |item: &[u8]| between.map_or_else(|| vec![item.to_vec()], |between| between.split(item));
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
