//! The owner's phone. The demo lets an owner in at the desk, as `qris-backend desk add` and the link do, and lends the session to whoever
//! looks at the page.

use super::language::Language;
use super::layout::Files;
use super::process::{self, ProcessError};
use qris_core::wire::desk::{FROM, Join, Login, Opened};
use qris_host::http::{HttpError, Limits, local_client, read_limited};
use qris_host::random;
use qris_host::secret::Secret;
use reqwest::{Client, StatusCode};
use serde::Serialize;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::sync::Mutex;

const NAME: &str = "Sari";
/// How her list of sessions names the demo.
const BROWSER: &str = "qris-demo";
/// Where `serve` answers the desk.
const SERVE: &str = "http://serve/v1";
/// The cookie in which `qris-desk --plain-http` finds a session.
const COOKIE: &str = "desk";
/// … and the language that was chosen.
const LANGUAGE: &str = "desk-language";
/// `serve` answers within this time.
const WAIT: Duration = Duration::from_secs(20);
/// The longest answer, in bytes.
const ANSWER_MAX: usize = 4096;

#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// The command that makes a link.
    #[error(transparent)]
    Command(#[from] ProcessError),
    /// The client cannot be made, or the answer cannot be read.
    #[error(transparent)]
    Http(#[from] HttpError),
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
    client: Client,
    /// She never types it: whoever opens the demo's page has her session.
    password: Secret,
    phone: Mutex<Phone>,
}

/// Her phone, as the backend knows it.
#[derive(Debug)]
struct Phone {
    session: Secret,
    device: Secret,
}

impl Owner {
    /// Lets her in: a link is made, and used.
    pub async fn let_in(files: Files<'_>, port: u16) -> Result<Self, OwnerError> {
        let said = process::backend(&files.backend(), &["desk", "add", NAME, "--role", "owner"])?;
        let said = String::from_utf8_lossy(&said);
        let link = said.split_whitespace().find_map(|word| Some(word.split_once("/join/")?.1));
        let code = link.ok_or_else(|| OwnerError::Answer(said.clone().into_owned()))?;
        let password = Secret::new(random::name());
        let client = local_client(&files.desk(), Limits { total: WAIT, read: WAIT, idle_connections: 0 })?;
        let join = Join { code: code.into(), password: password.expose().into(), browser: BROWSER.into() };
        let phone = Mutex::new(Phone::let_in(&client, "join", &join).await?);
        Ok(Self { port, client, password, phone })
    }

    /// What a browser needs to be her phone. A visitor can end her session, and nobody knows her password. So she is let in anew if it is
    /// over.
    pub async fn cookie(&self) -> Result<String, OwnerError> {
        // Of two browsers that ask at once, one lets her in.
        let mut phone = self.phone.lock().await;
        if !phone.is_in(&self.client).await? {
            let (password, device) = (self.password.expose().into(), Some(phone.device.expose().into()));
            let login = Login { name: NAME.into(), password, device, browser: BROWSER.into() };
            *phone = Phone::let_in(&self.client, "login", &login).await?;
        }
        Ok(format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Lax", phone.session.expose()))
    }
}

impl Owner {
    /// What a browser needs to read her pages in this language.
    #[must_use]
    pub fn language(language: Language) -> String {
        let word = match language {
            Language::En => "en",
            Language::Id => "id",
        };
        format!("{LANGUAGE}={word}; Path=/; HttpOnly; SameSite=Lax")
    }
}

impl Phone {
    async fn let_in(client: &Client, path: &str, how: &impl Serialize) -> Result<Self, OwnerError> {
        let asked = client.post(format!("{SERVE}/{path}")).header(FROM, Ipv4Addr::LOCALHOST.to_string()).json(how);
        let answer = read_limited(asked.send().await?.error_for_status()?, ANSWER_MAX).await?;
        let Opened { session, device, .. } = serde_json::from_slice(&answer).map_err(|why| OwnerError::Answer(why.to_string()))?;
        Ok(Self { session: Secret::new(session), device: Secret::new(device.unwrap_or_default()) })
    }

    async fn is_in(&self, client: &Client) -> Result<bool, OwnerError> {
        let asked = client.get(format!("{SERVE}/sessions")).header(FROM, Ipv4Addr::LOCALHOST.to_string());
        let answer = asked.bearer_auth(self.session.expose()).send().await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            return Ok(false);
        }
        answer.error_for_status()?;
        Ok(true)
    }
}
