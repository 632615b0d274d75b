//! The headings of the long help text and of the manual pages.

/// Headings of `--help`.
pub const OUTPUT: &str = "Output";
pub const STARTING: &str = "Starting";
pub const STOPPING: &str = "Stopping and status";
pub const JOURNAL: &str = "Journal";
