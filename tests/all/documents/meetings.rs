//! The table of meetings names each two things once. Each test that it names is there. Its head has the right counts.

use crate::rig::{source, source_text};
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/developing/proof/meetings.md";

/// What a cell says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    ByTest,
    BySimulation,
    Cannot,
    Open,
}

#[test]
fn each_two_things_meet_once_and_what_shows_it_is_there() {
    let wrong = faults(&source_text(PAGE));
    assert!(wrong.is_empty(), "{PAGE}:\n{}", wrong.join("\n"));
}

/// Whoever spoils the page in one of these ways hears of it.
#[test]
fn a_wrong_name_a_missing_pair_and_a_wrong_count_are_seen() {
    let page = source_text(PAGE);
    let row = page.lines().find(|line| line.starts_with("| cancel | `cancel::")).expect("sale and cancel");
    let without = page.replacen(&format!("{row}\n"), "", 1);
    let thing = page.lines().find(|line| line.starts_with("| chargeback | ") && !line.contains('`')).expect("a thing");
    for (spoiled, said) in [
        (page.replacen("`cancel::", "`cancel::no_such_", 1), "there is no cancel::no_such_"),
        (page.replacen("`core: order::merchant::tests::tries::", "`core: order::merchant::tests::nobody::", 1), "there is no core: "),
        (page.replacen("`mischief.rs`", "`nobody.rs`", 1), "there is no nobody.rs"),
        (without.clone(), "sale: "),
        (page.replacen(row, &format!("{row}\n{row}"), 1), "sale: "),
        (page.replacen(thing, &format!("{thing}\n| a later thing | A feature of tomorrow |"), 1), "a later thing"),
        (page.replacen(row, "| cancel | nobody knows |", 1), "sale, cancel: nothing shows it"),
        (page.replacen(row, "| cancel | open: nobody knows |", 1), "its head says"),
    ] {
        let wrong = faults(&spoiled);
        assert!(spoiled != page && wrong.iter().any(|fault| fault.contains(said)), "{said:?} is not in {wrong:#?}");
    }
}

/// Everything that is wrong in the page.
fn faults(page: &str) -> Vec<String> {
    let things: Vec<&str> = rows(page, "thing", "what it is").into_iter().map(|(thing, _)| thing).collect();
    let mut wrong = Vec::new();
    let (mut pairs, mut alone) = (Vec::new(), 0);
    for (at, thing) in things.iter().enumerate() {
        let section = page.split_once(&format!("\n## {thing}\n")).map_or("", |(_, rest)| rest.split("\n## ").next().unwrap_or(rest));
        let found = rows(section, "meets", "where");
        let others: Vec<&str> = found.iter().map(|(other, _)| *other).filter(|other| *other != "itself").collect();
        if others != things[at + 1..] {
            wrong.push(format!("{thing}: it meets {:?}, each once and in this order, and not {others:?}", &things[at + 1..]));
        }
        for (other, cell) in found {
            wrong.extend(names(cell).filter(|name| !is_there(name)).map(|name| format!("{thing}, {other}: there is no {name}")));
            match (shown(cell), other) {
                (None, _) => wrong.push(format!("{thing}, {other}: nothing shows it, and nothing says why: {cell}")),
                (Some(_), "itself") => alone += 1,
                (Some(shown), _) => pairs.push(shown),
            }
        }
    }
    let count = |of: Shown| pairs.iter().filter(|shown| **shown == of).count();
    let head = format!(
        "Of {} pairs, {} are shown by a test, {} by the simulation alone, {} cannot meet, and {} are open. {alone} things meet themselves.",
        pairs.len(),
        count(Shown::ByTest),
        count(Shown::BySimulation),
        count(Shown::Cannot),
        count(Shown::Open),
    );
    if !page.split_whitespace().collect::<Vec<_>>().join(" ").contains(&head) {
        wrong.push(format!("its head says something else than: {head}"));
    }
    wrong
}

/// The rows of the first table with this head, of two cells.
fn rows<'a>(text: &'a str, first: &str, second: &str) -> Vec<(&'a str, &'a str)> {
    let Some((_, table)) = text.split_once(&format!("| {first} | {second} |\n| --- | --- |\n")) else { return Vec::new() };
    let cells = |line: &'a str| line.trim_matches('|').split_once('|').map(|(first, second)| (first.trim(), second.trim()));
    table.lines().take_while(|line| line.starts_with('|')).filter_map(cells).collect()
}

/// The tests and the files of the simulation that a cell names. What else stands in quotes is a command.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2).filter(|name| name.contains("::") || name.ends_with(".rs"))
}

fn shown(cell: &str) -> Option<Shown> {
    if cell.starts_with("cannot: ") {
        return Some(Shown::Cannot);
    }
    if cell.starts_with("open: ") {
        return Some(Shown::Open);
    }
    names(cell).next().filter(|_| cell.starts_with('`'))?;
    Some(if names(cell).any(|name| name.contains("::")) { Shown::ByTest } else { Shown::BySimulation })
}

fn is_there(name: &str) -> bool {
    let Some((place, test)) = name.rsplit_once("::") else {
        return source("src/proof/world").join(name).is_file();
    };
    let files = match place.split_once(": ") {
        None => vec![source("tests/all").join(place.replace("::", "/") + ".rs")],
        Some((room, path)) => in_a_crate(&source("src").join(room), path),
    };
    files.iter().filter_map(|file| std::fs::read_to_string(file).ok()).any(|text| has_test(&text, test))
}

/// A module is a file of its own, `mod.rs` in a folder, or the last lines of the file that it tests.
fn in_a_crate(room: &Path, path: &str) -> Vec<PathBuf> {
    let of = |path: &str| {
        let file = path.replace("::", "/");
        [room.join(format!("{file}.rs")), room.join(file).join("mod.rs")]
    };
    let around = path.strip_suffix("::tests").map(of);
    of(path).into_iter().chain(around.into_iter().flatten()).collect()
}

fn has_test(text: &str, test: &str) -> bool {
    text.match_indices(&format!("fn {test}(")).any(|(at, _)| {
        // Its attributes stand in the lines above it.
        let above = text[..at].rsplit("\n\n").next().unwrap_or_default();
        above.contains("#[test]") || above.contains("#[tokio::test")
    })
}
