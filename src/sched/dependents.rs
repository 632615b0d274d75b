//! Jobs that wait for others by `after`: they begin, or are skipped, when those end. Pure.

use super::job::{End, Files, Lost, Phase, SkipCause};
use super::{Action, JobId, Mode, Supervisor};
use crate::event::{Outcome, RunEvent, StageId};
use crate::plan::{After, Halt, HaltOn, When};

impl Supervisor {
    /// Opens or skips the jobs that waited for these, and then those that waited for the skipped ones. It
    /// uses a list instead of recursion, because chains are long.
    pub(super) fn resolve_dependents(&mut self, mut ended: Vec<JobId>, actions: &mut Vec<Action>) {
        while let Some(job) = ended.pop() {
            self.resolve_ready_at_end(job, &mut ended, actions);
            let dependents = std::mem::take(&mut self.jobs.get_mut(job).dependents);
            for (dependent, after) in dependents {
                let Phase::Blocked(_) = self.jobs.get(dependent).phase else { continue };
                let Phase::Ended(end) = self.jobs.get(job).phase else { unreachable!("{job:?} has ended") };
                if !self.jobs.get(job).satisfies(end, after) {
                    let cause = match end {
                        End::Failed => SkipCause::Failure,
                        End::Skipped(cause) => cause,
                        End::Ok | End::Cancelled => SkipCause::Other,
                    };
                    let why = self.reason(job, end, after);
                    self.skip(dependent, cause, why, actions);
                    ended.push(dependent);
                } else {
                    self.satisfy_condition(dependent, actions);
                }
            }
        }
    }

    /// Skips jobs that wait for this job's success. A task of it has failed for good, so they need not wait
    /// for its other tasks.
    pub(super) fn skip_hopeless(&mut self, job: JobId, actions: &mut Vec<Action>) {
        let plan = &self.plan.jobs[job];
        let last = plan.last_stage();
        // With such a halt, a single success may outweigh all failures.
        let may_succeed = |halt: Option<Halt>| halt.is_some_and(|halt| halt.on == HaltOn::Success);
        let state = self.jobs.get_mut(job);
        if state.dependents.is_empty() || may_succeed(plan.halt) {
            return;
        }
        let hopeless = |(_, after): &(JobId, After)| after.when == When::Success && after.stage == last;
        let skipped: Vec<(JobId, After)> =
            state.dependents.extract_if(.., |dependent| hopeless(dependent)).collect();
        let why = format!("`{}` failed", self.name_in_file(job, last));
        let mut ended = Vec::new();
        for (dependent, _) in skipped {
            if matches!(self.jobs.get(dependent).phase, Phase::Blocked(_)) {
                self.skip(dependent, SkipCause::Failure, why.clone(), actions);
                ended.push(dependent);
            }
        }
        self.resolve_dependents(ended, actions);
    }

    /// One condition of the job holds. The job opens with the last one.
    pub(super) fn satisfy_condition(&mut self, job: JobId, actions: &mut Vec<Action>) {
        match self.jobs.get(job).phase {
            Phase::Blocked(1) => self.open(job, actions),
            Phase::Blocked(waiting) => self.jobs.get_mut(job).phase = Phase::Blocked(waiting - 1),
            Phase::Open => self.hold(job, |held| held.saturating_sub(1)),
            Phase::Ended(_) => {}
        }
    }

    /// One condition of the job held, and does not hold any more. If the job has started nothing, it waits.
    pub(super) fn revoke_condition(&mut self, job: JobId) {
        match self.jobs.get(job).phase {
            Phase::Blocked(waiting) => self.jobs.get_mut(job).phase = Phase::Blocked(waiting + 1),
            Phase::Open if !self.jobs.get(job).begun => self.hold(job, |held| held + 1),
            Phase::Open | Phase::Ended(_) => {}
        }
    }

    fn hold(&mut self, job: JobId, change: impl Fn(usize) -> usize) {
        let state = self.jobs.get_mut(job);
        state.held = change(state.held);
        self.update_startable(job);
    }

    /// Returns the job's name as the file has it. A stage of `pipeline` is called `build:2` in the plan.
    fn name_in_file(&self, job: JobId, stage: StageId) -> &str {
        let stage = &self.plan.jobs[job].stages[stage].name;
        stage.split(':').next().unwrap_or(stage)
    }

