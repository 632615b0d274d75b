//! What becomes descriptors 0, 1 and 2 of a task's processes, and where what they write goes.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::event::{JobId, StageId, StartFailure};
use crate::flow::output::{Dest, Escape, LaneSpec};
use crate::os;
use crate::os::io::{BIG_PIPE, PIPE};
use crate::plan::OutputMode;
use crate::plan::template::Scope;
use crate::plan::{Items, Job, Output, QueueId, Ready, ReadyCheck, Stage, Stdin};
use crate::run::attempt::feed::{Fed, Feed};
use crate::run::block::Block;
use crate::run::launch::unstarted::{Unstarted, no_pipe, shortage_of_files};
use crate::run::output::disk;
use crate::run::output::sinks::Sinks;
use crate::run::task::path_of;

/// Which of a stage's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Where a stream goes.
pub enum Target {
    /// A descriptor that prun keeps.
    Kept(RawFd),
    /// A file of this attempt's own.
    File(OwnedFd),
    /// Through prun.
    Lanes(Vec<LaneSpec>),
    /// Through prun, into a queue.
    Queue(QueueId, Vec<LaneSpec>),
    /// To prun, as answers of a worker.
    Answers,
    /// The next stage.
    Pipe,
    /// Where stdout goes.
    Stdout,
}

/// A file that is opened once for a job.
enum JobFile {
    Direct(File),
    Lane(Dest),
}

/// Descriptors that tasks share, and files of jobs.
pub struct Wiring {
    null: File,
    /// Never data, never an end: a pipe whose writing end nobody uses.
    open: Option<(os_pipe::PipeReader, os_pipe::PipeWriter)>,
    job_files: HashMap<(JobId, StageId, Stream), JobFile>,
    /// The destination of columns of the table, and how they are escaped.
    columns: Option<(Dest, Escape)>,
    /// How the run went, once all jobs have ended; for its hooks.
    pub report: Vec<u8>,
}

/// A child's stdin.
pub enum Source {
    Kept(RawFd),
    Owned(OwnedFd),
    /// The child's end, and what is still to be written to ours.
    Fed(OwnedFd, Option<Feed>),
    /// The child's end, and ours, which gets the records of a queue.
    Queue {
        queue: QueueId,
        ahead: bool,
        child: OwnedFd,
        ours: OwnedFd,
    },
}

/// The usual limit of the system.
const MOST_ROOM: usize = 1 << 20;

impl Wiring {
    pub fn new(columns: Option<(Dest, Escape)>) -> io::Result<Wiring> {
        Ok(Wiring {
            null: os::files::dev_null()?,
            open: None,
            job_files: HashMap::new(),
            columns,
            report: Vec::new(),
        })
    }

    /// `/dev/null`.
    pub fn null(&self) -> RawFd {
        self.null.as_raw_fd()
    }

    /// What the first stage reads. `whole`: items are fed as they are, without a newline.
    pub fn stdin(&mut self, stage: &Stage, scope: &Scope, whole: bool) -> Result<Source, Unstarted> {
        match &stage.stdin {
            Stdin::Null | Stdin::Pipe => Ok(Source::Kept(self.null.as_raw_fd())),
            Stdin::Dialogue(_) => {
                let (child, feed) = Feed::new().map_err(|error| no_pipe(&error))?;
                Ok(Source::Fed(child, Some(feed)))
            }
            Stdin::Queue { queue, ahead } => {
                let (child, ours) = os_pipe::pipe().map_err(|error| no_pipe(&error))?;
                os::io::set_nonblocking(ours.as_fd()).map_err(|error| no_pipe(&error.into()))?;
                Ok(Source::Queue { queue: *queue, ahead: *ahead, child: child.into(), ours: ours.into() })
            }
            Stdin::Inherit => Ok(Source::Kept(0)),
            Stdin::Open => {
                if self.open.is_none() {
                    self.open = Some(os_pipe::pipe().map_err(|error| no_pipe(&error))?);
                }
                Ok(Source::Kept(self.open.as_ref().map_or(-1, |(reader, _)| reader.as_raw_fd())))
            }
            Stdin::Item => {
                let mut bytes = Vec::new();
                for item in scope.items {
                    bytes.extend_from_slice(&item.columns.join(&b'\t'));
                    if !whole {
                        bytes.push(b'\n');
                    }
                }
                feed(&bytes).map(|(fd, feed)| Source::Fed(fd, feed))
            }
            Stdin::Report => feed(&self.report).map(|(fd, feed)| Source::Fed(fd, feed)),
            Stdin::Text(text) => feed(&text.rendered(scope)).map(|(fd, feed)| Source::Fed(fd, feed)),
            Stdin::File(path) => {
                let path = path_of(path, &stage.base, scope);
                let file = os::files::open_input(&path).map_err(|error| no_file(&path, &error))?;
                Ok(Source::Owned(file.into()))
            }
        }
    }

