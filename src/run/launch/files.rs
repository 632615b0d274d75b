//! The files of an attempt are opened: what it reads, and where its output goes.
//!
//! A path without a placeholder is one file for the job, which stays open until the last job that names it has ended.
//! Processes write to it themselves if nobody else does: the job has one task, or its output is raw, and no other
//! stream, stage or job names the file. Otherwise prun writes to it, whole lines at a time.
//!
//! A path with a placeholder is opened for each attempt, and processes write to it themselves. What else names the file
//! shares it while it is open, and appends later; see [`output::files`](crate::run::output::files).

use std::collections::HashMap;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::Arc;

use super::LaunchContext;
use super::unstarted::{Unstarted, no_file};
use super::wiring::Stream;
use crate::event::{JobId, StageId, StartFailure};
use crate::flow::output::{Dest, Framing, Own};
use crate::os;
use crate::os::files::Identity;
use crate::plan::template::{Scope, Source, Template};
use crate::plan::{Items, Job, Output, OutputMode, Plan, Stage, Stdin};
use crate::run::attempt::files::{AttemptFile, AttemptFiles, Opened, Port};
use crate::run::output::files::{Before, OpenError, Opening, PathKey, SharedFile};
use crate::run::output::sinks::Sinks;
use crate::run::task::path_of;

/// An output of a stage of a job.
type OutputKey = (JobId, StageId, Stream);

/// The files whose paths have no placeholder.
#[derive(Default)]
pub struct FixedFiles {
    by_output: HashMap<OutputKey, usize>,
    files: Vec<FixedFile>,
}

/// A file whose path has no placeholder.
#[derive(Default)]
struct FixedFile {
    /// The outputs that name it.
    names: Vec<OutputKey>,
    /// True if only one task writes to it.
    one_task: bool,
    file: Option<SharedFile>,
    dest: Option<Dest>,
}

impl FixedFiles {
    /// Finds out which outputs of the plan are one file.
    pub fn new(plan: &Plan) -> FixedFiles {
        let mut fixed = FixedFiles::default();
        let mut known: HashMap<PathKey, usize> = HashMap::new();
        for (id, job) in plan.numbered_jobs() {
            for (stage, stream, output) in outputs(job) {
                let Output::File { path, per_task: false, .. } = output else { continue };
                let path = path_of(path, &job.stages[stage].base, &Scope::default());
                let at = *known.entry(PathKey::of(&path)).or_insert_with(|| {
                    fixed.files.push(FixedFile::default());
                    fixed.files.len() - 1
                });
                fixed.files[at].names.push((id, stage, stream));
                fixed.by_output.insert((id, stage, stream), at);
            }
        }
        for file in &mut fixed.files {
            let (first, ..) = file.names[0];
            file.one_task = file.names.iter().all(|(job, ..)| *job == first)
                && matches!(plan.jobs[first].items, Items::None);
        }
        fixed
    }

    /// Lets go of the files that no other job will write to. Returns the destinations that are to be closed.
    pub fn job_ended(&mut self, job: JobId) -> Vec<Dest> {
        let mut closed = Vec::new();
        for file in &mut self.files {
            file.names.retain(|(of, ..)| *of != job);
            if file.names.is_empty() {
                file.file = None;
                closed.extend(file.dest.take());
            }
        }
        closed
    }
}

/// Returns the outputs of all stages.
fn outputs(job: &Job) -> impl Iterator<Item = (StageId, Stream, &Output)> {
    StageId::all(job.stages.len())
        .zip(&job.stages)
        .flat_map(|(id, stage)| [(id, Stream::Stdout, &stage.stdout), (id, Stream::Stderr, &stage.stderr)])
}

/// Opens files for one attempt after another.
pub struct Opener<'a> {
    pub fixed: &'a mut FixedFiles,
    pub sinks: &'a mut Sinks,
    pub warnings: &'a mut Vec<String>,
    /// True if the task has opened its files in an earlier attempt.
    pub again: bool,
}

