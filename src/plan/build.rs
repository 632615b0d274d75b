//! A job file and the command line that goes with it → [`Plan`]. Pure.
//!
//! All jobs are planned, also those that were not asked for, so that every mistake of the file is found. Jobs
//! joined by `stdin = { pipe = … }` become one job here, a *chain*, which stands where its last job stands.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::PathBuf;

use self::text::Texts;
use super::hooks::HookFlags;
use super::{Brakes, Items, Job, Jobserver, Journal, Logs, Plan, UNLIMITED, words};
use crate::event::JobId;
use crate::jobfile::values::{Resume, StatusMode};
use crate::jobfile::{self, JobFile, Mistake, Mistakes, nearest};

mod batch;
mod circles;
mod daemon;
pub mod doubts;
mod interactive;
mod items;
mod job;
mod last;
mod lister;
mod locks;
mod order;
mod pipes;
mod queues;
mod ready;
mod stage;
mod text;
mod worker;

pub use last::written as hook_of_run;

#[cfg(test)]
mod tests;

/// What goes with a job file: where it stands, and what the command line says.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// The file as it was typed; `-` is stdin.
    pub file_name: String,
    /// The job file's folder, absolute.
    pub base: PathBuf,
    /// The CPUs that prun may use.
    pub cpus: usize,
    /// A job that is `interactive` can have a terminal; without one it is as any other.
    pub terminal: bool,
    /// prun was given a jobserver: where nothing says how many tasks run at once, its tokens do.
    pub jobserver: bool,
    /// `-D NAME=VALUE`.
    pub vars: Vec<(String, String)>,
    /// What stands after `--`.
    pub args: Vec<Vec<u8>>,
    /// The jobs to run, with what they need; none stands for all.
    pub jobs: Vec<String>,
    pub run: RunOverrides,
}

/// Options, and variables of the environment, that replace keys of `[run]` which hold placeholders or have a place in
/// the file, or that no file has. The other keys are replaced in [`JobFile::run`] itself before a plan is made. What a
/// job says for itself beats both.
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

/// Makes the plan, or tells everything that is wrong with the file.
pub fn build(file: &JobFile, how: &BuildOptions) -> Result<Plan, Mistakes> {
    let mut mistakes = file.mistakes.clone();
    let vars = variables(file, how, &mut mistakes);
    let index = index(file);
    let chains = pipes::chains(file, &index, &mut mistakes);
    let places = pipes::places(file, &chains);
    let uses = queues::collect(file, &mut mistakes);
    queues::find_circles(file, &uses, &places, chains.len(), &mut mistakes);
    let sources = queues::sources(file, &index, &mut mistakes);
    let joined = Joined::new(queues::groups(&uses, &places, chains.len()), &sources, &places);
    let waits = order::waits(file, &index, &chains, &places, &joined, &mut mistakes);
    order::find_circles(file, &order::with_sources(file, &waits, &places, &joined), &places, &mut mistakes);
    let wanted = order::selected(file, how, &index, &waits, &places, &joined, &mut mistakes);
    items::check_stdin(file, how, &chains, &wanted, &mut mistakes);
    // In the plan jobs are counted without those that were not asked for.
    let numbers = lister::numbers(file, &chains, &wanted);
    let (mut queues, ids) = queues::plan(&uses, &places, &wanted, &numbers);
    let lists = lister::queues(file, &chains, &wanted, &numbers, &mut queues);
    let origins = queues::origins(file, &sources);
    let (locks, named_locks) = (locks::named(file, &chains), locks::all_named(file));
    let texts = Texts { vars: &vars, args: &how.args, origins, locks, named_locks };
    let locks = locks::Locks::new(file, &chains, &wanted, &mut mistakes);
    let context = job::Context {
        file,
        how,
        texts: &texts,
        queues: &ids,
        lists: &lists,
        sources: &sources,
        locks: &locks,
        places: &places,
        numbers: &numbers,
        several: wanted.iter().filter(|wanted| **wanted).count() > 1,
    };
    let journal = journal(file, how, &texts, &mut mistakes);
    let mut jobs: Vec<_> = chains.iter().map(|chain| job::plan(&context, chain, &mut mistakes)).collect();
    let mut list = |(chain, job)| lister::plan(&context, chain, job, &mut mistakes);
    let mut listers: Vec<Option<_>> = chains.iter().zip(&jobs).map(&mut list).collect();
    let hooks = last::plan(&context, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    for (number, (job, waits)) in jobs.iter_mut().zip(&waits).enumerate() {
        job.after = waits.iter().map(|wait| wait.condition(&numbers, &places)).collect();
        if let Some(lister) = &mut listers[number] {
            lister.after = job.after.clone();
            job.lister = numbers[number].0.checked_sub(1).map(JobId);
        }
    }
    let mut chosen = Vec::with_capacity(jobs.len());
    for ((lister, job), _) in listers.into_iter().zip(jobs).zip(&wanted).filter(|(_, wanted)| **wanted) {
        chosen.extend(lister.map(|lister| *lister));
        chosen.push(job);
    }
    let mut jobs = chosen;
    let (pool, most) = pools(file, how, &chains, &wanted);
    // Records are taken from a queue without a place in the run's pool, but not without bounds.
    let takes_records = |job: &&mut Job| matches!(job.items, Items::Queue { .. }) && job.lister.is_none();
    for job in jobs.iter_mut().filter(takes_records).filter(|job| job.pool == UNLIMITED) {
        job.pool = most;
    }
    // Whatever was asked for.
    jobs.extend(hooks);
    let halt = file.run.halt.and_then(|halt| halt.limit());
    let logs = Logs { journal, joblog: None, table: None };
    Ok(Plan {
        jobs,
        queues,
        locks: locks.planned,
        pool,
        halt,
        status: how.run.status.unwrap_or_default(),
        rerun: rerun(how),
        brakes: brakes(&file.run, how.run.pool_file.clone(), how.cpus),
        jobserver: Jobserver::new(file.run.jobserver.unwrap_or_default(), how.jobserver),
        logs,
    })
}

/// How many tasks run at once over all jobs, and of one job that takes no slots.
fn pools(file: &JobFile, how: &BuildOptions, chains: &[pipes::Chain], wanted: &[bool]) -> (usize, usize) {
    if let Some(pool) = file.run.pool {
        let pool = pool.resolve(how.cpus);
        return (pool, pool);
    }
    let wanted = chains.iter().zip(wanted).filter(|(_, wanted)| **wanted);
    let pools = wanted.filter_map(|(chain, _)| file.jobs[chain.last()].pool);
    let usual = pools.map(|pool| pool.resolve(how.cpus)).fold(how.cpus, usize::max);
    (if how.jobserver { UNLIMITED } else { usual }, usual)
}

/// Returns the limits on starts that `[run]` sets.
pub fn brakes(run: &jobfile::RunSpec, pool_file: Option<PathBuf>, cpus: usize) -> Brakes {
    Brakes {
        pool_file,
        rate: run.rate,
        load: run.load.map(|load| load.resolve(cpus)),
        memory_free: run.memory_free.map(|bytes| bytes as u64),
    }
}

/// The file of finished tasks: what the command line says replaces what `[run]` says.
fn journal(file: &JobFile, how: &BuildOptions, texts: &Texts, mistakes: &mut Mistakes) -> Option<Journal> {
    let named = file.run.journal.as_ref().map(|text| {
        use std::os::unix::ffi::OsStringExt;
        how.base.join(OsString::from_vec(texts.of_run(text, mistakes)))
    });
    let path = how.run.journal.clone().or(named);
    let resume = file.run.resume.as_ref();
    // The configuration may say it for all runs that have a journal.
    let meant = resume.filter(|resume| resume.value != Resume::No && !mistakes.in_config(&resume.span));
    if let (None, Some(resume)) = (&path, meant) {
        let mistake = Mistake::at(resume.span.clone(), "`resume` without a journal");
        mistakes
            .push(mistake.help("name one: `journal = \"FILE\"`, or `--journal FILE` on the command line"));
    }
    let resume = how.run.resume.or(resume.map(|resume| resume.value)).unwrap_or_default();
    path.map(|path| Journal { path, resume, sync: how.run.sync })
}

/// What joins chains beside pipes.
struct Joined<'a> {
    /// Chains that queues join have the same number.
    groups: Vec<usize>,
    /// The chains of each number.
    members: Vec<Vec<usize>>,
    /// For each job of the file: whose items it takes.
    sources: &'a [Option<usize>],
    /// For each chain: the chains whose items it takes.
    takes: Vec<Vec<usize>>,
}

