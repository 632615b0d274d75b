use std::collections::BTreeSet;

use proptest::prelude::*;

use super::cut::*;
use super::queue::*;
use super::span::*;
use crate::event::JobId;

const READ: usize = 16;
const ROOM: usize = 12;

fn lines() -> Rule {
    Rule { unit: Unit::Ends(vec![b'\n']), per_record: 1, block: None }
}

fn queue(capacity: usize, to_all: bool, readers: &[usize]) -> Queue {
    let readers: Vec<JobId> = readers.iter().copied().map(JobId).collect();
    Queue::new(
        Config {
            capacity,
            rule: lines(),
            to_all,
            sizes: Sizes { read: READ, record: 1 << 20, packets: false },
        },
        &readers,
    )
}

/// A writing process, with the bytes that it has not written yet.
struct Writer {
    key: Key,
    rest: Vec<u8>,
    open: bool,
}

/// A reading process, with its pipe.
struct Reader {
    key: Key,
    pipe: Vec<u8>,
    read: Vec<u8>,
    open: bool,
}

struct World {
    queue: Queue,
    writers: Vec<Writer>,
    readers: Vec<Reader>,
    /// Records that returned from readers that had gone.
    back: usize,
}

impl World {
    fn new(queue: Queue, writers: usize, records: usize) -> World {
        let mut world = World { queue, writers: Vec::new(), readers: Vec::new(), back: 0 };
        for writer in 0..writers {
            let key = 1000 + writer as Key;
            world.queue.open_inlet(key);
            let rest = (0..records).map(|at| format!("{writer}.{at}{}\n", "x".repeat(at % 9 * at % 7)));
            world.writers.push(Writer { key, rest: rest.collect::<String>().into_bytes(), open: true });
        }
        world.queue.close();
        world
    }

    fn start(&mut self, job: usize, one: bool) {
        let key = self.readers.len() as Key;
        self.queue.open_outlet(key, JobId(job), ROOM, one);
        self.readers.push(Reader { key, pipe: Vec::new(), read: Vec::new(), open: true });
    }

    fn write(&mut self, at: usize, count: usize) {
        let Writer { key, rest, open } = &mut self.writers[at];
        if *open && !self.queue.is_full() {
            let space = self.queue.space(*key).expect("it is open");
            let count = count.min(space.len()).min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            rest.drain(..count);
            self.queue.filled(*key, count);
        }
    }

    fn end_writer(&mut self, at: usize, whole: bool) {
        let writer = &mut self.writers[at];
        if std::mem::take(&mut writer.open) {
            self.queue.close_inlet(writer.key, whole);
        }
    }

    fn read(&mut self, at: usize, count: usize) {
        let reader = &mut self.readers[at];
        if reader.open {
            let count = count.min(reader.pipe.len());
            reader.read.extend(reader.pipe.drain(..count));
        }
    }

    fn die(&mut self, at: usize) {
        let reader = &mut self.readers[at];
        if std::mem::take(&mut reader.open) {
            let held = self.queue.held();
            self.queue.set_unread(reader.key, reader.pipe.len());
            self.queue.close_outlet(reader.key);
            self.back += self.queue.held().saturating_sub(held);
        }
    }

    fn round(&mut self) {
        for reader in self.readers.iter().filter(|reader| reader.open) {
            self.queue.set_unread(reader.key, reader.pipe.len());
        }
        self.queue.distribute();
        for reader in self.readers.iter_mut().filter(|reader| reader.open) {
            let spans: Vec<Span> = self.queue.pending(reader.key).collect();
            assert_eq!(!spans.is_empty(), self.queue.is_pending(reader.key));
            let bytes: Vec<u8> = spans.iter().flat_map(|span| span.to_vec()).collect();
            let count = bytes.len().min(ROOM - reader.pipe.len());
            reader.pipe.extend_from_slice(&bytes[..count]);
            self.queue.written(reader.key, count);
        }
    }

