//! What the shell completes: commands and flags as they are defined, and names of machines as the broker knows them.

use crate::broker::{Broker, Connection};
use clap_complete::env::CompleteEnv;
use clap_complete::{ArgValueCandidates, CompletionCandidate};
use qris_core::wire::topics::Topic;
use qris_host::mqtt::Retained;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

/// The environment variable by which a shell asks. Not `COMPLETE`: whoever has that set for another program would have no command done.
pub const VARIABLE: &str = "QRISCTL_COMPLETE";
const WAIT: Duration = Duration::from_secs(2);

/// Answers the shell, if it asks (`QRISCTL_COMPLETE=bash qrisctl -- WORDS…`). False: this is a person's command.
pub(super) fn answers(arguments: &[OsString], definition: fn() -> clap::Command) -> bool {
    let here = std::env::current_dir().ok();
    let completed = CompleteEnv::with_factory(definition).var(VARIABLE).try_complete(arguments.iter().cloned(), here.as_deref());
    completed.unwrap_or_else(|why| why.exit())
}

/// For a machine's id: the machines that have told the broker their status.
pub(super) fn machines() -> ArgValueCandidates {
    ArgValueCandidates::new(|| names().into_iter().map(CompletionCandidate::new).collect())
}

/// What stands behind a flag, as the next word or after `=`. The words are not whole yet, so the usual reader refuses them.
fn value_of(flag: &str, words: &[OsString]) -> Option<OsString> {
    words.iter().enumerate().find_map(|(at, word)| match word.as_encoded_bytes().strip_prefix(flag.as_bytes()) {
        Some([]) => words.get(at + 1).cloned(),
        Some([b'=', value @ ..]) => Some(OsStr::from_bytes(value).to_owned()),
        Some(_) | None => None,
    })
}

fn names() -> BTreeSet<String> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let config = value_of("--config", &words).map(PathBuf::from);
    let context = value_of("--context", &words).and_then(|name| name.into_string().ok());
    let connection = Connection { config, context, ..Connection::default() };
    let asked = async {
        let mut broker = Broker::connect(connection, vec![Topic::Status.of_all()], Retained::Always).await.ok()?;
        let told = broker.drain().await.ok()?;
        broker.leave().await;
        Some(told.iter().filter_map(|message| Some(Topic::parse(&message.topic)?.0.to_string())).collect())
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok();
    let answer = runtime.and_then(|runtime| runtime.block_on(async { tokio::time::timeout(WAIT, asked).await.ok().flatten() }));
    // A completion has no place for an error. The command itself tells it.
    answer.unwrap_or_default()
}
