//! Where tests and the children that prun starts meet: a socket. A child that is there has really been
//! started; a child that has hung up is really dead. Nobody sleeps and hopes.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, poll};

use crate::space::{LIMIT, Space};

pub struct Meeting {
    listener: UnixListener,
}

/// A `puppet` that has come to the meeting.
pub struct Guest {
    pub name: String,
    pub pid: i32,
    stream: BufReader<UnixStream>,
}

impl Meeting {
    pub fn open(space: &Space) -> Meeting {
        Meeting { listener: UnixListener::bind(space.path("socket")).expect("a socket in the space") }
    }

    /// The next that comes.
    #[track_caller]
    pub fn guest(&self) -> Guest {
        assert!(self.waits_for_guest(LIMIT.as_millis() as u16), "nobody came to the meeting");
        self.welcome()
    }

    /// The next that comes; none once `over` holds and nobody is at the door.
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

    /// The next N, sorted by their names.
    #[track_caller]
    pub fn guests(&self, count: usize) -> Vec<Guest> {
        let mut guests: Vec<Guest> = (0..count).map(|_| self.guest()).collect();
        guests.sort_by(|a, b| a.name.cmp(&b.name));
        guests
    }

    /// Whether someone is at the door.
    pub fn has_guest(&self) -> bool {
        self.waits_for_guest(0)
    }

    fn waits_for_guest(&self, milliseconds: u16) -> bool {
        let mut door = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        poll(&mut door, milliseconds).expect("a socket can be polled") > 0
    }
}

impl Guest {
    /// Has it do a step.
    #[track_caller]
    pub fn tell(&mut self, step: &str) {
        writeln!(self.stream.get_mut(), "{step}").expect("the guest is there");
    }

    /// Waits for exactly this line from it.
    #[track_caller]
    pub fn hears(&mut self, wanted: &str) {
        let line = self.line();
        assert_eq!(line.as_deref(), Some(wanted), "what {} says", self.name);
    }

    /// Waits for its death; what it said before does not matter.
    #[track_caller]
    pub fn is_gone(&mut self) {
        while self.line().is_some() {}
    }

    /// A line, or none at its death.
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
