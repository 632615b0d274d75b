//! A child that does as it is told, for the tests of the real binary. Its arguments are steps, done in order:
//!
//! - `meet=NAME` connects to the socket in `PUPPET_SOCKET` and says its name and pid; only it holds that
//!   connection, so its end proves that the puppet is dead
//! - `hold` does the steps that come over the socket, a line each, until the other side hangs up
//! - `catch=TERM,INT` lives on when these signals come, and says `got TERM` over the socket
//! - `say=TEXT` says something over the socket
//! - `out=N`, `err=N` write N bytes; `line=TEXT`, `errline=TEXT` a line
//! - `in` reads stdin to its end and says `read N` on stdout; `in=N` reads N bytes
//! - `work=N` keeps a processor busy until it has used N milliseconds of it; `hog=N` has N bytes of memory from then on
//! - `exit=K` ends
//! - `measure=FILE PROGRAM [ARG...]` runs a program and writes the most memory that it, or anything it waited
//!   for, ever had (in KiB) into the file; it ends with the program's exit code

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, exit};
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::Signal;
use nix::sys::time::TimeValLike;

type Line = Arc<Mutex<Option<UnixStream>>>;

fn main() {
    let line = Line::default();
    let mut steps = std::env::args().skip(1);
    while let Some(step) = steps.next() {
        match step.strip_prefix("measure=") {
            Some(file) => return measure(file, steps),
            None => act(&line, &step),
        }
    }
}

fn act(line: &Line, step: &str) {
    let (verb, value) = step.split_once('=').unwrap_or((step, ""));
    match verb {
        "meet" => meet(line, value),
        "hold" => hold(line),
        "catch" => catch(line, value),
        "say" => say(line, value),
        "out" => pour(&mut std::io::stdout().lock(), number(value)),
        "err" => pour(&mut std::io::stderr().lock(), number(value)),
        "line" => writeln!(std::io::stdout(), "{value}").expect("stdout takes a line"),
        "errline" => writeln!(std::io::stderr(), "{value}").expect("stderr takes a line"),
        "in" => drain(value),
        "work" => work(number(value)),
        "hog" => std::mem::forget(std::hint::black_box(vec![1u8; number(value) as usize])),
        "exit" => exit(number(value) as i32),
        _ => panic!("puppet: unknown step `{step}`"),
    }
}

fn number(value: &str) -> u64 {
    value.parse().unwrap_or_else(|_| panic!("puppet: `{value}` is no number"))
}

fn meet(line: &Line, name: &str) {
    let path = std::env::var("PUPPET_SOCKET").expect("PUPPET_SOCKET is set");
    let mut stream = UnixStream::connect(path).expect("someone listens at PUPPET_SOCKET");
    // Held all the while, so that a caught signal is told after the name, and told.
    let mut line = line.lock().expect("no thread panicked");
    writeln!(stream, "{name} {}", std::process::id()).expect("the other side listens");
    *line = Some(stream);
}

fn hold(line: &Line) {
    let stream = line.lock().expect("no thread panicked").as_ref().map(UnixStream::try_clone);
    let stream = stream.expect("`meet` comes before `hold`").expect("a socket can be cloned");
    for step in BufReader::new(stream).lines() {
        act(line, &step.expect("steps are text"));
    }
}

fn catch(line: &Line, names: &str) {
    for name in names.split(',') {
        let signal = Signal::from_str(&format!("SIG{name}")).expect("the name of a signal");
        let (mut arrivals, handler) = UnixStream::pair().expect("a pair of sockets");
        signal_hook::low_level::pipe::register(signal as i32, handler).expect("a signal can be caught");
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
        (usage.user_time().num_milliseconds()) as u64
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

fn measure(file: &str, mut words: impl Iterator<Item = String>) {
    let program = words.next().expect("a program to measure");
    let status = Command::new(program).args(words).status().expect("the program starts");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage of children is known");
    std::fs::write(file, usage.max_rss().to_string()).expect("the file can be written");
    exit(status.code().unwrap_or(255));
}
