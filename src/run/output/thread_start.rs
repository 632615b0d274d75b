//! Starts of threads that may have to be tried again.
//!
//! prun's threads start when they are first needed. By then the tasks that run may have used up the system's processes
//! or memory, which passes.

use std::io;
use std::time::{Duration, Instant};

use nix::errno::Errno;

/// The pause before the next try, if the loop has nothing to do until then.
pub const PAUSE: Duration = Duration::from_millis(20);
/// How long a start is tried before it fails.
const LIMIT: Duration = Duration::from_secs(30);

/// A start that is to be tried again.
#[derive(Debug, Default)]
pub struct PendingStart {
    /// The time of the first try that failed, unless a later one was successful.
    first_failure: Option<Instant>,
}

impl PendingStart {
    /// True if the last try failed and another one is to follow.
    pub fn is_pending(&self) -> bool {
        self.first_failure.is_some()
    }

    /// Records the result of a try. Returns `None` if another one is to follow.
    ///
    /// # Errors
    /// When another try is of no use, or tries have failed for 30 seconds.
    pub fn record<T>(&mut self, started: io::Result<T>) -> io::Result<Option<T>> {
        match started {
            Ok(thread) => {
                self.first_failure = None;
                Ok(Some(thread))
            }
            Err(error) => {
                let is_temporary = [Errno::EAGAIN, Errno::ENOMEM, Errno::EINTR]
                    .map(|errno| Some(errno as i32))
                    .contains(&error.raw_os_error());
                let since = *self.first_failure.get_or_insert_with(Instant::now);
                if is_temporary && since.elapsed() < LIMIT {
                    return Ok(None);
                }
                self.first_failure = None;
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_failures_are_tried_again() {
        let mut start = PendingStart::default();
        let error = |errno: Errno| Err::<(), _>(io::Error::from_raw_os_error(errno as i32));
        assert!(start.record(error(Errno::EAGAIN)).unwrap().is_none() && start.is_pending());
        assert!(start.record(Ok(())).unwrap().is_some() && !start.is_pending());
        assert!(start.record(error(Errno::EINVAL)).is_err() && !start.is_pending());
    }
}
