//! A whole journal, cut and changed at every byte.

use super::super::contents::Contents;
use super::*;

/// 20 lines: most tasks ended ok, some failed, some did both.
fn twenty() -> Vec<Vec<u8>> {
    let outcomes = [Outcome::Ok, Outcome::Failed(1), Outcome::Ok, not_started(), Outcome::Ok];
    let entries = (0..20).map(|at| entry(at % 13, outcomes[(at % 5) as usize].clone()));
    entries.map(|entry| line(&entry)).collect()
}

fn contents(bytes: &[u8]) -> Contents {
    Contents::read(bytes).expect("memory can be read")
}

/// Returns what these lines say, all of them whole.
fn said<'a>(lines: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<(bool, bool)> {
    let bytes: Vec<u8> = lines.into_iter().flatten().copied().collect();
    let contents = contents(&bytes);
    assert_eq!(contents.ignored(), [""; 0]);
    outcomes_of(&contents.past)
}

#[test]
fn cut_at_every_byte() {
    let lines = twenty();
    let bytes = lines.concat();
    let mut ends = lines.iter().scan(0, |end, line| {
        *end += line.len();
        Some(*end)
    });
    let (mut whole, mut before, mut next) = (0, 0, ends.next());
    for cut in 0..=bytes.len() {
        if next == Some(cut) {
            (whole, before, next) = (whole + 1, cut, ends.next());
        }
        let contents = contents(&bytes[..cut]);
        assert!(contents.is_journal, "cut at {cut}");
        assert_eq!(outcomes_of(&contents.past), said(&lines[..whole]), "cut at {cut}");
        assert_eq!((contents.scanned.whole, contents.scanned.torn), (before as u64, (cut - before) as u64));
        let expected: Vec<String> = match cut - before {
            0 => vec![],
            torn => vec![format!("its last line was cut short after {torn} bytes")],
        };
        assert_eq!(contents.ignored(), expected, "cut at {cut}");
    }
    assert_eq!((whole, before), (20, bytes.len()));
}

/// Returns all lines, with one byte of line `number` (from 0) changed.
fn changed(lines: &[Vec<u8>], number: usize, at: usize, to: u8) -> Vec<u8> {
    let mut lines = lines.to_vec();
    lines[number][at] = to;
    lines.concat()
}

#[test]
fn changed_at_every_byte() {
    let lines = twenty();
    for number in 0..lines.len() {
        let without = |left_out: usize| {
            let kept = |(at, line)| (at != number && at != left_out).then_some(line);
            said(lines.iter().enumerate().filter_map(kept))
        };
        let (expected, joined) = (without(number), without(number + 1));
        let last = number + 1 == lines.len();
        let len = lines[number].len();
        for at in 0..len {
            let byte = lines[number][at];
            for to in [byte ^ 1, byte ^ 0x20, byte ^ 0x80, !byte, 0, b'\n'] {
                let contents = contents(&changed(&lines, number, at, to));
                let case = format!("line {}, byte {at} of {len}: {byte} to {to}", number + 1);
                assert!(contents.is_journal, "{case}");
                let wound = match () {
                    () if to == byte => continue,
                    // Its newline is gone, so it is one line with the next.
                    () if at + 1 == len && last => format!("its last line was cut short after {len} bytes"),
                    () if at + 1 < len && to == b'\n' => {
                        format!("lines {}, {} are damaged", number + 1, number + 2)
                    }
                    () => format!("line {} is damaged", number + 1),
                };
                assert_eq!(contents.ignored(), [wound], "{case}");
                let expected = if at + 1 == len { &joined } else { &expected };
                assert_eq!(&outcomes_of(&contents.past), expected, "{case}");
            }
        }
    }
}

#[test]
fn many_damaged_lines_are_counted() {
    let mut lines = twenty();
    lines[1..15].iter_mut().for_each(|line| line[9] ^= 1);
    assert_eq!(contents(&lines.concat()).ignored(), ["lines 2, 3, 4, 5, 6 and 9 more are damaged"]);
}

#[test]
fn whose_file_it_is() {
    let [first, second] = [line(&entry(1, Outcome::Ok)), line(&entry(2, Outcome::Ok))];
    let mut broken = first.clone();
    broken[3] ^= 1;
    let is_journal = |bytes: &[u8]| contents(bytes).is_journal;
    assert!(is_journal(b"") && is_journal(b"{\"pru") && is_journal(b"\0\0\0") && is_journal(&first[..50]));
    assert!(is_journal(&[&broken[..], &second].concat()));
    assert!(
        !is_journal(b"\n") && !is_journal(b"text") && !is_journal(b"text\n") && !is_journal(b"{\"a\":1}\n")
    );
    assert!(!is_journal(&broken) && !is_journal(b"Seq\tHost\n{\"prun\":"));
}

#[test]
fn lines_without_end_are_not_kept() {
    // More than the longest line, without a file or memory that is as long.
    use std::io::{BufReader, Read, repeat};
    let long = |len: u64| repeat(b'x').take(len).chain(&b"\n"[..]).chain(repeat(b'y').take(len));
    let len = (64 << 20) + 5;
    let scanned = super::super::scan::lines(BufReader::with_capacity(1 << 20, long(len)), |number, line| {
        assert_eq!((number, line.len()), (1, 64 << 20));
    });
    let scanned = scanned.unwrap();
    assert_eq!((scanned.whole, scanned.torn, scanned.tail.len()), (len + 1, len, 8));
}
