//! `prun exec --pipe`: what is cut into blocks becomes a queue with an input. Pure.

use std::path::Path;

use super::{ExecArgs, ExecError, error, items};
use crate::event::{JobId, QueueId};
use crate::plan::{Block, Items, Queue, Records, Stdin, UNLIMITED, Unit};

/// Of a block, unless something else is said: as in GNU parallel.
const USUAL_BLOCK: usize = 1 << 20;

/// What was typed beside `--pipe`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PipeArgs {
    /// Bytes.
    pub block: Option<usize>,
    /// So many lines are a record.
    pub lines: Option<usize>,
    pub record_start: Option<Vec<u8>>,
    pub record_end: Option<Vec<u8>>,
    /// The blocks go to tasks that live on.
    pub round_robin: bool,
}

/// The only one.
const QUEUE: QueueId = QueueId(0);

pub(super) fn check(args: &ExecArgs, pipe: &PipeArgs) -> Result<(), ExecError> {
    if !args.items.sources.is_empty() {
        return error("`--pipe` takes no items", "leave out `:::`, or `--pipe`");
    }
    if args.items.files.len() > 1 {
        return error("`--pipe` reads one file", "name one with `-a`, or put `cat` before prun");
    }
    if args.command.is_empty() {
        return error(
            "`--pipe` needs a command that reads blocks",
            "write `prun exec --pipe wc -l`, for example",
        );
    }
    if pipe.lines.is_some() && (pipe.record_start.is_some() || pipe.record_end.is_some()) {
        return error(
            "`-L` counts lines, but `--recstart` and `--recend` say that records are no lines",
            "use `-n N` for N records to a block",
        );
    }
    let blank = |text: &Option<Vec<u8>>| text.as_ref().is_some_and(Vec::is_empty);
    if blank(&pipe.record_end) && pipe.record_start.as_ref().is_none_or(Vec::is_empty)
        || blank(&pipe.record_start)
    {
        return error(
            "an empty `--recstart` or `--recend` marks no record",
            "write `--recend '\\0'`, for example",
        );
    }
    if !pipe.round_robin {
        return Ok(());
    }
    if args.pool == UNLIMITED {
        return error("`--round-robin` needs to know the number of tasks", "write `-j4`, for example");
    }
    if args.retries.is_some_and(|count| count > 0) {
        return error(
            "with `--round-robin` the blocks of a task are not kept, so it can't be tried again",
            "leave out `--retries` or `--round-robin`",
        );
    }
    Ok(())
}

/// What is read, and how it is cut.
pub(super) fn queue(args: &ExecArgs, pipe: &PipeArgs) -> Queue {
    let unit = match (&pipe.record_end, &pipe.record_start) {
        (end, Some(start)) => Unit::Between { end: end.clone().unwrap_or_default(), start: start.clone() },
        (Some(end), None) => Unit::Ends(end.clone()),
        (None, None) => Unit::Ends(vec![b'\n']),
    };
    // Where records are counted, bytes are no limit unless they are asked for.
    let bytes = if args.max_args.is_some() { usize::MAX } else { USUAL_BLOCK };
    let block = Block { bytes: pipe.block.unwrap_or(bytes), records: args.max_args.unwrap_or(usize::MAX) };
    Queue {
        name: "input".into(),
        capacity: 1,
        exact: false,
        records: Records { unit, per_record: pipe.lines.unwrap_or(1), block: Some(block) },
        to_all: false,
        input: Some(items::input(args, args.items.files.first().map_or(Path::new("-"), |file| file))),
        writers: Vec::new(),
        readers: vec![JobId(0)],
    }
}

/// One task for each block; or as many as run at once, if there are so many blocks.
pub(super) fn items(args: &ExecArgs, pipe: &PipeArgs) -> Items {
    if pipe.round_robin {
        Items::Repeat(args.pool as u64)
    } else {
        Items::Queue { queue: QUEUE, separator: None }
    }
}

pub(super) fn stdin(pipe: &PipeArgs) -> Stdin {
    if pipe.round_robin { Stdin::Queue { queue: QUEUE, ahead: false } } else { Stdin::Item }
}
