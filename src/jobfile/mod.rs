//! TOML text → [`JobFile`]. Pure.
//!
//! The walk over the TOML tree is written by hand: every value remembers where it stood ([`Spanned`]), one
//! mistake does not hide the next, and each message can say what the right thing would be.
//!
//! A file that can't be read at all is the error of [`parse`]. Single wrong values are kept in the
//! [`JobFile`] and come out of `plan::build`, together with what is found to be wrong there, so that people
//! see every mistake of their file at once.

pub mod keys;
mod mistakes;
mod model;
mod near;
mod read;
pub mod values;

pub use mistakes::{Mistake, Mistakes};
pub use model::*;
pub use near::{alternatives, nearest};
pub use read::{Config, parse, parse_config, parse_over};
