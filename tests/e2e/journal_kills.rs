//! prun is killed with SIGKILL at random moments and resumed with `--resume` until all tasks are done.
//!
//! Each task notes its start and its end, with the pid of its prun. The test compares these notes, prun's
//! output and the journal: a task in the journal had ended and was printed, and never starts again; at the
//! end no task is missing. `scripts/kill-loop` runs the same with more kills.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::time::Duration;

use prun::event::Outcome;
use prun::journal::Entry;

use crate::space::{LIMIT, Space};

/// The variable with the number of kills, set by `scripts/kill-loop`.
const KILLS: &str = "PRUN_TEST_KILLS";
const USUAL_KILLS: u64 = 100;

const TASKS: u64 = 200;

/// Distinct items: the last 20 of the 200 tasks repeat the first 20.
const ITEMS: u64 = 180;

/// A command that takes a few milliseconds. It names the slot, which must not change a task's identity.
const TASK: &str =
    "echo start $PRUN_PID {} >>notes; sleep 0.00{%}; echo out {}; echo end $PRUN_PID {} >>notes";

/// Options under which output takes different ways before the journal's line may be written: grouped, in item
/// order, synced, by lines, and not through prun at all.
const WAYS: [&str; 5] = ["", "-k", "--sync", "--output line", "-u"];

/// Longest time from a start to a kill, in microseconds.
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

/// One list of 200 tasks, run until all of them are done.
struct Round {
    space: Space,
    way: &'static str,
}

/// How often each item was seen.
type Count = BTreeMap<u64, u64>;

/// One prun: its pid, and the journal's content when it was started.
struct Session {
    pid: u32,
    before: Count,
}

impl Round {
    fn new(way: &'static str) -> Round {
        let round = Round { space: Space::new(), way };
        for name in ["notes", "printed", "journal"] {
            round.space.write(name, "");
        }
        round
    }

    /// Kills prun at most `most` times. Returns the number of kills, and of tasks that ran again because of
    /// them.
    fn run(&self, most: u64, random: &mut Random) -> (u64, u64) {
        let mut sessions = Vec::new();
        let mut ended = false;
        while !ended {
            let before = self.journaled();
            let mut child = self.start();
            sessions.push(Session { pid: child.id(), before });
            if (sessions.len() as u64) <= most {
                std::thread::sleep(Duration::from_micros(random.below(LATEST)));
                child.kill().expect("it was not reaped yet");
            }
            let status = child.wait().expect("a child can be waited for");
            assert!(status.success() || status.signal() == Some(9), "{status}: {}", self.space.read("said"));
            ended = status.success();
            self.check_journal(&sessions[sessions.len() - 1].before);
        }
        // What a killed prun had just started may still make its note.
        assert!(self.space.becomes_empty(LIMIT), "survived prun: {:?}", self.space.survivors());
        sessions.iter().for_each(|session| self.check_starts(session));
        let journaled = self.journaled();
        let missing = |item: &u64| journaled.get(item) != Some(&wanted(*item));
        assert_eq!((0..ITEMS).find(missing), None, "not in the journal: {}", self.case());
        (sessions.len() as u64 - 1, total(&self.notes("start ")) - TASKS)
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

    /// Returns the items in the journal, all of whose lines must be of tasks that ended ok.
    fn journaled(&self) -> Count {
        let mut count = Count::new();
        // Half a line at the end is not there.
        for line in
            self.space.read("journal").split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'))
        {
            let entry = Entry::parse(line.as_bytes()).unwrap_or_else(|why| panic!("{why:?}: {line}"));
            assert_eq!((&entry.outcome, entry.attempts), (&Outcome::Ok, 1), "{line}");
            *count.entry(entry.item.parse().expect("items are numbers")).or_default() += 1;
        }
        count
    }

    /// Counts the items in notes that begin with these words.
    fn notes(&self, words: &str) -> Count {
        items(&self.space.read("notes"), words)
    }

    /// Checks that no line left the journal, and that every task in it had ended and was printed.
    fn check_journal(&self, before: &Count) {
        let (journaled, ended) = (self.journaled(), self.notes("end "));
        let printed = items(&self.space.read("printed"), "out ");
        for item in 0..ITEMS {
            let of = |count: &Count| count.get(&item).copied().unwrap_or_default();
            assert!(of(&journaled) >= of(before), "{item} left the journal: {}", self.case());
            assert!(of(&journaled) <= of(&ended), "{item} in the journal, but never ended: {}", self.case());
            assert!(
                of(&journaled) <= of(&printed),
                "{item} in the journal, but not printed: {}",
                self.case()
            );
        }
        let said = self.space.read("said");
        let expected =
            |line: &str| line.contains("its last line was cut short") || line.contains("earlier run");
        assert!(said.lines().all(expected), "{said}");
    }

    /// Checks that no task that was in the journal was started again.
    fn check_starts(&self, session: &Session) {
        let started = self.notes(&format!("start {} ", session.pid));
        for item in 0..ITEMS {
            let of = |count: &Count| count.get(&item).copied().unwrap_or_default();
            let to_do = wanted(item) - of(&session.before);
            assert!(of(&started) <= to_do, "{item} in the journal, but run again: {}", self.case());
        }
    }

    fn case(&self) -> String {
        format!("with `{}`\n{}", self.way, self.space.read("notes"))
    }
}

/// Returns how many tasks have this item.
fn wanted(item: u64) -> u64 {
    1 + u64::from(item < TASKS - ITEMS)
}

fn total(count: &Count) -> u64 {
    count.values().sum()
}

/// Counts the items at the ends of lines that begin with these words.
fn items(text: &str, words: &str) -> Count {
    let mut count = Count::new();
    for line in text.lines().filter(|line| line.starts_with(words)) {
        let item = line.rsplit(' ').next().and_then(|item| item.parse().ok()).expect("an item ends a line");
        *count.entry(item).or_default() += 1;
    }
    count
}

/// A random number generator (splitmix64), seeded anew in each run.
pub struct Random(u64);

impl Random {
    pub fn new() -> Random {
        Random(RandomState::new().hash_one(0))
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}
