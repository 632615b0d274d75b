//! `kill -9` of prun at random moments, and on again with `--resume` until everything is done.
//!
//! The tasks themselves write down that they started and ended. After each kill their notes, prun's output and the
//! journal are compared: what is in the journal had ended, was printed, and is never started again; and in the end
//! nothing is missing. `scripts/kill-loop` runs the same with more kills.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::process::{Child, Stdio};
use std::time::Duration;

use prun::event::Outcome;
use prun::journal::Entry;

use crate::space::{LIMIT, Space};

/// How many kills; for `scripts/kill-loop`.
const KILLS: &str = "PRUN_TEST_KILLS";
const USUAL_KILLS: u64 = 100;

const TASKS: u64 = 200;

/// Of the 200 tasks the last 20 do the same as the first 20.
const ITEMS: u64 = 180;

/// Each does its work in a few milliseconds. The slot, another one each time, does not make it another task.
const TASK: &str = "echo start {} >>notes; sleep 0.00{%}; echo out {}; echo end {} >>notes";

/// Every way to the journal: behind output that is held back, kept in order, or not prun's at all.
const WAYS: [&str; 5] = ["", "-k", "--sync", "--output line", "-u"];

/// Longest time from a start to a kill.
const LATEST: u64 = 250_000;

#[test]
fn nothing_is_lost_and_nothing_runs_twice() {
    let kills = std::env::var(KILLS).map_or(USUAL_KILLS, |number| number.parse().expect("a number of kills"));
    let mut random = Random::new();
    let (mut done, mut rounds, mut again) = (0, 0, 0);
    while done < kills {
        let round = Round::new(WAYS[rounds % WAYS.len()]);
        let (killed, repeated) = round.run(kills - done, &mut random);
        (done, rounds, again) = (done + killed, rounds + 1, again + repeated);
    }
    println!(
        "{done} kills in {rounds} rounds of {TASKS} tasks: all done, {again} interrupted ones run again"
    );
}

/// 200 tasks, until all are done.
struct Round {
    space: Space,
    way: &'static str,
}

/// How often something was seen of each item.
type Count = BTreeMap<u64, u64>;

/// What there is to see while no prun runs.
#[derive(Default)]
struct Seen {
    started: Count,
    ended: Count,
    printed: Count,
    journaled: Count,
}

impl Round {
    fn new(way: &'static str) -> Round {
        let round = Round { space: Space::new(), way };
        for name in ["notes", "printed", "journal"] {
            round.space.write(name, "");
        }
        round
    }

    /// Kills it at most so often; says how often, and how many tasks ran again because of that.
    fn run(&self, most: u64, random: &mut Random) -> (u64, u64) {
        let (mut kills, mut in_flight) = (0, 0);
        let mut before = Seen::default();
        loop {
            let ended =
                if kills < most { self.start_and_kill(random.below(LATEST)) } else { self.start().wait_ok() };
            assert!(self.space.becomes_empty(LIMIT), "survived prun: {:?}", self.space.survivors());
            let now = self.look();
            self.check(&before, &now);
            if ended {
                self.check_end(&now, in_flight);
                return (kills, total(&now.started) - TASKS);
            }
            kills += 1;
            in_flight += total(&now.started) - total(&before.started) + total(&before.journaled);
            in_flight -= total(&now.journaled);
            before = now;
        }
    }

    fn start(&self) -> Child {
        let items = (0..TASKS).map(|number| (number % ITEMS).to_string()).collect::<Vec<_>>().join(" ");
        let prun =
            self.space.exec(&format!("-j4 --journal journal --resume {} -c '{TASK}' ::: {items}", self.way));
        let printed = OpenOptions::new().append(true).open(self.space.path("printed")).expect("it was made");
        let said = File::create(self.space.path("said")).expect("a file");
        let mut command = prun.into_command();
        command.stdin(Stdio::null()).stdout(printed).stderr(said).spawn().expect("prun starts")
    }

    /// Whether it ended before it could be killed.
    fn start_and_kill(&self, after_micros: u64) -> bool {
        let mut child = self.start();
        std::thread::sleep(Duration::from_micros(after_micros));
        child.kill().expect("it was not reaped yet");
        let status = child.wait().expect("a child can be waited for");
        assert!(status.code().is_none_or(|code| code == 0), "{status}: {}", self.space.read("said"));
        status.success()
    }

    fn look(&self) -> Seen {
        let notes = self.space.read("notes");
        let (mut journaled, journal) = (Count::new(), self.space.read("journal"));
        // Half a line at the end is not there.
        for line in journal.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            let entry = Entry::parse(line.as_bytes()).unwrap_or_else(|why| panic!("{why:?}: {line}"));
            assert_eq!((&entry.outcome, entry.attempts), (&Outcome::Ok, 1), "{line}");
            *journaled.entry(entry.item.parse().expect("items are numbers")).or_default() += 1;
        }
        Seen {
            started: count(&notes, "start "),
            ended: count(&notes, "end "),
            printed: count(&self.space.read("printed"), "out "),
            journaled,
        }
    }

    /// Everything that must hold at each moment at which no prun runs.
    fn check(&self, before: &Seen, now: &Seen) {
        for item in 0..ITEMS {
            let of = |count: &Count| count.get(&item).copied().unwrap_or_default();
            let case = || format!("item {item} with `{}`: {}", self.way, self.space.read("notes"));
            assert!(of(&now.journaled) >= of(&before.journaled), "it left the journal: {}", case());
            assert!(of(&now.journaled) <= of(&now.ended), "in the journal, but never ended: {}", case());
            assert!(of(&now.journaled) <= of(&now.printed), "in the journal, but not printed: {}", case());
            let to_do = wanted(item) - of(&before.journaled);
            let started = of(&now.started) - of(&before.started);
            assert!(started <= to_do, "in the journal, but run again: {}", case());
        }
        let said = self.space.read("said");
        let expected =
            |line: &str| line.contains("its last line was cut short") || line.contains("in an earlier run");
        assert!(said.lines().all(expected), "{said}");
    }

    fn check_end(&self, now: &Seen, in_flight: u64) {
        for item in 0..ITEMS {
            assert_eq!(now.journaled.get(&item), Some(&wanted(item)), "item {item} with `{}`", self.way);
        }
        let again = total(&now.started) - TASKS;
        assert!(again <= in_flight, "{again} ran again, but only {in_flight} had been interrupted");
    }
}

/// How often a task for this item is to be done.
fn wanted(item: u64) -> u64 {
    1 + u64::from(item < TASKS - ITEMS)
}

fn total(count: &Count) -> u64 {
    count.values().sum()
}

/// How often each item stands behind these words.
fn count(text: &str, words: &str) -> Count {
    let mut count = Count::new();
    for item in text.lines().filter_map(|line| line.strip_prefix(words)?.parse().ok()) {
        *count.entry(item).or_default() += 1;
    }
    count
}

trait WaitOk {
    fn wait_ok(self) -> bool;
}

impl WaitOk for Child {
    /// Its end, which is a good one.
    fn wait_ok(mut self) -> bool {
        let status = self.wait().expect("a child can be waited for");
        assert!(status.success(), "{status}");
        true
    }
}

/// Numbers that differ from run to run (splitmix64).
struct Random(u64);

impl Random {
    fn new() -> Random {
        Random(RandomState::new().hash_one(0))
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}
