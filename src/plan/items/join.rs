//! Joining the items of several sources to rows of all their columns. Pure.

use super::{ItemIter, Next, count};
use crate::plan::{Item, ItemList, Items, Join};

/// Makes rows. Items of the first source are taken one by one, and may have to be waited for; the other sources are in
/// memory.
#[derive(Debug, Clone)]
pub struct Joiner {
    way: Way,
    /// True if another source than the first has no items, so that there are no rows.
    empty: bool,
    uneven: Option<Uneven>,
}

/// Sources that should have ended together, and did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uneven {
    /// Index of a source that ended; 0 is the first.
    pub ended: usize,
    /// Index of a source that has more items.
    pub longer: usize,
    /// Rows that were made.
    pub rows: u64,
}

#[derive(Debug, Clone)]
enum Way {
    Product {
        /// Combinations of the others.
        others: Box<ItemIter>,
        /// An item of the first source, and the combinations that are still to come with it.
        turn: Option<(Item, Box<ItemIter>)>,
    },
    Zip {
        others: Vec<ItemIter>,
        /// The rest of the next row. It is taken before the item of the first source: where there is none, the first
        /// source need not be waited for.
        waiting: Option<Item>,
    },
    Even(Even),
    Link(Link),
}

/// Sources in step that must end together.
#[derive(Debug, Clone)]
struct Even {
    others: Vec<ItemIter>,
    /// The rest of the next row; `None` in it is a source that has ended.
    waiting: Option<Vec<Option<Item>>>,
    rows: u64,
}

/// Sources in step, until all have ended.
#[derive(Debug, Clone)]
struct Link {
    others: Vec<Cycle>,
    /// Number of items of the longest other source.
    longest: u64,
    rows: u64,
    /// Items of the first source, kept until it is known to be the longest.
    seen: Vec<Item>,
    first_ended: bool,
}

/// A source that starts again when it has ended.
#[derive(Debug, Clone)]
struct Cycle {
    source: ItemIter,
    now: ItemIter,
}

impl Joiner {
    /// Returns `None` if another source than the first has to be read from a file or a queue.
    pub fn new(how: Join, others: &[Items]) -> Option<Joiner> {
        let iters = others.iter().map(ItemIter::new).collect::<Option<Vec<_>>>()?;
        // A source whose number is not known has more items than can be counted.
        let counts = || others.iter().map(|items| count(items).unwrap_or(u64::MAX));
        let way = match how {
            Join::Product => {
                let others = match others {
                    [] => Items::List(ItemList { items: vec![Item::default()], names: Vec::new() }.into()),
                    [one] => one.clone(),
                    _ => Items::Join { how, names: Vec::new(), sources: others.to_vec() },
                };
                Way::Product { others: Box::new(ItemIter::new(&others)?), turn: None }
            }
            Join::Zip => Way::Zip { others: iters, waiting: None },
            Join::Even => Way::Even(Even { others: iters, waiting: None, rows: 0 }),
            Join::Link => Way::Link(Link {
                others: iters.into_iter().map(|iter| Cycle { source: iter.clone(), now: iter }).collect(),
                longest: counts().max().unwrap_or(0),
                rows: 0,
                seen: Vec::new(),
                first_ended: false,
            }),
        };
        let empty = how != Join::Even && counts().any(|count| count == 0);
        Some(Joiner { way, empty, uneven: None })
    }

    /// Returns the sources that did not end together although they should, after the end.
    pub fn uneven(&self) -> Option<Uneven> {
        self.uneven
    }

