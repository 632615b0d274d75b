//! The search for a program in PATH, and the messages for starts that failed.

use std::ffi::{CStr, CString, OsStr};
use std::fs::Metadata;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::limits;
use super::start::{StartError, Step};

/// The program was not found, or only as a file that can't be executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotFound {
    pub errno: Errno,
}

/// The PATH that C libraries use when the variable is not set.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// Searches PATH as execvp(3) does. A program with a slash is not searched for. It is relative to the child's
/// working directory, as are relative entries of PATH.
pub fn resolve(program: &[u8], path: Option<&[u8]>, cwd: Option<&Path>) -> Result<CString, NotFound> {
    if program.is_empty() {
        return Err(NotFound { errno: Errno::ENOENT });
    }
    if program.contains(&b'/') {
        return cstring(program.to_vec());
    }
    let mut errno = Errno::ENOENT;
    for entry in path.unwrap_or(DEFAULT_PATH).split(|&byte| byte == b':') {
        // An empty entry stands for the working directory.
        let entry = if entry.is_empty() { b"." } else { entry };
        let candidate = [entry, b"/", program].concat();
        match executable(&seen_from(cwd, &candidate)) {
            Ok(()) => return cstring(candidate),
            // A later entry may have an executable one. If none has, EACCES tells more than ENOENT.
            Err(Errno::EACCES) => errno = Errno::EACCES,
            Err(_) => {}
        }
    }
    Err(NotFound { errno })
}

fn cstring(path: Vec<u8>) -> Result<CString, NotFound> {
    CString::new(path).map_err(|_| NotFound { errno: Errno::EINVAL })
}

fn seen_from(cwd: Option<&Path>, path: &[u8]) -> PathBuf {
    let path = Path::new(OsStr::from_bytes(path));
    cwd.map_or_else(|| path.to_path_buf(), |cwd| cwd.join(path))
}

fn executable(path: &Path) -> nix::Result<()> {
    access(path, AccessFlags::X_OK)?;
    // The execute bit of a directory means something else.
    if path.is_file() { Ok(()) } else { Err(Errno::EACCES) }
}

/// Returns the exit status and the message for a program that was not found.
pub fn explain_missing(program: &[u8], missing: NotFound) -> (u8, String) {
    let name = shown(program);
    match missing.errno {
        Errno::ENOENT if program.is_empty() => (127, "the command is empty".into()),
        // One word that is a whole command line, as GNU parallel takes it.
        Errno::ENOENT if program.iter().any(|byte| b" \t\n|&;<>$".contains(byte)) => {
            let why = "not found in PATH; if it is for a shell: `prun exec -c`, or `script` in a job file";
            (127, format!("`{name}`: {why}"))
        }
        Errno::ENOENT => (127, format!("`{name}`: not found in PATH")),
        Errno::EACCES => (126, format!("`{name}`: found in PATH, but not executable")),
        errno => (126, format!("`{name}`: {}", words(errno))),
    }
}

/// Returns the exit status and the message for a start that failed. `path` is the file that was executed,
/// `cwd` the child's working directory.
pub fn explain(program: &[u8], path: &CStr, error: StartError, cwd: Option<&Path>) -> (u8, String) {
    let (name, why) = (shown(program), words(error.errno));
    match error.step {
        Step::Execute => explain_execute(&name, path.to_bytes(), error.errno, cwd),
        Step::Directory => {
            let cwd = shown(cwd.unwrap_or(Path::new(".")).as_os_str().as_bytes());
            (126, format!("working directory `{cwd}`: {why}"))
        }
        Step::Clone => (126, format!("`{name}`: no process could be started: {why}")),
        Step::Group => (126, format!("`{name}`: its process group could not be joined: {why}")),
        Step::Terminal => (126, format!("`{name}`: it could not be given a terminal: {why}")),
        Step::Dispositions => (126, format!("`{name}`: its signals could not be set: {why}")),
        Step::Limits => (126, format!("`{name}`: its limits could not be set: {why}")),
        Step::Priority => (126, format!("`{name}`: its nice value could not be set: {why}")),
        Step::Descriptors => (126, format!("`{name}`: its stdin, stdout or stderr could not be set: {why}")),
    }
}

