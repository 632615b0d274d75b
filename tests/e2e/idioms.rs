//! Common command lines of xargs and GNU parallel, written for prun. prun-migrating(7) shows each beside the
//! other tool's. Scripts stand in for programs that a machine may lack.

use nix::sys::signal::{Signal, killpg};

use crate::meeting::Meeting;
use crate::running::{Prun, Running};
use crate::space::Space;

/// Prepares a line for bash, with the folder `bin` first in PATH.
fn line(space: &Space, text: &str) -> Prun {
    let environment = space.environment();
    let (_, path) = environment.iter().find(|(name, _)| name == "PATH").expect("there is a PATH");
    space.bash(text).env("PATH", &format!("{}:{path}", space.path("bin").display()))
}

/// Interrupts a run that would wait for more input for ever, as Ctrl-C does.
fn interrupt(running: Running) {
    killpg(running.pid(), Signal::SIGINT).expect("it runs");
    running.end().died_of(Signal::SIGINT);
}

#[test]
fn convert_every_file_beside_it() {
    let space = Space::new();
    space.program("bin/lame", "#!/bin/sh\ntest \"$2\" = -o && tr a-z A-Z <\"$1\" >\"$3\"\n");
    space.write("a.wav", "la").write("b c.wav", "li").write("$x.wav", "lu");
    line(&space, "prun exec lame {} -o {.}.mp3 ::: *.wav").run().ok().stdout("");
    let read = |name: &str| space.read(name);
    assert_eq!((read("a.mp3"), read("b c.mp3"), read("$x.mp3")), ("LA".into(), "LI".into(), "LU".into()));
}

#[test]
fn a_pipeline_for_each_file() {
    let space = Space::new();
    space.program("bin/bzip2", "#!/bin/sh\nexec tr a-z A-Z\n");
    space.write("a.gz", "la").write("it's \"b\" $c.gz", "li").write("bad.gz", "");
    space.program("bin/zcat", "#!/bin/sh\ntest -s \"$1\" && cat \"$1\"\n");
    let ended = line(&space, "prun exec -c 'zcat {} | bzip2 > {.}.bz2 && rm {}' ::: a.gz it*.gz").run();
    ended.ok().stdout("");
    assert_eq!((space.read("a.bz2"), space.read("it's \"b\" $c.bz2")), ("LA".into(), "LI".into()));
    assert!(!space.exists("a.gz") && !space.exists("it's \"b\" $c.gz"));
    // Only the last status of a pipe counts for /bin/sh; with this shell a broken archive is kept.
    let strict = "prun exec --shell 'bash -o pipefail' 'zcat {} | bzip2 > {.}.bz2 && rm {}' ::: bad.gz";
    line(&space, strict).run().code(1);
    assert!(space.exists("bad.gz"));
}

#[test]
fn names_with_blanks_and_newlines() {
    let space = Space::new();
    space.write("d/a b.log", "").write("d/c\nd.log", "").write("d/-rf.log", "").write("d/ e'\".log", "");
    space.write("d/kept.txt", "");
    line(&space, "find d -name '*.log' -print0 | prun exec -0 rm").run().ok().stdout("");
    line(&space, "ls d").run().ok().stdout("kept.txt\n");
}

#[test]
fn a_command_with_a_quoted_script() {
    let space = Space::new();
    space.write("a", "x y\nz\n").write("b c", "1 2 3\nv w\n");
    let ended = line(&space, "ls | prun exec -k awk 'NF == 2 { print FILENAME \": $1 is \" $1 }'").run();
    ended.ok().stdout("a: $1 is x\nb c: $1 is v\n");
}

#[test]
fn any_number_of_pings_at_once() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let silent = "case $2 in 192.168.1.?) echo $2 is alive;; *) exec puppet meet=$2 hold;; esac";
    space.program("bin/ping", format!("#!/bin/sh\n{silent}\n"));
    let running = line(&space, "prun exec -j0 --timeout 2 ping -c1 192.168.1.{} ::: {5..14}").start();
    let mut guests = meeting.guests(5);
    running.shows_lines(5);
    guests.iter_mut().for_each(|guest| guest.is_gone());
    running.end().code(124).stderr_has("5 ok, 5 failed");
}

