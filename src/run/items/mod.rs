//! Items: where the work of tasks comes from.
//!
//! [`Sources`] owns a source for each job, which it opens at the job's first pull: a list in memory, a glob, lines or
//! rows of a file or pipe, blocks of an input, or records of a queue. The scheduler's pulls come in; the answer is a
//! [`Pulled`], one task's items at a time. Items are read only when they are wanted: a million lines cost no memory,
//! and the first task starts when the first line is there. A source never waits. If nothing can be read, the caller
//! asks the poller ([`Sources::watch`]) and pulls again.
//!
//! - [`intake`]: how many items each job asked for, and the work of tasks that wait
//! - [`source`]: the source of one job; [`reader`]: items one by one, from memory, a [`glob`], a [`stream`], or several of these joined
//! - [`cutter`]: bytes of a stream become items
//! - [`blocks`]: records cut from an input for the standard input of tasks
//! - [`chain`]: items that go from job to job
//!
//! The order that matters: the journal is asked for the name of each item once and in the order of the items, because
//! equal items are told apart by their count. With batches, items that it knows as done are left out before the batch
//! is filled.

pub mod blocks;
pub mod chain;
pub mod cutter;
pub mod glob;
pub mod intake;
pub mod reader;
mod source;
pub mod stream;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use crate::event::{JobId, Known, StartFailure};
use crate::os;
use crate::os::poller::{Interest, Poller};
use crate::plan::{Batch, Input, Item, Plan};
use crate::run::block::TaskBlock;
use crate::run::items::blocks::Blocks;
use crate::run::items::reader::Reader;
use crate::run::items::source::{Source, SourceKind};
use crate::run::queues::Queues;
use crate::run::record::ledger::Ledger;
use crate::run::token::Token;

/// The answer to a pull.
pub enum Pulled {
    /// The items of one task.
    Items {
        items: Rc<Vec<Item>>,
        /// The names of the items' columns.
        names: Arc<[String]>,
        /// The names by which the journal knows the items.
        known: Vec<Known>,
    },
    /// The first block of one task.
    Block(TaskBlock),
    /// Nothing is there now; see [`Sources::watch`].
    Wait,
    /// The source is to be asked again in the next turn of the loop.
    Again,
    End,
    /// The source can't be read.
    Failed(StartFailure),
}

/// Items of ended tasks that are kept for reuse, at most, and the largest of them in bytes.
const SPARE: usize = 1024;
const SPARE_VALUE: usize = 1024;

/// The sources of all jobs.
pub struct Sources {
    plan: Arc<Plan>,
    /// For each job: its source, between the first pull and the last.
    sources: Vec<Option<Source>>,
    /// Bytes that arguments and environment of one command may take.
    room: usize,
    /// Items of ended tasks, whose memory the next ones take.
    spare: Vec<Rc<Vec<Item>>>,
    /// True if each block is wanted as a whole.
    collect_blocks: bool,
}

impl Sources {
    pub fn new(plan: Arc<Plan>, room: usize) -> Sources {
        let sources = plan.jobs.iter().map(|_| None).collect();
        Sources { plan, sources, room, spare: Vec::new(), collect_blocks: false }
    }

    /// Lets no task have a block before its end has come.
    pub fn collect_blocks(&mut self) {
        self.collect_blocks = true;
    }

    /// Prepares a pull. A source that reads several inputs one after another is no longer watched, because the pull may
    /// end at another input.
    pub fn begin_pull(&mut self, job: JobId, poller: &Poller) {
        if let Some(Source { kind: SourceKind::Reader(Reader::Joined(_)), .. }) = &self.sources[job] {
            self.pause(job, poller);
        }
    }

    /// Returns the items of the next task of the job.
    pub fn next(&mut self, job: JobId, queues: &mut Queues, ledger: Option<&mut Ledger>) -> Pulled {
        if self.sources[job].is_none() {
            match Source::open(&self.plan, job, self.room) {
                Ok(mut source) => {
                    if let (SourceKind::Blocks(blocks), true) = (&mut source.kind, self.collect_blocks) {
                        blocks.collect();
                    }
                    self.sources[job] = Some(source);
                }
                Err(failure) => return Pulled::Failed(failure),
            }
        }
        let Some(source) = &mut self.sources[job] else { return Pulled::End };
        if let Some(why) = source.failed.take() {
            return Pulled::Failed(why);
        }
        let batch = self.plan.jobs[job].batch;
        if batch == Batch::One
            && let Some(mut items) = self.spare.pop()
        {
            source.awaited = false;
            if Rc::get_mut(&mut items).is_some_and(|items| source.refill(&mut items[0].columns[0])) {
                let names = Arc::clone(&source.names);
                let known = ledger.map(|ledger| ledger.identify(job, &items, &names)).unwrap_or_default();
                return Pulled::Items { items, names, known };
            }
            self.spare.push(items);
        }
        let pulled = source.next(job, batch, queues, ledger);
        source.awaited = matches!(pulled, Pulled::Wait);
        pulled
    }

