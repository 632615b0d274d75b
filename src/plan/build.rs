//! A job file and the command line that goes with it → [`Plan`]. Pure.
//!
//! All jobs are planned, even those that are not selected, so that every mistake of the file is found. Jobs joined by
//! `stdin = { pipe = … }` are a *chain*, and become one job of the plan, at the place of the last of them.
//!
//! Jobs are counted in three ways, in this order: by their index in the file; by the number of their chain; and, for
//! selected chains, by their [`JobId`] in the plan, which also counts listers.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::PathBuf;

use self::order::Choice;
use self::text::Texts;
use super::hooks::HookFlags;
use super::{
    Items, Job, Jobserver, Journal, Logs, MAX_RECORD, Output, Plan, Rerun, Throttle, UNLIMITED, selection,
    words,
};
use crate::event::JobId;
use crate::jobfile::values::{HaltSetting, Resume, StatusMode};
use crate::jobfile::{self, JobFile, Mistake, Mistakes, nearest};

mod batch;
mod context;
mod cycles;
mod daemon;
mod interactive;
mod items;
mod job;
pub mod lints;
mod lister;
mod locks;
mod order;
mod pipes;
mod queues;
mod ready;
mod run_hooks;
mod stage;
mod text;
mod without_needs;
mod worker;

pub use run_hooks::in_file as run_hook_in_file;

#[cfg(test)]
mod tests;

/// The context of a job file: its place, the machine, and the command line.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// The file name as it was typed; `-` is stdin.
    pub file_name: String,
    /// The job file's directory, absolute.
    pub base: PathBuf,
    /// The CPUs that prun may use.
    pub cpus: usize,
    /// True if prun has a terminal for jobs that are `interactive`. Without one they are as any other.
    pub terminal: bool,
    /// True if prun was given a jobserver. Without `pool` its tokens limit how many tasks run at once.
    pub jobserver: bool,
    /// `-D NAME=VALUE`.
    pub vars: Vec<(String, String)>,
    /// The arguments after `--`.
    pub args: Vec<Vec<u8>>,
    /// The jobs to run, or tasks of them (`deploy[3]`), with those that they need; if there are none, all.
    pub jobs: Vec<String>,
    /// True if jobs that are needed are left out.
    pub no_deps: bool,
    pub run: RunOverrides,
}

/// Options, and variables of the environment, that replace keys of `[run]` which hold placeholders or have a place in
/// the file, or that no file has. The other keys are replaced in [`JobFile::run`] itself before a plan is made. A job's
/// own keys beat both.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunOverrides {
    /// The file from which the pool's size was read.
    pub pool_file: Option<PathBuf>,
    pub tag: Option<TagFlag>,
    pub status: Option<StatusMode>,
    /// Absolute.
    pub journal: Option<PathBuf>,
    /// `--resume` or `--retry-failed`.
    pub resume: Option<Resume>,
    /// `--sync`
    pub sync: bool,
    pub hooks: HookFlags,
}

/// `--tag[=TEMPLATE]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagFlag {
    Off,
    /// The job's name and the item.
    On,
    Template(String),
}

