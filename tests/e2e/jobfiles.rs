//! The examples in `jobfiles/`: each runs as it is, and prints the output that its comments promise.

use std::net::UdpSocket;
use std::path::Path;

use crate::running::{Ended, Prun};
use crate::space::Space;

fn example(space: &Space, line: &str) -> Prun {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("jobfiles");
    space.prun(&format!("{}/{line}", folder.display()))
}

fn lines_of(name: &str) -> Ended {
    let ended = example(&Space::new(), name).run();
    ended.ok();
    ended
}

/// Checks that these lines come in this order; other lines may stand between them.
#[track_caller]
fn in_order(ended: &Ended, wanted: &[&str]) {
    let mut lines = ended.stdout.lines();
    for line in wanted {
        ended.check(lines.any(|seen| seen == *line), &format!("{line:?} in its place"));
    }
}

#[test]
fn every_example_has_a_test() {
    let names =
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("jobfiles")).expect("the folder");
    let source = include_str!("jobfiles.rs");
    for name in names.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")) {
        assert!(
            source.contains(&format!("(\"{name}")) || source.contains(&format!(" \"{name}")),
            "{name} has no test"
        );
    }
}

#[test]
fn tour() {
    let ended = lines_of("tour.toml");
    ended.within(60);
    let count = |job: &str| ended.lines().iter().filter(|line| line.starts_with(&format!("{job}\t"))).count();
    assert_eq!((count("machine"), count("hash"), count("lines"), count("words")), (2, 24, 6, 3));
    in_order(&ended, &["words\t      4 them", "pipe\t100000 lines were enough; then the writer was stopped"]);
    assert_eq!((count("worker"), count("reader")), (6, 6));
    ended.stdout_has("total\n").stdout_has("retry\tit worked at attempt 3\n").stdout_has("end\t");
    let widest = ended.lines().iter().map(|line| line.replace('\t', "        ").chars().count()).max();
    ended.check(widest <= Some(80), "it fits on 80 columns");
    // Two lines of one program stay together.
    let hashes: Vec<&str> = ended.lines().into_iter().filter(|line| line.starts_with("hash\t")).collect();
    ended.check(hashes.chunks(2).all(|pair| pair[0].contains("slot") && pair[1].contains('…')), "groups");
}

#[test]
fn process() {
    let ended = lines_of("process.toml");
    ended.check(ended.lines().len() == 3, "three lines").stdout_has("Run child process test (");
    in_order(&ended, &["Child process will start.", "Child process end."]);
}

#[test]
fn fork() {
    let space = Space::new();
    let running = example(&space, "fork.toml").start();
    let pid = running.pid();
    let ended = running.end();
    let parent = format!("and my parent is {pid}.");
    let children: std::collections::HashSet<&str> = ended.ok().lines().into_iter().collect();
    ended.check(
        children.len() == 2 && children.iter().all(|line| line.ends_with(&parent)),
        "two children of prun",
    );
}

#[test]
fn many() {
    let ended = lines_of("many.toml");
    for number in 0..5 {
        ended.stdout_has(&format!("worker {number} is process "));
    }
    ended.check(ended.lines().last() == Some(&"all joined"), "joined last");
}

#[test]
fn pool() {
    let ended = lines_of("pool.toml");
    for (name, size, tasks) in [("four", 4, 5), ("five", 5, 8), ("three", 3, 5)] {
        let start = format!("{name}: task ");
        let ran: Vec<&str> = ended.lines().into_iter().filter(|line| line.starts_with(&start)).collect();
        assert_eq!(ran.len(), tasks, "{name}");
        let slot = |line: &str| line.rsplit(' ').next().and_then(|slot| slot.parse::<usize>().ok());
        let slots: Vec<usize> = ran.iter().filter_map(|line| slot(line)).collect();
        ended.check(slots.len() == tasks && slots.iter().max() == Some(&size), "all slots, and no more");
        ended.stdout_has(&format!("{name}: all subprocesses done\n"));
    }
}

#[test]
fn lock() {
    let ended = lines_of("lock.toml");
    let lines = |name: &str| -> Vec<String> { (0..3).map(|n| format!("{name} writes line {n}")).collect() };
    let held: Vec<&str> = ended.lines().into_iter().filter(|line| !line.starts_with("third")).collect();
    assert_eq!(held, [lines("first"), lines("second")].concat());
    ended.stdout_has("third works on something else\n");
}

#[test]
fn semaphore() {
    let ended = lines_of("semaphore.toml");
    let mut free = 2;
    for line in ended.lines() {
        let (name, what) = line.split_once(' ').expect("who does what");
        let permits = if name == "greedy" { 2 } else { 1 };
        free += if what == "releases" { permits } else { -permits };
        ended.check(free >= 0, "no more than two permits are taken");
    }
    assert_eq!((free, ended.lines().len()), (2, 14));
}

