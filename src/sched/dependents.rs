//! What the end of a job means for those that wait for it: they begin, or are skipped. Pure.

use super::job::{End, Files, Phase, SkipCause};
use super::{Action, JobId, Mode, Supervisor};
use crate::event::{Outcome, RunEvent, StageId};
use crate::plan::items::is_lister;
use crate::plan::{After, Halt, HaltOn, When};

impl Supervisor {
    /// Jobs that waited for this one may begin, or never will, and so on. A list, not recursion: chains are long.
    pub(super) fn resolve_dependents(&mut self, mut ended: Vec<JobId>, actions: &mut Vec<Action>) {
        while let Some(job) = ended.pop() {
            self.resolve_up_at_end(job, &mut ended, actions);
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

    /// A task of the job has failed for good: who waits for the job's success need not wait for its other tasks.
    pub(super) fn skip_hopeless(&mut self, job: JobId, actions: &mut Vec<Action>) {
        let plan = &self.plan.jobs[job];
        let last = plan.last_stage();
        // With that a single success may outweigh all failures.
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

    /// Those who still wait for an ended job to be up.
    fn resolve_up_at_end(&mut self, job: JobId, ended: &mut Vec<JobId>, actions: &mut Vec<Action>) {
        let state = self.jobs.get(job);
        if let (Phase::Ended(end), false) = (&state.phase, state.up_dependents.is_empty()) {
            let name = &self.plan.jobs[job].name;
            let (cause, how) = match end {
                End::Failed => (SkipCause::Failure, "failed before it was ready"),
                End::Skipped(cause) => (*cause, "was skipped"),
                End::Cancelled => (SkipCause::Other, "was cancelled"),
                End::Ok => (SkipCause::Other, "ended before it was ready"),
            };
            let why = format!("`{name}` {how}");
            self.skip_up_dependents(job, cause, &why, ended, actions);
        }
    }

    /// One of those that a job waits for; it begins with the last.
    pub(super) fn satisfy_condition(&mut self, job: JobId, actions: &mut Vec<Action>) {
        match self.jobs.get(job).phase {
            Phase::Blocked(1) => self.open(job, actions),
            Phase::Blocked(waiting) => self.jobs.get_mut(job).phase = Phase::Blocked(waiting - 1),
            Phase::Open | Phase::Ended(_) => {}
        }
    }

    /// Of the stages of one job, `build:2`, the file knows only the job.
    fn name_in_file(&self, job: JobId, stage: StageId) -> &str {
        let stage = &self.plan.jobs[job].stages[stage].name;
        stage.split(':').next().unwrap_or(stage)
    }

    fn reason(&self, job: JobId, end: End, after: After) -> String {
        let name = self.name_in_file(job, after.stage);
        match (end, after.when) {
            (End::Skipped(_), _) if self.jobs.get(job).tasks > 0 => {
                let skipped = self.jobs.get(job).tally.skipped > 0;
                format!("items of `{name}` {}", if skipped { "were skipped" } else { "are missing" })
            }
            (End::Skipped(_), _) => format!("`{name}` was skipped"),
            (End::Cancelled, _) => format!("`{name}` was cancelled"),
            (_, When::Failure) => format!("`{name}` did not fail"),
            _ => format!("`{name}` failed"),
        }
    }

    /// Why none of a job's items ever came: as if those who take them waited for it.
    pub(super) fn why_no_items(&self, job: JobId) -> String {
        let after = After { job, stage: self.plan.jobs[job].last_stage(), when: When::Success };
        let Phase::Ended(end) = self.jobs.get(job).phase else { unreachable!("{job:?} has ended") };
        self.reason(job, end, after)
    }

    pub(super) fn skip(&mut self, job: JobId, cause: SkipCause, why: String, actions: &mut Vec<Action>) {
        self.jobs.set_ended(job, End::Skipped(cause));
        self.services.ended(job);
        if is_lister(&self.plan, job) {
            // The job that it would have listed items for is skipped as well, and says why.
            actions.push(Action::Tell(RunEvent::JobEnded { job, outcome: Outcome::Skipped, tasks: 0 }));
            return;
        }
        self.tally.add(&Outcome::Skipped);
        actions.push(Action::Tell(RunEvent::JobSkipped { job, why }));
    }

    /// Nothing new starts any more: skips the jobs that wait for others. To be called before anything ends
    /// because of the stop, so that no such end lets one of them begin.
    pub(super) fn skip_blocked(&mut self, actions: &mut Vec<Action>) {
        for job in self.plan.job_ids() {
            if matches!(self.jobs.get(job).phase, Phase::Blocked(_)) {
                self.skip(job, SkipCause::Other, "the run was stopped".into(), actions);
            }
        }
    }

    /// Who waits for the job finds its files complete. A stop waits for no disk.
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
