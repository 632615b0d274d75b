//! Descendants of tasks beyond their own processes: how a stop reaches them, how they are waited for, and the proof that
//! none is left.
//!
//! [`Descendants`] owns what is known of attempts, hooks and workers that end only when nothing of them is left. In come
//! stops, and the ends of processes; out go signals, and the ids of attempts of which nothing is left.
//!
//! A process may leave its task's group and session, but it keeps its mark (see [`crate::os::mark`]), and when its
//! parent ends it becomes prun's child, because prun is a subreaper. So every leftover of a task is, or descends from, a
//! child of prun that prun did not start. This gives a cheap proof: if no child of prun has the task's mark, not even a
//! zombie, nothing is left. (A parent that ended while the list was read is still in it, for only this thread reaps.)
//! All processes of the system are searched only where such a child is to be signalled, once for all tasks together.
//!
//! The order that matters: the process group is signalled first, so that the task's own processes may end what they
//! started. Processes outside of the group get the stop signal, once, by a [`sweep`] when the task's own processes have
//! ended, or after [`BEYOND`]: at once it would reach programs twice whose parent forwards it, and later it would be too
//! late for those whose parent waits for them. SIGKILL reaches them when the group has gone, or when SIGKILL to it has
//! not ended the task's own processes within [`STUCK`].
//!
//! The cost is bounded by time: a search that took long is followed by a longer pause, in which ends of tasks gather. A
//! run in which nothing is stopped, and nothing waited for, never searches.

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
use crate::plan::StopScope;
use crate::run::attempt::Group;
use crate::run::attempt::table::Attempts;
use crate::sched::TaskId;

mod sweep;

use sweep::Sweep;

/// The interval at which processes are polled of whose end the kernel tells prun nothing.
const POLL: Time = Time::from_millis(20);
/// The time after which processes outside of the group get the stop signal, although the task's own ones still run.
const BEYOND: Time = Time::from_secs(1);
/// The time after which a task's own processes count as stuck, if SIGKILL to their group has not ended them. Then other
/// processes are signalled without waiting for the group.
const STUCK: Time = Time::from_millis(100);
/// The pause after a search: a multiple of its duration, and at most so long.
const PAUSE_FACTOR: u32 = 4;
const LONGEST_PAUSE: Time = Time::from_millis(200);
/// Passes of one search, at most. After processes were killed another pass follows, because they may have started others
/// meanwhile.
const PASSES: usize = 8;

/// Attempts, hooks and workers that end only when nothing is left of what they started.
pub struct Descendants {
    /// True if prun is a subreaper, so that it is told of the end of every descendant of its tasks.
    is_subreaper: bool,
    waiting: BTreeMap<TaskId, Waiting>,
    /// Those of `waiting` whose own processes have ended.
    ended: BTreeSet<TaskId>,
    /// prun's children that it did not start, and their marks.
    adopted: HashMap<Pid, Mark>,
    /// When the next search is wanted. It takes place after the pause that follows the last one.
    next: Option<Time>,
    pause_until: Time,
    sweep: Sweep,
    /// When the next sweep is wanted.
    sweep_at: Option<Time>,
    /// Processes that prun may not signal, and that people were warned of.
    untouchable: HashSet<Pid>,
    /// Warnings for people that are still to be reported.
    warnings: Vec<String>,
}

/// An attempt that ends only when nothing of it is left.
#[derive(Default)]
struct Waiting {
    /// The signal for processes outside of the group; `None` if they are only waited for.
    signal: Option<i32>,
    /// When a sweep sends it to those that did not get it. SIGKILL is sent by searches.
    sweep_at: Option<Time>,
    /// Since when the signal is SIGKILL.
    killed_at: Option<Time>,
    /// Processes outside of the group that got the signal.
    signalled: HashSet<Pid>,
    /// True if only the process group is waited for.
    group_alone: bool,
}

/// The results of a search.
#[derive(Default)]
struct Search {
    at: Time,
    /// The waiting tasks, by the numbers of their marks.
    tasks: HashMap<u32, TaskId>,
    /// Tasks in whose process groups something lives.
    grouped: BTreeSet<TaskId>,
    /// Tasks of which something was found outside of their groups.
    found: BTreeSet<TaskId>,
    /// True if there are children without a mark of this run, which may have marked descendants.
    strangers: bool,
    /// True if a process was killed in this pass that had not been before.
    killed: bool,
}

impl Descendants {
    /// `is_subreaper` tells whether prun is the subreaper of its tasks, and so hears of the ends of all that they
    /// started.
    pub fn new(is_subreaper: bool) -> Descendants {
        Descendants {
            is_subreaper,
            waiting: BTreeMap::new(),
            ended: BTreeSet::new(),
            adopted: HashMap::new(),
            next: None,
            pause_until: Time::ZERO,
            sweep: Sweep::default(),
            sweep_at: None,
            untouchable: HashSet::new(),
            warnings: Vec::new(),
        }
    }