impl Joined<'_> {
    fn new<'a>(groups: Vec<usize>, sources: &'a [Option<usize>], places: &[pipes::Place]) -> Joined<'a> {
        let mut members = vec![Vec::new(); groups.len()];
        groups.iter().enumerate().for_each(|(chain, &group)| members[group].push(chain));
        let mut takes = vec![Vec::new(); groups.len()];
        for (job, from) in sources.iter().enumerate() {
            if let (Some(from), Some(takes)) = (from, takes.get_mut(places[job].chain)) {
                takes.push(places[*from].chain);
            }
        }
        Joined { groups, members, sources, takes }
    }
}

/// Which job has which name.
type Index<'a> = HashMap<&'a str, usize>;

fn index<'a>(file: &'a JobFile) -> Index<'a> {
    file.jobs.iter().enumerate().map(|(number, job)| (job.name.value.as_str(), number)).collect()
}

/// `[vars]`, with what `-D` says.
fn variables(file: &JobFile, how: &BuildOptions, mistakes: &mut Mistakes) -> BTreeMap<String, String> {
    let mut vars: BTreeMap<String, String> =
        file.vars.iter().map(|(name, value)| (name.value.clone(), value.value.clone())).collect();
    for (name, value) in &how.vars {
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

/// The mistake of naming a job that isn't there.
fn unknown_job(name: &str, index: &Index, mistakes: &Mistakes, mut mistake: Mistake) -> Mistake {
    // Looking through all jobs takes time, and nobody reads so many suggestions.
    if !mistakes.enough() {
        mistake.help = nearest(name, index.keys().copied()).map(|near| format!("did you mean `{near}`?"));
    }
    mistake
}

/// How to run the file again: `prun FILE`.
fn rerun(how: &BuildOptions) -> Option<String> {
    if how.file_name == "-" {
        return None;
    }
    let mut line = "prun".to_owned();
    for (name, value) in &how.vars {
        line += " -D ";
        line += &words::quote(format!("{name}={value}").as_bytes());
    }
    Some(line + " " + &words::quote(how.file_name.as_bytes()))
}
