//! Starts children, without waiting until they have executed their programs.
//!
//! Both strategies are one call of `clone` and one function in the child (see `child`). With `spawn` the child runs in
//! prun's memory until it executes, as after vfork(2); but prun's thread goes on meanwhile, because the child has a
//! stack of its own, makes its system calls without the C library's errno, and is given only what the launcher keeps
//! unchanged until it is out of prun's memory. So a start costs the loop one system call, whatever the program and the
//! disk that it is on, and its pid is known at once.
//!
//! A start that fails after that leaves its step and its errno in memory that both share, and exits with 127. prun looks
//! there when the child has ended ([`Launcher::ended`]). A start that succeeds is not told: nobody has to be woken up
//! for it. Who has to know at once sets [`Order::waits`], and the thread is blocked as by vfork(2).
//!
//! Rejected: threads that call vfork(2), and report. They cost two wake-ups a start, a stop has to wait for a pid, and the
//! parent-death signal (PR_SET_PDEATHSIG) is that of a thread.

use std::cell::OnceCell;
use std::ffi::CStr;
use std::rc::Rc;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::unistd::Pid;

use super::inherited::inherited;
use super::mark::Mark;
use super::{guardian_pid, limits, live_starts, process, signals};
use child::Child;
use memory::Memory;

pub use order::{Attributes, Failed, Group, Order, StartError, Step, Strategy};

mod child;
mod clone;
mod memory;
mod order;
mod syscall;

/// Starts under way for each processor from which on more would only make each of them slower.
const CROWD: usize = 2;

/// Starts children, one at a time. Create it after prun has raised its limits: children get the inherited
/// values of what was changed.
pub struct Launcher {
    state: Rc<ChildState>,
    /// prun's own pid.
    parent: libc::pid_t,
    /// Starts whose child may not have executed yet, or has failed to.
    under_way: Vec<Start>,
    /// Orders and stacks that can be used again.
    #[expect(clippy::vec_box, reason = "an order is large, and handed from one owner to the next")]
    spare: Vec<Box<Order>>,
    stacks: Vec<Memory>,
    /// Starts under way from which on [`Launcher::is_crowded`] holds, once that was asked.
    crowd: OnceCell<usize>,
}

struct Start {
    pid: Pid,
    order: Box<Order>,
    memory: Memory,
}

/// The state of prun's own that children do not get.
struct ChildState {
    /// Signals whose disposition prun has changed, and whether each was ignored before.
    dispositions: Vec<(i32, bool)>,
    /// The signals that are blocked in children.
    mask: SigSet,
    files: Option<libc::rlimit>,
}

impl Start {
    /// True until the child is out of prun's memory.
    fn is_under_way(&self) -> bool {
        self.order.strategy == Strategy::Spawn && self.memory.is_occupied()
    }

    /// True if the order is not used by the child any more, and there is nothing to be learned from it. A copy of
    /// prun does not tell when it executes: its order is kept until it ends.
    fn is_over(&self) -> bool {
        self.order.strategy == Strategy::Spawn && !self.is_under_way() && self.memory.failure().is_none()
    }
}

impl Launcher {
    pub fn new() -> nix::Result<Launcher> {
        let (soft, hard) = inherited().nofile;
        let files = (limits::nofile().0 != soft).then_some(libc::rlimit { rlim_cur: soft, rlim_max: hard });
        Ok(Launcher {
            state: Rc::new(ChildState { dispositions: dispositions(), mask: mask(), files }),
            parent: nix::unistd::getpid().as_raw(),
            under_way: Vec::new(),
            spare: Vec::new(),
            // Made now, because later there may be no memory for it.
            stacks: vec![Memory::new()?],
            crowd: OnceCell::new(),
        })
    }

    /// Returns an order to be filled in. What an earlier start was given is still there.
    pub fn spare_order(&mut self) -> Box<Order> {
        self.sort_out();
        self.spare.pop().unwrap_or_default()
    }

    /// True while so many starts are under way that more would only make each of them slower.
    pub fn is_crowded(&self) -> bool {
        let under_way = || self.under_way.iter().filter(|start| start.is_under_way()).count();
        self.under_way.len() >= CROWD && under_way() >= *self.crowd.get_or_init(|| CROWD * limits::cpus())
    }

