//! `prun exec --pipe`: a queue whose input is cut into blocks. Pure.

use std::path::Path;

use super::args::{ExecArgs, ExecError, PipeArgs, error};
use super::items;
use crate::event::{JobId, QueueId};
use crate::plan::{Block, Items, Queue, Records, Stdin, UNLIMITED, Unit};

/// The size of a block in bytes, without `--block`: as in GNU parallel.
const DEFAULT_BLOCK: usize = 1 << 20;

/// The only queue of such a plan.
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

/// Returns the queue.
pub(super) fn queue(args: &ExecArgs, pipe: &PipeArgs) -> Queue {
    let unit = match (&pipe.record_end, &pipe.record_start) {
        (end, Some(start)) => Unit::Between { end: end.clone().unwrap_or_default(), start: start.clone() },
        (Some(end), None) => Unit::Ends(end.clone()),
        (None, None) => Unit::Ends(vec![b'\n']),
    };
    // Where records are counted, a block has no limit of bytes, unless `--block` sets one.
    let bytes = if args.max_args.is_some() { usize::MAX } else { DEFAULT_BLOCK };
    let block = Block { bytes: pipe.block.unwrap_or(bytes), records: args.max_args.unwrap_or(usize::MAX) };
    Queue {
        capacity: 1,
        records: Records { unit, per_record: pipe.lines.unwrap_or(1), block: Some(block) },
        input: Some(items::input(args, args.items.files.first().map_or(Path::new("-"), |file| file))),
        ..Queue::new("input", Vec::new(), vec![JobId(0)])
    }
}

/// Returns the items: one task for each block, or with `--round-robin` as many tasks as run at once.
pub(super) fn items(args: &ExecArgs, pipe: &PipeArgs) -> Items {
    if pipe.round_robin {
        Items::Repeat(args.pool as u64)
    } else {
        Items::Queue { queue: QUEUE, separator: None }
    }
}

/// Returns the stdin of tasks.
pub(super) fn stdin(pipe: &PipeArgs) -> Stdin {
    if pipe.round_robin { Stdin::Queue { queue: QUEUE, ahead: false } } else { Stdin::Item }
}
