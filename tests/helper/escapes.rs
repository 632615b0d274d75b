//! Steps by which a process gets out of sight of the one that started it.

use std::ffi::CString;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, exit};

use nix::sys::prctl;
use nix::unistd::{chdir, close, setsid};

use crate::{Puppet, number};

type Steps = std::vec::IntoIter<String>;

/// Does the step, if it is one of these.
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
    /// The same program for other steps.
    fn again(&self, steps: Vec<String>) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("its own path is known"));
        command.args(self.socket.iter().map(|path| format!("socket={path}"))).args(steps);
        command
    }
}

/// What stands in the brackets that follow.
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

/// As daemon(3) does it, and once more: the first fork leaves the session, the second one can never get a terminal.
fn daemon(puppet: &Puppet, steps: &mut Steps) {
    let rest = ["setsid", "bare"].into_iter().map(str::to_owned).chain(steps).collect();
    // It may lead a group, and then it can't; the one that it starts can.
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

/// Another program is needed to ignore a signal, as the libraries at hand only catch them.
fn ignore(puppet: &Puppet, names: &str, steps: &mut Steps) {
    let itself = puppet.again(steps.collect());
    let mut env = Command::new("env");
    turn_into(env.arg(format!("--ignore-signal={names}")).arg(itself.get_program()).args(itself.get_args()));
}

/// The arguments and the environment that the kernel shows of a process are its own memory.
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
