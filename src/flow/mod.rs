//! Which bytes go where, and in which order. Pure.

pub mod records;
pub mod table;
