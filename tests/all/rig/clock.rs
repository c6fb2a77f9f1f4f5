//! Programs with another time of day.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A program whose clock is so far ahead (`+300s`) or behind (`-3000d`). Spans of time are as long as everywhere.
pub fn at_another_time(mut start: Command, ahead: &str) -> Command {
    start.env("FAKETIME", ahead);
    elsewhen(start)
}

/// The same; how far stands in a file, which can be written anew while the program runs.
pub fn by_the_clock_in(mut start: Command, file: &Path) -> Command {
    start.env("FAKETIME_TIMESTAMP_FILE", file).env("FAKETIME_NO_CACHE", "1");
    elsewhen(start)
}

fn elsewhen(mut start: Command) -> Command {
    let found = std::fs::read_dir("/usr/lib").expect("a folder").flatten().map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    let library: Option<PathBuf> = found.into_iter().find(|path| path.exists());
    start.env("LD_PRELOAD", library.expect("install Debian's package faketime")).env("DONT_FAKE_MONOTONIC", "1");
    start
}
