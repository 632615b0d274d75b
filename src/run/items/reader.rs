//! Readers, which give items one by one: from memory, a glob, a file or pipe, or several of these joined.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::event::StartFailure;
use crate::plan::items::{self, ItemIter, Joiner, Next, Uneven};
use crate::plan::template::column_names;
use crate::plan::{Bounds, Item, ItemList, Items, Join};
use crate::run::items::glob::Paths;
use crate::run::items::stream::Stream;
use crate::run::items::unread;

/// A reader of items.
pub enum Reader {
    /// A list in memory, or a range of numbers.
    Memory(ItemIter),
    Glob(Box<Paths>),
    Stream(Box<Stream>),
    Joined(Box<Joined>),
}

impl Reader {
    /// # Errors
    /// When an input can't be opened, or a pattern is wrong. For people.
    pub fn open(items: &Items, bounds: Bounds) -> Result<Reader, String> {
        Ok(match (items, ItemIter::new(items)) {
            (_, Some(iter)) => Reader::Memory(iter),
            (Items::Glob { pattern, base }, None) => Reader::Glob(Box::new(Paths::open(pattern, base)?)),
            (Items::Read(reading), None) => Reader::Stream(Stream::open(reading, bounds)?),
            (Items::Join { how, names, sources }, None) => {
                Reader::Joined(Box::new(Joined::open(*how, names, sources, bounds)?))
            }
            (other, None) => return Err(format!("items can't be read from {other:?}")),
        })
    }

    /// Returns the descriptor that is readable when more can be read; `None` if reading never waits.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Reader::Memory(_) | Reader::Glob(_) => None,
            Reader::Stream(stream) => Some(stream.fd()),
            Reader::Joined(joined) => joined.next_to_read().fd(),
        }
    }

    /// Returns what people should know of the items that were read, once.
    pub fn take_warning(&mut self) -> Option<String> {
        match self {
            Reader::Memory(_) => None,
            Reader::Glob(paths) => paths.take_warning(),
            Reader::Stream(stream) => stream.take_warning(),
            Reader::Joined(joined) => joined.reader_to_read().take_warning(),
        }
    }

    /// Returns the next item. Sets `names` to those of the columns as soon as they are known.
    ///
    /// # Errors
    /// When the source can't be read, or its items don't fit together. For people.
    pub fn next(&mut self, names: &mut Arc<[String]>) -> Result<Next, StartFailure> {
        match self {
            Reader::Memory(iter) => Ok(iter.next().map_or(Next::End, Next::Item)),
            Reader::Glob(paths) => paths.next_path(),
            Reader::Stream(stream) => stream.next(names).map_err(unread),
            Reader::Joined(joined) => joined.next(names),
        }
    }
}

/// Several sources, joined row by row. Only the first is read as its items are wanted; all others are read into memory
/// before the first row.
pub struct Joined {
    how: Join,
    /// The names of the columns, if they do not come from the sources.
    given_names: Vec<String>,
    first: NamedSource,
    /// The other sources, as far as they are in memory.
    others: Vec<Items>,
    /// The other sources that are not in memory yet, last to first.
    unread: Vec<Unread>,
    /// Set when all others are in memory.
    joiner: Option<Joiner>,
    /// True once the names of the columns were set.
    named: bool,
}

/// A source that is being read into memory.
struct Unread {
    /// Its index among the others.
    place: usize,
    source: NamedSource,
    items: Vec<Item>,
}

/// Items, and their bytes, that are read in one turn of the loop, so that signals are not kept waiting.
const ITEMS_IN_ONE_TURN: usize = 10_000;
const BYTES_IN_ONE_TURN: usize = 4 << 20;

/// Counts what is read in one turn of the loop.
#[derive(Debug, Default)]
pub struct Turn {
    items: usize,
    bytes: usize,
}

impl Turn {
    pub fn goes_on(&self) -> bool {
        self.items < ITEMS_IN_ONE_TURN && self.bytes < BYTES_IN_ONE_TURN
    }

    pub fn count(&mut self, item: &Item) {
        self.items += 1;
        self.bytes += item.columns.iter().map(Vec::len).sum::<usize>();
    }
}

