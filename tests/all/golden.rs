//! Every public and every stored word, as the programs have it now: what commands print, what machines and alerts are told, what stands
//! in the books, on the desk's pages, in the journal and on the bus. A change of the inside changes none of them. Whoever changes one on
//! purpose writes the files in `golden/` anew, and reads what git says of them:
//!
//! ```sh
//! QRIS_GOLDEN=write cargo test --features tools --test all golden::
//! ```
//!
//! What is another in each run – ids, times, ports, keys – is a fixed word (`ORDER-failed`, `TIME`) before it is compared. Not here is
//! what another test compares with the programs: `docs/using/asyncapi.json` (`interfaces::every_message_is_as_the_asyncapi_document_says`),
//! `docs/using/openapi.json` (`conform`), the texts of the journal's catalogue (`documents::the_catalog_is_that_of_the_table_of_events`).

mod fixed;
mod machine;

use crate::rig::{command, output, output_text, source, tool};
use qris::host::events::TABLE;
use qris::order::{merchant, outcome, proof, reason, state, stock};
use qris::wire::{command as afar, dbus, desk, relay, settings, status, telemetry};
use serde_json::{Value, json};
use std::collections::HashMap;

/// The variable of the environment that has the files written anew.
const WRITE: &str = "QRIS_GOLDEN";
/// The most lines of a difference that are shown.
const SHOWN: usize = 80;

/// A stored file. Sections have a headline.
struct Golden {
    name: &'static str,
    text: String,
    /// The headline of each text that it has.
    known: HashMap<String, String>,
}

impl Golden {
    fn new(name: &'static str) -> Self {
        Self { name, text: String::new(), known: HashMap::new() }
    }

    /// Of two that say the same, the second one only says so.
    fn section(&mut self, headline: &str, text: &str) {
        let first = self.known.entry(text.into()).or_insert_with(|| headline.into());
        let is_first = first == headline || text.lines().count() < 3;
        self.text += &if is_first { format!("## {headline}\n{}\n\n", text.trim_end()) } else { format!("## {headline}\nas {first}\n\n") };
    }

    /// What differs from the stored file, as a patch.
    fn differences(&self) -> Option<String> {
        let stored = source(&format!("tests/all/golden/{}.txt", self.name));
        if std::env::var_os(WRITE).is_some_and(|how| how == "write") {
            std::fs::write(&stored, &self.text).expect("written");
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let now = directory.path().join("now");
        std::fs::write(&now, &self.text).expect("written");
        let labels = [format!("golden/{}.txt", self.name), "now".into()];
        let mut diff = command(tool("diff"));
        diff.args(["--new-file", "--unified=1", "--show-function-line=^## "]);
        let told = output(diff.args(labels.iter().flat_map(|label| ["--label", label])).arg(stored).arg(now));
        let text = output_text(&told);
        let shown: Vec<_> = text.lines().take(SHOWN).collect();
        let left = text.lines().count() - shown.len();
        (!told.status.success()).then(|| format!("{}\n({left} more lines)", shown.join("\n")))
    }
}

/// Fails if a file differs.
fn compare(all: &[Golden]) {
    let wrong: Vec<_> = all.iter().filter_map(Golden::differences).collect();
    assert!(wrong.is_empty(), "{}\nIf that is meant, write the files anew: {WRITE}=write", wrong.join("\n"));
}

/// Who reads the journal finds an entry by its id and its fields.
#[test]
fn the_journal_has_the_same_events() {
    let mut golden = Golden::new("journal");
    for kind in TABLE {
        let text = format!("{} {:?} {:?}\n{}\n{}\n", kind.message_id, kind.priority, kind.cause, kind.values.join(" "), kind.subject);
        golden.section(kind.name, &text);
    }
    compare(&[golden]);
}

/// The lists of words, also of those that no order of the shop needs.
#[test]
fn every_list_has_the_same_words() {
    let mut golden = Golden::new("words");
    let mut list = |name: &str, words: Value| {
        let words: Vec<_> = words.as_array().expect("a list").iter().map(|word| word.as_str().expect("a word").to_owned() + "\n").collect();
        golden.section(name, &words.concat());
    };
    list("reason", json!(reason::Reason::ALL));
    list("state of a request", json!(state::EventState::ALL));
    list("status of an order", json!(state::Status::ALL));
    list("refund of an order", json!(state::Refund::ALL));
    list("outcome", json!(outcome::Delivery::ALL));
    list("end of a ticket", json!(proof::Last::ALL));
    list("change of a slot", json!(stock::Change::ALL));
    list("fault of a machine", json!(status::FaultCode::ALL));
    list("fault of a relay", json!(relay::RelayFault::ALL));
    list("condition of a line", json!(relay::LineCondition::ALL));
    list("refusal of a relay", json!(dbus::RelayError::ALL.iter().map(|error| error.name()).collect::<Vec<_>>()));
    list("stage of a command", json!(afar::Stage::ALL));
    list("answer to a command", json!(afar::Code::ALL));
    list("objection to a setting", json!(settings::Objection::ALL));
    list("start of a computer", json!(telemetry::Booted::ALL));
    list("attention", json!(merchant::Attention::ALL));
    list("deed", json!(desk::Deed::ALL));
    compare(&[golden]);
}

#[test]
fn a_machine_says_the_same_words() {
    compare(&machine::told());
}
