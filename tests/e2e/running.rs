//! One run of a program: [`Prun`] before its start, [`Running`] meanwhile, [`Ended`] at its end.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use crate::space::LIMIT;

/// A run that has not been started yet.
pub struct Prun {
    command: Command,
    shown: String,
    stdin: Option<Vec<u8>>,
    limit: Duration,
}

impl Prun {
    pub fn new(command: Command, shown: String) -> Prun {
        Prun { command, shown, stdin: Some(Vec::new()), limit: LIMIT }
    }

    /// Adds an argument, taken as it is.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Prun {
        self.shown = format!("{} {:?}", self.shown, arg.as_ref());
        self.command.arg(arg);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Prun {
        self.command.env(name, value);
        self
    }

    /// Sets all of its standard input; without this, stdin is at its end at once.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Prun {
        self.stdin = Some(bytes.into());
        self
    }

    /// Keeps stdin open; [`Running::feed`] writes to it.
    pub fn open_stdin(mut self) -> Prun {
        self.stdin = None;
        self
    }

    /// Returns the command, to be started in another way.
    pub fn into_command(self) -> Command {
        self.command
    }

    /// Runs to its end.
    #[track_caller]
    pub fn run(self) -> Ended {
        self.start().end()
    }

    #[track_caller]
    pub fn start(self) -> Running {
        let Prun { mut command, shown, stdin, limit } = self;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{shown}: {error}"));
        let mut input = child.stdin.take();
        if let Some(bytes) = stdin {
            let mut pipe = input.take().expect("stdin is a pipe");
            // Written beside, because the program may write much before it reads. That it stops reading is its right.
            std::thread::spawn(move || pipe.write_all(&bytes));
        }
        let out = Stream::read(child.stdout.take().expect("stdout is a pipe"));
        let err = Stream::read(child.stderr.take().expect("stderr is a pipe"));
        let exited = watch(child.id());
        Running { child: Some(child), input, out, err, exited, shown, started: Instant::now(), limit }
    }
}

/// Reports the process's exit without reaping it, so that its pid stays its own until [`Running::end`].
fn watch(pid: u32) -> Receiver<()> {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        waitid(Id::Pid(Pid::from_raw(pid as i32)), flags).expect("a child can be waited for");
        // Nobody may be listening any more.
        let _ = tell.send(());
    });
    told
}

/// The bytes that a program has written so far.
struct Stream {
    bytes: Mutex<(Vec<u8>, bool)>,
    changed: Condvar,
}

impl Stream {
    fn read(mut from: impl Read + Send + 'static) -> Arc<Stream> {
        let stream = Arc::new(Stream { bytes: Mutex::default(), changed: Condvar::new() });
        let writer = Arc::clone(&stream);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            loop {
                let count = from.read(&mut buffer).unwrap_or(0);
                let mut bytes = writer.bytes.lock().expect("no reader panicked");
                bytes.0.extend_from_slice(&buffer[..count]);
                bytes.1 = count == 0;
                writer.changed.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        stream
    }

    /// Waits until `done(bytes, at_the_end)` holds. Returns false if the limit passes, or the stream ends,
    /// before that.
    fn wait(&self, limit: Duration, done: impl Fn(&[u8], bool) -> bool) -> bool {
        let bytes = self.bytes.lock().expect("no reader panicked");
        let more = |bytes: &mut (Vec<u8>, bool)| !done(&bytes.0, bytes.1) && !bytes.1;
        let (bytes, _) = self.changed.wait_timeout_while(bytes, limit, more).expect("no reader panicked");
        done(&bytes.0, bytes.1)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().expect("no reader panicked").0).into_owned()
    }
}

/// A running program, in a process group of its own.
pub struct Running {
    child: Option<Child>,
    input: Option<ChildStdin>,
    out: Arc<Stream>,
    err: Arc<Stream>,
    exited: Receiver<()>,
    shown: String,
    started: Instant,
    limit: Duration,
}

