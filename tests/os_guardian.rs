//! The guardian: the processes that it kills, those that it leaves, and its resistance to every signal but
//! SIGKILL.
//!
//! The supervisor that a test kills is this program again. It supervises before `main`, because the harness
//! has threads.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use prun::os::env::Env;
use prun::os::live_starts;
use prun::os::mark::{Mark, RunMark};
use prun::os::marked::mark_of;
use prun::os::start::{Launcher, Order, Strategy};
use prun::os::{descendants, guardian, proc, process};

/// The variable that makes this program a supervisor: the scripts that it starts. One that begins with `-`
/// counts as ended as soon as it has started.
const SCRIPTS: &str = "TEST_SUPERVISOR_SCRIPTS";

#[used]
// SAFETY: the loader calls the entries of `.init_array` as C functions, on the first thread, after the C library is
// ready; what the entry uses of Rust's library does not need its runtime, and a panic ends the program.
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = before_main;

extern "C" fn before_main() {
    if let Ok(scripts) = std::env::var(SCRIPTS) {
        supervise(&scripts);
        std::process::exit(0);
    }
}

/// Starts the scripts as tasks (after which the guardian is ready), prints the run's mark, and then obeys
/// orders, line by line.
fn supervise(scripts: &str) {
    guardian::start().expect("the first thread can fork");
    process::become_subreaper().expect("the system knows subreapers");
    println!("guardian {}", guardian::pid().expect("it was posted"));
    println!("run {}", live_starts::run().mark.number());
    let mut launcher = Launcher::new().expect("a stack for children");
    for (seq, script) in (1..).zip(scripts.lines()) {
        let mark = live_starts::register();
        let strategy = if seq % 2 == 0 { Strategy::Fork } else { Strategy::Spawn };
        start(&mut launcher, strategy, script.trim_start_matches('-'), mark);
        if script.starts_with('-') {
            live_starts::unregister(mark);
        }
    }
    println!("started");
    for order in std::io::stdin().lines() {
        match order.expect("a line").as_str() {
            "dismiss" => guardian::dismiss(),
            "children" => println!("children {}", descendants::children().len()),
            "abort" => std::process::abort(),
            other => panic!("unknown order `{other}`"),
        }
        println!("done");
    }
}

fn start(launcher: &mut Launcher, strategy: Strategy, script: &str, mark: Mark) -> Pid {
    let mut env = Env::inherited();
    let (id, number) = (&live_starts::run().id, mark.number().to_string());
    let own = [("PRUN_RUN_ID", id.as_str()), ("PRUN_START", &number)];
    own.iter().for_each(|(name, value)| env.set(name.as_bytes(), value.as_bytes()).expect("no NUL"));
    let mut order = Order {
        strategy,
        path: c"/bin/sh".into(),
        // What they write goes to the test, which is free of the harness.
        stdio: [0, 2, 2],
        mark: Some(mark),
        ..Order::default()
    };
    order.env.complete(&env);
    ["sh", "-c", script].iter().for_each(|word| order.argv.push(word.as_bytes()).expect("no NUL"));
    launcher.start(order.into()).expect("a shell can be started")
}

/// A supervisor, and a pipe that all of its tasks hold.
struct Supervisor {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    guardian: Pid,
    run: RunMark,
    /// The output of the tasks; it ends when all of them are gone.
    tasks: BufReader<std::io::PipeReader>,
}

impl Supervisor {
    fn start(scripts: &str) -> Supervisor {
        Supervisor::prepare(scripts, |_| ())
    }