#[test]
fn gpu_sweep() {
    let ended = lines_of("gpu_sweep.toml");
    for rate in ["0.1", "0.01"] {
        for depth in [2, 4] {
            ended.stdout_has(&format!("rate {rate}, depth {depth}: trained on card "));
        }
    }
    let cards =
        ended.lines().into_iter().filter_map(|line| line.split_once("on card ")).map(|(_, card)| card);
    ended.check(cards.clone().count() == 4 && cards.clone().all(|card| ["0", "1"].contains(&card)), "cards");
    ended.stdout_has("large: trained on cards 0,1\n");
    in_order(&ended, &["data is ready", "all trained"]);
}

#[test]
fn ci() {
    let ended = example(&Space::new(), "ci.toml").run();
    ended.code(3).stderr_has("failed: test[4]: exit 3").stderr_has("stderr  1 of 40 tests failed");
    ended.stderr_has("skipped: release: `test` failed");
    for (os, python) in [("linux", "3.9"), ("linux", "3.10"), ("bsd", "3.9"), ("bsd", "3.10")] {
        ended.stdout_has(&format!("test {os} {python}\ttesting on {os} with python {python}\n"));
    }
    in_order(&ended, &["build\tcompiled", "coverage\tcoverage collected"]);
    let last = ended.lines().pop().expect("a line");
    ended.check(
        last.starts_with("build failed, exit code 3: 5 ok, 1 failed, 1 skipped ("),
        "the end of the run",
    );
}

#[test]
fn backup() {
    let ended = example(&Space::new(), "backup.toml").run();
    ended.code(75).stderr_has("copy[3]").stderr_has("skipped: prune: `copy` failed");
    in_order(&ended, &["home: saved at attempt 1", "To: operator", "Subject: backup failed with 75", ""]);
    ended
        .stdout_has("mail: saved at attempt 2\n")
        .stdout_has("\nfailed: copy[3]: exit 75 after 3 attempts (");
    let ended = example(&Space::new(), "backup.toml -D broken=nothing").run();
    ended.ok();
    in_order(&ended, &["photos: saved at attempt 1", "old backups removed"]);
    ended.stdout_has("\nthe backup is complete: 4 ok (");
}

#[test]
fn apply() {
    lines_of("apply.toml").stdout("begin 0\nend 0\nbegin 1\nend 1\nbegin 2\nend 2\ndone\n");
}

#[test]
fn map() {
    let ended = lines_of("map.toml");
    let squares: Vec<String> = (1..6).map(|n| format!("map: {n} squared is {}", n * n)).collect();
    in_order(&ended, &squares.iter().map(String::as_str).collect::<Vec<_>>());
    in_order(&ended, &["unordered: 0", "starmap: 1 + 2 = 3", "starmap: 3 + 4 = 7"]);
    ended.stdout_has("unordered: 0.3\n").stdout_has("unordered: 0.6\n");
    in_order(
        &ended,
        &["chunks: the sum of 1 2 3 is 6", "chunks: the sum of 4 5 6 is 15", "chunks: the sum of 7 0 0 is 7"],
    );
}

/// A name server that knows python.org, on a free port of loopback. It belongs to the space and ends with it.
struct NameServer {
    port: u16,
    running: crate::running::Running,
}

impl NameServer {
    fn start(space: &Space) -> NameServer {
        // The port is free now; nobody else asks for this very one before dnsmasq does.
        let port = UdpSocket::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("a free port")
            .port();
        let script = format!(
            "PATH=$PATH:/usr/sbin; exec dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts \
             --port={port} --listen-address=127.0.0.1 --bind-interfaces --log-facility=- --pid-file= --user= --group= \
             --local=/python.org/ --address=/www.python.org/192.0.2.7 --address=/www.python.org/2001:db8::7 \
             --mx-host=python.org,mail.python.org,50"
        );
        let running = space.sh(&script).start();
        running.says("started");
        NameServer { port, running }
    }

    fn stop(self) {
        self.running.signal(nix::sys::signal::Signal::SIGTERM);
        self.running.end();
    }
}

#[test]
fn call() {
    let space = Space::new();
    let server = NameServer::start(&space);
    let ended = example(&space, &format!("call.toml -D port={}", server.port)).run();
    ended
        .ok()
        .stdout_has("192.0.2.7")
        .check(ended.lines().last() == Some(&"Exit code: 0"), "the exit code is told");
    let fails = example(&space, &format!("call.toml -D port={} -D host=unknown.invalid", server.port)).run();
    fails.code(1).stdout_has("Exit code: not 0");
    server.stop();
}

