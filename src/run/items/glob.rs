//! Items that are the paths which match a glob.

use std::path::{Path, PathBuf};

use crate::os;
use crate::plan::Item;

/// The paths of a glob, in alphabetical order.
pub struct Paths {
    paths: glob::Paths,
    /// The folder that a relative pattern was put behind; it is taken off the paths again. Empty for an absolute pattern.
    base: PathBuf,
}

impl Paths {
    /// # Errors
    /// When the pattern is no glob. For people.
    pub fn open(pattern: &str, base: &Path) -> Result<Paths, String> {
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let base_pattern = glob::Pattern::escape(&base.to_string_lossy());
        let (full, base) = if Path::new(pattern).is_absolute() || base.as_os_str().is_empty() {
            (pattern.to_owned(), PathBuf::new())
        } else {
            (format!("{base_pattern}/{pattern}"), base.to_owned())
        };
        match glob::glob_with(&full, options) {
            Ok(paths) => Ok(Paths { paths, base }),
            Err(error) => Err(format!("the glob `{pattern}` is no pattern: {}", error.msg)),
        }
    }

    /// Returns the next path; `None` after the last.
    ///
    /// # Errors
    /// When a folder can't be read. For people.
    pub fn next_path(&mut self) -> Result<Option<Item>, String> {
        use std::os::unix::ffi::OsStrExt;
        match self.paths.next() {
            None => Ok(None),
            Some(Ok(path)) => {
                let path = path.strip_prefix(&self.base).unwrap_or(&path);
                Ok(Some(Item::new(vec![path.as_os_str().as_bytes().to_vec()])))
            }
            Some(Err(error)) => {
                let why = os::errors::reason(error.error());
                Err(format!("could not read the folder `{}`: {why}", error.path().display()))
            }
        }
    }
}
