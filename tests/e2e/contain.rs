//! Containment: the guardian, marks and the control group end a run's tasks when prun itself is killed. Also
//! where one of the three is missing, and for a prun within a task. docs/design.md, "How children are found
//! again", explains them.

use std::path::PathBuf;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::meeting::{Guest, Meeting};
use crate::running::{Ended, Running};
use crate::space::Space;

/// Returns the `-vv` line about containment, without its prefix.
fn containment(stderr: &str) -> &str {
    let line = stderr.lines().find_map(|line| line.split_once("tasks are contained by "));
    line.unwrap_or_else(|| panic!("no line says how tasks are contained:\n{stderr}")).1
}

fn guardian(ended_or_not: &str) -> Pid {
    let words = containment(ended_or_not).split_once("guardian ").expect("there is a guardian").1;
    Pid::from_raw(words.split(',').next().and_then(|pid| pid.parse().ok()).expect("a pid"))
}

/// Returns the folder of the run's control group, or the reason why there is none.
fn cgroup(ended: &Ended) -> Result<PathBuf, &str> {
    match containment(&ended.stderr).rsplit_once(", cgroup ") {
        Some((_, folder)) => Ok(folder.into()),
        None => Err(containment(&ended.stderr).rsplit_once("no cgroup (").expect("why there is none").1),
    }
}

#[test]
fn twice_verbose_says_how_tasks_are_contained() {
    let space = Space::new();
    let ended = space.exec("-vv -- cat /proc/self/cgroup ::: x").run();
    ended.check(
        containment(&ended.stderr).starts_with("subreaper, marks in RLIMIT_RTTIME, "),
        "what there is",
    );
    match cgroup(&ended) {
        Ok(folder) => {
            let name = folder.file_name().expect("it has a name").to_string_lossy().into_owned();
            ended.stdout_has(&name).check(!folder.exists(), "the group is removed");
        }
        Err(why) => _ = ended.check(why.len() > 5, "the reason is said"),
    }
    let it = guardian(&ended.stderr);
    ended.check(kill(it, None).is_err(), "the guardian is gone");
    space.exec("-v true ::: x").run().stderr_lacks("contained");
    space.exec("-vv --dry-run true ::: x").run().stderr_lacks("contained");
}

/// Three ways to kill prun: by pid, by process group, by name.
const ENDS: [fn(&Space, &Running); 3] = [
    |_, it| it.signal(Signal::SIGKILL),
    |_, it| killpg(it.pid(), Signal::SIGKILL).expect("it leads a group"),
    |space, _| {
        for (pid, _) in space.survivors().into_iter().filter(|(_, line)| line.contains("prun")) {
            // It may have ended of the one before it.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    },
];

/// Tasks whose processes leave their group, session or environment. Each process reports at the meeting.
const ESCAPES: &str = "-j4 -c 'eval \"$1\"' ::: 'puppet catch=TERM,HUP meet=a hold & wait' 'setsid puppet meet=b hold & wait' \
                       '(setsid sh -c \"puppet meet=c hold & exit\" &) ; puppet meet=d hold' \
                       'env -i PATH=$PATH PUPPET_SOCKET=$PUPPET_SOCKET PRUN_TEST_SPACE=$PRUN_TEST_SPACE setsid -w puppet meet=e hold'";

#[test]
fn nothing_survives_a_kill_of_prun() {
    for end in ENDS {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        let running = space.exec(ESCAPES).start();
        let mut guests = meeting.guests(5);
        end(&space, &running);
        guests.iter_mut().for_each(Guest::is_gone);
        running.end().died_of(Signal::SIGKILL);
    }
}

#[test]
fn a_run_within_a_task_goes_as_well() {
    for end in ENDS {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        let running =
            space.exec("-c 'prun exec -- setsid -w puppet catch=TERM meet=in hold ::: x' ::: y").start();
        let mut guest = meeting.guest();
        end(&space, &running);
        guest.is_gone();
        running.end().died_of(Signal::SIGKILL);
    }
}

#[test]
fn a_task_that_is_a_run_takes_all_of_its_own_with_it() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let inner = "prun exec -j2 -- setsid -w puppet catch=TERM,INT meet={} hold ::: a b";
    let running = space.exec(&format!("--grace 50ms -c '{inner}' ::: x")).start();
    let mut guests = meeting.guests(2);
    running.signal(Signal::SIGTERM);
    guests.iter_mut().for_each(Guest::is_gone);
    running.end().died_of(Signal::SIGTERM);
}

#[test]
fn a_task_that_is_a_run_and_takes_too_long_takes_all_of_its_own_with_it() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let inner = "puppet meet=sh; exec prun exec -- setsid -w puppet catch=TERM,INT meet={} hold ::: a";
    let options = "--timeout 1s --grace 50ms";
    let running = space.exec(&format!("{options} -c '{inner}' ::: x")).start();
    // Whether the inner run got so far in that second is not for us to say.
    meeting.guest().is_gone();
    let ended = running.end();
    ended.check(!ended.status.success(), "it took too long");
    while meeting.has_guest() {
        meeting.guest().is_gone();
    }
}

