//! How the binary is linked.
//!
//! The dynamic loader takes a sixth of the time that prun needs for one task: it maps three libraries and writes 9,600
//! addresses into 50 pages, which are then prun's own. A static binary at a fixed address needs none of that.
//! A static binary that may lie anywhere writes the same addresses itself, and costs a third of what is saved.
//!
//! `-C target-feature=+crt-static` can't be used. Cargo passes such flags to proc macros as well, which can't be
//! static, unless a target is named, and a package can't name one for those who install it. Arguments for the linker
//! reach the binary alone, so everybody who builds the release profile gets the same kind of binary. They stand behind
//! the libraries that rustc names (`-Wl,-Bdynamic -lgcc_s -lm -lc`), and can't replace them. But the linker searches
//! the folders of all `-L`, wherever they stand; so a folder with linker scripts of these names leads to the archives.
//!
//! prun resolves no names of hosts or users and loads no library at run time, which a static C library can't do well.

/// Facts about the build.
#[derive(Debug, Clone)]
pub struct Target {
    pub os: String,
    /// The C library: `gnu`, `musl`.
    pub libc: String,
    pub arch: String,
    /// True if the target is the machine that builds.
    pub native: bool,
    /// True for the release profile and for those that inherit from it.
    pub release: bool,
    /// True if rustc links statically by itself: `-C target-feature=+crt-static`, or musl's default.
    pub static_already: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Linking {
    /// No argument is added.
    AsRustDoes,
    /// Static, at a fixed address, with linker scripts of these names and texts in a folder of `-L`.
    Static(Vec<(&'static str, String)>),
    /// Dynamic, at a fixed address, because this archive is missing.
    FixedAddress { missing: &'static str },
}

/// The libraries that rustc names, and the archives to be linked instead. Since glibc 2.34 the others are empty.
const LIBRARIES: [(&str, &[&str]); 7] = [
    ("libgcc_s.so", &["libgcc_eh.a", "libgcc.a"]),
    ("libm.so", &["libm.a"]),
    ("libc.so", &["libc.a", "libgcc.a", "libgcc_eh.a"]),
    ("libpthread.so", &["libpthread.a"]),
    ("libdl.so", &["libdl.a"]),
    ("librt.so", &["librt.a"]),
    ("libutil.so", &["libutil.a"]),
];

/// Decides how the binary is linked. `wish` is the value of `PRUN_LINK`: `static`, `dynamic`, or empty. `find` returns
/// the path of an archive.
///
/// # Errors
/// A wish that can't be fulfilled. For people.
pub fn decide(target: &Target, wish: &str, find: impl Fn(&str) -> Option<String>) -> Result<Linking, String> {
    let wanted = match wish {
        "" => target.release && target.native && target.arch == "x86_64",
        "static" => true,
        "dynamic" => false,
        other => return Err(format!("PRUN_LINK={other}: expected `static` or `dynamic`")),
    };
    let is_glibc = target.os == "linux" && target.libc == "gnu";
    if !wanted || target.static_already {
        return Ok(Linking::AsRustDoes);
    }
    if !is_glibc {
        return match wish {
            "static" => {
                Err("PRUN_LINK=static is for Linux with glibc; use `-C target-feature=+crt-static`"
                    .to_owned())
            }
            _ => Ok(Linking::AsRustDoes),
        };
    }
    let mut scripts = Vec::new();
    for (library, archives) in LIBRARIES {
        let mut paths = Vec::new();
        for archive in archives {
            match find(archive) {
                // A blank would end the path.
                Some(path) if !path.contains([' ', '"']) => paths.push(path),
                _ if wish == "static" => {
                    return Err(format!("PRUN_LINK=static: the linker has no {archive}"));
                }
                _ => return Ok(Linking::FixedAddress { missing: archive }),
            }
        }
        scripts.push((library, format!("GROUP({})\n", paths.join(" "))));
    }
    Ok(Linking::Static(scripts))
}
