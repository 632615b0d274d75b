//! TCP ports of this machine: whether a process listens there, and which one.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::libc::linger;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, connect, getpeername, getsockname, getsockopt,
    setsockopt, socket, sockopt,
};
use nix::unistd::Pid;

use super::mark::Mark;
use super::marked::mark_of;
use super::{descendants, live_starts, pipe_holders, proc};

/// The state of a port.
#[derive(Debug)]
pub enum Answer {
    Open,
    /// No process listens there.
    Closed,
    /// Not known yet, which is rare on loopback. See [`Connecting::answer`].
    Pending(Connecting),
}

/// A connection attempt in progress.
#[derive(Debug)]
pub struct Connecting(OwnedFd);

/// The address families that `localhost` can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// 127.0.0.1
    Four,
    /// ::1
    Six,
}

impl Family {
    pub const BOTH: [Family; 2] = [Family::Four, Family::Six];
}

/// Connects to a port of localhost and closes the connection at once, without blocking. If the attempt can't
/// be made, for example because the machine lacks the address family, the port counts as closed.
pub fn probe(family: Family, port: u16) -> Answer {
    let (domain, address) = match family {
        Family::Four => (AddressFamily::Inet, SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        Family::Six => (AddressFamily::Inet6, SocketAddr::from((Ipv6Addr::LOCALHOST, port))),
    };
    let address = SockaddrStorage::from(address);
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let Ok(fd) = socket(domain, SockType::Stream, flags, None) else { return Answer::Closed };
    let connected = loop {
        match connect(fd.as_raw_fd(), &address) {
            Err(Errno::EINTR) => {}
            result => break result,
        }
    };
    let connecting = Connecting(fd);
    match connected {
        Ok(()) => connecting.opened(),
        Err(Errno::EINPROGRESS | Errno::EALREADY) => Answer::Pending(connecting),
        Err(_) => Answer::Closed,
    }
}

impl Connecting {
    /// Returns the state of the port, if it is known by now.
    pub fn answer(self) -> Answer {
        match getsockopt(&self.0.as_fd(), sockopt::SocketError) {
            Ok(0) if getpeername::<SockaddrStorage>(self.0.as_raw_fd()).is_ok() => self.opened(),
            Ok(0) => Answer::Pending(self),
            Ok(_) | Err(_) => Answer::Closed,
        }
    }

    /// The kernel may have chosen this very port for the local end, and so have connected the socket to
    /// itself.
    fn opened(self) -> Answer {
        let fd = self.0.as_raw_fd();
        let (own, peer) = (getsockname::<SockaddrStorage>(fd), getpeername::<SockaddrStorage>(fd));
        if peer.is_err() || own != peer {
            return Answer::Open;
        }
        // A reset frees the port at once. Otherwise TIME-WAIT would keep others from listening there for a
        // minute.
        let _ = setsockopt(&self.0.as_fd(), sockopt::Linger, &linger { l_onoff: 1, l_linger: 0 });
        Answer::Closed
    }
}

/// A process that listens at a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name and its pid, for people; generic if they can't be found out.
    pub name: String,
    pub pid: Option<Pid>,
    /// The mark that it carries: that of another start, or of another run.
    pub mark: Option<Mark>,
}

/// Returns the process that listens at a port, if it certainly carries another mark than `mark`.
pub fn foreign_listener(port: u16, mark: Mark) -> Option<Listener> {
    let sockets = listeners(port);
    // If the kernel forwards the port, no socket of this machine listens.
    if sockets.is_empty() || !proc::is_available() {
        return None;
    }
    for found in descendants::of_run(live_starts::run().mark) {
        // A process that has lost its mark may belong to the task.
        let own = found.mark == mark || live_starts::is_unknown(found.mark);
        let hidden = || !pipe_holders::can_inspect(found.pid) && proc::is_alive(found.pid);
        if own && (pipe_holders::has_open(found.pid, &sockets) || hidden()) {
            return None;
        }
    }
    let pid = proc::pids().find(|pid| pipe_holders::has_open(*pid, &sockets));
    let named = pid.and_then(|pid| Some(format!("{} ({pid})", proc::name(pid)?)));
    let name = named.unwrap_or_else(|| "something else".into());
    Some(Listener { name, pid, mark: pid.and_then(mark_of) })
}

/// Returns the targets that links in `/proc/PID/fd` have in processes that listen at the port, on any
/// address.
fn listeners(port: u16) -> Vec<PathBuf> {
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
    let texts = tables.into_iter().filter_map(|table| std::fs::read_to_string(table).ok());
    texts.flat_map(|text| listeners_in(&text, port)).map(|inode| format!("socket:[{inode}]").into()).collect()
}

/// Returns the inode numbers of the listening sockets in the text of `/proc/net/tcp` (proc(5)).
fn listeners_in(table: &str, port: u16) -> Vec<u64> {
    const LISTEN: &str = "0A";
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (_, own) = fields.get(1)?.rsplit_once(':')?;
        let listens = *fields.get(3)? == LISTEN && u16::from_str_radix(own, 16) == Ok(port);
        fields.get(9).filter(|_| listens)?.parse().ok()
    };
    table.lines().filter_map(inode).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    use super::*;

    /// Waits for connections that take a moment.
    fn is_open(family: Family, port: u16) -> bool {
        let mut answer = probe(family, port);
        let start = Instant::now();
        loop {
            answer = match answer {
                Answer::Open => return true,
                Answer::Closed => return false,
                Answer::Pending(connecting) => connecting.answer(),
            };
            assert!(start.elapsed() < Duration::from_secs(60), "nobody answers");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_port_is_open_while_somebody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
        let port = listener.local_addr().expect("it has one").port();
        assert!(is_open(Family::Four, port));
        assert_eq!(listeners(port).len(), 1);
        drop(listener);
        assert!(!is_open(Family::Four, port));
        assert!(listeners(port).is_empty());
    }

    #[test]
    fn both_families_are_tried() {
        let Ok(listener) = TcpListener::bind("[::1]:0") else {
            println!("this machine has no IPv6");
            return;
        };
        let port = listener.local_addr().expect("it has one").port();
        assert!(is_open(Family::Six, port));
    }

    #[test]
    fn who_listens_is_told_unless_it_is_the_task() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
        let port = listener.local_addr().expect("it has one").port();
        let mark = live_starts::register();
        // The test process carries no mark.
        let Listener { name: who, mark: of, .. } = foreign_listener(port, mark).expect("it is not the task");
        assert_eq!(of, None);
        assert!(who.ends_with(&format!("({})", std::process::id())), "{who}");
        drop(listener);
        assert_eq!(foreign_listener(port, mark), None, "nobody does");
        live_starts::unregister(mark);
    }

    #[test]
    fn tables_are_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                     0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n   \
                     1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1\n";
        assert_eq!(listeners_in(table, 8080), [4711]);
        assert_eq!(listeners_in(table, 8081), [0; 0]);
    }
}