impl Running {
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.as_ref().expect("it runs").id() as i32)
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it was not reaped yet");
    }

    #[track_caller]
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.as_mut().expect("stdin was left open").write_all(bytes).expect("it reads its stdin");
    }

    pub fn close_stdin(&mut self) {
        self.input = None;
    }

    /// Waits until stdout holds this text.
    #[track_caller]
    pub fn shows(&self, text: &str) {
        self.wait_for(&self.out, "stdout", text);
    }

    /// Waits until stdout has this many lines.
    #[track_caller]
    pub fn shows_lines(&self, count: usize) {
        let enough = |bytes: &[u8], _| memchr::memchr_iter(b'\n', bytes).count() >= count;
        assert!(self.out.wait(self.limit, enough), "{count} lines never came on stdout\n{}", self.so_far());
    }

    /// Waits until stderr holds this text.
    #[track_caller]
    pub fn says(&self, text: &str) {
        self.wait_for(&self.err, "stderr", text);
    }

    /// Waits until stderr holds this text so many times.
    #[track_caller]
    pub fn says_times(&self, text: &str, times: usize) {
        let enough = |bytes: &[u8], _| memchr::memmem::find_iter(bytes, text.as_bytes()).count() >= times;
        assert!(self.err.wait(self.limit, enough), "{text:?} never came {times} times\n{}", self.so_far());
    }

    #[track_caller]
    fn wait_for(&self, stream: &Stream, name: &str, text: &str) {
        let seen = stream.wait(self.limit, |bytes, _| memchr::memmem::find(bytes, text.as_bytes()).is_some());
        assert!(seen, "{text:?} never came on {name}\n{}", self.so_far());
    }

    /// Returns the output so far.
    pub fn stdout_so_far(&self) -> String {
        self.out.text()
    }

    /// Returns the error output so far.
    pub fn stderr_so_far(&self) -> String {
        self.err.text()
    }

    fn so_far(&self) -> String {
        show(&self.shown, "running", &self.out.text(), &self.err.text())
    }

    /// Waits until the program has exited, but not for the end of its output.
    #[track_caller]
    pub fn exits(&self) {
        // Told once; then the one that tells is gone.
        if let Err(RecvTimeoutError::Timeout) = self.exited.recv_timeout(self.limit) {
            panic!("still running after {:?}\n{}", self.limit, self.so_far());
        }
    }

    /// True if it has exited already.
    pub fn has_exited(&self) -> bool {
        !matches!(self.exited.try_recv(), Err(TryRecvError::Empty))
    }

    /// Waits until the program has exited and its output is at its end.
    #[track_caller]
    pub fn end(mut self) -> Ended {
        self.exits();
        let elapsed = self.started.elapsed();
        let status =
            self.child.take().expect("it was not reaped yet").wait().expect("a child can be waited for");
        for stream in [&self.out, &self.err] {
            let ended = stream.wait(Duration::from_secs(10), |_, end| end);
            assert!(ended, "it has ended, but something still holds its output open\n{}", self.so_far());
        }
        Ended { status, elapsed, shown: self.shown.clone(), stdout: self.out.text(), stderr: self.err.text() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Only after a failure; the space sweeps what is not in this group.
            let _ = killpg(Pid::from_raw(child.id() as i32), Signal::SIGKILL);
            let _ = child.wait();
        }
    }
}

/// A run that has ended. Each check returns the run, so that checks can be chained.
pub struct Ended {
    pub status: ExitStatus,
    pub elapsed: Duration,
    pub stdout: String,
    pub stderr: String,
    shown: String,
}

impl Ended {
    #[track_caller]
    pub fn check(&self, holds: bool, what: &str) -> &Ended {
        let status = self.status.to_string();
        assert!(holds, "{what}\n{}", show(&self.shown, &status, &self.stdout, &self.stderr));
        self
    }

    #[track_caller]
    pub fn code(&self, code: i32) -> &Ended {
        self.check(self.status.code() == Some(code), &format!("it should exit with {code}"))
    }

    /// Checks for exit status 0 and an empty stderr.
    #[track_caller]
    pub fn ok(&self) -> &Ended {
        self.code(0).quiet()
    }

    #[track_caller]
    pub fn died_of(&self, signal: Signal) -> &Ended {
        let is = self.status.signal() == Some(signal as i32);
        self.check(is, &format!("it should die of {signal}"))
    }

    #[track_caller]
    pub fn quiet(&self) -> &Ended {
        self.check(self.stderr.is_empty(), "it should say nothing on stderr")
    }

    #[track_caller]
    pub fn stdout(&self, text: &str) -> &Ended {
        self.check(self.stdout == text, &format!("stdout should be {text:?}"))
    }

    /// Checks the lines of stdout in any order.
    #[track_caller]
    pub fn stdout_sorted(&self, lines: &[&str]) -> &Ended {
        let (mut seen, mut wanted) = (self.lines(), lines.to_vec());
        seen.sort_unstable();
        wanted.sort_unstable();
        self.check(seen == wanted, &format!("stdout should have the lines {lines:?}"))
    }

    #[track_caller]
    pub fn stdout_has(&self, text: &str) -> &Ended {
        self.check(self.stdout.contains(text), &format!("stdout should have {text:?}"))
    }

    /// Ignores case: the system's messages begin with a capital, prun's do not.
    #[track_caller]
    pub fn stderr_has(&self, text: &str) -> &Ended {
        self.check(
            self.stderr.to_lowercase().contains(&text.to_lowercase()),
            &format!("stderr should have {text:?}"),
        )
    }

    #[track_caller]
    pub fn stderr_lacks(&self, text: &str) -> &Ended {
        self.check(!self.stderr.contains(text), &format!("stderr should not have {text:?}"))
    }

    pub fn lines(&self) -> Vec<&str> {
        self.stdout.lines().collect()
    }

    /// Checks the elapsed time. Bounds catch hangs and lost signals only: far above what a busy machine
    /// needs, far below a forgotten wait.
    #[track_caller]
    pub fn within(&self, seconds: u64) -> &Ended {
        self.check(self.elapsed < Duration::from_secs(seconds), &format!("it should end in {seconds} s"))
    }

    #[track_caller]
    pub fn no_escapes(&self) -> &Ended {
        let clean = !self.stderr.contains('\x1b') && !self.stdout.contains('\x1b');
        self.check(clean, "there should not be one escape byte")
    }
}

fn show(line: &str, status: &str, stdout: &str, stderr: &str) -> String {
    format!("--- {line}\n--- {status}\n--- stdout\n{}\n--- stderr\n{}\n---", cut(stdout), cut(stderr))
}

/// Shortens long output in a failure's message.
fn cut(text: &str) -> String {
    match text.char_indices().nth(4000) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}