    fn reason(&self, job: JobId, end: End, after: After) -> String {
        let name = self.name_in_file(job, after.stage);
        match (end, after.when) {
            (End::Skipped(_), _) if self.jobs.get(job).tasks > 0 && self.has_run_for_some(job) => {
                let skipped = self.jobs.get(job).tally.skipped > 0;
                format!("items of `{name}` {}", if skipped { "were skipped" } else { "are missing" })
            }
            (End::Skipped(_), _) => format!("`{name}` was skipped"),
            (End::Cancelled, _) => format!("`{name}` was cancelled"),
            (_, When::Failure) => format!("`{name}` did not fail"),
            _ => format!("`{name}` failed"),
        }
    }

    /// True if a job that was skipped may have run for some of its items.
    fn has_run_for_some(&self, job: JobId) -> bool {
        self.jobs.get(job).begun || self.source_of(job).is_some()
    }

    /// Returns why none of a job's items ever came, in the words for a condition of `after`.
    pub(super) fn why_no_items(&self, job: JobId) -> String {
        let after = After { job, stage: self.plan.jobs[job].last_stage(), when: When::Success };
        let Phase::Ended(end) = self.jobs.get(job).phase else { unreachable!("{job:?} has ended") };
        self.reason(job, end, after)
    }

    pub(super) fn skip(&mut self, job: JobId, cause: SkipCause, why: String, actions: &mut Vec<Action>) {
        self.jobs.set_ended(job, End::Skipped(cause));
        self.services.ended(job);
        if self.plan.jobs[job].is_lister() {
            // The job that it would have listed items for is skipped as well, and says why.
            actions.push(Action::Tell(RunEvent::JobEnded { job, outcome: Outcome::Skipped, tasks: 0 }));
            return;
        }
        self.tally.add(&Outcome::Skipped);
        actions.push(Action::Tell(RunEvent::JobSkipped { job, why, fails: false }));
    }

    /// Skips a job that has started nothing, because what it needs is gone. It may have been open.
    pub(super) fn skip_lost(&mut self, job: JobId, lost: Lost, actions: &mut Vec<Action>) {
        let Lost { cause, why, fails } = lost;
        if self.plan.jobs[job].is_lister() {
            return self.skip(job, cause, why, actions);
        }
        self.jobs.set_ended(job, End::Skipped(cause));
        self.services.ended(job);
        // Tasks that were there already are counted by themselves.
        if self.jobs.get(job).tally.skipped == 0 {
            self.tally.add(&Outcome::Skipped);
        }
        if fails {
            self.tally.lost += 1;
            self.services.missed_by = Some(job);
        }
        actions.push(Action::Tell(RunEvent::JobSkipped { job, why, fails }));
    }

    /// Skips the jobs that wait for others, because nothing new starts any more. Call it before anything ends
    /// because of the stop, so that no such end lets one of them begin.
    pub(super) fn skip_blocked(&mut self, actions: &mut Vec<Action>) {
        for job in self.plan.job_ids() {
            if matches!(self.jobs.get(job).phase, Phase::Blocked(_)) {
                self.skip(job, SkipCause::Other, "the run was stopped".into(), actions);
            }
        }
    }

    /// True if the end of the job has to wait until its files are complete, because others begin after it and
    /// may read them. A stop waits for no disk.
    pub(super) fn awaits_files(&mut self, job: JobId, actions: &mut Vec<Action>) -> bool {
        let goes_on = matches!(self.mode, Mode::Going | Mode::Closing);
        let state = self.jobs.get_mut(job);
        let matters = !state.dependents.is_empty() && self.plan.jobs[job].has_files();
        if !goes_on || !matters || state.files == Files::Flushed {
            return false;
        }
        if state.files == Files::Unknown {
            state.files = Files::Asked;
            actions.push(Action::FlushFiles(job));
        }
        true
    }

    pub(super) fn files_flushed(&mut self, job: JobId, actions: &mut Vec<Action>) {
        self.jobs.get_mut(job).files = Files::Flushed;
        self.end_job_if_done(job, actions);
    }
}
