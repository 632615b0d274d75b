//! Files that a run would read and write at once, or write for two different purposes: refused before anything runs.
//!
//! A file of output may be an input only of a job that runs behind all its writers, by `after`. What prun writes for
//! itself (journal, joblog, table of results) is nothing else at all. Files are compared by what they are, so that
//! another spelling or a link makes no difference. FIFOs and devices are no files here.
//!
//! Paths with placeholders are not known yet. [`reserve`] keeps their files from what the run uses otherwise, when they
//! are opened.

use std::collections::{BTreeSet, HashMap};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use crate::event::JobId;
use crate::os::files::Identity;
use crate::os::std_streams;
use crate::plan::template::Scope;
use crate::plan::{Input, Items, Job, Output, Plan, Reading, Stdin, When};
use crate::run::output::files::{Files, PathKey, Reserved};
use crate::run::task::path_of;

/// A file that the run uses.
struct Use {
    key: PathKey,
    /// The path, or the name of a standard stream of prun.
    name: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// prun reads it for itself, or for this job, whose processes may read it as well.
    Input(Option<JobId>),
    /// Output of a job goes there.
    Output(JobId),
    /// prun writes it for itself; this is its name.
    Own(&'static str),
    /// prun's stdout or stderr, which jobs may name once more.
    Stream(&'static str),
}

/// Finds files that would be read and written, or written for two purposes.
///
/// # Errors
/// Names both uses of the first such file. For people.
pub fn check(plan: &Plan) -> Result<(), String> {
    same_templates(plan)?;
    if !writes_files(plan) && !reads_files(plan) {
        return Ok(());
    }
    let uses = uses(plan);
    let mut files: HashMap<&PathKey, Vec<&Use>> = HashMap::new();
    uses.iter().for_each(|used| files.entry(&used.key).or_default().push(used));
    for of_one in uses.iter().map(|used| &files[&used.key]) {
        for written in of_one {
            if let Some(other) = of_one.iter().find(|other| clash(plan, written, other)) {
                return Err(refusal(plan, written, other));
            }
        }
    }
    Ok(())
}

fn refusal(plan: &Plan, written: &Use, other: &Use) -> String {
    let name = &written.name;
    let what = match written.kind {
        Kind::Output(job) => format!("the output of `{}`, `{name}`,", plan.jobs[job].name),
        Kind::Own(what) => format!("{what} `{name}`"),
        Kind::Stream(what) => what.to_owned(),
        Kind::Input(_) => format!("`{name}`"),
    };
    let file = &other.name;
    let overwritten = match other.kind {
        Kind::Input(_) => format!("`{file}`, {}", usage(plan, other.kind)),
        Kind::Output(job) => format!("the output of `{}` in `{file}`", plan.jobs[job].name),
        Kind::Own(what) => format!("{what} `{file}`"),
        Kind::Stream(what) => format!("what goes to {what}"),
    };
    format!("{what} would overwrite {overwritten}: name another file")
}

/// Keeps output whose paths have placeholders from files that the run uses otherwise.
pub fn reserve(plan: &Plan, files: &mut Files) {
    let mut outputs = plan.jobs.iter().flat_map(outputs);
    if !outputs.any(|output| matches!(output, Output::File { per_task: true, .. })) {
        return;
    }
    for found in uses(plan) {
        let (PathKey::File(identity), Kind::Input(_) | Kind::Own(_)) = (found.key, found.kind) else {
            continue;
        };
        let writers = match found.kind {
            Kind::Input(Some(reader)) => plan.job_ids().filter(|&job| is_behind(plan, reader, job)).collect(),
            _ => Vec::new(),
        };
        files.reserve(Reserved { identity, usage: usage(plan, found.kind).into(), writers });
    }
}

/// True if the first may not be written where the second is.
fn clash(plan: &Plan, written: &Use, other: &Use) -> bool {
    match (written.kind, other.kind) {
        _ if std::ptr::eq(written, other) => false,
        (Kind::Input(_), _) => false,
        (Kind::Output(writer), Kind::Input(Some(reader))) => !is_behind(plan, reader, writer),
        (_, Kind::Input(_)) => true,
        // Several outputs add to one file, and so does what the shell redirects there.
        (Kind::Output(_) | Kind::Stream(_), Kind::Output(_) | Kind::Stream(_)) => false,
        _ => true,
    }
}

/// Returns the use as a clause about the file.
fn usage(plan: &Plan, kind: Kind) -> String {
    match kind {
        Kind::Input(Some(job)) => format!("which this run reads for `{}`", plan.jobs[job].name),
        Kind::Input(None) => "which this run reads".to_owned(),
        Kind::Output(job) => format!("where the output of `{}` goes", plan.jobs[job].name),
        Kind::Own(name) | Kind::Stream(name) => format!("which is {name} of this run"),
    }
}

/// True if `reader` begins only after `writer` has ended.
fn is_behind(plan: &Plan, reader: JobId, writer: JobId) -> bool {
    let (mut open, mut seen) = (vec![reader], BTreeSet::from([reader]));
    while let Some(job) = open.pop() {
        for after in plan.jobs[job].after.iter().filter(|after| after.when != When::Ready) {
            if after.job == writer {
                return true;
            }
            if seen.insert(after.job) {
                open.push(after.job);
            }
        }
    }
    false
}

/// Refuses a job that reads and writes one file for each item.
fn same_templates(plan: &Plan) -> Result<(), String> {
    for job in &plan.jobs {
        let mut inputs = job.stages.iter().filter_map(|stage| match &stage.stdin {
            Stdin::File(path) if path.uses_task() => Some(path),
            _ => None,
        });
        let Some(input) = inputs.next() else { continue };
        let written = |output: &Output| matches!(output, Output::File { path, .. } if path == input);
        if outputs(job).any(written) {
            return Err(format!(
                "the output of `{}` would overwrite the file that it reads, for each item: name another file",
                job.name
            ));
        }
    }
    Ok(())
}

fn outputs(job: &Job) -> impl Iterator<Item = &Output> {
    job.stages.iter().flat_map(|stage| [&stage.stdout, &stage.stderr])
}

fn writes_files(plan: &Plan) -> bool {
    let logs = &plan.logs;
    let own = logs.journal.is_some() || logs.joblog.is_some() || logs.table.is_some();
    own || plan.jobs.iter().any(Job::has_files)
}

/// True if the run may read a file that prun's stdout or stderr is.
fn reads_files(plan: &Plan) -> bool {
    let reads = |job: &Job| job.names_files() || !inputs(&job.items).is_empty();
    plan.jobs.iter().any(reads) || plan.queues.iter().any(|queue| queue.input.is_some())
}

fn uses(plan: &Plan) -> Vec<Use> {
    let mut uses = own_uses(plan);
    for queue in &plan.queues {
        for (input, reader) in
            queue.input.iter().flat_map(|input| queue.readers.iter().map(move |job| (input, *job)))
        {
            uses.extend(input_use(input, reader));
        }
    }
    for (id, job) in plan.numbered_jobs() {
        uses.extend(inputs(&job.items).into_iter().filter_map(|input| input_use(input, id)));
        for stage in &job.stages {
            let path = |path| path_of(path, &stage.base, &Scope::default());
            match &stage.stdin {
                Stdin::File(file) if !file.uses_task() => {
                    uses.extend(file_use(&path(file), Kind::Input(Some(id))))
                }
                Stdin::Inherit => uses.extend(input_use(&Input::Stdin, id)),
                _ => {}
            }
            for file in &stage.attributes.env_files {
                uses.extend(file_use(&stage.base.join(file), Kind::Input(Some(id))));
            }
            for output in [&stage.stdout, &stage.stderr] {
                if let Output::File { path: file, per_task: false, .. } = output {
                    uses.extend(file_use(&path(file), Kind::Output(id)));
                }
            }
        }
    }
    uses
}

/// Returns the files that prun uses for itself.
fn own_uses(plan: &Plan) -> Vec<Use> {
    let logs = &plan.logs;
    let journal = logs.journal.as_ref().map(|journal| (&journal.path, "the journal"));
    let joblog = logs.joblog.as_ref().map(|joblog| (&joblog.path, "the joblog"));
    let table =
        logs.table.as_ref().and_then(|table| table.path.as_ref()).map(|path| (path, "the table of results"));
    let own = [journal, joblog, table].into_iter().flatten();
    let own = own.filter_map(|(path, name): (&PathBuf, _)| file_use(path, Kind::Own(name)));
    let pool = plan.throttle.pool_file.iter().filter_map(|path| file_use(path, Kind::Input(None)));
    let streams = [(std_streams::stdout(), "stdout"), (std_streams::stderr(), "stderr")];
    let streams = streams.into_iter().filter_map(|(fd, name)| stream_use(fd, name, Kind::Stream(name)));
    let job_file = plan.rerun.iter().filter_map(|rerun| file_use(&rerun.file, Kind::Input(None)));
    own.chain(pool).chain(job_file).chain(streams).collect()
}

fn input_use(input: &Input, reader: JobId) -> Option<Use> {
    match input {
        Input::Stdin => stream_use(std_streams::stdin(), "stdin", Kind::Input(Some(reader))),
        Input::File(path) => file_use(path, Kind::Input(Some(reader))),
    }
}

/// Returns the use of a path, unless a FIFO or a device is there.
fn file_use(path: &Path, kind: Kind) -> Option<Use> {
    let is_file = path.metadata().map_or(true, |data| data.is_file());
    is_file.then(|| Use { key: PathKey::of(path), name: plain(path), kind })
}

/// Returns a path for people, without `./` in its middle.
fn plain(path: &Path) -> String {
    path.components().collect::<PathBuf>().display().to_string()
}

fn stream_use(fd: BorrowedFd, name: &str, kind: Kind) -> Option<Use> {
    let file = std::fs::File::from(fd.try_clone_to_owned().ok()?);
    let data = file.metadata().ok().filter(|data| data.is_file())?;
    Some(Use { key: PathKey::File(Identity::of(&data)), name: name.to_owned(), kind })
}

/// Returns the inputs that items are read from.
fn inputs(items: &Items) -> Vec<&Input> {
    match items {
        Items::Read(Reading { from, .. }) => vec![from],
        Items::Join { sources, .. } => sources.iter().flat_map(inputs).collect(),
        _ => Vec::new(),
    }
}
