//! Items, read when they are wanted: a million lines cost no memory, and the first task starts when the first
//! line is there.

pub mod blocks;
pub mod chain;
pub mod glob;
pub mod intake;
pub mod reader;
pub mod stream;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::event::{JobId, Known};
use crate::flow::queue::Taken;
use crate::os;
use crate::os::poller::{Interest, Poller};
use crate::plan::argv::{Fitter, variables_len};
use crate::plan::items::{self, Next};
use crate::plan::{Batch, Command, Input, Item, Items, Plan, QueueId, Stage, room_for_lock_values};
use crate::run::block::Block;
use crate::run::items::blocks::Blocks;
use crate::run::items::reader::Reader;
use crate::run::queues::Queues;
use crate::run::record::ledger::Ledger;
use crate::run::token::Token;

/// The answer to a pull.
pub enum Pulled {
    /// What one task works on, the names of its columns, and what the journal knows it by.
    Items(Vec<Item>, Arc<[String]>, Vec<Known>),
    /// What one task reads.
    Block(Block),
    /// Nothing is there now; see [`Sources::watch`].
    Wait,
    /// It is to be asked again in the next turn of the loop.
    Again,
    End,
    Failed(String),
}

/// So many items of ended tasks are used again, and none that takes more memory.
const SPARE: usize = 1024;
const SPARE_VALUE: usize = 1024;
/// What `PRUN_…` variables take of the room for arguments, at most.
const OWN_VARIABLES: usize = 4096;

/// The sources of all jobs, opened when they are first asked.
pub struct Sources {
    plan: Arc<Plan>,
    sources: Vec<Option<Source>>,
    /// Bytes that arguments and environment of one command may take.
    room: usize,
    /// What tasks worked on that are over: room for the next ones.
    spare: Vec<Vec<Item>>,
}

impl Sources {
    pub fn new(plan: Arc<Plan>, room: usize) -> Sources {
        let sources = plan.jobs.iter().map(|_| None).collect();
        Sources { plan, sources, room, spare: Vec::new() }
    }

    /// Of several inputs that are read one after another, the next pull may end with another one than is watched.
    pub fn begin(&mut self, job: JobId, poller: &Poller) {
        if let Some(Source { kind: Kind::Reader(Reader::Joined(_)), .. }) = &self.sources[job] {
            self.pause(job, poller);
        }
    }

