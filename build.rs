//! Says how the programs are linked.

use std::process::Command;

/// The first glibc that reads relocations in their packed form, which is a tenth as large.
const GLIBC_NEEDED: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A program runs where the C library is not older than where it was built. What is built for another machine is left
    // as it is: nobody here knows its library.
    if std::env::var("HOST") == std::env::var("TARGET") && glibc().is_some_and(|found| found >= GLIBC_NEEDED) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
