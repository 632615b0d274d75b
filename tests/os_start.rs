//! Starting real children: both strategies, every step that can fail, and what children inherit.

use std::ffi::CString;
use std::fs;
use std::io::{PipeReader, Read, Write, pipe};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use prun::os::descendants::has_children;
use prun::os::env::Env;
use prun::os::start::{Group, Launcher, Order, StartError, Step, Strategy};

const BOTH: [Strategy; 2] = [Strategy::Spawn, Strategy::Fork];

/// A command to start, with defaults for whatever a test does not care about.
struct Start<'a> {
    strategy: Strategy,
    words: &'a [&'a str],
    cwd: Option<CString>,
    stdio: [RawFd; 3],
    group: Group,
    env: Env,
    waits: bool,
}

fn cstring(path: impl AsRef<Path>) -> CString {
    CString::new(path.as_ref().as_os_str().as_encoded_bytes()).unwrap()
}

impl<'a> Start<'a> {
    fn new(strategy: Strategy, words: &'a [&'a str]) -> Start<'a> {
        Start {
            strategy,
            words,
            cwd: None,
            stdio: [0, 1, 2],
            group: Group::New,
            env: Env::inherited(),
            waits: false,
        }
    }

    fn with(&mut self, launcher: &mut Launcher) -> Result<Pid, StartError> {
        let mut order = launcher.spare_order();
        order.argv.clear();
        for word in self.words {
            order.argv.push(word.as_bytes()).unwrap();
        }
        order.path = cstring(self.words[0]);
        order.env.clear_own();
        order.env.set_own(&mut self.env, b"OWN", b"x=y").unwrap();
        order.env.complete(&self.env);
        (order.strategy, order.waits, order.cwd) = (self.strategy, self.waits, self.cwd.clone());
        (order.stdio, order.group) = (self.stdio, self.group);
        launcher.start(order).map_err(|failed| failed.error)
    }

    fn start(&mut self) -> Result<Pid, StartError> {
        self.with(&mut Launcher::new().unwrap())
    }

    /// Starts it with its stdout in a pipe.
    fn piped(&mut self) -> (Pid, PipeReader) {
        let (reader, writer) = pipe().unwrap();
        self.stdio[1] = writer.as_raw_fd();
        (self.start().unwrap(), reader)
    }

    /// Returns its output; it must exit with 0.
    fn output(&mut self) -> String {
        let (pid, reader) = self.piped();
        let text = read(reader);
        assert_eq!(code(pid), 0, "{:?}", self.words);
        text
    }

    /// Returns the step and the errno of a start that must fail: at once if it waits, and otherwise when the child has
    /// ended.
    fn failure(&mut self) -> (Step, Errno) {
        self.waits = true;
        let error = self.start().expect_err("it started");
        self.waits = false;
        let mut launcher = Launcher::new().unwrap();
        let pid = self.with(&mut launcher).expect("a child can be made");
        assert_eq!(code(pid), 127);
        assert_eq!(launcher.ended(pid).expect("it failed").error, error);
        assert!(launcher.ended(pid).is_none(), "it is told once");
        (error.step, error.errno)
    }
}

fn read(mut reader: PipeReader) -> String {
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    text
}

fn code(pid: Pid) -> i32 {
    match waitpid(pid, None).unwrap() {
        WaitStatus::Exited(_, code) => code,
        other => panic!("{other:?}"),
    }
}

/// Returns the command that runs this test once more, alone in a process of its own.
fn again(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env("OS_START_INSIDE", "1");
    command
}

/// True in that process.
fn inside() -> bool {
    std::env::var_os("OS_START_INSIDE").is_some()
}

/// Writes a file of this text and mode in a folder of its own.
fn file(text: &str, mode: u32) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("program");
    // Written by another process: a child that some other test starts at this moment would hold a copy of
    // our descriptor for a while, and what is open for writing can't be executed.
    let mut tee = Command::new("tee").arg(&path).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    tee.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(tee.wait().unwrap().success());
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    let path = path.to_str().unwrap().to_string();
    (folder, path)
}

#[test]
fn output_and_exit_codes_come_back() {
    for strategy in BOTH {
        assert_eq!(Start::new(strategy, &["/bin/echo", "a b", ""]).output(), "a b \n");
        for wanted in [0, 1, 127, 255] {
            let script = format!("exit {wanted}");
            let pid = Start::new(strategy, &["/bin/sh", "-c", &script]).start().unwrap();
            assert_eq!(code(pid), wanted);
        }
    }
}

