//! Starts the processes of one attempt: arguments, environment, directory, descriptors, and the pipes between
//! the stages. All of a job that does not differ from task to task is prepared once.

pub mod attributes;
pub mod env_file;
pub mod pty;
pub mod stdio;
pub mod unstarted;
pub mod wiring;

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::event::{JobId, StageId, StartFailure};
use crate::os::cstrings::CStrings;
use crate::os::env::Env;
use crate::os::find;
use crate::os::jobserver::Server;
use crate::os::mark::Mark;
use crate::os::start::{Attributes, Group, Launcher, Order, StartError, Strategy};
use crate::plan::template::Scope;
use crate::plan::{HookOn, Job, Stage, StartMode, lock_variable};
use crate::run::attempt::Attempt;
use crate::run::task::path_of;
use unstarted::{Unstarted, shortage_of_start};

/// A variable longer than this could keep a command from starting that needs its room for arguments.
const LONGEST_ITEM_VARIABLE: usize = 32 << 10;

/// What the starts of one stage have in common.
struct Prepared {
    env: Env,
    argv: CStrings,
    setup: Attributes,
    /// The program that was looked for last, and where it is.
    program: Option<(Vec<u8>, PathBuf, CString)>,
}

pub struct Launch {
    launcher: Launcher,
    prepared: HashMap<(JobId, usize), Prepared>,
    run_id: String,
    /// prun's own directory; a child that is to run there needs no change of it.
    here: PathBuf,
    /// `MAKEFLAGS`, with and without what prun was given there, and `CARGO_MAKEFLAGS`: prun's own jobserver.
    jobserver: Option<[Vec<u8>; 3]>,
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

/// Commands of a job beside its stages: a hook for each outcome, and the probe that looks whether it is ready.
pub const HOOKS_AND_PROBE: usize = HookOn::ALL.len() + 1;

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
            jobserver: jobserver.map(flags),
            scratch: Vec::new(),
            facts: None,
        })
    }

    /// Starts one stage.
    pub fn stage(
        &mut self,
        context: &LaunchContext,
        stage: StageId,
        stdio: [RawFd; 3],
        group: Group,
    ) -> Result<Pid, Unstarted> {
        let facts = context.job.run_hook().and_then(|_| self.facts.clone());
        let facts = facts.as_deref().unwrap_or_default();
        self.command(context, stage.index(), &context.job.stages[stage], facts, stdio, group)
    }

    /// Starts a hook of the job, with variables of its own.
    pub fn hook(
        &mut self,
        context: &LaunchContext,
        at: HookOn,
        stage: &Stage,
        facts: &[(&'static str, String)],
        stdio: [RawFd; 3],
        group: Group,
    ) -> Result<Pid, Unstarted> {
        self.command(context, context.job.stages.len() + at as usize, stage, facts, stdio, group)
    }

    /// Starts the command that looks whether the task is ready, with variables of its own.
    pub fn probe(
        &mut self,
        context: &LaunchContext,
        stage: &Stage,
        facts: &[(&'static str, String)],
        stdio: [RawFd; 3],
        group: Group,
    ) -> Result<Pid, Unstarted> {
        self.command(context, context.job.stages.len() + HookOn::ALL.len(), stage, facts, stdio, group)
    }

    /// Starts a command of the job. `at` is its place in a list of the stages, the hooks, and the probe.
    fn command(
        &mut self,
        context: &LaunchContext,
        at: usize,
        stage: &Stage,
        facts: &[(&'static str, String)],
        stdio: [RawFd; 3],
        group: Group,
    ) -> Result<Pid, Unstarted> {
        let key = (context.job_id, at);
        if !self.prepared.contains_key(&key) {
            let prepared = self.prepare(context, stage)?;
            self.prepared.insert(key, prepared);
        }
        let Some(prepared) = self.prepared.get_mut(&key) else { unreachable!("it was prepared above") };
        let argv = &mut prepared.argv;
        argv.clear();
        let mut holds_nul = false;
        stage.command.for_each_arg(&context.job.name, &context.scope, &mut self.scratch, &mut |word| {
            holds_nul |= argv.push(word).is_err();
        });
        if holds_nul {
            let why = "an argument holds a NUL byte, which no program can be given".into();
            return Err(StartFailure { code: 126, why }.into());
        }
        set_own_variables(&mut prepared.env, context, stage, &mut self.scratch)?;
        for (name, value) in facts {
            // Words and numbers hold no NUL.
            let _ = prepared.env.set_own(name.as_bytes(), value.as_bytes());
        }
        let directory = directory(stage, &context.scope, &self.here);
        start(&mut self.launcher, prepared, stage, directory.as_deref(), stdio, group, context.mark)
    }

    /// Forgets what was prepared for a job that has ended.
    pub fn forget(&mut self, job: JobId, stages: usize) {
        for stage in 0..stages {
            self.prepared.remove(&(job, stage));
        }
    }

    fn prepare(&mut self, context: &LaunchContext, stage: &Stage) -> Result<Prepared, StartFailure> {
        let mut env = attributes::environment(stage);
        if let Some([added, alone, of_cargo]) = &self.jobserver {
            // Below what the job says itself: one that says something else takes no part.
            let of_make = if stage.attributes.clear_env { alone } else { added };
            for (name, value) in [(b"MAKEFLAGS".as_slice(), of_make), (b"CARGO_MAKEFLAGS", of_cargo)] {
                env.set(name, value).map_err(|_| nul_in("MAKEFLAGS"))?;
            }
        }
        let pid = std::process::id().to_string();
        let own =
            [("PRUN_RUN_ID", self.run_id.as_str()), ("PRUN_PID", &pid), ("PRUN_JOB", &context.job.name)];
        for (name, value) in attributes::file_variables(stage)? {
            env.set(name.as_bytes(), value.as_bytes()).map_err(|_| nul_in(&name))?;
        }
        for (name, value) in &stage.env {
            if !value.uses_task() {
                self.scratch.clear();
                value.render(&context.scope, &mut self.scratch);
                env.set(name.as_bytes(), &self.scratch).map_err(|_| nul_in(name))?;
            }
        }
        // Last, so that nothing takes their place: prun knows its tasks by them.
        for (name, value) in own {
            // Numbers and checked names hold no NUL; a program's name as job name could.
            let _ = env.set(name.as_bytes(), value.as_bytes());
        }
        Ok(Prepared {
            env,
            argv: CStrings::new(),
            setup: attributes::setup(&stage.attributes),
            program: None,
        })
    }
}

/// Returns `MAKEFLAGS`, with and without what prun was given there, and `CARGO_MAKEFLAGS`.
fn flags(jobserver: &Server) -> [Vec<u8>; 3] {
    let inherited = std::env::var_os("MAKEFLAGS").unwrap_or_default();
    [jobserver.make_flags(inherited.as_bytes()), jobserver.make_flags(b""), jobserver.cargo_flags()]
}

fn nul_in(variable: &str) -> StartFailure {
    StartFailure { code: 126, why: format!("the value of the variable `{variable}` holds a NUL byte") }
}

/// The variables that differ from task to task.
fn set_own_variables(
    env: &mut Env,
    context: &LaunchContext,
    stage: &Stage,
    scratch: &mut Vec<u8>,
) -> Result<(), StartFailure> {
    use std::io::Write;
    env.clear_own();
    let scope = &context.scope;
    let numbers = [
        ("PRUN_SLOT", scope.slot as u64),
        ("PRUN_SEQ", scope.seq),
        ("PRUN_ATTEMPT", u64::from(context.number.unwrap_or_default())),
    ];
    // A worker works on no task yet, and has a slot alone.
    let known = if context.number.is_some() { numbers.len() } else { 1 };
    for (name, number) in &numbers[..known] {
        scratch.clear();
        // Writing to memory does not fail, and digits hold no NUL.
        let _ = write!(scratch, "{number}");
        let _ = env.set_own(name.as_bytes(), scratch);
    }
    if let Some(mark) = context.mark {
        scratch.clear();
        let _ = write!(scratch, "{}", mark.number());
        let _ = env.set_own(b"PRUN_START", scratch);
    }
    if let [item] = scope.items {
        scratch.clear();
        for (at, column) in item.columns.iter().enumerate() {
            if at > 0 {
                scratch.push(b' ');
            }
            scratch.extend_from_slice(column);
        }
        if scratch.len() <= LONGEST_ITEM_VARIABLE {
            // An item that holds a NUL does not fit into a variable.
            let _ = env.set_own(b"PRUN_ITEM", scratch);
        }
    }
    for held in scope.lock_values {
        // The job file was read as text without NUL.
        let _ = env.set_own(lock_variable(&held.lock).as_bytes(), held.value.as_bytes());
    }
    for (name, value) in &stage.env {
        if value.uses_task() {
            scratch.clear();
            value.render(scope, scratch);
            env.set_own(name.as_bytes(), scratch).map_err(|_| nul_in(name))?;
        }
    }
    Ok(())
}

/// Where the stage runs, if that is not where prun is.
fn directory(stage: &Stage, scope: &Scope, here: &Path) -> Option<PathBuf> {
    let directory = match &stage.cwd {
        Some(cwd) => path_of(cwd, &stage.base, scope),
        None => stage.base.clone(),
    };
    (!directory.as_os_str().is_empty() && directory != here).then_some(directory)
}

fn start(
    launcher: &mut Launcher,
    prepared: &mut Prepared,
    stage: &Stage,
    directory: Option<&Path>,
    stdio: [RawFd; 3],
    group: Group,
    mark: Option<Mark>,
) -> Result<Pid, Unstarted> {
    let Some(program) = prepared.argv.iter().next().map(<[u8]>::to_vec) else {
        return Err(StartFailure { code: 126, why: "there is no command to execute".into() }.into());
    };
    let cwd = directory.map(|path| CString::new(path.as_os_str().as_bytes()));
    let Ok(cwd) = cwd.transpose() else {
        let why = "the working directory's name holds a NUL byte".into();
        return Err(StartFailure { code: 126, why }.into());
    };
    let mut looked_up_again = false;
    loop {
        let known = matches!(&prepared.program,
            Some((name, dir, _)) if *name == program && (!is_relative(name) || Some(dir.as_path()) == directory));
        if !known {
            let path = find_program(&program, &prepared.env, directory)?;
            prepared.program = Some((program.clone(), directory.unwrap_or(Path::new("")).to_owned(), path));
            looked_up_again = true;
        }
        let Some((_, _, path)) = &prepared.program else { unreachable!("it was looked up above") };
        let strategy = match stage.start {
            StartMode::Spawn => Strategy::Spawn,
            StartMode::Fork => Strategy::Fork,
        };
        let mut order = Order {
            strategy,
            path,
            argv: &mut prepared.argv,
            env: &mut prepared.env,
            cwd: cwd.as_deref(),
            stdio,
            group,
            mark,
            attributes: &prepared.setup,
        };
        match launcher.start(&mut order) {
            Ok(pid) => return Ok(pid),
            // It was there before: installed anew, or moved to another folder of PATH.
            Err(error) if error.errno == Errno::ENOENT && !looked_up_again => prepared.program = None,
            Err(error) => {
                let shortage = shortage_of_start(error, !prepared.setup.limits.is_empty());
                let failure = attributes::explain(&stage.attributes, error)
                    .unwrap_or_else(|| explain(&program, path, error, directory));
                return Err(Unstarted::new(shortage, failure));
            }
        }
    }
}

/// Where a program is found may depend on the directory.
fn is_relative(program: &[u8]) -> bool {
    !program.starts_with(b"/")
}

fn find_program(program: &[u8], env: &Env, directory: Option<&Path>) -> Result<CString, StartFailure> {
    let path = env.iter().find_map(|variable| variable.strip_prefix(b"PATH="));
    find::resolve(program, path, directory).map_err(|not_found| {
        let (code, why) = find::explain_missing(program, not_found);
        StartFailure { code, why }
    })
}

fn explain(program: &[u8], path: &CStr, error: StartError, directory: Option<&Path>) -> StartFailure {
    let (code, why) = find::explain(program, path, error, directory);
    StartFailure { code, why }
}

/// The ends of a task's pipes that its children use. Dropped, and so closed, when they have them.
#[derive(Default)]
pub struct ChildEnds(Vec<OwnedFd>);

impl ChildEnds {
    pub fn keep(&mut self, fd: impl Into<OwnedFd>) -> RawFd {
        let fd = fd.into();
        let raw = fd.as_raw_fd();
        self.0.push(fd);
        raw
    }
}
