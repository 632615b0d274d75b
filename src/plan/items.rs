//! Iterating over items that are in memory or are counted. They are made one by one, so that a million items cost no
//! memory. Pure.

use std::convert::Infallible;
use std::sync::Arc;

use super::{Batch, Item, ItemList, Items, Job, Join, Plan, Seq};

mod join;
mod seq;

pub use join::{Joiner, Uneven};

/// An iterator over a job's items, one for each task (before they are put into batches); `None` is a task without an
/// item.
#[derive(Debug, Clone)]
pub struct ItemIter(State);

#[derive(Debug, Clone)]
enum State {
    /// This many more tasks without an item.
    NoItems(u64),
    List {
        list: Arc<ItemList>,
        next: usize,
    },
    Seq {
        seq: Seq,
        next: u64,
        count: u64,
    },
    Join {
        first: Box<ItemIter>,
        joiner: Joiner,
    },
}

/// The answer of a source that may have to be waited for.
#[derive(Debug)]
pub enum Next {
    /// An item, or `None` for a task without one.
    Item(Option<Item>),
    /// There is nothing now. An event will tell when there is.
    Wait,
    /// The source has worked long enough for one turn of the event loop. Ask it again in the next one.
    Again,
    End,
}

impl ItemIter {
    /// Returns `None` if the items have to be read from a file, a queue or another job.
    pub fn new(items: &Items) -> Option<ItemIter> {
        let state = match items {
            Items::None => State::NoItems(1),
            Items::Repeat(count) => State::NoItems(*count),
            Items::List(list) => State::List { list: Arc::clone(list), next: 0 },
            Items::Seq(seq) => State::Seq { seq: seq.clone(), next: 0, count: seq.count() },
            Items::Join { how, sources, .. } => match sources.split_first() {
                None => State::NoItems(0),
                Some((first, others)) => {
                    let joiner = Joiner::new(*how, others)?;
                    State::Join { first: Box::new(ItemIter::new(first)?), joiner }
                }
            },
            Items::Read(_) | Items::Glob { .. } | Items::Queue { .. } | Items::Of(_) => return None,
        };
        Some(ItemIter(state))
    }
}

impl Iterator for ItemIter {
    type Item = Option<Item>;

    fn next(&mut self) -> Option<Option<Item>> {
        match &mut self.0 {
            State::NoItems(remaining) => {
                *remaining = remaining.checked_sub(1)?;
                Some(None)
            }
            State::List { list, next } => {
                let item = list.items.get(*next)?.clone();
                *next += 1;
                Some(Some(item))
            }
            State::Seq { seq, next, count } => {
                (*next < *count).then_some(())?;
                let number = seq.number(*next);
                *next += 1;
                Some(Some(Item::new(vec![number.into_bytes()])))
            }
            State::Join { first, joiner } => {
                let mut first = || Ok::<_, Infallible>(first.next().map_or(Next::End, Next::Item));
                match joiner.next(&mut first) {
                    Ok(Next::Item(item)) => Some(item),
                    _ => None,
                }
            }
        }
    }
}

/// Returns the number of a job's tasks, if it is known before anything is read.
pub fn known_tasks(plan: &Plan, job: &Job) -> Option<u64> {
    if let Some(only) = &job.only {
        // By an item, several tasks may be named, or one that has a number as well.
        return only.items.is_empty().then_some(only.numbers.len() as u64);
    }
    let mut job = job;
    while let Items::Of(before) = job.items {
        job = &plan.jobs[before];
    }
    known_total(&job.items, &job.batch)
}

/// Returns the number of tasks for these items, if it is known before anything is read.
pub fn known_total(items: &Items, batch: &Batch) -> Option<u64> {
    let count = count(items)?;
    match (items, batch) {
        (Items::None | Items::Repeat(_), _) | (_, Batch::One) => Some(count),
        (_, Batch::UpTo(most)) => Some(count.div_ceil(*most as u64)),
        (_, Batch::Fit) => (count < 2).then_some(count),
    }
}

