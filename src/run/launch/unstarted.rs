//! Why a process was not started: by a fault of its command, or for a shortage that passes.

use std::io;
use std::path::Path;

use nix::errno::Errno;

use crate::event::{Shortage, StartFailure};
use crate::os;
use crate::os::start::{StartError, Step};

/// The reason why a process was not started.
pub enum Unstarted {
    /// Another try would fail as well.
    Failed(StartFailure),
    /// The system, or prun, is short of something just now: the start is to be tried again.
    Shortage(Shortage, StartFailure),
}

impl From<StartFailure> for Unstarted {
    fn from(failure: StartFailure) -> Unstarted {
        Unstarted::Failed(failure)
    }
}

impl Unstarted {
    /// Returns the exit status that stands for the failure.
    pub fn code(&self) -> u8 {
        match self {
            Unstarted::Failed(failure) | Unstarted::Shortage(_, failure) => failure.code,
        }
    }

    pub fn new(shortage: Option<Shortage>, failure: StartFailure) -> Unstarted {
        match shortage {
            Some(shortage) => Unstarted::Shortage(shortage, failure),
            None => Unstarted::Failed(failure),
        }
    }
}

/// Returns why a process with such an argument is not started.
pub fn nul_in_argument() -> StartFailure {
    let why = "an argument holds a NUL byte, which no program can be given".into();
    StartFailure { code: 126, why }
}

/// Returns the shortage that an error of opening a descriptor shows, if it shows one.
pub fn shortage_of_files(error: &io::Error) -> Option<Shortage> {
    match Errno::from_raw(error.raw_os_error()?) {
        Errno::EMFILE => Some(Shortage::Files),
        Errno::ENFILE => Some(Shortage::SystemFiles),
        Errno::ENOMEM => Some(Shortage::Memory),
        _ => None,
    }
}

/// Returns why a pipe could not be made.
pub fn no_pipe(error: &io::Error) -> Unstarted {
    let why = format!("could not make a pipe: {}", os::errors::reason(error));
    Unstarted::new(shortage_of_files(error), StartFailure { code: 126, why })
}

/// Returns why a file could not be opened.
pub fn no_file(path: &Path, error: &io::Error) -> Unstarted {
    let why = format!("could not open `{}`: {}", path.display(), os::errors::reason(error));
    Unstarted::new(shortage_of_files(error), StartFailure { code: 126, why })
}

/// Returns the shortage that a failed start of a process shows, if it shows one. With `own_limits`, the process has
/// resource limits of its own, which may be the reason for some errors.
pub fn shortage_of_start(error: StartError, own_limits: bool) -> Option<Shortage> {
    match (error.step, error.errno) {
        (Step::Clone, Errno::EAGAIN) => Some(Shortage::Processes),
        (Step::Clone, Errno::ENOMEM) => Some(Shortage::Memory),
        (Step::Execute, Errno::ENFILE) => Some(Shortage::SystemFiles),
        (Step::Execute, Errno::EAGAIN) if !own_limits => Some(Shortage::Processes),
        (Step::Execute, Errno::ENOMEM) if !own_limits => Some(Shortage::Memory),
        _ => None,
    }
}
