//! A child for the end-to-end tests that does what it is told. Its arguments are steps, done in order:
//!
//! - `meet=NAME` connects to the socket in `PUPPET_SOCKET` and says its name and pid; only it holds that
//!   connection, so its end proves that the puppet is dead
//! - `socket=PATH` names that socket where the environment does not; comes before the others
//! - `hold` does the steps that come over the socket, a line each, until the other side hangs up
//! - `catch=TERM,INT` lives on when these signals come, and says `got TERM` over the socket
//! - `say=TEXT` says something over the socket
//! - `out=N`, `err=N` write N bytes; `line=TEXT`, `errline=TEXT` a line
//! - `in` reads stdin to its end and says `read N` on stdout; `in=N` reads N bytes
//! - `listen=PORT` listens at this port of 127.0.0.1 from then on
//! - `alloc=N` takes N bytes of memory, and aborts if they are not to be had
//! - `work=N` keeps a processor busy until it has used N milliseconds of it; `hog=N` has N bytes of memory
//!   from then on
//! - `exit=K` exits with K; `die=KILL` dies of that signal; `stop` stops until SIGCONT comes; `hang` does
//!   nothing for ever
//! - `tty` reads a line from the terminal and says it over the socket
//! - `measure=FILE PROGRAM [ARG...]` runs a program and writes the most memory that it, or anything it waited
//!   for, ever had (in KiB) into the file; it ends with the program's exit code
//!
//! The steps that make processes hard to find are in `escapes`:
//!
//! - `fork [ STEP... ]` has a child of its own do these steps, and goes on
//! - `keep=N [ STEP... ]` does the same, waits for it, and starts it again when it dies, N times
//! - `setsid` leads a session of its own; `daemon` has all further steps done by a daemon (two forks and two
//!   sessions away, without descriptors 0 to 2, in `/`) and ends
//! - `wipe` goes on with an empty environment, as `env -i` does; `title=NAME` overwrites its arguments and
//!   its environment, as daemons do that show their state in `ps`
//! - `ignore=TERM,INT` ignores signals; `outlive` clears the parent-death signal; `subreaper` adopts the
//!   processes that its children leave
//!
//! `wipe` and `ignore` execute the puppet anew, so `meet` comes after them.

mod escapes;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::process::{Command, exit};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, raise};
use nix::sys::time::TimeValLike;

type Line = Arc<Mutex<Option<UnixStream>>>;

/// The process that does the steps.
struct Puppet {
    /// The socket of the test's meeting.
    socket: Option<String>,
    line: Line,
}

fn main() {
    let mut puppet = Puppet { socket: std::env::var("PUPPET_SOCKET").ok(), line: Line::default() };
    puppet.perform(std::env::args().skip(1).collect());
}

impl Puppet {
    fn perform(&mut self, steps: Vec<String>) {
        let mut steps = steps.into_iter();
        while let Some(step) = steps.next() {
            let (verb, value) = step.split_once('=').unwrap_or((&step, ""));
            match verb {
                "measure" => measure(value, &mut steps),
                "socket" => self.socket = Some(value.to_owned()),
                "meet" => self.meet(value),
                "hold" => self.hold(),
                _ if escapes::act(self, verb, value, &mut steps) => {}
                _ => act(&self.line, &step),
            }
        }
    }

    fn meet(&self, name: &str) {
        let path = self.socket.as_ref().expect("PUPPET_SOCKET is set");
        let mut stream = UnixStream::connect(path).expect("someone listens at PUPPET_SOCKET");
        // Held all the while, so that a caught signal is told after the name, and told.
        let mut line = self.line.lock().expect("no thread panicked");
        writeln!(stream, "{name} {}", std::process::id()).expect("the other side listens");
        *line = Some(stream);
    }

    fn hold(&mut self) {
        let stream = self.line.lock().expect("no thread panicked").as_ref().map(UnixStream::try_clone);
        let stream = stream.expect("`meet` comes before `hold`").expect("a socket can be cloned");
        for line in BufReader::new(stream).lines() {
            let line = line.expect("steps are text");
            // Only what has brackets is more than one word; a text may have blanks.
            let steps = match line.contains(" [ ") {
                true => line.split(' ').map(str::to_owned).collect(),
                false => vec![line],
            };
            self.perform(steps);
        }
    }
}

