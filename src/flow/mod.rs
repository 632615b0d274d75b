//! Bytes: which go where, and in which order. Pure.
//!
//! - [`blocks`]: where a stream is cut into blocks of whole records
//! - [`output`]: what tasks write: grouping, order, tags, whole lines; says what to write, spill and copy
//! - [`records`]: a stream cut into records
//! - [`table`]: rows of a CSV file

pub mod blocks;
pub mod output;
#[cfg(test)]
mod output_tests;
pub mod records;
pub mod table;
