//! What is asked of `qris-backend serve`, and its answers. Each question carries the session of the person who looks.

use crate::Home;
use crate::visitor::Visitor;
use qris_core::wire::desk::{DOOR, Door, Envelope, FROM, Problem, Whereabouts};
use qris_host::events::Event;
use qris_host::http::{self, HttpError, Limits};
use qris_host::journal::emit;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A page is to be there soon, or to say that it cannot.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// `serve` waits for the gateway before it answers a refund.
const DEED_TIMEOUT: Duration = Duration::from_secs(40);
/// The largest answer: a machine with 1,000 slots, each with its longest name, is a quarter of it.
const ANSWER_BYTES_MAX: usize = 2 << 20;
/// The largest table for a spreadsheet: the orders of a large shop in a month.
const TABLE_BYTES_MAX: usize = 32 << 20;
/// What is asked at once by few people. More connections would only wait in `serve`.
const IDLE_CONNECTIONS: usize = 8;

#[derive(Debug, Clone)]
pub enum Unanswered {
    /// `serve` says why.
    Told(Problem),
    /// Nobody answers, or in words that we do not know.
    Away,
}

#[derive(Debug)]
pub struct Serve {
    client: Client,
    /// The last question got no answer. The journal tells it once.
    is_away: AtomicBool,
    /// `desk.url`, as `serve` has told it last.
    url: Mutex<Option<Box<str>>>,
    /// The merchant's name, in the same way.
    merchant: Mutex<Option<Box<str>>>,
}

impl Serve {
    pub fn new(socket: &Path) -> Result<Self, HttpError> {
        let limits = Limits { total: DEED_TIMEOUT, read: DEED_TIMEOUT, idle_connections: IDLE_CONNECTIONS };
        Ok(Self {
            client: http::local_client(socket, limits)?,
            is_away: AtomicBool::new(false),
            url: Mutex::default(),
            merchant: Mutex::default(),
        })
    }

    pub async fn read<T: DeserializeOwned>(
        &self,
        visitor: &Visitor,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Envelope<T>, Unanswered> {
        let response = self.send(visitor, self.asked(visitor, Method::GET, &address(path, query)).timeout(READ_TIMEOUT)).await?;
        self.object(response).await
    }

    /// The merchant's name; `None`: it has none, or `serve` has not told it yet.
    pub fn merchant(&self) -> Option<Box<str>> {
        self.merchant.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks for the shop's name, which is kept, and where the desk listens for the local network. The outer `None`: nobody answers.
    pub async fn whereabouts(&self) -> Option<Option<Home>> {
        let asked = self.client.get("http://serve/v1/desk").timeout(READ_TIMEOUT).send().await.ok()?.error_for_status().ok()?;
        let body = http::read_limited(asked, ANSWER_BYTES_MAX).await.ok()?;
        let Whereabouts { home, shop, merchant, url: _ } = serde_json::from_slice(&body).ok()?;
        *self.merchant.lock().unwrap_or_else(PoisonError::into_inner) = merchant;
        home.map(|listen| listen.parse().map(|listen| Home { listen, shop })).transpose().ok()
    }

    /// The address at which people find the desk; `None`: `serve` has never told it.
    pub async fn url(&self, visitor: &Visitor) -> Option<Box<str>> {
        let asked = self.send(visitor, self.asked(visitor, Method::GET, "desk").timeout(READ_TIMEOUT)).await;
        let told = match asked {
            Ok(response) => self.object::<Whereabouts>(response).await.ok().and_then(|told| told.url),
            Err(_) => None,
        };
        let mut known = self.url.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some() {
            known.clone_from(&told);
        }
        known.clone()
    }

    /// Does a person's deed. Its answer says nothing that matters.
    pub async fn tell(&self, visitor: &Visitor, path: &str, body: &impl Serialize) -> Result<(), Unanswered> {
        self.send(visitor, self.asked(visitor, Method::POST, path).json(body)).await?;
        self.is_here();
        Ok(())
    }

    pub async fn act<T: DeserializeOwned>(&self, visitor: &Visitor, path: &str, body: &impl Serialize) -> Result<T, Unanswered> {
        let response = self.send(visitor, self.asked(visitor, Method::POST, path).json(body)).await?;
        self.object(response).await
    }

    pub async fn table(&self, visitor: &Visitor, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, Unanswered> {
        let response = self.send(visitor, self.asked(visitor, Method::GET, &address(path, query))).await?;
        http::read_limited(response, TABLE_BYTES_MAX).await.map_err(|why| self.away(&why))
    }

    fn asked(&self, visitor: &Visitor, method: Method, path: &str) -> RequestBuilder {
        // The socket says where it goes. HTTP wants a name.
        let asked = self.client.request(method, format!("http://serve/v1/{path}")).header(FROM, visitor.from.to_string());
        let asked = match visitor.door {
            Door::Public => asked,
            home @ Door::Home => asked.header(DOOR, home.as_str()),
        };
        match visitor.session.as_deref() {
            Some(session) => asked.bearer_auth(session),
            None => asked,
        }
    }

    async fn send(&self, visitor: &Visitor, question: RequestBuilder) -> Result<Response, Unanswered> {
        let response = question.send().await.map_err(|why| self.away(&qris_host::causes::in_one_line(&why)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = http::read_limited(response, ANSWER_BYTES_MAX).await.map_err(|why| self.away(&why))?;
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem @ Problem::Away) => Err(self.away(&problem)),
            Ok(problem) => {
                self.is_here();
                Err(Unanswered::Told(problem))
            }
            // Without a session there is nothing to be seen, whatever the words.
            Err(_) if status == StatusCode::UNAUTHORIZED && visitor.session.is_none() => Err(Unanswered::Told(Problem::NotIn)),
            Err(why) => Err(self.away(&format!("{status}: {why}"))),
        }
    }

    async fn object<T: DeserializeOwned>(&self, response: Response) -> Result<T, Unanswered> {
        let body = http::read_limited(response, ANSWER_BYTES_MAX).await.map_err(|why| self.away(&why))?;
        let object = serde_json::from_slice(&body).map_err(|why| self.away(&why))?;
        self.is_here();
        Ok(object)
    }

    fn away(&self, why: &dyn Display) -> Unanswered {
        if !self.is_away.swap(true, Ordering::Relaxed) {
            emit(&Event::DeskUnanswered { why: why.to_string().into() });
        }
        Unanswered::Away
    }

    fn is_here(&self) {
        if self.is_away.swap(false, Ordering::Relaxed) {
            emit(&Event::DeskAnswered {});
        }
    }
}

pub fn address(path: &str, query: &[(&str, &str)]) -> String {
    let query: Vec<_> = query.iter().filter(|(_, value)| !value.is_empty()).collect();
    if query.is_empty() { path.into() } else { format!("{path}?{}", serde_urlencoded::to_string(query).unwrap_or_default()) }
}
