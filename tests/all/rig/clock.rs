//! Programs with another time of day.

use std::path::PathBuf;
use std::process::Command;

/// A program whose clock is so far ahead (`+300s`) or behind (`-3000d`). Spans of time are as long as everywhere.
pub fn at_another_time(mut start: Command, ahead: &str) -> Command {
    let found = std::fs::read_dir("/usr/lib").expect("a folder").flatten().map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    let library: Option<PathBuf> = found.into_iter().find(|path| path.exists());
    start.env("LD_PRELOAD", library.expect("install Debian's package faketime"));
    start.env("FAKETIME", ahead).env("DONT_FAKE_MONOTONIC", "1");
    start
}
