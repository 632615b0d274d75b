use std::fs;

use super::*;

/// A folder with `a/tool` (not executable), `b/tool` and `c/tool` (a folder).
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, mode) in [("a", 0o644), ("b", 0o755)] {
        fs::create_dir(folder.path().join(name)).unwrap();
        write(&folder.path().join(name).join("tool"), b"#!/bin/sh\n", mode);
    }
    fs::create_dir_all(folder.path().join("c/tool")).unwrap();
    folder
}

fn write(path: &Path, text: &[u8], mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn found(path: &str, cwd: &Path) -> Result<String, Errno> {
    let result = resolve(b"tool", Some(path.as_bytes()), Some(cwd));
    result.map(|path| path.into_string().unwrap()).map_err(|missing| missing.errno)
}

#[test]
fn the_first_executable_file_is_taken() {
    let folder = folder();
    let here = folder.path();
    assert_eq!(found("/no/such:a:c:b", here), Ok("b/tool".into()));
    assert_eq!(found(&format!("{}/b", here.display()), here), Ok(format!("{}/b/tool", here.display())));
    assert_eq!(found("/no/such:a/tool", here), Err(Errno::ENOENT));
    assert_eq!(found("a:/no/such", here), Err(Errno::EACCES));
    assert_eq!(found("c", here), Err(Errno::EACCES));
}

#[test]
fn an_empty_entry_is_the_childs_directory() {
    let folder = folder();
    let there = folder.path().join("b");
    assert_eq!(found("/no/such:", &there), Ok("./tool".into()));
    assert_eq!(found("", &there), Ok("./tool".into()));
    assert_eq!(found("/no/such", &there), Err(Errno::ENOENT));
}

#[test]
fn a_slash_means_no_search_and_no_path_the_usual_one() {
    assert_eq!(resolve(b"./x", Some(b"/bin"), None), Ok(c"./x".into()));
    assert!(resolve(b"sh", None, None).is_ok());
    assert_eq!(resolve(b"", Some(b"/bin"), None), Err(NotFound { errno: Errno::ENOENT }));
    assert_eq!(resolve(b"a/\0", None, None), Err(NotFound { errno: Errno::EINVAL }));
}

/// Returns the message for a file of this text and mode whose execution fails with this errno.
fn said(text: &[u8], mode: u32, errno: Errno) -> (u8, String) {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("x"), text, mode);
    explain(b"./x", c"./x", StartError { step: Step::Execute, errno }, Some(folder.path()))
}

#[test]
fn a_missing_interpreter_is_named() {
    let enoent = |text| said(text, 0o755, Errno::ENOENT);
    assert_eq!(enoent(b"#!/no/such -x\n"), (127, "`./x`: its interpreter `/no/such` is missing".into()));
    assert_eq!(enoent(b"#! \t/no/such"), (127, "`./x`: its interpreter `/no/such` is missing".into()));
    let dos = "`./x`: its interpreter `/bin/sh\\r` is missing: the first line ends with a carriage return";
    assert_eq!(enoent(b"#!/bin/sh\r\n"), (127, dos.into()));
    assert_eq!(enoent(b"echo"), (127, "`./x`: `/bin/sh`, which would run it, is missing".into()));
    let eacces = said(b"#!/etc/passwd\n", 0o755, Errno::EACCES);
    assert_eq!(eacces, (126, "`./x`: its interpreter `/etc/passwd` can't be executed".into()));
}

#[test]
fn a_missing_loader_is_named() {
    let elf = fs::read("/bin/sh").unwrap();
    let loader = String::from_utf8(elf_loader(&elf).unwrap().to_vec()).unwrap();
    assert!(Path::new(&loader).exists(), "{loader}");
    let (code, why) = said(&elf, 0o755, Errno::ENOENT);
    assert_eq!((code, why), (127, format!("`./x`: its loader `{loader}` is missing")));
    // Broken files have no loader, and do no harm.
    for length in [6, 40, 60, 100] {
        assert_eq!(elf_loader(&elf[..length]), None);
    }
}

#[test]
fn what_is_wrong_is_said_with_its_name() {
    assert_eq!(said(b"", 0o644, Errno::EACCES), (126, "`./x`: not executable (chmod +x makes it so)".into()));
    let execute =
        |path: &CStr, errno| explain(path.to_bytes(), path, StartError { step: Step::Execute, errno }, None);
    assert_eq!(execute(c"/no/such", Errno::ENOENT), (127, "`/no/such`: no such file or directory".into()));
    assert_eq!(execute(c"/etc", Errno::EACCES), (126, "`/etc`: is a directory".into()));
    assert_eq!(execute(c"/a\x1b[1m", Errno::ENOENT).1, "`/a\\u{1b}[1m`: no such file or directory");
    let (code, why) = execute(c"/bin/echo", Errno::E2BIG);
    assert!(code == 126 && why.contains("131071 bytes"), "{why}");
}

#[test]
fn the_step_that_failed_is_told() {
    let failed =
        |step, errno| explain(b"tool", c"/bin/tool", StartError { step, errno }, Some(Path::new("/no/dir")));
    let directory = "working directory `/no/dir`: no such file or directory";
    assert_eq!(failed(Step::Directory, Errno::ENOENT), (126, directory.into()));
    let clone = "`tool`: no process could be started: the limit of processes is reached";
    assert_eq!(failed(Step::Clone, Errno::EAGAIN), (126, clone.into()));
    let missing = |errno| explain_missing(b"tool", NotFound { errno });
    assert_eq!(missing(Errno::ENOENT), (127, "`tool`: not found in PATH".into()));
    let (status, words) = explain_missing(b"ls | wc", NotFound { errno: Errno::ENOENT });
    assert!(status == 127 && words.contains("exec -c"), "{words}");
    assert_eq!(missing(Errno::EACCES), (126, "`tool`: found in PATH, but not executable".into()));
}
