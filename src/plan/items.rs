//! Items that are in memory, or are counted out: one after another, however many there are. Pure.

use std::convert::Infallible;
use std::sync::Arc;

use super::{Batch, Item, ItemList, Items, Job, Join, Plan, Seq};

mod join;
mod seq;

pub use join::{Joiner, Uneven};

/// The items of a job, one for each task (before they are put into batches); `None` for a task without one.
#[derive(Debug, Clone)]
pub struct ItemIter(State);

#[derive(Debug, Clone)]
enum State {
    /// So many more tasks without an item.
    Bare(u64),
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

/// What a source answers that may have to be waited for.
#[derive(Debug)]
pub enum Next {
    /// `None`: a task without an item.
    Item(Option<Item>),
    /// Nothing is there now; something will tell when there is.
    Wait,
    /// It has worked long enough for one turn of the loop, and is to be asked again in the next one.
    Again,
    End,
}

impl ItemIter {
    /// `None` if the items have to be read from somewhere.
    pub fn new(items: &Items) -> Option<ItemIter> {
        let state = match items {
            Items::None => State::Bare(1),
            Items::Repeat(count) => State::Bare(*count),
            Items::List(list) => State::List { list: Arc::clone(list), next: 0 },
            Items::Seq(seq) => State::Seq { seq: seq.clone(), next: 0, count: seq.count() },
            Items::Join { how, sources, .. } => match sources.split_first() {
                None => State::Bare(0),
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
            State::Bare(left) => {
                *left = left.checked_sub(1)?;
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
                Some(Some(Item { columns: vec![number.into_bytes()] }))
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

/// The number of a job's tasks, if it is known before anything is read.
pub fn known_tasks(plan: &Plan, job: &Job) -> Option<u64> {
    let mut job = job;
    while let Items::Of(before) = job.items {
        job = &plan.jobs[before];
    }
    known_total(&job.items, &job.batch)
}

/// The number of tasks, if it is known before anything is read.
pub fn known_total(items: &Items, batch: &Batch) -> Option<u64> {
    let count = count(items)?;
    match (items, batch) {
        (Items::None | Items::Repeat(_), _) | (_, Batch::One) => Some(count),
        (_, Batch::UpTo(most)) => Some(count.div_ceil(*most as u64)),
        (_, Batch::Fit) => (count < 2).then_some(count),
    }
}

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

/// Names of the columns, as far as they are known before anything is read; a column without one is "".
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

/// Makes an item as long as its source has names, so that the columns of another source can follow.
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

/// As many names as the source has columns.
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
        let items = words.iter().map(|word| Item { columns: vec![word.as_bytes().to_vec()] }).collect();
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
        let row = Item { columns: vec![b"a".to_vec(), b"b".to_vec()] };
        let named = ItemList { items: vec![row], names: vec!["x".to_owned(), "y".to_owned()] };
        let product = |sources| Items::Join { how: Join::Product, names: Vec::new(), sources };
        let mixed = product(vec![list(&["1"]), Items::List(Arc::new(named))]);
        assert_eq!(column_names(&mixed), ["", "x", "y"]);
        assert!(column_names(&product(vec![list(&["1"])])).is_empty());
    }
}
