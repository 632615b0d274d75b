//! Items that are read from a file or a pipe: lines, or rows of a CSV file.

use std::sync::Arc;

use super::source;
use crate::flow::records::Splitter;
use crate::flow::table::Table;
use crate::os;
use crate::os::input::SharedInput;
use crate::plan::{Input, Item};

/// One chunk of a file or a pipe.
const CHUNK: usize = 64 << 10;
/// So much is read before it is wanted.
const AHEAD: usize = 256 << 10;
pub struct Stream {
    pub input: SharedInput,
    /// For messages.
    name: String,
    pub form: Form,
    chunk: Vec<u8>,
    /// Why it ended early; told after what was read before.
    failure: Option<String>,
    ended: bool,
}

pub enum Form {
    Records(Splitter),
    Table { table: Box<Table>, header: bool },
}

/// One item, or why there is none.
pub enum Next {
    Item(Option<Item>),
    Wait,
    End,
}

impl Stream {
    pub fn open(from: &Input, form: Form) -> Result<Box<Stream>, String> {
        let (name, opened) = source::open(from);
        let input = opened.and_then(SharedInput::new);
        let input = input
            .map_err(|error| format!("could not read items from {name}: {}", os::own::reason(&error)))?;
        Ok(Box::new(Stream { input, name, form, chunk: Vec::new(), failure: None, ended: false }))
    }

    /// The next item in place of an old one, if it is there: a record of one column.
    pub fn refill(&mut self, value: &mut Vec<u8>) -> bool {
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

    pub fn next(&mut self, names: &mut Arc<[String]>) -> Result<Next, String> {
        self.read_ahead();
        loop {
            if let Some(columns) = self.form.next() {
                if let Form::Table { header, .. } = &mut self.form
                    && std::mem::take(header)
                {
                    let name = |column: Vec<u8>| String::from_utf8_lossy(&column).trim().to_owned();
                    *names = columns.into_iter().map(name).collect();
                    continue;
                }
                return Ok(Next::Item(Some(Item { columns })));
            }
            if self.ended {
                return self.failure.take().map_or(Ok(Next::End), Err);
            }
            if !self.read() {
                return Ok(Next::Wait);
            }
        }
    }

    /// Reads a chunk; says whether there was one, or an end.
    fn read(&mut self) -> bool {
        self.chunk.resize(CHUNK, 0);
        match self.input.read_nowait(&mut self.chunk) {
            Ok(None) => return false,
            Ok(Some(count)) if count > 0 => {
                self.form.push(&self.chunk[..count]);
                return true;
            }
            Ok(_) => {}
            Err(error) => {
                let why = os::own::reason(&error);
                self.failure = Some(format!("could not read items from {}: {why}", self.name));
            }
        }
        self.ended = true;
        self.form.finish();
        true
    }
}

impl Form {
    fn push(&mut self, bytes: &[u8]) {
        match self {
            Form::Records(splitter) => splitter.push(bytes),
            Form::Table { table, .. } => table.push(bytes),
        }
    }

    /// Bytes that were read and not used.
    fn pending(&self) -> usize {
        match self {
            Form::Records(splitter) => splitter.pending(),
            Form::Table { table, .. } => table.pending(),
        }
    }

    /// Items that are left, once the end was read.
    pub fn left(&self) -> Option<u64> {
        match self {
            Form::Records(splitter) => splitter.left(),
            Form::Table { .. } => None,
        }
    }

    fn finish(&mut self) {
        match self {
            Form::Records(splitter) => splitter.end(),
            Form::Table { table, .. } => table.end(),
        }
    }

    fn next(&mut self) -> Option<Vec<Vec<u8>>> {
        match self {
            Form::Records(splitter) => splitter.next_record().map(|record| vec![record.to_vec()]),
            Form::Table { table, .. } => table.next_row(),
        }
    }
}
