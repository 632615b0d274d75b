//! The median of many times, in little memory. Pure.

use crate::event::Time;

/// Steps to each doubling of the time. An answer is off by 0.4 % at most.
const FINENESS: u64 = 128;

/// Counts of times, in steps that grow with the time: a million times take as much memory as ten. That is 1
/// KiB for each doubling from 128 µs to the longest (20 KiB for a minute, never more than 64 KiB).
#[derive(Debug, Default)]
pub struct Median {
    counts: Vec<u64>,
    total: u64,
    /// The step that the median is in, and how many times lie in steps before it.
    middle: usize,
    before: u64,
}

impl Median {
    pub fn add(&mut self, time: Time) {
        let step = step_of(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        if self.counts.len() <= step {
            self.counts.resize(step + 1, 0);
        }
        self.counts[step] += 1;
        self.total += 1;
        if step < self.middle {
            self.before += 1;
        }
        // For an even number of times, the lower of the two in the middle.
        let rank = self.total.div_ceil(2);
        while self.before >= rank {
            self.middle -= 1;
            self.before -= self.counts[self.middle];
        }
        while self.before + self.counts[self.middle] < rank {
            self.before += self.counts[self.middle];
            self.middle += 1;
        }
    }

    /// Returns how many times were added.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// Returns the median; zero if no time was added.
    pub fn get(&self) -> Time {
        Time::from_micros(middle_of(self.middle))
    }
}

/// Returns the step of a time. Small times have a step each; above, each power of two has [`FINENESS`] steps.
fn step_of(micros: u64) -> usize {
    let power = micros.max(FINENESS).ilog2() - FINENESS.ilog2();
    ((micros >> power) + FINENESS * u64::from(power)) as usize
}

/// Returns the time in the middle of a step.
fn middle_of(step: usize) -> u64 {
    let step = step as u64;
    let power = (step / FINENESS).saturating_sub(1);
    let first = (step - power * FINENESS) << power;
    first + ((1 << power) >> 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn steps_are_in_order_and_fine() {
        let mut last = 0;
        for micros in
            (0..5000).chain((13..63).flat_map(|power| [(1 << power) - 1, 1 << power, 3 << (power - 1)]))
        {
            let step = step_of(micros);
            assert!(step >= last, "{micros}");
            last = step;
            assert!(
                middle_of(step).abs_diff(micros) as f64 <= micros as f64 * 0.004,
                "{micros} {}",
                middle_of(step)
            );
        }
        assert!(step_of(u64::MAX) < 8000, "{}", step_of(u64::MAX));
    }

    proptest! {
        #[test]
        fn it_is_the_middle_one(times in prop::collection::vec(0..10_000_000u64, 1..200)) {
            let mut median = Median::default();
            let mut seen = Vec::new();
            for time in times {
                median.add(Time::from_micros(time));
                seen.push(time);
                seen.sort();
                let exact = seen[(seen.len() - 1) / 2];
                let told = median.get().as_micros() as u64;
                prop_assert!(told.abs_diff(exact) as f64 <= exact as f64 * 0.004, "{} {}", told, exact);
            }
        }
    }
}
