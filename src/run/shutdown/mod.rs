//! The end of a run.

pub mod flush;
pub mod run_hooks;
pub mod survivors;