    /// What the next task of the job works on.
    pub fn next(&mut self, job: JobId, queues: &mut Queues, ledger: Option<&mut Ledger>) -> Pulled {
        if self.sources[job].is_none() {
            match Source::open(&self.plan, job, self.room) {
                Ok(source) => self.sources[job] = Some(source),
                Err(why) => return Pulled::Failed(why),
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
            source.asked = false;
            if source.refill(&mut items[0].columns[0]) {
                let names = Arc::clone(&source.names);
                let known = ledger.map(|ledger| ledger.know(job, &items, &names)).unwrap_or_default();
                return Pulled::Items(items, names, known);
            }
            self.spare.push(items);
        }
        let pulled = source.next(job, batch, queues, ledger);
        source.asked = matches!(pulled, Pulled::Wait);
        pulled
    }

    /// A task that worked on these is over. Where tasks are many and short, getting fresh memory for each would cost
    /// more than all else.
    pub fn give_back(&mut self, items: Vec<Item>) {
        if let [Item { columns }] = &items[..]
            && let [value] = &columns[..]
            && value.capacity() <= SPARE_VALUE
            && self.spare.len() < SPARE
        {
            self.spare.push(items);
        }
    }

    /// The last pull was told to wait.
    pub fn is_asked(&self, job: JobId) -> bool {
        self.sources[job].as_ref().is_some_and(|source| source.asked)
    }

    /// What tasks of the job are given block by block.
    pub fn blocks(&mut self, job: JobId) -> Option<&mut Blocks> {
        match &mut self.sources[job] {
            Some(Source { kind: Kind::Blocks(blocks), .. }) => Some(blocks),
            _ => None,
        }
    }

    /// Why there was no next one, told before that mattered: to be told again. What comes again by itself need not
    /// be kept.
    pub fn put_back(&mut self, job: JobId, pulled: Pulled) {
        if let (Pulled::Failed(why), Some(source)) = (pulled, &mut self.sources[job]) {
            source.failed = Some(why);
        }
    }

    /// How many more tasks the job will have, if the end of its items was read.
    pub fn tasks_left(&self, job: JobId) -> Option<u64> {
        let source = self.sources[job].as_ref()?;
        let Kind::Reader(Reader::Stream(stream)) = &source.kind else { return None };
        let items = stream.left()? + source.batch.len() as u64;
        match self.plan.jobs[job].batch {
            Batch::One => Some(items),
            Batch::UpTo(most) => Some(items.div_ceil(most as u64)),
            Batch::Fit => None,
        }
    }

    /// How many items were left out of batches since the last call, because the journal knows them.
    pub fn passed(&mut self, job: JobId) -> u64 {
        self.sources[job].as_mut().map_or(0, |source| std::mem::take(&mut source.passed))
    }

    /// Asks the poller to tell when items can be read.
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

    /// Asks it no longer. Level-triggered, it would tell again and again while no item is wanted.
    pub fn pause(&mut self, job: JobId, poller: &Poller) {
        if let Some(source) = &mut self.sources[job]
            && source.watched
            && let Some(fd) = source.fd()
        {
            let _ = poller.remove(fd);
            source.watched = false;
        }
    }

    /// The job wants no more items.
    pub fn close(&mut self, job: JobId, poller: &Poller) {
        self.pause(job, poller);
        self.sources[job] = None;
    }
}

struct Source {
    kind: Kind,
    names: Arc<[String]>,
    /// Items of a batch that is not full yet, and what the journal knows them by.
    batch: Vec<Item>,
    known: Vec<Known>,
    /// The item that did not fit into the last batch.
    left_over: Option<(Item, Vec<Known>)>,
    /// Items that need not be in any batch, because the journal knows them.
    passed: u64,
    /// It was found that it can't be read on.
    failed: Option<String>,
    fit: Option<Fit>,
    /// The poller tells when more can be read.
    watched: bool,
    /// The scheduler waits for an item.
    asked: bool,
}

/// As many items as the system takes for one command.
struct Fit {
    fitter: Fitter,
    what: Command,
}

enum Kind {
    Reader(Reader),
    /// What tasks read.
    Blocks(Box<Blocks>),
    /// Records for this job.
    Queue {
        job: JobId,
        queue: QueueId,
        separator: Option<u8>,
    },
}

impl Source {
    fn open(plan: &Plan, id: JobId, room: usize) -> Result<Source, String> {
        let job = &plan.jobs[id];
        let kind = match &job.items {
            _ if blocks::input_of(plan, job).is_some() => Kind::Blocks(Box::new(Blocks::open(plan, job)?)),
            Items::Queue { queue, separator } => {
                Kind::Queue { job: id, queue: *queue, separator: *separator }
            }
            items => Kind::Reader(Reader::open(items)?),
        };
        let fit = (job.batch == Batch::Fit).then(|| {
            let stage = &job.stages[0];
            let what = stage.command.clone();
            let fixed = os::env::Env::inherited().room()
                + OWN_VARIABLES
                + room_for_lock_values(plan, job)
                + variables_len(&stage.env)
                + in_files(stage);
            Fit { fitter: Fitter::new(&what, &job.name, fixed, room), what }
        });
        let names = items::column_names(&job.items).into();
        Ok(Source {
            kind,
            names,
            batch: Vec::new(),
            known: Vec::new(),
            left_over: None,
            passed: 0,
            failed: None,
            fit,
            watched: false,
            asked: false,
        })
    }

    /// What more items can be read from.
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.kind {
            Kind::Reader(reader) => reader.fd(),
            Kind::Blocks(blocks) => blocks.fd(),
            Kind::Queue { .. } => None,
        }
    }

