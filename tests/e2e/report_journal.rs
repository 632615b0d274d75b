//! `prun report`: a journal as a summary, and in the formats of other tools.

use std::sync::Arc;
use std::time::Duration;

use prun::event::{Key, Known, Outcome, StartFailure, Usage};
use prun::journal::Entry;

use crate::meeting::Meeting;
use crate::space::Space;

/// An entry of the first run, which began at 2026-11-21T14:00:00Z.
const BEGAN: u64 = 1_795_269_600;

fn entry(job: &str, seq: u64, item: &str, outcome: Outcome) -> Entry {
    let key = job.bytes().chain(item.bytes()).fold(seq as u128, |key, byte| key << 8 | byte as u128);
    Entry {
        tasks: vec![Known { key: Key(key), nth: 1 }],
        job: job.into(),
        seq,
        item: item.into(),
        command: format!("curl -f '{item}'"),
        outcome,
        attempts: 1,
        started: Duration::from_secs(BEGAN + seq),
        elapsed: Duration::from_millis(100 * seq + 50),
        usage: None,
        received: 7,
        run: "first".into(),
    }
}

fn used(entry: Entry, user: u64, system: u64, megabytes: u64) -> Entry {
    let usage = Usage {
        user: Duration::from_millis(user),
        system: Duration::from_millis(system),
        memory: megabytes * 1_000_000,
    };
    Entry { usage: Some(usage), ..entry }
}

fn later(entry: Entry) -> Entry {
    Entry { run: "second".into(), started: entry.started + Duration::from_secs(3600), ..entry }
}

/// Returns two runs with every outcome; the second one repairs one failure and leaves others.
fn entries() -> Vec<Entry> {
    let missing = Outcome::NotStarted(Arc::new(StartFailure { code: 127, why: "`lint`: not found".into() }));
    vec![
        used(entry("fetch", 1, "a", Outcome::Ok), 700, 20, 34),
        Entry { attempts: 3, ..entry("fetch", 2, "b c", Outcome::Failed(22)) },
        entry("fetch", 4, "d", Outcome::Failed(1)),
        entry("fetch", 3, "<\u{1b}[31m>&", Outcome::Timeout),
        used(entry("build", 1, "", Outcome::Killed(9)), 40, 3000, 5),
        later(entry("fetch", 2, "b c", Outcome::Ok)),
        later(entry("fetch", 4, "d", Outcome::Fault("the hook failed".into()))),
        later(entry("lint", 1, "", missing)),
        later(entry("fetch", 5, "e", Outcome::Cancelled)),
    ]
}

fn lines(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    entries.iter().for_each(|entry| entry.line(&mut bytes));
    bytes
}

const SUMMARY: &str = r"tasks     7: 2 ok, 1 failed, 1 killed, 1 timeout, 1 not started, 1 cancelled
repaired  1: failed at first, ended ok later
runs      2, from 2026-11-21T14:00:01Z to 2026-11-21T15:00:05Z, together 8.0 s
time      2.0 s of all tasks; median 0.25 s, 95 % within 0.55 s
used      user 0.74 s, system 3.0 s; at most 34.0 MB by one process
jobs      fetch  5 tasks, 1.8 s, user 0.70 s, system 20 ms, 34.0 MB
          build  1 task, 0.15 s, user 40 ms, system 3.0 s, 5.0 MB
          lint   1 task, 0.15 s
