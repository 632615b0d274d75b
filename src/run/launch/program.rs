//! The last step of a start: the program is found, and the process is made.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::Pid;

use super::unstarted::{Unstarted, shortage_of_start};
use super::{ChildIo, PreparedCommand, attributes};
use crate::event::StartFailure;
use crate::os::env::Env;
use crate::os::find;
use crate::os::mark::Mark;
use crate::os::start::{Launcher, Order, StartError, Strategy};
use crate::plan::{Stage, StartMode};

/// A program, and the file that it was found to be.
pub(super) struct ResolvedProgram {
    name: Vec<u8>,
    /// The working directory that it was looked up for; empty for prun's own.
    directory: PathBuf,
    path: CString,
}

/// Starts a prepared command. A program that is no longer where it was found is looked up once more.
pub(super) fn start(
    launcher: &mut Launcher,
    prepared: &mut PreparedCommand,
    stage: &Stage,
    directory: Option<&Path>,
    io: ChildIo,
    mark: Option<Mark>,
) -> Result<Pid, Unstarted> {
    let Some(program) = prepared.argv.iter().next().map(<[u8]>::to_vec) else {
        return Err(StartFailure { code: 126, why: "there is no command to execute".into() }.into());
    };
    let cwd = directory.map(|path| CString::new(path.as_os_str().as_bytes()));
    let Ok(cwd) = cwd.transpose() else {
        let why = "the working directory's name holds a NUL byte".into();
        return Err(StartFailure { code: 126, why }.into());
    };
    let mut looked_up_again = false;
    loop {
        let is_known = prepared.program.as_ref().is_some_and(|known| known.is_for(&program, directory));
        if !is_known {
            let path = find_program(&program, &prepared.env, directory)?;
            let directory = directory.unwrap_or(Path::new("")).to_owned();
            prepared.program = Some(ResolvedProgram { name: program.clone(), directory, path });
            looked_up_again = true;
        }
        let Some(ResolvedProgram { path, .. }) = &prepared.program else {
            unreachable!("it was looked up above")
        };
        let strategy = match stage.start {
            StartMode::Spawn => Strategy::Spawn,
            StartMode::Fork => Strategy::Fork,
        };
        let mut order = Order {
            strategy,
            path,
            argv: &mut prepared.argv,
            env: &mut prepared.env,
            cwd: cwd.as_deref(),
            stdio: io.stdio,
            group: io.group,
            mark,
            attributes: &prepared.setup,
        };
        match launcher.start(&mut order) {
            Ok(pid) => return Ok(pid),
            // The program was there before: it was installed anew, or moved to another folder of PATH.
            Err(error) if error.errno == Errno::ENOENT && !looked_up_again => prepared.program = None,
            Err(error) => {
                let shortage = shortage_of_start(error, !prepared.setup.limits.is_empty());
                let failure = attributes::explain(&stage.attributes, error)
                    .unwrap_or_else(|| explain(&program, path, error, directory));
                return Err(Unstarted::new(shortage, failure));
            }
        }
    }
}

impl ResolvedProgram {
    /// True if the program is the one that was looked up. A relative name may mean another file in another directory,
    /// and in prun's own directory it is looked up at each start.
    fn is_for(&self, program: &[u8], directory: Option<&Path>) -> bool {
        self.name == program && (program.starts_with(b"/") || directory == Some(&self.directory))
    }
}

fn find_program(program: &[u8], env: &Env, directory: Option<&Path>) -> Result<CString, StartFailure> {
    let path = env.iter().find_map(|variable| variable.strip_prefix(b"PATH="));
    find::resolve(program, path, directory).map_err(|not_found| {
        let (code, why) = find::explain_missing(program, not_found);
        StartFailure { code, why }
    })
}

fn explain(program: &[u8], path: &CStr, error: StartError, directory: Option<&Path>) -> StartFailure {
    let (code, why) = find::explain(program, path, error, directory);
    StartFailure { code, why }
}