impl Opener<'_> {
    /// Opens the files that are not open yet. If one has to be waited for, the next call goes on from there.
    ///
    /// # Errors
    /// When a file can't be opened.
    pub fn open_all(
        &mut self,
        context: &LaunchContext,
        files: &mut AttemptFiles,
    ) -> Result<Opened, Unstarted> {
        let job = context.job;
        let ports = StageId::all(job.stages.len()).flat_map(|id| Port::ALL.map(|port| (id, port)));
        for (id, port) in ports.skip(files.done) {
            let opened = match port {
                Port::Seq => self.write_seq_file(context, id)?,
                Port::Stdin => open_input(context, id, files)?,
                Port::Stdout if job.worker.is_some() => Opened::All,
                Port::Stdout => self.open_output(context, id, Stream::Stdout, files)?,
                Port::Stderr => self.open_output(context, id, Stream::Stderr, files)?,
            };
            if let Opened::Waits(why) = opened {
                return Ok(Opened::Waits(why));
            }
            files.done += 1;
        }
        Ok(Opened::All)
    }

    fn open_output(
        &mut self,
        context: &LaunchContext,
        id: StageId,
        stream: Stream,
        files: &mut AttemptFiles,
    ) -> Result<Opened, Unstarted> {
        let (job, port) = (context.job, port_of(stream));
        let stage = &job.stages[id];
        let Output::File { path: template, append, per_task, .. } = output_of(stage, stream) else {
            return Ok(Opened::All);
        };
        let path = path_of(template, &stage.base, &context.scope);
        if files.input.is_some() && files.input == Identity::at(&path) {
            let why = format!("`{}` would be overwritten while the task reads it", path.display());
            return Err(StartFailure { code: 126, why }.into());
        }
        let file = match per_task {
            false => self.open_fixed((context.job_id, id, stream), job, &path, *append)?,
            true => match self.open_for_task(context.job_id, template, &path, *append, Some(files))? {
                None if job.worker.is_none() => None,
                file => {
                    // A folder of results holds what the last attempt wrote.
                    if let Some(file) = file.as_ref().filter(|_| self.again && stage.seq_file.is_some()) {
                        self.sinks.files.empty(file).map_err(|error| no_file(&path, &error))?;
                    }
                    let direct = is_direct(job, id, stream);
                    let own = Own::Attempt(framing(job, id, stream));
                    Some(match file {
                        Some(file) if direct => AttemptFile::Direct(file.file),
                        file => {
                            AttemptFile::Lane(self.sinks.add_file(&path, file, Some(context.job_id)), own)
                        }
                    })
                }
            },
        };
        let Some(file) = file else { return Ok(no_reader(&path)) };
        files.add(id, port, file);
        Ok(Opened::All)
    }

    /// Opens a file of one task, and tells people if another task of the job has written to it. `None` for a FIFO without
    /// a reader.
    fn open_for_task(
        &mut self,
        job: JobId,
        template: &Template,
        path: &Path,
        append: bool,
        files: Option<&mut AttemptFiles>,
    ) -> Result<Option<SharedFile>, Unstarted> {
        let file = match self.sinks.open_file(path, append, job) {
            Ok(Opening::Done(file)) => file,
            Ok(Opening::NoReader) => return Ok(None),
            Err(error) => return Err(refused(path, error)),
        };
        let ours = files.is_some_and(|files| {
            if file.is_fifo {
                files.fifos.push(Arc::clone(&file.file));
            }
            files.note(file.identity)
        });
        let meets = file.before == Before::Written { by_this_job: true } && !ours && !self.again;
        // A file for each slot is meant to be that of several tasks.
        let by_chance = || template.placeholders().any(|placeholder| names_task(&placeholder.source));
        if meets && by_chance() && self.sinks.files.warns() {
            self.warnings.push(format!(
                "more than one task writes to `{}`, because their placeholders give one name: nothing is \
                 overwritten, but a name with `{{#}}` would be of one task alone",
                path.display()
            ));
        }
        Ok(Some(file))
    }

    /// Opens a file whose path has no placeholder. `None` for a FIFO without a reader.
    fn open_fixed(
        &mut self,
        key: OutputKey,
        job: &Job,
        path: &Path,
        append: bool,
    ) -> Result<Option<AttemptFile>, Unstarted> {
        let (job_id, id, stream) = key;
        let Some(&at) = self.fixed.by_output.get(&key) else { unreachable!("every output was looked at") };
        let direct = self.fixed.writes_itself(at, job, id, stream);
        let fixed = &mut self.fixed.files[at];
        let own = if fixed.one_task { Own::Task } else { Own::Shared };
        if let (Some(dest), false) = (fixed.dest, direct) {
            return Ok(Some(AttemptFile::Lane(dest, own)));
        }
        let opened = match fixed.file.clone() {
            Some(file) => Ok(Opening::Done(file)),
            None => self.sinks.open_file(path, append, job_id),
        };
        let file = match opened {
            Ok(Opening::Done(file)) => file,
            Ok(Opening::NoReader) if job.worker.is_none() => return Ok(None),
            Ok(Opening::NoReader) => {
                let dest = *fixed.dest.insert(self.sinks.add_file(path, None, Some(job_id)));
                return Ok(Some(AttemptFile::Lane(dest, own)));
            }
            Err(error) if direct => return Err(refused(path, error)),
            Err(error) => {
                let failure = match refused(path, error) {
                    Unstarted::Failed(failure) => failure,
                    short => return Err(short),
                };
                let dest = *fixed.dest.insert(self.sinks.add_unopened(failure.why));
                return Ok(Some(AttemptFile::Lane(dest, own)));
            }
        };
        Ok(Some(match direct {
            true => {
                // Other processes of the job, and those that it left, may write at the same time.
                os::files::set_append(&file.file);
                let direct = AttemptFile::Direct(Arc::clone(&file.file));
                fixed.file = Some(file);
                direct
            }
            false => {
                let dest = self.sinks.add_file(path, Some(file.clone()), Some(job_id));
                (fixed.file, fixed.dest) = (Some(file), Some(dest));
                AttemptFile::Lane(dest, own)
            }
        }))
    }

    /// Opens the file for the answer of a worker. A failure is the run's.
    pub fn open_answer(&mut self, job_id: JobId, job: &Job, scope: &Scope) -> Option<(Dest, Own)> {
        let stage = &job.stages[0];
        let Output::File { path: template, append, per_task, .. } = &stage.stdout else { return None };
        let path = path_of(template, &stage.base, scope);
        let opened = match per_task {
            false => self.open_fixed((job_id, StageId(0), Stream::Stdout), job, &path, *append),
            true => self.open_for_task(job_id, template, &path, *append, None).map(|file| {
                let dest = self.sinks.add_file(&path, file, Some(job_id));
                Some(AttemptFile::Lane(dest, Own::Attempt(Framing::Chunks)))
            }),
        };
        match opened {
            Ok(Some(AttemptFile::Lane(dest, own))) => Some((dest, own)),
            // Answers go through prun, and a FIFO of theirs is waited for where it is written.
            Ok(_) => None,
            Err(Unstarted::Failed(failure) | Unstarted::Shortage(_, failure)) => {
                Some((self.sinks.add_unopened(failure.why), Own::Shared))
            }
        }
    }

    /// Writes the number of the task to the file that is to have it.
    fn write_seq_file(&mut self, context: &LaunchContext, id: StageId) -> Result<Opened, Unstarted> {
        let stage = &context.job.stages[id];
        let Some(template) = stage.seq_file.as_ref().filter(|_| !self.again) else { return Ok(Opened::All) };
        let path = path_of(template, &stage.base, &context.scope);
        let Some(file) = self.open_for_task(context.job_id, template, &path, false, None)? else {
            return Ok(no_reader(&path));
        };
        let before = if file.before == Before::Untouched { "" } else { "\n" };
        let text = format!("{before}{}", context.scope.seq);
        (&*file.file).write_all(text.as_bytes()).map_err(|error| no_file(&path, &error))?;
        Ok(Opened::All)
    }
}

