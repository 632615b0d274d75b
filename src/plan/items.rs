//! Items that are in memory, or are counted out: one after another, however many there are. Pure.

use std::sync::Arc;

use super::{Batch, Item, ItemList, Items, Job, Plan, Seq};

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
    Product(Product),
}

/// All combinations, the last source changing fastest.
#[derive(Debug, Clone)]
struct Product {
    sources: Vec<ItemIter>,
    /// The sources as they are now; and the item that each gave last. Empty before the first and after the
    /// last combination.
    turning: Vec<(ItemIter, Item)>,
    begun: bool,
}

impl ItemIter {
    /// `None` if the items have to be read from somewhere.
    pub fn new(items: &Items) -> Option<ItemIter> {
        let state = match items {
            Items::None => State::Bare(1),
            Items::Repeat(count) => State::Bare(*count),
            Items::List(list) => State::List { list: Arc::clone(list), next: 0 },
            Items::Seq(seq) => State::Seq { seq: seq.clone(), next: 0, count: seq.count() },
            Items::Product(sources) => {
                let sources = sources.iter().map(ItemIter::new).collect::<Option<Vec<_>>>()?;
                State::Product(Product { sources, turning: Vec::new(), begun: false })
            }
            Items::Lines { .. }
            | Items::Glob { .. }
            | Items::Csv { .. }
            | Items::Queue { .. }
            | Items::Of(_) => return None,
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
            State::Product(product) => product.next().map(Some),
        }
    }
}

impl Product {
    fn next(&mut self) -> Option<Item> {
        if !std::mem::replace(&mut self.begun, true) {
            self.turning = self.sources.iter().map(started).collect::<Option<_>>().unwrap_or_default();
        } else {
            self.turn();
        }
        (!self.turning.is_empty()).then(|| Item {
            columns: self.turning.iter().flat_map(|(_, item)| item.columns.iter().cloned()).collect(),
        })
    }

    /// Goes on by one, as an odometer does.
    fn turn(&mut self) {
        for (wheel, source) in self.turning.iter_mut().zip(&self.sources).rev() {
            if let Some(item) = wheel.0.next() {
                wheel.1 = item.unwrap_or_default();
                return;
            }
            let Some(again) = started(source) else { break };
            *wheel = again;
        }
        self.turning.clear();
    }
}

/// A source and its first item.
fn started(source: &ItemIter) -> Option<(ItemIter, Item)> {
    let mut iter = source.clone();
    let item = iter.next()?.unwrap_or_default();
    Some((iter, item))
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
        Items::Product(sources) if sources.is_empty() => Some(0),
        Items::Product(sources) => {
            sources.iter().map(count).try_fold(1, |product: u64, count| product.checked_mul(count?))
        }
        Items::Lines { .. } | Items::Glob { .. } | Items::Csv { .. } | Items::Queue { .. } | Items::Of(_) => {
            None
        }
    }
}

/// Names of the columns, as far as they are known before anything is read; a column without one is "".
pub fn column_names(items: &Items) -> Vec<String> {
    match items {
        Items::List(list) => list.names.clone(),
        Items::Product(sources) if sources.iter().any(|source| !column_names(source).is_empty()) => {
            sources.iter().flat_map(padded_names).collect()
        }
        _ => Vec::new(),
    }
}

/// As many names as the source has columns.
fn padded_names(source: &Items) -> Vec<String> {
    let mut names = column_names(source);
    let columns = match source {
        Items::List(list) => list.items.first().map_or(0, |item| item.columns.len()),
        Items::Product(sources) => sources.iter().map(|source| padded_names(source).len()).sum(),
        _ => 1,
    };
    names.resize(columns, String::new());
    names
}

impl Seq {
    /// Reads the numbers as they are spelt. As with seq(1), the first one and the step say how many digits
    /// follow the point.
    pub fn parse(first: &str, step: &str, last: &str) -> Result<Seq, String> {
        let [first, step, last] = [Decimal::parse(first)?, Decimal::parse(step)?, Decimal::parse(last)?];
        if step.digits == 0 {
            return Err("the step of a sequence can't be 0".to_owned());
        }
        let scale = first.scale.max(step.scale);
        let up = step.digits > 0;
        let seq =
            Seq { first: first.at(scale)?, step: step.at(scale)?, last: last.rounded(scale, up)?, scale };
        seq.last.checked_sub(seq.first).ok_or_else(|| "the numbers are too large".to_owned())?;
        Ok(seq)
    }

