//! How the binary is linked, as `build.rs` decides it.

#[path = "../build/linking.rs"]
mod linking;

use linking::{Linking, Target, decide};

fn debian() -> Target {
    let (os, libc, arch) = ("linux".to_owned(), "gnu".to_owned(), "x86_64".to_owned());
    Target { os, libc, arch, native: true, release: true, static_already: false }
}

fn all(archive: &str) -> Option<String> {
    Some(format!("/usr/lib/{archive}"))
}

fn without_libc(archive: &str) -> Option<String> {
    all(archive).filter(|_| archive != "libc.a")
}

#[test]
fn the_release_binary_is_static_where_the_archives_are() {
    let Ok(Linking::Static(scripts)) = decide(&debian(), "", all) else { panic!("not static") };
    let text = |name| &scripts.iter().find(|script| script.0 == name).expect("a script").1;
    assert_eq!(text("libc.so"), "GROUP(/usr/lib/libc.a /usr/lib/libgcc.a /usr/lib/libgcc_eh.a)\n");
    assert_eq!(text("libgcc_s.so"), "GROUP(/usr/lib/libgcc_eh.a /usr/lib/libgcc.a)\n");
    assert_eq!(decide(&debian(), "", without_libc), Ok(Linking::FixedAddress { missing: "libc.a" }));
    let blank = |archive: &str| Some(format!("/my tools/{archive}"));
    assert_eq!(decide(&debian(), "", blank), Ok(Linking::FixedAddress { missing: "libgcc_eh.a" }));
}

#[test]
fn other_builds_are_left_to_rust() {
    let others = [
        Target { release: false, ..debian() },
        Target { native: false, ..debian() },
        Target { static_already: true, ..debian() },
        Target { libc: "musl".to_owned(), ..debian() },
        Target { arch: "aarch64".to_owned(), ..debian() },
        Target { os: "freebsd".to_owned(), libc: String::new(), ..debian() },
    ];
    for target in others {
        assert_eq!(decide(&target, "", all), Ok(Linking::AsRustDoes), "{target:?}");
    }
}

#[test]
fn a_wish_is_kept_or_refused() {
    assert_eq!(decide(&debian(), "dynamic", all), Ok(Linking::AsRustDoes));
    let cross = Target { native: false, release: false, arch: "aarch64".to_owned(), ..debian() };
    assert!(matches!(decide(&cross, "static", all), Ok(Linking::Static(_))));
    let missing = decide(&debian(), "static", without_libc).unwrap_err();
    assert_eq!(missing, "PRUN_LINK=static: the linker has no libc.a");
    let musl = Target { libc: "musl".to_owned(), ..debian() };
    assert!(decide(&musl, "static", all).unwrap_err().contains("glibc"));
    assert_eq!(
        decide(&debian(), "statik", all).unwrap_err(),
        "PRUN_LINK=statik: expected `static` or `dynamic`"
    );
}
