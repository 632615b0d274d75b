//! A task's output as columns of a row.

use super::*;

fn column(escape: Escape) -> LaneSpec {
    LaneSpec { dest: Dest::File(1), tag: None, escape: Some(escape), own: Own::Shared }
}

fn row(before: &str) -> Row {
    Row { dest: Dest::File(1), before: before.into(), between: b"\",\"".into(), behind: b"\"\n".into() }
}

#[test]
fn what_a_task_wrote_becomes_columns_of_its_row() {
    let mut outputs = Outputs::new(Framing::Lines);
    let columns = || vec![column(Escape::Doubled), column(Escape::Doubled)];
    outputs.open(Place(0), columns(), Policy::HoldStrictly, None);
    outputs.push(Place(0), 1, b"e\n");
    outputs.push(Place(0), 0, b"a \"b\"\n");
    outputs.let_flow(Place(0));
    outputs.make_row(Place(0), row("1,\""));
    outputs.close(Place(0), vec![]);
    // A task that could not be started has no lanes.
    outputs.open(Place(0), vec![], Policy::HoldStrictly, None);
    outputs.make_row(Place(0), row("2,\""));
    outputs.close(Place(0), vec![]);
    // Only one of the two lanes.
    outputs.open(Place(0), vec![column(Escape::Json)], Policy::HoldStrictly, None);
    outputs.push(Place(0), 0, b"\xc3");
    outputs.make_row(Place(0), row("3,\""));
    outputs.close(Place(0), vec![]);
    // No row is wanted.
    outputs.open(Place(0), columns(), Policy::HoldStrictly, None);
    outputs.push(Place(0), 0, b"x");
    outputs.discard(Place(0));
    outputs.close(Place(0), vec![]);
    assert_eq!(
        written(&mut outputs),
        ["1,\"a \"\"b\"\"\n\",\"e\n\"\n", "2,\"\",\"\"\n", "3,\"\u{fffd}\",\"\"\n"]
    );
    assert_eq!(outputs.kept(), 0);
}

#[test]
fn rows_come_in_order_and_without_earlier_attempts() {
    let mut outputs = Outputs::new(Framing::Chunks);
    for (key, seq) in [(0, 1), (1, 2)] {
        outputs.open(Place(key), vec![column(Escape::Doubled)], Policy::HoldStrictly, Some((JobId(0), seq)));
    }
    outputs.push(Place(1), 0, b"two");
    outputs.make_row(Place(1), row("2,\""));
    outputs.close(Place(1), vec![Op::Log { log: Log::Joblog, bytes: b"2".into() }]);
    outputs.push(Place(0), 0, b"first attempt");
    outputs.retry(Place(0));
    outputs.open(Place(0), vec![column(Escape::Doubled)], Policy::HoldStrictly, Some((JobId(0), 1)));
    outputs.push(Place(0), 0, b"one");
    assert!(written(&mut outputs).is_empty());
    outputs.make_row(Place(0), row("1,\""));
    outputs.close(Place(0), vec![]);
    let all = written(&mut outputs);
    assert_eq!(all[..2], ["1,\"one\",\"\"\n", "2,\"two\",\"\"\n"]);
    assert!(all.len() == 3 && all[2].starts_with("Log"), "{all:?}");
    assert_eq!(outputs.kept(), 0);
}

#[test]
fn big_columns_are_spilled_escaped() {
    let mut outputs = Outputs::new(Framing::Chunks);
    outputs.open(
        Place(0),
        vec![column(Escape::Doubled), column(Escape::Doubled)],
        Policy::HoldStrictly,
        None,
    );
    let piece = [b"\"".repeat(40_000), vec![b'\n']].concat();
    for _ in 0..20 {
        outputs.push(Place(0), 0, &piece);
        outputs.push(Place(0), 1, &piece);
    }
    outputs.make_row(Place(0), row("1,\""));
    outputs.close(Place(0), vec![]);
    let (mut spilled, mut file) = (std::collections::BTreeMap::<_, Vec<u8>>::new(), Vec::new());
    for op in std::mem::take(&mut outputs.ops) {
        match op {
            Op::Spill { spill, bytes } => spilled.entry(spill).or_default().extend(bytes),
            Op::Replay { spill, len, .. } => {
                let bytes = spilled.remove(&spill).unwrap();
                assert_eq!(bytes.len() as u64, len);
                file.extend(bytes);
            }
            Op::Write { bytes, .. } => file.extend(bytes),
            other => panic!("{other:?}"),
        }
    }
    let doubled = [b"\"".repeat(80_000), vec![b'\n']].concat().repeat(20);
    assert!(file == [b"1,\"", doubled.as_slice(), b"\",\"", doubled.as_slice(), b"\"\n"].concat());
    assert_eq!((outputs.kept(), spilled.len()), (0, 0));
}
