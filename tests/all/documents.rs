//! Documents are compared with what they describe. Their tables list the right files and crates. Their links lead to a file and
//! a heading. The journal's page and catalogs are those of the table of events.

mod meetings;

use crate::rig::files::{files, files_if_any};
use crate::rig::{source, source_text};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

#[test]
fn the_catalog_is_that_of_the_table_of_events() {
    let shipped = std::fs::read_to_string(source("systemd/qrisd.catalog")).expect("there");
    assert!(shipped == qris::host::catalog::text(), "run: cargo tools catalog > systemd/qrisd.catalog");
    let merchants = std::fs::read_to_string(source("systemd/qris-backend.catalog")).expect("there");
    assert!(merchants == qris::host::catalog::merchants_text(), "run: cargo tools catalog --merchant > systemd/qris-backend.catalog");
    assert!(source_text("docs/using/journal.md") == qris::host::catalog::page(), "run: cargo tools catalog --page > docs/using/journal.md");
}

#[test]
fn the_tables_of_settings_are_those_of_the_programs() {
    let page = source_text("docs/using/configuration.md");
    let made = qris::host::config::settings::document(&page, &qris::tools::settings::TABLES).expect("it has its tables");
    assert!(made == page, "run: cargo tools settings docs/using/configuration.md");
}

/// A program knows the keys of its table, and no others.
#[test]
fn each_key_of_the_tables_is_one_that_its_program_reads() {
    use qris::host::config::Source;
    let [(_, machine), _, (_, backend), _] = qris::tools::settings::TABLES;
    let of = |table: &[qris::host::config::settings::Setting], section: &str| -> BTreeSet<String> {
        let keys = table.iter().flat_map(|setting| setting.key.split(", ")).filter_map(|key| key.strip_prefix(section)?.strip_prefix('.'));
        keys.map(|key| key.split('.').next().expect("a word").to_owned()).filter(|key| key != "…").collect()
    };
    let known = |section: &str, faults: qris::host::config::Faults| -> BTreeSet<String> {
        let key = format!("{section}.zzz");
        let fault = faults.iter().find(|fault| fault.key.as_deref() == Some(&key)).unwrap_or_else(|| panic!("{key} is known: {faults}"));
        let words = fault.why.rsplit_once("expected ").expect("it names those it knows").1.trim_start_matches("one of ");
        words.split(", ").flat_map(|word| word.split(" or ")).map(|word| word.trim_matches('`').to_owned()).collect()
    };
    let text = |section: &str| Source::from_text("file", format!("[{section}]\nzzz = 1\n"));
    for section in ["device", "backend", "receipts", "orders", "store", "screen", "screen.virtual", "relay", "controller"] {
        let faults = qris::device::config::Config::from_source(&text(section)).expect_err("a key that nobody knows");
        assert_eq!(known(section, faults), of(machine, section), "qrisd.toml: {section}");
    }
    for section in
        ["http", "customer", "midtrans", "midtrans.refund_days", "orders", "alerts", "reports", "fees", "store", "machines", "receipts"]
    {
        let faults = qris::backend::config::Config::from_source(&text(section)).expect_err("a key that nobody knows");
        assert_eq!(known(section, faults), of(backend, section), "backend.toml: {section}");
    }
}

/// An event that a page names must be one that a program writes: somebody searches for it.
#[test]
fn every_event_in_the_documents_is_of_the_table() {
    let mut looked_at = 0;
    for (path, text) in files(&source("docs"), "md") {
        let searched = text.split("MESSAGE_ID=").skip(1).map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or(""));
        let linked = links(&text).filter(|(_, to)| to.ends_with("journal.md")).map(|(name, _)| name);
        for name in searched.chain(linked.filter(|name| !name.contains(' '))) {
            looked_at += 1;
            let is_told = qris::host::events::TABLE.iter().any(|kind| kind.message_id == name || kind.name == name);
            assert!(is_told, "{}: no program writes {name}", path.display());
        }
    }
    assert!(looked_at > 3, "the documents name {looked_at}");
}

#[test]
fn every_reason_and_fault_of_the_relay_service_is_in_the_protocol() {
    use qris::order::reason::Reason;
    use qris::wire::relay::RelayFault;
    let page = source_text("docs/using/protocol.md");
    let words = Reason::ALL.iter().map(Reason::as_str).chain(RelayFault::ALL.iter().map(RelayFault::as_str));
    let missing: Vec<&str> = words.filter(|word| !page.contains(&format!("`{word}`"))).collect();
    assert_eq!(missing, [""; 0]);
}

/// What has pages and what names them.
const PLACES: [&str; 13] = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "ROADMAP.md",
    "docs",
    "config",
    "systemd",
    "packaging",
    "yocto",
    "src",
    "tests",
    "benches",
];

/// The lines of a file without its tests.
fn lines_of(text: &str) -> usize {
    let is_of_tests = |at: &usize| text[*at..].lines().nth(1).is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'));
    let end = text.match_indices("\n#[cfg(test)]\n").map(|(at, _)| at + 1).find(is_of_tests).unwrap_or(text.len());
    text[..end].lines().count()
}