fn explain_execute(name: &str, path: &[u8], errno: Errno, cwd: Option<&Path>) -> (u8, String) {
    let file = seen_from(cwd, path);
    let plain = || (126, format!("`{name}`: {}", words(errno)));
    match errno {
        Errno::ENOENT => match std::fs::metadata(&file) {
            Err(_) => (127, format!("`{name}`: {}", words(errno))),
            Ok(_) => (127, format!("`{name}`: {}", helper_trouble(&file, cwd, "is missing"))),
        },
        Errno::EACCES => match std::fs::metadata(&file) {
            Ok(data) if data.is_dir() => (126, format!("`{name}`: is a directory")),
            Ok(data) if !has_execute_bit(&data) => {
                (126, format!("`{name}`: not executable (chmod +x makes it so)"))
            }
            Ok(_) if executable(&file).is_ok() => {
                (126, format!("`{name}`: {}", helper_trouble(&file, cwd, "can't be executed")))
            }
            _ => plain(),
        },
        _ => plain(),
    }
}

fn has_execute_bit(data: &Metadata) -> bool {
    data.permissions().mode() & 0o111 != 0
}

/// Returns the status and the message for a command whose arguments are too long to be given to a program.
pub fn explain_too_long(program: &[u8]) -> (u8, String) {
    (126, format!("`{}`: {}", shown(program), too_big()))
}

fn too_big() -> String {
    format!(
        "arguments too long: one argument can have {} bytes, all of them and the environment together {}",
        limits::argument_max() - 1,
        limits::argument_room(),
    )
}

/// Describes what the kernel needs to run the file, which itself exists: the interpreter or loader is
/// missing, or it is not executable.
fn helper_trouble(file: &Path, cwd: Option<&Path>, what: &str) -> String {
    let mut head = Vec::new();
    // A file that can't be read names no interpreter.
    let _ = std::fs::File::open(file).and_then(|file| file.take(64 << 10).read_to_end(&mut head));
    if let Some(interpreter) = interpreter(&head) {
        let name = shown(interpreter);
        if interpreter.ends_with(b"\r") {
            return format!("its interpreter `{name}` {what}: the first line ends with a carriage return");
        }
        return match executable(&seen_from(cwd, interpreter)) {
            Ok(()) => format!("what its interpreter `{name}` needs to run {what}"),
            Err(_) => format!("its interpreter `{name}` {what}"),
        };
    }
    match elf_loader(&head) {
        Some(loader) => format!("its loader `{}` {what}", shown(loader)),
        None => format!("`/bin/sh`, which would run it, {what}"),
    }
}

/// Returns the interpreter named in the first line, as the kernel reads it: without surrounding blanks and
/// without its argument.
fn interpreter(head: &[u8]) -> Option<&[u8]> {
    let line = head.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    line.split(|&byte| byte == b' ' || byte == b'\t').find(|word| !word.is_empty())
}

/// Returns the loader that a dynamic 64-bit little-endian ELF file asks for (its PT_INTERP header).
fn elf_loader(head: &[u8]) -> Option<&[u8]> {
    const PT_INTERP: u64 = 3;
    let number = |at: usize, size: usize| {
        let bytes = head.get(at..at.checked_add(size)?)?;
        Some(bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    };
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size, count) = (number(32, 8)? as usize, number(54, 2)? as usize, number(56, 2)? as usize);
    let headers = (0..count).map_while(|i| table.checked_add(i * size));
    let header = headers.into_iter().find(|&header| number(header, 4) == Some(PT_INTERP))?;
    let (start, length) = (number(header + 8, 8)? as usize, number(header + 32, 8)? as usize);
    head.get(start..start.checked_add(length)?)?.split(|&byte| byte == 0).next()
}

/// Returns the text of an error in lower case, as prun's messages have it.
fn words(errno: Errno) -> String {
    match errno {
        Errno::E2BIG => too_big(),
        Errno::EAGAIN => "the limit of processes is reached".into(),
        Errno::ETXTBSY => "it is open for writing".into(),
        Errno::ENOEXEC => "not a program for this machine".into(),
        other => super::errors::in_lower_case(other.desc()),
    }
}

/// Returns the bytes as printable text: control characters are escaped.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests;
