//! Where items come from: memory, a glob, a file or pipe, or several of these joined.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::plan::items::{self, ItemIter, Joiner, Next, Uneven};
use crate::plan::{Item, ItemList, Items, Join};
use crate::run::items::glob::Paths;
use crate::run::items::stream::{Stream, twice};

/// Gives items one by one.
pub enum Reader {
    /// In memory, or counted out.
    Memory(ItemIter),
    Glob(Paths),
    Stream(Box<Stream>),
    Joined(Box<Joined>),
}

impl Reader {
    pub fn open(items: &Items) -> Result<Reader, String> {
        Ok(match (items, ItemIter::new(items)) {
            (_, Some(iter)) => Reader::Memory(iter),
            (Items::Glob { pattern, base }, None) => Reader::Glob(Paths::open(pattern, base)?),
            (Items::Read(reading), None) => Reader::Stream(Stream::open(reading)?),
            (Items::Join { how, names, sources }, None) => {
                Reader::Joined(Box::new(Joined::open(*how, names, sources)?))
            }
            (other, None) => return Err(format!("items can't be read from {other:?}")),
        })
    }

    /// What has to be readable before there is more.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Reader::Memory(_) | Reader::Glob(_) => None,
            Reader::Stream(stream) => Some(stream.fd()),
            Reader::Joined(joined) => joined.waits_for().fd(),
        }
    }

    /// Names are those of the columns, as soon as they are known.
    pub fn next(&mut self, names: &mut Arc<[String]>) -> Result<Next, String> {
        match self {
            Reader::Memory(iter) => Ok(iter.next().map_or(Next::End, Next::Item)),
            Reader::Glob(paths) => Ok(paths.next_path()?.map_or(Next::End, |item| Next::Item(Some(item)))),
            Reader::Stream(stream) => stream.next(names),
            Reader::Joined(joined) => joined.next(names),
        }
    }
}

/// Rows of several sources.
pub struct Joined {
    how: Join,
    /// What the columns are called, if the sources don't say it.
    given_names: Vec<String>,
    /// Given on item by item, as they come.
    first: Named,
    /// The others, as far as they are in memory.
    others: Vec<Items>,
    /// Those that are not, last to first, each with its place among the others. They are read to their ends before
    /// the first row.
    unread: Vec<(usize, Named, Vec<Item>)>,
    /// There when all others are read.
    joiner: Option<Joiner>,
    named: bool,
}

/// So many items are read into memory, then the loop looks at signals and what else there is.
const AT_ONCE: usize = 10_000;

impl Joined {
    fn open(how: Join, names: &[String], sources: &[Items]) -> Result<Joined, String> {
        let (first, others) = sources.split_first().ok_or("no sources of items")?;
        let first = Named::open(first)?;
        let mut unread = Vec::new();
        for (place, items) in others.iter().enumerate().rev() {
            if ItemIter::new(items).is_none() {
                unread.push((place, Named::open(items)?, Vec::new()));
            }
        }
        let (given_names, others) = (names.to_vec(), others.to_vec());
        Ok(Joined { how, given_names, first, others, unread, joiner: None, named: false })
    }

    /// What the next row needs.
    fn waits_for(&self) -> &Reader {
        self.unread.last().map_or(&self.first.reader, |(_, source, _)| &source.reader)
    }

    fn next(&mut self, names: &mut Arc<[String]>) -> Result<Next, String> {
        if let Some((place, source, items)) = self.unread.last_mut() {
            for _ in 0..AT_ONCE {
                match source.next()? {
                    Next::Item(item) => items.push(item.unwrap_or_default()),
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
        if let Next::Item(_) = next
            && !std::mem::replace(&mut self.named, true)
        {
            *names = self.names()?;
        }
        match uneven {
            Some(uneven) => Err(self.why_uneven(uneven)),
            None => Ok(next),
        }
    }

    fn why_uneven(&self, Uneven { ended, longer, rows }: Uneven) -> String {
        let name = |source: usize| self.given_names.get(source).map_or("one", String::as_str);
        let (ended, longer) = (name(ended), name(longer));
        let values = if rows == 1 { "value" } else { "values" };
        format!(
            "`zip` takes as many values of each source: `{ended}` ended after {rows} {values}, `{longer}` has more"
        )
    }

    /// Those of all sources.
    fn names(&self) -> Result<Arc<[String]>, String> {
        if !self.given_names.is_empty() {
            return Ok(self.given_names.as_slice().into());
        }
        let mut names = self.first.names.to_vec();
        if names.is_empty() && self.others.iter().all(|items| items::column_names(items).is_empty()) {
            return Ok(Arc::default());
        }
        names.extend(self.others.iter().flat_map(items::padded_names));
        match twice(&names) {
            Some(name) => Err(format!("two columns are called `{name}`")),
            None => Ok(names.into()),
        }
    }
}

/// A source among several. Where its columns have names, each item has as many columns, so that those of the next
/// source are in their places.
struct Named {
    reader: Reader,
    names: Arc<[String]>,
}

impl Named {
    fn open(items: &Items) -> Result<Named, String> {
        Ok(Named { reader: Reader::open(items)?, names: items::column_names(items).into() })
    }

    fn next(&mut self) -> Result<Next, String> {
        let mut next = self.reader.next(&mut self.names)?;
        if let Next::Item(Some(item)) = &mut next {
            items::fit(item, &self.names)?;
        }
        Ok(next)
    }
}
