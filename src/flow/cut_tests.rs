use std::rc::Rc;

use proptest::prelude::*;
use regex::bytes::RegexBuilder;

use super::cut::*;
use super::span::*;

fn rule(unit: Unit, per_record: usize, block: Option<Block>) -> Rule {
    Rule { unit, per_record, block }
}

fn ends(end: &str) -> Unit {
    Unit::Ends(end.as_bytes().to_vec())
}

fn starts(pattern: &str) -> Unit {
    let regex = RegexBuilder::new(pattern).multi_line(true).unicode(false).build();
    Unit::Starts(regex.expect("the pattern is one"))
}

fn between(end: &str, start: &str) -> Unit {
    Unit::Between { end: end.as_bytes().to_vec(), start: start.as_bytes().to_vec() }
}

/// Returns the records of a text that is read in pieces of at most these sizes, in turn.
fn cut(rule: &Rule, text: &[u8], sizes: &[usize], most: usize, whole: bool) -> Vec<String> {
    let mut cutter = Cutter::new(Rc::new(rule.clone()), within(most));
    let mut out = Vec::new();
    let (mut rest, mut sizes) = (text, sizes.iter().cycle());
    while !rest.is_empty() {
        let space = cutter.space();
        assert!(!space.is_empty() && space.len() <= most);
        let count = rest.len().min(space.len()).min(*sizes.next().unwrap_or(&most)).max(1);
        space[..count].copy_from_slice(&rest[..count]);
        cutter.filled(count, &mut out);
        rest = &rest[count..];
    }
    cutter.end(whole, &mut out);
    let mut records = Vec::new();
    for mut batch in out {
        while batch.records > 0 {
            let one = batch.split_off_front(1, rule.separator());
            assert_eq!(one.records, 1);
            records.push(String::from_utf8_lossy(&one.span).into_owned());
        }
    }
    records
}

#[track_caller]
fn check(rule: &Rule, text: &str, whole: bool, expected: &[&str]) {
    for most in [1, 2, 3, 5, 64] {
        assert_eq!(cut(rule, text.as_bytes(), &[most], most, whole), expected, "{text:?} by {most}");
    }
}

#[test]
fn records_that_end_with_something() {
    check(&rule(ends("\n"), 1, None), "a\n\nbc", true, &["a\n", "\n", "bc\n"]);
    check(&rule(ends("\n"), 1, None), "a\n\nbc", false, &["a\n", "\n"]);
    check(&rule(ends("--"), 1, None), "a--b---c", true, &["a--", "b--", "-c--"]);
    check(&rule(ends("\n"), 2, None), "a\nb\nc\nd", true, &["a\nb\n", "c\nd\n"]);
    check(&rule(ends("\n"), 2, None), "a\nb\nc\nd", false, &["a\nb\n", "c\n"]);
    check(&rule(ends("\n"), 1, None), "", true, &[]);
}

#[test]
fn records_that_begin_with_something() {
    check(&rule(starts("^>"), 1, None), ">a\nx\n>b\n>c", true, &[">a\nx\n", ">b\n", ">c"]);
    check(&rule(starts("^>"), 1, None), "head\n>a\n>b\n", true, &["head\n", ">a\n", ">b\n"]);
    check(&rule(starts("^>"), 1, None), ">a\n>b\nx", false, &[">a\n"]);
    check(&rule(starts("^>"), 2, None), ">a\n>b\n>c\n", true, &[">a\n>b\n", ">c\n"]);
    check(&rule(starts(r"\n\n"), 1, None), "a\n\nb\nc\n\nd", true, &["a", "\n\nb\nc", "\n\nd"]);
}

#[test]
fn records_between_an_end_and_a_beginning() {
    check(&rule(between("\n", ">"), 1, None), ">a\nx\n>b\n", true, &[">a\nx\n", ">b\n"]);
    check(&rule(between("\n", ">"), 1, None), ">a\n>b", false, &[">a\n"]);
    check(&rule(between("", ">"), 1, None), ">a>b", true, &[">a", ">b"]);
}

