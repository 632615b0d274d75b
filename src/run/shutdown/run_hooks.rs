//! What the hooks of the run, and jobs that come after others, wait for: that all that was written is where it was to
//! go; and what the hooks find in their environment.

use std::sync::mpsc::{Receiver, TryRecvError};

use crate::event::{JobId, Time};
use crate::run::output::Output;
use crate::sched::Verdict;

/// What waits for output to be complete.
#[derive(Debug, Default)]
pub struct RunHooks {
    /// How long the run took, without its hooks.
    pub elapsed: Time,
    settling: Option<Settling>,
    /// Jobs that others come after, until what they wrote is in its files.
    files: Vec<(JobId, Receiver<()>)>,
}

/// What the hooks of the run wait for, so that they find everything that tasks wrote, and hear of it if it could not be
/// written.
#[derive(Debug)]
enum Settling {
    /// stdout and stderr.
    Output,
    /// Files and logs.
    Files(Receiver<()>),
}

impl RunHooks {
    /// The hooks of the run follow: they wait for stdout and stderr, then for files and logs.
    pub fn await_output(&mut self) {
        self.settling = Some(Settling::Output);
    }

    /// The job's files are complete when `settled` says so.
    pub fn await_files(&mut self, job: JobId, settled: Receiver<()>) {
        self.files.push((job, settled));
    }

    /// Returns the jobs whose files have become complete since the last call.
    pub fn take_settled(&mut self) -> Vec<JobId> {
        // A sender that is gone with its thread is told as a failure to write; nobody waits for it.
        let settled = |(_, told): &mut (JobId, Receiver<()>)| told.try_recv() != Err(TryRecvError::Empty);
        self.files.extract_if(.., settled).map(|(job, _)| job).collect()
    }

    /// True once, when everything is where it was to go. The writers and the disk thread wake the loop whenever this may
    /// have changed.
    pub fn is_settled(&mut self, now: Time, output: &mut Output) -> bool {
        let Some(settling) = self.settling.take() else { return false };
        self.settling = match settling {
            Settling::Output => {
                output.hand_over(now, false);
                match output.sinks.is_done() {
                    false => Some(Settling::Output),
                    true => output.sinks.settle_files().map(Settling::Files),
                }
            }
            Settling::Files(told) => match told.try_recv() {
                Err(TryRecvError::Empty) => Some(Settling::Files(told)),
                // Gone with a thread that could not be started, which is told as a failure.
                Ok(()) | Err(TryRecvError::Disconnected) => None,
            },
        };
        self.settling.is_none()
    }
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