    /// Returns when a search or a sweep is due.
    pub fn due(&self) -> Option<Time> {
        let sweep = if self.sweep.is_running() { self.sweep.due() } else { self.sweep_at };
        [self.search_due(), sweep].into_iter().flatten().min()
    }

    fn search_due(&self) -> Option<Time> {
        self.next.map(|next| next.max(self.pause_until))
    }

    fn search_at(&mut self, at: Time) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    /// Lets the task end only when nothing of it is left. `signal` is the one that its group got; `None` if its
    /// descendants are only waited for.
    fn wait(&mut self, id: TaskId, signal: Option<i32>, now: Time) {
        let killed_at = (signal == Some(SIGKILL)).then_some(now);
        self.waiting.insert(id, Waiting { signal, killed_at, ..Waiting::default() });
        if signal.is_some() && killed_at.is_none() {
            self.want_sweep(id, now + BEYOND);
        }
        killed_at.into_iter().for_each(|at| self.search_at(at + STUCK));
    }

    /// Notes that the task's own processes have ended.
    pub fn all_exited(&mut self, id: TaskId) {
        if let Some(waiting) = self.waiting.get(&id) {
            if waiting.sweep_at.is_some() {
                self.want_sweep(id, Time::ZERO);
            }
            self.ended.insert(id);
            self.search_at(Time::ZERO);
        }
    }

    fn want_sweep(&mut self, id: TaskId, at: Time) {
        if let Some(waiting) = self.waiting.get_mut(&id) {
            waiting.sweep_at = Some(at);
            self.sweep_at = Some(self.sweep_at.map_or(at, |before| before.min(at)));
        }
    }

    /// Notes that a child that prun did not start has ended, and is about to be reaped.
    pub fn reaped(&mut self, pid: Pid) {
        self.adopted.remove(&pid);
        self.untouchable.remove(&pid);
        if !self.ended.is_empty() {
            self.search_at(Time::ZERO);
        }
    }

    /// Forgets an attempt that is over.
    pub fn forget(&mut self, id: TaskId) {
        self.waiting.remove(&id);
        self.ended.remove(&id);
    }

    /// Returns the mark of a child that prun did not start.
    fn adopt(&mut self, pid: Pid) -> Option<Mark> {
        if let Some(mark) = self.adopted.get(&pid) {
            return Some(*mark);
        }
        let mark = mark_of(pid)?;
        self.adopted.insert(pid, mark);
        Some(mark)
    }

    /// Returns the tasks whose own processes SIGKILL to their group should have ended.
    fn stuck(&self, now: Time) -> impl Iterator<Item = TaskId> {
        let stuck = move |waiting: &Waiting| waiting.killed_at.is_some_and(|at| at + STUCK <= now);
        let waiting =
            self.waiting.iter().filter(move |(id, waiting)| stuck(waiting) && !self.ended.contains(id));
        waiting.map(|(id, _)| *id)
    }

    /// Kills a process of the task that was found beside its own ones, if the task is to be killed. With `is_child`, it is a child of prun, so
    /// that its pid can't be another's.
    fn kill_found(&mut self, id: TaskId, found: &Marked, is_child: bool, search: &mut Search) {
        let Some(Waiting { signal: Some(SIGKILL), signalled, .. }) = self.waiting.get_mut(&id) else {
            return;
        };
        // A guardian ends by itself.
        if found.mark.is_guardian() {
            return;
        }
        let first = signalled.insert(found.pid);
        let killed = match is_child {
            true => process::kill(found.pid, SIGKILL),
            false => descendants::signal(found, SIGKILL),
        };
        match killed {
            Ok(()) => search.killed |= first,
            Err(Errno::EPERM) => self.warn_of_untouchable(found.pid),
            // The process has ended meanwhile.
            Err(_) => {}
        }
    }

    fn warn_of_untouchable(&mut self, pid: Pid) {
        if self.untouchable.insert(pid) {
            let name = proc::name(pid).unwrap_or_else(|| "a process".into());
            let why = format!("could not stop {name} ({pid}), which a task started: it runs as another user");
            self.warnings.push(why);
        }
    }

    fn warn_of_unmarked(&mut self, pid: Pid) {
        if proc::is_alive(pid) && self.untouchable.insert(pid) {
            let name = proc::name(pid).unwrap_or_else(|| "a process".into());
            let why = format!(
                "{name} ({pid}) still runs: it has lost what its task was known by, so that prun can't tell whether that \
                 was stopped"
            );
            self.warnings.push(why);
        }
    }