    /// Writes and reads everything that is left, in a bounded number of steps.
    fn finish(&mut self) {
        for _ in 0..10_000 {
            for at in 0..self.writers.len() {
                self.write(at, READ);
                if self.writers[at].rest.is_empty() {
                    self.end_writer(at, true);
                }
            }
            self.round();
            for at in 0..self.readers.len() {
                self.read(at, ROOM);
            }
            self.round();
            let open = self.readers.iter().filter(|reader| reader.open);
            if self.writers.iter().all(|writer| !writer.open)
                && open.clone().all(|r| self.queue.is_drained(r.key))
            {
                return;
            }
        }
        panic!("there is no end: {:?}", self.queue);
    }
}

/// Returns the whole records of what was read, and whether a part of one is left.
fn records(bytes: &[u8]) -> (Vec<&[u8]>, bool) {
    let mut parts: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
    let rest = parts.pop().is_some_and(|rest| !rest.is_empty());
    (parts, rest)
}

#[derive(Debug, Clone)]
enum Step {
    Write(usize, usize),
    Read(usize, usize),
    Die(usize),
    Start,
    Round,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_usize, 1..20_usize).prop_map(|(writer, count)| Step::Write(writer, count)),
        4 => (0..8_usize, 1..20_usize).prop_map(|(reader, count)| Step::Read(reader, count)),
        1 => (0..8_usize).prop_map(Step::Die),
        1 => Just(Step::Start),
        4 => Just(Step::Round),
    ]
}

proptest! {
    #[test]
    fn every_record_is_read_once(
        steps in prop::collection::vec(step(), 0..120),
        capacity in 1_usize..12,
        one: bool,
    ) {
        let total = 3 * 20;
        let mut world = World::new(queue(capacity, false, &[7]), 3, 20);
        world.start(7, one);
        for step in steps {
            match step {
                Step::Write(at, count) => world.write(at, count),
                Step::Read(at, count) => world.read(at % world.readers.len(), count),
                Step::Die(at) => world.die(at % world.readers.len()),
                Step::Start => world.start(7, one),
                Step::Round => world.round(),
            }
            prop_assert!(world.queue.held() < capacity + READ + world.back);
        }
        world.start(7, one);
        world.finish();
        let (mut seen, mut parts, mut count) = (BTreeSet::new(), 0, 0);
        for reader in &world.readers {
            let (whole, part) = records(&reader.read);
            prop_assert!(!part || !reader.open, "a living reader gets whole records");
            count += whole.len();
            seen.extend(whole);
            parts += usize::from(part);
        }
        prop_assert_eq!(seen.len(), count, "none twice");
        prop_assert_eq!(count + parts, total, "none lost");
        prop_assert_eq!(world.queue.held(), 0);
    }

    #[test]
    fn all_get_everything_in_order(
        steps in prop::collection::vec(step(), 0..80),
        capacity in 1_usize..12,
    ) {
        let mut world = World::new(queue(capacity, true, &[7, 8]), 1, 40);
        let text = world.writers[0].rest.clone();
        world.start(7, false);
        world.start(8, true);
        for step in steps {
            match step {
                Step::Write(_, count) => world.write(0, count),
                Step::Read(at, count) => world.read(at % 2, count),
                Step::Die(_) | Step::Start | Step::Round => world.round(),
            }
        }
        world.finish();
        prop_assert_eq!(&world.readers[0].read, &text);
        prop_assert_eq!(&world.readers[1].read, &text);
    }
}

/// Puts in these lines and runs one round.
fn put(world: &mut World, lines: &[&str]) {
    lines.iter().for_each(|line| world.queue.put(line.as_bytes().to_vec()));
    world.round();
}

fn pipes(world: &World) -> Vec<String> {
    world.readers.iter().map(|reader| String::from_utf8_lossy(&reader.pipe).into_owned()).collect()
}