    /// Returns the next row. `first` returns the next item of the first source.
    pub fn next<E>(&mut self, first: &mut dyn FnMut() -> Result<Next, E>) -> Result<Next, E> {
        if self.empty {
            return Ok(Next::End);
        }
        match &mut self.way {
            Way::Product { others, turn } => loop {
                if let Some((item, turn)) = turn
                    && let Some(others) = turn.next()
                {
                    return Ok(row(item.clone(), others));
                }
                match first()? {
                    Next::Item(item) => *turn = Some((item.unwrap_or_default(), others.clone())),
                    other => return Ok(other),
                }
            },
            Way::Zip { others, waiting } => {
                if waiting.is_none() {
                    *waiting = others
                        .iter_mut()
                        .map(|iter| iter.next().flatten())
                        .collect::<Option<Vec<_>>>()
                        .map(flat);
                }
                if waiting.is_none() {
                    return Ok(Next::End);
                }
                Ok(match first()? {
                    Next::Item(item) => row(item.unwrap_or_default(), waiting.take()),
                    other => other,
                })
            }
            Way::Even(even) => even.next(first, &mut self.uneven),
            Way::Link(link) => link.next(first),
        }
    }
}

impl Even {
    fn next<E>(
        &mut self,
        first: &mut dyn FnMut() -> Result<Next, E>,
        uneven: &mut Option<Uneven>,
    ) -> Result<Next, E> {
        let others = self
            .waiting
            .get_or_insert_with(|| self.others.iter_mut().map(|iter| iter.next().flatten()).collect());
        let item = match first()? {
            Next::Item(item) => Some(item.unwrap_or_default()),
            Next::End => None,
            other => return Ok(other),
        };
        let ended = others.iter().position(Option::is_none).map(|at| at + 1);
        let longer = others.iter().position(Option::is_some).map(|at| at + 1);
        let rows = self.rows;
        match (item, ended, longer) {
            (Some(first), None, _) => {
                let others = self.waiting.take().into_iter().flatten().flatten().collect();
                self.rows += 1;
                return Ok(row(first, Some(flat(others))));
            }
            (Some(_), Some(ended), _) => *uneven = Some(Uneven { ended, longer: 0, rows }),
            (None, _, Some(longer)) => *uneven = Some(Uneven { ended: 0, longer, rows }),
            (None, _, None) => {}
        }
        Ok(Next::End)
    }
}

impl Link {
    fn next<E>(&mut self, first: &mut dyn FnMut() -> Result<Next, E>) -> Result<Next, E> {
        let item = match if self.first_ended { Next::End } else { first()? } {
            Next::Item(item) => item.unwrap_or_default(),
            Next::End => {
                self.first_ended = true;
                if self.seen.is_empty() || self.rows >= self.longest {
                    return Ok(Next::End);
                }
                self.seen[(self.rows % self.seen.len() as u64) as usize].clone()
            }
            other => return Ok(other),
        };
        if self.rows >= self.longest {
            self.seen = Vec::new();
        } else if !self.first_ended {
            self.seen.push(item.clone());
        }
        self.rows += 1;
        Ok(row(item, Some(flat(self.others.iter_mut().filter_map(Cycle::next).collect()))))
    }
}

impl Cycle {
    fn next(&mut self) -> Option<Item> {
        if let Some(item) = self.now.next() {
            return item;
        }
        self.now = self.source.clone();
        self.now.next().flatten()
    }
}

/// Returns the row of an item of the first source and the rest.
fn row(mut first: Item, others: Option<Item>) -> Next {
    if let Some(other) = others {
        first.columns.extend(other.columns);
        first.oversize = first.oversize.or(other.oversize);
    }
    Next::Item(Some(first))
}

