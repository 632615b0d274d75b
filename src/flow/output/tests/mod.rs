use super::*;
use crate::event::{JobId, Place};

mod rows;
mod transfer;

fn lane(dest: Dest) -> LaneSpec {
    LaneSpec { dest, tag: None, escape: None, own: Own::Shared }
}

fn tagged(tag: &str) -> LaneSpec {
    LaneSpec { dest: Dest::Stdout, tag: Some(tag.as_bytes().into()), escape: None, own: Own::Shared }
}

/// Returns what was written so far as text, one string for each write.
fn written(outputs: &mut Outputs) -> Vec<String> {
    let text = |op| match op {
        Op::Write { bytes, .. } => String::from_utf8(bytes).unwrap(),
        other => format!("{other:?}"),
    };
    std::mem::take(&mut outputs.ops).into_iter().map(text).collect()
}

#[test]
fn a_group_comes_in_one_piece_at_the_end() {
    let mut outputs = Outputs::new(Framing::Lines);
    outputs.open(Place(0), vec![lane(Dest::Stdout)], Policy::Hold, None);
    outputs.open(Place(1), vec![lane(Dest::Stdout)], Policy::Hold, None);
    outputs.push(Place(0), 0, b"a");
    outputs.push(Place(1), 0, b"b\n");
    outputs.push(Place(0), 0, b"c\n");
    assert!(written(&mut outputs).is_empty());
    outputs.close(Place(1), vec![]);
    outputs.close(Place(0), vec![]);
    assert_eq!(written(&mut outputs), ["b\n", "ac\n"]);
}

#[test]
fn lines_flow_whole() {
    let mut outputs = Outputs::new(Framing::Lines);
    outputs.open(Place(0), vec![lane(Dest::Stdout)], Policy::Flow, None);
    outputs.push(Place(0), 0, b"one\ntw");
    outputs.push(Place(0), 0, b"o");
    assert_eq!(written(&mut outputs), ["one\n"]);
    outputs.push(Place(0), 0, b"\nthree");
    assert_eq!(written(&mut outputs), ["two\n"]);
    outputs.close(Place(0), vec![]);
    assert_eq!(written(&mut outputs), ["three"]);
}

#[test]
fn a_line_without_end_is_handed_on_in_pieces() {
    let mut outputs = Outputs::new(Framing::Lines);
    outputs.open(Place(0), vec![lane(Dest::Stdout)], Policy::Flow, None);
    let piece = vec![b'x'; 64 << 10];
    for _ in 0..100 {
        outputs.push(Place(0), 0, &piece);
    }
    outputs.close(Place(0), vec![]);
    let pieces = written(&mut outputs);
    assert!(pieces.len() > 2);
    assert_eq!(pieces.concat().len(), 100 * piece.len());
}

#[test]
fn order_is_that_of_the_items_and_the_first_flows() {
    let mut outputs = Outputs::new(Framing::Chunks);
    for seq in 1..=3 {
        outputs.open(Place(seq as u32), vec![lane(Dest::Stdout)], Policy::Hold, Some((JobId(0), seq)));
    }
    outputs.push(Place(3), 0, b"3");
    outputs.close(Place(3), vec![]);
    outputs.push(Place(2), 0, b"2");
    assert!(written(&mut outputs).is_empty());
    outputs.push(Place(1), 0, b"1");
    assert_eq!(written(&mut outputs), ["1"], "the first unfinished task flows live");
    outputs.close(Place(1), vec![]);
    assert_eq!(written(&mut outputs), ["2"], "the second has become the first");
    outputs.push(Place(2), 0, b"2");
    outputs.close(Place(2), vec![]);
    assert_eq!(written(&mut outputs), ["2", "3"]);
}

#[test]
fn a_task_that_never_ran_does_not_stop_the_order() {
    let mut outputs = Outputs::new(Framing::Chunks);
    outputs.open(Place(0), vec![lane(Dest::Stdout)], Policy::Hold, Some((JobId(0), 3)));
    outputs.push(Place(0), 0, b"3");
    outputs.ended((JobId(0), 2), vec![]);
    assert!(written(&mut outputs).is_empty());
    outputs.ended((JobId(0), 1), vec![]);
    assert_eq!(written(&mut outputs), ["3"]);
}