    /// Returns what people should know of the items of the job that were read, once.
    pub fn take_warning(&mut self, job: JobId) -> Option<String> {
        self.sources[job].as_mut()?.take_warning()
    }

    /// Takes back the items of a task that is over. Where tasks are many and short, fresh memory for each would cost
    /// more than all else.
    pub fn give_back(&mut self, mut items: Rc<Vec<Item>>) {
        // Others may still need them.
        if Rc::get_mut(&mut items).is_some()
            && let [Item { columns, oversize: None }] = &items[..]
            && let [value] = &columns[..]
            && value.capacity() <= SPARE_VALUE
            && self.spare.len() < SPARE
        {
            self.spare.push(items);
        }
    }

    /// True if the answer to the last pull was to wait, and it may be another one now.
    pub fn is_awaited(&self, job: JobId) -> bool {
        self.sources[job].as_ref().is_some_and(|source| {
            let passes_on = matches!(&source.kind, SourceKind::Blocks(blocks) if blocks.begun().is_some());
            source.awaited && !passes_on
        })
    }

    /// Returns the input that tasks of the job are given block by block.
    pub fn blocks(&mut self, job: JobId) -> Option<&mut Blocks> {
        match &mut self.sources[job] {
            Some(Source { kind: SourceKind::Blocks(blocks), .. }) => Some(blocks),
            _ => None,
        }
    }

    /// Keeps a failure for the next pull, because this one has brought items before it. The other answers come again by
    /// themselves.
    pub fn put_back(&mut self, job: JobId, pulled: Pulled) {
        if let (Pulled::Failed(why), Some(source)) = (pulled, &mut self.sources[job]) {
            source.failed = Some(why);
        }
    }

    /// Returns how many more tasks the job will have, if the end of its items was read.
    pub fn tasks_left(&self, job: JobId) -> Option<u64> {
        let source = self.sources[job].as_ref()?;
        let SourceKind::Reader(Reader::Stream(stream)) = &source.kind else { return None };
        let items = stream.left()? + source.batch.len() as u64;
        match self.plan.jobs[job].batch {
            Batch::One => Some(items),
            Batch::UpTo(most) => Some(items.div_ceil(most as u64)),
            Batch::Fit => None,
        }
    }

    /// Returns how many items were left out of batches since the last call, because the journal knows them as done.
    pub fn take_left_out(&mut self, job: JobId) -> u64 {
        self.sources[job].as_mut().map_or(0, |source| std::mem::take(&mut source.left_out))
    }

    /// Asks the poller to report when items can be read.
    pub fn watch(&mut self, job: JobId, poller: &Poller) -> nix::Result<()> {
        if let Some(source) = &mut self.sources[job]
            && !source.watched
            && let Some(fd) = source.fd()
        {
            poller.add(fd, Token::Items(job).pack(), Interest::Read)?;
            source.watched = true;
        }
        Ok(())
    }

    /// Takes the source out of the poller, which is level-triggered and would report again and again while no item is
    /// wanted.
    pub fn pause(&mut self, job: JobId, poller: &Poller) {
        if let Some(source) = &mut self.sources[job]
            && source.watched
            && let Some(fd) = source.fd()
        {
            let _ = poller.remove(fd);
            source.watched = false;
        }
    }

    /// Closes the source of a job that wants no more items.
    pub fn close(&mut self, job: JobId, poller: &Poller) {
        self.pause(job, poller);
        self.sources[job] = None;
    }
}

/// Returns the failure of a job whose items can't be read: prun's own, not that of a command.
pub fn unread(why: String) -> StartFailure {
    StartFailure { code: 125, why }
}

/// Opens an input. Also returns its name for people.
pub fn open(input: &Input) -> (String, io::Result<OwnedFd>) {
    match input {
        Input::Stdin => ("stdin".to_owned(), own_stdin()),
        Input::File(path) => {
            (format!("`{}`", path.display()), os::files::open_input(path).map(OwnedFd::from))
        }
    }
}

/// Returns a descriptor of our own for prun's stdin. The open file behind it stays shared with whoever started prun.
fn own_stdin() -> io::Result<OwnedFd> {
    if !os::inherited::inherited().open[0] {
        return Err(io::Error::from_raw_os_error(nix::libc::EBADF));
    }
    os::std_streams::stdin().as_fd().try_clone_to_owned()
}
