//! Threads are started when they are first needed. Then the system may have too little for one more, because of all
//! the tasks that run: it is tried again.

use std::io;
use std::time::{Duration, Instant};

use nix::errno::Errno;

/// The pause before the next try, if the loop has nothing to do until then.
pub const PAUSE: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(30);

/// Since when a thread can't be started, if it can't.
#[derive(Debug, Default)]
pub struct Awaited(Option<Instant>);

impl Awaited {
    pub fn is_awaited(&self) -> bool {
        self.0.is_some()
    }

    /// What came of a try; `Err`: there is no use in another one.
    pub fn note<T>(&mut self, started: io::Result<T>) -> io::Result<Option<T>> {
        match started {
            Ok(thread) => {
                self.0 = None;
                Ok(Some(thread))
            }
            Err(error) => {
                let passes = [Errno::EAGAIN, Errno::ENOMEM]
                    .map(|errno| Some(errno as i32))
                    .contains(&error.raw_os_error());
                let since = *self.0.get_or_insert_with(Instant::now);
                if passes && since.elapsed() < PATIENCE {
                    return Ok(None);
                }
                self.0 = None;
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_awaited() {
        let mut awaited = Awaited::default();
        let error = |errno: Errno| Err::<(), _>(io::Error::from_raw_os_error(errno as i32));
        assert!(awaited.note(error(Errno::EAGAIN)).unwrap().is_none() && awaited.is_awaited());
        assert!(awaited.note(Ok(())).unwrap().is_some() && !awaited.is_awaited());
        assert!(awaited.note(error(Errno::EINVAL)).is_err() && !awaited.is_awaited());
    }
}
