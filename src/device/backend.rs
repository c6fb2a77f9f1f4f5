//! The client of the merchant backend: one HTTP call in, one [`BackendAnswer`] out.

use super::config::Backend as Settings;
use super::machine::{BackendAnswer, HttpCall};
use crate::host::http::{HttpError, Limits, client, read_limited};
use crate::host::tls::{LastTrusted, TlsError, client_config, is_date_refusal};
use crate::order::ids::OrderId;
use crate::order::reason::Reason;
use crate::order::request::Refusal;
use crate::order::time::Span;
use crate::wire::orders::{ANSWER_MAX, COLLECT_WITHIN, OpenOrders, Order, Problem};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, StatusCode};
use std::time::Duration;

/// A call without `wait` is answered within this: the backend itself gives up on Midtrans after 10 s.
const ANSWER_WAIT: Duration = Duration::from_secs(12);
/// How long the backend holds a long poll, in seconds.
const POLL_S: u64 = 25;
/// What a long poll may take beyond that.
const POLL_SLACK: Duration = Duration::from_secs(10);
/// Of a problem's texts so much is kept: it goes into an event.
const DETAIL_CHARS_MAX: usize = 200;
const FIELD_CHARS_MAX: usize = 64;
/// Without `Retry-After`, and at most.
const RETRY_AFTER_S: (i64, i64) = (1, 60);

/// The connection to the backend.
#[derive(Clone, Debug)]
pub struct Backend {
    client: Client,
    url: String,
    authorization: reqwest::header::HeaderValue,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// A certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A fault of the build.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A token is printable ASCII.
    #[error("the backend's token holds characters that no header can carry")]
    Token,
}

impl Backend {
    /// Makes the client. Nothing is connected before the first call.
    ///
    /// # Errors
    /// When a certificate or the token cannot be used.
    pub fn new(settings: &Settings, trusted: &LastTrusted) -> Result<Self, BackendError> {
        let tls =
            if settings.url.starts_with("https://") { Some(client_config(settings.ca_file.as_deref(), None, trusted)?) } else { None };
        let limits =
            Limits { total: Duration::from_secs(POLL_S) + POLL_SLACK, read: Duration::from_secs(POLL_S) + POLL_SLACK, idle_connections: 2 };
        let client = client(tls.as_deref(), limits)?;
        let text = format!("Bearer {}", settings.token.expose());
        let mut authorization = reqwest::header::HeaderValue::from_str(&text).map_err(|_| BackendError::Token)?;
        authorization.set_sensitive(true);
        Ok(Self { client, url: settings.url.clone(), authorization })
    }

    /// Makes one call for an order.
    pub async fn call(&self, call: HttpCall) -> BackendAnswer {
        match self.send(self.request(&call)).await {
            Ok((status, headers, body)) => read_order(&call, status, &headers, &body),
            Err(answer) => answer,
        }
    }

    /// Asks for all open orders.
    pub async fn open(&self) -> BackendAnswer {
        match self.send(self.request_for_open()).await {
            Ok((status, headers, body)) => read_open(status, &headers, &body),
            Err(answer) => answer,
        }
    }

    /// What goes out for a call.
    pub(crate) fn request(&self, call: &HttpCall) -> RequestBuilder {
        let request = match call {
            HttpCall::Create(order) => {
                let request = self.client.post(format!("{}/v1/orders", self.url)).header("Idempotency-Key", order.request_id.as_str());
                request.json(&**order).timeout(ANSWER_WAIT)
            }
            HttpCall::Watch(id, since) => self.client.get(format!("{}?wait={POLL_S}&since={since}", self.order_url(id))),
            HttpCall::Get(id) => self.client.get(format!("{}?wait=0", self.order_url(id))).timeout(ANSWER_WAIT),
            HttpCall::Cancel(id) => self.client.post(format!("{}/cancel", self.order_url(id))).timeout(ANSWER_WAIT),
            HttpCall::Tell(id, report) => self.client.post(format!("{}/outcome", self.order_url(id))).json(report).timeout(ANSWER_WAIT),
        };
        self.authorized(request)
    }

    /// What goes out for all open orders.
    pub(crate) fn request_for_open(&self) -> RequestBuilder {
        self.authorized(self.client.get(format!("{}/v1/orders?state=open", self.url)).timeout(ANSWER_WAIT))
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        request.header(reqwest::header::AUTHORIZATION, self.authorization.clone())
    }

    fn order_url(&self, id: &OrderId) -> String {
        // An order_id is made of characters that a path takes as they are.
        format!("{}/v1/orders/{id}", self.url)
    }

