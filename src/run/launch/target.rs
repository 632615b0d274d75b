//! The destinations of what the processes of a task, or a worker, write.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use super::LaunchContext;
use super::files::Opener;
use super::wiring::{Stream, Wiring};
use crate::event::{JobId, StageId};
use crate::flow::output::{Dest, LaneSpec, Own};
use crate::plan::template::Scope;
use crate::plan::{Job, Output, OutputMode, QueueId, Ready, ReadyCheck, Stdin};
use crate::run::attempt::files::{AttemptFile, AttemptFiles, Port};
use crate::run::output::sinks::Sinks;

/// The destination of a stream.
pub enum Target {
    /// A descriptor that stays open in prun.
    Shared(RawFd),
    /// A pipe to prun, which writes to these lanes.
    Lanes(Vec<LaneSpec>),
    /// A pipe to prun, which cuts records for a queue, and writes to these lanes.
    Queue(QueueId, Vec<LaneSpec>),
    /// A pipe to prun, for the answers of a worker.
    Answers,
    /// A pipe to the next stage.
    Pipe,
}

impl Wiring {
    /// Returns the destination of a stream of a stage. A stderr that goes where stdout goes is up to the caller.
    pub fn target(
        &mut self,
        context: &LaunchContext,
        id: StageId,
        stream: Stream,
        tag: Option<&Arc<[u8]>>,
        files: &AttemptFiles,
    ) -> Target {
        let (job, stage) = (context.job, &context.job.stages[id]);
        let is_stdout = stream == Stream::Stdout;
        if job.worker.is_some() && is_stdout {
            return Target::Answers;
        }
        let (own, dest, output) = match stream {
            Stream::Stdout => (1, Dest::Stdout, &stage.stdout),
            Stream::Stderr => (2, Dest::Stderr, &stage.stderr),
        };
        let shown = LaneSpec { dest, tag: tag.cloned(), escape: None, own: Own::Shared };
        let heard = is_heard(job, id, stream);
        let through_prun = is_read(job, id, stream);
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
            Output::File { show, .. } => {
                let port = if is_stdout { Port::Stdout } else { Port::Stderr };
                match files.output(id, port) {
                    Some(AttemptFile::Direct(file)) => Target::Shared(file.as_raw_fd()),
                    Some(AttemptFile::Lane(dest, own)) => {
                        let shown = show.then_some(shown);
                        Target::Lanes(shown.into_iter().chain([file_lane(*dest, *own)]).collect())
                    }
                    Some(AttemptFile::Input(_)) | None => {
                        unreachable!("files are opened before the first stage starts")
                    }
                }
            }
        };
        if let Target::Lanes(lanes) | Target::Queue(_, lanes) = &mut target
            && is_for_hook(job, id, stream)
        {
            lanes.push(file_lane(Dest::Hook, Own::Shared));
        }
        target
    }

    /// Returns the lanes of a worker's answer. Queues get answers in another way.
    pub fn answer_lanes(
        &mut self,
        id: JobId,
        job: &Job,
        scope: &Scope,
        tag: Option<Arc<[u8]>>,
        (sinks, warnings): (&mut Sinks, &mut Vec<String>),
    ) -> Vec<LaneSpec> {
        let shown = LaneSpec { dest: Dest::Stdout, tag, escape: None, own: Own::Shared };
        match &job.stages[0].stdout {
            Output::Show | Output::Inherit | Output::Queue { show: true, .. } => vec![shown],
            Output::File { show, .. } => {
                let mut opener = Opener { fixed: &mut self.fixed, sinks, warnings, again: false };
                let file = opener.open_answer(id, job, scope);
                let file = file.map(|(dest, own)| file_lane(dest, own));
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

/// True if a hook reads the stream: it is what the last stage writes to stdout.
fn is_for_hook(job: &Job, id: StageId, stream: Stream) -> bool {
    job.has_hooks() && id == job.last_stage() && stream == Stream::Stdout
}

/// True if prun itself reads the stream: from processes that it talks to, from terminals, and where a line shows
/// readiness.
fn is_heard(job: &Job, id: StageId, stream: Stream) -> bool {
    let stage = &job.stages[id];
    matches!(&job.ready, Some(Ready { check: ReadyCheck::Line(_), .. }))
        || stream == Stream::Stdout && (stage.pty || matches!(stage.stdin, Stdin::Dialogue(_)))
}

/// True if prun has to read the stream, for another reason than to show it.
pub(super) fn is_read(job: &Job, id: StageId, stream: Stream) -> bool {
    is_heard(job, id, stream) || is_for_hook(job, id, stream)
}

/// Returns a lane that ends at a file.
fn file_lane(dest: Dest, own: Own) -> LaneSpec {
    LaneSpec { dest, tag: None, escape: None, own }
}
