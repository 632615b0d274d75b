//! make's jobserver, as a client and as a server.
//!
//! The protocol is described in GNU make's manual ("Sharing Job Slots with GNU make"). A pipe or a FIFO holds
//! one byte, a token, for each job that may run beside the one that every participant may run anyway. A
//! participant reads a byte before it starts another job, and writes the very same byte back when it does not
//! need the slot any more.
//!
//! The crate `jobserver` was considered and rejected. It serves no FIFO, offers no descriptor to poll, reads
//! one byte at a time, can't read without blocking where the pipe can't be opened again, and recognises
//! descriptors by their numbers alone. By the time it checks them, those numbers may be prun's own
//! descriptors: a recipe line that is not marked as a recursive make gets the variables but not the
//! descriptors.

use std::ffi::CString;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::ptr::null_mut;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, access, mkdtemp, mkfifo};

use super::inherited::inherited;
use super::input::{Read, SharedInput};
use super::makeflags::{self, Auth};
use super::on_panic;

/// The most tokens that are held or served. A pipe of one page has room for this many.
pub const MAX_TOKENS: usize = 4096;

/// The lowest number of the descriptors that children inherit. Scripts like to choose small numbers
/// themselves.
const FIRST_NUMBER: RawFd = 100;

/// Whether prun was started with a jobserver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    None,
    /// A jobserver is named, but can't be opened.
    OutOfReach,
    There,
}

pub fn offer() -> Offer {
    match (find(), makeflags::named().next().is_some()) {
        (Some(_), _) => Offer::There,
        (None, true) => Offer::OutOfReach,
        (None, false) => Offer::None,
    }
}

fn find() -> Option<Auth> {
    makeflags::named().find_map(|auth| match auth {
        Auth::Descriptors(read, write) => {
            (inherited().jobserver == Some((read, write))).then_some(Auth::Descriptors(read, write))
        }
        Auth::Fifo(path) => is_fifo(&path).then_some(Auth::Fifo(path)),
    })
}

fn is_fifo(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.file_type().is_fifo())
        && access(path, AccessFlags::R_OK | AccessFlags::W_OK).is_ok()
}

/// The client side: the jobserver and the tokens that prun holds.
pub struct Client {
    input: SharedInput,
    output: OwnedFd,
    tokens: &'static Tokens,
}