    async fn send(&self, request: RequestBuilder) -> Result<(StatusCode, HeaderMap, Vec<u8>), BackendAnswer> {
        let response = request.send().await.map_err(|error| no_answer(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read_limited(response, ANSWER_MAX).await.map_err(|error| no_answer(&error))?;
        Ok((status, headers, body))
    }
}

/// What came back for a call.
pub(crate) fn read_order(call: &HttpCall, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> BackendAnswer {
    if !status.is_success() {
        return refused(status, headers, body, matches!(call, HttpCall::Tell(..)));
    }
    match serde_json::from_slice::<Order>(body) {
        Ok(order) => BackendAnswer::Order(Box::new(Order { collect_within_s: number(headers, COLLECT_WITHIN), ..order })),
        Err(error) => garbled(&error),
    }
}

/// What came back for all open orders.
pub(crate) fn read_open(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> BackendAnswer {
    if !status.is_success() {
        return refused(status, headers, body, false);
    }
    match serde_json::from_slice::<OpenOrders>(body) {
        Ok(open) => BackendAnswer::Open(open.orders),
        Err(error) => garbled(&error),
    }
}

/// The error with its causes, without the address: the journal shows it, and an address may carry what is private.
fn no_answer(error: &(dyn std::error::Error + 'static)) -> BackendAnswer {
    let date_refusal = is_date_refusal(error);
    let mut causes = Vec::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    let why = causes.last().cloned().unwrap_or_default();
    BackendAnswer::NoAnswer { why: why.into(), code: None, date_refusal }
}

fn garbled(error: &serde_json::Error) -> BackendAnswer {
    BackendAnswer::NoAnswer { why: format!("its answer cannot be read: {error}").into(), code: None, date_refusal: false }
}

/// A header that is a number; `None` where it is missing or something else.
fn number<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

/// What an answer other than 2xx means. A problem's `code` decides, else the status.
fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8], telling: bool) -> BackendAnswer {
    let problem: Option<Problem> = serde_json::from_slice(body).ok();
    let code = problem.as_ref().and_then(|p| p.code);
    let error = problem.as_ref().and_then(|p| p.errors.first());
    let field = error.map(|e| e.field.chars().take(FIELD_CHARS_MAX).collect::<String>().into());
    let detail = problem.as_ref().and_then(|p| error.map(|e| e.detail.clone()).or_else(|| p.detail.clone()));
    let detail = detail.unwrap_or_else(|| format!("the backend answered {}", status.as_u16()).into());
    let detail: Box<str> = detail.chars().take(DETAIL_CHARS_MAX).collect::<String>().into();
    let reason = |default: Reason| code.unwrap_or(default);
    let refusal = |default: Reason| Refusal { reason: reason(default), field: field.clone(), detail: detail.clone() };
    match status.as_u16() {
        404 => BackendAnswer::Absent,
        409 if telling => BackendAnswer::OtherOutcome,
        409 => BackendAnswer::Refused(refusal(Reason::ReusedId)),
        413 | 422 | 400 => BackendAnswer::Refused(refusal(Reason::Malformed)),
        429 => BackendAnswer::Refused(refusal(Reason::RateLimited)),
        503 => {
            let after: Option<i64> = number(headers, RETRY_AFTER.as_str());
            let after = after.unwrap_or(RETRY_AFTER_S.0).clamp(RETRY_AFTER_S.0, RETRY_AFTER_S.1);
            BackendAnswer::Later(refusal(Reason::Backend), Span::secs(after))
        }
        401 => BackendAnswer::Wrong(Refusal::new(reason(Reason::Backend), "it does not know this machine's token (401)")),
        other @ 500.. => BackendAnswer::NoAnswer { why: format!("it answered {other}: {detail}").into(), code, date_refusal: false },
        other => BackendAnswer::Wrong(Refusal::new(reason(Reason::Backend), format!("it answered {other}: {detail}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What the answer to an order comes to, in a word, and its reason.
    fn told(status: u16, body: &str, telling: bool) -> (&'static str, Option<Reason>) {
        let status = StatusCode::from_u16(status).expect("a status");
        match refused(status, &HeaderMap::new(), body.as_bytes(), telling) {
            BackendAnswer::Absent => ("absent", None),
            BackendAnswer::OtherOutcome => ("told", None),
            BackendAnswer::Refused(refusal) => ("refused", Some(refusal.reason)),
            BackendAnswer::Later(refusal, _) => ("later", Some(refusal.reason)),
            BackendAnswer::Wrong(refusal) => ("wrong", Some(refusal.reason)),
            BackendAnswer::NoAnswer { code, .. } => ("no answer", code),
            answer @ (BackendAnswer::Order(_) | BackendAnswer::Open(_)) => panic!("{answer:?}"),
        }
    }

    #[test]
    fn a_status_means_the_same_with_and_without_its_code() {
        // The status, our backend's code, what it means, and the reason without a code.
        for (status, code, what, plain) in [
            (400, "malformed", "refused", Some(Reason::Malformed)),
            (401, "backend", "wrong", Some(Reason::Backend)),
            (404, "unknown_request", "absent", None),
            (408, "backend", "wrong", Some(Reason::Backend)),
            (409, "reused_id", "refused", Some(Reason::ReusedId)),
            (422, "malformed", "refused", Some(Reason::Malformed)),
            (500, "backend", "no answer", None),
            (502, "backend", "no answer", None),
        ] {
            let problem = json!({"type": "about:blank", "title": "x", "status": status, "code": code}).to_string();
            let plain_problem = json!({"type": "about:blank", "title": "x", "status": status}).to_string();
            let expected = Reason::ALL.iter().find(|reason| reason.as_str() == code).copied();
            let coded = told(status, &problem, false);
            assert_eq!(coded.0, what, "{status}");
            assert!(what == "absent" || coded.1 == expected, "{status}: {coded:?}");
            for body in [plain_problem.as_str(), "<html>", ""] {
                assert_eq!(told(status, body, false), (what, plain), "{status} {body}");
            }
        }
        // What is too large or of another kind is the machine's own fault, and an outcome that another came before is told.
        assert_eq!(
            told(413, &json!({"type": "x", "title": "x", "status": 413, "code": "too_large"}).to_string(), false).1,
            Some(Reason::TooLarge)
        );
        assert_eq!(
            told(415, &json!({"type": "x", "title": "x", "status": 415, "code": "malformed"}).to_string(), false).1,
            Some(Reason::Malformed)
        );
        for body in [json!({"type": "x", "title": "x", "status": 409, "code": "reused_id"}).to_string(), String::new()] {
            assert_eq!(told(409, &body, true), ("told", None));
        }
        let unpaid = json!({"type": "x", "title": "x", "status": 503, "code": "backend"}).to_string();
        assert_eq!(told(503, &unpaid, true), ("later", Some(Reason::Backend)));
    }
}