slowest      0.55 s  fetch[5] e
             0.45 s  fetch[4] d
             0.35 s  fetch[3] <\x1b[31m>&
             0.25 s  fetch[2] b c
             0.15 s  fetch[1] a
busiest       3.0 s  build
             0.72 s  fetch[1] a
biggest     34.0 MB  fetch[1] a
             5.0 MB  build
failures  fetch[3] <\x1b[31m>&: timeout (0.35 s), 2026-11-21T14:00:03Z
            curl -f '<\x1b[31m>&'
          build: killed by SIGKILL (0.15 s), 2026-11-21T14:00:01Z
            curl -f ''
          fetch[4] d: the hook failed (0.45 s), 2026-11-21T15:00:04Z
            curl -f 'd'
          lint: not started: `lint`: not found, 2026-11-21T15:00:01Z
            curl -f ''
";

#[test]
fn for_people() {
    let space = Space::new();
    space.write("journal", lines(&entries()));
    space.prun("report journal").run().code(1).quiet().no_escapes().stdout(SUMMARY);
    let colored = space.prun("report journal").env("CLICOLOR_FORCE", "1").run();
    colored.code(1).stdout_has("\u{1b}[1mtasks     \u{1b}[0m7: 2 ok").stdout_has("<\\x1b[31m>&");
}

#[test]
fn the_status_is_that_of_the_last_words() {
    let space = Space::new();
    let (bad, good) = (entry("a", 1, "x", Outcome::Failed(3)), entry("a", 1, "x", Outcome::Ok));
    for (entries, status) in [
        (vec![], 0),
        (vec![good.clone()], 0),
        (vec![bad.clone()], 1),
        (vec![bad.clone(), later(good.clone())], 0),
        (vec![good, later(bad)], 1),
        (vec![entry("a", 1, "x", Outcome::Cancelled)], 0),
    ] {
        space.write("journal", lines(&entries));
        for format in ["", "--format joblog", "--format junit", "--format trace"] {
            space.prun(&format!("report {format} journal")).run().code(status).quiet();
        }
    }
}

#[test]
fn a_batch_is_as_new_as_its_newest_item() {
    let space = Space::new();
    let known = |key| Known { key: Key(key), nth: 1 };
    let batch = |keys: [u128; 2], outcome| Entry {
        tasks: keys.map(known).to_vec(),
        ..entry("a", keys[0] as u64, "x", outcome)
    };
    let mut entries = vec![batch([1, 2], Outcome::Failed(1)), batch([2, 3], Outcome::Ok)];
    space.write("journal", lines(&entries));
    space.prun("report journal").run().code(1).stdout_has("tasks     2: 1 ok, 1 failed\nrepaired  1:");
    entries.push(batch([1, 4], Outcome::Ok));
    space.write("journal", lines(&entries));
    space.prun("report journal").run().code(0).stdout_has("tasks     2: 2 ok\nrepaired  2:");
}

#[test]
fn from_stdin() {
    let space = Space::new();
    space.write("journal", lines(&entries()));
    let of_file = space.prun("report journal").run();
    for script in ["prun report - <journal", "cat journal | prun report -"] {
        assert_eq!(space.sh(script).run().stdout, of_file.stdout);
    }
}

#[test]
fn as_a_joblog() {
    let space = Space::new();
    space.write("journal", lines(&entries()[..5]));
    space.prun("report --format joblog journal").run().code(1).quiet().stdout(
        "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand
1\t:\t1795269601.000\t     0.150\t0\t7\t0\t0\tcurl -f 'a'
2\t:\t1795269602.000\t     0.250\t0\t7\t22\t0\tcurl -f 'b c'
4\t:\t1795269604.000\t     0.450\t0\t7\t1\t0\tcurl -f 'd'
3\t:\t1795269603.000\t     0.350\t0\t7\t-1\t15\tcurl -f '<\u{1b}[31m>&'
1\t:\t1795269601.000\t     0.150\t0\t7\t0\t9\tcurl -f ''
",
    );
}

const JUNIT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="prun" tests="7" failures="4" errors="0" skipped="1" time="2.050">
  <testsuite name="fetch" tests="5" failures="2" errors="0" skipped="1" time="1.750" timestamp="2026-11-21T14:00:01Z">
    <testcase name="fetch[1] a" classname="fetch" time="0.150">
      <properties><property name="user" value="0.700"/><property name="system" value="0.020"/><property name="memory" value="34000000"/></properties>
    </testcase>
    <testcase name="fetch[3] &lt;\x1b[31m&gt;&amp;" classname="fetch" time="0.350">
      <failure message="timeout (0.35 s)">curl -f '&lt;\x1b[31m&gt;&amp;'</failure>
    </testcase>
    <testcase name="fetch[2] b c" classname="fetch" time="0.250"/>
    <testcase name="fetch[4] d" classname="fetch" time="0.450">
      <failure message="the hook failed (0.45 s)">curl -f 'd'</failure>
    </testcase>
    <testcase name="fetch[5] e" classname="fetch" time="0.550">
      <skipped/>
    </testcase>
  </testsuite>
  <testsuite name="build" tests="1" failures="1" errors="0" skipped="0" time="0.150" timestamp="2026-11-21T14:00:01Z">
    <testcase name="build" classname="build" time="0.150">
      <properties><property name="user" value="0.040"/><property name="system" value="3.000"/><property name="memory" value="5000000"/></properties>
      <failure message="killed by SIGKILL (0.15 s)">curl -f ''</failure>
    </testcase>
  </testsuite>
  <testsuite name="lint" tests="1" failures="1" errors="0" skipped="0" time="0.150" timestamp="2026-11-21T15:00:01Z">
    <testcase name="lint" classname="lint" time="0.150">
      <failure message="not started: `lint`: not found">curl -f ''</failure>
    </testcase>
  </testsuite>
</testsuites>
"#;

#[test]
fn as_junit_xml() {
    let space = Space::new();
    space.write("journal", lines(&entries()));
    space.prun("report --format junit journal").run().code(1).quiet().stdout(JUNIT);
    let parsed = space
        .sh("prun report --format=junit journal | python3 -c '
import sys, xml.etree.ElementTree as tree
print([case.get(\"name\") for case in tree.parse(sys.stdin).iter(\"testcase\")])'")
        .run();
    parsed.ok().stdout_has(r"'fetch[3] <\\x1b[31m>&'");
}

#[test]
fn as_trace_events() {
    let space = Space::new();
    let at = |seq: u64, from: u64, to: u64| Entry {
        started: Duration::from_micros(from),
        elapsed: Duration::from_micros(to - from),
        ..entry("a", seq, "x", Outcome::Ok)
    };
    // In the order of their ends: 1 and 2 side by side, 3 after 1, 4 after 2; and another run.
    let mut entries = vec![used(at(1, 10, 20), 500, 250, 2), at(2, 15, 30), at(3, 20, 40), at(4, 35, 50)];
    entries.push(Entry { run: "second".into(), outcome: Outcome::Failed(3), ..at(5, 35, 60) });
    space.write("journal", lines(&entries));
    space.prun("report --format trace journal").run().code(1).quiet().stdout(TRACE);
    let parsed = space.sh("prun report --format trace journal | python3 -m json.tool --compact").run();
    parsed.ok().stdout_has("traceEvents");
}

const TRACE: &str = r#"{"displayTimeUnit":"ms","traceEvents":[
{"args":{"name":"first"},"name":"process_name","ph":"M","pid":1},
{"args":{"name":"second"},"name":"process_name","ph":"M","pid":2},
{"args":{"attempts":1,"command":"curl -f 'x'","memory":2000000,"outcome":"ok","system":0.25,"user":0.5},"cat":"a","dur":10,"name":"a[1] x","ph":"X","pid":1,"tid":1,"ts":0},
{"args":{"attempts":1,"command":"curl -f 'x'","outcome":"ok"},"cat":"a","dur":15,"name":"a[2] x","ph":"X","pid":1,"tid":2,"ts":5},
{"args":{"attempts":1,"command":"curl -f 'x'","outcome":"ok"},"cat":"a","dur":20,"name":"a[3] x","ph":"X","pid":1,"tid":1,"ts":10},
{"args":{"attempts":1,"command":"curl -f 'x'","outcome":"ok"},"cat":"a","dur":15,"name":"a[4] x","ph":"X","pid":1,"tid":2,"ts":25},
{"args":{"attempts":1,"command":"curl -f 'x'","outcome":"exit 3 (0 ms)"},"cat":"a","dur":25,"name":"a[5] x","ph":"X","pid":2,"tid":1,"ts":25}
]}
"#;

#[test]
fn damage_is_told_and_half_a_line_is_not() {
    let space = Space::new();
    let mut bytes = lines(&entries()[..2]);
    bytes[20] ^= 1;
    bytes.extend_from_slice(&lines(&entries()[2..3])[..40]);
    space.write("journal", bytes);
    let ended = space.prun("report journal").run();
    ended.code(1).stdout_has("tasks     1: 0 ok, 1 failed\n");
    let told = "prun: the journal `journal`: line 1 is damaged, and counts as not there\n";
    ended.check(ended.stderr == told, told);
}

#[test]
fn what_is_no_journal_is_an_error() {
    let space = Space::new();
    space.write("data", "text\n").write("empty", "");
    space.prun("report data").run().code(125).stdout("").stderr_has("prun: `data` is no journal\n");
    space.prun("report missing").run().code(125).stderr_has("could not read `missing`: no such file");
    space.prun("report .").run().code(125).stderr_has("could not read `.`: is a directory");
    space.prun("report").run().code(125).stderr_has("`JOURNAL` is missing");
    space
        .prun("report --format html empty")
        .run()
        .code(125)
        .stderr_has("expected `joblog`, `junit` or `trace`");
    space.prun("report empty").run().ok().stdout("no task has finished\n");
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let space = Space::new();
    space.write("journal", lines(&entries()));
    space.sh("prun report journal >/dev/full").run().code(125).stderr_has("cannot write to stdout");
    let many: Vec<Entry> = (0..2000).map(|seq| entry("a", seq, "x", Outcome::Failed(1))).collect();
    space.write("journal", lines(&many));
    space.bash("prun report journal | head -n1; exit ${PIPESTATUS[0]}").run().code(141).quiet();
}

#[test]
fn a_run_may_be_writing_it() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("-j1 --journal journal -- sh -c 'puppet meet={} hold' ::: a b").start();
    let mut first = meeting.guest();
    first.tell("exit=0");
    let mut second = meeting.guest();
    space.has_lines("journal", 1);
    space
        .sh("prun report journal; cat journal | prun report /dev/stdin")
        .run()
        .ok()
        .stdout_has("tasks     1: 1 ok\n");
    second.tell("exit=3");
    running.end().code(3);
    let ended = space.prun("report journal").run();
    ended
        .code(1)
        .stdout_has("failures  sh[2] b: exit 3")
        .stdout_has("\n            sh -c 'puppet meet=b hold'\n");
}
