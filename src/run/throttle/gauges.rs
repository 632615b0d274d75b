//! Gauges that are read from time to time: the file that gives the size of the pool, the load, free memory.
//!
//! Each is read once a second at most, and only if the plan asks for it; the last two only while the scheduler wants to
//! know.

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

/// The interval at which the pool's file is read.
const EVERY: Duration = Duration::from_secs(1);
/// Bytes at the beginning of the pool's file that are read.
const SIZE_BYTES: u64 = 256;

/// Returns the size of the pool that a file gives.
///
/// # Errors
/// When the file can't be read, or gives no size. The text continues "the file …".
pub fn read_pool_file(path: &Path) -> Result<PoolSize, String> {
    let text = read_some(path).map_err(|why| format!("can't be read: {}", os::errors::reason(&why)))?;
    let text = String::from_utf8_lossy(&text);
    let word = text.split_ascii_whitespace().next().unwrap_or_default();
    parse_pool(word).map_err(|why| match word {
        "" => format!("is empty: {why}"),
        word => format!("says `{word}`: {why}"),
    })
}

fn read_some(path: &Path) -> io::Result<Vec<u8>> {
    // Without O_NONBLOCK, opening a named pipe would wait for a writer.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let mut bytes = Vec::new();
    file.take(SIZE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The file that gives the size of the pool.
struct PoolFile {
    path: PathBuf,
    /// The last reading. An error is reported once, until the file is right again.
    reading: Result<PoolSize, String>,
    due: Time,
}

/// The gauges that the plan asks for.
pub struct Gauges {
    pool: Option<PoolFile>,
    load: bool,
    memory: bool,
}

/// A change of the pool's file.
pub enum GaugeChange {
    /// The pool has this size now.
    Pool(usize),
    /// The file is wrong; as text for people.
    Warning(String),
}

impl Gauges {
    pub fn new(plan: &Plan) -> Gauges {
        let Throttle { pool_file, load, memory_free, .. } = &plan.throttle;
        let pool =
            pool_file.clone().map(|path| PoolFile { reading: read_pool_file(&path), path, due: EVERY });
        Gauges { pool, load: load.is_some(), memory: memory_free.is_some() }
    }

    /// Returns when the pool's file is to be read.
    pub fn due(&self) -> Option<Time> {
        self.pool.as_ref().map(|pool| pool.due)
    }

    /// Reads the pool's file, if that is due. Returns what has changed.
    pub fn poll_pool_file(&mut self, now: Time) -> Option<GaugeChange> {
        let pool = self.pool.as_mut().filter(|pool| pool.due <= now)?;
        pool.due = now + EVERY;
        let reading = read_pool_file(&pool.path);
        if reading == pool.reading {
            return None;
        }
        let was_right = std::mem::replace(&mut pool.reading, reading).is_ok();
        match &pool.reading {
            Ok(size) => Some(GaugeChange::Pool(size.resolve(os::limits::cpus()))),
            Err(why) if was_right => {
                let path = pool.path.display();
                Some(GaugeChange::Warning(format!(
                    "`{path}`, which says how many tasks run at once, {why}; nothing changes"
                )))
            }
            Err(_) => None,
        }
    }

    /// Reads the load and the free memory, as far as the plan asks for them.
    ///
    /// # Errors
    /// When a file of /proc can't be read or understood. For people.
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

/// Returns the load average of the last minute.
fn load_in(loadavg: &str) -> Option<f64> {
    loadavg.split_ascii_whitespace().next()?.parse().ok()
}

/// Returns the memory that programs can have without swapping, in bytes.
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
            read_pool_file(&path)
        };
        assert_eq!(gauges("\n 3 at once\n"), Ok(PoolSize::Count(3)));
        assert_eq!(gauges("+1"), Ok(PoolSize::Plus(1)));
        assert!(gauges("").unwrap_err().starts_with("is empty: expected a number"));
        assert!(gauges("many").unwrap_err().starts_with("says `many`: expected a number"));
        assert!(read_pool_file(folder.path()).unwrap_err().starts_with("can't be read: "));
    }

    #[test]
    fn news_of_the_file_are_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pool");
        std::fs::write(&path, "2").unwrap();
        let pool = PoolFile { reading: read_pool_file(&path), path: path.clone(), due: EVERY };
        let mut gauges = Gauges { pool: Some(pool), load: false, memory: false };
        std::fs::write(&path, "5").unwrap();
        assert!(gauges.poll_pool_file(Time::ZERO).is_none(), "it is not due");
        let mut now = Time::ZERO;
        let mut poll = |gauges: &mut Gauges| {
            now = gauges.due().unwrap();
            gauges.poll_pool_file(now)
        };
        assert!(matches!(poll(&mut gauges), Some(GaugeChange::Pool(5))));
        assert!(poll(&mut gauges).is_none());
        std::fs::remove_file(&path).unwrap();
        assert!(
            matches!(poll(&mut gauges), Some(GaugeChange::Warning(why)) if why.contains("can't be read: no such file"))
        );
        std::fs::write(&path, "x").unwrap();
        assert!(poll(&mut gauges).is_none(), "it is wrong as before");
        std::fs::write(&path, "5").unwrap();
        assert!(matches!(poll(&mut gauges), Some(GaugeChange::Pool(5))));
    }
}
