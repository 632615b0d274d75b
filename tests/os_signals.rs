//! Signals, sent to real processes. Each test runs itself once more as a process of its own, which plays
//! prun; the outer half sends the signals.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, Stdio};

use nix::libc;
use nix::unistd::Pid;
use prun::os::env::Env;
use prun::os::inherited::inherited;
use prun::os::poller::{Interest, Poller};
use prun::os::process::{Change, Changed, Exit, peek, reap};
use prun::os::signals::{Signals, die};
use prun::os::start::{Launcher, Order, Strategy};

/// The test runner has a thread before prun's part begins; SIGCHLD must be blocked in that one too.
const ENV: [&str; 2] = ["env", "--block-signal=CHLD"];

/// Returns the command line of this test's inner half, with `before` in front of it.
fn again(test: &str, before: &[&str]) -> Command {
    let me = std::env::current_exe().unwrap();
    let mut words = before.iter().map(std::ffi::OsString::from).chain([me.into_os_string()]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(["--exact", test, "--nocapture", "--test-threads=1", "-q"]);
    command.env("OS_SIGNALS_INSIDE", "1").stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

fn inside() -> bool {
    std::env::var_os("OS_SIGNALS_INSIDE").is_some()
}

/// Prints a line for the outer half.
fn say(word: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "\nsaid {word}").unwrap();
    out.flush().unwrap();
}

/// The inner half, as the outer one sees it.
struct Inner {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Inner {
    fn start(mut command: Command) -> Inner {
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Inner { child, out }
    }

    /// Reads the next word of the inner half; the test runner's own lines are skipped.
    fn said(&mut self) -> String {
        let mut line = String::new();
        while self.out.read_line(&mut line).unwrap() > 0 {
            if let Some(word) = line.strip_prefix("said ") {
                return word.trim_end().to_string();
            }
            line.clear();
        }
        panic!("it ended");
    }

    fn send(&self, signal: i32) {
        let signal = nix::sys::signal::Signal::try_from(signal).unwrap();
        nix::sys::signal::kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Waits for the end, and returns the signal that caused it.
    fn killed_by(mut self) -> i32 {
        self.out.read_to_end(&mut Vec::new()).unwrap();
        let status = self.child.wait().unwrap();
        assert!(!status.core_dumped());
        status.signal().unwrap_or_else(|| panic!("{status}"))
    }
}

/// Prints every signal that arrives, until prun dies.
fn say_arrivals(signals: &mut Signals) -> ! {
    let poller = Poller::new().unwrap();
    poller.add(signals.fd(), 0, Interest::Read).unwrap();
    let mut ready = Vec::new();
    say("ready");
    loop {
        poller.wait(&mut ready, None).unwrap();
        for signal in signals.take().stop {
            say(&signal.to_string());
        }
    }
}

#[test]
fn two_signals_are_told_and_the_third_ends_prun() {
    if inside() {
        say_arrivals(&mut Signals::install().unwrap());
    }
    let mut inner = Inner::start(again("two_signals_are_told_and_the_third_ends_prun", &ENV));
    assert_eq!(inner.said(), "ready");
    for signal in [libc::SIGINT, libc::SIGTERM] {
        inner.send(signal);
        assert_eq!(inner.said(), signal.to_string());
    }
    inner.send(libc::SIGQUIT);
    assert_eq!(inner.killed_by(), libc::SIGQUIT);
}

#[test]
fn the_third_ends_prun_whatever_its_loop_does() {
    if inside() {
        let _signals = Signals::install().unwrap();
        say("ready");
        // Never looks at its signals.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        return;
    }
    for third in [libc::SIGINT, libc::SIGHUP] {
        let mut inner = Inner::start(again("the_third_ends_prun_whatever_its_loop_does", &ENV));
        assert_eq!(inner.said(), "ready");
        let others = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];
        for signal in others.into_iter().filter(|&signal| signal != third).take(2) {
            inner.send(signal);
        }
        inner.send(third);
        // They may arrive in any order, but it takes three to end it.
        assert!(others.contains(&inner.killed_by()));
    }
}

#[test]
fn ctrlc_takes_over_and_no_signal_is_lost() {
    if inside() {
        let mut signals = Signals::install().unwrap();
        signals.hand_interrupt_to_ctrlc();
        assert!(signals.has_ctrlc());
        say_arrivals(&mut signals);
    }
    let mut inner = Inner::start(again("ctrlc_takes_over_and_no_signal_is_lost", &ENV));
    assert_eq!(inner.said(), "ready");
    for signal in [libc::SIGINT, libc::SIGTERM] {
        inner.send(signal);
        assert_eq!(inner.said(), signal.to_string());
    }
    inner.send(libc::SIGHUP);
    assert_eq!(inner.killed_by(), libc::SIGHUP);
}

#[test]
fn what_was_ignored_stays_so() {
    if inside() {
        say_arrivals(&mut Signals::install().unwrap());
    }
    let before = [ENV[0], ENV[1], "--ignore-signal=INT,HUP"];
    let mut inner = Inner::start(again("what_was_ignored_stays_so", &before));
    assert_eq!(inner.said(), "ready");
    for signal in [libc::SIGINT, libc::SIGHUP, libc::SIGTERM] {
        inner.send(signal);
    }
    assert_eq!(inner.said(), libc::SIGTERM.to_string());
    inner.send(libc::SIGQUIT);
    assert_eq!(inner.said(), libc::SIGQUIT.to_string());
    inner.send(libc::SIGKILL);
    assert_eq!(inner.killed_by(), libc::SIGKILL);
}

#[test]
fn prun_dies_of_the_signal() {
    if inside() {
        let _signals = Signals::install().unwrap();
        die(std::env::var("OS_SIGNALS_DIE").unwrap().parse().unwrap());
    }
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGPIPE] {
        let mut command = again("prun_dies_of_the_signal", &["env", "--block-signal=TERM"]);
        command.env("OS_SIGNALS_DIE", signal.to_string());
        assert_eq!(Inner::start(command).killed_by(), signal);
    }
}

/// Starts a command with prun's own stdin, stdout and stderr.
fn start(strategy: Strategy, words: &[&str]) -> Pid {
    let mut order = Order {
        strategy,
        path: std::ffi::CString::new(words[0]).unwrap(),
        stdio: [0, 1, 2],
        ..Order::default()
    };
    for word in words {
        order.argv.push(word.as_bytes()).unwrap();
    }
    order.env.complete(&Env::inherited());
    Launcher::new().unwrap().start(order.into()).unwrap()
}

#[test]
fn exits_are_told_also_where_they_were_ignored() {
    if inside() {
        assert!(inherited().ignored.contains(libc::SIGCHLD));
        let mut signals = Signals::install().unwrap();
        let poller = Poller::new().unwrap();
        poller.add(signals.fd(), 0, Interest::Read).unwrap();
        let pid = start(Strategy::Spawn, &["/bin/sh", "-c", "exit 7"]);
        let mut ready = Vec::new();
        while !signals.take().child {
            poller.wait(&mut ready, None).unwrap();
        }
        assert_eq!(peek(), Some(Changed { pid, change: Change::Exited(Exit::Code(7)) }));
        reap(pid);
        say("well");
        return;
    }
    let before = [ENV[0], ENV[1], "--ignore-signal=CHLD"];
    let mut inner = Inner::start(again("exits_are_told_also_where_they_were_ignored", &before));
    assert_eq!(inner.said(), "well");
    assert!(inner.child.wait().unwrap().success());
}

/// Returns the blocked, ignored and caught signals in a child's `/proc/self/status`.
fn masks(mut command: Command) -> Vec<u64> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers =
        text.lines().filter(|line| line.starts_with("Sig")).map(|line| line.split('\t').nth(1).unwrap());
    // 32 and 33 are the C library's own, which it ignores and handles as it likes.
    numbers.map(|number| u64::from_str_radix(number, 16).unwrap() & !(3 << 31)).collect()
}

