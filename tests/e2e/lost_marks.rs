//! Processes that have lost both their mark and their environment, as in a session that PAM makes for another
//! user.

use nix::sys::signal::Signal;

use crate::meeting::Meeting;
use crate::space::Space;

/// A prefix that runs a program without its mark and without its environment.
const LOST: &str = "prlimit --rttime=unlimited:unlimited env -i PUPPET_SOCKET=$PUPPET_SOCKET PATH=\"$PATH\"";

#[test]
fn a_stopped_run_leaves_none() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let script = format!("{LOST} setsid puppet meet=lost hold >/dev/null 2>&1 & exec puppet meet=own hold");
    space.write("task", script);
    let running = space.exec("--grace 300ms -c 'sh ./task' ::: x").start();
    let mut guests = meeting.guests(2);
    running.signal(Signal::SIGTERM);
    running.end().died_of(Signal::SIGTERM);
    guests.iter_mut().for_each(|guest| guest.is_gone());
}

#[test]
fn neither_does_a_task_that_timed_out() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let script = format!("{LOST} setsid puppet meet=lost hold >/dev/null 2>&1 & exec puppet meet=own hold");
    space.write("task", script);
    let running = space.exec("--timeout 2s --grace 300ms -c 'sh ./task' ::: x").start();
    let mut guests = meeting.guests(2);
    running.end().code(124);
    guests.iter_mut().for_each(|guest| guest.is_gone());
}

/// For example a database that an earlier job has started as another user.
#[test]
fn what_an_ended_task_has_left_is_not_touched_by_a_stop() {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let space = Space::new();
        let meeting = Meeting::open(&space);
        space.write("start", format!("{LOST} setsid puppet meet=daemon hold >/dev/null 2>&1 &"));
        let file = "[jobs.start]\ncommand = 'sh ./start'\n\
                    [jobs.work]\nafter = ['start']\ncommand = 'puppet meet=work hold'";
        let running = space.file(file).start();
        let mut guests = meeting.guests(2);
        guests.sort_by_key(|guest| guest.name.clone());
        let (mut daemon, mut work) = (guests.remove(0), guests.remove(0));
        running.signal(signal);
        work.is_gone();
        let ended = running.end();
        ended.died_of(signal);
        if signal == Signal::SIGTERM {
            ended.stderr_has("still runs");
        }
        daemon.tell("say=alive");
        daemon.hears("alive");
        daemon.tell("exit=0");
        daemon.is_gone();
    }
}

#[test]
fn every_attempt_has_a_number_of_its_own_and_nobody_takes_pruns_names() {
    let space = Space::new();
    space.write("vars", "PRUN_RUN_ID=fake\nPRUN_JOB=fake\n");
    let file = "[jobs.a]\nenv_file = 'vars'\nretries = 1\noutput = 'line'\n\
                script = 'echo $PRUN_RUN_ID $PRUN_JOB $PRUN_START; test $PRUN_ATTEMPT = 2'";
    let ended = space.file(file).run();
    let lines = ended.ok().lines();
    let words: Vec<Vec<&str>> = lines.iter().map(|line| line.split(' ').collect()).collect();
    ended.check(words.len() == 2 && words[0][2] != words[1][2], "two numbers");
    ended.check(words.iter().all(|words| words[0] != "fake" && words[1] == "a"), "prun's own names");
}

/// A `/proc` of another PID namespace shows other processes' numbers; a stop must not rely on it.
#[test]
fn with_the_proc_of_others_a_stop_ends() {
    let space = Space::new();
    if !nix::unistd::geteuid().is_root() {
        return eprintln!("not run: only root makes PID namespaces");
    }
    let prun =
        "prun exec --timeout 500ms --grace 200ms -c 'setsid sleep 1 >/dev/null 2>&1 & exec sleep 90' ::: x";
    let ended = space.sh(&format!("unshare --pid --fork {prun}")).run();
    ended.code(124).stderr_has("/proc does not show");
}

/// Without `/proc` no mark can be read. The guardian knows the process groups of the tasks.
#[test]
fn without_proc_a_kill_of_prun_ends_the_process_groups_of_its_tasks() {
    let space = Space::new();
    let mount = "mount -t tmpfs none /proc";
    if !space.sh(&format!("unshare -rm {mount}")).run().status.success() {
        return eprintln!("not run: no mounts in a namespace of its own are allowed here");
    }
    let meeting = Meeting::open(&space);
    let task = "puppet meet=kid hold & puppet outlive meet=own hold; :";
    let file = format!(
        "[jobs.a]\nrepeat = 2\nscript = '''{task}'''\n\
         [jobs.p]\npipeline = ['true', {{ script = '''{task}''' }}]\n"
    );
    space.write("prun.toml", file);
    let running = space.sh(&format!("exec unshare -rm sh -c '{mount} && exec prun -j4'")).start();
    let mut guests = meeting.guests(6);
    running.says("a stop, and the guardian if prun is killed by SIGKILL, reach process groups");
    running.signal(Signal::SIGKILL);
    guests.iter_mut().for_each(|guest| guest.is_gone());
    running.end().died_of(Signal::SIGKILL);
}
