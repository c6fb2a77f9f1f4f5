//! The calls that a machine makes, from outside. Each answer is held against the OpenAPI document.

use crate::report::{Checked, Stop, different};
use crate::schema::{Schema, Seen, short};
use qris_host::causes;
use qris_host::http::{Limits, client, read_limited};
use qris_host::tls::{self, LastTrusted};
use reqwest::{Client, Method};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// This much of an answer is read.
const ANSWER_MAX: usize = 1 << 20;
/// The longest long poll, and the time that it may take beyond its end.
const TOTAL: Duration = Duration::from_secs(75);

/// A call of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Op {
    /// As in the OpenAPI document, in lower case.
    pub method: &'static str,
    /// As in the OpenAPI document.
    pub path: &'static str,
}

pub const CREATE: Op = Op { method: "post", path: "/v1/orders" };
pub const OPEN: Op = Op { method: "get", path: "/v1/orders" };
pub const SHOW: Op = Op { method: "get", path: "/v1/orders/{order_id}" };
pub const QR: Op = Op { method: "get", path: "/v1/orders/{order_id}/qr.png" };
pub const CANCEL: Op = Op { method: "post", path: "/v1/orders/{order_id}/cancel" };
pub const OUTCOME: Op = Op { method: "post", path: "/v1/orders/{order_id}/outcome" };
pub const AGAIN: Op = Op { method: "post", path: "/v1/orders/{order_id}/again" };
pub const NOTIFY: Op = Op { method: "post", path: "/midtrans/notifications" };
pub const FINISH: Op = Op { method: "get", path: "/pay/{order_id}/finish" };

/// The address of the backend.
#[derive(Debug)]
pub struct Ask {
    client: Client,
    url: String,
    schema: Schema,
    /// For each call and status.
    shapes: Mutex<BTreeMap<(String, u16), Shape>>,
    away: AtomicUsize,
}

/// The answers of one kind.
#[derive(Debug, Default)]
struct Shape {
    count: usize,
    /// The first answer that was different.
    stop: Option<Stop>,
}

/// A call that is being put together.
#[derive(Debug)]
pub struct Call<'a> {
    ask: &'a Ask,
    op: Op,
    id: &'a str,
    query: String,
    token: Option<&'a str>,
    key: Option<&'a str>,
    body: Option<Vec<u8>>,
}

#[derive(Debug, Clone)]
pub struct CallAnswer {
    /// The call, in words.
    pub what: String,
    pub status: u16,
    pub content_type: String,
    pub retry_after: Option<u64>,
    pub body: Vec<u8>,
    /// From the call to the last byte.
    pub took: Duration,
}

impl Ask {
    /// Asks the backend at `url`.
    ///
    /// # Errors
    /// When there can be no client, in words.
    pub fn new(url: &str, ca_file: Option<&Path>, schema: Schema) -> Result<Self, String> {
        let tls = match url.starts_with("https://") {
            true => Some(tls::client_config(ca_file, None, &LastTrusted::default()).map_err(|error| error.to_string())?),
            false => None,
        };
        let limits = Limits { total: TOTAL, read: TOTAL, idle_connections: 8 };
        let client = client(tls.as_deref(), limits).map_err(|error| error.to_string())?;
        Ok(Self { client, url: url.into(), schema, shapes: Mutex::default(), away: AtomicUsize::new(0) })
    }

    /// Begins a call; `id` goes into its path.
    pub fn call<'a>(&'a self, op: Op, id: &'a str) -> Call<'a> {
        Call { ask: self, op, id, query: String::new(), token: None, key: None, body: None }
    }

    /// Any address at the backend or beyond it, as a browser would ask for it.
    ///
    /// # Errors
    /// No answer.
    pub async fn get(&self, url: &str) -> Result<CallAnswer, Stop> {
        let url = if url.starts_with('/') { format!("{}{url}", self.url) } else { url.to_owned() };
        self.read(self.client.get(&url), format!("GET {url}")).await
    }

    /// Any method at any address of the backend.
    ///
    /// # Errors
    /// No answer.
    pub async fn method(&self, method: Method, path: &str, token: &str) -> Result<CallAnswer, Stop> {
        let what = format!("{method} {path}");
        self.read(self.client.request(method, format!("{}{path}", self.url)).bearer_auth(token), what).await
    }

    /// The document's name for the schema of a value inside an answer.
    pub fn validate(&self, value: &Value, name: &str) -> Checked {
        let schema = &self.schema.document()["components"]["schemas"][name];
        let differences = self.schema.validate(value, schema);
        if differences.is_empty() { Ok(()) } else { Err(Stop::Different(differences.join("; "))) }
    }

    /// The result for the shapes of all answers: one check for each kind.
    pub fn shapes(&self) -> Vec<(String, Checked)> {
        let shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |((call, status), shape): (&(String, u16), &Shape)| {
            let times = if shape.count == 1 { "once".to_owned() } else { format!("{} times", shape.count) };
            (format!("shape of {call} → {status} ({times})"), shape.stop.clone().map_or(Ok(()), Err))
        };
        shapes.iter().map(told).collect()
    }

    /// How many calls found nobody there.
    pub fn away(&self) -> usize {
        self.away.load(Ordering::Relaxed)
    }

