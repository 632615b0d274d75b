//! How processes start: arguments, environment, working directory, descriptors, and the pipes between stages.
//!
//! [`Launch`] owns the prepared commands of jobs: everything that does not differ from task to task is made once, at the
//! first start of a stage, hook or probe. [`Wiring`](wiring::Wiring) owns the descriptors and files that tasks share.
//! A task's scope and its descriptors come in; out go a pid, or an [`Unstarted`], which says whether the failure is the
//! command's own or a shortage that passes. The room starts single processes. The order of an attempt's stages, and
//! what is done when one of them can't be started, is the caller's business.
//!
//! - [`files`]: files that an attempt reads and writes are opened
//! - [`wiring`]: what tasks share; [`stdin`]: where standard input comes from; [`target`]: where output goes
//! - [`stdio`]: the descriptors of one attempt while its stages start; [`pty`]: a terminal of its own
//! - [`attributes`]: resource limits, nice value, umask, environment; [`env_file`]: variables from files
//! - [`unstarted`]: why a process was not started
//!
//! The order that matters is that of the environment: inherited variables, the jobserver's, those of `env_file`, those
//! of `env`, and last the `PRUN_…` variables, so that nothing takes the place of those that prun knows its tasks by.

pub mod attributes;
pub mod env_file;
pub mod files;
mod program;
pub mod pty;
pub mod stdin;
pub mod stdio;
pub mod target;
pub mod unstarted;
pub mod wiring;

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use nix::unistd::Pid;

use crate::event::{JobId, StageId, StartFailure};
use crate::os::env::{Env, Variables};
use crate::os::jobserver::Server;
use crate::os::mark::Mark;
use crate::os::start::{Attributes, Group, Launcher};
use crate::plan::template::Scope;
use crate::plan::{HookOn, Job, Stage, lock_variable};
use crate::run::attempt::Attempt;
use crate::run::task::path_of;
use program::{explain, start};
use unstarted::Unstarted;

/// A `PRUN_ITEM` longer than this, in bytes, is left out: it could keep a command from starting that needs its room for
/// arguments.
const LONGEST_ITEM_VARIABLE: usize = 32 << 10;

/// A command of a job: one of its stages, hooks, or the probe that looks whether it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum CommandId {
    Stage(StageId),
    Hook(HookOn),
    Probe,
}

/// The parts of a command that all its starts have in common.
struct PreparedCommand {
    env: Env,
    setup: Rc<Attributes>,
}

/// The variables that lead to prun's own jobserver.
struct JobserverVariables {
    /// `MAKEFLAGS`, added to the value that prun inherited.
    added_make_flags: Vec<u8>,
    /// `MAKEFLAGS` for an environment that inherits nothing.
    make_flags: Vec<u8>,
    /// `CARGO_MAKEFLAGS`.
    cargo_make_flags: Vec<u8>,
}

/// Starts processes.
pub struct Launch {
    launcher: Launcher,
    prepared: HashMap<(JobId, CommandId), PreparedCommand>,
    run_id: String,
    /// prun's own working directory; a child that is to run there needs no change of it.
    here: PathBuf,
    jobserver: Option<JobserverVariables>,
    scratch: Vec<u8>,
    /// Variables for the hooks of the run.
    pub facts: Option<Arc<[(&'static str, String)]>>,
}

/// The attempt that a process is started for, as the process will know it.
pub struct LaunchContext<'a> {
    pub job: &'a Job,
    pub job_id: JobId,
    /// The number of the attempt; `None` for a worker, which works on no task yet.
    number: Option<u32>,
    /// The mark that its processes carry.
    mark: Option<Mark>,
    pub scope: Scope<'a>,
}

impl<'a> LaunchContext<'a> {
    pub fn of(attempt: &Attempt, job: &'a Job, scope: Scope<'a>) -> LaunchContext<'a> {
        let number = (!attempt.role.is_worker()).then(|| attempt.role.attempts());
        LaunchContext { job, job_id: attempt.work.job, number, mark: attempt.mark, scope }
    }
}

/// A new process as its parent arranges it.
#[derive(Debug, Clone, Copy)]
pub struct ChildIo {
    /// The descriptors that become 0, 1 and 2 of the process.
    pub stdio: [RawFd; 3],
    pub group: Group,
    /// True if the caller has to know at once whether the program was executed.
    pub waits: bool,
}