impl Joined {
    fn open(how: Join, names: &[String], sources: &[Items], bounds: Bounds) -> Result<Joined, String> {
        let (first, others) = sources.split_first().ok_or("no sources of items")?;
        let first = NamedSource::open(first, bounds)?;
        let mut unread = Vec::new();
        for (place, items) in others.iter().enumerate().rev() {
            if ItemIter::new(items).is_none() {
                unread.push(Unread { place, source: NamedSource::open(items, bounds)?, items: Vec::new() });
            }
        }
        let (given_names, others) = (names.to_vec(), others.to_vec());
        Ok(Joined { how, given_names, first, others, unread, joiner: None, named: false })
    }

    /// Returns the reader that the next row needs.
    fn next_to_read(&self) -> &Reader {
        self.unread.last().map_or(&self.first.reader, |unread| &unread.source.reader)
    }

    fn reader_to_read(&mut self) -> &mut Reader {
        self.unread.last_mut().map_or(&mut self.first.reader, |unread| &mut unread.source.reader)
    }

    fn next(&mut self, names: &mut Arc<[String]>) -> Result<Next, StartFailure> {
        if let Some(Unread { place, source, items }) = self.unread.last_mut() {
            let mut turn = Turn::default();
            while turn.goes_on() {
                match source.next()? {
                    Next::Item(item) => {
                        let item = item.unwrap_or_default();
                        turn.count(&item);
                        items.try_reserve(1).map_err(|_| no_memory())?;
                        items.push(item);
                    }
                    Next::End => {
                        let list = ItemList { items: std::mem::take(items), names: source.names.to_vec() };
                        self.others[*place] = Items::List(Arc::new(list));
                        self.unread.pop();
                        break;
                    }
                    other => return Ok(other),
                }
            }
            return Ok(Next::Again);
        }
        if self.joiner.is_none() {
            self.joiner = Joiner::new(self.how, &self.others);
        }
        let Some(joiner) = &mut self.joiner else { return Ok(Next::End) };
        let next = joiner.next(&mut || self.first.next())?;
        let uneven = joiner.uneven();
        // The header of the first source may be there before its first item.
        let are_known = matches!(next, Next::Item(_) | Next::End) || !self.first.names.is_empty();
        if are_known && !std::mem::replace(&mut self.named, true) {
            *names = self.names().map_err(unread)?;
        }
        match uneven {
            Some(uneven) => Err(self.why_uneven(uneven)),
            None => Ok(next),
        }
    }

    fn why_uneven(&self, Uneven { ended, longer, rows }: Uneven) -> StartFailure {
        let name = |source: usize| self.given_names.get(source).map_or("one", String::as_str);
        let (ended, longer) = (name(ended), name(longer));
        let values = if rows == 1 { "value" } else { "values" };
        let why = format!(
            "`zip` takes as many values of each source: `{ended}` ended after {rows} {values}, `{longer}` has more"
        );
        // They were read; it is the job that can't be run over them.
        StartFailure { code: 126, why }
    }

    /// Returns the names of the columns of all sources.
    fn names(&self) -> Result<Arc<[String]>, String> {
        if !self.given_names.is_empty() {
            return Ok(self.given_names.as_slice().into());
        }
        let mut names = self.first.names.to_vec();
        if names.is_empty() && self.others.iter().all(|items| items::column_names(items).is_empty()) {
            return Ok(Arc::default());
        }
        names.extend(self.others.iter().flat_map(items::padded_names));
        column_names::check(&names)?;
        Ok(names.into())
    }
}

fn no_memory() -> StartFailure {
    unread("there is no memory for more items".to_owned())
}

/// A source among several. Where its columns have names, each item is made to have as many columns, so that those of
/// the next source are in their places.
struct NamedSource {
    reader: Reader,
    names: Arc<[String]>,
}

impl NamedSource {
    fn open(items: &Items, bounds: Bounds) -> Result<NamedSource, String> {
        Ok(NamedSource { reader: Reader::open(items, bounds)?, names: items::column_names(items).into() })
    }

    fn next(&mut self) -> Result<Next, StartFailure> {
        let mut next = self.reader.next(&mut self.names)?;
        if let Next::Item(Some(item)) = &mut next {
            items::fit(item, &self.names).map_err(unread)?;
        }
        Ok(next)
    }
}
