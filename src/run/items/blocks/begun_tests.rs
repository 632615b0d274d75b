//! Blocks that are given while they come are those that the simple way finds.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use proptest::prelude::*;

use super::begun::Part;
use super::stream::{PIECE, StreamBlocks};
use super::*;
use crate::event::Place;
use crate::flow::blocks::{Cutter, Shape};
use crate::os::io::set_nonblocking;
use crate::sched::TaskId;

/// Cuts `text` the simple way.
fn simple(text: &[u8], bytes: usize, recend: &[u8]) -> Vec<Vec<u8>> {
    let (mut blocks, mut start) = (Vec::new(), 0);
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with(recend) {
            at += recend.len();
            if at - start >= bytes {
                blocks.push(text[start..at].to_vec());
                start = at;
            }
        } else {
            at += 1;
        }
    }
    blocks.extend((start < text.len()).then(|| text[start..].to_vec()));
    blocks
}

/// Returns lines of up to `longest` bytes, `length` bytes in all, perhaps without a last newline.
fn lines(length: usize, longest: usize, mut seed: u64) -> Vec<u8> {
    let mut text = Vec::with_capacity(length + longest);
    while text.len() < length {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let line = (seed >> 33) as usize % longest;
        text.extend((0..line).map(|at| b'a' + ((seed >> 40) as usize + at) as u8 % 26));
        text.push(b'\n');
    }
    text.truncate(length);
    text
}

fn wait_for(fd: std::os::fd::BorrowedFd) {
    poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::from(100u8)).unwrap();
}

/// Takes all blocks of what comes through `input`. The choices say how long the task of a block is waited for, and when
/// it reads.
fn taken(input: OwnedFd, shape: Shape, choices: &[u8]) -> (Vec<Vec<u8>>, usize) {
    let mut blocks = Blocks {
        tasks_left: u64::MAX,
        cutter: Cutter::new(shape, 64 << 20),
        most: 64 << 20,
        blocks: 0,
        source: BlockSource::Stream(StreamBlocks::new(File::from(input)).unwrap()),
        name: "stdin".to_owned(),
        taker: None,
        returned: Vec::new(),
        ended: false,
        begun: None,
        begins: true,
        failure: None,
    };
    let mut choices = choices.iter().copied().cycle();
    let mut choose = move |of: u8| choices.next().unwrap() % of;
    let (mut all, mut begun) = (Vec::new(), 0);
    loop {
        match blocks.pull() {
            Pulled::Block(TaskBlock::Whole(Block::Bytes(bytes, length))) => {
                all.push(bytes[..length].to_vec());
            }
            Pulled::Block(TaskBlock::Begun(block)) => {
                begun += 1;
                all.push(follow(&mut blocks, &block, &mut choose));
            }
            Pulled::End => return (all, begun),
            Pulled::Wait => wait_for(blocks.fd().unwrap()),
            Pulled::Again => {}
            _ => panic!("no other answer is possible"),
        }
    }
}

/// Takes one block that was begun.
fn follow(blocks: &mut Blocks, block: &Rc<BegunBlock>, choose: &mut impl FnMut(u8) -> u8) -> Vec<u8> {
    // Before its task runs, the rest is collected for some time, as long as no other block is asked for.
    for _ in 0..choose(3) {
        if block.is_complete() {
            break;
        }
        match blocks.next_part(None, PIECE) {
            Part::More(part) => block.push(part),
            Part::Last(part) => part.into_iter().for_each(|part| block.push(part)),
            Part::Wait => {}
            _ => panic!("nothing is given before it is complete"),
        }
    }
    let mut got = Vec::new();
    block.parts().iter().for_each(|part| extend(&mut got, part));
    block.set_taker(TaskId { place: Place(0), generation: 1 });
    assert!(block.parts().is_empty());
    let (mut reader, writer) = std::io::pipe().unwrap();
    set_nonblocking(writer.as_fd()).unwrap();
    set_nonblocking(reader.as_fd()).unwrap();
    let mut buffer = vec![0; 1 << 20];
    while !block.is_complete() {
        assert!(blocks.pull_begun().is_some(), "nobody gets another block before");
        // What is in the pipe goes before what is given by hand.
        if choose(2) == 0
            && let Ok(count) = reader.read(&mut buffer)
        {
            got.extend_from_slice(&buffer[..count]);
        }
        let is_empty = crate::os::io::unread(reader.as_fd()) == 0;
        let is_spliced = !is_empty || choose(4) > 0;
        let next = blocks.next_part(is_spliced.then_some(writer.as_fd()), PIECE);
        if let Part::More(_) | Part::Last(_) = &next {
            while let Ok(count) = reader.read(&mut buffer) {
                got.extend_from_slice(&buffer[..count]);
            }
        }
        match next {
            Part::More(part) | Part::Last(Some(part)) => extend(&mut got, &part),
            Part::Spliced | Part::Last(None) => {}
            Part::Wait => wait_for(blocks.fd().unwrap()),
            Part::Fault(why) => panic!("{why}"),
        }
    }
    while let Ok(count) = reader.read(&mut buffer) {
        got.extend_from_slice(&buffer[..count]);
    }
    got
}

fn extend(got: &mut Vec<u8>, part: &Block) {
    let Block::Bytes(bytes, length) = part else { panic!("parts of a stream are in memory") };
    got.extend_from_slice(&bytes[..*length]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn begun_blocks_are_those_that_the_simple_way_finds(
        length in 0usize..3_000_000, longest in 1usize..200_000, seed in any::<u64>(),
        bytes in 1usize..900_000, two in any::<bool>(), write in 1usize..200_000,
        choices in proptest::collection::vec(any::<u8>(), 1..40),
    ) {
        let recend: &[u8] = if two { b"z\n" } else { b"\n" };
        let text = lines(length, longest, seed);
        let (reader, mut writer) = std::io::pipe().unwrap();
        let shape = Shape::new(recend, b"", 1, bytes, usize::MAX);
        let sent = text.clone();
        let writing = std::thread::spawn(move || {
            sent.chunks(write).for_each(|chunk| writer.write_all(chunk).unwrap());
        });
        let (blocks, _) = taken(reader.into(), shape, &choices);
        writing.join().unwrap();
        let simple = simple(&text, bytes, recend);
        prop_assert!(blocks == simple, "{} blocks, {} the simple way", blocks.len(), simple.len());
    }
}

#[test]
fn big_blocks_are_begun_and_small_or_counted_ones_are_collected() {
    let begun = |bytes, records| {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let writing = std::thread::spawn(move || writer.write_all(&lines(3_000_000, 80, 1)).unwrap());
        let (blocks, begun) = taken(reader.into(), Shape::new(b"\n", b"", 1, bytes, records), &[1, 0, 3]);
        writing.join().unwrap();
        assert!(blocks.len() > 1);
        begun
    };
    assert!(begun(1 << 20, usize::MAX) > 0);
    assert_eq!(begun(10_000, usize::MAX), 0, "the end of each is near");
    assert_eq!(begun(1 << 20, 1000), 0, "each record has to be looked at");
}