    /// Where a stage's stream goes.
    pub fn target(
        &mut self,
        job: (JobId, &Job),
        stage: StageId,
        stream: Stream,
        scope: &Scope,
        tag: Option<&Arc<[u8]>>,
        sinks: &mut Sinks,
    ) -> Result<Target, Unstarted> {
        let (id, job) = job;
        if job.worker.is_some() && stream == Stream::Stdout {
            return Ok(Target::Answers);
        }
        let (own, shown) = match stream {
            Stream::Stdout => (1, Dest::Stdout),
            Stream::Stderr => (2, Dest::Stderr),
        };
        let shown = LaneSpec { dest: shown, tag: tag.cloned(), escape: None, own: false };
        let output = match stream {
            Stream::Stdout => &job.stages[stage].stdout,
            Stream::Stderr => &job.stages[stage].stderr,
        };
        let file = |dest, own| LaneSpec { dest, tag: None, escape: None, own };
        // What the last stage writes to stdout is what the hook reads.
        let for_hook = job.has_hooks() && stage == job.last_stage() && stream == Stream::Stdout;
        // So does prun what it talks to, what is written to a terminal, or what a line is looked for in.
        let is_stdout = stream == Stream::Stdout;
        let heard = matches!(&job.ready, Some(Ready { check: ReadyCheck::Line(_), .. }))
            || is_stdout && (job.stages[stage].pty || matches!(job.stages[stage].stdin, Stdin::Dialogue(_)));
        let through = for_hook || heard;
        let mut target = match output {
            Output::Null if through => Target::Lanes(Vec::new()),
            Output::Null => Target::Kept(self.null.as_raw_fd()),
            Output::Inherit if heard => Target::Lanes(vec![LaneSpec { tag: None, ..shown }]),
            Output::Inherit => Target::Kept(own),
            Output::Queue { queue, show } => {
                Target::Queue(*queue, if *show { vec![shown] } else { Vec::new() })
            }
            Output::Pipe => Target::Pipe,
            Output::Stdout => Target::Stdout,
            Output::Show if job.output == OutputMode::Raw && !heard => Target::Kept(own),
            Output::Show => Target::Lanes(vec![shown]),
            Output::Table => {
                let column = |(dest, escape)| LaneSpec { dest, escape: Some(escape), ..shown };
                Target::Lanes(self.columns.map(column).into_iter().collect())
            }
            Output::File { path, append, show: false, per_task: true } if !through => {
                let path = path_of(path, &job.stages[stage].base, scope);
                let file = disk::create(&path, *append).map_err(|error| no_file(&path, &error))?;
                Target::File(file.into())
            }
            Output::File { path, append, show, per_task: true } => {
                let path = path_of(path, &job.stages[stage].base, scope);
                let own = file(sinks.open_file(path, *append), true);
                Target::Lanes(show.then_some(shown).into_iter().chain([own]).collect())
            }
            Output::File { path, append, show, per_task: false } => {
                let path = path_of(path, &job.stages[stage].base, scope);
                let alone = matches!(job.items, Items::None) || job.output == OutputMode::Raw;
                let direct = alone && !show && !through;
                match self.job_file((id, stage, stream), path, *append, direct, sinks)? {
                    JobFile::Direct(file) => Target::Kept(file.as_raw_fd()),
                    JobFile::Lane(dest) if *show => Target::Lanes(vec![shown, file(*dest, false)]),
                    JobFile::Lane(dest) => Target::Lanes(vec![file(*dest, false)]),
                }
            }
        };
        if let Target::Lanes(lanes) | Target::Queue(_, lanes) = &mut target
            && for_hook
        {
            lanes.push(file(Dest::Hook, false));
        }
        Ok(target)
    }

