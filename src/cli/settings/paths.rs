//! Paths of settings.

use std::path::{Path, PathBuf};

use crate::cli::instead::Instead;

/// Makes a path absolute, from the directory in which prun was started.
pub fn absolute(path: &Path) -> Result<PathBuf, Instead> {
    std::path::absolute(path).map_err(|why| Instead::no_working_directory(&why))
}