#[test]
fn many_names_in_few_calls() {
    let space = Space::new();
    space.program("bin/rsync", "#!/bin/sh\necho call >>calls\nshift\nprintf '%s\\0' \"$@\"\n");
    for number in 0..500 {
        space.write(&format!("src/{number} {number}"), "");
    }
    let script = "find src -type f -print0 >names
        prun exec -0 -X -j10 rsync -R ./{} host:/dest/ <names >sent
        grep -zvxF host:/dest/ sent | sort -z >names.sent
        sed -z 's,^,./,' names | sort -z | cmp - names.sent && wc -l <calls";
    let ended = line(&space, script).run();
    let calls: usize = ended.ok().stdout.trim().parse().expect("a number of calls");
    ended.check((1..=10).contains(&calls), "few calls");
}

#[test]
fn a_queue_that_grows_shows_each_result_at_once() {
    let space = Space::new();
    space.write("jobqueue", "echo one | tr a-z A-Z\n");
    let running = line(&space, "tail -n+0 -f jobqueue | prun exec -c").start();
    running.shows("ONE\n");
    line(&space, "echo 'echo two; echo three' >>jobqueue").run().ok();
    running.shows("two\nthree\n");
    interrupt(running);
}

#[test]
fn what_a_watcher_tells_is_worked_on_at_once() {
    let space = Space::new();
    space.program("bin/inotifywait", "#!/bin/sh\nexec cat\n");
    let watch = "inotifywait -qm -e close_write --format %w%f inbox | prun exec gzip -l {}";
    space.program("bin/gzip", "#!/bin/sh\necho \"$# $1 <$2>\"\n");
    let mut running = line(&space, watch).open_stdin().start();
    running.feed(b"inbox/a b.gz\n");
    running.shows("2 -l <inbox/a b.gz>\n");
    running.feed(b"inbox/$c.gz\n");
    running.shows("2 -l <inbox/$c.gz>\n");
    running.close_stdin();
    running.end().ok();
}

#[test]
fn a_loop_in_a_script_is_throttled() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let script = "for number in 1 2 3 4 5 6; do
        echo \"puppet meet=$number hold && echo 'done: $number'\"
    done | prun exec -j4 -c";
    let running = line(&space, script).start();
    let mut guests = meeting.guests(4);
    assert!(!meeting.has_guest(), "a fifth while four are running");
    guests.pop();
    guests.push(meeting.guest());
    assert_eq!(guests[3].name, "5");
    assert!(!meeting.has_guest(), "a sixth while four are running");
    drop(guests);
    drop(meeting.guest());
    let ended = running.end();
    ended.ok().stdout_sorted(&["done: 1", "done: 2", "done: 3", "done: 4", "done: 5", "done: 6"]);
}

#[test]
fn lint_stops_at_the_first_failure() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    space.write("a.sh", "").write("b.sh", "").write("c.sh", "");
    space.program("bin/shellcheck", "#!/bin/sh\nexec puppet meet=$1 hold\n");
    let running = line(&space, "prun exec -j2 --fail-fast shellcheck ::: *.sh").start();
    let mut guests = meeting.guests(2);
    guests[1].tell("line=b.sh: a mistake");
    guests[1].tell("exit=3");
    guests[0].is_gone();
    running.end().code(3).stdout("b.sh: a mistake\n").stderr_has("b.sh");
    assert!(!meeting.has_guest(), "c.sh was never looked at");
}