#[test]
fn a_retry_forgets_what_was_held_but_not_the_turn() {
    let mut outputs = Outputs::new(Framing::Chunks);
    outputs.open(Place(0), vec![lane(Dest::Stdout)], Policy::HoldStrictly, Some((JobId(0), 1)));
    outputs.push(Place(0), 0, b"bad");
    outputs.let_flow(Place(0));
    outputs.retry(Place(0));
    assert!(written(&mut outputs).is_empty());
    outputs.open(Place(0), vec![lane(Dest::Stdout)], Policy::Hold, Some((JobId(0), 1)));
    outputs.push(Place(0), 0, b"good");
    assert_eq!(written(&mut outputs), ["good"], "the last attempt is first in order");
}

#[test]
fn under_line_every_attempt_is_shown() {
    let mut outputs = Outputs::new(Framing::Lines);
    outputs.open(Place(0), vec![lane(Dest::Stdout)], Policy::Flow, None);
    outputs.push(Place(0), 0, b"first\nhalf");
    outputs.retry(Place(0));
    assert_eq!(written(&mut outputs), ["first\n", "half"]);
}

#[test]
fn what_is_held_beyond_the_limit_is_spilled_and_comes_back_in_order() {
    let mut outputs = Outputs::new(Framing::Chunks);
    outputs.open(Place(0), vec![lane(Dest::Stdout)], Policy::Hold, None);
    outputs.push(Place(0), 0, &vec![b'x'; 3 << 20]);
    outputs.push(Place(0), 0, b"tail");
    outputs.close(Place(0), vec![]);
    let ops = std::mem::take(&mut outputs.ops);
    assert!(matches!(&ops[0], Op::Spill { spill: 1, bytes } if bytes.len() == 3 << 20));
    assert_eq!(ops[1], Op::Replay { dest: Dest::Stdout, spill: 1, len: 3 << 20 });
    assert_eq!(ops[2], Op::Write { dest: Dest::Stdout, bytes: b"tail".to_vec() });
}

#[test]
fn a_spilled_attempt_that_is_retried_is_dropped() {
    let mut outputs = Outputs::new(Framing::Chunks);
    outputs.open(Place(0), vec![lane(Dest::Stdout)], Policy::Hold, None);
    outputs.push(Place(0), 0, &vec![b'x'; 3 << 20]);
    outputs.retry(Place(0));
    assert_eq!(outputs.ops.last(), Some(&Op::Drop { spill: 1 }));
    assert_eq!(outputs.ops.len(), 2, "nothing of it is shown");
}

#[test]
fn each_line_has_its_tag_once_however_it_is_cut() {
    let mut outputs = Outputs::new(Framing::Lines);
    outputs.open(Place(0), vec![tagged("t\t")], Policy::Flow, None);
    for piece in ["a\nb", "c", "\n", "d"] {
        outputs.push(Place(0), 0, piece.as_bytes());
    }
    outputs.close(Place(0), vec![]);
    assert_eq!(written(&mut outputs).concat(), "t\ta\nt\tbc\nt\td");
}

#[test]
fn letting_flow_releases_what_was_held() {
    let mut outputs = Outputs::new(Framing::Chunks);
    outputs.open(Place(0), vec![lane(Dest::Stdout), lane(Dest::Stderr)], Policy::Hold, None);
    outputs.push(Place(0), 0, b"one");
    outputs.let_flow(Place(0));
    assert_eq!(written(&mut outputs), ["one"]);
    outputs.push(Place(0), 0, b"two");
    assert_eq!(written(&mut outputs), ["two"]);
}

#[test]
fn lines_of_earlier_attempts_wait_for_their_turn_too() {
    let mut outputs = Outputs::new(Framing::Chunks);
    outputs.open(Place(1), vec![lane(Dest::Stdout)], Policy::Flow, Some((JobId(0), 1)));
    outputs.open(Place(2), vec![lane(Dest::Stdout)], Policy::Flow, Some((JobId(0), 2)));
    outputs.push(Place(2), 0, b"2, first attempt\n");
    outputs.retry(Place(2));
    assert!(written(&mut outputs).is_empty(), "it is not its turn");
    outputs.open(Place(2), vec![lane(Dest::Stdout)], Policy::Flow, Some((JobId(0), 2)));
    outputs.push(Place(2), 0, b"2, second\n");
    outputs.push(Place(1), 0, b"1\n");
    outputs.close(Place(1), vec![]);
    assert_eq!(written(&mut outputs), ["1\n", "2, first attempt\n", "2, second\n"]);
    outputs.retry(Place(2));
    outputs.ended((JobId(0), 2), vec![]);
    outputs.open(Place(3), vec![lane(Dest::Stdout)], Policy::Flow, Some((JobId(0), 3)));
    outputs.push(Place(3), 0, b"3\n");
    assert_eq!(written(&mut outputs), ["3\n"], "nobody is waited for any more");
}

