//! Steps by which a process escapes from the one that started it: group, session, parent, name and
//! environment.

use std::ffi::CString;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, exit};

use nix::sys::prctl;
use nix::unistd::{chdir, close, setsid};

use crate::{Puppet, number};

type Steps = std::vec::IntoIter<String>;

/// Does the step. Returns false if it is none of these.
pub fn act(puppet: &mut Puppet, verb: &str, value: &str, steps: &mut Steps) -> bool {
    match verb {
        "fork" => drop(start(puppet, block(steps))),
        "keep" => keep(puppet, number(value), block(steps)),
        "setsid" => drop(setsid().expect("it leads no group yet")),
        "daemon" => daemon(puppet, steps),
        "bare" => bare(),
        "wipe" => turn_into(puppet.again(steps.collect()).env_clear()),
        "title" => title(value),
        "ignore" => ignore(puppet, value, steps),
        "outlive" => prctl::set_pdeathsig(None).expect("always possible"),
        "subreaper" => prctl::set_child_subreaper(true).expect("always possible"),
        _ => return false,
    }
    true
}

impl Puppet {
    /// Returns a command for the same program with other steps.
    fn again(&self, steps: Vec<String>) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("its own path is known"));
        command.args(self.socket.iter().map(|path| format!("socket={path}"))).args(steps);
        command
    }
}

/// Takes the steps in the brackets that follow.
fn block(steps: &mut Steps) -> Vec<String> {
    assert_eq!(steps.next().as_deref(), Some("["), "puppet: steps of another stand in brackets");
    let (mut depth, mut inner) = (1, Vec::new());
    for step in steps {
        depth += i32::from(step == "[") - i32::from(step == "]");
        if depth == 0 {
            return inner;
        }
        inner.push(step);
    }
    panic!("puppet: no `]`")
}

fn start(puppet: &Puppet, steps: Vec<String>) -> Child {
    puppet.again(steps).spawn().expect("a puppet can be started")
}

fn keep(puppet: &Puppet, times: u64, steps: Vec<String>) {
    for _ in 0..=times {
        start(puppet, steps.clone()).wait().expect("a child can be waited for");
    }
}

fn turn_into(command: &mut Command) {
    panic!("puppet: {}", command.exec());
}

/// Has the remaining steps done by a daemon, as daemon(3) makes one: a child in a session of its own, in `/`,
/// without descriptors 0 to 2. This process leaves its session too, if it can, and ends.
fn daemon(puppet: &Puppet, steps: &mut Steps) {
    let rest = ["setsid", "bare"].into_iter().map(str::to_owned).chain(steps).collect();
    // A group leader can't; the child that it starts can.
    let _ = setsid();
    start(puppet, rest);
    exit(0);
}

fn bare() {
    for descriptor in 0..=2 {
        close(descriptor).expect("it was open");
    }
    chdir("/").expect("everybody may go there");
}

/// Ignores signals through env(1), because the libraries at hand can only catch them.
fn ignore(puppet: &Puppet, names: &str, steps: &mut Steps) {
    let itself = puppet.again(steps.collect());
    let mut env = Command::new("env");
    turn_into(env.arg(format!("--ignore-signal={names}")).arg(itself.get_program()).args(itself.get_args()));
}

/// Overwrites the arguments and the environment that `/proc` shows, which lie in the process's own memory.
fn title(name: &str) {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc is there");
    let (_, fields) = stat.rsplit_once(')').expect("the name stands in brackets");
    // proc(5) counts from 1, and the first field here is its third.
    let field = |number: usize| -> u64 {
        fields.split_whitespace().nth(number - 3).and_then(|field| field.parse().ok()).expect("an address")
    };
    let (start, end) = (field(48), field(51));
    let mut text = vec![0; (end - start) as usize];
    text.as_mut_slice().write_all(name.as_bytes()).expect("the new title is shorter");
    let memory = std::fs::OpenOptions::new().write(true).open("/proc/self/mem").expect("its own memory");
    memory.write_all_at(&text, start).expect("its stack can be written");
    prctl::set_name(&CString::new(name).expect("no NUL")).expect("a short name");
}