#[test]
fn records_of_so_many_bytes() {
    check(&rule(Unit::Bytes(3), 1, None), "abcdefgh", true, &["abc", "def", "gh"]);
    check(&rule(Unit::Bytes(3), 1, None), "abcdefgh", false, &["abc", "def"]);
    check(&rule(Unit::Bytes(3), 2, None), "abcdefgh", false, &["abcdef"]);
}

#[test]
fn blocks_are_as_full_as_whole_records_make_them() {
    let block = |bytes, records| Some(Block { bytes, records });
    for records in [usize::MAX, 1_000] {
        let lines = rule(ends("\n"), 1, block(6, records));
        check(&lines, "a\nbc\nd\ne", true, &["a\nbc\n", "d\ne"]);
        check(&lines, "a\nbc\nd\ne", false, &["a\nbc\n", "d\n"]);
        check(&lines, "a long one\nb\n", true, &["a long one\n", "b\n"]);
        check(&lines, "b\na long one\nb", true, &["b\n", "a long one\n", "b"]);
        check(&lines, "12345\n12345\n", true, &["12345\n", "12345\n"]);
    }
    check(&rule(ends("\n"), 1, block(usize::MAX, 2)), "a\nb\nc\nd\ne", true, &["a\nb\n", "c\nd\n", "e"]);
    check(
        &rule(ends("\n"), 2, block(8, usize::MAX)),
        "a\nb\nc\nd\ne\nf\n",
        true,
        &["a\nb\nc\nd\n", "e\nf\n"],
    );
    check(&rule(starts("^>"), 1, block(6, usize::MAX)), ">a\n>b\n>c\n", true, &[">a\n>b\n", ">c\n"]);
}

#[test]
fn many_records_stay_together() {
    let mut cutter = Cutter::new(Rc::new(rule(ends("\n"), 1, None)), within(64));
    let mut out: Vec<Batch> = Vec::new();
    let space = cutter.space();
    space[..60].copy_from_slice(&b"abcd\n".repeat(12));
    cutter.filled(60, &mut out);
    assert_eq!((out.len(), out[0].records, out[0].span.len()), (1, 12, 60));
    let front = out[0].split_off_front(11, Some(b'\n'));
    assert_eq!((front.records, front.span.len(), out[0].records), (3, 15, 9));
}

#[test]
fn a_long_record_is_searched_and_moved_once() {
    let mut cutter = Cutter::new(Rc::new(rule(ends("\n"), 1, None)), within(1000));
    let mut out: Vec<Batch> = Vec::new();
    for _ in 0..3_000 {
        let space = cutter.space();
        let count = space.len().min(1000);
        space[..count].fill(b'x');
        cutter.filled(count, &mut out);
    }
    cutter.space()[0] = b'\n';
    cutter.filled(1, &mut out);
    assert!(out.len() == 1 && out[0].span.len() > 1_500_000);
    assert!(cutter.space().len() <= 1000, "the long chunk went with its record");
}

fn unit() -> impl Strategy<Value = Unit> {
    prop_oneof![
        Just(ends("\n")),
        Just(ends("a\n")),
        Just(ends("aa")),
        Just(starts("^>")),
        Just(starts("a+b|>")),
        Just(between("\n", ">")),
        Just(between("", "a")),
        (1_usize..5).prop_map(Unit::Bytes),
    ]
}

