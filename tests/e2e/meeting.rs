//! A socket at which the children that prun starts report to the test. A child that has connected has really
//! started; a child whose connection has closed is really dead. No test sleeps and hopes.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, poll};

use crate::space::{LIMIT, Space};

pub struct Meeting {
    listener: UnixListener,
}

/// A connected `puppet` (see `tests/helper/puppet.rs`).
pub struct Guest {
    pub name: String,
    pub pid: i32,
    stream: BufReader<UnixStream>,
}

impl Meeting {
    pub fn open(space: &Space) -> Meeting {
        Meeting { listener: UnixListener::bind(space.path("socket")).expect("a socket in the space") }
    }

    /// Waits for the next guest.
    #[track_caller]
    pub fn guest(&self) -> Guest {
        assert!(self.waits_for_guest(LIMIT.as_millis() as u16), "nobody came to the meeting");
        self.welcome()
    }

    /// Waits for the next guest. Returns `None` once `over` holds and nobody waits to be accepted.
    #[track_caller]
    pub fn guest_unless(&self, over: impl Fn() -> bool) -> Option<Guest> {
        let start = Instant::now();
        while !self.waits_for_guest(20) {
            if over() && !self.has_guest() {
                return None;
            }
            assert!(start.elapsed() < LIMIT, "nobody came to the meeting");
        }
        Some(self.welcome())
    }

    #[track_caller]
    fn welcome(&self) -> Guest {
        let (stream, _) = self.listener.accept().expect("someone is there");
        stream.set_read_timeout(Some(LIMIT)).expect("a limit for reading");
        let mut guest = Guest { name: String::new(), pid: 0, stream: BufReader::new(stream) };
        let hello = guest.line().expect("a guest says its name");
        let (name, pid) = hello.split_once(' ').expect("name and pid");
        guest.name = name.to_owned();
        guest.pid = pid.parse().expect("a pid");
        guest
    }

    /// Waits for N guests and sorts them by name.
    #[track_caller]
    pub fn guests(&self, count: usize) -> Vec<Guest> {
        let mut guests: Vec<Guest> = (0..count).map(|_| self.guest()).collect();
        guests.sort_by(|a, b| a.name.cmp(&b.name));
        guests
    }

    /// True if a guest waits to be accepted.
    pub fn has_guest(&self) -> bool {
        self.waits_for_guest(0)
    }

    fn waits_for_guest(&self, milliseconds: u16) -> bool {
        let mut door = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        poll(&mut door, milliseconds).expect("a socket can be polled") > 0
    }
}

impl Guest {
    /// Makes the guest do a step.
    #[track_caller]
    pub fn tell(&mut self, step: &str) {
        writeln!(self.stream.get_mut(), "{step}").expect("the guest is there");
    }

    /// Waits for the guest's next line, which must be exactly this.
    #[track_caller]
    pub fn hears(&mut self, wanted: &str) {
        let line = self.line();
        assert_eq!(line.as_deref(), Some(wanted), "what {} says", self.name);
    }

    /// Waits for the guest's death and ignores what it says before.
    #[track_caller]
    pub fn is_gone(&mut self) {
        while self.line().is_some() {}
    }

    /// Reads a line; `None` at the guest's death.
    #[track_caller]
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
            // It died with something unread.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("{} neither speaks nor dies: {error}", self.name),
        }
    }
}