    /// True if prun's children are not enough, and all processes of the system have to be searched.
    fn must_search_all(&self, search: &Search, now: Time) -> bool {
        let is_stopped = |id: &TaskId| self.waiting.get(id).is_some_and(|waiting| waiting.signal.is_some());
        let is_killed = |id: &TaskId| self.waiting.get(id).is_some_and(|waiting| waiting.killed_at.is_some());
        let strangers = search.strangers && self.ended.iter().any(is_stopped);
        !self.is_subreaper
            || strangers
            || search.found.iter().any(is_killed)
            || self.stuck(now).next().is_some()
    }

    /// Schedules the next search. Tasks are polled if they may end without a report to prun, or may start other
    /// processes while they are killed. `grouped` are tasks whose groups have to go before others are signalled.
    fn schedule(&mut self, now: Time, took: Time, grouped: &BTreeSet<TaskId>) {
        let is_polled = |id: &TaskId| match self.waiting[id].signal {
            None => !self.is_subreaper || self.waiting[id].group_alone && grouped.contains(id),
            Some(signal) => !self.is_subreaper || signal == SIGKILL || grouped.contains(id),
        };
        let polled = self.ended.iter().any(is_polled) || self.stuck(now).next().is_some();
        let stuck_at = self.waiting.values().filter_map(|waiting| Some(waiting.killed_at? + STUCK));
        let stuck_at = stuck_at.filter(|at| *at > now).min();
        self.next = [polled.then_some(now + POLL), stuck_at].into_iter().flatten().min();
        self.pause_until = now + (took * PAUSE_FACTOR).min(LONGEST_PAUSE);
    }

    /// Sends a signal to the attempt, as far as `scope` reaches, and SIGCONT so that a stopped process gets it. SIGKILL
    /// reaches everything. The attempt ends when nothing is left of what it started.
    pub fn signal(&mut self, attempts: &mut Attempts, id: TaskId, signal: i32, scope: StopScope, now: Time) {
        let Some(attempt) = attempts.get_mut(id) else { return };
        let scope = if signal == SIGKILL { StopScope::Tree } else { scope };
        for signal in [signal, SIGCONT] {
            // Without its own processes, the task is what they have left.
            match scope {
                StopScope::Process if attempt.live() > 0 => attempt.signal_processes(signal),
                StopScope::Process | StopScope::Group | StopScope::Tree => attempt.signal(signal),
            }
        }
        attempt.stopping = true;
        self.wait(id, (scope == StopScope::Tree).then_some(signal), now);
        // All its processes may have been reaped before anybody wanted to stop it.
        if attempt.live() == 0 {
            self.all_exited(id);
        }
    }

    /// Lets an attempt whose own processes have ended by themselves end when nothing is left of what they started. With
    /// `kill`, sends SIGKILL to that.
    pub fn await_leftovers(&mut self, attempts: &Attempts, id: TaskId, kill: bool, now: Time) {
        let Some(attempt) = attempts.get(id) else { return };
        let signal = kill.then_some(SIGKILL);
        signal.into_iter().for_each(|signal| attempt.signal(signal));
        self.wait(id, signal, now);
        self.all_exited(id);
    }

    /// Sends a signal to what an attempt whose own processes have ended left in its process group. Returns true if
    /// nothing is there; otherwise [`Descendants::poll`] tells when that is so. Processes in other groups are left alone.
    pub fn clear_group(&mut self, attempts: &Attempts, id: TaskId, signal: i32) -> bool {
        let group = attempts.get(id).map(|attempt| &attempt.group);
        // An error: nothing is there, or nothing that prun may signal.
        let Some(Group::Handle(group)) = group.filter(|group| match group {
            Group::Handle(group) => group.signal(signal).is_ok(),
            Group::Leader(_) | Group::Gone => false,
        }) else {
            self.forget(id);
            return true;
        };
        let _ = group.signal(SIGCONT);
        self.waiting.insert(id, Waiting { group_alone: true, ..Waiting::default() });
        self.ended.insert(id);
        self.search_at(Time::ZERO);
        false
    }

    /// Returns the processes that an attempt left running, as far as they are prun's children by now.
    pub fn left_by(&mut self, attempts: &Attempts, mark: Mark) -> Vec<(Pid, String)> {
        let children = descendants::children().into_iter().filter(|pid| !attempts.is_own(*pid));
        let left: Vec<_> =
            children.filter(|pid| self.adopt(*pid) == Some(mark) && proc::is_alive(*pid)).collect();
        left.into_iter().filter_map(|pid| Some((pid, proc::name(pid)?))).collect()
    }

