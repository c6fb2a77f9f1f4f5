//! The shape of the code, read from its sources. The pure rooms name nothing of the outside world. The rooms of the backend import
//! downwards. Some program writes each journal event. The file of a program is short.

use crate::rig::files::files;
use crate::rig::{source, source_text};
use std::path::{Path, PathBuf};

/// Between crates the compiler sees to it.
#[test]
fn what_an_order_is_knows_nothing_of_wires() {
    for (path, text) in sources(&source("src/core/order")) {
        for (number, line) in code(&text) {
            assert!(!names(line, "wire"), "{}:{number}: names wire", path.display());
        }
    }
}

#[test]
fn the_pure_rooms_name_no_outside_world() {
    // Of std::time a length (`Duration`) is a value like any other; what reads a clock is not.
    const BANNED: [&str; 8] = ["tokio", "rusqlite", "std::fs", "std::net", "Instant", "SystemTime", "std::thread", "std::env"];
    let mut wrong = Vec::new();
    for (path, text) in sources(&source("src/core")) {
        for (number, line) in code(&text) {
            for name in BANNED.into_iter().filter(|name| names(line, name)) {
                wrong.push(format!("{}:{number}: names {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The rooms of the backend, from the ground up. They are one crate, so the compiler lets each import any other.
const BACKEND: [&str; 19] = [
    "settings", "store", "command", "csv", "page_key", "gateway", "counters", "midtrans", "sale", "machines", "telling", "money",
    "keeping", "keys", "http", "desk", "config", "together", "cli",
];

#[test]
fn a_room_of_the_backend_imports_only_what_is_below_it() {
    let place = source("src/backend");
    let floor = |room: &str| BACKEND.iter().position(|known| *known == room);
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (path, text) in sources(&place) {
        let room = path.strip_prefix(&place).expect("below it").iter().next().expect("a name").to_string_lossy();
        let Some(own) = floor(room.trim_end_matches(".rs")) else { continue };
        // Tests of a room open databases and start the whole.
        let tested = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
        let is_test = path.iter().any(|part| part == "tests") || path.ends_with("tests.rs") || path.ends_with("testing.rs");
        for (number, line) in code(&text[..tested]).filter(|_| !is_test) {
            for rest in line.split("crate::").skip(1) {
                let name = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
                seen += 1;
                if floor(name).is_none_or(|other| other > own) {
                    wrong.push(format!("{}:{number}: {room} imports {name:?}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty() && seen > 100, "{seen} imports\n{}", wrong.join("\n"));
}

#[test]
fn every_kind_of_journal_event_is_told_somewhere() {
    let programs = sources(&source("src")).into_iter().filter(|(path, _)| !path.ends_with("host/events.rs"));
    let text: String = programs.map(|(_, text)| text).collect();
    let told = |name: &str| text.contains(&format!("Event::{name}")) || text.contains(&format!("Journal::{name}"));
    let mute: Vec<_> = qris::host::events::TABLE.iter().map(|kind| kind.name).filter(|name| !told(name)).collect();
    assert!(mute.is_empty(), "never told: {mute:?}");
}

#[test]
fn every_binary_is_a_page() {
    for (path, text) in sources(&source("src/bin")) {
        assert!(text.lines().count() <= 20, "{}: what a program does stands in its room", path.display());
    }
}

#[test]
fn no_program_that_is_given_out_goes_on_with_a_number_that_did_not_fit() {
    let manifest: toml::Table = source_text("Cargo.toml").parse().expect("a manifest");
    let profiles = manifest["profile"].as_table().expect("profiles");
    let mut shipped = 0;
    for file in [
        "packaging/deb",
        "packaging/container/Containerfile",
        "yocto/meta-qrisd/recipes-qrisd/qrisd/qrisd_0.1.0.bb",
        "docs/using/by-hand.md",
    ] {
        for name in source_text(file).split("--profile ").skip(1).filter_map(|rest| rest.split_whitespace().next()) {
            assert!(checks_numbers(profiles, name), "{file}: {name} has no `overflow-checks`");
            shipped += 1;
        }
    }
    assert!(shipped > 8, "{shipped} builds were found");
}

/// Whether a profile has `overflow-checks`, for all that it builds: its own, or those of the one that it stands on.
fn checks_numbers(profiles: &toml::Table, name: &str) -> bool {
    const KEY: &str = "overflow-checks";
    let own = profiles.get(name).and_then(toml::Value::as_table);
    let mut packages = own.and_then(|own| own.get("package")?.as_table()).into_iter().flatten();
    assert!(packages.all(|(_, package)| package.get(KEY).is_none()), "{name}: a package is an exception");
    let above = own.and_then(|own| own.get("inherits")?.as_str());
    match own.and_then(|own| own.get(KEY)) {
        Some(own) => own.as_bool() == Some(true),
        None => above.map_or(name == "dev", |above| checks_numbers(profiles, above)),
    }
}

/// Whether a line of code names a thing: by its whole path, or the last part of it within `std::{…}`.
fn names(line: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let whole = |text: &str, name: &str| {
        text.match_indices(name).any(|(at, _)| {
            let (before, after) = (text[..at].chars().next_back(), text[at + name.len()..].chars().next());
            !before.is_some_and(is_word) && !after.is_some_and(is_word)
        })
    };
    let packed = line.split(char::is_whitespace).collect::<String>();
    let within = packed.split_once("std::{").map_or("", |(_, within)| within);
    whole(line, name) || name.strip_prefix("std::").is_some_and(|name| whole(within, name))
}

/// Every Rust file below a directory, with its text.
fn sources(place: &Path) -> Vec<(PathBuf, String)> {
    files(place, "rs")
}

/// The lines that are no comment, numbered from 1.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(i, line)| (i + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[test]
fn the_readers_of_names_read_them() {
    for (line, name, there) in [
        ("use std::fs::File;", "std::fs", true),
        ("use std::{fmt, fs};", "std::fs", true),
        ("use std::{io, thread::sleep};", "std::thread", true),
        ("use std::time::{Duration, Instant};", "Instant", true),
        ("let instantly = fs_of(network);", "Instant", false),
        ("use std::{fmt, offset};", "std::fs", false),
        ("tokio::spawn(x)", "tokio", true),
    ] {
        assert_eq!(names(line, name), there, "{line}");
    }
}
