//! Says how the programs are linked, and what this computer lacks for the build.

use std::process::Command;

/// The first glibc that reads relocations in their packed form, which is a tenth as large.
const GLIBC_NEEDED: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CC");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os != "linux") {
        println!("cargo::error=these programs run on Linux alone");
    }
    // Without any C compiler Rust itself cannot link this file, and says that there is no `cc`. SQLite and ring take the one of `CC`.
    if std::env::var("HOST") == std::env::var("TARGET") && !has_compiler() {
        println!("cargo::error=SQLite and ring need a C compiler, and CC names none that runs (Debian: apt-get install gcc libc6-dev)");
    }
    // A program runs where the C library is not older than where it was built. What is built for another machine is left
    // as it is: nobody here knows its library.
    if std::env::var("HOST") == std::env::var("TARGET") && glibc().is_some_and(|found| found >= GLIBC_NEEDED) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

fn has_compiler() -> bool {
    let named = std::env::var("CC").unwrap_or_default();
    let mut words = named.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or("cc"));
    command.args(words).arg("--version").output().is_ok_and(|said| said.status.success())
}

fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