impl Client {
    /// Connects to the jobserver that prun was started with.
    pub fn connect() -> io::Result<Client> {
        match find() {
            Some(Auth::Descriptors(read, write)) => {
                // SAFETY: both were open before prun began, and prun never closes them.
                let (read, write) = unsafe { (BorrowedFd::borrow_raw(read), BorrowedFd::borrow_raw(write)) };
                Client::new(read, write.try_clone_to_owned()?, None)
            }
            Some(Auth::Fifo(path)) => Client::of_fifo(&path, None),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn of_fifo(path: &Path, files: Option<[CString; 2]>) -> io::Result<Client> {
        // Opened for both, so that the FIFO never lacks a reader or a writer. The open description is prun's
        // own, so making it non-blocking affects nobody else.
        let both = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        Client::new(both.as_fd(), both.try_clone()?.into(), files)
    }

    fn new(read: BorrowedFd, output: OwnedFd, files: Option<[CString; 2]>) -> io::Result<Client> {
        // The pipe is shared with others. Opened again, it can be made non-blocking for prun alone.
        let anew = format!("/proc/self/fd/{}", read.as_raw_fd());
        let anew = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(anew);
        let input = SharedInput::new(anew.map(OwnedFd::from).or_else(|_| read.try_clone_to_owned())?)?;
        let tokens = Box::leak(Box::new(Tokens {
            output: output.as_raw_fd(),
            count: AtomicUsize::new(0),
            bytes: [const { AtomicU8::new(0) }; MAX_TOKENS],
            files,
        }));
        Ok(Client { input, output, tokens })
    }

    /// Returns the descriptor that is readable when tokens may be available.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.input.fd()
    }

    /// Takes at most `most` tokens without blocking. Returns the number of tokens taken.
    pub fn take(&mut self, most: usize) -> io::Result<usize> {
        let have = self.tokens.count.load(Ordering::Acquire);
        let mut buffer = [0; 64];
        let room = most.min(MAX_TOKENS - have).min(buffer.len());
        if room == 0 {
            return Ok(0);
        }
        match self.input.read_nowait(&mut buffer[..room])? {
            Read::Empty => Ok(0),
            Read::End => Err(io::ErrorKind::UnexpectedEof.into()),
            Read::Bytes(count) => {
                for (at, byte) in buffer[..count].iter().enumerate() {
                    self.tokens.bytes[have + at].store(*byte, Ordering::Relaxed);
                }
                self.tokens.count.store(have + count, Ordering::Release);
                Ok(count)
            }
        }
    }

    /// Gives `count` tokens back.
    pub fn give(&mut self, count: usize) -> io::Result<()> {
        write_all(self.output.as_raw_fd(), &self.tokens.remove(count))
    }

    /// Discards `count` of the held tokens, so that the jobserver has fewer from now on.
    pub fn discard(&mut self, count: usize) {
        self.tokens.remove(count);
    }

    /// Adds `count` new tokens to the jobserver.
    pub fn add(&mut self, count: usize) -> io::Result<()> {
        write_all(self.output.as_raw_fd(), &vec![b'+'; count])
    }

    /// Gives the held tokens back however prun ends, except by SIGKILL.
    pub fn return_on_death(&self) {
        ON_DEATH.store(std::ptr::from_ref(self.tokens).cast_mut(), Ordering::Release);
        static HOOK: Once = Once::new();
        on_panic::run_once(&HOOK, return_tokens);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let own = std::ptr::from_ref(self.tokens).cast_mut();
        let _ = ON_DEATH.compare_exchange(own, null_mut(), Ordering::AcqRel, Ordering::Acquire);
        self.tokens.return_all();
    }
}

/// The held tokens, where a signal handler finds them. Never freed, because a handler may be reading it.
struct Tokens {
    output: RawFd,
    count: AtomicUsize,
    /// The bytes as they were read.
    bytes: [AtomicU8; MAX_TOKENS],
    /// The FIFO that prun has made, and the directory that holds it.
    files: Option<[CString; 2]>,
}

static ON_DEATH: AtomicPtr<Tokens> = AtomicPtr::new(null_mut());

impl Tokens {
    /// Removes and returns the last `count` tokens.
    fn remove(&self, count: usize) -> Vec<u8> {
        let have = self.count.load(Ordering::Acquire);
        let rest = have.saturating_sub(count);
        self.count.store(rest, Ordering::Release);
        self.bytes[rest..have].iter().map(|byte| byte.load(Ordering::Relaxed)).collect()
    }

    /// Gives all tokens back and removes the files that prun has made. Async-signal-safe.
    fn return_all(&self) {
        let have = self.count.swap(0, Ordering::AcqRel);
        for byte in &self.bytes[..have] {
            // A failed write can't be reported to anybody.
            let _ = write_all(self.output, &[byte.load(Ordering::Relaxed)]);
        }
        if let Some([fifo, folder]) = &self.files {
            // SAFETY: both are live C strings.
            unsafe {
                libc::unlink(fifo.as_ptr());
                libc::rmdir(folder.as_ptr());
            }
        }
    }
}

/// Gives all tokens back, because prun is about to end. Async-signal-safe.
pub(super) fn return_tokens() {
    let tokens = ON_DEATH.swap(null_mut(), Ordering::AcqRel);
    // SAFETY: null, or a leaked allocation, which lives for ever and is only changed through atomics.
    if let Some(tokens) = unsafe { tokens.as_ref() } {
        tokens.return_all();
    }
}

/// Writes without blocking: the pipe has room for every token that exists.
fn write_all(fd: RawFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        // SAFETY: the bytes are live; a closed descriptor is an error and does no harm.
        match unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) } {
            -1 if Errno::last() == Errno::EINTR => {}
            -1 => return Err(Errno::last().into()),
            count => bytes = &bytes[count as usize..],
        }
    }
    Ok(())
}

/// prun's own jobserver, which its tasks and their children use.
pub struct Server {
    auth: Auth,
    /// The ends of a pipe that children inherit.
    _ends: Vec<OwnedFd>,
}

