//! What tasks started beside their own processes: reached by a stop, waited for, and the proof that it has gone.
//!
//! A process may leave its task's group and session, but not what it is known by (see [`crate::os::mark`]), and when
//! its parent ends it becomes prun's child, because prun is a subreaper. So whatever a task left hangs below a child
//! of prun's that prun did not start. This gives a cheap proof: among prun's children is none with the task's mark,
//! not even a zombie, so nothing is left. (A parent that ended while the list was read is still in it, for only this
//! thread reaps.) Only where such a child is to be signalled are all processes of the system looked through, once for
//! all tasks together.
//!
//! What it costs is bounded by time: a look that took long is followed by a longer rest, in which ends of tasks
//! gather. A run in which nothing is stopped, and nothing waited for, never looks.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Instant;

use nix::errno::Errno;
use nix::libc::{SIGCONT, SIGKILL};
use nix::unistd::Pid;

use crate::event::Time;
use crate::os::inherited::inherited;
use crate::os::mark::Mark;
use crate::os::marked::{Marked, mark_of};
use crate::os::{descendants, group, live_starts, proc, process};
use crate::run::attempt::Group;
use crate::run::attempt::table::Attempts;
use crate::sched::TaskId;

/// How often what may end untold is looked at.
const POLL: Time = Time::from_millis(20);
/// After this, SIGKILL to its group has not ended a task's own processes, and others are not waited for them.
const STUCK: Time = Time::from_millis(100);
/// The rest after a look, in times of what that took, and at most.
const REST: u32 = 4;
const LONGEST_REST: Time = Time::from_millis(200);
/// So often in one look, those who were killed are looked for again: they may have started others meanwhile.
const ROUNDS: usize = 8;

/// Attempts, hooks and workers that end only when nothing is left of what they started.
pub struct Descendants {
    /// prun is told of the ends of all that its tasks started.
    told: bool,
    waiting: BTreeMap<TaskId, Waiting>,
    /// Those of them whose own processes have ended.
    ended: BTreeSet<TaskId>,
    /// prun's children that it did not start, and what they are known by.
    adopted: HashMap<Pid, Mark>,
    /// When something is to be looked at, but not in the rest after the last look.
    next: Option<Time>,
    rest_until: Time,
    /// Processes that prun may not signal, which was told.
    untouchable: HashSet<Pid>,
    /// Warnings that are not told yet.
    warnings: Vec<String>,
}

#[derive(Default)]
struct Waiting {
    /// What those get whom the signal to the group did not reach; nothing if they are only waited for.
    signal: Option<i32>,
    /// Since when that is SIGKILL.
    killed: Option<Time>,
    /// Who got it.
    reached: HashSet<Pid>,
}

/// What a look has found.
#[derive(Default)]
struct Look {
    /// Tasks by the numbers of their marks.
    tasks: HashMap<u32, TaskId>,
    /// Tasks in whose groups something lives.
    grouped: BTreeSet<TaskId>,
    /// Tasks of which something was found outside of their groups.
    found: BTreeSet<TaskId>,
    /// Children that may have others below them, but say nothing.
    strangers: bool,
    /// Someone was killed who had not been before.
    killed: bool,
}

impl Descendants {
    /// `told`: prun is the subreaper of its tasks, and hears of the ends of all that they started.
    pub fn new(told: bool) -> Descendants {
        Descendants {
            told,
            waiting: BTreeMap::new(),
            ended: BTreeSet::new(),
            adopted: HashMap::new(),
            next: None,
            rest_until: Time::ZERO,
            untouchable: HashSet::new(),
            warnings: Vec::new(),
        }
    }

    /// When a look is due.
    pub fn due(&self) -> Option<Time> {
        self.next.map(|next| next.max(self.rest_until))
    }

    fn look_at(&mut self, at: Time) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    /// From now on the task ends only when nothing is left. `signal`: what was sent to its group; nothing if others
    /// are only waited for.
    fn wait(&mut self, id: TaskId, signal: Option<i32>, now: Time) {
        let killed = (signal == Some(SIGKILL)).then_some(now);
        self.waiting.insert(id, Waiting { signal, killed, reached: HashSet::new() });
        killed.into_iter().for_each(|killed| self.look_at(killed + STUCK));
    }

    /// The task's own processes have ended.
    pub fn all_exited(&mut self, id: TaskId) {
        if self.waiting.contains_key(&id) {
            self.ended.insert(id);
            self.look_at(Time::ZERO);
        }
    }

    /// A child that prun did not start has ended, and is about to be reaped.
    pub fn reaped(&mut self, pid: Pid) {
        self.adopted.remove(&pid);
        self.untouchable.remove(&pid);
        if !self.ended.is_empty() {
            self.look_at(Time::ZERO);
        }
    }

