//! Sequences of decimal numbers, as seq(1) prints them. Pure.

use crate::plan::Seq;

impl Seq {
    /// Parses the numbers of a sequence. As with seq(1), `first` and `step` set how many digits follow the point.
    ///
    /// # Errors
    /// A text that is no number, a step of 0, and numbers that are too large.
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

    /// Returns how many numbers the sequence has.
    pub fn count(&self) -> u64 {
        let distance = self.last - self.first;
        if distance != 0 && (distance > 0) != (self.step > 0) {
            return 0;
        }
        u64::try_from(distance / self.step).map_or(u64::MAX, |steps| steps.saturating_add(1))
    }

    /// Returns the n-th number, from 0, as seq(1) prints it.
    pub(super) fn number(&self, n: u64) -> String {
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
    use crate::plan::items::{ItemIter, known_total};
    use crate::plan::{Batch, Items};

    fn seq(first: &str, step: &str, last: &str) -> Items {
        Items::Seq(Seq::parse(first, step, last).unwrap())
    }

    fn all(items: &Items) -> Vec<String> {
        let text = |number: Vec<u8>| String::from_utf8(number).unwrap();
        ItemIter::new(items).unwrap().map(|item| text(item.unwrap().columns.concat())).collect()
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
}