fn act(line: &Line, step: &str) {
    let (verb, value) = step.split_once('=').unwrap_or((step, ""));
    match verb {
        "catch" => catch(line, value),
        "say" => say(line, value),
        "out" => pour(&mut std::io::stdout().lock(), number(value)),
        "err" => pour(&mut std::io::stderr().lock(), number(value)),
        "line" => writeln!(std::io::stdout(), "{value}").expect("stdout takes a line"),
        "errline" => writeln!(std::io::stderr(), "{value}").expect("stderr takes a line"),
        "in" => drain(value),
        "listen" => listen(number(value) as u16),
        "alloc" => drop(std::hint::black_box(vec![1u8; number(value) as usize])),
        "work" => work(number(value)),
        "hog" => std::mem::forget(std::hint::black_box(vec![1u8; number(value) as usize])),
        "exit" => exit(number(value) as i32),
        "die" => raise(signal(value)).expect("a signal can be raised"),
        "stop" => raise(Signal::SIGSTOP).expect("a signal can be raised"),
        "hang" => std::iter::repeat_with(nix::unistd::pause).for_each(drop),
        "tty" => say(line, &format!("tty {}", typed())),
        _ => panic!("puppet: unknown step `{step}`"),
    }
}

/// Returns the signal of this name, without `SIG`.
fn signal(name: &str) -> Signal {
    Signal::from_str(&format!("SIG{name}")).expect("the name of a signal")
}

/// Reads a line from the terminal, or returns why there is none.
fn typed() -> String {
    let mut text = String::new();
    let read =
        std::fs::File::open("/dev/tty").and_then(|terminal| BufReader::new(terminal).read_line(&mut text));
    read.map_or_else(|error| error.to_string(), |_| text.trim_end().to_owned())
}

fn number(value: &str) -> u64 {
    value.parse().unwrap_or_else(|_| panic!("puppet: `{value}` is no number"))
}

fn catch(line: &Line, names: &str) {
    for name in names.split(',') {
        let number = signal(name) as i32;
        let (mut arrivals, handler) = UnixStream::pair().expect("a pair of sockets");
        signal_hook::low_level::pipe::register(number, handler).expect("a signal can be caught");
        let (line, name) = (Arc::clone(line), name.to_owned());
        std::thread::spawn(move || {
            while arrivals.read_exact(&mut [0]).is_ok() {
                say(&line, &format!("got {name}"));
            }
        });
    }
}

fn say(line: &Line, text: &str) {
    if let Some(stream) = line.lock().expect("no thread panicked").as_mut() {
        // The test may have hung up, which is no reason to end.
        let _ = writeln!(stream, "{text}");
    }
}

fn pour(to: &mut impl Write, mut count: u64) {
    let chunk: Vec<u8> =
        (0..1 << 16).map(|n| if n % 64 == 63 { b'\n' } else { b'a' + (n % 26) as u8 }).collect();
    while count > 0 {
        let part = count.min(chunk.len() as u64) as usize;
        to.write_all(&chunk[..part]).expect("the reader takes everything");
        count -= part as u64;
    }
    to.flush().expect("the reader takes everything");
}

fn work(milliseconds: u64) {
    let used = || {
        let usage = getrusage(UsageWho::RUSAGE_SELF).expect("its own usage is known");
        usage.user_time().num_milliseconds() as u64
    };
    while used() < milliseconds {
        std::hint::black_box((0..1_000_000u64).fold(0, |sum, n| std::hint::black_box(sum ^ n)));
    }
}

fn drain(limit: &str) {
    let limit = if limit.is_empty() { u64::MAX } else { number(limit) };
    let read = std::io::copy(&mut std::io::stdin().lock().take(limit), &mut std::io::sink());
    println!("read {}", read.expect("stdin can be read"));
}

/// Retries while another process still holds the port, such as a child of the test that is just being
/// executed.
fn listen(port: u16) {
    let start = Instant::now();
    loop {
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(listener) => return std::mem::forget(listener),
            Err(error) if error.kind() == ErrorKind::AddrInUse && start.elapsed().as_secs() < 60 => {
                std::thread::yield_now();
            }
            Err(error) => panic!("port {port}: {error}"),
        }
    }
}

fn measure(file: &str, words: &mut impl Iterator<Item = String>) {
    let program = words.next().expect("a program to measure");
    let status = Command::new(program).args(words).status().expect("the program starts");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage of children is known");
    std::fs::write(file, usage.max_rss().to_string()).expect("the file can be written");
    exit(status.code().unwrap_or(255));
}