    /// The attempt is over.
    pub fn forget(&mut self, id: TaskId) {
        self.waiting.remove(&id);
        self.ended.remove(&id);
    }

    /// What a child that prun did not start is known by.
    fn adopt(&mut self, pid: Pid) -> Option<Mark> {
        if let Some(mark) = self.adopted.get(&pid) {
            return Some(*mark);
        }
        let mark = mark_of(pid)?;
        self.adopted.insert(pid, mark);
        Some(mark)
    }

    /// Those that SIGKILL to their group should have ended.
    fn stuck(&self, now: Time) -> impl Iterator<Item = TaskId> {
        let stuck = move |waiting: &Waiting| waiting.killed.is_some_and(|killed| killed + STUCK <= now);
        let waiting =
            self.waiting.iter().filter(move |(id, waiting)| stuck(waiting) && !self.ended.contains(id));
        waiting.map(|(id, _)| *id)
    }

    /// Something of the task's was found that is in its group no more. `is_child`: of prun's, so that the pid is
    /// still its own.
    fn reach(&mut self, id: TaskId, found: &Marked, is_child: bool, look: &mut Look) {
        let Some(Waiting { signal: Some(signal), reached, .. }) = self.waiting.get_mut(&id) else { return };
        let kills = *signal == SIGKILL;
        // A guardian ends by itself. Before SIGKILL, who was not reached by the signal to the group gets it when the
        // group has gone, so that the task's own processes may end what they started.
        let waits = look.grouped.contains(&id) || !self.ended.contains(&id);
        if found.mark.is_guardian() || (!kills && waits) {
            return;
        }
        let first = reached.insert(found.pid);
        if !first && !kills {
            return;
        }
        let send = |signal| match is_child {
            true => process::kill(found.pid, signal),
            false => descendants::signal(found, signal),
        };
        match send(*signal) {
            Ok(()) if kills => look.killed |= first,
            Ok(()) => drop(send(SIGCONT)),
            Err(Errno::EPERM) => self.point_out(found.pid),
            // It has ended meanwhile.
            Err(_) => {}
        }
    }

    fn point_out(&mut self, pid: Pid) {
        if self.untouchable.insert(pid) {
            let name = proc::name(pid).unwrap_or_else(|| "a process".into());
            let why = format!("could not stop {name} ({pid}), which a task started: it runs as another user");
            self.warnings.push(why);
        }
    }

    fn point_out_stray(&mut self, pid: Pid) {
        if proc::is_alive(pid) && self.untouchable.insert(pid) {
            let name = proc::name(pid).unwrap_or_else(|| "a process".into());
            let why = format!(
                "{name} ({pid}) still runs: it has lost what its task was known by, so that prun can't tell whether that \
                 was stopped"
            );
            self.warnings.push(why);
        }
    }

    /// Whether all processes of the system have to be looked through.
    fn must_search(&self, look: &Look, now: Time) -> bool {
        let to_signal = |id: &TaskId| self.waiting.get(id).is_some_and(|waiting| waiting.signal.is_some());
        let strangers = look.strangers && self.ended.iter().any(to_signal);
        !self.told || strangers || look.found.iter().any(to_signal) || self.stuck(now).next().is_some()
    }

    /// What may end without a word is looked at again soon, and so is what starts others while it is killed.
    /// `grouped`: tasks whose groups should have gone before others are signalled.
    fn rest(&mut self, now: Time, took: Time, grouped: &BTreeSet<TaskId>) {
        let silent = |id: &TaskId| match self.waiting[id].signal {
            None => !self.told,
            Some(signal) => !self.told || signal == SIGKILL || grouped.contains(id),
        };
        let polled = self.ended.iter().any(silent) || self.stuck(now).next().is_some();
        let killed = self.waiting.values().filter_map(|waiting| Some(waiting.killed? + STUCK));
        let killed = killed.filter(|at| *at > now).min();
        self.next = [polled.then_some(now + POLL), killed].into_iter().flatten().min();
        self.rest_until = now + (took * REST).min(LONGEST_REST);
    }
}

impl Descendants {
    /// Sends a signal to the attempt's process group, and SIGCONT so that a stopped one gets it. The attempt ends when
    /// nothing is left of what it started.
    pub fn signal(&mut self, attempts: &mut Attempts, id: TaskId, signal: i32, now: Time) {
        let Some(attempt) = attempts.get_mut(id) else { return };
        attempt.signal(signal);
        attempt.signal(SIGCONT);
        attempt.stopping = true;
        self.wait(id, Some(signal), now);
        // All its processes may have been reaped just now, before anybody wanted to stop it.
        if attempt.live() == 0 {
            self.all_exited(id);
        }
    }

