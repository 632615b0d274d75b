//! Transfers: pipes that the disk thread empties into temporary files by itself, while much output is held.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::LocalProcesses;
use super::bytes::close_reader;
use crate::flow::output::Op;
use crate::os;
use crate::os::poller::Interest;
use crate::run::attempt::Attempt;
use crate::run::attempt::reader::{OFTEN, ReadBy, Reader};
use crate::run::backend::Context;
use crate::run::output::transfers::{End, Order, Report, Transfer};
use crate::run::token::Token;
use crate::sched::{Event, TaskId};

impl LocalProcesses {
    /// Gives a pipe that carries much to the disk thread, if all that happens to its bytes is that they are held on disk.
    pub(super) fn try_transfer(&mut self, id: TaskId, at: usize, cx: &mut Context) {
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        if attempt.talk.is_some() || attempt.readiness.is_some() || !attempt.watched {
            return;
        }
        let Some(reader) = attempt.readers[at].as_mut().filter(|reader| is_movable(reader)) else { return };
        let lane = reader.lanes[0];
        if !cx.outputs.can_transfer(id.place, lane) || !cx.sinks.transfers().has_room() {
            return;
        }
        // The thread gets a descriptor of its own.
        let Ok(pipe) = reader.fd.try_clone() else { return };
        // A pipe that both would read loses its order.
        if cx.poller.remove(reader.fd.as_fd()).is_err() {
            return;
        }
        let Some(spill) = cx.outputs.begin_transfer(id.place, lane) else {
            return cx.watch(reader.fd.as_fd(), Token::Reader(id, at), Interest::Read);
        };
        let count = Arc::new(AtomicU64::new(0));
        reader.read_by = ReadBy::Disk { spill, count: Arc::clone(&count) };
        cx.sinks.transfers().prepare(Order::Begin(Transfer { spill, task: id, at, pipe, count }));
    }

    /// Takes the pipes back whose transfers have ended.
    pub(super) fn end_transfers(&mut self, cx: &mut Context) {
        while let Some(report) = cx.sinks.transfers().take_report() {
            let Report { spill, task, at, end } = report;
            if let End::Left(pipe) = end {
                self.strays.keep(pipe, cx.poller);
                continue;
            }
            let Some(attempt) = self.attempts.get_mut(task) else { continue };
            let reader = attempt.readers.get_mut(at).and_then(Option::as_mut);
            let Some(reader) = reader.filter(|reader| reader.read_by.spill() == Some(spill)) else {
                continue;
            };
            if let ReadBy::Disk { count, .. } = std::mem::replace(&mut reader.read_by, ReadBy::Loop) {
                let moved = count.load(Ordering::Relaxed);
                cx.outputs.transferred(task.place, reader.lanes[0], moved);
                attempt.received += moved;
            }
            match end {
                End::Drained => {
                    close_reader(attempt, at, cx);
                    if attempt.is_drained() {
                        cx.events.push_back(Event::Drained(task));
                    }
                }
                End::Returned | End::Refused | End::Left(_) => {
                    let Some(reader) = &mut attempt.readers[at] else { continue };
                    if matches!(end, End::Refused) {
                        reader.read_by = ReadBy::LoopAlone;
                    }
                    cx.watch(reader.fd.as_fd(), Token::Reader(task, at), Interest::Read);
                }
            }
        }
    }
}

/// Takes a reader from an attempt that is over, if the disk thread moves its bytes. The thread does so with what is left in
/// the pipe as well, and gives the pipe back if somebody still holds it open. Returns the pipe then, as
/// [`LocalProcesses::read_leftover`] does; nothing for any other reader.
pub(super) fn leave_transfer(attempt: &mut Attempt, at: usize, cx: &mut Context) -> Option<Option<PathBuf>> {
    let is_moved = |reader: &mut Reader| reader.read_by.spill().is_some();
    let reader = attempt.readers[at].take_if(is_moved)?;
    let is_held = !os::io::is_hung_up(reader.fd.as_fd());
    let held = is_held.then(|| os::pipe_holders::other_end(reader.fd.as_fd()).unwrap_or_default());
    if let ReadBy::Disk { spill, count } = reader.read_by {
        let moved = count.load(Ordering::Relaxed);
        attempt.received += moved;
        // Before the operations that follow from the end.
        cx.outputs.ops.push(Op::Transfer { spill });
        cx.outputs.transferred(attempt.id.place, reader.lanes[0], moved);
        let transfer = Transfer { spill, task: attempt.id, at, pipe: reader.fd, count };
        cx.sinks.transfers().prepare(Order::Leave(transfer));
    }
    Some(held)
}

fn is_movable(reader: &Reader) -> bool {
    let is_plain = !reader.is_stderr && !reader.is_terminal && !reader.packets && reader.tap.is_none();
    is_plain && reader.full >= OFTEN && reader.lanes.len() == 1 && matches!(reader.read_by, ReadBy::Loop)
}
