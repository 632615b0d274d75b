//! The source of one job: reads items, asks the journal for their names, and puts them into batches.

use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::sync::Arc;

use super::Pulled;
use super::blocks::{self, Blocks};
use super::reader::{Reader, Turn};
use crate::event::{JobId, Known, StartFailure};
use crate::flow::queue::Taken;
use crate::os;
use crate::plan::argv::{Fitter, variables_len};
use crate::plan::header::name_columns;
use crate::plan::items::{self, Next};
use crate::plan::{Batch, Bounds, Command, Item, Items, Plan, QueueId, Stage, room_for_lock_values};
use crate::run::queues::Queues;
use crate::run::record::ledger::Ledger;

/// Bytes that `PRUN_…` variables take of the room for arguments, at most.
const OWN_VARIABLES: usize = 4096;

/// The source of one job.
pub(super) struct Source {
    plan: Arc<Plan>,
    job: JobId,
    pub(super) kind: SourceKind,
    /// The names of the items' columns.
    pub(super) names: Arc<[String]>,
    /// Items of a batch that is not full yet, and their names in the journal.
    pub(super) batch: Vec<Item>,
    known: Vec<Known>,
    /// The item that did not fit into the last batch.
    left_over: Option<(Item, Vec<Known>)>,
    /// Items that were left out of batches, because the journal knows them as done.
    pub(super) left_out: u64,
    /// A failure for the next pull.
    pub(super) failed: Option<StartFailure>,
    /// Set if a batch takes as many items as fit into one command.
    limit: Option<ArgumentLimit>,
    /// True while the poller reports when more can be read.
    pub(super) watched: bool,
    /// True while the scheduler waits for an item.
    pub(super) awaited: bool,
}

/// The system's limit of arguments for one command.
struct ArgumentLimit {
    fitter: Fitter,
    command: Command,
}

pub(super) enum SourceKind {
    Reader(Reader),
    /// An input that is cut into blocks.
    Blocks(Box<Blocks>),
    /// Records of a queue.
    Queue {
        job: JobId,
        queue: QueueId,
        separator: Option<u8>,
    },
}

impl Source {
    pub(super) fn open(plan: &Arc<Plan>, id: JobId, room: usize) -> Result<Source, StartFailure> {
        let job = &plan.jobs[id];
        let kind = match &job.items {
            _ if blocks::input_of(plan, job).is_some() => {
                SourceKind::Blocks(Box::new(Blocks::open(plan, job)?))
            }
            Items::Queue { queue, separator } => {
                SourceKind::Queue { job: id, queue: *queue, separator: *separator }
            }
            items => SourceKind::Reader(
                Reader::open(items, Bounds::of(plan, job)).map_err(|why| StartFailure { code: 126, why })?,
            ),
        };
        let limit = (job.batch == Batch::Fit).then(|| {
            let stage = &job.stages[0];
            let command = stage.command.clone();
            let fixed = os::env::Env::inherited().room()
                + OWN_VARIABLES
                + room_for_lock_values(plan, job)
                + variables_len(&stage.env)
                + env_file_room(stage);
            ArgumentLimit { fitter: Fitter::new(&command, &job.name, fixed, room), command }
        });
        let names = items::column_names(&job.items).into();
        Ok(Source {
            plan: Arc::clone(plan),
            job: id,
            kind,
            names,
            batch: Vec::new(),
            known: Vec::new(),
            left_over: None,
            left_out: 0,
            failed: None,
            limit,
            watched: false,
            awaited: false,
        })
    }