#[test]
fn variables_are_those_of_the_order() {
    for strategy in BOTH {
        let mut start = Start::new(strategy, &["/usr/bin/env"]);
        start.env = Env::empty();
        start.env.set(b"A", b"1").unwrap();
        assert_eq!(start.output(), "A=1\nOWN=x=y\n");
    }
}

#[test]
fn every_step_that_fails_is_told_with_its_errno() {
    let (_a, plain) = file("#!/bin/sh\n", 0o644);
    let (_b, orphan) = file("#!/no/such\n", 0o755);
    let (_c, through) = file("", 0o755);
    let through = format!("{through}/x");
    let long = "x".repeat(128 << 10);
    for strategy in BOTH {
        let execute = |words: &[&str]| Start::new(strategy, words).failure();
        assert_eq!(execute(&["/no/such"]), (Step::Execute, Errno::ENOENT));
        assert_eq!(execute(&[&orphan]), (Step::Execute, Errno::ENOENT));
        assert_eq!(execute(&["/"]), (Step::Execute, Errno::EACCES));
        assert_eq!(execute(&[&plain]), (Step::Execute, Errno::EACCES));
        assert_eq!(execute(&[&through]), (Step::Execute, Errno::ENOTDIR));
        assert_eq!(execute(&["/bin/echo", &long]), (Step::Execute, Errno::E2BIG));

        let mut start = Start::new(strategy, &["/bin/true"]);
        start.cwd = Some(cstring("/no/such"));
        assert_eq!(start.failure(), (Step::Directory, Errno::ENOENT));

        let mut start = Start::new(strategy, &["/bin/true"]);
        start.stdio = [0, 1_000_000, 2];
        assert_eq!(start.failure(), (Step::Descriptors, Errno::EBADF));

        let mut start = Start::new(strategy, &["/bin/true"]);
        start.group = Group::Join(Pid::from_raw(1));
        assert_eq!(start.failure(), (Step::Group, Errno::EPERM));
    }
}

#[test]
fn a_failed_start_leaves_no_zombie() {
    if inside() {
        for strategy in BOTH {
            let mut start = Start::new(strategy, &["/no/such"]);
            start.waits = true;
            start.start().unwrap_err();
            assert!(!has_children());
        }
        return;
    }
    let run = again("a_failed_start_leaves_no_zombie").output().unwrap();
    assert!(run.status.success(), "{run:?}");
}

#[test]
fn a_text_file_without_interpreter_is_run_by_the_shell() {
    let (_folder, path) = file("echo \"$0 $# $1\"\n", 0o755);
    for strategy in BOTH {
        assert_eq!(Start::new(strategy, &[&path, "a b", "c"]).output(), format!("{path} 2 a b\n"));
        assert_eq!(Start::new(strategy, &[&path]).output(), format!("{path} 0 \n"));
    }
}

#[test]
fn the_directory_is_where_the_path_is_seen_from() {
    let (folder, _path) = file("#!/bin/sh\npwd\n", 0o755);
    for strategy in BOTH {
        let mut start = Start::new(strategy, &["./program"]);
        start.cwd = Some(cstring(folder.path()));
        let there = fs::canonicalize(folder.path()).unwrap();
        assert_eq!(start.output(), format!("{}\n", there.display()));
    }
}

#[test]
fn groups_are_new_joined_or_kept() {
    // Prints its group and then waits, so that the group is there to be joined.
    let words = ["/bin/sh", "-c", "cut -d' ' -f5 /proc/self/stat; read _"];
    for strategy in BOTH {
        let (hold, release) = pipe().unwrap();
        let mut start = Start::new(strategy, &words);
        start.stdio[0] = hold.as_raw_fd();
        let (leader, mut reader) = start.piped();
        let mut line = [0; 64];
        // The read side stays open: the shell waits for its stdin.
        let length = Read::read(&mut reader, &mut line).unwrap();
        assert_eq!(std::str::from_utf8(&line[..length]).unwrap().trim(), leader.to_string());

        let group = ["/usr/bin/cut", "-d ", "-f5", "/proc/self/stat"];
        let mut start = Start::new(strategy, &group);
        start.group = Group::Join(leader);
        assert_eq!(start.output().trim(), leader.to_string());
        drop(release);
        waitpid(leader, None).unwrap();
    }
}

