//! Starts hooks, in the place of the task that is over.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use crate::event::{StageId, StartFailure, Usage};
use crate::os::{self, live_starts};
use crate::plan::AtEnd;
use crate::run::actions::hooks::HookInput;
use crate::run::attempt::{Active, Group, Process, Reader};
use crate::run::launch::unstarted::Unstarted;
use crate::run::launch::wiring::{feed, no_pipe};
use crate::run::launch::{Attempt, ChildEnds};
use crate::run::local::Local;
use crate::run::local::ProcessRole;
use crate::run::local::Shared;
use crate::run::local::start::not_started;
use crate::sched::{Event, TaskId};

impl Local {
    /// The task is its hook from now on, although that has no process yet.
    pub fn place_hook(&mut self, active: Active) {
        let place = active.id.place;
        self.actives.insert(place, active);
    }

    /// Its input is there, or it is known why there is none.
    pub fn start_hook(&mut self, id: TaskId, input: Result<HookInput, String>, shared: &mut Shared) {
        let place = id.place;
        // It may have been stopped while it waited for its input.
        if self.get(id).is_none_or(|active| active.stopping) {
            return;
        }
        let Some(mut active) = self.actives.take(place) else { return };
        let started = match &input {
            Ok(input) => self.start_hook_process(&mut active, input),
            Err(why) => Err(StartFailure { code: 126, why: why.clone() }.into()),
        };
        if let Some(hooked) = &mut active.hook {
            let follows = hooked.at != AtEnd::Exit && self.plan.jobs[active.work.job].on_exit.is_some();
            hooked.input = input.ok().filter(|_| follows || started.is_err());
        }
        match started {
            Ok(process) => {
                self.pids.insert(process.pid, (id, ProcessRole::Stage(StageId(0))));
                active.group = Group::Leader(process.pid);
                active.processes.push(process);
                if active.is_drained() {
                    shared.events.push_back(Event::Drained(id));
                }
            }
            Err(unstarted) => {
                active.readers.clear();
                active.feed = None;
                active.mark.take().into_iter().for_each(live_starts::strike);
                shared.events.push_back(not_started(id, 0, unstarted));
            }
        }
        self.watch(&active, shared);
        self.actives.insert(place, active);
    }

    /// The hook could not be started when it was its turn: what it reads was kept.
    pub fn hook_input(&mut self, id: TaskId, at: AtEnd) -> Option<HookInput> {
        self.get_mut(id)?.hook.as_mut().filter(|hooked| hooked.at == at)?.input.take()
    }

    fn start_hook_process(&mut self, active: &mut Active, input: &HookInput) -> Result<Process, Unstarted> {
        let plan = Arc::clone(&self.plan);
        let job = &plan.jobs[active.work.job];
        let work = active.work.clone();
        let Some((hooked, hook)) =
            active.hook.as_ref().and_then(|hooked| Some((hooked, job.hook(hooked.at)?)))
        else {
            unreachable!("a hook is begun only where there is one")
        };
        // What is prepared for it has its place behind the job's stages.
        let at = job.stages.len() + hooked.at as usize;
        let mut ends = ChildEnds::default();
        let stdin = match input {
            HookInput::File(file) => file.as_raw_fd(),
            HookInput::Bytes(bytes) => {
                let (fd, feed) = feed(bytes)?;
                active.feed = feed;
                ends.keep(fd)
            }
        };
        let mut stdio: [RawFd; 3] = [stdin, 1, 2];
        if job.output != crate::plan::OutputMode::Raw {
            for (at, is_stderr) in [(1, false), (2, true)] {
                let (reader, writer) = os_pipe::pipe().map_err(|error| no_pipe(&error))?;
                let lanes = vec![hooked.first_lane + usize::from(is_stderr)];
                active.readers.push(Some(Reader {
                    fd: reader.into(),
                    lanes,
                    tap: None,
                    is_stderr,
                    full: 0,
                    is_terminal: false,
                }));
                stdio[at] = ends.keep(writer).as_raw_fd();
            }
        }
        active.mark = Some(os::live_starts::enter());
        let attempt = Attempt {
            job,
            job_id: work.job,
            number: active.attempt,
            mark: active.mark,
            scope: work.scope(active.slot),
        };
        let pid =
            self.launch.command(&attempt, at, &hook.stage, &hooked.facts, stdio, os::start::Group::New)?;
        Ok(Process { pid, exit: None, usage: Usage::default() })
    }
}
