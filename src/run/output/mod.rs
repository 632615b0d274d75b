//! Everything that prun writes: its own stdout and stderr, files of jobs, logs, temporary files, and the bar.
//!
//! [`Output`] owns the room. In comes what tasks write, cut into operations by [`flow::output`](crate::flow::output), and
//! what happened, as [`RunEvent`]s. Out go bytes, by threads: one [`writer`] for each distinct file behind prun's stdout
//! and stderr, and one [`disk`] thread for what may sleep on a disk. The loop hands over and never waits for them,
//! except while the terminal is cleared for somebody else, and then for a quarter of a second at most.
//!
//! The order that matters: what a task wrote is handed on before its end is told ([`Output::tell`] does that itself),
//! and a line of a log passes all writers behind the output that it speaks of, so that nothing is logged as finished
//! whose output is lost.
//!
//! - [`sinks`]: the writers and the disk thread, as one thing to write to
//! - [`files`]: which files the run has opened, so that each is emptied once
//! - [`writer`], [`disk`], [`fifos`]: the threads; [`thread_start`]: they start late, and starting may have to be tried again
//! - [`transfers`]: pipes of tasks that the disk thread moves to temporary files by itself
//! - [`screen`]: the terminal that the bar shares with what tasks write
//! - [`terminal_lease`]: prun's terminal, lent to a task that has it to itself
//!
//! Rejected: a thread for each file (a run may have thousands), and writing from the loop with non-blocking
//! descriptors (the flag belongs to everybody who shares the file, and regular files block all the same).

use std::fs::File;
use std::io;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use crate::event::{JobId, Listener, RunEvent, Summary, Time};
use crate::flow::output::{Framing, Outputs};
use crate::plan::Plan;
use crate::sched::TaskId;

pub mod disk;
pub mod fifos;
pub mod files;
pub mod screen;
pub mod sinks;
pub mod terminal_lease;
pub mod thread_start;
pub mod transfers;
pub mod writer;

use screen::Screen;
use sinks::{Failure, HandOver, Sinks};
use terminal_lease::TerminalLease;

/// Nothing new starts while more output than this is kept in memory, in bytes: with `keep_order`, output piles up
/// behind a slow first task.
const KEPT: usize = 64 << 20;

/// How long a terminal that takes no bytes (Ctrl-S) may keep prun from being suspended, or a task from its start.
const CLEAR_LIMIT: Duration = Duration::from_millis(250);

/// The output of a run and its destinations.
pub struct Output {
    pub outputs: Outputs,
    pub sinks: Sinks,
    pub screen: Screen,
    pub lease: TerminalLease,
    /// Hooks whose standard input is still on its way from the disk thread.
    pub awaited_inputs: Vec<(TaskId, Receiver<io::Result<File>>)>,
    /// True while nothing may start, because too much output waits to be written or to have its turn.
    held: bool,
    /// True once a failure to write was reported; those that follow from it are not.
    failed: bool,
}

impl Output {
    /// # Errors
    /// When no descriptor can be had to wake the loop with.
    pub fn new(plan: &Plan, listener: Box<dyn Listener>) -> io::Result<Output> {
        // Lines of several jobs must not mix where tasks of more than one may flow at the same time.
        let several = plan.jobs.iter().filter(|job| job.run_hook().is_none()).count() > 1;
        let mixing = several && plan.jobs.iter().any(|job| job.keep_order);
        Ok(Output {
            outputs: Outputs::new(if mixing { Framing::Lines } else { Framing::Chunks }),
            sinks: Sinks::new()?,
            screen: Screen::new(listener),
            lease: TerminalLease::new(plan),
            awaited_inputs: Vec::new(),
            held: false,
            failed: false,
        })
    }

    /// Hands complete output to the sinks.
    pub fn write_out(&mut self) {
        self.screen.write_out(&mut self.outputs.ops, &mut self.sinks);
    }

    /// Tells people what happened, behind everything that was written before it.
    pub fn tell(&mut self, now: Time, event: &RunEvent) {
        self.screen.tell(now, event, &mut self.outputs.ops, &mut self.sinks);
    }

    /// Gives the writers what is staged, if it is time. What flows is not held back.
    pub fn hand_over(&mut self, now: Time, when: HandOver) {
        let flows = when != HandOver::WhenDue && std::mem::take(&mut self.outputs.flowed);
        self.sinks.hand_over(now, if flows { HandOver::Now } else { when }, &mut self.outputs.spare);
    }

    /// Returns when staged output has to be handed over. `quiet`: nothing more is about to come.
    pub fn hand_over_due(&self, quiet: bool) -> Option<Time> {
        let due = self.sinks.due(quiet);
        if quiet && self.outputs.flowed { due.map(|_| Time::ZERO) } else { due }
    }

    /// Draws the bar, if it is time.
    pub fn draw(&mut self, now: Time) {
        self.screen.draw(now, &mut self.sinks);
    }

    /// Takes the bar off the terminal.
    pub fn erase_bar(&mut self) {
        self.screen.erase(&mut self.sinks);
    }

    /// Returns how the run went, as text for those who read it after its end.
    pub fn report(&self, summary: &Summary) -> String {
        self.screen.report(summary)
    }

    /// Returns whether starts are to be held back, if that has changed since the last call. With `starting`, enough of
    /// them are under way.
    pub fn change_of_hold(&mut self, starting: bool) -> Option<bool> {
        let crowded = self.sinks.crowded();
        // A thread that waits for its start needs the room that the next task would take.
        let hold = starting || crowded || self.outputs.kept() > KEPT || self.sinks.awaits_thread();
        (std::mem::replace(&mut self.held, hold) != hold).then_some(hold)
    }

    /// Returns the first failure to write, once.
    pub fn take_failure(&mut self) -> Option<Failure> {
        let failure = if self.failed { None } else { self.sinks.take_failure() };
        self.failed |= failure.is_some();
        failure
    }

    /// Brings everything onto the terminal that was written so far, and takes the bar off it.
    pub fn clear_terminal(&mut self, now: Time) {
        self.write_out();
        self.erase_bar();
        self.hand_over(now, HandOver::Now);
        self.sinks.await_terminal(CLEAR_LIMIT);
    }

    /// Stops writing to the terminal, because a task that wants it to itself is about to start.
    pub fn begin_lease(&mut self, now: Time) {
        self.clear_terminal(now);
        self.screen.set_leased(true);
        self.sinks.pause_terminal();
    }

    /// Writes to the terminal again once no task has it any more.
    pub fn end_lease(&mut self) {
        if self.screen.is_leased() && !self.lease.is_lent() {
            self.screen.set_leased(false);
            self.sinks.unpause_terminal();
        }
    }

    /// Lets a task that will not run have its turn in the order of the items, with nothing to show.
    pub fn pass_turn(&mut self, plan: &Plan, job: JobId, seq: u64) {
        if plan.jobs[job].keep_order {
            self.outputs.ended((job, seq), Vec::new());
        }
    }
}