    /// Sweeps and searches, if that is due. Returns the attempts of which nothing is left.
    pub fn poll(&mut self, attempts: &Attempts, now: Time, warnings: &mut Vec<String>) -> Vec<TaskId> {
        self.sweep_if_due(attempts, now);
        let gone = self.search_if_due(attempts, now);
        warnings.append(&mut self.warnings);
        gone
    }

    fn search_if_due(&mut self, attempts: &Attempts, now: Time) -> Vec<TaskId> {
        if self.search_due().is_none_or(|due| due > now) {
            return Vec::new();
        }
        let begun = Instant::now();
        let search = self.search(attempts, now);
        let gone: Vec<_> = self.ended.iter().copied().filter(|id| !search.is_alive(*id)).collect();
        gone.iter().for_each(|id| self.forget(*id));
        let took = begun.elapsed();
        self.schedule(now + took, took, &search.grouped);
        gone
    }

    fn search(&mut self, attempts: &Attempts, now: Time) -> Search {
        let mut search = self.begin_search(attempts, now);
        for pass in 0..PASSES {
            search.killed = false;
            self.search_children(attempts, &mut search);
            if !self.must_search_all(&search, now) {
                break;
            }
            for found in descendants::of_run(live_starts::run().mark) {
                self.note(attempts, &found, false, &mut search);
            }
            // A process that moves between two places while they are searched is found by the second pass.
            let unsure = self.ended.iter().any(|id| !search.is_alive(*id));
            if !search.killed && (pass > 0 || !unsure) {
                break;
            }
        }
        search
    }

    fn begin_search(&self, attempts: &Attempts, now: Time) -> Search {
        let mark = |id: &TaskId| Some((attempts.get(*id)?.mark?.number(), *id));
        let group = |id: &TaskId| match &attempts.get(*id)?.group {
            Group::Handle(handle) => Some((*id, handle)),
            Group::Leader(_) | Group::Gone => None,
        };
        let beyond = self.waiting.iter().filter(|(_, waiting)| !waiting.group_alone).map(|(id, _)| id);
        Search {
            at: now,
            tasks: beyond.filter_map(mark).collect(),
            grouped: group::alive(self.ended.iter().filter_map(group)).into_iter().collect(),
            ..Search::default()
        }
    }

    fn search_children(&mut self, attempts: &Attempts, search: &mut Search) {
        search.strangers = false;
        for pid in descendants::children() {
            if attempts.is_own(pid) {
                continue;
            }
            match self.adopt(pid) {
                Some(mark) if mark.run() == live_starts::run().mark => {
                    self.note(attempts, &Marked { pid, mark }, true, search);
                }
                // A child of a prun within a task, or one that has lost its mark.
                _ => search.strangers = true,
            }
        }
    }

    /// Notes a process that carries the mark of an attempt which waits for it. Processes that were let go, and those of
    /// attempts that go on, do not concern this search.
    fn note(&mut self, attempts: &Attempts, found: &Marked, is_child: bool, search: &mut Search) {
        if let Some(&id) = search.tasks.get(&found.mark.number())
            && !attempts.is_own(found.pid)
        {
            search.found.insert(id);
            self.kill_found(id, found, is_child, search);
            self.sweep_for(attempts, id, found, search.at);
        }
    }

    /// Kills the children that prun still has after a run that was stopped and whose tasks have all ended: they have lost
    /// the mark of their task. Processes that were let go are left alone. Returns whether there is something to wait for.
    pub fn clear_away(&mut self, warnings: &mut Vec<String>) -> bool {
        // Children that prun had when it began, and their descendants, can't be told apart from those of tasks.
        if inherited().children {
            return false;
        }
        let mut left = false;
        for pid in descendants::children() {
            let mark = self.adopt(pid);
            // The guardian of a prun within a task knows which processes of that prun were let go.
            let let_go = |mark: Mark| mark.run() != live_starts::run().mark || !live_starts::is_live(mark);
            // A process without any mark may come from a task that ended by itself, if there was such a task.
            let unsure = mark.is_none() && live_starts::has_disowned();
            if unsure {
                self.warn_of_unmarked(pid);
            }
            if unsure || mark.is_some_and(let_go) || self.untouchable.contains(&pid) {
                continue;
            }
            left = true;
            if !mark.is_some_and(Mark::is_guardian) && process::kill(pid, SIGKILL) == Err(Errno::EPERM) {
                self.warn_of_untouchable(pid);
            }
        }
        warnings.append(&mut self.warnings);
        left
    }
}

impl Search {
    /// True if something of the task was found.
    fn is_alive(&self, id: TaskId) -> bool {
        self.grouped.contains(&id) || self.found.contains(&id)
    }
}