    /// Writes the number of the task to the file that is to have it.
    pub fn tell_seq(stage: &Stage, scope: &Scope) -> Result<(), Unstarted> {
        let Some(path) = &stage.seq_file else { return Ok(()) };
        let path = path_of(path, &stage.base, scope);
        let written =
            disk::create(&path, false).and_then(|mut file| file.write_all(scope.seq.to_string().as_bytes()));
        written.map_err(|error| no_file(&path, &error))
    }

    /// Where a worker's answer goes, but for queues.
    pub fn answer(
        &mut self,
        (id, job): (JobId, &Job),
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
                        // Only what children write themselves.
                        Ok(JobFile::Direct(_)) | Err(_) => None,
                    },
                };
                let file = dest.map(|dest| LaneSpec { dest, tag: None, escape: None, own: *per_task });
                show.then_some(shown).into_iter().chain(file).collect()
            }
            // None of the last three is a worker's.
            Output::Null
            | Output::Queue { show: false, .. }
            | Output::Pipe
            | Output::Stdout
            | Output::Table => Vec::new(),
        }
    }

    /// `direct`: the children write it themselves.
    fn job_file(
        &mut self,
        key: (JobId, StageId, Stream),
        path: PathBuf,
        append: bool,
        direct: bool,
        sinks: &mut Sinks,
    ) -> Result<&JobFile, Unstarted> {
        use std::collections::hash_map::Entry;
        Ok(match self.job_files.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) if direct => {
                // Several tasks may write at once: each at the end.
                if !append {
                    disk::create(&path, false).map_err(|error| no_file(&path, &error))?;
                }
                let file = disk::create(&path, true).map_err(|error| no_file(&path, &error))?;
                new.insert(JobFile::Direct(file))
            }
            Entry::Vacant(new) => new.insert(JobFile::Lane(sinks.open_file(path, append))),
        })
    }
}

/// A pipe from which a child reads these bytes.
pub fn feed(bytes: &[u8]) -> Result<(OwnedFd, Option<Feed>), Unstarted> {
    let (reader, mut feed) = Feed::new().map_err(|error| no_pipe(&error))?;
    if bytes.len() > PIPE {
        os::io::set_pipe_size(feed.fd(), BIG_PIPE);
    }
    feed.push(bytes);
    feed.end();
    // Most feeds fit into the pipe and cost the loop nothing more.
    let rest = (feed.write() != Fed::Over).then_some(feed);
    Ok((reader, rest))
}

/// `more`: other blocks may follow.
pub fn feed_block(block: Block, more: bool) -> Result<Source, Unstarted> {
    let (reader, mut feed) = Feed::new().map_err(|error| no_pipe(&error))?;
    if more || block.length() > PIPE as u64 {
        // A block that is passed on as it comes should fit.
        let size = if more { (block.length() as usize).clamp(BIG_PIPE, MOST_ROOM) } else { BIG_PIPE };
        if os::io::set_pipe_size(feed.fd(), size) < size {
            os::io::set_pipe_size(feed.fd(), BIG_PIPE);
        }
    }
    feed.push_block(block, true);
    if !more {
        feed.end();
    }
    // What fits into the pipe costs the loop nothing more. A failure is told when it is met again.
    let rest = (feed.write() != Fed::Over || feed.failure().is_some()).then_some(feed);
    Ok(Source::Fed(reader, rest))
}

fn no_file(path: &Path, error: &io::Error) -> Unstarted {
    let why = format!("could not open `{}`: {}", path.display(), os::errors::reason(error));
    Unstarted::new(shortage_of_files(error), StartFailure { code: 126, why })
}