#[test]
fn children_get_the_signals_that_prun_was_given() {
    const STATUS: [&str; 3] = ["/bin/grep", "^Sig[BIC]", "/proc/self/status"];
    if inside() {
        let _signals = Signals::install().unwrap();
        for strategy in [Strategy::Spawn, Strategy::Fork] {
            println!();
            assert_eq!(nix::sys::wait::waitpid(start(strategy, &STATUS), None).map(|_| ()), Ok(()));
        }
        return;
    }
    let cases: [&[&str]; 3] = [
        &["env"],
        &["env", "--ignore-signal=INT,USR1,CHLD,PIPE,TSTP", "--block-signal=USR2,CHLD,PIPE"],
        &["env", "--default-signal=PIPE", "--ignore-signal=TERM", "--block-signal=TERM,QUIT,TSTP"],
    ];
    for before in cases {
        let mut direct = Command::new(before[0]);
        direct.args(&before[1..]).args(STATUS);
        let mut direct = masks(direct);
        assert_eq!(direct.len(), 3);
        // It is neither blocked nor ignored in children, whatever prun was given.
        direct[..2].iter_mut().for_each(|signals| *signals &= !(1 << (libc::SIGPIPE - 1)));
        let through = masks(again("children_get_the_signals_that_prun_was_given", before));
        assert_eq!(through, [direct.clone(), direct].concat(), "{before:?}");
    }
}

#[test]
fn limits_and_closed_descriptors_are_as_given() {
    if inside() {
        assert_eq!(inherited().open, [false, true, true]);
        let before = inherited().nofile;
        let raised = prun::os::limits::raise_nofile(before.0 + 10);
        assert_eq!(raised, before.0 + 10);
        let pid = start(Strategy::Spawn, &["/bin/sh", "-c", "echo; echo said $(ulimit -n)"]);
        nix::sys::wait::waitpid(pid, None).unwrap();
        return;
    }
    let shell = ["/bin/sh", "-c", "ulimit -Sn 100; exec \"$@\" <&-", "sh"];
    let mut inner = Inner::start(again("limits_and_closed_descriptors_are_as_given", &shell));
    assert_eq!(inner.said(), "100");
    inner.out.read_to_end(&mut Vec::new()).unwrap();
    assert!(inner.child.wait().unwrap().success());
}