impl Launch {
    /// `jobserver` is prun's own, which everything that is started finds in its environment.
    ///
    /// # Errors
    /// When there is no memory for the stack of children.
    pub fn new(run_id: String, jobserver: Option<&Server>) -> nix::Result<Launch> {
        Ok(Launch {
            launcher: Launcher::new()?,
            prepared: HashMap::new(),
            run_id,
            here: std::env::current_dir().unwrap_or_default(),
            jobserver: jobserver.map(JobserverVariables::new),
            scratch: Vec::new(),
            facts: None,
        })
    }

    /// Starts one stage.
    pub fn stage(&mut self, context: &LaunchContext, id: StageId, io: ChildIo) -> Result<Pid, Unstarted> {
        let facts = context.job.run_hook().and_then(|_| self.facts.clone());
        let facts = facts.as_deref().unwrap_or_default();
        self.command(context, CommandId::Stage(id), &context.job.stages[id], facts, io)
    }

    /// Starts a hook of the job. `facts` are variables of its own.
    pub fn hook(
        &mut self,
        context: &LaunchContext,
        at: HookOn,
        stage: &Stage,
        facts: &[(&'static str, String)],
        io: ChildIo,
    ) -> Result<Pid, Unstarted> {
        self.command(context, CommandId::Hook(at), stage, facts, io)
    }

    /// Starts the command that looks whether the task is ready. `facts` are variables of its own.
    pub fn probe(
        &mut self,
        context: &LaunchContext,
        stage: &Stage,
        facts: &[(&'static str, String)],
        io: ChildIo,
    ) -> Result<Pid, Unstarted> {
        self.command(context, CommandId::Probe, stage, facts, io)
    }

    fn command(
        &mut self,
        context: &LaunchContext,
        id: CommandId,
        stage: &Stage,
        facts: &[(&'static str, String)],
        io: ChildIo,
    ) -> Result<Pid, Unstarted> {
        let key = (context.job_id, id);
        if !self.prepared.contains_key(&key) {
            let prepared = self.prepare(context, stage)?;
            self.prepared.insert(key, prepared);
        }
        let Some(prepared) = self.prepared.get_mut(&key) else { unreachable!("it was prepared above") };
        let mut order = self.launcher.spare_order();
        order.argv.clear();
        let mut holds_nul = false;
        stage.command.for_each_arg(&context.job.name, &context.scope, &mut self.scratch, &mut |word| {
            holds_nul |= order.argv.push(word).is_err();
        });
        if holds_nul {
            return Err(unstarted::nul_in_argument().into());
        }
        order.env.clear_own();
        set_own_variables(&mut prepared.env, &mut order.env, context, stage, &mut self.scratch)?;
        for (name, value) in facts {
            // Words and numbers hold no NUL.
            let _ = order.env.set_own(&mut prepared.env, name.as_bytes(), value.as_bytes());
        }
        order.env.complete(&prepared.env);
        order.attributes = Rc::clone(&prepared.setup);
        (order.stdio, order.group, order.mark) = (io.stdio, io.group, context.mark);
        order.waits = io.waits;
        start(&mut self.launcher, order, stage, directory(stage, &context.scope, &self.here).as_deref())
    }

    /// Notes that a child has ended, which is about to be reaped. Returns why its program was not executed, if that is so;
    /// `stage` is its command.
    pub fn ended(&mut self, pid: Pid, stage: Option<&Stage>) -> Option<Unstarted> {
        let failed = self.launcher.ended(pid)?;
        stage.map(|stage| explain(&failed, stage))
    }

    /// True while it is better to wait than to start more.
    pub fn is_crowded(&self) -> bool {
        self.launcher.is_crowded()
    }

    /// Forgets the prepared commands of a job that has ended.
    pub fn forget(&mut self, id: JobId, job: &Job) {
        let stages = StageId::all(job.stages.len()).map(CommandId::Stage);
        let hooks = HookOn::ALL.map(CommandId::Hook);
        for command in stages.chain(hooks).chain([CommandId::Probe]) {
            self.prepared.remove(&(id, command));
        }
    }

    fn prepare(&mut self, context: &LaunchContext, stage: &Stage) -> Result<PreparedCommand, StartFailure> {
        let mut env = attributes::environment(stage);
        if let Some(jobserver) = &self.jobserver {
            // Below the job's own variables: a job that sets them takes no part.
            let make_flags =
                if stage.attributes.clear_env { &jobserver.make_flags } else { &jobserver.added_make_flags };
            let variables =
                [(b"MAKEFLAGS".as_slice(), make_flags), (b"CARGO_MAKEFLAGS", &jobserver.cargo_make_flags)];
            for (name, value) in variables {
                env.set(name, value).map_err(|_| nul_in("MAKEFLAGS"))?;
            }
        }
        let pid = std::process::id().to_string();
        let own =
            [("PRUN_RUN_ID", self.run_id.as_str()), ("PRUN_PID", &pid), ("PRUN_JOB", &context.job.name)];
        for (name, value) in attributes::file_variables(stage)? {
            env.set(name.as_bytes(), &value).map_err(|_| nul_in(&name))?;
        }
        for (name, value) in &stage.env {
            if !value.may_use_task() {
                self.scratch.clear();
                value.render(&context.scope, &mut self.scratch);
                env.set(name.as_bytes(), &self.scratch).map_err(|_| nul_in(name))?;
            }
        }
        // Last, so that nothing takes their place: prun knows its tasks by them.
        for (name, value) in own {
            // Numbers and checked names hold no NUL; the name of a program, used as that of a job, could.
            let _ = env.set(name.as_bytes(), value.as_bytes());
        }
        let setup = attributes::setup(&stage.attributes);
        Ok(PreparedCommand { env, setup: Rc::new(setup) })
    }
}

impl JobserverVariables {
    fn new(jobserver: &Server) -> JobserverVariables {
        let inherited = std::env::var_os("MAKEFLAGS").unwrap_or_default();
        JobserverVariables {
            added_make_flags: jobserver.make_flags(inherited.as_bytes()),
            make_flags: jobserver.make_flags(b""),
            cargo_make_flags: jobserver.cargo_flags(),
        }
    }
}

/// Returns why a process with such a variable is not started.
pub fn nul_in(variable: &str) -> StartFailure {
    StartFailure { code: 126, why: format!("the value of the variable `{variable}` holds a NUL byte") }
}

/// Sets the variables that differ from task to task.
fn set_own_variables(
    env: &mut Env,
    own: &mut Variables,
    context: &LaunchContext,
    stage: &Stage,
    scratch: &mut Vec<u8>,
) -> Result<(), StartFailure> {
    use std::io::Write;
    let scope = &context.scope;
    let numbers = [
        ("PRUN_SLOT", scope.slot as u64),
        ("PRUN_SEQ", scope.seq),
        ("PRUN_ATTEMPT", u64::from(context.number.unwrap_or_default())),
    ];
    // A worker works on no task yet, and has only a slot.
    let known = if context.number.is_some() { numbers.len() } else { 1 };
    for (name, number) in &numbers[..known] {
        scratch.clear();
        // Writing to memory does not fail, and digits hold no NUL.
        let _ = write!(scratch, "{number}");
        let _ = own.set_own(env, name.as_bytes(), scratch);
    }
    if let Some(mark) = context.mark {
        scratch.clear();
        let _ = write!(scratch, "{}", mark.number());
        let _ = own.set_own(env, b"PRUN_START", scratch);
    }
    if let [item] = scope.items
        && item.columns.iter().map(|column| column.len() + 1).sum::<usize>() <= LONGEST_ITEM_VARIABLE + 1
    {
        scratch.clear();
        for (at, column) in item.columns.iter().enumerate() {
            if at > 0 {
                scratch.push(b' ');
            }
            scratch.extend_from_slice(column);
        }
        // An item that holds a NUL does not fit into a variable.
        let _ = own.set_own(env, b"PRUN_ITEM", scratch);
    }
    for held in scope.lock_values {
        // The job file was read as text without NUL.
        let _ = own.set_own(env, lock_variable(&held.lock).as_bytes(), held.value.as_bytes());
    }
    for (name, value) in &stage.env {
        if value.may_use_task() {
            scratch.clear();
            value.render(scope, scratch);
            own.set_own(env, name.as_bytes(), scratch).map_err(|_| nul_in(name))?;
        }
    }
    Ok(())
}

/// Returns the working directory of the stage, if that is not prun's own.
fn directory(stage: &Stage, scope: &Scope, here: &Path) -> Option<PathBuf> {
    let directory = match &stage.cwd {
        Some(cwd) => path_of(cwd, &stage.base, scope),
        None => stage.base.clone(),
    };
    (!directory.as_os_str().is_empty() && directory != here).then_some(directory)
}

/// The children's ends of a task's pipes. They are dropped, and so closed, when the children have them.
#[derive(Default)]
pub struct ChildEnds(Vec<OwnedFd>);

impl ChildEnds {
    /// Keeps an end until the child has started.
    pub fn keep(&mut self, fd: impl Into<OwnedFd>) -> RawFd {
        let fd = fd.into();
        let raw = fd.as_raw_fd();
        self.0.push(fd);
        raw
    }
}
