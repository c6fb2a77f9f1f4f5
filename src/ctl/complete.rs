//! What the shell completes: commands and flags as they are defined, and names of machines as the broker knows them.

use crate::broker::{Broker, Connection};
use clap_complete::env::CompleteEnv;
use clap_complete::{ArgValueCandidates, CompletionCandidate};
use qris_core::wire::topics::Topic;
use qris_host::mqtt::Retained;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// The environment variable by which a shell asks. Not `COMPLETE`: whoever has that set for another program would have no command done.
pub const VARIABLE: &str = "QRISCTL_COMPLETE";
/// Nobody waits longer for a completion.
const WAIT: Duration = Duration::from_secs(2);

/// Answers the shell, if it asks (`QRISCTL_COMPLETE=bash qrisctl -- WORDS…`). False: this is a person's command.
pub(super) fn answers(arguments: &[OsString]) -> bool {
    let here = std::env::current_dir().ok();
    let completed = CompleteEnv::with_factory(super::definition).var(VARIABLE).try_complete(arguments.iter().cloned(), here.as_deref());
    completed.unwrap_or_else(|why| why.exit())
}

/// For a machine's id: the machines that have told the broker their status.
pub(super) fn machines() -> ArgValueCandidates {
    ArgValueCandidates::new(|| names().into_iter().map(CompletionCandidate::new).collect())
}

fn names() -> BTreeSet<String> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let after = |flag: &str| words.windows(2).find(|pair| pair[0] == flag).map(|pair| pair[1].clone());
    let config = after("--config").map(PathBuf::from);
    let connection = Connection { config, context: after("--context").and_then(|name| name.into_string().ok()), ..Connection::default() };
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
