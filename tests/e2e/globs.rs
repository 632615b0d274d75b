//! Items that are the paths which match a glob: links, directories that can't be read, hidden files, and the order.

use std::os::unix::fs::symlink;

use nix::sys::signal::Signal;

use crate::space::{Space, wait_until};

/// Returns the items of a glob.
fn paths(space: &Space, pattern: &str) -> Vec<String> {
    let toml = format!("[jobs.a]\neach.glob = '{pattern}'\ncommand = 'echo'\nkeep_order = true\n");
    let ended = space.file(&toml).run();
    ended.code(0);
    ended.lines().iter().map(|line| (*line).to_owned()).collect()
}

fn tree(files: &[&str]) -> Space {
    let space = Space::new();
    for file in files {
        space.write(file, "");
    }
    space
}

#[test]
fn a_recursive_glob_does_not_follow_links() {
    let space = tree(&["s/f.c", "s/l/g.c", "other/h.c"]);
    symlink("..", space.path("s/l/up")).expect("a link");
    symlink("../s", space.path("s/l/round")).expect("a link");
    symlink("../other", space.path("s/there")).expect("a link");
    assert_eq!(paths(&space, "s/**/*.c"), ["s/f.c", "s/l/g.c"]);
    assert_eq!(paths(&space, "**/*.c"), ["other/h.c", "s/f.c", "s/l/g.c"]);
    // A link that the pattern names, or matches by one component, is followed.
    assert_eq!(paths(&space, "s/there/*.c"), ["s/there/h.c"]);
    assert_eq!(paths(&space, "s/there/**/*.c"), ["s/there/h.c"]);
    assert_eq!(paths(&space, "s/*/*.c"), ["s/l/g.c", "s/there/h.c"]);
    assert_eq!(paths(&space, "**/there/*.c"), ["s/there/h.c"]);
    assert_eq!(paths(&space, "**/up/f.c"), ["s/l/up/f.c"]);
    symlink("f.c", space.path("s/link.c")).expect("a link");
    symlink("nowhere", space.path("s/broken.c")).expect("a link");
    assert_eq!(paths(&space, "s/*.c"), ["s/broken.c", "s/f.c", "s/link.c"]);
}

#[test]
fn patterns_mean_what_they_meant() {
    let space = tree(&[
        "a.c", "B.c", "b.c", "é.c", ".h.c", "[x].c", "{x,y}.c", "d/a.c", "d.d/b.c", ".hid/a.c", "d/e/z.c",
    ]);
    for (pattern, expected) in [
        ("*.c", &["B.c", "[x].c", "a.c", "b.c", "{x,y}.c", "é.c"][..]),
        ("?.c", &["B.c", "a.c", "b.c", "é.c"]),
        ("[!a].c", &["B.c", "b.c", "é.c"]),
        ("[a-b].c", &["a.c", "b.c"]),
        ("[[]x].c", &["[x].c"]),
        ("{x,y}.c", &["{x,y}.c"]),
        ("{x*", &["{x,y}.c"]),
        ("a.c", &["a.c"]),
        ("./a.c", &["a.c"]),
        ("no/*.c", &[]),
        ("a.c/*", &[]),
        (".h*.c", &[".h.c"]),
        (".hid/*", &[".hid/a.c"]),
        ("**/.h.c", &[".h.c"]),
        ("d*/*.c", &["d/a.c", "d.d/b.c"]),
        ("d/../a.c", &["d/../a.c"]),
        ("**/a.c", &["a.c", "d/a.c"]),
        ("**/e/*", &["d/e/z.c"]),
        ("**/*/z.c", &["d/e/z.c"]),
        ("**/**/z.c", &["d/e/z.c"]),
        ("**/d/**/z.c", &["d/e/z.c"]),
        ("d/**", &["d/e"]),
        ("*/", &["d", "d.d"]),
        ("**/*.c", &["B.c", "[x].c", "a.c", "b.c", "d/a.c", "d/e/z.c", "d.d/b.c", "{x,y}.c", "é.c"]),
    ] {
        assert_eq!(paths(&space, pattern), expected, "{pattern}");
    }
    let whole = space.path("d/*.c").display().to_string();
    assert_eq!(paths(&space, &whole), [space.path("d/a.c").display().to_string()]);
    let odd = std::path::PathBuf::from(crate::space::word(b"odd\xff.x"));
    std::fs::write(space.path("d").join(odd), "").expect("a file");
    let toml = "[jobs.a]\neach.glob = 'd/*.x'\nscript = 'test -e \"$1\"'\n";
    space.file(toml).run().ok();
}

#[test]
fn a_path_that_two_ways_lead_to_is_one_item() {
    let space = tree(&["a/a/x"]);
    assert_eq!(paths(&space, "**/a/**/x"), ["a/a/x"]);
}

#[test]
fn a_directory_that_cannot_be_read_is_told_and_the_others_are_walked() {
    let space = tree(&["t/a/1.c", "t/locked/2.c", "t/z/3.c"]);
    let toml = "[run]\nkeep_order = true\n[jobs.a]\neach.glob = 't/**/*.c'\ncommand = 'echo'\n\
                [jobs.b]\nafter = ['a']\ncommand = 'echo b'\n";
    space.write("prun.toml", toml);
    let script =
        "chmod 755 . && chmod 000 t/locked && exec setpriv --reuid=65534 --regid=65534 --clear-groups prun";
    let ended = space.sh(script).run();
    let why = "permission denied";
    ended
        .code(1)
        .stdout("t/a/1.c\nt/z/3.c\n")
        .stderr_has("t/locked")
        .stderr_has(why)
        .stderr_has("skipped: b");
    // A directory that has no longer a name is passed over.
    space.file("[jobs.a]\neach.glob = 'gone/**/*.c'\ncommand = 'echo'\n").run().code(0).stdout("");
}

#[test]
fn signals_are_handled_while_a_large_tree_is_walked() {
    let space = Space::new();
    // More than one turn of the loop has to look at.
    for folder in 0..12 {
        for file in 0..1000 {
            space.write(&format!("t/{folder}/{file}"), "");
        }
    }
    space.write("t/z.c", "");
    assert_eq!(paths(&space, "t/**/*.c"), ["t/z.c"]);
    let toml = "[jobs.a]\neach.glob = '/proc/[0-9]*/task/**/nothing'\ncommand = 'echo'\n[jobs.b]\nscript = 'echo b; sleep 1000'\n";
    let running = space.file(toml).start();
    wait_until("the other job runs", || running.stdout_so_far().contains('b'));
    running.signal(Signal::SIGTERM);
    running.end().died_of(Signal::SIGTERM);
}
