//! Bytes: which go where, and in which order. Pure.
//!
//! - [`output`]: what tasks write: grouping, order, tags, whole lines; says what to write, spill and copy

pub mod output;
#[cfg(test)]
mod output_tests;
pub mod records;
pub mod table;
