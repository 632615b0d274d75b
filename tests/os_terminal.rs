//! The controlling terminal is restored, however prun ends. Each test runs itself once more on a terminal of
//! its own and plays prun there; the outer half looks at the terminal.

use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

use nix::libc;
use nix::pty::{OpenptyResult, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};
use prun::os::signals::die;
use prun::os::terminal::{Terminal, in_background, is_available};

fn inside() -> bool {
    std::env::var_os("OS_TERMINAL_INSIDE").is_some()
}

/// Runs this test's inner half on a terminal, and returns that terminal.
fn again(test: &str) -> (OpenptyResult, ExitStatus) {
    let pty = openpty(None, None).unwrap();
    let end = || Stdio::from(pty.slave.try_clone().unwrap());
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1", "-q"]).env("OS_TERMINAL_INSIDE", "1");
    let status = command.stdin(end()).stdout(end()).stderr(end()).status().unwrap();
    (pty, status)
}

fn echoes(terminal: &OwnedFd) -> bool {
    tcgetattr(terminal).unwrap().local_flags.contains(LocalFlags::ECHO)
}

/// Lends the terminal to a process that changes its settings.
fn give_away() -> Terminal {
    let terminal = Terminal::of_own().unwrap();
    assert!(terminal.is_ours() && is_available());
    let mut modes = terminal.modes().unwrap();
    terminal.restore_on_death(Some(&modes));
    modes.local_flags.remove(LocalFlags::ECHO);
    terminal.set_modes(&modes);
    terminal
}

#[test]
fn after_a_panic() {
    if inside() {
        let _terminal = give_away();
        panic!("on purpose");
    }
    let (pty, status) = again("after_a_panic");
    assert!(echoes(&pty.slave) && !status.success());
}

#[test]
fn after_a_signal() {
    if inside() {
        let _terminal = give_away();
        die(libc::SIGTERM);
    }
    let (pty, status) = again("after_a_signal");
    assert!(echoes(&pty.slave));
    assert_eq!(status.signal(), Some(libc::SIGTERM));
}

#[test]
fn not_after_it_was_given_back() {
    if inside() {
        give_away().cancel_restore();
        die(libc::SIGTERM);
    }
    let (pty, _) = again("not_after_it_was_given_back");
    assert!(!echoes(&pty.slave), "these settings were wanted");
}

#[test]
fn the_foreground_is_given_and_taken() {
    if inside() {
        use std::os::unix::process::CommandExt;
        let terminal = Terminal::of_own().unwrap();
        let mut child = Command::new("sleep").arg("100").process_group(0).spawn().unwrap();
        let group = nix::unistd::Pid::from_raw(child.id() as i32);
        terminal.give(group);
        assert!(terminal.is_of(group) && !terminal.is_ours());
        assert!(in_background(prun::os::std_streams::stderr()));
        // In the background, and not stopped for it.
        terminal.take();
        assert!(terminal.is_ours() && !in_background(prun::os::std_streams::stderr()));
        child.kill().unwrap();
        child.wait().unwrap();
        return;
    }
    let (_pty, status) = again("the_foreground_is_given_and_taken");
    assert!(status.success());
}