    /// The attempt's own processes have ended by themselves; it ends when nothing is left of what they started.
    pub fn await_leftovers(&mut self, attempts: &Attempts, id: TaskId, kill: bool, now: Time) {
        let Some(attempt) = attempts.get(id) else { return };
        let signal = kill.then_some(SIGKILL);
        signal.into_iter().for_each(|signal| attempt.signal(signal));
        self.wait(id, signal, now);
        self.all_exited(id);
    }

    /// Returns the attempts of which nothing is left, if a look is due.
    pub fn look_if_due(&mut self, attempts: &Attempts, now: Time, warnings: &mut Vec<String>) -> Vec<TaskId> {
        if self.due().is_none_or(|due| due > now) {
            return Vec::new();
        }
        let begun = Instant::now();
        let look = self.look(attempts, now);
        let gone: Vec<_> = self.ended.iter().copied().filter(|id| !look.is_alive(*id)).collect();
        gone.iter().for_each(|id| self.forget(*id));
        let took = begun.elapsed();
        self.rest(now + took, took, &look.grouped);
        warnings.append(&mut self.warnings);
        gone
    }

    fn look(&mut self, attempts: &Attempts, now: Time) -> Look {
        let mut look = self.begin_look(attempts);
        for round in 0..ROUNDS {
            look.killed = false;
            self.look_at_children(attempts, &mut look);
            if !self.must_search(&look, now) {
                break;
            }
            for found in descendants::of_run(live_starts::run().mark) {
                self.note(attempts, &found, false, &mut look);
            }
            // A process that moves between two places while they are looked at is found by the second search.
            let unsure = self.ended.iter().any(|id| !look.is_alive(*id));
            if !look.killed && (round > 0 || !unsure) {
                break;
            }
        }
        look
    }

    fn begin_look(&self, attempts: &Attempts) -> Look {
        let mark = |id: &TaskId| Some((attempts.get(*id)?.mark?.number(), *id));
        let group = |id: &TaskId| match &attempts.get(*id)?.group {
            Group::Handle(handle) => Some((*id, handle)),
            Group::Leader(_) | Group::Gone => None,
        };
        Look {
            tasks: self.waiting.keys().filter_map(mark).collect(),
            grouped: group::alive(self.ended.iter().filter_map(group)).into_iter().collect(),
            ..Look::default()
        }
    }

    fn look_at_children(&mut self, attempts: &Attempts, look: &mut Look) {
        look.strangers = false;
        for pid in descendants::children() {
            if attempts.is_own(pid) {
                continue;
            }
            match self.adopt(pid) {
                Some(mark) if mark.run() == live_starts::run().mark => {
                    self.note(attempts, &Marked { pid, mark }, true, look);
                }
                // A child of a prun within a task, or one that has lost its mark.
                _ => look.strangers = true,
            }
        }
    }

    /// Notes a process that carries the mark of an attempt which waits for it. Processes that were let go, and those of
    /// attempts that go on, do not concern this look.
    fn note(&mut self, attempts: &Attempts, found: &Marked, is_child: bool, look: &mut Look) {
        if let Some(&id) = look.tasks.get(&found.mark.number())
            && !attempts.is_own(found.pid)
        {
            look.found.insert(id);
            self.reach(id, found, is_child, look);
        }
    }

    /// Kills what is still there of prun's children after a run that was stopped and whose tasks have all ended, but for
    /// what was let go: it has lost the mark of its task. Returns whether there is something to wait for.
    pub fn clear_away(&mut self, warnings: &mut Vec<String>) -> bool {
        // Children that prun had when it began, and what they start, can't be told apart from what is sought.
        if inherited().children {
            return false;
        }
        let mut left = false;
        for pid in descendants::children() {
            let mark = self.adopt(pid);
            // The guardian of a prun within a task knows which of that one's processes were let go.
            let let_go = |mark: Mark| mark.run() != live_starts::run().mark || !live_starts::is_live(mark);
            // A process that has lost all marks may be of a task that ended by itself, if there was such a task.
            let unsure = mark.is_none() && live_starts::has_disowned();
            if unsure {
                self.point_out_stray(pid);
            }
            if unsure || mark.is_some_and(let_go) || self.untouchable.contains(&pid) {
                continue;
            }
            left = true;
            if !mark.is_some_and(Mark::is_guardian) && process::kill(pid, SIGKILL) == Err(Errno::EPERM) {
                self.point_out(pid);
            }
        }
        warnings.append(&mut self.warnings);
        left
    }
}

impl Look {
    fn is_alive(&self, id: TaskId) -> bool {
        self.grouped.contains(&id) || self.found.contains(&id)
    }
}
