//! TOML text → [`JobFile`]. Pure.
//!
//! The TOML tree is read by hand, not by serde: every value keeps its place ([`Spanned`]), one mistake does not hide
//! the next, and each message can say what to write instead.
//!
//! A file that is no TOML is the error of [`parse`]. Wrong values are kept in the [`JobFile`] and are reported by
//! `plan::build`, together with the mistakes that it finds, so that people see every mistake of their file at once.

pub mod keys;
mod mistakes;
mod model;
mod near;
mod read;
pub mod values;

pub use mistakes::{Mistake, Mistakes};
pub use model::*;
pub use near::nearest;
pub use read::{Config, parse, parse_config, parse_over};