    async fn read(&self, request: reqwest::RequestBuilder, what: String) -> Result<CallAnswer, Stop> {
        let start = Instant::now();
        let no_answer = |why: String| different(format_args!("an answer to {what}"), why);
        let response = request.send().await.map_err(|error| {
            if error.is_connect() {
                self.away.fetch_add(1, Ordering::Relaxed);
            }
            no_answer(causes::in_one_line(&error))
        })?;
        let status = response.status().as_u16();
        let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let content_type = text("content-type").unwrap_or_default();
        let retry_after = text("retry-after").and_then(|seconds| seconds.parse().ok());
        let body = read_limited(response, ANSWER_MAX).await.map_err(|error| no_answer(error.to_string()))?;
        Ok(CallAnswer { what, status, content_type, retry_after, body, took: start.elapsed() })
    }

    fn note(&self, op: Op, answer: &CallAnswer) {
        let content_type = answer.content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        let headers: &[&str] = if answer.retry_after.is_some() { &["retry-after"] } else { &[] };
        let seen =
            Seen { method: op.method, path: op.path, status: answer.status, content_type: &content_type, headers, body: &answer.body };
        let found = self.schema.answer(&seen);
        let mut shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (format!("{} {}", op.method.to_ascii_uppercase(), op.path), answer.status);
        let shape = shapes.entry(name).or_default();
        shape.count += 1;
        if let (None, Err(found)) = (&shape.stop, found) {
            shape.stop = Some(found);
        }
    }
}

impl<'a> Call<'a> {
    /// With a machine's token.
    pub fn token(self, token: &'a str) -> Self {
        Self { token: Some(token), ..self }
    }

    /// With a query after the `?`.
    pub fn query(self, query: impl Into<String>) -> Self {
        Self { query: query.into(), ..self }
    }

    /// With an Idempotency-Key.
    pub fn key(self, key: &'a str) -> Self {
        Self { key: Some(key), ..self }
    }

    pub fn json(self, body: &Value) -> Self {
        self.bytes(body.to_string().into_bytes())
    }

    /// With bytes that claim to be JSON.
    pub fn bytes(self, body: Vec<u8>) -> Self {
        Self { body: Some(body), ..self }
    }

    /// Makes the call.
    ///
    /// # Errors
    /// No answer.
    pub async fn send(self) -> Result<CallAnswer, Stop> {
        let path = self.op.path.replace("{order_id}", self.id);
        let question = if self.query.is_empty() { "" } else { "?" };
        let what = format!("{} {path}{question}{}", self.op.method.to_ascii_uppercase(), self.query);
        let url = format!("{}{path}{question}{}", self.ask.url, self.query);
        let mut request = if self.op.method == "get" { self.ask.client.get(url) } else { self.ask.client.post(url) };
        if let Some(token) = self.token {
            request = request.bearer_auth(token);
        }
        if let Some(key) = self.key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = self.body {
            request = request.header("Content-Type", "application/json").body(body);
        }
        let answer = self.ask.read(request, what).await?;
        self.ask.note(self.op, &answer);
        Ok(answer)
    }
}

impl CallAnswer {
    /// Goes on only with this status.
    ///
    /// # Errors
    /// What came instead.
    pub fn is(&self, status: u16) -> Checked {
        self.one_of(&[status])
    }

    /// Goes on only with one of these.
    ///
    /// # Errors
    /// What came instead.
    pub fn one_of(&self, statuses: &[u16]) -> Checked {
        if statuses.contains(&self.status) {
            return Ok(());
        }
        let expected = statuses.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ");
        Err(different(format_args!("{expected} for {}", self.what), format_args!("{} {}", self.status, self.text())))
    }

    /// A problem with this status and one of these words.
    ///
    /// # Errors
    /// What came instead.
    pub fn problem(&self, status: u16, codes: &[&str]) -> Checked {
        self.is(status)?;
        let code = self.json()?["code"].as_str().unwrap_or_default().to_owned();
        if codes.contains(&code.as_str()) {
            return Ok(());
        }
        Err(different(format_args!("code {} for {}", codes.join(" or "), self.what), format_args!("{code:?} in {}", self.text())))
    }

    /// The same, if the problem names its order: without the order a machine takes the answer for a proxy's.
    ///
    /// # Errors
    /// What came instead.
    pub fn problem_about(&self, id: &str, status: u16, codes: &[&str]) -> Checked {
        self.problem(status, codes)?;
        if self.json()?["order_id"] == id {
            return Ok(());
        }
        Err(different(format_args!("order_id {id:?} in the problem for {}", self.what), self.text()))
    }

    /// Goes on only where the problem names this field.
    ///
    /// # Errors
    /// What came instead.
    pub fn names(&self, field: &str) -> Checked {
        let problem = self.json()?;
        let named = problem["errors"].as_array().is_some_and(|errors| errors.iter().any(|error| error["field"] == field));
        if named { Ok(()) } else { Err(different(format_args!("an error that names {field:?}"), self.text())) }
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn json(&self) -> Result<Value, Stop> {
        serde_json::from_slice(&self.body)
            .map_err(|error| different(format_args!("JSON for {}", self.what), format_args!("{error}: {}", self.text())))
    }

    /// The body's beginning.
    pub fn text(&self) -> String {
        match serde_json::from_slice::<Value>(&self.body) {
            Ok(value) => short(&value),
            Err(_) => String::from_utf8_lossy(&self.body).chars().take(120).collect(),
        }
    }
}
