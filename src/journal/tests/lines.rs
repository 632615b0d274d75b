//! Lines of the journal.

use proptest::prelude::*;

use super::super::Past;
use super::super::entry::Damage;
use super::super::entry::{Verdict, verdict};
use super::*;
use crate::event::Usage;

fn usage(user: u64, system: u64, memory: u64) -> Usage {
    Usage { user: Duration::from_micros(user), system: Duration::from_micros(system), memory }
}

#[test]
fn lines_of_earlier_versions_know_nothing_of_what_was_used() {
    let mut used = entry(1, Outcome::Ok);
    used.usage = Some(usage(3, 4, 5));
    let text = String::from_utf8(line(&used)).unwrap();
    assert!(text.contains(r#","user":3e-6,"system":4e-6,"memory":5,"#), "{text}");
    assert_eq!(Entry::parse(text.trim_end().as_bytes()), Ok(used));
    let older = resummed(|body| body);
    assert!(!String::from_utf8_lossy(&older).contains("user"));
    assert_eq!(Entry::parse(&older).map(|entry| entry.usage), Ok(None));
}

#[test]
fn the_form_of_a_line() {
    let mut failed = entry(0xab, Outcome::Failed(22));
    failed.tasks.push(Known { key: Key(1), nth: 7 });
    failed.usage = Some(usage(3_000, 1_234, 5 << 20));
    let text = String::from_utf8(line(&failed)).unwrap();
    let expected = concat!(
        r#"{"prun":1,"job":"fetch","seq":171,"item":"a b","outcome":"failed","exit":22,"attempts":1,"#,
        r#""started":1795270289.180123,"elapsed":0.004212,"user":0.003,"system":0.001234,"memory":5242880,"#,
        r#""received":18,"command":"curl 'a b'","#,
        r#""run":"64b-1f2","tasks":["00000000000000ab00000000000000ab.1","00000000000000000000000000000001.7"],"#,
        r#""sum":""#
    );
    assert_eq!(&text[..expected.len()], expected);
    assert!(text.ends_with("\"}\n"), "{text}");
    // Any JSON parser reads it.
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["sum"].as_str().unwrap().len(), 16);
    // The CRC-64/XZ of "123456789" is known.
    assert_eq!(super::super::entry::sum(b"123456789"), 0x995d_c9bb_df19_39fa);
}

#[test]
fn every_outcome_has_its_word() {
    let cases = [
        (Outcome::Ok, r#""outcome":"ok","attempts""#, Verdict::Ok),
        (Outcome::Failed(3), r#""outcome":"failed","exit":3,"attempts""#, Verdict::Failure),
        (Outcome::Killed(9), r#""outcome":"killed","signal":9,"attempts""#, Verdict::Failure),
        (Outcome::Timeout, r#""outcome":"timeout","attempts""#, Verdict::Failure),
        (Outcome::Fault("a \"hook\"".into()), r#""outcome":"failed","why":"a \"hook\"""#, Verdict::Failure),
        (not_started(), r#""outcome":"not started","exit":127,"why":"`x`: not contents""#, Verdict::Failure),
        (Outcome::Cancelled, r#""outcome":"cancelled","attempts""#, Verdict::Neither),
        (Outcome::Skipped, r#""outcome":"skipped","attempts""#, Verdict::Neither),
    ];
    for (outcome, text, expected) in cases {
        let line = line(&entry(1, outcome.clone()));
        assert!(String::from_utf8_lossy(&line).contains(text), "{}", String::from_utf8_lossy(&line));
        let line = line.strip_suffix(b"\n").unwrap();
        assert_eq!(super::super::Entry::parse(line).unwrap().outcome, outcome);
        let mut seen = Vec::new();
        verdict(line, |known, verdict| seen.push((known, verdict))).unwrap();
        assert_eq!(seen, [(known(1), expected)]);
    }
}

/// Returns a line with a changed object and the right checksum.
fn resummed(change: impl FnOnce(String) -> String) -> Vec<u8> {
    let text = String::from_utf8(line(&entry(1, Outcome::Ok))).unwrap();
    let body = change(text[..text.find(",\"sum\"").unwrap()].to_owned());
    format!("{body},\"sum\":\"{:016x}\"}}", super::super::entry::sum(body.as_bytes())).into_bytes()
}

#[test]
fn later_versions_may_add_fields() {
    let later = resummed(|body| body.replace("\"prun\":1", "\"prun\":2,\"host\":{\"name\":[\"x\",null]}"));
    assert_eq!(Entry::parse(&later), Ok(entry(1, Outcome::Ok)));
    assert_eq!(verdict(&later, |_, verdict| assert_eq!(verdict, Verdict::Ok)), Ok(()));
}

#[test]
fn what_is_not_understood_is_not_done() {
    let changes: [fn(String) -> String; 5] = [
        |body| body.replace("\"ok\"", "\"finished\""),
        |body| body.replace("\"tasks\"", "\"task\""),
        |body| body.replace(".1\"]", "\"]"),
        |body| body.replace("\"prun\":1", "\"prun\":1,\"outcome\":\"ok\""),
        |body| body.replace("{\"prun\"", "[\"prun\""),
    ];
    for change in changes {
        let line = resummed(change);
        let shown = String::from_utf8_lossy(&line);
        assert_eq!(Entry::parse(&line), Err(Damage::Content), "{shown}");
        assert_eq!(verdict(&line, |_, _| panic!("{shown}")), Err(Damage::Content), "{shown}");
    }
    for line in ["", "{", "{}", "null", "{\"sum\":\"0000000000000000\"}"] {
        assert_eq!(Entry::parse(line.as_bytes()), Err(Damage::Checksum), "{line}");
    }
}

#[test]
fn the_last_line_of_a_task_counts() {
    let mut past = Past::default();
    let again = |nth| Known { nth, ..known(1) };
    let mut add = |known: Known, outcome| {
        let entry = Entry { tasks: vec![known], ..entry(1, outcome) };
        past.add(line(&entry).strip_suffix(b"\n").unwrap()).unwrap();
    };
    add(again(1), Outcome::Failed(1));
    add(again(2), Outcome::Ok);
    add(again(3), Outcome::Ok);
    add(again(1), Outcome::Ok);
    add(again(2), Outcome::Timeout);
    add(again(3), Outcome::Cancelled);
    past.build();
    let told: Vec<_> = (1..=4).map(|nth| (past.finished(again(nth)), past.failed(again(nth)))).collect();
    assert_eq!(told, [(true, false), (false, true), (false, false), (false, false)]);
    assert!(!past.finished(known(2)) && !past.failed(known(2)));
}

#[test]
fn a_batch_is_known_by_its_items() {
    let mut past = Past::default();
    let batch = Entry { tasks: vec![known(3), known(1), known(2)], ..entry(0, Outcome::Ok) };
    past.add(line(&batch).strip_suffix(b"\n").unwrap()).unwrap();
    past.build();
    let expected: Vec<_> = (0..30).map(|key| ((1..=3).contains(&key), false)).collect();
    assert_eq!(outcomes_of(&past), expected);
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Ok),
        any::<u8>().prop_map(Outcome::Failed),
        any::<i32>().prop_map(Outcome::Killed),
        Just(Outcome::Timeout),
        text().prop_map(|why| Outcome::Fault(why.into())),
        (any::<u8>(), text())
            .prop_map(|(code, why)| Outcome::NotStarted(Arc::new(StartFailure { code, why }))),
        Just(Outcome::Cancelled),
        Just(Outcome::Skipped),
    ]
}

/// Any `String`, with a preference for text that looks like the end of an object.
fn text() -> impl Strategy<Value = String> {
    let odd = prop_oneof![
        any::<char>().prop_map(String::from),
        Just("\"},\"sum\":\"0000000000000000\"}".to_owned()),
        Just("\n".to_owned()),
        Just("\\".to_owned()),
        Just("\0".to_owned()),
    ];
    proptest::collection::vec(odd, 0..12).prop_map(|parts| parts.concat())
}

fn entries() -> impl Strategy<Value = Entry> {
    let tasks = proptest::collection::vec((any::<u128>(), any::<u32>()), 0..4);
    let micros = || (0..1u64 << 51).prop_map(Duration::from_micros);
    let used = (0..1u64 << 40, 0..1u64 << 40, any::<u64>())
        .prop_map(|(user, system, memory)| usage(user, system, memory));
    let numbers = (any::<u64>(), any::<u32>(), any::<u64>());
    let texts = (text(), text(), text(), text());
    (tasks, texts, outcomes(), numbers, (micros(), micros(), proptest::option::of(used))).prop_map(
        |(
            tasks,
            (job, item, command, run),
            outcome,
            (seq, attempts, received),
            (started, elapsed, usage),
        )| Entry {
            tasks: tasks.into_iter().map(|(key, nth)| Known { key: Key(key), nth }).collect(),
            job,
            seq,
            item,
            command,
            outcome,
            attempts,
            started,
            elapsed,
            usage,
            received,
            run,
        },
    )
}

proptest! {
    #[test]
    fn what_was_written_is_read(entry in entries()) {
        let line = line(&entry);
        prop_assert_eq!(memchr::memchr_iter(b'\n', &line).count(), 1);
        let line = line.strip_suffix(b"\n").unwrap();
        prop_assert_eq!(Entry::parse(line), Ok(entry.clone()));
        let mut seen = Vec::new();
        verdict(line, |known, verdict| seen.push((known, verdict))).unwrap();
        let expected = match entry.outcome {
            Outcome::Ok => Verdict::Ok,
            ref other if other.is_failure() => Verdict::Failure,
            _ => Verdict::Neither,
        };
        prop_assert_eq!(seen, entry.tasks.iter().map(|known| (*known, expected)).collect::<Vec<_>>());
    }

    #[test]
    fn damage_is_found(entry in entries(), at in any::<prop::sample::Index>(), pattern in 1..=255u8) {
        let mut line = line(&entry);
        line.pop();
        *at.get_mut(&mut line) ^= pattern;
        prop_assert_eq!(Entry::parse(&line), Err(Damage::Checksum));
        prop_assert_eq!(verdict(&line, |_, _| unreachable!()), Err(Damage::Checksum));
    }

    #[test]
    fn no_bytes_are_a_line(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Entry::parse(&bytes).is_err());
    }
}