#[test]
fn what_a_task_left_when_it_ended_stays() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let left = "setsid puppet meet=left hold </dev/null >/dev/null 2>&1 & exit";
    let running = space.exec(&format!("-j1 -c 'eval \"$1\"' ::: '{left}' 'puppet meet=task hold'")).start();
    let mut guests = meeting.guests(2);
    running.signal(Signal::SIGKILL);
    guests[1].is_gone();
    running.end().died_of(Signal::SIGKILL);
    guests[0].tell("say=here");
    guests[0].hears("here");
    guests[0].tell("exit=0");
    guests[0].is_gone();
}

#[test]
fn the_end_of_the_guardian_is_told_once() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let running = space.exec("-j1 -vv -c 'eval \"$1\"' ::: true 'puppet meet=x hold'").start();
    let mut guest = meeting.guest();
    running.says("cgroup");
    kill(guardian(&running.stderr_so_far()), Signal::SIGKILL).expect("it is there");
    running.says("guardian was killed");
    guest.tell("exit=0");
    let ended = running.end();
    ended.code(0).check(ended.stderr.matches("guardian was killed").count() == 1, "it is told once");
}

#[test]
fn where_neither_limits_nor_groups_can_be_had_the_environment_does() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let space = Space::new();
    let meeting = Meeting::open(&space);
    // Somebody who may neither raise limits nor make groups.
    let nobody = "setpriv --reuid=65534 --clear-groups prlimit --rttime=1000000000:1000000000";
    let task = "setsid puppet meet=x hold & wait";
    let script =
        format!("chmod 777 . socket; exec {nobody} prun exec -j1 -vv -c 'eval \"$1\"' ::: true '{task}'");
    let running = space.sh(&script).start();
    let mut guest = meeting.guest();
    running.says("cgroup");
    let line = containment(&running.stderr_so_far()).to_owned();
    assert!(line.contains("marks in the environment"), "{line}");
    assert!(line.contains("no cgroup"), "{line}");
    running.signal(Signal::SIGKILL);
    guest.is_gone();
    running.end().died_of(Signal::SIGKILL);
}

#[test]
fn what_lost_both_marks_is_known_by_its_group() {
    let space = Space::new();
    let ended = space.exec("-vv true ::: x").run();
    if cgroup(&ended).is_err() {
        return;
    }
    let meeting = Meeting::open(&space);
    // As a session made by PAM: other limits, another environment.
    let task = "env -i PATH=$PATH PUPPET_SOCKET=$PUPPET_SOCKET PRUN_TEST_SPACE=$PRUN_TEST_SPACE prlimit \
                --rttime=unlimited:unlimited setsid puppet meet=x hold & wait";
    let running = space.exec(&format!("-c '{task}' ::: x")).start();
    let mut guest = meeting.guest();
    running.signal(Signal::SIGKILL);
    guest.is_gone();
    running.end().died_of(Signal::SIGKILL);
}
