//! The loop.

pub mod signals;
pub mod suspend;