    /// How many numbers it has.
    pub fn count(&self) -> u64 {
        let way = self.last - self.first;
        if way != 0 && (way > 0) != (self.step > 0) {
            return 0;
        }
        u64::try_from(way / self.step).map_or(u64::MAX, |steps| steps.saturating_add(1))
    }

    /// The n-th number, from 0, as seq(1) prints it.
    fn number(&self, n: u64) -> String {
        let value = self.first + self.step * i128::from(n);
        if self.scale == 0 {
            return value.to_string();
        }
        let unit = 10_i128.pow(self.scale);
        let sign = if value < 0 { "-" } else { "" };
        let (whole, part) = ((value / unit).unsigned_abs(), (value % unit).unsigned_abs());
        format!("{sign}{whole}.{part:0width$}", width = self.scale as usize)
    }
}

/// `digits` × 10^-`scale`.
#[derive(Debug, Clone, Copy)]
struct Decimal {
    digits: i128,
    scale: u32,
}

/// No number has more digits than this before and after its point.
const MOST_DIGITS: u32 = 18;

impl Decimal {
    /// `3`, `-0.50`, `1e-3`, `1_000`.
    fn parse(text: &str) -> Result<Decimal, String> {
        let bad = || format!("`{text}` is not a decimal number");
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().map_err(|_| bad())?),
            None => (text, 0),
        };
        let (sign, number) = match number.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits: String = [whole, part].concat().chars().filter(|c| *c != '_').collect();
        let part = part.chars().filter(|c| *c != '_').count();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad());
        }
        let too_large = || format!("`{text}` has more than {MOST_DIGITS} digits");
        let most = MOST_DIGITS as i32;
        let digits = digits.trim_start_matches('0');
        if digits.len() > most as usize || exponent.abs() > most || part as i32 - exponent > most {
            return Err(too_large());
        }
        let digits: i128 =
            sign * if digits.is_empty() { 0 } else { digits.parse::<i128>().map_err(|_| too_large())? };
        let scale = part as i32 - exponent;
        Ok(match u32::try_from(scale) {
            Ok(scale) => Decimal { digits, scale },
            Err(_) => Decimal { digits: digits * 10_i128.pow(scale.unsigned_abs()), scale: 0 },
        })
    }

    /// In units of 10^-`scale`, which is no coarser than its own.
    fn at(self, scale: u32) -> Result<i128, String> {
        let factor = 10_i128.pow(scale.saturating_sub(self.scale));
        self.digits.checked_mul(factor).ok_or_else(|| "the numbers are too large".to_owned())
    }

    /// In units of 10^-`scale`; what is finer than that is cut off towards where the sequence comes from.
    fn rounded(self, scale: u32, up: bool) -> Result<i128, String> {
        if self.scale <= scale {
            return self.at(scale);
        }
        let unit = 10_i128.pow(self.scale - scale);
        let floor = self.digits.div_euclid(unit);
        let exact = self.digits.rem_euclid(unit) == 0;
        Ok(if up || exact { floor } else { floor + 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Items {
        let items = words.iter().map(|word| Item { columns: vec![word.as_bytes().to_vec()] }).collect();
        Items::List(Arc::new(ItemList { items, names: Vec::new() }))
    }

    fn all(items: &Items) -> Vec<String> {
        let text = |item: Item| String::from_utf8(item.columns.join(&b' ')).unwrap();
        ItemIter::new(items).unwrap().map(|item| item.map_or("-".to_owned(), text)).collect()
    }

    fn seq(first: &str, step: &str, last: &str) -> Items {
        Items::Seq(Seq::parse(first, step, last).unwrap())
    }

    #[test]
    fn tasks_without_items() {
        assert_eq!(all(&Items::None), ["-"]);
        assert_eq!(all(&Items::Repeat(3)), ["-", "-", "-"]);
        assert_eq!(known_total(&Items::Repeat(3), &Batch::UpTo(2)), Some(3));
    }

    #[test]
    fn products_turn_the_last_source_fastest() {
        let product = Items::Product(vec![list(&["a", "b"]), seq("1", "1", "2"), list(&["x", "y"])]);
        let expected = ["a 1 x", "a 1 y", "a 2 x", "a 2 y", "b 1 x", "b 1 y", "b 2 x", "b 2 y"];
        assert_eq!(all(&product), expected);
        assert_eq!(known_total(&product, &Batch::UpTo(3)), Some(3));
        for empty in [vec![list(&["a"]), list(&[])], vec![list(&[]), list(&["a"])], vec![]] {
            let product = Items::Product(empty);
            assert_eq!((all(&product), known_total(&product, &Batch::One)), (vec![], Some(0)));
        }
    }

    #[test]
    fn an_ended_product_stays_ended() {
        let mut iter = ItemIter::new(&Items::Product(vec![list(&["a"])])).unwrap();
        assert!(iter.next().is_some() && iter.next().is_none() && iter.next().is_none());
    }

    #[test]
    fn sequences_are_spelt_as_seq_does() {
        for (numbers, expected) in [
            (["1", "1", "3"], &["1", "2", "3"][..]),
            (["1.0", "1", "3"], &["1.0", "2.0", "3.0"]),
            (["1", "0.50", "2"], &["1.00", "1.50", "2.00"]),
            (["1", "1", "2.9"], &["1", "2"]),
            (["3", "-1", "0.5"], &["3", "2", "1"]),
            (["0.5", "-0.5", "-1"], &["0.5", "0.0", "-0.5", "-1.0"]),
            (["-1", "1", "1"], &["-1", "0", "1"]),
            (["1e-2", "1e-2", "3e-2"], &["0.01", "0.02", "0.03"]),
            (["1e3", "1_000", "3000"], &["1000", "2000", "3000"]),
            (["2", "1", "1"], &[]),
            (["1", "-1", "2"], &[]),
            (["1", "2", "6"], &["1", "3", "5"]),
            (["5", "-2", "2"], &["5", "3"]),
        ] {
            let items = seq(numbers[0], numbers[1], numbers[2]);
            assert_eq!(all(&items), expected, "{numbers:?}");
            assert_eq!(known_total(&items, &Batch::One), Some(expected.len() as u64), "{numbers:?}");
        }
    }

    #[test]
    fn bad_sequences() {
        for numbers in
            [["1", "0", "2"], ["x", "1", "2"], ["1", "", "2"], ["0x10", "1", "2"], ["1", "1", "inf"]]
        {
            Seq::parse(numbers[0], numbers[1], numbers[2]).expect_err(numbers[0]);
        }
        for number in ["1e99", "1e-99", "1234567890123456789"] {
            assert!(Seq::parse("0", "1", number).unwrap_err().contains("digits"), "{number}");
        }
        let tiny = "0.000000000000000001";
        assert!(Seq::parse("0", tiny, "1e18").is_ok_and(|seq| seq.count() == u64::MAX));
        assert!(Seq::parse("0", tiny, "999999e18").unwrap_err().contains("too large"));
    }

    #[test]
    fn a_million_million_numbers_cost_nothing() {
        let product = Items::Product(vec![seq("1", "1", "1000000"), seq("1", "1", "1000000")]);
        assert_eq!(known_total(&product, &Batch::One), Some(1_000_000_000_000));
        assert_eq!(known_total(&product, &Batch::Fit), None);
        assert_eq!(ItemIter::new(&product).unwrap().nth(1_000_000).unwrap().unwrap().columns[0], b"2");
    }

    #[test]
    fn names_keep_to_their_columns() {
        let row = Item { columns: vec![b"a".to_vec(), b"b".to_vec()] };
        let named = ItemList { items: vec![row], names: vec!["x".to_owned(), "y".to_owned()] };
        let product = Items::Product(vec![list(&["1"]), Items::List(Arc::new(named))]);
        assert_eq!(column_names(&product), ["", "x", "y"]);
        assert!(column_names(&Items::Product(vec![list(&["1"])])).is_empty());
    }
}
