//! The wait for complete output, before the hooks of the run and before jobs that come after others; and the variables
//! of those hooks.

use std::sync::mpsc::{Receiver, TryRecvError};

use crate::event::{JobId, Time};
use crate::run::output::Output;
use crate::run::output::sinks::HandOver;
use crate::sched::Verdict;

/// Hooks and jobs that wait for complete output.
#[derive(Debug, Default)]
pub struct RunHooks {
    /// How long the run took, without its hooks.
    pub elapsed: Time,
    awaited: Option<Awaited>,
    /// Jobs that others come after, until what they wrote is in its files.
    files: Vec<(JobId, Receiver<()>)>,
}

/// The step that the hooks of the run wait for, so that they find everything that tasks wrote, and know if it could not
/// be written.
#[derive(Debug)]
enum Awaited {
    /// stdout and stderr.
    Output,
    /// Files and logs.
    Files(Receiver<()>),
}

impl RunHooks {
    /// Lets the hooks of the run wait: for stdout and stderr, then for files and logs.
    pub fn await_output(&mut self) {
        self.awaited = Some(Awaited::Output);
    }

    /// Lets jobs that come after `job` wait until `flushed` reports that its files are complete.
    pub fn await_files(&mut self, job: JobId, flushed: Receiver<()>) {
        self.files.push((job, flushed));
    }

    /// Returns the jobs whose files have become complete since the last call.
    pub fn take_flushed(&mut self) -> Vec<JobId> {
        self.files.extract_if(.., |(_, written)| is_flushed(written)).map(|(job, _)| job).collect()
    }

    /// True once, when all output is complete. The writers and the disk thread wake the loop whenever this may have
    /// changed.
    pub fn is_flushed(&mut self, now: Time, output: &mut Output) -> bool {
        let Some(awaited) = self.awaited.take() else { return false };
        self.awaited = match awaited {
            Awaited::Output => {
                output.hand_over(now, HandOver::Now);
                match output.sinks.is_done() {
                    false => Some(Awaited::Output),
                    true => Some(output.sinks.flush_files(None))
                        .filter(|files| !is_flushed(files))
                        .map(Awaited::Files),
                }
            }
            Awaited::Files(files) => Some(files).filter(|files| !is_flushed(files)).map(Awaited::Files),
        };
        self.awaited.is_none()
    }
}

/// True if all threads have dropped their senders: what was sent to them is written. A sender that is gone with its
/// thread is reported as a failure to write, and nobody waits for it.
pub fn is_flushed(files: &Receiver<()>) -> bool {
    files.try_recv() == Err(TryRecvError::Disconnected)
}

/// Returns the `PRUN_…` variables for the hooks of the run. What does not apply is empty, as in those of a task's hook.
pub fn facts(verdict: &Verdict, failed: bool, elapsed: Time) -> Vec<(&'static str, String)> {
    let outcome = match verdict {
        Verdict::Code(0) => "ok",
        Verdict::Signal(_) if !failed => "cancelled",
        _ => "failed",
    };
    let (exit, signal) = match verdict {
        Verdict::Code(code) => (code.to_string(), String::new()),
        Verdict::Signal(signal) => (String::new(), signal.to_string()),
    };
    vec![
        ("PRUN_OUTCOME", outcome.to_owned()),
        ("PRUN_EXIT", exit),
        ("PRUN_SIGNAL", signal),
        ("PRUN_DURATION", format!("{:.3}", elapsed.as_secs_f64())),
    ]
}
