//! Looks at the file system, for doubts about a job file.

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use crate::os::find::resolve;
use crate::plan::build::lints::{Disk, FileKind, Program};
use crate::plan::items::Next;
use crate::run::items::glob::Paths;

/// The file system. Programs are remembered, because many jobs run the same one.
#[derive(Default)]
pub struct RealDisk {
    programs: RefCell<HashMap<(Vec<u8>, PathBuf), Program>>,
}

impl Disk for RealDisk {
    fn program(&self, name: &[u8], folder: &Path) -> Program {
        let key = (name.to_vec(), folder.to_owned());
        *self.programs.borrow_mut().entry(key).or_insert_with(|| find(name, folder))
    }

    fn kind(&self, path: &Path) -> Option<FileKind> {
        let folder = path.metadata().ok()?.is_dir();
        Some(if folder { FileKind::Directory } else { FileKind::Other })
    }

    fn matches(&self, pattern: &str, folder: &Path) -> bool {
        // A folder that cannot be read is reported when the job runs.
        Paths::open(pattern, folder).is_ok_and(|mut paths| {
            loop {
                match paths.next_path() {
                    Ok(Next::Again) => {}
                    next => return !matches!(next, Ok(Next::End)),
                }
            }
        })
    }
}

fn find(name: &[u8], folder: &Path) -> Program {
    let path = std::env::var_os("PATH");
    match resolve(name, path.as_ref().map(|path| path.as_bytes()), Some(folder)) {
        Err(missing) if missing.errno == Errno::EACCES => Program::NotExecutable,
        Err(_) => Program::Missing,
        Ok(_) if !name.contains(&b'/') => Program::Found,
        Ok(_) => {
            let file = folder.join(std::ffi::OsStr::from_bytes(name));
            match file.metadata() {
                Err(_) => Program::Missing,
                Ok(data) if data.is_dir() || access(&file, AccessFlags::X_OK).is_err() => {
                    Program::NotExecutable
                }
                Ok(_) => Program::Found,
            }
        }
    }
}