/// Makes the plan.
///
/// # Errors
/// Every mistake of the file.
pub fn build(file: &JobFile, options: &BuildOptions) -> Result<Plan, Mistakes> {
    let file = &*without_needs::cut(file, options);
    let mut mistakes = file.mistakes.clone();
    let vars = variables(file, options, &mut mistakes);
    let index = index(file);
    let chains = pipes::chains(file, &index, &mut mistakes);
    let positions = pipes::positions(file, &chains);
    let uses = queues::collect(file, &mut mistakes);
    queues::find_cycles(file, &uses, &positions, chains.len(), &mut mistakes);
    let sources = queues::sources(file, &index, &mut mistakes);
    let joined = Joined::new(queues::groups(&uses, &positions, chains.len()), &sources, &positions);
    let waits = order::waits(file, &index, &chains, &positions, &joined, &mut mistakes);
    order::find_cycles(
        file,
        &order::with_sources(file, &waits, &positions, &joined),
        &positions,
        &mut mistakes,
    );
    let choices = order::selected(file, options, &index, &waits, &positions, &joined, &mut mistakes);
    let selected: Vec<bool> = choices.iter().map(|choice| *choice != Choice::None).collect();
    items::check_stdin(file, options, &chains, &selected, &mut mistakes);
    let job_ids = lister::job_ids(file, &chains, &selected);
    let (mut queues, ids) = queues::plan(&uses, &positions, &selected, &job_ids);
    let list_queues = lister::queues(file, &chains, &selected, &job_ids, &mut queues);
    let origins = queues::origins(file, &sources);
    let (locks, named_locks) = (locks::named(file, &chains), locks::all_named(file));
    let texts = Texts { vars: &vars, args: &options.args, origins, locks, named_locks };
    let locks = locks::Locks::new(file, &chains, &selected, &mut mistakes);
    let context = context::Context {
        file,
        options,
        texts: &texts,
        queues: &ids,
        list_queues: &list_queues,
        sources: &sources,
        locks: &locks,
        positions: &positions,
        job_ids: &job_ids,
        several: selected.iter().filter(|selected| **selected).count() > 1,
    };
    let journal = journal(file, options, &texts, &mut mistakes);
    let mut jobs: Vec<_> = chains.iter().map(|chain| job::plan(&context, chain, &mut mistakes)).collect();
    let mut list = |(chain, job)| lister::plan(&context, chain, job, &mut mistakes);
    let mut listers: Vec<Option<_>> = chains.iter().zip(&jobs).map(&mut list).collect();
    let hooks = run_hooks::plan(&context, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    for (job, choice) in jobs.iter_mut().zip(choices) {
        choose(job, choice);
    }
    for (number, (job, waits)) in jobs.iter_mut().zip(&waits).enumerate() {
        job.after = waits.iter().map(|wait| wait.condition(&job_ids, &positions)).collect();
        if let Some(lister) = &mut listers[number] {
            lister.after = job.after.clone();
            job.lister = job_ids[number].0.checked_sub(1).map(JobId);
        }
    }
    let mut jobs = only_selected(jobs, listers, &selected);
    let pools = pools(file, options, &chains, &selected);
    limit_readers(&mut jobs, pools.reader);
    // Hooks of the run are in every selection.
    jobs.extend(hooks);
    let plan = Plan {
        queues,
        locks: locks.planned,
        throttle: throttle(&file.run, options.run.pool_file.clone(), options.cpus),
        jobserver: Jobserver::new(file.run.jobserver.unwrap_or_default(), options.jobserver),
        halt: file.run.halt.and_then(HaltSetting::limit),
        status: options.run.status.unwrap_or_default(),
        max_record: file.run.max_record.unwrap_or(MAX_RECORD),
        logs: Logs { journal, ..Logs::default() },
        rerun: rerun(options),
        ..Plan::new(jobs, pools.run)
    };
    selection::mistakes(&plan).into_iter().for_each(|told| mistakes.push(Mistake::new(told)));
    if mistakes.is_empty() { Ok(plan) } else { Err(mistakes) }
}

/// Limits tasks for the records of a queue: they take no slots of the run's pool.
fn limit_readers(jobs: &mut [Job], pool: usize) {
    let takes_records = |job: &&mut Job| matches!(job.items, Items::Queue { .. }) && job.lister.is_none();
    for job in jobs.iter_mut().filter(takes_records).filter(|job| job.pool == UNLIMITED) {
        job.pool = pool;
    }
}

/// Leaves out the tasks of a job that were not named, if some were.
fn choose(job: &mut Job, choice: Choice) {
    let Choice::Tasks(tasks) = choice else { return };
    if matches!(job.items, Items::None) && tasks.items.is_empty() && tasks.numbers.iter().eq([&1]) {
        return;
    }
    job.only = Some(tasks.into());
    // The lines of the other tasks are kept.
    for stage in &mut job.stages {
        for output in [&mut stage.stdout, &mut stage.stderr] {
            if let Output::File { append, per_task: false, .. } = output {
                *append = true;
            }
        }
    }
}

/// Returns the jobs that are to run, each behind the job that lists its items.
fn only_selected(jobs: Vec<Job>, listers: Vec<Option<Box<Job>>>, selected: &[bool]) -> Vec<Job> {
    let mut chosen = Vec::with_capacity(jobs.len());
    for ((lister, job), _) in listers.into_iter().zip(jobs).zip(selected).filter(|(_, selected)| **selected) {
        chosen.extend(lister.map(|lister| *lister));
        chosen.push(job);
    }
    chosen
}

/// Sizes of pools.
struct Pools {
    /// Tasks at once, over all jobs.
    run: usize,
    /// Tasks at once of a job that reads a queue, without `pool`.
    reader: usize,
}

/// Returns the sizes of pools without `pool` of a job.
fn pools(file: &JobFile, options: &BuildOptions, chains: &[pipes::Chain], selected: &[bool]) -> Pools {
    if let Some(pool) = file.run.pool {
        let pool = pool.resolve(options.cpus);
        return Pools { run: pool, reader: pool };
    }
    let selected = chains.iter().zip(selected).filter(|(_, selected)| **selected);
    let pools = selected.filter_map(|(chain, _)| file.jobs[chain.last()].pool);
    let usual = pools.map(|pool| pool.resolve(options.cpus)).fold(options.cpus, usize::max);
    Pools { run: if options.jobserver { UNLIMITED } else { usual }, reader: usual }
}

/// Returns the limits on starts that `[run]` sets.
pub fn throttle(run: &jobfile::RunSpec, pool_file: Option<PathBuf>, cpus: usize) -> Throttle {
    Throttle {
        pool_file,
        rate: run.rate,
        load: run.load.map(|load| load.resolve(cpus)),
        memory_free: run.memory_free.map(|bytes| bytes as u64),
    }
}

/// Returns the journal. Flags replace the settings of `[run]`.
fn journal(
    file: &JobFile,
    options: &BuildOptions,
    texts: &Texts,
    mistakes: &mut Mistakes,
) -> Option<Journal> {
    let named = file.run.journal.as_ref().map(|text| {
        use std::os::unix::ffi::OsStringExt;
        options.base.join(OsString::from_vec(texts.of_run(text, mistakes)))
    });
    let path = options.run.journal.clone().or(named);
    let resume = file.run.resume.as_ref();
    // The configuration file may set `resume` for all runs that have a journal.
    let own = resume.filter(|resume| resume.value != Resume::No && !mistakes.in_config(&resume.span));
    if let (None, Some(resume)) = (&path, own) {
        let mistake = Mistake::at(resume.span.clone(), "`resume` without a journal");
        mistakes
            .push(mistake.help("name one: `journal = \"FILE\"`, or `--journal FILE` on the command line"));
    }
    let resume = options.run.resume.or(resume.map(|resume| resume.value)).unwrap_or_default();
    path.map(|path| Journal { path, resume, sync: options.run.sync })
}

/// The ways in which chains are joined, beside pipes.
struct Joined<'a> {
    /// For each chain a number, which is the same for chains that queues join.
    groups: Vec<usize>,
    /// For each number its chains.
    members: Vec<Vec<usize>>,
    /// For each job of the file that takes another job's items: that job.
    sources: &'a [Option<usize>],
    /// For each chain, the chains whose items it takes.
    takes: Vec<Vec<usize>>,
}