/// Returns the number of items, or of tasks without items, if it is known before anything is read.
fn count(items: &Items) -> Option<u64> {
    match items {
        Items::None => Some(1),
        Items::Repeat(count) => Some(*count),
        Items::List(list) => Some(list.items.len() as u64),
        Items::Seq(seq) => Some(seq.count()),
        Items::Join { how, sources, .. } => {
            let counts = sources.iter().map(count).collect::<Option<Vec<u64>>>()?;
            let shortest = counts.iter().min().copied().unwrap_or(0);
            match how {
                _ if shortest == 0 => Some(0),
                Join::Product => counts.into_iter().try_fold(1, u64::checked_mul),
                Join::Zip | Join::Even => Some(shortest),
                Join::Link => counts.into_iter().max(),
            }
        }
        Items::Read(_) | Items::Glob { .. } | Items::Queue { .. } | Items::Of(_) => None,
    }
}

/// Returns the names of the columns, as far as they are known before anything is read; "" for a column without one.
pub fn column_names(items: &Items) -> Vec<String> {
    match items {
        Items::List(list) => list.names.clone(),
        Items::Join { names, .. } if !names.is_empty() => names.clone(),
        Items::Join { sources, .. } if sources.iter().any(|source| !column_names(source).is_empty()) => {
            sources.iter().flat_map(padded_names).collect()
        }
        _ => Vec::new(),
    }
}

/// Extends an item to the number of its source's names, so that the columns of another source can follow.
///
/// # Errors
/// An item with more columns than names.
pub fn fit(item: &mut Item, names: &[String]) -> Result<(), String> {
    if names.is_empty() {
        return Ok(());
    }
    if item.columns.len() > names.len() {
        let row = String::from_utf8_lossy(&item.columns.join(&b' ')).into_owned();
        return Err(format!("the row `{row}` has more columns than the header of its source"));
    }
    item.columns.resize(names.len(), Vec::new());
    Ok(())
}

/// Returns a name for each column of the source; "" for a column without one.
pub fn padded_names(source: &Items) -> Vec<String> {
    let mut names = column_names(source);
    let columns = match source {
        Items::List(list) => list.items.first().map_or(0, |item| item.columns.len()),
        Items::Join { sources, .. } => sources.iter().map(|source| padded_names(source).len()).sum(),
        _ => 1,
    };
    names.resize(columns.max(names.len()), String::new());
    names
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn list(words: &[&str]) -> Items {
        let items = words.iter().map(|word| Item::new(vec![word.as_bytes().to_vec()])).collect();
        Items::List(Arc::new(ItemList { items, names: Vec::new() }))
    }

    pub fn all(items: &Items) -> Vec<String> {
        let text = |item: Item| String::from_utf8(item.columns.join(&b' ')).unwrap();
        ItemIter::new(items).unwrap().map(|item| item.map_or("-".to_owned(), text)).collect()
    }

    #[test]
    fn tasks_without_items() {
        assert_eq!(all(&Items::None), ["-"]);
        assert_eq!(all(&Items::Repeat(3)), ["-", "-", "-"]);
        assert_eq!(known_total(&Items::Repeat(3), &Batch::UpTo(2)), Some(3));
    }

    #[test]
    fn names_keep_to_their_columns() {
        let row = Item::new(vec![b"a".to_vec(), b"b".to_vec()]);
        let named = ItemList { items: vec![row], names: vec!["x".to_owned(), "y".to_owned()] };
        let product = |sources| Items::Join { how: Join::Product, names: Vec::new(), sources };
        let mixed = product(vec![list(&["1"]), Items::List(Arc::new(named))]);
        assert_eq!(column_names(&mixed), ["", "x", "y"]);
        assert!(column_names(&product(vec![list(&["1"])])).is_empty());
    }
}
