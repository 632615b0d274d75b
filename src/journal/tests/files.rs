//! Files: which ones are accepted, the lock, and their state after errors.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use nix::sys::stat::Mode;
use tempfile::TempDir;

use super::super::open;
use super::*;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn refused(path: &Path) -> String {
    open(path, false).err().unwrap_or_else(|| panic!("{} should be refused", path.display()))
}

#[test]
fn what_one_run_writes_the_next_one_knows() {
    let folder = folder();
    let path = folder.path().join("journal");
    for sync in [false, true] {
        let _ = fs::remove_file(&path);
        let (mut journal, past, warnings) = open(&path, sync).unwrap();
        assert_eq!(outcomes_of(&past), [(false, false); 30]);
        assert_eq!(warnings, [""; 0]);
        journal.append(&line(&entry(1, Outcome::Ok))).unwrap();
        let two = [line(&entry(2, Outcome::Failed(1))), line(&entry(3, Outcome::Ok))].concat();
        journal.append(&two).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        drop(journal);

        let (mut journal, past, warnings) = open(&path, sync).unwrap();
        assert!(past.finished(known(1)) && past.failed(known(2)) && past.finished(known(3)));
        assert_eq!(warnings, [""; 0]);
        journal.append(&line(&entry(2, Outcome::Ok))).unwrap();
        drop(journal);
        let (_, past, _) = open(&path, sync).unwrap();
        assert!((1..=3).all(|key| past.finished(known(key))));
    }
}

#[test]
fn a_journal_that_others_can_write_is_refused() {
    use std::os::unix::fs::{PermissionsExt, chown};
    let folder = folder();
    let path = folder.path().join("journal");
    let set_mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    fs::write(&path, "").unwrap();
    for mode in [0o666, 0o602] {
        set_mode(mode);
        assert!(refused(&path).contains("everybody may write the journal"), "{mode:o}");
        assert!(crate::journal::read(&path).is_err(), "nor are its lines believed");
    }
    for mode in [0o664, 0o600, 0o644] {
        set_mode(mode);
        open(&path, false).unwrap();
    }
    // Only root can give a file away.
    if nix::unistd::geteuid().is_root() {
        chown(&path, Some(65534), None).unwrap();
        let why = refused(&path);
        assert!(why.contains("belongs to another user (uid 65534") && why.contains("chown"), "{why}");
    }
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("file"), "").unwrap();
    symlink(at("file"), at("link")).unwrap();
    symlink(at("nothing"), at("dangling")).unwrap();
    nix::unistd::mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
    let _listener = UnixListener::bind(at("socket")).unwrap();
    for (name, what) in [
        ("link", "is a symbolic link: name the file itself"),
        ("dangling", "is a symbolic link: name the file itself"),
        ("fifo", "is a FIFO, which can't be read again: name a file"),
        ("socket", "is a device or socket, which can't be read again: name a file"),
        (".", "is a directory: name a file in it"),
    ] {
        let path = at(name);
        assert_eq!(refused(&path), format!("the journal `{}` {what}", path.display()));
    }
    assert!(
        refused(Path::new("/dev/full"))
            .ends_with("is a device or socket, which can't be read again: name a file")
    );
    assert!(!at("nothing").exists());
    let missing = at("missing/journal");
    let expected = format!("could not open the journal `{}`: no such file or directory", missing.display());
    assert_eq!(refused(&missing), expected);
}

#[test]
fn the_data_of_others_stays_as_it_is() {
    let folder = folder();
    let path = folder.path().join("data");
    for data in ["results\n", "{\"a\":1}\n", "no newline", "\n"] {
        fs::write(&path, data).unwrap();
        let expected = format!("`{}` is no journal, and stays as it is: name another file", path.display());
        assert_eq!(refused(&path), expected);
        assert_eq!(fs::read_to_string(&path).unwrap(), data);
    }
}

#[test]
fn one_run_at_a_time() {
    let folder = folder();
    let path = folder.path().join("journal");
    let (first, ..) = open(&path, false).unwrap();
    assert_eq!(
        refused(&path),
        format!(
            "the journal `{}` is in use by another run: wait for its end, or name another file",
            path.display()
        )
    );
    drop(first);
    open(&path, false).unwrap();
}