    /// Starts a child and returns its pid.
    ///
    /// # Errors
    /// No child could be made; or, if the order waits, the child could not execute its program. Then it was reaped.
    pub fn start(&mut self, mut order: Box<Order>) -> Result<Pid, Failed> {
        let failed = |order, step, errno| Err(Failed { error: StartError { step, errno }, order });
        if order.argv.is_empty() {
            return failed(order, Step::Execute, Errno::EINVAL);
        }
        if order.mark.is_some() {
            live_starts::block_if_aborting();
            guardian_pid::wait_until_ready();
        }
        let mut memory = match self.stacks.pop().map_or_else(Memory::new, Ok) {
            Ok(memory) => memory,
            Err(errno) => return failed(order, Step::Clone, errno),
        };
        if let Group::Join(leader) = order.group {
            // The leader does the same, but maybe later than the child that joins its group. If it was first, and has
            // executed, the call fails without harm.
            let _ = nix::unistd::setpgid(leader, leader);
        }
        let child = memory.occupy(self.child(&mut order, &memory));
        let made = with_signals_blocked(|| clone::make(&order, child, &memory));
        if let Ok(made) = made
            && !made.waited
        {
            if let Group::Join(leader) = order.group {
                // The child does the same, but the leader may be reaped before that.
                let _ = nix::unistd::setpgid(made.pid, leader);
            }
            self.under_way.push(Start { pid: made.pid, order, memory });
            return Ok(made.pid);
        }
        memory.vacate();
        let failure = memory.failure().take();
        self.stacks.push(memory);
        match (made, failure) {
            (Err(errno), _) => failed(order, Step::Clone, errno),
            (Ok(made), None) => {
                self.spare.push(order);
                Ok(made.pid)
            }
            (Ok(made), Some(error)) => {
                process::reap(made.pid);
                Err(Failed { error, order })
            }
        }
    }

    /// Notes that a child has ended, whoever started it. Returns why its program was not executed, if that is so.
    pub fn ended(&mut self, pid: Pid) -> Option<Failed> {
        let at = self.under_way.iter().position(|start| start.pid == pid)?;
        let Start { order, memory, .. } = self.under_way.swap_remove(at);
        let failure = memory.failure().take();
        self.stacks.push(memory);
        match failure {
            Some(error) => Some(Failed { error, order }),
            None => {
                self.spare.push(order);
                None
            }
        }
    }

    /// Takes back the orders of starts that are over.
    fn sort_out(&mut self) {
        for start in self.under_way.extract_if(.., |start| start.is_over()) {
            self.spare.push(start.order);
            self.stacks.push(start.memory);
        }
    }

    fn child(&self, order: &mut Order, memory: &Memory) -> Child {
        Child {
            path: order.path.as_ptr(),
            argv: order.argv.pointers().as_mut_ptr(),
            env: order.env.pointers().as_ptr(),
            cwd: order.cwd.as_deref().map_or(std::ptr::null(), CStr::as_ptr),
            stdio: order.stdio,
            parent: self.parent,
            mark: order.mark.map(Mark::limit),
            group: match order.group {
                Group::New | Group::Foreground(_) => Some(0),
                Group::Join(leader) => Some(leader.as_raw()),
                Group::Terminal(_) => None,
            },
            terminal: match order.group {
                Group::Terminal(terminal) => Some(terminal),
                Group::New | Group::Join(_) | Group::Foreground(_) => None,
            },
            foreground: match order.group {
                Group::Foreground(terminal) => Some(terminal),
                Group::New | Group::Join(_) | Group::Terminal(_) => None,
            },
            dispositions: &raw const *self.state.dispositions,
            stop_ignored: inherited().ignored.contains(libc::SIGTSTP),
            files: order.attributes.files.or(self.state.files),
            attributes: Rc::as_ptr(&order.attributes),
            mask: &raw const *self.state.mask.as_ref(),
            failure: &raw const *memory.failure(),
        }
    }
}

impl Drop for Launcher {
    /// Leaves to children what they still use.
    fn drop(&mut self) {
        for start in self.under_way.extract_if(.., |start| start.is_under_way()) {
            std::mem::forget((start, Rc::clone(&self.state)));
        }
    }
}

/// Returns the signals whose disposition is set in children, and whether they are ignored there: as prun found them, but
/// for SIGPIPE. systemd, Python and Node ignore it in what they start, and with it ignored `yes | head -1` fails.
fn dispositions() -> Vec<(i32, bool)> {
    let ignored = |signal: i32| signal != libc::SIGPIPE && inherited().ignored.contains(signal);
    signals::CHANGED.iter().map(|&signal| (signal, ignored(signal))).collect()
}

/// Returns the signal mask of children: the one that prun was given, without SIGPIPE.
fn mask() -> SigSet {
    let mut mask = inherited().mask;
    mask.remove(Signal::SIGPIPE);
    mask
}

/// Runs a function with all signals blocked. A handler that runs in the child would use prun's memory.
fn with_signals_blocked<T>(run: impl FnOnce() -> nix::Result<T>) -> nix::Result<T> {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let result = run();
    before.thread_set_mask()?;
    result
}