    /// Returns the descriptor that is readable when more items can be read.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.kind {
            SourceKind::Reader(reader) => reader.fd(),
            SourceKind::Blocks(blocks) => blocks.fd(),
            SourceKind::Queue { .. } => None,
        }
    }

    pub(super) fn next(
        &mut self,
        job: JobId,
        batch: Batch,
        queues: &mut Queues,
        mut ledger: Option<&mut Ledger>,
    ) -> Pulled {
        if let SourceKind::Blocks(blocks) = &mut self.kind {
            return blocks.pull();
        }
        let mut turn = Turn::default();
        while turn.goes_on() {
            let next = match self.left_over.take() {
                Some((item, known)) => Ok((Next::Item(Some(item)), known)),
                None => self.read(queues).map(|next| {
                    let known = self.identify(job, &next, ledger.as_deref_mut());
                    (next, known)
                }),
            };
            if let Ok((Next::Item(Some(item)), _)) = &next {
                turn.count(item);
            }
            match next {
                Ok((Next::Item(None), known)) => {
                    return Pulled::Items { items: Rc::default(), names: Arc::clone(&self.names), known };
                }
                Ok((Next::Item(Some(_)), known))
                    if batch != Batch::One
                        && ledger.as_deref_mut().is_some_and(|ledger| ledger.is_done(job, &known)) =>
                {
                    self.left_out += 1;
                }
                // Its task fails, and no other item with it.
                Ok((Next::Item(Some(item)), known)) if item.oversize.is_some() => {
                    return Pulled::Items {
                        items: Rc::new(vec![item]),
                        names: Arc::clone(&self.names),
                        known,
                    };
                }
                Ok((Next::Item(Some(item)), known)) => {
                    if let Some(ArgumentLimit { fitter, command }) = &mut self.limit
                        && !fitter.take(command, &self.names, &item)
                    {
                        self.left_over = Some((item, known));
                        return self.take_batch();
                    }
                    self.batch.push(item);
                    self.known.extend(known);
                    match batch {
                        Batch::One => return self.take_batch(),
                        Batch::UpTo(most) if self.batch.len() >= most => return self.take_batch(),
                        Batch::UpTo(_) | Batch::Fit => {}
                    }
                }
                Ok((Next::Wait, _)) => return Pulled::Wait,
                Ok((Next::Again, _)) => return Pulled::Again,
                Ok((Next::End, _)) if self.batch.is_empty() => return Pulled::End,
                Ok((Next::End, _)) => return self.take_batch(),
                Err(why) if self.batch.is_empty() => return Pulled::Failed(why),
                // The items that were read before are whole.
                Err(why) => {
                    self.failed = Some(why);
                    return self.take_batch();
                }
            }
        }
        Pulled::Again
    }

    /// Returns what people should know of the items that were read, once.
    pub(super) fn take_warning(&mut self) -> Option<String> {
        match &mut self.kind {
            SourceKind::Reader(reader) => reader.take_warning(),
            SourceKind::Blocks(_) | SourceKind::Queue { .. } => None,
        }
    }

    /// Overwrites the value of an old item with the next one, if that is a record of one column that has been read.
    pub(super) fn refill(&mut self, value: &mut Vec<u8>) -> bool {
        match &mut self.kind {
            SourceKind::Reader(Reader::Stream(stream))
                if self.limit.is_none() && self.left_over.is_none() =>
            {
                stream.refill(value)
            }
            _ => false,
        }
    }

    fn take_batch(&mut self) -> Pulled {
        if let Some(limit) = &mut self.limit {
            limit.fitter.clear();
        }
        let (items, known) = (std::mem::take(&mut self.batch), std::mem::take(&mut self.known));
        Pulled::Items { items: Rc::new(items), names: Arc::clone(&self.names), known }
    }

    fn identify(&self, job: JobId, next: &Next, ledger: Option<&mut Ledger>) -> Vec<Known> {
        match (next, ledger) {
            (Next::Item(item), Some(ledger)) => ledger.identify(job, item.as_slice(), &self.names),
            _ => Vec::new(),
        }
    }

    /// Reads one item.
    fn read(&mut self, queues: &mut Queues) -> Result<Next, StartFailure> {
        match &mut self.kind {
            SourceKind::Reader(reader) => {
                let before = Arc::as_ptr(&self.names);
                let next = reader.next(&mut self.names)?;
                // A header was read: whatever is wrong with the texts that use it is told before the first task.
                if !std::ptr::eq(before, Arc::as_ptr(&self.names)) {
                    name_columns(&self.plan, self.job, &self.names).map_err(super::unread)?;
                }
                Ok(next)
            }
            SourceKind::Blocks(_) => Ok(Next::End),
            SourceKind::Queue { job, queue, separator } => Ok(record(queues, *queue, *job, *separator)),
        }
    }
}

/// Returns how much of the room for arguments the variables of `env_file`s take at most. The shortest variable, `A=`,
/// is three bytes of a file, and takes that and a pointer.
fn env_file_room(stage: &Stage) -> usize {
    let len = |path| std::fs::metadata(stage.base.join(path)).map_or(0, |file| file.len() as usize);
    stage.attributes.env_files.iter().map(len).sum::<usize>() * 4
}

/// Takes a record of a queue as an item.
fn record(queues: &mut Queues, queue: QueueId, job: JobId, separator: Option<u8>) -> Next {
    let span = match queues.take(queue, job) {
        Taken::Record(span) => span,
        Taken::Empty => return Next::Wait,
        Taken::End => return Next::End,
    };
    let bytes = span.strip_suffix(queues.ending(queue)).unwrap_or(&span);
    let columns = match separator {
        Some(separator) => bytes.split(|&byte| byte == separator).map(<[u8]>::to_vec).collect(),
        None => vec![bytes.to_vec()],
    };
    Next::Item(Some(Item::new(columns)))
}
