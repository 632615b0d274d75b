//! The output of tasks: grouping, order, tags, whole lines. Pure.
//!
//! A task's standard output and standard error run through *lanes*, one for each destination. A lane *holds*
//! its output (`group`, or another task is first in order) or lets it *flow*. Held output beyond a limit is
//! spilled to a temporary file. Nothing is written here: the returned [`Op`]s say what to write, in order.
//!
//! The modules from the bottom up: `op` and `escape`; `lane`, one destination of one task; `outputs`, all
//! tasks and their order; `hook` and `row`, which add a hook's output and a table's columns; `transfer`, for bytes
//! that reach a temporary file without passing through here.

mod escape;
mod hook;
mod lane;
mod op;
mod outputs;
mod row;
mod transfer;

pub use escape::Escape;
pub use hook::KeptForHook;
pub use lane::{BIG_BUFFER, Framing, LaneSpec, Own};
pub use op::{Dest, Log, Op, SpillId};
pub use outputs::{Order, Outputs, Policy};
pub use row::Row;

#[cfg(test)]
mod tests;