#[test]
fn half_a_line_is_taken_away_and_told() {
    let folder = folder();
    let path = folder.path().join("journal");
    let [first, second] = [line(&entry(1, Outcome::Ok)), line(&entry(2, Outcome::Ok))];
    for (whole, torn) in [(&first[..], &second[..100]), (b"", &first[..3]), (b"", &b"\0\0\0"[..])] {
        fs::write(&path, [whole, torn].concat()).unwrap();
        let (mut journal, past, warnings) = open(&path, true).unwrap();
        let expected = format!(
            "the journal `{}`: its last line was cut short after {} bytes, and counts as not there",
            path.display(),
            torn.len()
        );
        assert_eq!(warnings, [expected]);
        assert_eq!(past.finished(known(1)), !whole.is_empty());
        assert_eq!(fs::read(&path).unwrap(), whole);
        journal.append(&second).unwrap();
        assert_eq!(fs::read(&path).unwrap(), [whole, &second].concat());
    }
}

#[test]
fn damaged_lines_are_told_and_stay() {
    let folder = folder();
    let path = folder.path().join("journal");
    let mut lines: Vec<Vec<u8>> = (0..3).map(|key| line(&entry(key, Outcome::Ok))).collect();
    lines[1][20] ^= 4;
    fs::write(&path, lines.concat()).unwrap();
    let (mut journal, past, warnings) = open(&path, false).unwrap();
    let expected = format!("the journal `{}`: line 2 is damaged, and counts as not there", path.display());
    assert_eq!(warnings, [expected]);
    assert_eq!(outcomes_of(&past)[..3], [(true, false), (false, false), (true, false)]);
    lines.push(line(&entry(1, Outcome::Ok)));
    journal.append(&lines[3]).unwrap();
    assert_eq!(fs::read(&path).unwrap(), lines.concat());
}

/// Set in the process that may only write small files; its value is the directory in which it writes.
const SMALL: &str = "PRUN_TEST_SMALL_FILES";

/// No file may become larger than 1 KiB (512 bytes in some shells), as if the disk were full.
#[test]
fn a_full_disk_leaves_whole_lines() {
    if let Some(folder) = std::env::var_os(SMALL) {
        return fill(&Path::new(&folder).join("journal"));
    }
    let folder = folder();
    let test = std::env::current_exe().expect("a test knows its program");
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" --exact journal::tests::files::a_full_disk_leaves_whole_lines";
    let status = Command::new("/bin/sh").args(["-c", script]).arg(test).env(SMALL, folder.path()).output();
    let output = status.expect("a shell");
    assert!(output.status.success(), "{output:?}");
    let left = fs::read(folder.path().join("journal")).expect("it was written");
    assert!(left.len() > 200 && left.len() <= 1024, "{}", left.len());
}

fn fill(path: &Path) {
    let (mut journal, ..) = open(path, false).unwrap();
    let mut wanted = Vec::new();
    let (key, told) = (0..)
        .find_map(|key| {
            let line = line(&entry(key, Outcome::Ok));
            let told = journal.append(&line).err();
            wanted.extend_from_slice(if told.is_none() { &line } else { b"" });
            told.map(|told| (key, told))
        })
        .expect("it becomes full");
    assert_eq!(told, format!("could not write the journal `{}`: file too large", path.display()));
    assert!(key > 0 && fs::read(path).unwrap() == wanted);
    // Of several lines those that fit are kept.
    drop(journal);
    fs::remove_file(path).unwrap();
    let (mut journal, ..) = open(path, false).unwrap();
    let many: Vec<u8> = (0..10).flat_map(|key| line(&entry(key, Outcome::Ok))).collect();
    assert!(journal.append(&many).is_err());
    assert_eq!(fs::read(path).unwrap(), wanted);
    drop(journal);
    let (_, past, warnings) = open(path, false).unwrap();
    assert_eq!(warnings, [""; 0]);
    assert!(past.finished(known(key - 1)) && !past.finished(known(key)));
}
