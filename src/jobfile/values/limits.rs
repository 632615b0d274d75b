//! `limits`, `nice` and `umask`.

use super::{parse_duration, parse_size};

/// A key of `limits`: a resource of setrlimit(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Seconds of processor time.
    Cpu,
    /// Bytes of address space.
    Memory,
    /// Open files.
    Files,
    /// Processes of the user, not only of the task.
    Processes,
    /// Bytes of each file that a process writes.
    FileSize,
    /// Bytes of a core file.
    Core,
    /// Bytes of the stack.
    Stack,
}

impl Limit {
    pub const ALL: [Limit; 7] = [
        Limit::Cpu,
        Limit::Memory,
        Limit::Files,
        Limit::Processes,
        Limit::FileSize,
        Limit::Core,
        Limit::Stack,
    ];

    /// Returns the key in `limits`.
    pub fn key(self) -> &'static str {
        match self {
            Limit::Cpu => "cpu",
            Limit::Memory => "memory",
            Limit::Files => "files",
            Limit::Processes => "processes",
            Limit::FileSize => "file_size",
            Limit::Core => "core",
            Limit::Stack => "stack",
        }
    }

    /// Formats a value of this limit for people: `90s`, `64 MiB`, `1500 KB`, `100`.
    pub fn shown(self, value: u64) -> String {
        match self {
            Limit::Cpu => format!("{value}s"),
            Limit::Files | Limit::Processes => value.to_string(),
            Limit::Memory | Limit::FileSize | Limit::Core | Limit::Stack => shown_size(value),
        }
    }
}

/// Formats a size in the largest unit of which it is a whole number. It is never rounded, because people compare it with
/// the size in their file.
fn shown_size(bytes: u64) -> String {
    let units = [
        (1 << 40, "TiB"),
        (1_000_000_000_000, "TB"),
        (1 << 30, "GiB"),
        (1_000_000_000, "GB"),
        (1 << 20, "MiB"),
        (1_000_000, "MB"),
        (1 << 10, "KiB"),
        (1_000, "KB"),
    ];
    match units.into_iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} bytes"),
    }
}

/// Parses processor time. Returns whole seconds, which is what the kernel limits; a part of a second is rounded up.
pub fn parse_cpu_limit(text: &str) -> Result<u64, String> {
    let time = parse_duration(text)?;
    match time.as_secs() + u64::from(time.subsec_nanos() > 0) {
        0 => Err("expected at least a second of processor time".to_owned()),
        seconds => Ok(seconds),
    }
}

/// Parses a size as [`parse_size`] does, but takes 0 as well.
pub fn parse_size_from_0(text: &str) -> Result<u64, String> {
    if text.trim() == "0" {
        return Ok(0);
    }
    parse_size(text).map(|size| size as u64).map_err(|why| why.replace("from 1 byte", "from 0"))
}

/// Parses a number of open files, of which stdin, stdout and stderr are three.
pub fn parse_files_limit(text: &str) -> Result<u64, String> {
    number(text, 3)
        .ok_or_else(|| "expected a number from 3: stdin, stdout and stderr are files, too".to_owned())
}

/// Parses a number of processes.
pub fn parse_processes_limit(text: &str) -> Result<u64, String> {
    number(text, 0).ok_or_else(|| "expected a number from 0".to_owned())
}

fn number(text: &str, least: u32) -> Option<u64> {
    text.parse().ok().filter(|number: &u32| *number >= least).map(u64::from)
}

/// Parses the number that is added to prun's own nice value.
pub fn parse_nice(text: &str) -> Result<i32, String> {
    let number = text.trim().parse().ok().filter(|number| (-39..=39).contains(number));
    number
        .ok_or_else(|| "expected a number from -39 to 39, which is added to prun's own nice value".to_owned())
}

/// The message about a wrong umask.
pub const UMASK: &str = "expected an octal number from `\"000\"` to `\"777\"`";

/// Parses a umask, in octal: `022`.
pub fn parse_umask(text: &str) -> Result<u32, String> {
    let text = text.trim();
    let octal = !text.is_empty() && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mask = u32::from_str_radix(text, 8).ok().filter(|mask| octal && *mask <= 0o777);
    mask.ok_or_else(|| UMASK.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_in_whole_seconds() {
        assert_eq!(parse_cpu_limit("1500ms"), Ok(2));
        assert_eq!(parse_cpu_limit("1m"), Ok(60));
        assert_eq!(parse_cpu_limit("0.1"), Ok(1));
        assert!(parse_cpu_limit("0").is_err());
    }

    #[test]
    fn nothing_is_a_size_where_it_means_something() {
        assert_eq!(parse_size_from_0("0"), Ok(0));
        assert_eq!(parse_size_from_0("1KB"), Ok(1000));
        assert!(parse_size_from_0("-1").unwrap_err().contains("from 0"));
        assert_eq!((parse_files_limit("3"), parse_processes_limit("0")), (Ok(3), Ok(0)));
        assert!(parse_files_limit("2").is_err() && parse_processes_limit("-1").is_err());
    }

    #[test]
    fn a_umask_is_octal() {
        assert_eq!(parse_umask("022"), Ok(0o22));
        assert_eq!(parse_umask("0777"), Ok(0o777));
        for wrong in ["", "8", "1000", "-1", "+7", "0o22", "u=rwx"] {
            assert!(parse_umask(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_shown_as_they_are() {
        let shown = |bytes| Limit::Memory.shown(bytes);
        assert_eq!(
            [shown(64 << 20), shown(1_000_000), shown(1500), shown(0)],
            ["64 MiB", "1 MB", "1500 bytes", "0 bytes"]
        );
        assert_eq!(Limit::Cpu.shown(90), "90s");
        assert_eq!(Limit::Files.shown(100), "100");
    }
}