proptest! {
    #[test]
    fn pieces_make_no_difference(
        text in prop::collection::vec(prop::sample::select(&b"ab>\n\n"[..]), 0..60),
        sizes in prop::collection::vec(1_usize..9, 1..6),
        most in 1_usize..20,
        unit in unit(),
        per_record in 1_usize..4,
        block in prop::option::of((1_usize..20, prop_oneof![Just(usize::MAX), 1_usize..5])),
        whole: bool,
    ) {
        let block = block.map(|(bytes, records)| Block { bytes, records });
        let rule = rule(unit, per_record, block);
        let records = cut(&rule, &text, &sizes, most, whole);
        prop_assert_eq!(&records, &cut(&rule, &text, &[1000], 1000, whole));
        let mut all = records.concat();
        if whole {
            if all.len() > text.len() {
                prop_assert!(all.as_bytes().ends_with(rule.ending()));
                all.truncate(text.len());
            }
            prop_assert_eq!(all.as_bytes(), text);
        } else {
            prop_assert!(text.starts_with(all.as_bytes()));
        }
    }
}

fn within(read: usize) -> Sizes {
    Sizes { read, record: 1 << 30, packets: false }
}

/// Returns the records, and why there are no more.
fn bounded(rule: Rule, text: &[u8], read: usize) -> (Vec<Vec<u8>>, Option<Broken>) {
    let mut cutter = Cutter::new(Rc::new(rule), Sizes { read, record: 10, packets: false });
    let mut out: Vec<Batch> = Vec::new();
    for piece in text.chunks(read) {
        cutter.space()[..piece.len()].copy_from_slice(piece);
        cutter.filled(piece.len(), &mut out);
    }
    let broken = cutter.broken();
    cutter.end(true, &mut out);
    (out.into_iter().map(|batch| batch.span.to_vec()).collect(), broken)
}

#[test]
fn a_record_that_is_too_long_ends_its_stream() {
    let lines = || rule(ends("\n"), 1, None);
    for read in [2, 5, 100] {
        for (text, whole) in [("a\n0123456789\nb", true), ("0123456789x\n", false), ("0123456789x", false)] {
            let (records, broken) = bounded(lines(), text.as_bytes(), read);
            assert_eq!(broken.is_none(), whole, "{text} by {read}");
            assert_eq!(records.concat() == [text.as_bytes(), b"\n"].concat(), whole, "{text} by {read}");
        }
        let endless = bounded(lines(), &[b'x'; 100_000], read);
        assert_eq!(endless, (Vec::new(), Some(Broken::TooLong)));
        let marks = bounded(rule(ends("--"), 1, None), b"0123456789x--", read);
        assert_eq!(marks, (Vec::new(), Some(Broken::TooLong)));
        let asked = bounded(rule(Unit::Bytes(20), 1, None), &[b'x'; 40], read);
        assert_eq!((asked.0.len(), asked.1), (2, None));
        let block = Some(Block { bytes: 20, records: usize::MAX });
        let blocks = bounded(rule(ends("\n"), 1, block), &b"012345\n".repeat(6), read);
        assert_eq!((blocks.0.concat().len(), blocks.1), (42, None));
    }
}

proptest! {
    /// The rest of a packet that does not fit into the buffer of a read is lost.
    #[test]
    fn there_is_always_room_for_a_packet(
        packets in prop::collection::vec((0usize..65, any::<bool>()), 0..60),
        most in 1usize..65,
    ) {
        let sizes = Sizes { packets: true, ..within(most) };
        let mut cutter = Cutter::new(Rc::new(rule(ends("\n"), 1, None)), sizes);
        let (mut out, mut text) = (Vec::new(), Vec::new());
        for (length, ends) in packets {
            let mut packet = vec![b'x'; length.min(most)];
            if let Some(last) = packet.last_mut().filter(|_| ends) {
                *last = b'\n';
            }
            let space = cutter.space();
            prop_assert_eq!(space.len(), most);
            space[..packet.len()].copy_from_slice(&packet);
            cutter.filled(packet.len(), &mut out);
            text.append(&mut packet);
        }
        cutter.end(true, &mut out);
        let whole = out.iter().map(|batch: &Batch| batch.span.to_vec()).collect::<Vec<_>>().concat();
        // A last record without an ending gets one.
        if text.last().is_some_and(|&last| last != b'\n') {
            text.push(b'\n');
        }
        prop_assert_eq!(whole, text);
    }
}
