use super::*;

const MIB: usize = 1 << 20;

/// Returns what is to be done so far, with a length in place of bytes.
fn done(outputs: &mut Outputs) -> Vec<String> {
    let text = |op| match op {
        Op::Write { bytes, .. } if bytes.len() > 9 => format!("write {}", bytes.len()),
        Op::Write { bytes, .. } => format!("write {:?}", String::from_utf8(bytes).unwrap()),
        Op::Spill { bytes, .. } => format!("spill {}", bytes.len()),
        Op::Replay { len, .. } => format!("replay {len}"),
        Op::Transfer { .. } => "transfer".into(),
        Op::Recall { .. } => "recall".into(),
        Op::Drop { .. } => "drop".into(),
        Op::Log { .. } | Op::Close { .. } => "other".into(),
    };
    std::mem::take(&mut outputs.ops).into_iter().map(text).collect()
}

/// Two tasks, the second of which has spilled and keeps the beginning of a line.
fn two(order: bool, spec: LaneSpec) -> Outputs {
    let mut outputs = Outputs::new(Framing::Chunks);
    for seq in 1..=2 {
        let order = order.then_some((JobId(0), seq));
        outputs.open(Place(seq as u32), vec![spec.clone()], Policy::Hold, order);
    }
    outputs.push(Place(2), 0, &[b'\n'; MIB]);
    outputs.push(Place(2), 0, b"half");
    assert!(outputs.ops.len() == 1 && matches!(outputs.ops[0], Op::Spill { .. }));
    outputs.ops.clear();
    outputs
}

#[test]
fn held_bytes_go_to_the_file_before_those_that_are_transferred() {
    let mut outputs = two(false, lane(Dest::Stdout));
    let spill = outputs.begin_transfer(Place(2), 0).expect("it is held on disk");
    assert_eq!(done(&mut outputs), ["spill 4", "transfer"]);
    assert_eq!(outputs.kept(), 0);
    assert_eq!(outputs.begin_transfer(Place(2), 0), None, "one at a time");
    outputs.transferred(Place(2), 0, 1000);
    outputs.push(Place(2), 0, b"end");
    assert_eq!(outputs.begin_transfer(Place(2), 0), Some(spill), "and again");
    outputs.transferred(Place(2), 0, 0);
    outputs.push(Place(2), 0, b".");
    outputs.close(Place(2), vec![]);
    let end = format!("replay {}", MIB + 4 + 1000 + 3);
    assert_eq!(done(&mut outputs), ["spill 3", "transfer", &end, "write \".\""]);
}

#[test]
fn a_task_that_is_to_flow_gets_its_transfer_back_first() {
    let mut outputs = two(true, lane(Dest::Stdout));
    outputs.begin_transfer(Place(2), 0).unwrap();
    outputs.ops.clear();
    outputs.close(Place(1), vec![]);
    assert_eq!(done(&mut outputs), ["recall"]);
    outputs.transferred(Place(2), 0, 6);
    assert_eq!(done(&mut outputs), [format!("replay {}", MIB + 10)]);
    assert!(!outputs.can_transfer(Place(2), 0), "it flows");
    outputs.push(Place(2), 0, b"live");
    assert_eq!(done(&mut outputs), ["write \"live\""]);
}

#[test]
fn an_attempt_that_is_not_shown_is_dropped_with_what_was_transferred() {
    let mut outputs = two(false, lane(Dest::Stdout));
    outputs.begin_transfer(Place(2), 0).unwrap();
    outputs.ops.clear();
    outputs.transferred(Place(2), 0, 6);
    outputs.retry(Place(2));
    assert_eq!(done(&mut outputs), ["drop"]);
}

#[test]
fn only_bytes_that_wait_unchanged_on_disk_are_transferred() {
    assert!(two(false, lane(Dest::Stdout)).can_transfer(Place(2), 0));
    assert!(two(false, lane(Dest::Hook)).can_transfer(Place(2), 0));
    assert!(!two(false, lane(Dest::Stdout)).can_transfer(Place(1), 0), "nothing on disk");
    assert!(!two(false, lane(Dest::Stdout)).can_transfer(Place(3), 0), "no such task");
    assert!(!two(false, lane(Dest::Stdout)).can_transfer(Place(2), 1), "no such lane");
    assert!(!two(false, tagged("")).can_transfer(Place(2), 0), "lines are tagged");
    let escaped = LaneSpec { escape: Some(Escape::Doubled), ..lane(Dest::Stdout) };
    assert!(!two(false, escaped).can_transfer(Place(2), 0), "quotes are doubled");
    let mut lines = Outputs::new(Framing::Lines);
    lines.open(Place(2), vec![lane(Dest::Stdout)], Policy::Hold, None);
    lines.push(Place(2), 0, &[b'\n'; MIB]);
    assert!(!lines.can_transfer(Place(2), 0), "lines of several jobs must stay whole");
}
