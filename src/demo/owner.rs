//! The owner's phone. The demo lets an owner in at the desk, as `qris-backend desk add` and the link do, and lends the session to whoever
//! looks at the page.

use super::layout::Files;
use super::process::{self, ProcessError};
use qris_core::wire::desk::{FROM, Join, Opened};
use qris_host::http::{HttpError, Limits, local_client, read_limited};
use qris_host::random;
use std::net::Ipv4Addr;
use std::time::Duration;

/// Her name.
const NAME: &str = "Sari";
/// The cookie in which `qris-desk --plain-http` finds a session.
const COOKIE: &str = "desk";
/// `serve` answers within this time.
const WAIT: Duration = Duration::from_secs(20);
/// The longest answer, in bytes.
const ANSWER_MAX: usize = 4096;

/// Why the owner has no phone.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// The command that makes a link.
    #[error(transparent)]
    Command(#[from] ProcessError),
    /// The client cannot be made, or the answer cannot be read.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The backend does not answer at the desk's socket.
    #[error("the backend does not answer at the desk's socket")]
    Asked(#[from] reqwest::Error),
    /// It answers with something else than a session.
    #[error("the backend lets no owner in at the desk: {0}")]
    Answer(String),
}

/// The desk as the owner has it on her phone.
#[derive(Debug)]
pub struct Owner {
    /// The port of its pages, at the address of the demo's page.
    pub port: u16,
    session: Box<str>,
}

impl Owner {
    /// Lets her in: a link is made, and used.
    ///
    /// # Errors
    /// [`OwnerError`]
    pub async fn let_in(files: Files<'_>, port: u16) -> Result<Self, OwnerError> {
        let said = process::backend(&files.backend(), &["desk", "add", NAME, "--role", "owner"])?;
        let said = String::from_utf8_lossy(&said);
        let link = said.split_whitespace().find_map(|word| Some(word.split_once("/join/")?.1));
        let code = link.ok_or_else(|| OwnerError::Answer(said.clone().into_owned()))?;
        // She never types it: whoever opens the demo's page has her session.
        let join = Join { code: code.into(), password: random::name().into(), browser: "qris-demo".into() };
        let client = local_client(&files.desk(), Limits { total: WAIT, read: WAIT, idle_connections: 0 })?;
        let asked = client.post("http://serve/v1/join").header(FROM, Ipv4Addr::LOCALHOST.to_string()).json(&join);
        let answer = read_limited(asked.send().await?.error_for_status()?, ANSWER_MAX).await?;
        let Opened { session, .. } = serde_json::from_slice(&answer).map_err(|why| OwnerError::Answer(why.to_string()))?;
        Ok(Self { port, session })
    }

    /// What a browser needs to be her phone.
    #[must_use]
    pub fn cookie(&self) -> String {
        format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Lax", self.session)
    }
}