#[test]
fn children_have_no_other_descriptor_100_at_once() {
    let mut launcher = Launcher::new().unwrap();
    // What a child of the standard library has: 0 to 2, what the tests were given, and ls's own.
    let usual = Command::new("/bin/ls").arg("/proc/self/fd").output().unwrap().stdout;
    for strategy in BOTH {
        let running: Vec<_> = (0..100)
            .map(|_| {
                let ((reader, writer), (silence, _)) = (pipe().unwrap(), pipe().unwrap());
                let mut start = Start::new(strategy, &["/bin/ls", "/proc/self/fd"]);
                start.stdio = [silence.as_raw_fd(), writer.as_raw_fd(), writer.as_raw_fd()];
                (start.with(&mut launcher).unwrap(), reader)
            })
            .collect();
        for (pid, reader) in running {
            assert_eq!(read(reader).as_bytes(), usual);
            assert_eq!(code(pid), 0);
        }
    }
}

/// Runs in a process of its own, whose descriptors 0 to 2 are known.
#[test]
fn overlapping_descriptors_land_where_they_belong() {
    if inside() {
        // None of them is passed on by itself.
        for fd in [std::io::stdin().as_fd(), std::io::stdout().as_fd(), std::io::stderr().as_fd()] {
            fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        }
        for strategy in BOTH {
            let mut start = Start::new(strategy, &["/bin/sh", "-c", "echo out; echo err >&2; cat <&0"]);
            // stdout and stderr crossed, and stdin as it is.
            start.stdio = [0, 2, 1];
            assert_eq!(code(start.start().unwrap()), 0);
            // Both on the old stderr.
            start.stdio = [0, 2, 2];
            assert_eq!(code(start.start().unwrap()), 0);
        }
        return;
    }
    let run = again("overlapping_descriptors_land_where_they_belong").output().unwrap();
    assert!(run.status.success(), "{run:?}");
    let lines = |bytes: &[u8], word: &str| String::from_utf8_lossy(bytes).matches(word).count();
    assert_eq!((lines(&run.stdout, "err\n"), lines(&run.stdout, "out\n")), (2, 0), "{run:?}");
    assert_eq!((lines(&run.stderr, "out\n"), lines(&run.stderr, "err\n")), (4, 2), "{run:?}");
}

#[test]
fn an_order_without_arguments_is_refused() {
    let order = Order { path: c"/bin/true".into(), stdio: [0, 1, 2], ..Order::default() };
    let failed = Launcher::new().unwrap().start(order.into()).unwrap_err();
    assert_eq!(failed.error, StartError { step: Step::Execute, errno: Errno::EINVAL });
}

#[test]
fn orders_are_kept_until_their_children_have_executed() {
    let mut launcher = Launcher::new().unwrap();
    for strategy in BOTH {
        let (reader, writer) = pipe().unwrap();
        let words: Vec<_> = (0..300).map(|number| number.to_string()).collect();
        let pids: Vec<_> = words
            .iter()
            .map(|word| {
                // Each start overwrites whatever is free of those before it.
                let command = ["/bin/echo", word, "OWN"];
                let mut start = Start::new(strategy, &command);
                start.stdio[1] = writer.as_raw_fd();
                start.with(&mut launcher).unwrap()
            })
            .collect();
        drop(writer);
        for pid in pids {
            assert_eq!(code(pid), 0);
            assert!(launcher.ended(pid).is_none());
        }
        let mut lines: Vec<_> = read(reader).lines().map(str::to_owned).collect();
        lines.sort_by_key(|line| line.split(' ').next().unwrap().parse::<u32>().unwrap());
        assert_eq!(lines, words.iter().map(|word| format!("{word} OWN")).collect::<Vec<_>>());
    }
}

#[test]
fn a_launcher_that_goes_leaves_its_children_their_memory() {
    for strategy in BOTH {
        let (reader, writer) = pipe().unwrap();
        let pids: Vec<_> = (0..50)
            .map(|_| {
                let mut start = Start::new(strategy, &["/bin/echo", "whole"]);
                start.stdio[1] = writer.as_raw_fd();
                start.start().unwrap()
            })
            .collect();
        drop(writer);
        pids.into_iter().for_each(|pid| assert_eq!(code(pid), 0));
        assert_eq!(read(reader), "whole\n".repeat(50));
    }
}

#[test]
fn the_writer_is_free_once_the_child_has_started() {
    for strategy in BOTH {
        let (reader, writer) = pipe().unwrap();
        let mut start = Start::new(strategy, &["/bin/cat"]);
        start.stdio[0] = reader.as_raw_fd();
        let pid = start.start().unwrap();
        drop(writer);
        // cat sees the end only if the child holds no copy of the writing end.
        assert_eq!(code(pid), 0);
    }
}
