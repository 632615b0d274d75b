//! The file of finished tasks: written as they end, read by the next run.
//!
//! NDJSON: each line is one JSON object about one finished task, and is only ever appended.
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
//! | `job`, `seq`, `item` | whose task it is, its number from 1, what it worked on as people may see it |
//! | `outcome` | `ok`, `failed`, `killed`, `timeout`, `not started`, `cancelled`, `skipped` |
//! | `exit`, `signal`, `why` | more about it: an exit code, a number of a signal, words |
//! | `attempts` | how often it was started |
//! | `started`, `elapsed` | seconds, of the last attempt: since 1970, and how long it took |
//! | `received` | bytes that it wrote |
//! | `command` | what was run, as a line for a shell; never with values of the environment |
//! | `run` | tells runs apart that share the file: the `PRUN_RUN_ID` of its tasks |
//! | `tasks` | what it is known by: hash and count among equal ones; with `batch` one for each item |
//! | `sum` | CRC-64/XZ, in hexadecimal, of all bytes of the line before `,"sum"` |
//!
//! Where several lines know the same task, the last one counts. A line without its newline is not there.
//!
//! - [`entry`] is one line; [`scan`] finds the lines of a file, [`found`] which of them count;
//! - [`past`] keeps, of each task, how it ended last;
//! - [`file`](mod@file) opens, locks, repairs and appends; [`history`] only reads;
//! - [`joblog`] writes the same in GNU parallel's format.

pub mod entry;
pub mod file;
pub mod found;
pub mod history;
pub mod joblog;
pub mod past;
pub mod scan;

pub use entry::{Damage, Entry};
pub use file::{Journal, open, read};
pub use past::Past;

#[cfg(test)]
mod tests;
