//! make's jobserver, as a client and as a server.
//!
//! The protocol is in GNU make's manual ("Sharing Job Slots with GNU make"): a pipe or a FIFO holds one byte, a
//! token, for each job that may run beside the one that everybody may run anyway. Who starts another job reads a
//! byte, and writes the very same back when it needs that no longer.
//!
//! The crate `jobserver` was looked at, and is not used: it serves no FIFO, gives no descriptor to wait for, reads
//! one byte at a time, can't read without waiting where the pipe can't be opened anew, and looks for descriptors by
//! their numbers alone. Those may be prun's own by the time it looks: a recipe that is not marked as make's own
//! kind gets the words, but not the descriptors.

use std::ffi::{CString, OsStr};
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
use super::input::SharedInput;

/// No more tokens than this are held or served: a pipe of one page has room for them.
pub const MOST: usize = 4096;

/// Where a jobserver is named. cargo tells build scripts of its own in the second one.
const VARIABLES: [&str; 2] = ["MAKEFLAGS", "CARGO_MAKEFLAGS"];
/// How it is named; the older name was make's until 4.2.
const OPTIONS: [&[u8]; 2] = [b"--jobserver-auth=", b"--jobserver-fds="];
/// The numbers that children find it by begin here: small ones are those that scripts like to choose themselves.
const FIRST_NUMBER: RawFd = 100;

/// Where a jobserver is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Auth {
    /// The ends of a pipe; negative where make says that it is not for this program.
    Descriptors(RawFd, RawFd),
    Fifo(PathBuf),
}

/// Whether prun was given a jobserver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    None,
    /// One is named, but it is not there.
    OutOfReach,
    There,
}

pub fn offer() -> Offer {
    match (find(), VARIABLES.iter().any(|name| auth(name).is_some())) {
        (Some(_), _) => Offer::There,
        (None, true) => Offer::OutOfReach,
        (None, false) => Offer::None,
    }
}

/// The descriptors that are named and are what they should be. To be asked before prun opens anything.
pub(super) fn descriptors() -> Option<(RawFd, RawFd)> {
    VARIABLES.iter().find_map(|name| match auth(name)? {
        Auth::Descriptors(read, write) => {
            // Two pipes may be prun's stdin and stdout.
            let both = pipe(read, false).zip(pipe(write, true));
            both.is_some_and(|(one, other)| one == other).then_some((read, write))
        }
        Auth::Fifo(_) => None,
    })
}

fn find() -> Option<Auth> {
    VARIABLES.iter().find_map(|name| match auth(name)? {
        Auth::Descriptors(read, write) => {
            (inherited().jobserver == Some((read, write))).then_some(Auth::Descriptors(read, write))
        }
        Auth::Fifo(path) => is_fifo(&path).then_some(Auth::Fifo(path)),
    })
}

fn auth(variable: &str) -> Option<Auth> {
    auth_in(std::env::var_os(variable)?.as_bytes())
}

/// The last one that is named; what follows `--` are variables.
fn auth_in(flags: &[u8]) -> Option<Auth> {
    let words = flags.split(|&byte| byte == b' ').take_while(|word| word != b"--");
    let value = |word| OPTIONS.iter().find_map(|option| <[u8]>::strip_prefix(word, *option));
    let value = words.filter_map(value).last()?;
    if let Some(path) = value.strip_prefix(b"fifo:") {
        return Some(Auth::Fifo(PathBuf::from(OsStr::from_bytes(path))));
    }
    let (read, write) = std::str::from_utf8(value).ok()?.split_once(',')?;
    Some(Auth::Descriptors(read.parse().ok()?, write.parse().ok()?))
}

/// Which pipe it is, if it is one that can be read or written.
fn pipe(fd: RawFd, writes: bool) -> Option<(u64, u64)> {
    // SAFETY: stat is a plain C struct, for which zeroes are valid, and live; other descriptors are an error and no
    // harm.
    let (stat, flags) = unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        if libc::fstat(fd, &mut stat) == -1 {
            return None;
        }
        (stat, libc::fcntl(fd, libc::F_GETFL))
    };
    let wanted = if writes { libc::O_WRONLY } else { libc::O_RDONLY };
    let fits = stat.st_mode & libc::S_IFMT == libc::S_IFIFO
        && [wanted, libc::O_RDWR].contains(&(flags & libc::O_ACCMODE));
    fits.then_some((stat.st_dev, stat.st_ino))
}

