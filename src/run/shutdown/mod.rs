//! The end of a run: what has to be complete before the hooks of the run, and what a failure to write means.
//!
//! [`Shutdown`] holds how far the end has come. The steps themselves need all rooms, and stand in
//! [`actions`](super::actions) and [`event_loop`](super::event_loop): the last children are awaited, the output is
//! flushed, and the verdict is given.

use super::output::sinks::Failure;
use crate::os;
use crate::sched::Event;

pub mod run_hooks;

use run_hooks::RunHooks;

/// How far the end of the run has come.
#[derive(Default)]
pub struct Shutdown {
    pub run_hooks: RunHooks,
    /// True once the scheduler has nothing more to do.
    pub finished: bool,
}

/// Returns the event for a failure to write. A closed stdout ends prun as it ends any filter, unless it was started with
/// SIGPIPE ignored.
pub fn event_of(failure: Failure) -> Event {
    match failure {
        Failure::Closed if os::inherited::inherited().ignored.contains(nix::libc::SIGPIPE) => {
            Event::Broken("could not write to stdout: broken pipe".into())
        }
        Failure::Closed => Event::OutputClosed,
        Failure::Other(why) => Event::Broken(why),
    }
}