    fn prepare(scripts: &str, with: impl FnOnce(&mut Command)) -> Supervisor {
        let (tasks, writer) = std::io::pipe().expect("a pipe");
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.env(SCRIPTS, scripts);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(writer).process_group(0);
        with(&mut command);
        let mut child = command.spawn().expect("this program can be started");
        drop(command);
        let output = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let tasks = BufReader::new(tasks);
        let mut supervisor =
            Supervisor { child, output, guardian: Pid::from_raw(0), run: RunMark::new(0), tasks };
        supervisor.guardian = Pid::from_raw(supervisor.number("guardian ") as i32);
        supervisor.run = RunMark::new(supervisor.number("run "));
        supervisor.line("started");
        supervisor
    }

    /// Reads a line that begins with these words, and returns the rest of it.
    fn line(&mut self, wanted: &str) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("text");
        let rest = line.strip_prefix(wanted).unwrap_or_else(|| panic!("no line `{wanted}`, but `{line}`"));
        rest.trim_end().to_owned()
    }

    fn number(&mut self, name: &str) -> u64 {
        self.line(name).parse().expect("a number")
    }

    fn tell(&mut self, order: &str) {
        writeln!(self.child.stdin.as_mut().expect("stdin is a pipe"), "{order}").expect("it listens");
    }

    /// Reads the next line of a task.
    fn task_line(&mut self) -> String {
        let mut line = String::new();
        self.tasks.read_line(&mut line).expect("text");
        line.trim_end().to_owned()
    }

    /// Waits until no process holds the pipe.
    fn tasks_end(&mut self) {
        while !self.task_line().is_empty() {}
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        self.child.kill().expect("it is a child");
        self.child.wait().expect("it is a child");
        gone(self.guardian);
    }
}

/// Waits for the end of a process that is no child of this one.
fn gone(pid: Pid) {
    // SAFETY: plain system calls on numbers; the descriptor is new.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    if fd == -1 {
        assert_eq!(Errno::last(), Errno::ESRCH);
        return;
    }
    // SAFETY: the descriptor is new, so nothing else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    let mut ends = [libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 }];
    // SAFETY: the list is live and as long as is said.
    let count = unsafe { libc::poll(ends.as_mut_ptr(), 1, 90_000) };
    assert_eq!(count, 1, "{pid} does not end");
}

/// Scripts that print `ready` once they have escaped, and would live on for long.
const ESCAPES: [&str; 6] = [
    "sleep 600 & echo ready >&2; wait",
    "setsid sh -c 'echo ready >&2; exec sleep 601' & wait",
    // A daemon: no parent, no session, no environment.
    "(env -i PATH=$PATH setsid sh -c '(echo ready >&2; exec sleep 602) & exit' &) ; exit",
    // One that forks all the time.
    "setsid sh -c 'echo ready >&2; while :; do sleep 0.01 & wait; done' & wait",
    "trap '' TERM INT HUP; echo ready >&2; while :; do sleep 603; done",
    // Its own limit is its mark no more, but its environment is.
    "prlimit --rttime=unlimited:unlimited setsid sh -c 'echo ready >&2; exec sleep 604' & exit",
];

#[test]
fn what_tasks_started_does_not_survive() {
    let ends: [fn(&mut Supervisor); 3] = [
        |it| it.child.kill().expect("it is a child"),
        |it| killpg(Pid::from_raw(it.child.id() as i32), Signal::SIGKILL).expect("it leads a group"),
        |it| it.tell("abort"),
    ];
    for end in ends {
        let mut supervisor = Supervisor::start(&ESCAPES.join("\n"));
        ESCAPES.iter().for_each(|_| assert_eq!(supervisor.task_line(), "ready"));
        end(&mut supervisor);
        supervisor.tasks_end();
        gone(supervisor.guardian);
        assert_eq!(descendants::of_run(supervisor.run), [], "two passes found none");
        supervisor.end();
    }
}

#[test]
fn what_was_let_go_stays() {
    let scripts = "-setsid sh -c 'echo $$ >&2; exec sleep 610' & wait\nsleep 611";
    let mut supervisor = Supervisor::start(scripts);
    let left = Pid::from_raw(supervisor.task_line().parse().expect("a pid"));
    supervisor.child.kill().expect("it is a child");
    gone(supervisor.guardian);
    assert!(proc::is_alive(left));
    kill(left, Signal::SIGKILL).expect("it is there");
    supervisor.tasks_end();
    supervisor.end();
}

