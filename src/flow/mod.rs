//! Bytes: which go where, and in which order. Pure.
//!
//! - [`blocks`]: where a stream is cut into blocks of whole records
//! - [`output`]: what tasks write: grouping, order, tags, whole lines; says what to write, spill and copy
//! - [`cut`], [`queue`]: the records of a queue, and who gets them
//! - [`records`]: a stream cut into items
//! - [`table`]: rows of a CSV file

pub mod blocks;
pub mod cut;
pub mod output;
#[cfg(test)]
mod output_tests;
pub mod queue;
pub mod records;
pub mod table;