impl Joined<'_> {
    fn new<'a>(
        groups: Vec<usize>,
        sources: &'a [Option<usize>],
        positions: &[pipes::Position],
    ) -> Joined<'a> {
        let mut members = vec![Vec::new(); groups.len()];
        groups.iter().enumerate().for_each(|(chain, &group)| members[group].push(chain));
        let mut takes = vec![Vec::new(); groups.len()];
        for (job, from) in sources.iter().enumerate() {
            if let (Some(from), Some(takes)) = (from, takes.get_mut(positions[job].chain)) {
                takes.push(positions[*from].chain);
            }
        }
        Joined { groups, members, sources, takes }
    }
}

/// The index of each job of a file, by name.
type Index<'a> = HashMap<&'a str, usize>;

fn index<'a>(file: &'a JobFile) -> Index<'a> {
    file.jobs.iter().enumerate().map(|(number, job)| (job.name.value.as_str(), number)).collect()
}

/// Returns the variables: `[vars]`, with the values of `-D`.
fn variables(file: &JobFile, options: &BuildOptions, mistakes: &mut Mistakes) -> BTreeMap<String, String> {
    let mut vars: BTreeMap<String, String> =
        file.vars.iter().map(|(name, value)| (name.value.clone(), value.value.clone())).collect();
    for (name, value) in &options.vars {
        match vars.get_mut(name) {
            Some(known) => known.clone_from(value),
            None => {
                let near = nearest(name, vars.keys().map(String::as_str));
                let help = near.map_or_else(
                    || format!("list it: `[vars]` and below it `{name} = \"…\"`"),
                    |near| format!("did you mean `{near}`?"),
                );
                mistakes.push(Mistake::new(format!("`-D {name}=…`: `[vars]` has no `{name}`")).help(help));
            }
        }
    }
    vars
}

/// Adds a suggestion to the mistake of naming a job that does not exist.
fn unknown_job(name: &str, index: &Index, mistakes: &Mistakes, mut mistake: Mistake) -> Mistake {
    // The search takes time, and nobody reads so many suggestions.
    if !mistakes.enough() {
        mistake.help = nearest(name, index.keys().copied()).map(|near| format!("did you mean `{near}`?"));
    }
    mistake
}

/// Returns the command line that runs jobs of the file again.
fn rerun(options: &BuildOptions) -> Option<Rerun> {
    if options.file_name == "-" {
        return None;
    }
    let mut before = "prun".to_owned();
    if options.no_deps {
        before += " --no-deps";
    }
    for (name, value) in &options.vars {
        before += " -D ";
        before += &words::quote(format!("{name}={value}").as_bytes());
    }
    // Not an option.
    let here = if options.file_name.starts_with('-') { "./" } else { "" };
    before += &format!(" {}", words::quote(format!("{here}{}", options.file_name).as_bytes()));
    let args: Vec<String> = options.args.iter().map(|arg| words::quote(arg)).collect();
    let after = if args.is_empty() { String::new() } else { format!(" -- {}", args.join(" ")) };
    Some(Rerun { file: options.file_name.clone().into(), before, after })
}