    fn next(
        &mut self,
        job: JobId,
        batch: Batch,
        queues: &mut Queues,
        mut ledger: Option<&mut Ledger>,
    ) -> Pulled {
        if let Kind::Blocks(blocks) = &mut self.kind {
            return blocks.pull();
        }
        loop {
            let next = match self.left_over.take() {
                Some((item, known)) => Ok((Next::Item(Some(item)), known)),
                None => self.one(queues).map(|next| {
                    let known = self.know(job, &next, ledger.as_deref_mut());
                    (next, known)
                }),
            };
            match next {
                Ok((Next::Item(None), known)) => {
                    return Pulled::Items(Vec::new(), Arc::clone(&self.names), known);
                }
                Ok((Next::Item(Some(_)), known))
                    if batch != Batch::One
                        && ledger.as_deref_mut().is_some_and(|ledger| ledger.is_done(job, &known)) =>
                {
                    self.passed += 1;
                }
                Ok((Next::Item(Some(item)), known)) => {
                    if let Some(Fit { fitter, what }) = &mut self.fit
                        && !fitter.take(what, &self.names, &item)
                    {
                        self.left_over = Some((item, known));
                        return self.full();
                    }
                    self.batch.push(item);
                    self.known.extend(known);
                    match batch {
                        Batch::One => return self.full(),
                        Batch::UpTo(most) if self.batch.len() >= most => return self.full(),
                        Batch::UpTo(_) | Batch::Fit => {}
                    }
                }
                Ok((Next::Wait, _)) => return Pulled::Wait,
                Ok((Next::Again, _)) => return Pulled::Again,
                Ok((Next::End, _)) if self.batch.is_empty() => return Pulled::End,
                Ok((Next::End, _)) => return self.full(),
                Err(why) => return Pulled::Failed(why),
            }
        }
    }

    /// Puts the next item in the place of one that was, if it is a record that was read.
    fn refill(&mut self, value: &mut Vec<u8>) -> bool {
        match &mut self.kind {
            Kind::Reader(Reader::Stream(stream)) if self.fit.is_none() && self.left_over.is_none() => {
                stream.refill(value)
            }
            _ => false,
        }
    }

    fn full(&mut self) -> Pulled {
        if let Some(fit) = &mut self.fit {
            fit.fitter.clear();
        }
        let known = std::mem::take(&mut self.known);
        Pulled::Items(std::mem::take(&mut self.batch), Arc::clone(&self.names), known)
    }

    fn know(&self, job: JobId, next: &Next, ledger: Option<&mut Ledger>) -> Vec<Known> {
        match (next, ledger) {
            (Next::Item(item), Some(ledger)) => ledger.know(job, item.as_slice(), &self.names),
            _ => Vec::new(),
        }
    }

    fn one(&mut self, queues: &mut Queues) -> Result<Next, String> {
        match &mut self.kind {
            Kind::Reader(reader) => reader.next(&mut self.names),
            Kind::Blocks(_) => Ok(Next::End),
            Kind::Queue { job, queue, separator } => Ok(record(queues, *queue, *job, *separator)),
        }
    }
}

/// What variables of files take of the room for arguments, at most: the shortest, `A=`, are three bytes of a file, and
/// take that and a pointer.
fn in_files(stage: &Stage) -> usize {
    let len = |path| std::fs::metadata(stage.base.join(path)).map_or(0, |file| file.len() as usize);
    stage.attributes.env_files.iter().map(len).sum::<usize>() * 4
}

/// A record of a queue as an item.
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
    Next::Item(Some(Item { columns }))
}

/// What people call it, and a descriptor to read it.
pub fn open(input: &Input) -> (String, io::Result<OwnedFd>) {
    match input {
        Input::Stdin => ("stdin".to_owned(), own_stdin()),
        Input::File(path) => {
            (format!("`{}`", path.display()), os::files::open_input(path).map(OwnedFd::from))
        }
    }
}

/// A descriptor of our own for prun's stdin; what is behind it stays shared with whoever started prun.
fn own_stdin() -> io::Result<OwnedFd> {
    if !os::inherited::inherited().open[0] {
        return Err(io::Error::from_raw_os_error(nix::libc::EBADF));
    }
    os::std_streams::stdin().as_fd().try_clone_to_owned()
}