fn is_fifo(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.file_type().is_fifo())
        && access(path, AccessFlags::R_OK | AccessFlags::W_OK).is_ok()
}

/// Tokens that prun has, and where they come from.
pub struct Client {
    input: SharedInput,
    output: OwnedFd,
    held: &'static Held,
}

impl Client {
    /// Of the jobserver that prun was given.
    pub fn connect() -> io::Result<Client> {
        match find() {
            Some(Auth::Descriptors(read, write)) => {
                // SAFETY: they were open before prun began, and prun never closes them.
                let (read, write) = unsafe { (BorrowedFd::borrow_raw(read), BorrowedFd::borrow_raw(write)) };
                Client::new(read, write.try_clone_to_owned()?, None)
            }
            Some(Auth::Fifo(path)) => Client::of_fifo(&path, None),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn of_fifo(path: &Path, left: Option<[CString; 2]>) -> io::Result<Client> {
        // Both ends, so that neither is ever without the other; a FIFO of one's own, so that being non-blocking is
        // prun's alone.
        let both = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        Client::new(both.as_fd(), both.try_clone()?.into(), left)
    }

    fn new(read: BorrowedFd, output: OwnedFd, left: Option<[CString; 2]>) -> io::Result<Client> {
        // The pipe is shared with others: opened anew, it can be made non-blocking for prun alone.
        let anew = format!("/proc/self/fd/{}", read.as_raw_fd());
        let anew = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(anew);
        let input = SharedInput::new(anew.map(OwnedFd::from).or_else(|_| read.try_clone_to_owned())?)?;
        let held = Box::leak(Box::new(Held {
            output: output.as_raw_fd(),
            count: AtomicUsize::new(0),
            bytes: [const { AtomicU8::new(0) }; MOST],
            left,
        }));
        Ok(Client { input, output, held })
    }

    /// Readable when tokens may be there.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.input.fd()
    }

    /// Takes so many tokens, if so many are there; how many they are.
    pub fn take(&mut self, most: usize) -> io::Result<usize> {
        let have = self.held.count.load(Ordering::Acquire);
        let mut buffer = [0; 64];
        let room = most.min(MOST - have).min(buffer.len());
        if room == 0 {
            return Ok(0);
        }
        match self.input.read_nowait(&mut buffer[..room])? {
            None => Ok(0),
            Some(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Some(count) => {
                for (at, byte) in buffer[..count].iter().enumerate() {
                    self.held.bytes[have + at].store(*byte, Ordering::Relaxed);
                }
                self.held.count.store(have + count, Ordering::Release);
                Ok(count)
            }
        }
    }

    /// Gives so many back.
    pub fn give(&mut self, count: usize) -> io::Result<()> {
        write_all(self.output.as_raw_fd(), &self.held.remove(count))
    }

    /// Takes so many of those that are held out of the world.
    pub fn drop_some(&mut self, count: usize) {
        self.held.remove(count);
    }

    /// Brings so many new ones into the world.
    pub fn add(&mut self, count: usize) -> io::Result<()> {
        write_all(self.output.as_raw_fd(), &vec![b'+'; count])
    }

    /// However prun ends, but for a SIGKILL, what it has is given back.
    pub fn rescue_later(&self) {
        RESCUE.store(std::ptr::from_ref(self.held).cast_mut(), Ordering::Release);
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let told = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                rescue();
                told(panic);
            }));
        });
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let own = std::ptr::from_ref(self.held).cast_mut();
        let _ = RESCUE.compare_exchange(own, null_mut(), Ordering::AcqRel, Ordering::Acquire);
        self.held.let_go();
    }
}