impl Server {
    /// Opens a jobserver with `tokens` tokens, and a client of it, which later changes their number. With
    /// `fifo` children find it by a path, otherwise by descriptors.
    pub fn open(fifo: bool, tokens: usize) -> io::Result<(Server, Client)> {
        let (server, mut client) = if fifo { Server::of_fifo()? } else { Server::of_pipe()? };
        client.add(tokens.min(MAX_TOKENS))?;
        Ok((server, client))
    }

    fn of_pipe() -> io::Result<(Server, Client)> {
        let (read, write) = io::pipe()?;
        let ends = [for_children(read.as_fd())?, for_children(write.as_fd())?];
        let auth = Auth::Descriptors(ends[0].as_raw_fd(), ends[1].as_raw_fd());
        let client = Client::new(read.as_fd(), write.into(), None)?;
        Ok((Server { auth, _ends: ends.into() }, client))
    }

    fn of_fifo() -> io::Result<(Server, Client)> {
        let folder = mkdtemp(&folder().join("prun-jobserver-XXXXXX"))?;
        let path = folder.join("fifo");
        let made = mkfifo(&path, Mode::from_bits_truncate(0o600));
        let names = [&path, &folder].map(|path| CString::new(path.clone().into_os_string().into_vec()));
        let [Ok(fifo), Ok(own_folder)] = names else { unreachable!("a path that was made holds no NUL") };
        let client = made.map_err(io::Error::from);
        let client = client.and_then(|()| Client::of_fifo(&path, Some([fifo, own_folder])));
        let client = client.inspect_err(|_| {
            let _ = std::fs::remove_dir_all(&folder);
        })?;
        Ok((Server { auth: Auth::Fifo(path), _ends: Vec::new() }, client))
    }

    /// Returns the `MAKEFLAGS` of children whose own value would be `before`.
    pub fn make_flags(&self, before: &[u8]) -> Vec<u8> {
        let mut words = before.split(|&byte| byte == b' ');
        // The first word holds single-letter options without a hyphen, if there are any.
        let first = words.next().filter(|word| !word.is_empty());
        let letters = first.filter(|word| word[0] != b'-').unwrap_or_default();
        let others = first.filter(|word| word[0] == b'-').into_iter().chain(words);
        let others: Vec<&[u8]> = others.filter(|word| !word.is_empty()).collect();
        let variables = others.iter().position(|word| *word == b"--").unwrap_or(others.len());
        let stays = |word: &&[u8]| !word.starts_with(b"-j") && !word.starts_with(b"--jobs");
        let mut flags = letters.to_vec();
        for word in others[..variables].iter().copied().filter(stays) {
            flags.push(b' ');
            flags.extend_from_slice(word);
        }
        flags.push(b' ');
        flags.extend_from_slice(&self.cargo_flags());
        for word in &others[variables..] {
            flags.push(b' ');
            flags.extend_from_slice(word);
        }
        flags
    }

    /// Returns the `CARGO_MAKEFLAGS` of children, in the form that cargo writes.
    pub fn cargo_flags(&self) -> Vec<u8> {
        match &self.auth {
            // No number follows `-j`: make before 4.3 would take it for a number that the user asked for.
            Auth::Descriptors(read, write) => {
                format!("-j --jobserver-fds={read},{write} --jobserver-auth={read},{write}").into_bytes()
            }
            Auth::Fifo(path) => [b"-j --jobserver-auth=fifo:", path.as_os_str().as_bytes()].concat(),
        }
    }
}

/// Duplicates a descriptor without its close-on-exec flag.
fn for_children(fd: BorrowedFd) -> io::Result<OwnedFd> {
    let copy = fcntl(fd, FcntlArg::F_DUPFD(FIRST_NUMBER)).or_else(|_| fcntl(fd, FcntlArg::F_DUPFD(3)))?;
    // SAFETY: the descriptor is new, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Returns the directory in which a FIFO is made. The words of `MAKEFLAGS` are separated by blanks, so its
/// path must not hold any.
pub fn folder() -> PathBuf {
    let folder = std::env::temp_dir();
    let blank = folder.as_os_str().as_bytes().iter().any(u8::is_ascii_whitespace);
    if blank || !folder.is_absolute() { PathBuf::from("/tmp") } else { folder }
}

#[cfg(test)]
mod tests;