#[test]
fn who_has_least_unread_is_next() {
    let mut world = World::new(queue(9, false, &[7]), 0, 0);
    world.start(7, false);
    world.start(7, false);
    put(&mut world, &["a"]);
    assert_eq!(pipes(&world), ["a\n", ""]);
    put(&mut world, &["b", "c", "d"]);
    assert_eq!(pipes(&world), ["a\nd\n", "b\nc\n"]);
    world.read(0, 4);
    put(&mut world, &["e", "f"]);
    assert_eq!(pipes(&world), ["e\nf\n", "b\nc\n"]);
}

#[test]
fn of_those_that_have_nothing_who_waits_longest() {
    let mut world = World::new(queue(9, false, &[7]), 0, 0);
    (0..3).for_each(|_| world.start(7, false));
    for reader in [0, 1, 2, 0, 1] {
        put(&mut world, &["a"]);
        assert_eq!(world.readers[reader].pipe, b"a\n");
        world.read(reader, 2);
    }
}

#[test]
fn one_at_a_time_means_that_all_before_were_read() {
    let mut world = World::new(queue(9, false, &[7]), 0, 0);
    world.start(7, true);
    put(&mut world, &["a", "b"]);
    assert_eq!(pipes(&world), ["a\n"]);
    world.read(0, 1);
    world.round();
    assert_eq!(pipes(&world), ["\n"]);
    world.read(0, 1);
    world.round();
    assert_eq!(pipes(&world), ["b\n"]);
}

#[test]
fn what_a_reader_leaves_comes_first() {
    let mut world = World::new(queue(9, false, &[7]), 0, 0);
    world.start(7, false);
    put(&mut world, &["a", "bbb", "c"]);
    world.read(0, 3);
    put(&mut world, &["d"]);
    world.die(0);
    world.start(7, false);
    world.round();
    assert_eq!(pipes(&world)[1], "c\nd\n", "of `bbb` a part was read");
}

#[test]
fn a_queue_ends_for_those_that_take_items() {
    let mut queue = queue(9, false, &[7]);
    assert_eq!(queue.take(JobId(7)), Taken::Empty);
    queue.put(b"a".to_vec());
    let Taken::Record(record) = queue.take(JobId(7)) else { panic!("there is a record") };
    assert_eq!(&record[..], b"a\n");
    queue.close();
    assert_eq!(queue.take(JobId(7)), Taken::End);
}

#[test]
fn without_readers_nothing_is_kept() {
    let mut queue = queue(1, true, &[7, 8]);
    queue.put(b"a".to_vec());
    assert!(queue.is_full());
    queue.reader_ended(JobId(7));
    assert!(queue.is_full() && !queue.is_abandoned());
    queue.reader_ended(JobId(8));
    assert!(queue.is_abandoned() && !queue.is_full());
}

#[test]
fn with_packets_what_lies_unread_in_pipes_counts_as_held() {
    let sizes = |packets| Sizes { read: READ, record: 1 << 20, packets };
    let config = |packets| Config { capacity: 3, rule: lines(), to_all: false, sizes: sizes(packets) };
    for packets in [false, true] {
        let mut queue = Queue::new(config(packets), &[JobId(7)]);
        queue.open_inlet(100);
        queue.open_outlet(1, JobId(7), ROOM, false);
        queue.space(100).expect("it is open")[..6].copy_from_slice(b"a\nb\nc\n");
        queue.filled(100, 6);
        assert!(queue.is_full());
        queue.distribute();
        queue.written(1, 6);
        assert_eq!((queue.held(), queue.is_full(), queue.is_wanted(1)), (0, packets, packets));
        // One that was read in part is still there.
        queue.set_unread(1, 5);
        assert_eq!(queue.is_full(), packets);
        queue.set_unread(1, 4);
        assert!(!queue.is_full() && !queue.is_wanted(1));
        queue.set_unread(1, 0);
        assert!(!queue.is_full());
    }
}