fn open_input(context: &LaunchContext, id: StageId, files: &mut AttemptFiles) -> Result<Opened, Unstarted> {
    let stage = &context.job.stages[id];
    let Stdin::File(path) = &stage.stdin else { return Ok(Opened::All) };
    let path = path_of(path, &stage.base, &context.scope);
    let failed = |error| no_file(&path, &error);
    let input = files.awaited_input.take().map_or_else(|| os::files::open_input_of_child(&path), Ok);
    let mut input = input.map_err(failed)?;
    if input.is_fifo {
        if !os::io::has_had_writer(input.file.as_fd()) {
            files.awaited_input = Some(input);
            return Ok(Opened::Waits(format!("nobody has opened `{}` for writing", path.display())));
        }
        input = input.unblock().map_err(failed)?;
    }
    files.input = input.identity;
    files.add(id, Port::Stdin, AttemptFile::Input(input.file.into()));
    Ok(Opened::All)
}

impl FixedFiles {
    /// True if processes write to the file themselves.
    fn writes_itself(&self, at: usize, job: &Job, id: StageId, stream: Stream) -> bool {
        // A worker writes answers, which prun reads.
        if job.worker.is_some() && stream == Stream::Stdout {
            return false;
        }
        let alone = self.files[at].names.len() == 1 && matches!(job.items, Items::None);
        is_direct(job, id, stream) && (alone || job.output == OutputMode::Raw)
    }
}

/// True if prun need not read the stream for another reason than to write it to its file.
fn is_direct(job: &Job, id: StageId, stream: Stream) -> bool {
    let shown = matches!(output_of(&job.stages[id], stream), Output::File { show: true, .. });
    !shown && !super::target::is_read(job, id, stream)
}

/// Returns how output flows into a file of one attempt. Whole lines cost a copy, and are needed where two streams meet.
fn framing(job: &Job, id: StageId, stream: Stream) -> Framing {
    let path = |output: &Output| match output {
        Output::File { path, .. } => Some(format!("{path:?}")),
        _ => None,
    };
    let this = path(output_of(&job.stages[id], stream));
    let others = outputs(job).filter(|(at, of, _)| (*at, *of) != (id, stream));
    if others.map(|(_, _, output)| path(output)).any(|other| other == this) {
        Framing::Lines
    } else {
        Framing::Chunks
    }
}

fn output_of(stage: &Stage, stream: Stream) -> &Output {
    match stream {
        Stream::Stdout => &stage.stdout,
        Stream::Stderr => &stage.stderr,
    }
}

fn port_of(stream: Stream) -> Port {
    match stream {
        Stream::Stdout => Port::Stdout,
        Stream::Stderr => Port::Stderr,
    }
}

/// True if the placeholder is meant to differ from task to task.
fn names_task(source: &Source) -> bool {
    !matches!(source, Source::Slot | Source::Lock(_))
}

fn no_reader(path: &Path) -> Opened {
    Opened::Waits(format!("nobody has opened `{}` for reading", path.display()))
}

fn refused(path: &Path, error: OpenError) -> Unstarted {
    match error {
        OpenError::Io(error) => no_file(path, &error),
        OpenError::Used(usage) => {
            let why = format!("`{}` would be overwritten, {usage}", path.display());
            StartFailure { code: 126, why }.into()
        }
    }
}
