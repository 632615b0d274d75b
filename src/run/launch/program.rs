//! The last step of a start: the program is found, and the process is made.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::unistd::Pid;

use super::attributes;
use super::unstarted::{Unstarted, shortage_of_start};
use crate::event::StartFailure;
use crate::os::find;
use crate::os::start::{Failed, Launcher, Order, Strategy};
use crate::plan::{Stage, StartMode};

/// Starts a command whose arguments and variables are in the order.
pub(super) fn start(
    launcher: &mut Launcher,
    mut order: Box<Order>,
    stage: &Stage,
    directory: Option<&Path>,
) -> Result<Pid, Unstarted> {
    let Some(program) = order.argv.iter().next() else {
        return Err(StartFailure { code: 126, why: "there is no command to execute".into() }.into());
    };
    let path = order.env.iter().find_map(|variable| variable.strip_prefix(b"PATH="));
    order.path = find::resolve(program, path, directory).map_err(|not_found| {
        let (code, why) = find::explain_missing(program, not_found);
        StartFailure { code, why }
    })?;
    let cwd = directory.map(|path| CString::new(path.as_os_str().as_bytes())).transpose();
    order.cwd = cwd.map_err(|_| {
        let why = "the working directory's name holds a NUL byte".into();
        StartFailure { code: 126, why }
    })?;
    order.strategy = match stage.start {
        StartMode::Spawn => Strategy::Spawn,
        StartMode::Fork => Strategy::Fork,
    };
    launcher.start(order).map_err(|failed| explain(&failed, stage))
}

/// Returns why a command could not be started.
pub(super) fn explain(failed: &Failed, stage: &Stage) -> Unstarted {
    let Failed { error, order } = failed;
    let shortage = shortage_of_start(*error, !order.attributes.limits.is_empty());
    let failure = attributes::explain(&stage.attributes, *error).unwrap_or_else(|| {
        let program = order.argv.iter().next().unwrap_or_default();
        let directory = order.cwd.as_ref().map(|cwd| Path::new(OsStr::from_bytes(cwd.to_bytes())));
        let (code, why) = find::explain(program, &order.path, *error, directory);
        StartFailure { code, why }
    });
    Unstarted::new(shortage, failure)
}
