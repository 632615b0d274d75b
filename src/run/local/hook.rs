//! Starts hooks, in the place of the task that is over.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use super::LocalProcesses;
use super::start::{not_started, watch_pipes};
use crate::event::{StageId, StartFailure};
use crate::os::{live_starts, start};
use crate::plan::{HookOn, OutputMode};
use crate::run::attempt::hook::HookInput;
use crate::run::attempt::reader::Reader;
use crate::run::attempt::table::ProcessRole;
use crate::run::attempt::{Attempt, Process, Role};
use crate::run::backend::Context;
use crate::run::launch::stdin::feed_bytes;
use crate::run::launch::unstarted::{Unstarted, no_pipe};
use crate::run::launch::{ChildEnds, ChildIo, LaunchContext};
use crate::sched::{Event, TaskId};

impl LocalProcesses {
    /// Starts a hook whose input is there, or fails it for the reason why there is none.
    pub(super) fn start_placed_hook(
        &mut self,
        id: TaskId,
        input: Result<HookInput, String>,
        cx: &mut Context,
    ) {
        // It may have been stopped while it waited for its input.
        if self.attempts.get(id).is_none_or(|attempt| attempt.stopping) {
            return;
        }
        let Some(mut attempt) = self.attempts.take(id) else { return };
        let started = match &input {
            Ok(input) => self.start_hook_process(&mut attempt, input),
            Err(why) => Err(StartFailure { code: 126, why: why.clone() }.into()),
        };
        if let Role::Hook(hook) = &mut attempt.role {
            hook.input = input.ok();
        }
        match started {
            Ok(process) => {
                self.attempts.note_process(process.pid, id, ProcessRole::Stage(StageId(0)));
                attempt.lead(process.pid);
                attempt.processes.push(process);
                if attempt.is_drained() {
                    cx.events.push_back(Event::Drained(id));
                }
            }
            Err(unstarted) => {
                attempt.readers.clear();
                attempt.feed = None;
                attempt.mark.take().into_iter().for_each(live_starts::unregister);
                cx.events.push_back(not_started(id, 0, unstarted));
            }
        }
        watch_pipes(&mut attempt, cx);
        self.attempts.insert(attempt);
    }

    /// Returns the input of a hook that could not be started when it was its turn.
    pub(super) fn kept_hook_input(&mut self, id: TaskId, at: HookOn) -> Option<HookInput> {
        match &mut self.attempts.get_mut(id)?.role {
            Role::Hook(hook) if hook.at == at => hook.input.take(),
            _ => None,
        }
    }

    fn start_hook_process(&mut self, attempt: &mut Attempt, input: &HookInput) -> Result<Process, Unstarted> {
        let plan = Arc::clone(&self.plan);
        let job = &plan.jobs[attempt.work.job];
        let work = attempt.work.clone();
        let mut ends = ChildEnds::default();
        let stdin = match input {
            HookInput::File(file) => file.as_raw_fd(),
            HookInput::Bytes(bytes) => {
                let (fd, feed) = feed_bytes(bytes.clone())?;
                attempt.feed = feed;
                ends.keep(fd)
            }
        };
        let Some((run, hook)) = attempt.role.hook().and_then(|run| Some((run, job.hook(run.at)?))) else {
            unreachable!("a hook is placed only where the job has one")
        };
        let mut stdio: [RawFd; 3] = [stdin, 1, 2];
        if job.output != OutputMode::Raw {
            for (fd, lane) in [(1, run.first_lane), (2, run.first_lane + 1)] {
                let (reader, writer) = os_pipe::pipe().map_err(|error| no_pipe(&error))?;
                attempt.readers.push(Some(Reader::of_pipe(reader.into(), vec![lane], fd == 2)));
                stdio[fd] = ends.keep(writer).as_raw_fd();
            }
        }
        attempt.mark = Some(live_starts::register());
        let context = LaunchContext::of(attempt, job, work.scope(attempt.slot));
        let io = ChildIo { stdio, group: start::Group::New, waits: false };
        let pid = self.launch.hook(&context, run.at, &hook.stage, &run.facts, io)?;
        Ok(Process::new(pid))
    }
}