#[test]
fn communicate() {
    let space = Space::new();
    let server = NameServer::start(&space);
    let ended = example(&space, &format!("communicate.toml -D port={}", server.port)).run();
    ended.ok().stdout_has("python.org\tmail exchanger = 50 mail.python.org.");
    server.stop();
}

#[test]
fn pipe() {
    let said = "Get A from pipe.\nGet B from pipe.\nGet C from pipe.\nThe pipe is empty.\n";
    lines_of("pipe.toml").stdout(said);
}

#[test]
fn join_timeout() {
    let ended = lines_of("join_timeout.toml");
    ended.stdout_has("I need an hour\n").stdout_has("I need no time\n").within(60);
    ended.check(ended.lines().last() == Some(&"both were joined"), "it goes on");
}

#[test]
fn terminate() {
    let ended = example(&Space::new(), "terminate.toml").run();
    ended.code(0).stdout_has("working\n").stdout_has("main has ended\n").stdout_has("told to stop\n");
}

#[test]
fn side_by_side() {
    let space = Space::new();
    let running = example(&space, "side_by_side.toml").start();
    // Live: the first lines of both are there before either has ended.
    running.shows("tick\ttick 1\n");
    running.shows("tock\ttock 1\n");
    assert!(!running.stdout_so_far().contains("3\n"), "shown as they come");
    let ended = running.end();
    ended.ok();
    in_order(&ended, &["tick\ttick 1", "tick\ttick 2", "tick\ttick 3"]);
    in_order(&ended, &["tock\ttock 1", "tock\ttock 2", "tock\ttock 3"]);
}

#[test]
fn queue() {
    let ended = example(&Space::new(), "queue.toml").run();
    ended.code(0);
    in_order(&ended, &["Get A from queue.", "Get B from queue.", "Get C from queue."]);
    ended.stderr_has("Put A to queue...\nPut B to queue...\nPut C to queue...\n");
    in_order(
        &ended,
        &["Get D of first from both.", "Get E of first from both.", "Get F of first from both."],
    );
    in_order(
        &ended,
        &["Get G of second from both.", "Get H of second from both.", "Get I of second from both."],
    );
    ended.check(ended.lines().len() == 10, "each letter once");
    ended.check(ended.lines().last() == Some(&"No writer is left."), "then the queue was dry");
}

#[test]
fn queue_maxsize() {
    let ended = lines_of("queue_maxsize.toml");
    let eaten = |name: &str| -> Vec<u32> {
        let start = format!("{name} eats bun ");
        ended.lines().iter().filter_map(|line| line.strip_prefix(&start)?.parse().ok()).collect()
    };
    let (alex, jack) = (eaten("Alex"), eaten("Jack"));
    ended.check(
        !alex.is_empty() && !jack.is_empty() && alex.is_sorted() && jack.is_sorted(),
        "both ate, in order",
    );
    let mut all = [alex, jack].concat();
    all.sort_unstable();
    ended.check(all == (1..=all.len() as u32).collect::<Vec<_>>(), "each bun was eaten once");
    ended.stdout_has("Alex has had enough\n").stdout_has("Jack has had enough\n");
}

/// Returns the worker processes in the order of their first answers, with the number of answers of each.
fn answers_of(ended: &Ended, job: &str) -> Vec<(String, usize)> {
    let mut found: Vec<(String, usize)> = Vec::new();
    for line in ended.lines().iter().filter(|line| line.starts_with(&format!("{job}: "))) {
        let pid = line.rsplit(' ').next().expect("a line has words").to_owned();
        match found.iter_mut().find(|(known, _)| *known == pid) {
            Some((_, count)) => *count += 1,
            None => found.push((pid, 1)),
        }
    }
    found
}

#[test]
fn workers() {
    let ended = lines_of("workers.toml");
    let squares: Vec<&str> = ended
        .lines()
        .into_iter()
        .filter_map(|line| line.strip_prefix("reused: ")?.split(',').next())
        .collect();
    let wanted: Vec<String> = (1..7).map(|n| format!("{n} squared is {}", n * n)).collect();
    ended.check(squares == wanted, "in the order of the items");
    let reused = answers_of(&ended, "reused");
    ended.check(
        reused.len() <= 2 && reused.iter().map(|(_, count)| count).sum::<usize>() == 6,
        "two processes",
    );
    let replaced: Vec<usize> = answers_of(&ended, "replaced").into_iter().map(|(_, count)| count).collect();
    ended.check(replaced == [2, 2, 2], "each process answered twice");
    for name in ["Ada", "Bob", "Eve"] {
        ended.stdout_has(&format!("greeted: good day, {name}\n"));
    }
    ended.check(ended.lines().len() == 15, "15 answers");
}

