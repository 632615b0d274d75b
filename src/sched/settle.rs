//! What the end of a job means for those that wait for it: they begin, or are skipped. Pure.

use super::job::{End, Files, Phase};
use super::{Action, JobId, Mode, Supervisor};
use crate::event::{Outcome, RunEvent, StageId};
use crate::plan::items::is_lister;
use crate::plan::{After, Halt, HaltOn, When};

impl Supervisor {
    /// Jobs that waited for this one may begin, or never will, and so on. A list, not recursion: chains are long.
    pub(super) fn settle(&mut self, mut ended: Vec<JobId>, actions: &mut Vec<Action>) {
        while let Some(job) = ended.pop() {
            self.settle_up(job, &mut ended, actions);
            let dependents = std::mem::take(&mut self.jobs.get_mut(job).dependents);
            for (dependent, after) in dependents {
                let Phase::Blocked(_) = self.jobs.get(dependent).phase else { continue };
                let Phase::Ended(end) = self.jobs.get(job).phase else { unreachable!("{job:?} has ended") };
                if !self.jobs.get(job).holds(end, after) {
                    let failure = matches!(end, End::Failed | End::Skipped { failure: true });
                    let why = self.reason(job, end, after);
                    self.skip(dependent, failure, why, actions);
                    ended.push(dependent);
                } else {
                    self.condition_holds(dependent, actions);
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
                self.skip(dependent, true, why.clone(), actions);
                ended.push(dependent);
            }
        }
        self.settle(ended, actions);
    }

    /// Those who still wait for an ended job to be up.
    fn settle_up(&mut self, job: JobId, ended: &mut Vec<JobId>, actions: &mut Vec<Action>) {
        let state = self.jobs.get(job);
        if let (Phase::Ended(end), false) = (&state.phase, state.up_dependents.is_empty()) {
            let name = &self.plan.jobs[job].name;
            let (failure, how) = match end {
                End::Failed => (true, "failed before it was ready"),
                End::Skipped { failure } => (*failure, "was skipped"),
                End::Cancelled => (false, "was cancelled"),
                End::Ok => (false, "ended before it was ready"),
            };
            let why = format!("`{name}` {how}");
            self.never_up(job, failure, &why, ended, actions);
        }
    }

    /// One of those that a job waits for; it begins with the last.
    pub(super) fn condition_holds(&mut self, job: JobId, actions: &mut Vec<Action>) {
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
            (End::Skipped { .. }, _) if self.jobs.get(job).tasks > 0 => {
                let skipped = self.jobs.get(job).tally.skipped > 0;
                format!("items of `{name}` {}", if skipped { "were skipped" } else { "are missing" })
            }
            (End::Skipped { .. }, _) => format!("`{name}` was skipped"),
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

    pub(super) fn skip(&mut self, job: JobId, failure: bool, why: String, actions: &mut Vec<Action>) {
        self.jobs.set_ended(job, End::Skipped { failure });
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
                self.skip(job, false, "the run was stopped".into(), actions);
            }
        }
    }

    /// Who waits for the job finds its files complete. A stop waits for no disk.
    pub(super) fn awaits_files(&mut self, job: JobId, actions: &mut Vec<Action>) -> bool {
        let goes_on = matches!(self.mode, Mode::Going | Mode::Closing);
        let state = self.jobs.get_mut(job);
        let matters = !state.dependents.is_empty() && self.plan.jobs[job].has_files();
        if !goes_on || !matters || state.files == Files::Settled {
            return false;
        }
        if state.files == Files::Unknown {
            state.files = Files::Asked;
            actions.push(Action::SettleFiles(job));
        }
        true
    }

    pub(super) fn files_settled(&mut self, job: JobId, actions: &mut Vec<Action>) {
        self.jobs.get_mut(job).files = Files::Settled;
        self.end_job_if_done(job, actions);
    }
}
