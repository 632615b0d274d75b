//! Reads the mark of a process from `/proc`.

use std::fs::File;
use std::io::Read;

use nix::unistd::Pid;

use super::live_starts;
use super::mark::Mark;

/// A process and the mark that it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marked {
    pub pid: Pid,
    pub mark: Mark,
}

/// The variable that names the outer run of a guardian. It has the length of `PRUN_RUN_ID=`, which it
/// replaces.
pub(super) const GUARDS: &[u8] = b"PRUN_GUARDS=";
pub(super) const RUN_ID: &[u8] = b"PRUN_RUN_ID=";

/// Returns the mark of a process, from its limit or else from its environment.
pub fn mark_of(pid: Pid) -> Option<Mark> {
    mark_by_limit(pid).or_else(|| mark_by_environment(pid))
}

/// Reads the mark from the limit: the soft limit is the first of the two numbers in its line.
fn mark_by_limit(pid: Pid) -> Option<Mark> {
    // The file has 16 lines of 80 bytes.
    let mut text = [0; 2048];
    let mut file = File::open(format!("/proc/{pid}/limits")).ok()?;
    let mut length = 0;
    while let count @ 1.. = file.read(&mut text[length..]).ok()? {
        length += count;
    }
    Mark::from_limit(realtime_timeout(&text[..length])?)
}

fn realtime_timeout(limits: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"Max realtime timeout";
    let line = &limits[memchr::memmem::rfind(limits, NAME)? + NAME.len()..];
    std::str::from_utf8(line).ok()?.split_ascii_whitespace().next()?.parse().ok()
}

/// Reads the mark from the environment. That of another user's process can't be read, but prun could not
/// signal such a process either.
fn mark_by_environment(pid: Pid) -> Option<Mark> {
    mark_of_variables(&std::fs::read(format!("/proc/{pid}/environ")).ok()?, &live_starts::run().id)
}

fn mark_of_variables(environment: &[u8], run: &str) -> Option<Mark> {
    // A quick check first: most processes have nothing to do with prun.
    memchr::memmem::find(environment, run.as_bytes())?;
    let value = |name: &[u8]| environment.split(|&b| b == 0).find_map(|variable| variable.strip_prefix(name));
    let number = |name| value(name).and_then(|value| std::str::from_utf8(value).ok()?.parse::<u32>().ok());
    let is_ours = |id: Option<&[u8]>| id == Some(run.as_bytes());
    let guards = is_ours(value(GUARDS));
    if !guards && !is_ours(value(RUN_ID)) {
        return None;
    }
    let mark = Mark::new(live_starts::run().mark, number(b"PRUN_START=").unwrap_or(0));
    Some(if guards { mark.for_guardian() } else { mark })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        let line = b"Max realtime priority     0   0    \nMax realtime timeout      4611686018427387909  unlimited  us \n";
        assert_eq!(realtime_timeout(line), Some((1 << 62) + 5));
        assert_eq!(realtime_timeout(b"Max realtime timeout   unlimited  unlimited  us \n"), None);
        assert_eq!(mark_of(nix::unistd::getpid()), None);
    }

    #[test]
    fn the_environment_tells_who_it_is() {
        let mark = live_starts::register();
        let start = mark.number();
        let variables = |name: &str, id: &str| {
            format!("A=b\0{name}={id}\0PRUN_START={start}\0PRUN_SLOT=3\0").into_bytes()
        };
        let id = live_starts::run().id.as_str();
        let of = |name, of: &str| mark_of_variables(&variables(name, of), id);
        assert_eq!(of("PRUN_RUN_ID", id), Some(mark));
        assert_eq!(of("PRUN_GUARDS", id), Some(mark.for_guardian()));
        assert_eq!(of("PRUN_RUN_ID", "another"), None);
        assert_eq!(of("SOME", id), None, "somebody's knowledge of the run");
        live_starts::unregister(mark);
        let left = of("PRUN_RUN_ID", id).expect("it is still of the run");
        assert!(!live_starts::is_live(left), "but let go");
    }
}