/// A room without a place in the map is found by nobody, and one that grows is seen there.
#[test]
fn the_map_has_each_room_and_folder_with_its_lines() {
    let root = source("src");
    let mut counted = BTreeMap::<String, usize>::new();
    for (path, text) in files(&root, "rs") {
        let inside = path.strip_prefix(&root).expect("it is in it").with_extension("");
        let parts: Vec<_> = inside.iter().map(|part| part.to_str().expect("a name")).collect();
        if parts.len() == 1 || parts[0] == "bin" || parts.contains(&"tests") {
            continue;
        }
        for folder in (1..=parts.len()).map(|depth| parts[..depth].join("/")).filter(|folder| root.join(folder).is_dir()) {
            *counted.entry(folder).or_default() += lines_of(&text);
        }
    }
    let mut mapped = BTreeMap::new();
    for row in source_text("docs/developing/map.md").lines() {
        let [_, room, lines, folders, _] = row.split('|').map(str::trim).collect::<Vec<_>>()[..] else { continue };
        let number = |text: &str| text.strip_suffix('k').and_then(|thousands| thousands.parse::<f64>().ok());
        let Some(of_all) = number(lines) else { continue };
        let room = room.trim_matches(['`', '/']);
        mapped.insert(room.to_owned(), of_all);
        for folder in folders.split(", ").filter(|folder| !folder.is_empty()) {
            let (name, lines) = folder.split_once(' ').expect("a folder and its lines");
            mapped.insert(format!("{room}/{}", name.trim_matches(['`', '/'])), number(lines).expect("thousands"));
        }
    }
    assert_eq!(mapped.keys().collect::<Vec<_>>(), counted.keys().collect::<Vec<_>>());
    for (room, lines) in counted {
        let (said, is) = (mapped[&room], lines as f64 / 1000.0);
        assert!((said - is).abs() <= 0.15_f64.max(is * 0.1), "{room}: {said}k in the map, and {is:.1}k");
    }
}