#[test]
fn threadpool_callback() {
    let ended = example(&Space::new(), "threadpool_callback.toml").run();
    ended.code(3).stderr_has("not a number: many");
    for (item, result) in [("3", "30"), ("1", "10"), ("2", "20")] {
        ended.stdout_has(&format!("callback({item}): status ok, result {result}\n"));
    }
    ended.stdout_has("callback(many): status failed, exit 3\n");
    for (item, result) in [("4", "40"), ("5", "50")] {
        ended.stdout_has(&format!("answer({item}): status ok, result {result}\n"));
    }
    ended.check(ended.lines().len() == 6, "nothing but the callbacks is shown");
}

#[test]
fn wordcount() {
    let ended = lines_of("wordcount.toml");
    let mut counts = std::collections::HashMap::<String, usize>::new();
    let folder =
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("jobfiles")).expect("the folder");
    for path in folder.map(|entry| entry.expect("an entry").path()) {
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(path).expect("text").to_lowercase();
            for word in text.split(|c: char| !c.is_ascii_lowercase()).filter(|word| !word.is_empty()) {
                *counts.entry(word.to_owned()).or_default() += 1;
            }
        }
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by(|(word, count), (other, than)| than.cmp(count).then(word.cmp(other)));
    let top: Vec<String> = counts.iter().take(5).map(|(word, count)| format!("{count} {word}")).collect();
    ended.check(ended.lines() == top, "counted in another way, it is the same");
}

#[test]
fn chain() {
    let space = Space::new();
    // Its sheet is "chain.csv".
    let ended = example(&space, &format!("chain.toml -D out={}", space.path("out").display())).run();
    ended.ok().stdout_sorted(&[
        "ada: 3 reads, the first at 1",
        "bob: 2 reads, the first at 7",
        "eve: 4 reads, the first at 1",
    ]);
    assert_eq!(space.read("out/ada.sorted"), "1 CATG\n5 GATTACA\n8 TACAGATT\n");
    assert_eq!(space.read("out/ada.index"), "1 0\n5 7\n8 17\n");
}

#[test]
fn dialogue() {
    let ended = lines_of("dialogue.toml");
    in_order(
        &ended,
        &[
            "name: word: Hello ann, your word has 5 letters.",
            "This is a terminal.",
            "Password: It has 5 letters.",
        ],
    );
}

#[test]
fn limits() {
    let space = Space::new();
    // Its variables are in "limits.env".
    let ended = example(&space, &format!("limits.toml -D big={}", space.path("big").display())).run();
    ended.ok().stdout_sorted(&[
        "Hello, Hello world: umask 0077, 64 files, HOME is not set",
        "generous wrote 2000000 bytes",
        "greedy wrote 1000000 bytes",
    ]);
    assert!(!space.exists("big"));
}

#[test]
fn pipe_duplex() {
    let ended = example(&Space::new(), "pipe_duplex.toml").run();
    let said: Vec<&str> = ended.stderr.lines().collect();
    let wanted = ["2 times 2 is 4.", "3 times 3 is 9.", "4 times 4 is 16.", "No more questions."];
    ended.code(0).stdout("").check(said == wanted, "they took turns");
}

#[test]
fn coroutine() {
    let ended = lines_of("coroutine.toml");
    ended.stdout_has("listening on port ");
    // The server answers when so many have asked.
    let page = |crowd: u32| (1..=12).map(move |page| format!("page {page}, one of {crowd} at once"));
    let wanted: Vec<String> = page(12).chain(page(3)).collect();
    in_order(&ended, &wanted.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn daemon() {
    let ended = lines_of("daemon.toml");
    in_order(&ended, &["daemon\tStarting: daemon", "Starting: main", "Exiting: main"]);
    in_order(
        &ended,
        &["Exiting: main", "other\tStarting: other", "other\tExiting: other", "other was joined"],
    );
    ended.check(!ended.stdout.contains("Exiting: daemon"), "it was stopped before");
}

#[test]
fn services() {
    let ended = example(&Space::new(), "services.toml").run();
    ended.code(3).stderr_has("broken").stderr_has("skipped: never: `broken` failed");
    ended.stdout_has("api\tis up; redis says PONG\n").stdout_has("hello from redis\n");
    let last = ["broken has failed, store has not", "api\tstops; redis still says PONG"];
    in_order(&ended, &last);
    ended.check(!ended.stdout.contains("never"), "it was skipped");
}

#[test]
fn dev() {
    let space = Space::new();
    let running = example(&space, "dev.toml").start();
    running.shows("web\tServing HTTP on 127.0.0.1");
    running.shows("watch\tnothing has changed\n");
    running.says("worker: exit 1, starting it again in 0.50 s");
    running.says("worker: exit 1, starting it again in 1.0 s");
    running.signal(nix::sys::signal::Signal::SIGINT);
    let ended = running.end();
    ended.died_of(nix::sys::signal::Signal::SIGINT);
    in_order(&ended, &["worker\tworks", "worker\tworks"]);
}
