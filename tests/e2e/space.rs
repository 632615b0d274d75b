//! A temporary folder in which the real prun runs. Every run has a time limit, and every failed check shows
//! the whole run. A space that is dropped checks that no process that was started in it is still alive.

use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::running::Prun;

/// The limit of any single wait, ample for a busy machine.
pub const LIMIT: Duration = Duration::from_secs(90);

/// A variable that every process of a space has; its value is the folder.
const MARK: &str = "PRUN_TEST_SPACE";

/// The variable that names another prun than the one that `cargo test` built; scripts set it.
const BINARY: &str = "PRUN_TEST_BINARY";

pub struct Space {
    dir: TempDir,
    /// The soft RLIMIT_LOCKS of every process of the space (without effect since Linux 2.4, getrlimit(2)). It
    /// stays when a process wipes its environment, and does not depend on prun's own mark, which may be what
    /// fails.
    locks: u64,
}

impl Space {
    pub fn new() -> Space {
        puppet_folder();
        let dir = tempfile::Builder::new().prefix("prun-test-").tempdir().expect("a temporary folder");
        Space { dir, locks: 1 << 60 | RandomState::new().hash_one(0) >> 8 }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Space {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("folders can be made");
        std::fs::write(path, content).expect("files can be written");
        self
    }

    /// Writes a file that can be executed.
    pub fn program(&self, name: &str, content: impl AsRef<[u8]>) -> &Space {
        self.write(name, content);
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.path(name), mode).expect("modes can be set");
        self
    }

    pub fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        match std::fs::read(self.path(name)) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => panic!("`{name}` in the space: {error}"),
        }
    }

    /// Prepares prun with the words of this line. They are split as a shell splits them; nothing is expanded.
    pub fn prun(&self, line: &str) -> Prun {
        let mut command = self.command(binary());
        command.args(shlex::split(line).expect("quotes are closed"));
        self.at_home(command, format!("prun {line}"))
    }

    /// Prepares `prun exec` with the words of this line.
    pub fn exec(&self, line: &str) -> Prun {
        self.prun(&format!("exec {line}"))
    }

    /// Writes a job file and prepares its run.
    pub fn file(&self, toml: &str) -> Prun {
        self.write("prun.toml", toml).prun("")
    }

    /// Prepares a script for /bin/sh, in which `prun` and `puppet` are the ones that were just built.
    pub fn sh(&self, script: &str) -> Prun {
        self.shell("/bin/sh", script)
    }

    /// Prepares the same for bash.
    pub fn bash(&self, script: &str) -> Prun {
        self.shell("/bin/bash", script)
    }

    fn shell(&self, shell: &str, script: &str) -> Prun {
        let mut command = self.command(Path::new(shell));
        command.args(["-c", script]);
        self.at_home(command, script.to_owned())
    }

    /// Prepares a program that carries the space's limit.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("prlimit");
        command.arg(format!("--locks={}:", self.locks)).arg(program);
        command
    }

    fn at_home(&self, mut command: Command, shown: String) -> Prun {
        command.current_dir(self.dir.path());
        for (name, value) in self.environment() {
            command.env(name, value);
        }
        // Nothing of the people who run the tests.
        for (name, _) in std::env::vars_os() {
            let ours = name.as_bytes().starts_with(b"PRUN_") && name != MARK;
            let of_make = name.as_bytes().ends_with(b"MAKEFLAGS");
            if ours || of_make || name == "NO_COLOR" || name == "CLICOLOR_FORCE" {
                command.env_remove(name);
            }
        }
        Prun::new(command, shown)
    }

    /// Returns the variables of every program of this space.
    pub fn environment(&self) -> Vec<(String, String)> {
        let binary = binary().parent().expect("a program is in a folder");
        let rest = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{}:{rest}", binary.display(), puppet_folder().display());
        let pairs = [
            ("PATH", path),
            ("LC_ALL", "C.UTF-8".into()),
            ("TERM", "xterm".into()),
            (MARK, self.dir.path().display().to_string()),
            ("XDG_CONFIG_HOME", self.path("config").display().to_string()),
            ("PUPPET_SOCKET", self.path("socket").display().to_string()),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// Returns pid and command line of every process of this space that is alive. A zombie is not.
    pub fn survivors(&self) -> Vec<(i32, String)> {
        let mark = format!("{MARK}={}", self.dir.path().display());
        let marked = |pid| environment_of(pid).split(|&byte| byte == 0).any(|entry| entry == mark.as_bytes());
        let processes = std::fs::read_dir("/proc").expect("/proc is there").flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|&pid| (locks_of(pid) == Some(self.locks) || marked(pid)) && lives(pid))
            .map(|pid| (pid, command_line_of(pid)))
            .collect()
    }

    /// Waits until no process of this space lives. Returns false if the limit passes before that.
    pub fn becomes_empty(&self, limit: Duration) -> bool {
        let start = Instant::now();
        while !self.survivors().is_empty() {
            if start.elapsed() > limit {
                return false;
            }
            // Processes that are no children can't be waited for; this only keeps the look-up from spinning.
            nix::poll::poll(&mut [], 10u8).expect("poll of nothing");
        }
        true
    }

    /// Kills processes that a test has left alive on purpose.
    pub fn sweep(&self) {
        let start = Instant::now();
        // Again and again: what was killed may have started others.
        while !self.becomes_empty(Duration::ZERO) {
            assert!(start.elapsed() < LIMIT, "survived SIGKILL: {:?}", self.survivors());
            for (pid, _) in self.survivors() {
                // It may have ended since it was seen.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return self.sweep();
        }
        if !self.becomes_empty(Duration::from_secs(2)) {
            let left = self.survivors();
            self.sweep();
            panic!("left alive at the end of the test: {left:?}");
        }
    }
}

/// Returns the soft RLIMIT_LOCKS of a process.
fn locks_of(pid: i32) -> Option<u64> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max file locks"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn lives(pid: i32) -> bool {
    // Of a process that has ended meanwhile there is nothing to read. The name, in brackets, may hold anything.
    let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = memchr::memrchr(b')', &stat).and_then(|end| stat.get(end + 2));
    state.is_some_and(|state| !b"ZXx".contains(state))
}

