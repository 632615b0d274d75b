//! Bytes: where they go, and in which order. Pure.
//!
//! - [`answers`] cuts what a worker writes into answers
//! - [`blocks`] cuts a stream into blocks of whole records
//! - [`dialogue`] answers the prompts of a child
//! - [`env_file`] reads `NAME=VALUE` lines
//! - [`line_search`] finds a line in what a task writes
//! - [`output`] handles what tasks write: grouping, order, tags, whole lines; it returns what to write, spill and copy
//! - [`cut`], [`span`], [`queue`] hold the records of a queue and deliver them to readers
//! - [`records`] and [`words`] cut a stream into items
//! - [`long`]: records that are too long, and buffers of long ones
//! - [`table`] cuts a CSV file into rows
//! - [`typing`] says when to type on a terminal

pub mod answers;
pub mod blocks;
pub mod cut;
#[cfg(test)]
mod cut_tests;
pub mod dialogue;
pub mod env_file;
#[cfg(test)]
mod env_file_tests;
pub mod line_search;
pub mod long;
pub mod output;
pub mod queue;
#[cfg(test)]
mod queue_tests;
pub mod records;
pub mod span;
pub mod table;
pub mod typing;
#[cfg(test)]
mod typing_tests;
pub mod words;
