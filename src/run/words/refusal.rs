//! Why a task can't be started, as far as its command alone shows it: no line could stand for it.

use std::path::Path;

use crate::event::StartFailure;
use crate::os;
use crate::plan::template::Scope;
use crate::plan::{Job, Output, Stage, Stdin};
use crate::run::launch::attributes::file_variables;
use crate::run::launch::nul_in;
use crate::run::launch::unstarted::nul_in_argument;
use crate::run::task::{Work, path_of};

/// Returns why the task would not be started: an argument, a variable or a name holds a NUL byte or is too long, or a
/// file of variables can't be read. A shell would read such a line otherwise than it is meant, and run something else.
pub fn refusal(job: &Job, work: &Work, slot: usize) -> Option<StartFailure> {
    let scope = work.scope(slot);
    work.refusal().or_else(|| job.stages.iter().find_map(|stage| refusal_of(stage, job, &scope)))
}

fn refusal_of(stage: &Stage, job: &Job, scope: &Scope) -> Option<StartFailure> {
    let (mut all, mut is_too_long, mut holds_nul, mut program) = (0, false, false, None);
    stage.command.for_each_arg(&job.name, scope, &mut Vec::new(), &mut |word| {
        let len = word.len() + 1;
        all += len + size_of::<usize>();
        is_too_long |= len > os::limits::argument_max();
        holds_nul |= word.contains(&0);
        program.get_or_insert_with(|| word.to_vec());
    });
    if holds_nul {
        return Some(nul_in_argument());
    }
    if is_too_long || all > os::limits::argument_room() {
        let (code, why) = os::find::explain_too_long(&program.unwrap_or_default());
        return Some(StartFailure { code, why });
    }
    match file_variables(stage) {
        Err(failure) => return Some(failure),
        Ok(variables) => {
            if let Some((name, _)) = variables.iter().find(|(_, value)| value.contains(&0)) {
                return Some(nul_in(name));
            }
        }
    }
    if let Some((name, _)) = stage.env.iter().find(|(_, value)| value.rendered(scope).contains(&0)) {
        return Some(nul_in(name));
    }
    paths(stage).into_iter().find_map(|path| {
        let path = path_of(path, &stage.base, scope);
        has_nul(&path).then(|| {
            let why = format!("could not open `{}`: its name holds a NUL byte", path.display());
            StartFailure { code: 126, why }
        })
    })
}

/// Returns the files that the stage needs, and its working directory.
fn paths(stage: &Stage) -> Vec<&crate::plan::template::Template> {
    let mut paths: Vec<_> = stage.cwd.iter().chain(&stage.seq_file).collect();
    if let Stdin::File(path) = &stage.stdin {
        paths.push(path);
    }
    for output in [&stage.stdout, &stage.stderr] {
        if let Output::File { path, .. } = output {
            paths.push(path);
        }
    }
    paths
}

fn has_nul(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().contains(&0)
}