#[test]
fn every_link_leads_to_a_file_and_to_a_heading_in_it() {
    let mut looked_at = 0;
    let mut wrong = Vec::new();
    for (path, text) in PLACES.iter().flat_map(|place| files_if_any(&source(place), "md")) {
        let folder = path.parent().expect("a file is in a folder");
        for (_, to) in links(&text).filter(|(_, to)| !to.contains("://")) {
            looked_at += 1;
            let (file, heading) = to.split_once('#').unwrap_or((to, ""));
            let target = if file.is_empty() { path.clone() } else { folder.join(file) };
            let is_there = target.exists() && (heading.is_empty() || headings(&target).iter().any(|known| known == heading));
            if !is_there {
                wrong.push(format!("{}: {to}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "lead nowhere:\n{}", wrong.join("\n"));
    assert!(looked_at > 100, "{looked_at} links");
}

/// Also where no link is possible: in comments, examples and scripts.
#[test]
fn every_page_that_is_named_by_its_path_is_there() {
    let mut looked_at = 0;
    let mut wrong = Vec::new();
    for (path, text) in
        PLACES.iter().flat_map(|place| ["md", "rs", "toml", "service"].map(|ending| files_if_any(&source(place), ending))).flatten()
    {
        let is_of_a_path = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        // On a computer that has the package qrisd-doc it stands there, as HTML too.
        let text = text.replace("/usr/share/doc/qrisd/using/", " docs/using/");
        for (at, _) in text.match_indices("docs/").filter(|(at, _)| !text[..*at].ends_with(is_of_a_path)) {
            let named: String = text[at..].chars().take_while(|c| is_of_a_path(*c)).collect();
            looked_at += 1;
            if !source(&named.trim_end_matches('.').replace(".html", ".md")).exists() {
                wrong.push(format!("{}: {named}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "not there:\n{}", wrong.join("\n"));
    assert!(looked_at > 30, "{looked_at} names");
}

/// Each stands there once, with the checks that must catch it as its file names them; and nothing else does.
#[test]
fn the_table_of_deliberate_faults_is_that_of_their_files() {
    type Row = (String, String, bool, bool);
    let text = source_text("docs/developing/proof/break.md");
    let (_, table) = text.split_once("| fault | tests | search | simulation |\n| --- | --- | --- | --- |\n").expect("the table");
    let row = |line: &str| -> Row {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        (cells[1].to_owned(), cells[2].to_owned(), cells[3] == "yes", cells[4] == "yes")
    };
    let named: Vec<Row> = table.lines().take_while(|line| line.starts_with('|')).map(row).collect();
    let fault = |(path, fault): &(PathBuf, String)| {
        let checks: Vec<&str> = fault.lines().filter_map(|line| line.strip_prefix("Check: ")).collect();
        let asks = |kind: &str| checks.iter().any(|check| check.starts_with(kind));
        let tests = checks.iter().filter(|check| !check.starts_with("search") && !check.starts_with("simulate"));
        let tests: Vec<_> = tests.map(|check| format!("`{}`", check.strip_prefix("unit ").unwrap_or(check))).collect();
        (path.file_stem().expect("a name").to_string_lossy().into_owned(), tests.join(", "), asks("search"), asks("simulate"))
    };
    let there: Vec<Row> = files(&source("tests/break/faults"), "patch").iter().map(fault).collect();
    let only = |these: &[Row], those: &[Row]| these.iter().filter(|row| !those.contains(row)).cloned().collect::<Vec<Row>>();
    let differ = [only(&named, &there), only(&there, &named)].concat();
    assert!(differ.is_empty(), "in the table or in the files, and not in both: {differ:?}");
    assert_eq!(named.len(), there.len(), "each once");
    assert!(text.contains(&format!(" holds {} deliberate faults", there.len())), "there are {}", there.len());
}

/// A threat that no test looks at would only be said to be stopped.
#[test]
fn every_test_that_the_threats_name_is_there() {
    let text = source_text("docs/developing/threats.md");
    let (_, table) = text.split_once("| who | wants | what stops them | shown by |\n| --- | --- | --- | --- |\n").expect("the table");
    let tests = files(&source("tests/all"), "rs");
    let mut looked_at = 0;
    for line in table.lines().take_while(|line| line.starts_with('|')) {
        let shown_by: Vec<&str> = line.split('|').nth(4).expect("four cells").split('`').skip(1).step_by(2).collect();
        assert!(!shown_by.is_empty(), "nothing shows it: {line}");
        for name in shown_by {
            looked_at += 1;
            let is_there = match name.split_once("::") {
                None => source(name).is_file(),
                Some((module, test)) => {
                    let of_it = [source(&format!("tests/all/{module}.rs")), source(&format!("tests/all/{module}"))];
                    let function = format!("\nfn {test}(");
                    tests.iter().any(|(path, text)| of_it.iter().any(|place| path.starts_with(place)) && text.contains(&function))
                }
            };
            assert!(is_there, "there is no test {name}, which docs/developing/threats.md names");
        }
    }
    assert!(looked_at > 20, "{looked_at} names");
}

/// Each crate that a manifest names stands there once, with the packages that name it; and nothing else does.
#[test]
fn the_table_of_crates_is_that_of_the_manifests() {
    let text = source_text("docs/developing/crates.md");
    let (_, table) = text.split_once("| crate | used by | for |\n| --- | --- | --- |\n").expect("the table");
    let row = |line: &str| -> (String, String) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        assert!(cells.len() == 5 && !cells[3].is_empty(), "a crate, who uses it and what for: {line}");
        (cells[1].trim_matches('`').to_owned(), cells[2].to_owned())
    };
    let named: Vec<_> = table.lines().take_while(|line| line.starts_with('|')).map(row).collect();
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, manifest) in manifests() {
        let manifest: toml::Table = manifest.parse().unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        let package = manifest["package"]["name"].as_str().expect("a name").strip_prefix("qris-").unwrap_or("top").to_owned();
        let dependencies = ["dependencies", "dev-dependencies"].into_iter().filter_map(|kind| manifest.get(kind)?.as_table());
        for name in dependencies.flat_map(toml::Table::keys).filter(|name| !name.starts_with("qris-")) {
            used.entry(name.clone()).or_default().insert(package.clone());
        }
    }
    let there = used.into_iter().map(|(name, packages)| (name, packages.into_iter().collect::<Vec<_>>().join(", ")));
    let there: Vec<_> = there.collect();
    let only = |these: &[(String, String)], those: &[(String, String)]| -> Vec<_> {
        these.iter().filter(|row| !those.contains(row)).map(|(name, packages)| format!("{name}: {packages}")).collect()
    };
    let (missing, gone) = (only(&there, &named), only(&named, &there));
    assert!(missing.is_empty() && gone.is_empty(), "in the manifests {missing:?}, in the table {gone:?}");
    assert_eq!(named.len(), there.len(), "each once");
}

/// That of the package at the top, and of each crate below it.
fn manifests() -> Vec<(PathBuf, String)> {
    let mut found = files(&source("src"), "toml");
    found.retain(|(path, _)| path.ends_with("Cargo.toml"));
    assert!(found.len() > 5, "the crates are below src: {}", found.len());
    found.push((source("Cargo.toml"), source_text("Cargo.toml")));
    found
}

/// The links of a page: what is read, and where it leads.
fn links(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.match_indices("](").filter_map(|(at, _)| {
        let (_, name) = text[..at].rsplit_once('[')?;
        let (to, _) = text[at + 2..].split_once(')')?;
        Some((name, to))
    })
}

/// The names that GitHub gives to the headings of a page.
fn headings(page: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(page).expect("a page");
    let name = |line: &str| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    text.lines().filter(|line| line.starts_with('#')).map(name).collect()
}
