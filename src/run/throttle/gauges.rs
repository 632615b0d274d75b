//! What is looked at from time to time: the file that says how many tasks run at once, the load, free memory.
//!
//! Each is looked at once a second at most, and only where it is asked for; the last two only while the scheduler
//! wants to know.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::libc;

use crate::event::Time;
use crate::os;
use crate::plan::{Plan, PoolSize, Throttle, parse_pool};
use crate::sched::Reading;

/// From one look to the next.
const EVERY: Duration = Duration::from_secs(1);
/// A size is in the first bytes of its file.
const SIZE_BYTES: u64 = 256;

/// The pool's size, as a file says it; or what is wrong with the file, to go on "the file …".
pub fn pool_in(path: &Path) -> Result<PoolSize, String> {
    let text = read_some(path).map_err(|why| format!("can't be read: {}", os::errors::reason(&why)))?;
    let text = String::from_utf8_lossy(&text);
    let word = text.split_ascii_whitespace().next().unwrap_or_default();
    parse_pool(word).map_err(|why| match word {
        "" => format!("is empty: {why}"),
        word => format!("says `{word}`: {why}"),
    })
}

fn read_some(path: &Path) -> io::Result<Vec<u8>> {
    // The end of a pipe that nobody writes to would be waited for.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let mut bytes = Vec::new();
    file.take(SIZE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The file that says how many tasks run at once.
struct PoolFile {
    path: PathBuf,
    /// What it said last; wrong ones are told once.
    said: Result<PoolSize, String>,
    due: Time,
}

pub struct Gauges {
    pool: Option<PoolFile>,
    load: bool,
    memory: bool,
}

/// What the file of the pool says now.
pub enum News {
    Pool(usize),
    Warning(String),
}

impl Gauges {
    pub fn new(plan: &Plan) -> Gauges {
        let Throttle { pool_file, load, memory_free, .. } = &plan.throttle;
        let pool = pool_file.clone().map(|path| PoolFile { said: pool_in(&path), path, due: EVERY });
        Gauges { pool, load: load.is_some(), memory: memory_free.is_some() }
    }

    /// When the file is to be looked at.
    pub fn due(&self) -> Option<Time> {
        self.pool.as_ref().map(|pool| pool.due)
    }

    /// What has changed.
    pub fn look(&mut self, now: Time) -> Option<News> {
        let pool = self.pool.as_mut().filter(|pool| pool.due <= now)?;
        pool.due = now + EVERY;
        let said = pool_in(&pool.path);
        if said == pool.said {
            return None;
        }
        let was_right = std::mem::replace(&mut pool.said, said).is_ok();
        match &pool.said {
            Ok(size) => Some(News::Pool(size.resolve(os::limits::cpus()))),
            Err(why) if was_right => {
                let path = pool.path.display();
                Some(News::Warning(format!(
                    "`{path}`, which says how many tasks run at once, {why}; nothing changes"
                )))
            }
            Err(_) => None,
        }
    }

    /// The load and the free memory, as far as somebody wants to know.
    pub fn read(&self) -> Result<Reading, String> {
        let text = |path: &str| {
            let mut text = String::new();
            let read = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
            read.map(|_| text).map_err(|why| format!("`{path}` can't be read: {}", os::errors::reason(&why)))
        };
        let mut reading = Reading::default();
        if self.load {
            let load = load_in(&text("/proc/loadavg")?);
            reading.load = Some(load.ok_or("`/proc/loadavg` does not tell the load average")?);
        }
        if self.memory {
            let memory = memory_in(&text("/proc/meminfo")?);
            reading.memory = Some(memory.ok_or("`/proc/meminfo` does not tell how much memory is free")?);
        }
        Ok(reading)
    }
}

/// Of the last minute.
fn load_in(loadavg: &str) -> Option<f64> {
    loadavg.split_ascii_whitespace().next()?.parse().ok()
}

/// What programs can have without swapping, in bytes.
fn memory_in(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_understood() {
        assert_eq!(load_in("2.05 1.00 0.50 3/512 12345\n"), Some(2.05));
        assert_eq!(load_in(""), None);
        let meminfo = "MemTotal:        8000000 kB\nMemFree:  1 kB\nMemAvailable:    4000000 kB\n";
        assert_eq!(memory_in(meminfo), Some(4_096_000_000));
        assert_eq!(memory_in("MemTotal: 1 kB\n"), None);
        let gauges = Gauges { pool: None, load: true, memory: true };
        let reading = gauges.read().unwrap();
        assert!(reading.load.is_some() && reading.memory.is_some());
    }

    #[test]
    fn a_file_says_the_size_in_its_first_word() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pool");
        let gauges = |text: &str| {
            std::fs::write(&path, text).unwrap();
            pool_in(&path)
        };
        assert_eq!(gauges("\n 3 at once\n"), Ok(PoolSize::Count(3)));
        assert_eq!(gauges("+1"), Ok(PoolSize::Plus(1)));
        assert!(gauges("").unwrap_err().starts_with("is empty: expected a number"));
        assert!(gauges("many").unwrap_err().starts_with("says `many`: expected a number"));
        assert!(pool_in(folder.path()).unwrap_err().starts_with("can't be read: "));
    }

    #[test]
    fn news_of_the_file_are_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pool");
        std::fs::write(&path, "2").unwrap();
        let pool = PoolFile { said: pool_in(&path), path: path.clone(), due: EVERY };
        let mut gauges = Gauges { pool: Some(pool), load: false, memory: false };
        std::fs::write(&path, "5").unwrap();
        assert!(gauges.look(Time::ZERO).is_none(), "it is not due");
        let mut now = Time::ZERO;
        let mut look = |gauges: &mut Gauges| {
            now = gauges.due().unwrap();
            gauges.look(now)
        };
        assert!(matches!(look(&mut gauges), Some(News::Pool(5))));
        assert!(look(&mut gauges).is_none());
        std::fs::remove_file(&path).unwrap();
        assert!(
            matches!(look(&mut gauges), Some(News::Warning(why)) if why.contains("can't be read: no such file"))
        );
        std::fs::write(&path, "x").unwrap();
        assert!(look(&mut gauges).is_none(), "it is wrong as before");
        std::fs::write(&path, "5").unwrap();
        assert!(matches!(look(&mut gauges), Some(News::Pool(5))));
    }
}