/// Joins items to one with all their columns.
fn flat(items: Vec<Item>) -> Item {
    let mut all = Item::default();
    for item in items {
        all.columns.extend(item.columns);
        all.oversize = all.oversize.or(item.oversize);
    }
    all
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;
    use crate::plan::items::known_total;
    use crate::plan::items::tests::{all, list};
    use crate::plan::{Batch, Seq};

    fn join(how: Join, sources: &[&[&str]]) -> Items {
        Items::Join { how, names: Vec::new(), sources: sources.iter().map(|words| list(words)).collect() }
    }

    fn rows(items: &Items) -> Vec<String> {
        let rows = all(items);
        assert_eq!(known_total(items, &Batch::One), Some(rows.len() as u64), "{rows:?}");
        rows
    }

    #[test]
    fn products_turn_the_last_source_fastest() {
        let product = join(Join::Product, &[&["a", "b"], &["1", "2"], &["x", "y"]]);
        let expected = ["a 1 x", "a 1 y", "a 2 x", "a 2 y", "b 1 x", "b 1 y", "b 2 x", "b 2 y"];
        assert_eq!(rows(&product), expected);
        assert_eq!(known_total(&product, &Batch::UpTo(3)), Some(3));
        assert_eq!(rows(&join(Join::Product, &[&["a", "b"]])), ["a", "b"]);
    }

    #[test]
    fn in_step_the_shorter_one_decides() {
        assert_eq!(rows(&join(Join::Zip, &[&["a", "b", "c"], &["1", "2"]])), ["a 1", "b 2"]);
        assert_eq!(rows(&join(Join::Zip, &[&["a"], &["1", "2"], &["x", "y"]])), ["a 1 x"]);
    }

    #[test]
    fn linked_sources_begin_again() {
        assert_eq!(rows(&join(Join::Link, &[&["a", "b", "c"], &["1", "2"]])), ["a 1", "b 2", "c 1"]);
        let three = join(Join::Link, &[&["a", "b"], &["1", "2", "3", "4", "5"], &["x", "y", "z"]]);
        assert_eq!(rows(&three), ["a 1 x", "b 2 y", "a 3 z", "b 4 x", "a 5 y"]);
    }

    #[test]
    fn without_items_of_one_source_there_are_none() {
        for how in [Join::Product, Join::Zip, Join::Link] {
            for sources in [&[&["a"][..], &[]], &[&[][..], &["a"]], &[&[][..], &[]]] {
                assert!(rows(&join(how, sources)).is_empty(), "{how:?} {sources:?}");
            }
            assert!(rows(&join(how, &[])).is_empty(), "{how:?}");
        }
    }

    #[test]
    fn joins_of_joins() {
        let zipped = join(Join::Zip, &[&["a", "b"], &["1", "2"]]);
        let sources = vec![zipped.clone(), list(&["x", "y"])];
        let product = Items::Join { how: Join::Product, names: Vec::new(), sources };
        assert_eq!(rows(&product), ["a 1 x", "a 1 y", "b 2 x", "b 2 y"]);
        let linked =
            Items::Join { how: Join::Link, names: Vec::new(), sources: vec![list(&["x", "y", "z"]), zipped] };
        assert_eq!(rows(&linked), ["x a 1", "y b 2", "z a 1"]);
    }

    #[test]
    fn what_has_ended_stays_ended() {
        for how in [Join::Product, Join::Zip, Join::Even, Join::Link] {
            let mut iter = ItemIter::new(&join(how, &[&["a"], &["b"]])).unwrap();
            assert!(iter.next().is_some() && iter.next().is_none() && iter.next().is_none());
        }
    }

    /// A first source that gives what it is told to, and no more than that.
    fn first(gives: Vec<Option<&str>>) -> impl FnMut() -> Result<Next, Infallible> {
        let mut gives = gives.into_iter();
        move || {
            Ok(match gives.next().expect("it is asked no further") {
                Some(word) => Next::Item(Some(Item::new(vec![word.as_bytes().to_vec()]))),
                None => Next::Wait,
            })
        }
    }

    #[test]
    fn a_first_source_that_has_nothing_yet_is_waited_for() {
        for how in [Join::Product, Join::Zip, Join::Even, Join::Link] {
            let mut joiner = Joiner::new(how, &[list(&["1"])]).unwrap();
            let mut first = first(vec![None, Some("a"), None]);
            let mut next = || joiner.next(&mut first).unwrap_or_else(|never| match never {});
            assert!(matches!(next(), Next::Wait));
            assert!(matches!(next(), Next::Item(Some(item)) if item.columns == [b"a", b"1"]), "{how:?}");
        }
    }

    #[test]
    fn a_first_source_is_not_asked_for_what_no_row_can_have() {
        let ends = |how, others: &[Items], gives| {
            let (mut joiner, mut first) = (Joiner::new(how, others).unwrap(), first(gives));
            loop {
                match joiner.next(&mut first).unwrap_or_else(|never| match never {}) {
                    Next::End => return,
                    Next::Item(_) => {}
                    _ => panic!("it waits"),
                }
            }
        };
        ends(Join::Zip, &[list(&["1", "2"])], vec![Some("a"), Some("b")]);
        for how in [Join::Product, Join::Zip, Join::Link] {
            ends(how, &[list(&["1"]), list(&[])], vec![]);
        }
    }

    #[test]
    fn sources_that_should_end_together() {
        let uneven = |first: &[&str], others: &[&[&str]]| {
            let others: Vec<Items> = others.iter().map(|words| list(words)).collect();
            let mut joiner = Joiner::new(Join::Even, &others).unwrap();
            let mut items = ItemIter::new(&list(first)).unwrap();
            let mut first = || Ok::<_, Infallible>(items.next().map_or(Next::End, Next::Item));
            while let Ok(Next::Item(_)) = joiner.next(&mut first) {}
            joiner.uneven()
        };
        assert_eq!(uneven(&["a", "b"], &[&["1", "2"], &["x", "y"]]), None);
        assert_eq!(uneven(&[], &[&[]]), None);
        let of = |ended, longer, rows| Some(Uneven { ended, longer, rows });
        assert_eq!(uneven(&["a", "b"], &[&["1", "2"], &["x"]]), of(2, 0, 1));
        assert_eq!(uneven(&["a", "b"], &[&[]]), of(1, 0, 0));
        assert_eq!(uneven(&["a"], &[&["1"], &["x", "y"]]), of(0, 2, 1));
        assert_eq!(uneven(&[], &[&[], &["x"]]), of(0, 2, 0));
    }

    #[test]
    fn a_million_million_rows_cost_nothing() {
        let million = || Items::Seq(Seq::parse("1", "1", "1000000").unwrap());
        let product =
            Items::Join { how: Join::Product, names: Vec::new(), sources: vec![million(), million()] };
        assert_eq!(known_total(&product, &Batch::One), Some(1_000_000_000_000));
        assert_eq!(known_total(&product, &Batch::Fit), None);
        assert_eq!(ItemIter::new(&product).unwrap().nth(1_000_000).unwrap().unwrap().columns[0], b"2");
    }

    proptest! {
        #[test]
        fn rows_are_what_their_numbers_say(lengths in prop::collection::vec(0_usize..5, 1..5)) {
            let word = |source: usize, n: usize| format!("{source}.{n}");
            let source = |(i, &length): (usize, &usize)| {
                let words: Vec<String> = (0..length).map(|n| word(i, n)).collect();
                list(&words.iter().map(String::as_str).collect::<Vec<_>>())
            };
            let sources: Vec<Items> = lengths.iter().enumerate().map(source).collect();
            let rows = |how| rows(&Items::Join { how, names: Vec::new(), sources: sources.clone() });
            let line = |pick: &dyn Fn(usize) -> usize| {
                (0..lengths.len()).map(|i| word(i, pick(i))).collect::<Vec<_>>().join(" ")
            };
            let (shortest, longest) = (*lengths.iter().min().unwrap(), *lengths.iter().max().unwrap());
            let zip: Vec<String> = (0..shortest).map(|n| line(&|_| n)).collect();
            prop_assert_eq!(rows(Join::Zip), zip);
            let turns = if shortest == 0 { 0 } else { longest };
            let link: Vec<String> = (0..turns).map(|n| line(&|i| n % lengths[i])).collect();
            prop_assert_eq!(rows(Join::Link), link);
            let behind = |i: usize| lengths[i + 1..].iter().product::<usize>();
            let all = lengths.iter().product::<usize>();
            let product: Vec<String> = (0..all).map(|n| line(&|i| n / behind(i) % lengths[i])).collect();
            prop_assert_eq!(rows(Join::Product), product);
        }
    }
}
