//! The journal: a file that records each task when it has ended, and that the next run reads.
//!
//! NDJSON: each line is one JSON object about one ended task, and is only ever appended.
//!
//! ```text
//! {"prun":1,"job":"fetch","seq":3,"item":"a b","outcome":"failed","exit":22,"attempts":1,
//!  "started":1795270289.180123,"elapsed":0.004212,"received":18,"command":"curl 'a b'","run":"64b…-1f2",
//!  "tasks":["0123456789abcdef0123456789abcdef.1"],"sum":"0123456789abcdef"}
//! ```
//!
//! | field | meaning |
//! |---|---|
//! | `prun` | version of the format, 1; later versions only add fields |
//! | `job`, `seq`, `item` | the task's job, its number from 1, its item as shown to people |
//! | `outcome` | `ok`, `failed`, `killed`, `timeout`, `not started`, `cancelled`, `skipped` |
//! | `exit`, `signal`, `why` | details of the outcome: an exit code, a signal number, a reason |
//! | `attempts` | number of attempts |
//! | `started`, `elapsed` | start of the last attempt in seconds since 1970, and its duration in seconds |
//! | `user`, `system`, `memory` | processor seconds, and the largest resident set in bytes |
//! | `received` | bytes that it wrote |
//! | `command` | the command as a line for a shell; never with values of the environment |
//! | `run` | the `PRUN_RUN_ID` of the run, because several runs can share the file |
//! | `tasks` | identity of the task: hash, and count among equal ones; with `batch` one for each item |
//! | `sum` | CRC-64/XZ, in hexadecimal, of all bytes of the line before `,"sum"` |
//!
//! If several lines are about the same task, the last one counts. A line without its newline is ignored.
//!
//! - [`entry`] is one line; [`scan`] finds the lines of a file, [`contents`] tells which of them count;
//! - [`past`] holds the last outcome of each task;
//! - [`file`](mod@file) opens, locks, repairs and appends; [`history`] only reads;
//! - [`joblog`] writes the same tasks in GNU parallel's format.

pub mod contents;
pub mod entry;
pub mod file;

pub mod history;
pub mod joblog;
pub mod past;
pub mod scan;

pub use entry::Entry;
pub use file::{Journal, open, read};
pub use past::Past;

#[cfg(test)]
mod tests;
