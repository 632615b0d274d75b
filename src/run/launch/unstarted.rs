//! Why something was not started: by its own fault, or because too little of something was there just then.

use std::io;

use nix::errno::Errno;

use crate::event::{Shortage, StartFailure};
use crate::os;
use crate::os::start::{StartError, Step};

pub enum Unstarted {
    /// It would be the same another time.
    Failed(StartFailure),
    /// That passes: it is to be tried again.
    Short(Shortage, StartFailure),
}

impl From<StartFailure> for Unstarted {
    fn from(failure: StartFailure) -> Unstarted {
        Unstarted::Failed(failure)
    }
}

impl Unstarted {
    pub fn new(shortage: Option<Shortage>, failure: StartFailure) -> Unstarted {
        match shortage {
            Some(shortage) => Unstarted::Short(shortage, failure),
            None => Unstarted::Failed(failure),
        }
    }
}

/// What there was too little of for a new descriptor.
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

/// What there was too little of for a new process. `own_limits`: it has limits of its own, which may be why.
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
