//! Links the release binary statically, where that is possible. See `build/linking.rs`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

#[path = "build/linking.rs"]
mod linking;

use linking::{Linking, Target};

fn main() {
    for file in ["build.rs", "build/linking.rs"] {
        println!("cargo:rerun-if-changed={file}");
    }
    println!("cargo:rerun-if-env-changed=PRUN_LINK");
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let linker = env::var("RUSTC_LINKER").unwrap_or_else(|_| "cc".to_owned());
    let target = Target {
        os: variable("CARGO_CFG_TARGET_OS"),
        libc: variable("CARGO_CFG_TARGET_ENV"),
        arch: variable("CARGO_CFG_TARGET_ARCH"),
        native: variable("TARGET") == variable("HOST"),
        release: variable("PROFILE") == "release",
        static_already: variable("CARGO_CFG_TARGET_FEATURE").split(',').any(|word| word == "crt-static"),
    };
    match linking::decide(&target, &variable("PRUN_LINK"), |archive| find(&linker, archive)) {
        Ok(Linking::AsRustDoes) => {}
        Ok(Linking::Static(scripts)) => {
            let folder = PathBuf::from(variable("OUT_DIR")).join("static");
            fs::create_dir_all(&folder).expect("OUT_DIR is writable");
            for (name, text) in scripts {
                fs::write(folder.join(name), text).expect("OUT_DIR is writable");
            }
            println!("cargo:rustc-link-arg-bins=-L{}", folder.display());
            println!("cargo:rustc-link-arg-bins=-static");
            println!("cargo:rustc-link-arg-bins=-no-pie");
        }
        Ok(Linking::FixedAddress { missing }) => {
            println!(
                "cargo:warning=prun is linked dynamically, and starts 15 % slower: {linker} has no {missing} (Debian: libc6-dev; Fedora: glibc-static)"
            );
            println!("cargo:rustc-link-arg-bins=-no-pie");
        }
        Err(why) => {
            eprintln!("{why}");
            std::process::exit(1);
        }
    }
}

/// Asks the compiler driver that links for the full path of an archive.
fn find(linker: &str, archive: &str) -> Option<String> {
    let asked = Command::new(linker).arg(format!("-print-file-name={archive}")).output().ok()?;
    let path = String::from_utf8(asked.stdout).ok()?.trim().to_owned();
    // The name comes back as it is if the driver does not find the file.
    (Path::new(&path).is_absolute() && Path::new(&path).exists()).then_some(path)
}
