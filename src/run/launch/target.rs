//! The destinations of what the processes of a task, or a worker, write.

use std::io::Write as _;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::Arc;

use super::LaunchContext;
use super::unstarted::{Unstarted, no_file};
use super::wiring::{JobFile, Stream, Wiring};
use crate::event::{JobId, StageId};
use crate::flow::output::{Dest, LaneSpec};
use crate::plan::template::Scope;
use crate::plan::{Items, Job, Output, OutputMode, QueueId, Ready, ReadyCheck, Stage, Stdin};
use crate::run::output::disk;
use crate::run::output::sinks::Sinks;
use crate::run::task::path_of;

/// The destination of a stream.
pub enum Target {
    /// A descriptor that stays open in prun.
    Shared(RawFd),
    /// A file for this attempt alone.
    File(OwnedFd),
    /// A pipe to prun, which writes to these lanes.
    Lanes(Vec<LaneSpec>),
    /// A pipe to prun, which cuts records for a queue, and writes to these lanes.
    Queue(QueueId, Vec<LaneSpec>),
    /// A pipe to prun, for the answers of a worker.
    Answers,
    /// A pipe to the next stage.
    Pipe,
}

/// A file that a stream goes to.
struct FileOutput {
    path: PathBuf,
    append: bool,
    /// The lane that shows the stream, too.
    shown: Option<LaneSpec>,
    /// Each attempt opens its own file; otherwise the job has one.
    per_task: bool,
    /// prun has to read the stream, for another reason than to show it.
    through_prun: bool,
}

impl Wiring {
    /// Returns the destination of a stream of a stage. A stderr that goes where stdout goes is up to the caller.
    pub fn target(
        &mut self,
        context: &LaunchContext,
        id: StageId,
        stream: Stream,
        tag: Option<&Arc<[u8]>>,
        sinks: &mut Sinks,
    ) -> Result<Target, Unstarted> {
        let (job, stage) = (context.job, &context.job.stages[id]);
        let is_stdout = stream == Stream::Stdout;
        if job.worker.is_some() && is_stdout {
            return Ok(Target::Answers);
        }
        let (own, dest, output) = match stream {
            Stream::Stdout => (1, Dest::Stdout, &stage.stdout),
            Stream::Stderr => (2, Dest::Stderr, &stage.stderr),
        };
        let shown = LaneSpec { dest, tag: tag.cloned(), escape: None, own: false };
        // A hook reads what the last stage writes to stdout.
        let for_hook = job.has_hooks() && id == job.last_stage() && is_stdout;
        // prun itself reads from processes that it talks to, from terminals, and where a line shows readiness.
        let heard = matches!(&job.ready, Some(Ready { check: ReadyCheck::Line(_), .. }))
            || is_stdout && (stage.pty || matches!(stage.stdin, Stdin::Dialogue(_)));
        let through_prun = for_hook || heard;
        let mut target = match output {
            Output::Null if through_prun => Target::Lanes(Vec::new()),
            Output::Null => Target::Shared(self.null()),
            Output::Inherit if heard => Target::Lanes(vec![LaneSpec { tag: None, ..shown }]),
            Output::Inherit => Target::Shared(own),
            Output::Queue { queue, show } => {
                Target::Queue(*queue, if *show { vec![shown] } else { Vec::new() })
            }
            Output::Pipe => Target::Pipe,
            Output::Stdout => unreachable!("the caller gives such a stderr the descriptor of stdout"),
            Output::Show if job.output == OutputMode::Raw && !heard => Target::Shared(own),
            Output::Show => Target::Lanes(vec![shown]),
            Output::Table => {
                let column = |(dest, escape)| LaneSpec { dest, escape: Some(escape), ..shown };
                Target::Lanes(self.columns.map(column).into_iter().collect())
            }
            Output::File { path, append, show, per_task } => {
                let path = path_of(path, &stage.base, &context.scope);
                let (append, per_task) = (*append, *per_task);
                let file = FileOutput { path, append, shown: show.then_some(shown), per_task, through_prun };
                self.file_target(context, (context.job_id, id, stream), file, sinks)?
            }
        };
        if let Target::Lanes(lanes) | Target::Queue(_, lanes) = &mut target
            && for_hook
        {
            lanes.push(file_lane(Dest::Hook, false));
        }
        Ok(target)
    }

    fn file_target(
        &mut self,
        context: &LaunchContext,
        key: (JobId, StageId, Stream),
        file: FileOutput,
        sinks: &mut Sinks,
    ) -> Result<Target, Unstarted> {
        let FileOutput { path, append, shown, per_task, through_prun } = file;
        let direct = shown.is_none() && !through_prun;
        if per_task && direct {
            let file = disk::create(&path, append).map_err(|error| no_file(&path, &error))?;
            return Ok(Target::File(file.into()));
        }
        if per_task {
            let lane = file_lane(sinks.open_file(path, append), true);
            return Ok(Target::Lanes(shown.into_iter().chain([lane]).collect()));
        }
        // Tasks whose output is grouped must not write to the same file by themselves.
        let alone = matches!(context.job.items, Items::None) || context.job.output == OutputMode::Raw;
        Ok(match self.job_file(key, path, append, direct && alone, sinks)? {
            JobFile::Direct(file) => Target::Shared(file.as_raw_fd()),
            JobFile::Lane(dest) => {
                Target::Lanes(shown.into_iter().chain([file_lane(*dest, false)]).collect())
            }
        })
    }

    /// Returns the lanes of a worker's answer. Queues get answers in another way.
    pub fn answer_lanes(
        &mut self,
        id: JobId,
        job: &Job,
        scope: &Scope,
        tag: Option<Arc<[u8]>>,
        sinks: &mut Sinks,
    ) -> Vec<LaneSpec> {
        let stage = &job.stages[0];
        let shown = LaneSpec { dest: Dest::Stdout, tag, escape: None, own: false };
        match &stage.stdout {
            Output::Show | Output::Inherit | Output::Queue { show: true, .. } => vec![shown],
            Output::File { path, append, show, per_task } => {
                let path = path_of(path, &stage.base, scope);
                let key = (id, StageId(0), Stream::Stdout);
                let dest = match per_task {
                    true => Some(sinks.open_file(path, *append)),
                    false => match self.job_file(key, path, *append, false, sinks) {
                        Ok(JobFile::Lane(dest)) => Some(*dest),
                        // Only files that children write to themselves can be such, or fail.
                        Ok(JobFile::Direct(_)) | Err(_) => None,
                    },
                };
                let file = dest.map(|dest| file_lane(dest, *per_task));
                show.then_some(shown).into_iter().chain(file).collect()
            }
            // The last three are never the stdout of a worker.
            Output::Null
            | Output::Queue { show: false, .. }
            | Output::Pipe
            | Output::Stdout
            | Output::Table => Vec::new(),
        }
    }
}

/// Writes the number of the task to the file that is to have it.
pub fn write_seq_file(stage: &Stage, scope: &Scope) -> Result<(), Unstarted> {
    let Some(path) = &stage.seq_file else { return Ok(()) };
    let path = path_of(path, &stage.base, scope);
    let written =
        disk::create(&path, false).and_then(|mut file| file.write_all(scope.seq.to_string().as_bytes()));
    written.map_err(|error| no_file(&path, &error))
}

/// Returns a lane that ends at a file. With `own`, the file is that of one attempt.
fn file_lane(dest: Dest, own: bool) -> LaneSpec {
    LaneSpec { dest, tag: None, escape: None, own }
}
