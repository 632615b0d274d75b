//! Bytes: which go where, and in which order. Pure.
//!
//! - [`answers`]: what a worker writes, cut into answers
//! - [`blocks`]: where a stream is cut into blocks of whole records
//! - [`dialogue`]: what is said to a child that speaks first
//! - [`lookout`]: a line that is looked for in what a task writes
//! - [`output`]: what tasks write: grouping, order, tags, whole lines; says what to write, spill and copy
//! - [`cut`], [`span`], [`queue`]: the records of a queue, and who gets them
//! - [`records`], [`words`]: a stream cut into items
//! - [`table`]: rows of a CSV file

pub mod answers;
pub mod blocks;
pub mod cut;
#[cfg(test)]
mod cut_tests;
pub mod dialogue;
pub mod lookout;
pub mod output;
#[cfg(test)]
mod output_tests;
pub mod queue;
#[cfg(test)]
mod queue_tests;
pub mod records;
pub mod span;
pub mod table;
pub mod words;