/// What is held, where a handler of signals finds it. Never freed, because it may be looking at it.
struct Held {
    output: RawFd,
    count: AtomicUsize,
    /// As they were read.
    bytes: [AtomicU8; MOST],
    /// A FIFO of prun's own, and the folder that it is in.
    left: Option<[CString; 2]>,
}

static RESCUE: AtomicPtr<Held> = AtomicPtr::new(null_mut());

impl Held {
    /// The last ones.
    fn remove(&self, count: usize) -> Vec<u8> {
        let have = self.count.load(Ordering::Acquire);
        let rest = have.saturating_sub(count);
        self.count.store(rest, Ordering::Release);
        self.bytes[rest..have].iter().map(|byte| byte.load(Ordering::Relaxed)).collect()
    }

    /// Gives all back, and removes what prun has made. Made of what handlers may call.
    fn let_go(&self) {
        let have = self.count.swap(0, Ordering::AcqRel);
        for byte in &self.bytes[..have] {
            // There is nobody who could be told that it did not go.
            let _ = write_all(self.output, &[byte.load(Ordering::Relaxed)]);
        }
        if let Some([fifo, folder]) = &self.left {
            // SAFETY: both are live C strings.
            unsafe {
                libc::unlink(fifo.as_ptr());
                libc::rmdir(folder.as_ptr());
            }
        }
    }
}

/// prun ends at once. Made of what handlers may call.
pub(super) fn rescue() {
    let held = RESCUE.swap(null_mut(), Ordering::AcqRel);
    // SAFETY: null, or what was leaked, and so lives for ever; it is only changed through atomics.
    if let Some(held) = unsafe { held.as_ref() } {
        held.let_go();
    }
}

/// There is room for every token that there is, so that this does not wait.
fn write_all(fd: RawFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        // SAFETY: the bytes are live; a closed descriptor is an error and no harm.
        match unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) } {
            -1 if Errno::last() == Errno::EINTR => {}
            -1 => return Err(Errno::last().into()),
            count => bytes = &bytes[count as usize..],
        }
    }
    Ok(())
}

/// prun's own jobserver, for what its tasks start.
pub struct Server {
    auth: Auth,
    /// What children inherit of a pipe.
    _ends: Vec<OwnedFd>,
}

impl Server {
    /// With so many tokens. A client of it is what they are changed with. `fifo`: children find it by a path, else
    /// by descriptors.
    pub fn open(fifo: bool, tokens: usize) -> io::Result<(Server, Client)> {
        let (server, mut client) = if fifo { Server::of_fifo()? } else { Server::of_pipe()? };
        client.add(tokens.min(MOST))?;
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

    /// `MAKEFLAGS` for children that would be given this one.
    pub fn make_flags(&self, before: &[u8]) -> Vec<u8> {
        let mut words = before.split(|&byte| byte == b' ');
        // The first word are single letters without a hyphen, if there are any.
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

    /// `CARGO_MAKEFLAGS` for children, as cargo writes it.
    pub fn cargo_flags(&self) -> Vec<u8> {
        match &self.auth {
            // The number behind `-j` would be taken for one that was asked for by make before 4.3.
            Auth::Descriptors(read, write) => {
                format!("-j --jobserver-fds={read},{write} --jobserver-auth={read},{write}").into_bytes()
            }
            Auth::Fifo(path) => [b"-j --jobserver-auth=fifo:", path.as_os_str().as_bytes()].concat(),
        }
    }
}

/// A copy that is not closed when a child executes.
fn for_children(fd: BorrowedFd) -> io::Result<OwnedFd> {
    let copy = fcntl(fd, FcntlArg::F_DUPFD(FIRST_NUMBER)).or_else(|_| fcntl(fd, FcntlArg::F_DUPFD(3)))?;
    // SAFETY: it was just made, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Where a FIFO is made. The words of `MAKEFLAGS` are parted by blanks, so that no name of a folder may have any.
pub fn folder() -> PathBuf {
    let folder = std::env::temp_dir();
    let blank = folder.as_os_str().as_bytes().iter().any(u8::is_ascii_whitespace);
    if blank || !folder.is_absolute() { PathBuf::from("/tmp") } else { folder }
}

#[cfg(test)]
mod tests;
