//! The standard input of a child.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;

use super::unstarted::{Unstarted, no_pipe};
use super::wiring::Wiring;
use crate::event::StartFailure;
use crate::flow::long;
use crate::os;
use crate::os::io::{BIG_PIPE, PIPE};
use crate::plan::template::Scope;
use crate::plan::{QueueId, Stage, Stdin};
use crate::run::attempt::feed::{Feed, FeedState};
use crate::run::block::{Block, TaskBlock};

/// The standard input of a child.
pub enum Source {
    /// A descriptor that stays open in prun.
    Shared(RawFd),
    /// A file that was opened before.
    File,
    /// A pipe that prun writes to.
    Fed {
        child: OwnedFd,
        /// The bytes that did not fit into the pipe; `None` if all of them did.
        feed: Option<Feed>,
    },
    /// A pipe that gets the records of a queue.
    Queue {
        queue: QueueId,
        /// The child gets one record at a time, and the next only when it has read everything before.
        single: bool,
        child: OwnedFd,
        ours: OwnedFd,
    },
}

/// The largest pipe that a user may have by default, in bytes (`/proc/sys/fs/pipe-max-size`, see pipe(7)).
const LARGEST_PIPE: usize = 1 << 20;

impl Wiring {
    /// Opens the standard input of a first stage. With `whole_records`, items are fed as they are, without a newline.
    pub fn stdin(&mut self, stage: &Stage, scope: &Scope, whole_records: bool) -> Result<Source, Unstarted> {
        match &stage.stdin {
            Stdin::Null | Stdin::Pipe => Ok(Source::Shared(self.null())),
            Stdin::Dialogue(_) => {
                let (child, feed) = Feed::new().map_err(|error| no_pipe(&error))?;
                Ok(Source::Fed { child, feed: Some(feed) })
            }
            Stdin::Queue { queue, ahead } => {
                let (child, ours) = os_pipe::pipe().map_err(|error| no_pipe(&error))?;
                os::io::set_nonblocking(ours.as_fd()).map_err(|error| no_pipe(&error.into()))?;
                Ok(Source::Queue { queue: *queue, single: *ahead, child: child.into(), ours: ours.into() })
            }
            Stdin::Inherit => Ok(Source::Shared(0)),
            Stdin::Open => {
                let (reader, _) = match &mut self.open {
                    Some(open) => open,
                    none => none.insert(os_pipe::pipe().map_err(|error| no_pipe(&error))?),
                };
                Ok(Source::Shared(reader.as_raw_fd()))
            }
            Stdin::Item => {
                let length = scope.items.iter().flat_map(|item| &item.columns).map(|column| column.len() + 1);
                let length = length.sum::<usize>() + scope.items.len();
                let mut bytes = Vec::new();
                long::reserve(&mut bytes, length).map_err(|why| {
                    Unstarted::new(None, StartFailure { code: 126, why: format!("its item: {why}") })
                })?;
                for item in scope.items {
                    for (at, column) in item.columns.iter().enumerate() {
                        if at > 0 {
                            bytes.push(b'\t');
                        }
                        bytes.extend_from_slice(column);
                    }
                    if !whole_records {
                        bytes.push(b'\n');
                    }
                }
                feed(bytes)
            }
            Stdin::Report => feed(self.report.clone()),
            Stdin::Text(text) => feed(text.rendered(scope)),
            Stdin::File(_) => Ok(Source::File),
        }
    }
}

fn feed(bytes: Vec<u8>) -> Result<Source, Unstarted> {
    feed_bytes(bytes).map(|(child, feed)| Source::Fed { child, feed })
}

/// Makes a pipe from which a child reads these bytes. Returns the child's end, and the feed if not all of them fit into
/// the pipe.
pub fn feed_bytes(bytes: Vec<u8>) -> Result<(OwnedFd, Option<Feed>), Unstarted> {
    let (reader, mut feed) = Feed::new().map_err(|error| no_pipe(&error))?;
    if bytes.len() > PIPE {
        os::io::set_pipe_size(feed.fd(), BIG_PIPE);
    }
    *feed.buffer() = bytes;
    feed.end();
    // Most inputs fit into the pipe and cost the loop nothing more.
    let rest = (feed.write() != FeedState::Finished).then_some(&feed);
    match (rest, feed.failure()) {
        (_, Some(failure)) => Err(Unstarted::new(None, StartFailure { code: 126, why: failure.to_string() })),
        (rest, None) => Ok((reader, rest.is_some().then_some(feed))),
    }
}

/// Makes a pipe from which a child reads a block. With `more`, other blocks may follow.
pub fn feed_block(block: &TaskBlock, more: bool) -> Result<Source, Unstarted> {
    let (child, mut feed) = Feed::new().map_err(|error| no_pipe(&error))?;
    match block {
        TaskBlock::Whole(block) => {
            if more || block.length() > PIPE as u64 {
                // A block that is spliced while it comes should fit.
                let fitting = (block.length() as usize).clamp(BIG_PIPE, LARGEST_PIPE);
                enlarge(&feed, if more { fitting } else { BIG_PIPE });
            }
            feed.push_block(block.clone(), true);
            if !more {
                feed.end();
            }
        }
        TaskBlock::Begun(block) => {
            enlarge(&feed, LARGEST_PIPE);
            block.parts().into_iter().for_each(|part: Block| feed.push_block(part, false));
            if block.is_complete() {
                feed.end();
            } else {
                feed.follow(Rc::clone(block));
            }
        }
    }
    // A block that fits into the pipe costs the loop nothing more. A failure is reported when it is met again.
    let rest = (feed.write() != FeedState::Finished || feed.failure().is_some()).then_some(feed);
    Ok(Source::Fed { child, feed: rest })
}

/// Makes the pipe of a feed as big as wanted, or as big as a user may have many.
fn enlarge(feed: &Feed, size: usize) {
    if os::io::set_pipe_size(feed.fd(), size) < size {
        os::io::set_pipe_size(feed.fd(), BIG_PIPE);
    }
}
