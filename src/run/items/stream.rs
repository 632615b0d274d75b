//! Items that are read from a file or a pipe: lines, words, or rows of a table.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::cutter::ItemCutter;
use crate::os;
use crate::os::input::{Read, SharedInput};
use crate::plan::items::Next;
use crate::plan::template::column_names;
use crate::plan::{Bounds, Header, Item, Reading};
use crate::run::items;

/// Bytes that are read by one call.
const CHUNK: usize = 64 << 10;
/// Bytes that are read before they are wanted, at most.
const AHEAD: usize = 256 << 10;
/// Bytes that are read in one turn of the loop, at most, if no item ends among them.
const TURN: usize = 1 << 20;

/// A file or a pipe that items are read from.
pub struct Stream {
    input: SharedInput,
    /// Its name in messages.
    name: String,
    cutter: ItemCutter,
    /// Whether the first item names the columns; `No` once it was read.
    header: Header,
    skip_empty: bool,
    chunk: Vec<u8>,
    nul: NulBytes,
    /// Told once, with the items.
    warning: Option<String>,
    /// Why reading failed; reported after the items that were read before.
    failure: Option<String>,
    /// True once the end was read, or reading has failed.
    ended: bool,
    /// True if reading has failed, perhaps within an item.
    broke_off: bool,
}

/// NUL bytes among items that are not separated by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NulBytes {
    /// They may be there, or people have been told.
    Ignored,
    /// Nothing was read so far. In the first block they show a mistake of which no task should come.
    Refused,
    /// They make the tasks fail whose items hold them, and people are told once.
    Told,
}

const NUL_HINT: &str = "no argument can hold: do they separate the items (`-0`, in a job file `nul = true`)?";

impl Stream {
    /// # Errors
    /// When the input can't be opened. For people.
    pub fn open(reading: &Reading, bounds: Bounds) -> Result<Box<Stream>, String> {
        let (name, opened) = items::open(&reading.from);
        let input = opened.and_then(SharedInput::new);
        let input = input
            .map_err(|error| format!("could not read items from {name}: {}", os::errors::reason(&error)))?;
        let cutter = ItemCutter::new(reading, bounds);
        let nul = if cutter.refuses_nul() { NulBytes::Refused } else { NulBytes::Ignored };
        Ok(Box::new(Stream {
            input,
            name,
            cutter,
            header: reading.header,
            skip_empty: reading.skip_empty,
            chunk: Vec::new(),
            nul,
            warning: None,
            failure: None,
            ended: false,
            broke_off: false,
        }))
    }

    /// Returns the descriptor that is readable when more can be read.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.input.fd()
    }

    /// Overwrites `value` with the next item, if that is a record of one column and has been read. Spares the memory
    /// for a new one.
    pub fn refill(&mut self, value: &mut Vec<u8>) -> bool {
        if self.header != Header::No {
            return false;
        }
        self.read_ahead();
        self.cutter.refill(value)
    }

    /// Reads more than the next item, as far as that needs no waiting: so the end, and with it the number of tasks, is
    /// known early. Bytes of an item that is too long are not kept, so what is pending alone is no bound.
    fn read_ahead(&mut self) {
        let mut reads = TURN / CHUNK;
        while reads > 0 && !self.ended && self.cutter.pending() < AHEAD && self.read() {
            reads -= 1;
        }
    }

    /// Returns the next item. Sets `names` if the first item names the columns.
    ///
    /// # Errors
    /// When the input can't be read, or its header is wrong. For people.
    pub fn next(&mut self, names: &mut Arc<[String]>) -> Result<Next, String> {
        self.read_ahead();
        let mut reads = TURN / CHUNK;
        loop {
            match self.cutter.next_item() {
                Some(Ok(item)) if self.header != Header::No => {
                    *names = self.read_header(item)?.into();
                }
                Some(Ok(item)) if self.skip_empty && item.columns == [b""] => {}
                Some(Ok(item)) => return Ok(Next::Item(Some(item))),
                Some(Err(why)) => self.fail(&why),
                None if self.ended && self.failure.is_none() && self.header == Header::Strict => {
                    self.header = Header::No;
                    return Err(format!(
                        "{} is empty, but `--header` takes names from its first item",
                        self.name
                    ));
                }
                None if self.ended => return self.take_failure().map_or(Ok(Next::End), Err),
                None if reads == 0 => return Ok(Next::Again),
                None => {
                    if !self.read() {
                        return Ok(Next::Wait);
                    }
                    reads -= 1;
                }
            }
        }
    }

    /// Returns the names that the first item gives the columns.
    fn read_header(&mut self, item: Item) -> Result<Vec<String>, String> {
        self.cutter.count = 0;
        if let Some(oversize) = item.oversize {
            return Err(format!("the header of {} is too long: {} bytes", self.name, oversize.size));
        }
        // Some programs begin a file with a mark of its encoding.
        let name = |column: &Vec<u8>| {
            String::from_utf8_lossy(column).trim_start_matches('\u{feff}').trim().to_owned()
        };
        let names: Vec<String> = item.columns.iter().map(name).collect();
        self.header = Header::No;
        match column_names::check(&names) {
            Ok(()) => Ok(names),
            Err(why) => Err(format!("the header of {}: {why}", self.name)),
        }
    }

    /// Returns how many items are left, if the end was read.
    pub fn left(&self) -> Option<u64> {
        self.cutter.left().filter(|_| self.header == Header::No)
    }

    /// Returns what people should know of the items that were read, once.
    pub fn take_warning(&mut self) -> Option<String> {
        self.warning.take()
    }

    /// Reads a chunk. Returns `false` if nothing can be read now; the end is something.
    fn read(&mut self) -> bool {
        self.chunk.clear();
        match self.input.append_nowait(&mut self.chunk, CHUNK) {
            Ok(Read::Empty) => return false,
            Ok(Read::Bytes(count)) => {
                if self.look_for_nul(count) {
                    return true;
                }
                let pushed = self.cutter.push(&self.chunk[..count]);
                let why = pushed.err().map(|why| why.to_string()).or_else(|| self.cutter.endless());
                if let Some(why) = why {
                    self.cutter.break_off();
                    self.fail(&why);
                }
                return true;
            }
            Ok(Read::End) => {
                self.ended = true;
                self.cutter.end();
            }
            Err(error) => {
                let why = os::errors::reason(&error);
                self.cutter.break_off();
                self.broke_off = true;
                self.fail(&why);
            }
        }
        true
    }

    /// Looks for NUL bytes in what was read. Returns true if nothing more is read because of them.
    fn look_for_nul(&mut self, count: usize) -> bool {
        if self.nul == NulBytes::Ignored {
            return false;
        }
        let is_first = self.nul == NulBytes::Refused;
        self.nul = NulBytes::Told;
        if memchr::memchr(0, &self.chunk[..count]).is_none() {
            return false;
        }
        self.nul = NulBytes::Ignored;
        if is_first {
            self.cutter.break_off();
            self.fail(&format!("it holds NUL bytes, which {NUL_HINT}"));
        } else {
            self.warning = Some(format!("items of {} hold NUL bytes, which {NUL_HINT}", self.name));
        }
        is_first
    }

    fn take_failure(&mut self) -> Option<String> {
        let why = self.failure.take()?;
        let is_within_item = self.broke_off && self.cutter.is_within_item();
        Some(if is_within_item { format!("{why}; the item that had not ended is dropped") } else { why })
    }

    /// Ends reading for this reason.
    fn fail(&mut self, why: &str) {
        self.ended = true;
        self.failure = Some(format!("could not read items from {}: {why}", self.name));
    }
}
