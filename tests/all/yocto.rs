//! The Yocto layer names what the sources name: it cannot be built here, so what it repeats is compared.

use crate::rig::{command, source, source_text, succeed};
use std::collections::BTreeMap;
use std::path::Path;

const RECIPE: &str = "yocto/meta-qrisd/recipes-qrisd/qrisd/qrisd_0.1.0.bb";

#[test]
fn the_recipe_fetches_what_cargo_lock_names() {
    let (crates, sums) = fetched(&source_text("yocto/meta-qrisd/recipes-qrisd/qrisd/qrisd-crates.inc"));
    let locked = locked(&source_text("Cargo.lock"));
    assert!(locked.len() > 100, "Cargo.lock is read: {}", locked.len());
    assert!(crates == locked.keys().cloned().collect::<Vec<_>>() && sums == locked, "run: yocto/crates");
}

#[test]
fn the_recipe_is_of_this_release() {
    // The name of the recipe is its version, so this test cannot find another one.
    let version = env!("CARGO_PKG_VERSION");
    assert!(RECIPE.ends_with(&format!("qrisd_{version}.bb")), "rename the recipe: this is {version}");
    // What wrynose has is 1.94.
    let rust = env!("CARGO_PKG_RUST_VERSION").split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    assert!(rust.is_some_and(|minor| minor <= 94), "the layer's Rust is 1.94");
}

#[test]
fn the_recipe_installs_what_lands_on_a_machine() {
    let recipe = source_text(RECIPE);
    let readme = source_text("systemd/README.md");
    let machine = readme.split("```").nth(1).expect("the first block is the machine's");
    let files: Vec<_> = machine.split_whitespace().filter(|word| word.starts_with("systemd/")).collect();
    assert!(files.len() >= 10, "{files:?}");
    let missing: Vec<_> = files.iter().filter(|file| !recipe.contains(&format!("${{S}}/{file} "))).collect();
    assert!(missing.is_empty(), "not in {RECIPE}: {missing:?}");
}

#[test]
fn the_recipe_has_the_manual_pages_of_these_commands() {
    let directory = tempfile::tempdir().expect("a directory");
    succeed(command(env!("CARGO_BIN_EXE_qris-demo")).arg("manuals").arg(directory.path()));
    let pages = |directory: &Path| -> BTreeMap<String, String> {
        let read = |entry: std::io::Result<std::fs::DirEntry>| {
            let entry = entry.expect("an entry");
            (entry.file_name().into_string().expect("text"), std::fs::read_to_string(entry.path()).expect("text"))
        };
        std::fs::read_dir(directory).expect("there").map(read).collect()
    };
    let mut made = pages(&directory.path().join("man"));
    made.retain(|name, _| !name.starts_with("qris-backend"));
    assert!(made.len() > 10, "{:?}", made.keys());
    assert!(pages(&source("yocto/meta-qrisd/recipes-qrisd/qrisd/files/manuals")) == made, "run: yocto/manuals");
}

#[test]
fn the_recipe_makes_the_users_that_the_services_have() {
    let recipe = source_text(RECIPE);
    for line in source_text("systemd/qrisd.sysusers.conf").lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let there = match words[..] {
            ["g", group, ..] => recipe.contains(&format!(" {group}; ")) || recipe.contains(&format!(" {group} \\\n")),
            ["u", user, ..] => {
                recipe.contains(&format!("--gid {user} ")) && recipe.contains(line.split('"').nth(1).expect("a name for people"))
            }
            ["m", user, group] => recipe.lines().any(|line| line.contains(&format!("--gid {user} --groups {group} "))),
            _ => line.starts_with('#'),
        };
        assert!(there, "{RECIPE} and systemd/qrisd.sysusers.conf differ: {line}");
    }
}

/// Names with version, and their checksums by that, of a list of crates for BitBake.
fn fetched(list: &str) -> (Vec<String>, BTreeMap<String, String>) {
    let crates = list.lines().filter_map(|line| {
        let (name, version) = line.trim().strip_prefix("crate://crates.io/")?.strip_suffix(" \\")?.split_once('/')?;
        Some(format!("{name}-{version}"))
    });
    let sums = list.lines().filter_map(|line| {
        let (name, sum) = line.strip_prefix("SRC_URI[")?.split_once(".sha256sum] = \"")?;
        Some((name.to_owned(), sum.strip_suffix('"')?.to_owned()))
    });
    let mut crates: Vec<_> = crates.collect();
    crates.sort();
    (crates, sums.collect())
}

/// The crates of a Cargo.lock that come from somewhere, with their checksums.
fn locked(lock: &str) -> BTreeMap<String, String> {
    let value = |package: &str, key: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""))?;
        line.strip_suffix('"').map(str::to_owned)
    };
    let packages = lock.split("[[package]]").skip(1).filter(|package| value(package, "source").is_some());
    packages
        .map(|package| {
            let name = format!("{}-{}", value(package, "name").expect("a name"), value(package, "version").expect("a version"));
            (name, value(package, "checksum").expect("a checksum"))
        })
        .collect()
}