#[test]
fn nothing_is_left_of_a_guardian_that_was_dismissed() {
    let mut supervisor = Supervisor::start("-setsid sh -c 'echo $$ >&2; exec sleep 620' & exit");
    let left = Pid::from_raw(supervisor.task_line().parse().expect("a pid"));
    supervisor.tell("dismiss");
    supervisor.line("done");
    assert_eq!(kill(supervisor.guardian, None), Err(Errno::ESRCH), "not even its zombie");
    supervisor.child.kill().expect("it is a child");
    assert!(proc::is_alive(left));
    kill(left, Signal::SIGKILL).expect("it is there");
    supervisor.tasks_end();
    supervisor.end();
}

#[test]
fn it_is_no_child_that_counts() {
    let mut supervisor = Supervisor::start("");
    supervisor.tell("children");
    assert_eq!(supervisor.number("children "), 0);
    supervisor.end();
}

#[test]
fn nothing_that_is_sent_to_prun_reaches_it() {
    let mut supervisor = Supervisor::start("sh -c 'echo ready >&2; exec sleep 630'");
    assert_eq!(supervisor.task_line(), "ready");
    let it = supervisor.guardian;
    for signal in Signal::iterator().filter(|signal| !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP)) {
        kill(it, signal).expect("it is there");
    }
    let show = |name: &str| std::fs::read_to_string(format!("/proc/{it}/{name}")).expect("it is there");
    assert_eq!(show("comm"), "guardian\n");
    assert_eq!(show("cmdline").trim_end_matches('\0'), "guardian");
    assert_eq!(nix::unistd::getsid(Some(it)), Ok(it));
    assert_eq!(std::fs::read_link(format!("/proc/{it}/cwd")).expect("it is there").as_os_str(), "/");
    let open = std::fs::read_dir(format!("/proc/{it}/fd")).expect("it is there");
    let open = open.map(|fd| std::fs::read_link(fd.expect("an entry").path()).expect("a link"));
    let mut open: Vec<String> = open.map(|link| link.to_string_lossy().into_owned()).collect();
    open.sort();
    assert_eq!(open[..3], ["/dev/null"; 3]);
    assert!(open.len() == 4 && open[3].starts_with("pipe:"), "{open:?}");
    supervisor.child.kill().expect("it is a child");
    supervisor.tasks_end();
    supervisor.end();
}

/// The guardian of an inner run carries the outer run's guardian mark; in its environment another variable
/// names that run.
#[test]
fn an_outer_run_knows_it_as_a_guardian() {
    let outer = Mark::new(RunMark::new(0x1_2345), 6);
    let supervisor = Supervisor::prepare("exit", |command| {
        command.env("PRUN_RUN_ID", "outer").env("PRUN_SEQ", "6");
        // SAFETY: the closure makes one plain system call.
        unsafe {
            command.pre_exec(move || {
                let limit = libc::rlimit { rlim_cur: outer.limit(), rlim_max: libc::RLIM_INFINITY };
                Ok(Errno::result(libc::setrlimit(libc::RLIMIT_RTTIME, &limit)).map(drop)?)
            });
        }
    });
    let guardian = supervisor.guardian;
    assert_eq!(mark_of(guardian), Some(outer.for_guardian()));
    let variables = std::fs::read_to_string(format!("/proc/{guardian}/environ")).expect("it is there");
    assert!(variables.split('\0').any(|variable| variable == "PRUN_GUARDS=outer"));
    assert!(!variables.contains("PRUN_RUN_ID"));
    assert_eq!(mark_of(Pid::from_raw(supervisor.child.id() as i32)), Some(outer));
    supervisor.end();
}