fn environment_of(pid: i32) -> Vec<u8> {
    std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default()
}

fn command_line_of(pid: i32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

/// Returns the name in `/proc/PID/comm`, which `pkill NAME` and `killall NAME` match.
pub fn name_of(pid: i32) -> String {
    let name = std::fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    String::from_utf8_lossy(&name).trim_end().to_owned()
}

/// Returns the path of the prun under test.
pub fn binary() -> &'static Path {
    static BINARY_PATH: OnceLock<PathBuf> = OnceLock::new();
    BINARY_PATH.get_or_init(|| match std::env::var_os(BINARY) {
        Some(path) => std::fs::canonicalize(path).expect("PRUN_TEST_BINARY is a program"),
        None => env!("CARGO_BIN_EXE_prun").into(),
    })
}

/// Returns the folder of the `puppet` program. `cargo test` builds examples, but `cargo test --test e2e` does
/// not, so it is built here where it is missing or old.
fn puppet_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let target = Path::new(env!("CARGO_BIN_EXE_prun")).parent().expect("a program is in a folder");
        let folder = target.join("examples");
        let sources = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/helper"));
        let sources = sources.expect("the sources are there").flatten().map(|entry| entry.path());
        let changed = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
        if changed(&folder.join("puppet")) < sources.map(|path| changed(&path)).max().flatten() {
            let built =
                Command::new(env!("CARGO")).args(["build", "--quiet", "--example", "puppet"]).status();
            assert!(built.is_ok_and(|status| status.success()), "cargo build --example puppet failed");
        }
        folder
    })
}

/// Polls a condition of which no event tells.
#[track_caller]
pub fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LIMIT, "it never came true that {what}");
        nix::poll::poll(&mut [], 20u8).expect("poll of nothing");
    }
}

/// Returns an argument of any bytes.
pub fn word(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}