#[test]
fn blocks_sorted_beside_each_other_and_merged() {
    let space = Space::new();
    let script = "seq 20000 | awk '{ print ($1 * 7919) % 20011 }' >big
        prun exec --pipe --block 10k --stdout part.{#} sort <big; sort -m part.* >merged; ls part.* | wc -l; rm part.*
        sort big | cmp - merged && ls";
    let ended = line(&space, script).run();
    let parts: usize = ended.ok().lines()[0].parse().expect("a number of parts");
    ended.check(parts > 2, "several filters").stdout_has("\nbig\nmerged\n");
}

#[test]
fn files_in_pairs() {
    let space = Space::new();
    for (name, text) in [("a.old", "1\n"), ("a.new", "1\n"), ("b c.old", "2\n"), ("b c.new", "3\n")] {
        space.write(name, text);
    }
    let ended = line(&space, "prun exec -k diff -q {1} {2} ::: *.old :::+ *.new").run();
    ended.code(1).stdout("Files b c.old and b c.new differ\n");
    let ended = line(&space, "ls *.old *.new | sort | prun exec -k -n2 echo {2}={1}").run();
    ended.ok().stdout("a.old=a.new\nb c.old=b c.new\n");
}

#[test]
fn columns_of_a_table() {
    let space = Space::new();
    space.program("bin/convert", "#!/bin/sh\nprintf '<%s>' \"$@\"\n");
    space.write("table", "a b.jpg\t100x50\n$c.jpg\t20%\n");
    let ended = line(&space, "prun exec -k --colsep '\\t' convert {1} -resize {2} {1.}.png :::: table").run();
    ended.ok().stdout("<a b.jpg><-resize><100x50><a b.png><$c.jpg><-resize><20%><$c.png>");
}

/// Writes a fake curl that records each URL and fails for those listed in `down`.
fn curl(space: &Space) {
    space.program("bin/curl", "#!/bin/sh\necho \"$2\" >>asked\n! grep -qxF \"$2\" down\n");
}

const CALLS: &str = "prun exec -j1 --rate 1000/s --journal log --bar --halt soon,fail=20%";

#[test]
fn calls_with_a_rate_and_a_log_and_the_failed_ones_again() {
    let space = Space::new();
    curl(&space);
    let urls: Vec<String> = (1..=10).map(|number| format!("http://x/{number}?a=b&c")).collect();
    space.write("urls", urls.join("\n") + "\n").write("down", format!("{}\n{}\n", urls[8], urls[9]));
    line(&space, &format!("{CALLS} curl -fsSO {{}} :::: urls")).run().code(1).stderr_has("8 ok");
    assert_eq!(space.read("asked").lines().count(), 10, "2 of 10 is a fifth only at the last");
    space.write("down", "").write("asked", "");
    line(&space, "prun exec --journal log --retry-failed curl -fsSO {} :::: urls").run().code(0);
    let mut asked: Vec<String> = space.read("asked").lines().map(String::from).collect();
    asked.sort();
    assert_eq!(asked, ["http://x/10?a=b&c", "http://x/9?a=b&c"]);
    space.write("asked", "");
    line(&space, "prun exec --journal log --retry-failed curl -fsSO {} :::: urls").run().code(0);
    assert_eq!(space.read("asked"), "", "nothing failed the second time");
}

#[test]
fn calls_end_when_a_fifth_has_failed() {
    let space = Space::new();
    curl(&space);
    let urls: Vec<String> = (1..=50).map(|number| format!("http://x/{number}")).collect();
    space.write("urls", urls.join("\n") + "\n").write("down", format!("{}\n{}\n", urls[5], urls[8]));
    line(&space, &format!("{CALLS} curl -fsSO {{}} :::: urls")).run().code(1);
    let asked = space.read("asked").lines().count();
    assert_eq!(asked, 9, "1 of 6 is less than a fifth, 2 of 9 are more");
}

#[test]
fn all_combinations_by_name_and_what_each_wrote() {
    let space = Space::new();
    space.program("bin/sim", "#!/bin/sh\necho \"$1-$2\"\n");
    let ended = line(&space, "prun exec --header : --results out sim {f} {g} ::: f A B ::: g 1 2").run();
    ended.ok();
    for (f, g) in [("A", 1), ("A", 2), ("B", 1), ("B", 2)] {
        assert_eq!(space.read(&format!("out/f/{f}/g/{g}/stdout")), format!("{f}-{g}\n"));
    }
}