#[test]
fn a_group_shows_only_the_last_attempt_also_in_order() {
    let mut outputs = Outputs::new(Framing::Chunks);
    outputs.open(Place(1), vec![lane(Dest::Stdout)], Policy::Hold, Some((JobId(0), 1)));
    outputs.open(Place(2), vec![lane(Dest::Stdout)], Policy::HoldStrictly, Some((JobId(0), 2)));
    outputs.push(Place(2), 0, b"first");
    outputs.retry(Place(2));
    outputs.open(Place(2), vec![lane(Dest::Stdout)], Policy::Hold, Some((JobId(0), 2)));
    outputs.push(Place(2), 0, b"last");
    outputs.close(Place(2), vec![]);
    outputs.close(Place(1), vec![]);
    assert_eq!(written(&mut outputs), ["last"]);
}

#[test]
fn a_line_stays_whole_when_it_begins_to_flow() {
    for len in [0, 2 << 20] {
        let mut outputs = Outputs::new(Framing::Lines);
        let spec = [lane(Dest::Stdout)];
        outputs.open(Place(0), spec.to_vec(), Policy::Flow, None);
        outputs.open(Place(1), spec.to_vec(), Policy::Hold, Some((JobId(1), 1)));
        outputs.open(Place(2), spec.to_vec(), Policy::Hold, Some((JobId(1), 2)));
        outputs.push(Place(2), 0, &b"whole\n".repeat(len / 6));
        outputs.push(Place(2), 0, b"not ");
        written(&mut outputs);
        outputs.close(Place(1), vec![]);
        outputs.push(Place(0), 0, b"another's\n");
        outputs.push(Place(2), 0, b"mixed\n");
        outputs.close(Place(2), vec![]);
        let (mut spilled, mut seen) = (0, Vec::new());
        for op in std::mem::take(&mut outputs.ops) {
            match op {
                Op::Replay { len, .. } => spilled += len,
                Op::Write { bytes, .. } => seen.push(String::from_utf8(bytes).unwrap()),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(spilled % 6, 0, "whole lines are spilled");
        assert_eq!(seen[seen.len() - 2..], ["another's\n", "not mixed\n"]);
    }
}

#[test]
fn a_file_of_ones_own_need_not_wait() {
    let mut outputs = Outputs::new(Framing::Lines);
    let own = LaneSpec { dest: Dest::File(7), tag: None, escape: None, own: Own::Attempt(Framing::Chunks) };
    outputs.open(Place(1), vec![lane(Dest::Stdout)], Policy::Hold, Some((JobId(0), 1)));
    outputs.open(Place(2), vec![lane(Dest::Stdout), own], Policy::Hold, Some((JobId(0), 2)));
    outputs.push(Place(2), 1, b"no line");
    assert_eq!(written(&mut outputs), ["no line"]);
    outputs.close(Place(2), vec![]);
    assert_eq!(written(&mut outputs), ["Close { dest: File(7) }"], "nor stays it open");
}

#[test]
fn a_file_of_one_task_keeps_all_attempts_as_whole_lines() {
    let mut outputs = Outputs::new(Framing::Chunks);
    for (policy, bytes) in
        [(Policy::HoldStrictly, &[b"fir".as_slice(), b"st\nrest"][..]), (Policy::Hold, &[b" second"])]
    {
        let own = LaneSpec { dest: Dest::File(7), tag: None, escape: None, own: Own::Task };
        outputs.open(Place(1), vec![lane(Dest::Stdout), own], policy, None);
        bytes.iter().for_each(|bytes| outputs.push(Place(1), 1, bytes));
        outputs.push(Place(1), 0, b"shown");
        outputs.let_flow(Place(1));
        match policy {
            Policy::HoldStrictly => outputs.retry(Place(1)),
            _ => outputs.close(Place(1), vec![]),
        }
    }
    assert_eq!(written(&mut outputs), ["first\n", "rest", "shown", " second"]);
    assert_eq!(outputs.kept(), 0);
}

fn for_hook() -> LaneSpec {
    lane(Dest::Hook)
}

#[test]
fn a_hook_gets_what_its_task_wrote_and_stands_behind_it() {
    let mut outputs = Outputs::new(Framing::Lines);
    outputs.open(Place(0), vec![lane(Dest::Stdout), for_hook()], Policy::Hold, None);
    for at in [0, 1] {
        outputs.push(Place(0), at, b"task");
    }
    let (kept, first) = outputs.begin_hook(Place(0), vec![lane(Dest::Stdout)]);
    assert_eq!((kept, first), (KeptForHook::Memory(b"task".to_vec()), 1));
    assert!(written(&mut outputs).is_empty(), "a group stays together");
    outputs.push(Place(0), first, b" and hook\n");
    outputs.close(Place(0), vec![]);
    assert_eq!(written(&mut outputs), ["task", " and hook\n"]);
    assert_eq!(outputs.kept(), 0);
}

#[test]
fn before_a_hook_flowing_output_is_handed_on_to_its_last_byte() {
    let mut outputs = Outputs::new(Framing::Lines);
    outputs.open(Place(0), vec![lane(Dest::Stdout), for_hook()], Policy::Flow, None);
    for at in [0, 1] {
        outputs.push(Place(0), at, b"one\ntw");
    }
    assert_eq!(written(&mut outputs), ["one\n"], "what is kept for the hook does not flow");
    let (kept, first) = outputs.begin_hook(Place(0), vec![lane(Dest::Stdout)]);
    assert_eq!((kept, first), (KeptForHook::Memory(b"one\ntw".to_vec()), 0));
    outputs.push(Place(0), first, b"hook\n");
    assert_eq!(written(&mut outputs), ["tw", "hook\n"]);
}

#[test]
fn without_a_hook_nothing_is_left_of_what_was_kept_for_it() {
    let mut outputs = Outputs::new(Framing::Lines);
    let much = vec![b'x'; 2 << 20];
    for retried in [true, false] {
        outputs.open(Place(0), vec![for_hook()], Policy::Flow, None);
        outputs.push(Place(0), 0, &much);
        outputs.push(Place(0), 0, b"more");
        if retried {
            outputs.retry(Place(0))
        } else {
            outputs.close(Place(0), vec![])
        }
        let ops = std::mem::take(&mut outputs.ops);
        assert!(matches!(ops[..], [Op::Spill { .. }, Op::Drop { .. }]), "{}", ops.len());
    }
    assert_eq!(outputs.kept(), 0);
}

#[test]
fn much_output_reaches_its_hook_through_a_file() {
    let mut outputs = Outputs::new(Framing::Lines);
    outputs.open(Place(0), vec![for_hook()], Policy::Hold, None);
    let much = vec![b'x'; 2 << 20];
    outputs.push(Place(0), 0, &much);
    outputs.push(Place(0), 0, b"rest");
    let (kept, _) = outputs.begin_hook(Place(0), Vec::new());
    let ops = std::mem::take(&mut outputs.ops);
    let [Op::Spill { spill, bytes }, Op::Spill { spill: same, bytes: rest }] = &ops[..] else {
        panic!("{} operations", ops.len())
    };
    assert_eq!(
        (kept, spill, bytes.len(), &rest[..]),
        (KeptForHook::Spilled(*same), same, much.len(), &b"rest"[..])
    );
}

#[test]
fn at_a_jobs_end_nobody_waits_for_tasks_that_never_were() {
    let mut outputs = Outputs::new(Framing::Lines);
    for (key, seq) in [(0, 3), (1, 5)] {
        outputs.open(Place(key), vec![lane(Dest::Stdout)], Policy::Hold, Some((JobId(7), seq)));
        outputs.push(Place(key), 0, format!("{seq}\n").as_bytes());
    }
    outputs.close(Place(1), vec![]);
    outputs.close(Place(0), vec![]);
    assert!(written(&mut outputs).is_empty());
    outputs.job_ended(JobId(7));
    assert_eq!(written(&mut outputs), ["3\n", "5\n"]);
}
