//! Items, read when they are wanted: a million lines cost no memory, and the first task starts when the first
//! line is there.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::queues::Queues;
use super::token::Token;
use crate::flow::queue::Taken;
use crate::flow::records::Splitter;
use crate::flow::table::Table;
use crate::os;
use crate::os::input::SharedInput;
use crate::os::poller::{Interest, Poller};
use crate::plan::argv::Fitter;
use crate::plan::items::{self, ItemIter};
use crate::plan::{Batch, Input, Item, Items, Job, Plan, QueueId, What};

mod paths;
use paths::Paths;

/// The answer to a pull.
pub enum Pulled {
    /// What one task works on, and the names of its columns.
    Items(Vec<Item>, Arc<[String]>),
    /// Nothing is there now; see [`Sources::watch`].
    Wait,
    End,
    Failed(String),
}

/// One chunk of a file or a pipe.
const CHUNK: usize = 64 << 10;
/// So much is read before it is wanted.
const AHEAD: usize = 256 << 10;
/// So many items of ended tasks are used again, and none that takes more memory.
const SPARE: usize = 1024;
const SPARE_VALUE: usize = 1024;
/// What `PRUN_…` variables take of the room for arguments, at most.
const OWN_VARIABLES: usize = 4096;

/// Tasks of a job, if that is known before any item is read.
pub fn known_total(plan: &Plan, job: &Job) -> Option<u64> {
    let mut job = job;
    while let Items::Of(before) = job.items {
        job = &plan.jobs[before];
    }
    items::known_total(&job.items, &job.batch)
}

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

    /// What the next task of the job works on.
    pub fn next(&mut self, job: usize, queues: &mut Queues) -> Pulled {
        if self.sources[job].is_none() {
            match Source::open(job, &self.plan.jobs[job], self.room) {
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
            if source.refill(&mut items[0].columns[0]) {
                return Pulled::Items(items, Arc::clone(&source.names));
            }
            self.spare.push(items);
        }
        source.next(batch, queues)
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

    /// Why there was no next one, told before that mattered: to be told again. What comes again by itself need not
    /// be kept.
    pub fn put_back(&mut self, job: usize, pulled: Pulled) {
        if let (Pulled::Failed(why), Some(source)) = (pulled, &mut self.sources[job]) {
            source.failed = Some(why);
        }
    }

    /// How many more tasks the job will have, if the end of its items was read.
    pub fn tasks_left(&self, job: usize) -> Option<u64> {
        let source = self.sources[job].as_ref()?;
        let Kind::Stream(stream) = &source.kind else { return None };
        let items = stream.form.left()? + source.batch.len() as u64;
        match self.plan.jobs[job].batch {
            Batch::One => Some(items),
            Batch::UpTo(most) => Some(items.div_ceil(most as u64)),
            Batch::Fit => None,
        }
    }

    /// Asks the poller to tell when items can be read.
    pub fn watch(&mut self, job: usize, poller: &Poller) -> nix::Result<()> {
        if let Some(Source { kind: Kind::Stream(stream), .. }) = &mut self.sources[job]
            && !stream.watched
        {
            poller.add(stream.input.fd(), Token::Items(job).pack(), Interest::Read)?;
            stream.watched = true;
        }
        Ok(())
    }

    /// Asks it no longer. Level-triggered, it would tell again and again while no item is wanted.
    pub fn pause(&mut self, job: usize, poller: &Poller) {
        if let Some(Source { kind: Kind::Stream(stream), .. }) = &mut self.sources[job]
            && stream.watched
        {
            let _ = poller.remove(stream.input.fd());
            stream.watched = false;
        }
    }

    /// The job wants no more items.
    pub fn close(&mut self, job: usize, poller: &Poller) {
        self.pause(job, poller);
        self.sources[job] = None;
    }
}

struct Source {
    kind: Kind,
    names: Arc<[String]>,
    /// Items of a batch that is not full yet.
    batch: Vec<Item>,
    /// The item that did not fit into the last batch.
    left_over: Option<Item>,
    /// It was found that it can't be read on.
    failed: Option<String>,
    fit: Option<Fit>,
}

/// As many items as the system takes for one command.
struct Fit {
    fitter: Fitter,
    what: What,
}

enum Kind {
    /// In memory, or counted out.
    Memory(ItemIter),
    Glob(Paths),
    Stream(Box<Stream>),
    /// Records for this job.
    Queue {
        job: usize,
        queue: QueueId,
        separator: Option<u8>,
    },
}

struct Stream {
    input: SharedInput,
    /// For messages.
    name: String,
    form: Form,
    chunk: Vec<u8>,
    /// Why it ended early; told after what was read before.
    failure: Option<String>,
    ended: bool,
    watched: bool,
}

enum Form {
    Records(Splitter),
    Table { table: Box<Table>, header: bool },
}

/// One item, or why there is none.
enum Next {
    Item(Option<Item>),
    Wait,
    End,
}

impl Source {
    fn open(index: usize, job: &Job, room: usize) -> Result<Source, String> {
        let kind = match &job.items {
            Items::Glob { pattern, base } => Kind::Glob(Paths::open(pattern, base)?),
            Items::Queue { queue, separator } => {
                Kind::Queue { job: index, queue: *queue, separator: *separator }
            }
            Items::Lines { from, separator, skip_empty } => {
                let form = Form::Records(Splitter::new(*separator, *skip_empty));
                Kind::Stream(Stream::open(from, form)?)
            }
            Items::Csv { from, separator, header } => {
                let form = Form::Table { table: Box::new(Table::new(*separator)), header: *header };
                Kind::Stream(Stream::open(from, form)?)
            }
            items => match ItemIter::new(items) {
                Some(iter) => Kind::Memory(iter),
                None => return Err("combinations of sources that have to be read are not supported".into()),
            },
        };
        let fit = (job.batch == Batch::Fit).then(|| {
            let what = job.stages[0].what.clone();
            let fixed = os::env::Env::inherited().room() + OWN_VARIABLES;
            Fit { fitter: Fitter::new(&what, &job.name, fixed, room), what }
        });
        let names = items::column_names(&job.items).into();
        Ok(Source { kind, names, batch: Vec::new(), left_over: None, failed: None, fit })
    }

    fn next(&mut self, batch: Batch, queues: &mut Queues) -> Pulled {
        loop {
            let next = match self.left_over.take() {
                Some(item) => Ok(Next::Item(Some(item))),
                None => self.one(queues),
            };
            match next {
                Ok(Next::Item(None)) => return Pulled::Items(Vec::new(), Arc::clone(&self.names)),
                Ok(Next::Item(Some(item))) => {
                    if let Some(Fit { fitter, what }) = &mut self.fit
                        && !fitter.take(what, &self.names, &item)
                    {
                        self.left_over = Some(item);
                        return self.full();
                    }
                    self.batch.push(item);
                    match batch {
                        Batch::One => return self.full(),
                        Batch::UpTo(most) if self.batch.len() >= most => return self.full(),
                        Batch::UpTo(_) | Batch::Fit => {}
                    }
                }
                Ok(Next::Wait) => return Pulled::Wait,
                Ok(Next::End) if self.batch.is_empty() => return Pulled::End,
                Ok(Next::End) => return self.full(),
                Err(why) => return Pulled::Failed(why),
            }
        }
    }

    /// Puts the next item in the place of one that was, if it is a record that was read.
    fn refill(&mut self, value: &mut Vec<u8>) -> bool {
        match &mut self.kind {
            Kind::Stream(stream) if self.fit.is_none() && self.left_over.is_none() => stream.refill(value),
            _ => false,
        }
    }

    fn full(&mut self) -> Pulled {
        if let Some(fit) = &mut self.fit {
            fit.fitter.clear();
        }
        Pulled::Items(std::mem::take(&mut self.batch), Arc::clone(&self.names))
    }

    fn one(&mut self, queues: &mut Queues) -> Result<Next, String> {
        match &mut self.kind {
            Kind::Memory(iter) => Ok(iter.next().map_or(Next::End, Next::Item)),
            Kind::Glob(paths) => paths.next(),
            Kind::Stream(stream) => stream.next(&mut self.names),
            Kind::Queue { job, queue, separator } => Ok(record(queues, *queue, *job, *separator)),
        }
    }
}

/// A record of a queue as an item.
fn record(queues: &mut Queues, queue: QueueId, job: usize, separator: Option<u8>) -> Next {
    let span = match queues.take(queue, job) {
        Taken::Record(span) => span,
        Taken::Wait => return Next::Wait,
        Taken::End => return Next::End,
    };
    let Some(bytes) = span.bytes() else { return Next::End };
    let bytes = bytes.strip_suffix(queues.ending(queue)).unwrap_or(bytes);
    let columns = match separator {
        Some(separator) => bytes.split(|&byte| byte == separator).map(<[u8]>::to_vec).collect(),
        None => vec![bytes.to_vec()],
    };
    Next::Item(Some(Item { columns }))
}

impl Stream {
    fn open(from: &Input, form: Form) -> Result<Box<Stream>, String> {
        let (name, opened) = match from {
            Input::Stdin => ("stdin".to_owned(), own_stdin()),
            Input::File(path) => {
                (format!("`{}`", path.display()), os::own::open_input(path).map(OwnedFd::from))
            }
        };
        let input = opened.and_then(SharedInput::new);
        let input = input
            .map_err(|error| format!("could not read items from {name}: {}", os::own::reason(&error)))?;
        Ok(Box::new(Stream {
            input,
            name,
            form,
            chunk: Vec::new(),
            failure: None,
            ended: false,
            watched: false,
        }))
    }

    fn refill(&mut self, value: &mut Vec<u8>) -> bool {
        self.read_ahead();
        let Form::Records(splitter) = &mut self.form else { return false };
        let Some(record) = splitter.next_record() else { return false };
        value.clear();
        value.extend_from_slice(record);
        true
    }

    /// More than the next item, as far as it is there: so the end, and with it the total, is known early.
    fn read_ahead(&mut self) {
        while !self.ended && self.form.pending() < AHEAD && self.read() {}
    }

    fn next(&mut self, names: &mut Arc<[String]>) -> Result<Next, String> {
        self.read_ahead();
        loop {
            if let Some(columns) = self.form.next() {
                if let Form::Table { header, .. } = &mut self.form
                    && std::mem::take(header)
                {
                    let name = |column: Vec<u8>| String::from_utf8_lossy(&column).trim().to_owned();
                    *names = columns.into_iter().map(name).collect();
                    continue;
                }
                return Ok(Next::Item(Some(Item { columns })));
            }
            if self.ended {
                return self.failure.take().map_or(Ok(Next::End), Err);
            }
            if !self.read() {
                return Ok(Next::Wait);
            }
        }
    }

    /// Reads a chunk; says whether there was one, or an end.
    fn read(&mut self) -> bool {
        self.chunk.resize(CHUNK, 0);
        match self.input.read_nowait(&mut self.chunk) {
            Ok(None) => return false,
            Ok(Some(count)) if count > 0 => {
                self.form.push(&self.chunk[..count]);
                return true;
            }
            Ok(_) => {}
            Err(error) => {
                let why = os::own::reason(&error);
                self.failure = Some(format!("could not read items from {}: {why}", self.name));
            }
        }
        self.ended = true;
        self.form.finish();
        true
    }
}

impl Form {
    fn push(&mut self, bytes: &[u8]) {
        match self {
            Form::Records(splitter) => splitter.push(bytes),
            Form::Table { table, .. } => table.push(bytes),
        }
    }

    /// Bytes that were read and not used.
    fn pending(&self) -> usize {
        match self {
            Form::Records(splitter) => splitter.pending(),
            Form::Table { table, .. } => table.pending(),
        }
    }

    /// Items that are left, once the end was read.
    fn left(&self) -> Option<u64> {
        match self {
            Form::Records(splitter) => splitter.left(),
            Form::Table { .. } => None,
        }
    }

    fn finish(&mut self) {
        match self {
            Form::Records(splitter) => splitter.end(),
            Form::Table { table, .. } => table.end(),
        }
    }

    fn next(&mut self) -> Option<Vec<Vec<u8>>> {
        match self {
            Form::Records(splitter) => splitter.next_record().map(|record| vec![record.to_vec()]),
            Form::Table { table, .. } => table.next_row(),
        }
    }
}

/// A descriptor of our own for prun's stdin; what is behind it stays shared with whoever started prun.
fn own_stdin() -> io::Result<OwnedFd> {
    if !os::given::given().open[0] {
        return Err(io::Error::from_raw_os_error(nix::libc::EBADF));
    }
    os::own::stdin().as_fd().try_clone_to_owned()
}
