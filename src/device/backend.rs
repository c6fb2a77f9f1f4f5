//! The client of the merchant backend: one HTTP call in, one [`BackendAnswer`] out. With it comes the time that the backend tells, where
//! that counts.

use super::config::Backend as Settings;
use super::words::{BackendAnswer, HttpCall, Identity};
use qris_core::order::ids::OrderId;
use qris_core::order::reason::Reason;
use qris_core::order::request::Refusal;
use qris_core::order::time::{BootId, Span, Wall};
use qris_core::text;
use qris_core::wire::orders::{
    ANSWER_MAX, AT_BROKER, BOOT, LATE_SIGN, NEWEST_EVENT, OpenOrders, OrderResource, PROBLEM_TYPE, Problem, RELAY_KEY, TAKEN_OVER, TOPICS,
};
use qris_host::causes;
use qris_host::clock::{self, RELEASED};
use qris_host::http::{HttpError, Limits, client, is_from_afar, read_limited};
use qris_host::tls::{CertificateRefusal, LastTrusted, TlsError, certificate_refusal, client_configs, refused_dates};
use qris_host::trust::{ServerTime, matters};
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use std::time::Duration;

/// A call without `wait` is answered within this time: the backend itself gives up on the gateway after 10 s.
const ANSWER_WAIT: Duration = Duration::from_secs(12);
/// How long the backend holds a long poll, in seconds.
const POLL_S: u64 = 5;
/// A long poll is answered within this time. It begins two seconds after the QR (`POLL_AFTER`), or a second after the last one: so a
/// backend that is away, or cannot write, is known within ten seconds.
const POLL_WAIT: Duration = Duration::from_secs(8);
/// The most characters that are kept of a problem's texts: they go into an event.
const DETAIL_CHARS_MAX: usize = 200;
const FIELD_CHARS_MAX: usize = 64;
/// The wait without `Retry-After`, and the longest wait.
const RETRY_AFTER_S: (i64, i64) = (1, 60);

#[derive(Clone, Debug)]
pub struct Backend {
    client: Client,
    url: String,
    authorization: reqwest::header::HeaderValue,
    /// The `boot_id`, unless no header can carry it.
    boot: Option<reqwest::header::HeaderValue>,
    /// There if and only if it is asked over TLS.
    time: Option<Time>,
}

/// How to hear what time it is.
#[derive(Clone, Debug)]
struct Time {
    /// It judges the certificate by the clock alone.
    by_clock: Client,
    trusted: LastTrusted,
}

#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A fault of the build.
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the backend's token holds characters that no header can carry")]
    Token,
}

impl Backend {
    /// It connects at the first call.
    pub fn new(settings: &Settings, boot_id: &BootId, trusted: &LastTrusted) -> Result<Self, BackendError> {
        let is_secure = settings.url.starts_with("https://");
        let tls = if is_secure { Some(client_configs(settings.ca_file.as_deref(), trusted)?) } else { None };
        let limits = Limits { total: ANSWER_WAIT, read: ANSWER_WAIT, idle_connections: 2 };
        let (client, time) = match tls {
            None => (client(None, limits)?, None),
            Some([tls, by_clock]) => {
                let by_clock = client(Some(&by_clock), Limits { total: ANSWER_WAIT, read: ANSWER_WAIT, idle_connections: 0 })?;
                (client(Some(&tls), limits)?, Some(Time { by_clock, trusted: trusted.clone() }))
            }
        };
        let text = format!("Bearer {}", settings.token.expose());
        let mut authorization = reqwest::header::HeaderValue::from_str(&text).map_err(|_| BackendError::Token)?;
        authorization.set_sensitive(true);
        let boot = reqwest::header::HeaderValue::from_str(&boot_id.0).ok();
        Ok(Self { client, url: settings.url.clone(), authorization, boot, time })
    }

    pub async fn call(&self, call: HttpCall) -> (BackendAnswer, Option<ServerTime>) {
        match self.send(self.request(&call)).await {
            Ok((status, headers, body, told)) => (read_order(&call, status, &headers, &body), told),
            Err(answer) => (answer, None),
        }
    }

    pub async fn open(&self, identity: &Identity) -> (BackendAnswer, Option<ServerTime>) {
        match self.send(self.request_for_open(identity)).await {
            Ok((status, headers, body, told)) => (read_open(status, &headers, &body), told),
            Err(answer) => (answer, None),
        }
    }

    /// Asks what time it is, without a word about who asks. Any answer tells it.
    pub async fn ask_time(&self) -> Option<ServerTime> {
        let response = self.time.as_ref()?.by_clock.get(format!("{}/healthz", self.url)).send().await.ok()?;
        self.told(&response)
    }

    /// Judges certificates by this time at the least, from now on.
    pub fn trust(&self, trusted: Wall) {
        if let Some(time) = &self.time {
            time.trusted.set(trusted);
        }
    }

    /// The time that this answer tells. It does not count from this computer: that has the same clock. Certificates are judged only if the
    /// trusted time would become another one.
    fn told(&self, response: &Response) -> Option<ServerTime> {
        let time = self.time.as_ref()?;
        let clock = clock::now().wall;
        if !is_from_afar(response) {
            return None;
        }
        let date = Wall::from_http_date(response.headers().get(DATE)?.to_str().ok()?).ok()?;
        Some(ServerTime { date, is_good: matters(time.trusted.get(), clock, RELEASED) && time.trusted.all_are_good_at(clock) })
    }

    pub fn request(&self, call: &HttpCall) -> RequestBuilder {
        let request = match call {
            HttpCall::Create(order) => {
                let request =
                    self.client.post(format!("{}/v1/orders", self.url)).header("Idempotency-Key", order.purchase.request_id.as_str());
                request.json(&**order)
            }
            HttpCall::Watch(id, since) => self.client.get(format!("{}?wait={POLL_S}&since={since}", self.order_url(id))).timeout(POLL_WAIT),
            HttpCall::Get(id) => self.client.get(format!("{}?ask=true", self.order_url(id))),
            HttpCall::Cancel(id) => self.client.post(format!("{}/cancel", self.order_url(id))),
            HttpCall::TryAgain(id, promise) => {
                let body = serde_json::json!({ "promise": promise });
                self.client.post(format!("{}/again", self.order_url(id))).json(&body)
            }
            HttpCall::Tell(id, report) => self.client.post(format!("{}/outcome", self.order_url(id))).json(report),
        };
        self.authorized(request)
    }

    pub fn request_for_open(&self, identity: &Identity) -> RequestBuilder {
        let Identity { relay_key, newest_event, taken_over, late_sign, topics } = identity;
        let request = self.client.get(format!("{}/v1/orders?state=open", self.url));
        let request = newest_event.iter().fold(request, |request, event| request.header(NEWEST_EVENT, &**event));
        let request = late_sign.iter().fold(request, |request, news| request.header(LATE_SIGN, news.to_string()));
        let request = if *taken_over { request.header(AT_BROKER, TAKEN_OVER) } else { request };
        let request = topics.header().into_iter().fold(request, |request, topics| request.header(TOPICS, topics));
        self.authorized(relay_key.iter().fold(request, |request, key| request.header(RELAY_KEY, key.to_string())))
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request.header(reqwest::header::AUTHORIZATION, self.authorization.clone());
        self.boot.iter().fold(request, |request, boot| request.header(BOOT, boot.clone()))
    }

    fn order_url(&self, id: &OrderId) -> String {
        // An order_id has only characters that a path takes as they are.
        format!("{}/v1/orders/{id}", self.url)
    }

    async fn send(&self, request: RequestBuilder) -> Result<(StatusCode, HeaderMap, Vec<u8>, Option<ServerTime>), BackendAnswer> {
        let response = request.send().await.map_err(|error| no_answer(&error))?;
        let (status, headers, told) = (response.status(), response.headers().clone(), self.told(&response));
        let body = read_limited(response, ANSWER_MAX).await.map_err(|error| no_answer(&error))?;
        Ok((status, headers, body, told))
    }
}

/// The answer to a call. The machine acts only on an answer that says that it is the backend's, and about this call: a
/// proxy on the way may answer anything, with any status.
pub fn read_order(call: &HttpCall, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> BackendAnswer {
    if !is_resource(status) {
        return refused(status, headers, body, Some(call));
    }
    match serde_json::from_slice::<OrderResource>(body) {
        Ok(order) if is_asked_for(call, &order) => BackendAnswer::Order(Box::new(order)),
        Ok(order) => unusable(format!("it answered with the order {}, which was not asked for", order.order_id)),
        Err(error) => unusable(format!("its answer ({}) cannot be read: {error}", status.as_u16())),
    }
}

pub fn read_open(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> BackendAnswer {
    if !is_resource(status) {
        return refused(status, headers, body, None);
    }
    match serde_json::from_slice::<OpenOrders>(body) {
        Ok(open) => BackendAnswer::Open(open),
        Err(error) => unusable(format!("its answer ({}) cannot be read: {error}", status.as_u16())),
    }
}

/// Half of a resource (206) or no resource (204) is not an answer.
fn is_resource(status: StatusCode) -> bool {
    matches!(status, StatusCode::OK | StatusCode::CREATED)
}

fn is_asked_for(call: &HttpCall, order: &OrderResource) -> bool {
    match call {
        HttpCall::Create(new) => order.request_id == new.purchase.request_id && order.ticket == new.purchase.ticket,
        HttpCall::Watch(id, _) | HttpCall::Get(id) | HttpCall::Cancel(id) => order.order_id == *id,
        HttpCall::TryAgain(id, _) | HttpCall::Tell(id, _) => order.order_id == *id,
    }
}

/// The last cause, without the address. The journal shows it, and an address may hold private parts.
fn no_answer(error: &(dyn std::error::Error + 'static)) -> BackendAnswer {
    let date_refusal = certificate_refusal(error) == Some(CertificateRefusal::Dates);
    let why = refused_dates(error).unwrap_or_else(|| causes::last(error));
    BackendAnswer::NoAnswer { why: why.into(), code: None, date_refusal }
}

fn unusable(why: String) -> BackendAnswer {
    BackendAnswer::NoAnswer { why: why.into(), code: None, date_refusal: false }
}

/// A header that is a number; `None` if it is missing or something else.
fn number<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

/// The backend's own word, if this is one: a problem document of RFC 9457 that has our `code` and is about this answer.
fn problem(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<(Reason, Problem)> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?.split(';').next()?.trim_end();
    if !kind.eq_ignore_ascii_case(PROBLEM_TYPE) {
        return None;
    }
    let problem: Problem = serde_json::from_slice(body).ok()?;
    (problem.status == status.as_u16()).then_some((problem.code?, problem))
}

/// The meaning of an answer without a resource.
fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8], call: Option<&HttpCall>) -> BackendAnswer {
    let answered = format!("it answered {}", status.as_u16());
    let Some((code, problem)) = problem(status, headers, body) else { return unusable(answered) };
    let error = problem.errors.first();
    let field = error.map(|error| error.field.chars().take(FIELD_CHARS_MAX).collect::<String>().into());
    let detail = error.map(|error| error.detail.clone()).or_else(|| problem.detail.clone()).unwrap_or_else(|| answered.clone().into());
    let detail: Box<str> = text::plain(&detail, ' ').chars().take(DETAIL_CHARS_MAX).collect::<String>().into();
    let refusal = Refusal { reason: code, field, detail };
    let answered = format!("{answered}: {}", refusal.detail);
    let about_it = problem.order_id.is_some() && problem.order_id.as_ref() == call.and_then(order_id);
    match (status.as_u16(), code) {
        (404, Reason::UnknownRequest) if about_it => BackendAnswer::Absent,
        (409, Reason::ReusedId) if about_it && matches!(call, Some(HttpCall::Tell(..))) => BackendAnswer::OtherOutcome,
        (409, Reason::ReusedId) if matches!(call, Some(HttpCall::Create(_))) => BackendAnswer::Refused(refusal),
        // The books have no such try, and make none.
        (409, Reason::Late | Reason::UnknownKey | Reason::Mismatch | Reason::WrongAmount)
            if about_it && matches!(call, Some(HttpCall::TryAgain(..))) =>
        {
            BackendAnswer::Refused(refusal)
        }
        (400 | 413 | 415 | 422 | 429, _) => BackendAnswer::Refused(refusal),
        (401, _) => BackendAnswer::Wrong(Refusal::new(code, "it does not know this machine's token (401)")),
        (503, _) => {
            let after: Option<i64> = number(headers, RETRY_AFTER.as_str());
            let after = after.unwrap_or(RETRY_AFTER_S.0).clamp(RETRY_AFTER_S.0, RETRY_AFTER_S.1);
            BackendAnswer::Later(refusal, Span::secs(after))
        }
        (500.., _) => BackendAnswer::NoAnswer { why: answered.into(), code: Some(code), date_refusal: false },
        _ => unusable(answered),
    }
}

fn order_id(call: &HttpCall) -> Option<&OrderId> {
    match call {
        HttpCall::Create(_) => None,
        HttpCall::Watch(id, _) | HttpCall::Get(id) | HttpCall::Cancel(id) => Some(id),
        HttpCall::TryAgain(id, _) | HttpCall::Tell(id, _) => Some(id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qris_core::order::outcome::Delivery;
    use qris_core::order::request::Purchase;
    use qris_core::wire::orders::{NewOrder, OutcomeReport};
    use serde_json::{Value, json};

    const ORDER: &str = include_str!("../../tests/corpora/backend_answer/order.json");
    const PLAIN: &str = "application/json";

    fn order() -> OrderResource {
        serde_json::from_str(ORDER).expect("an order")
    }

    /// Every call about that order.
    fn calls() -> [HttpCall; 6] {
        let OrderResource { order_id: id, request_id, ticket, item, amount, payment, .. } = order();
        let new = NewOrder {
            purchase: Purchase { request_id, ticket, item, asked: None, description: None, machine: None, amount, payment, timeout_s: 120 },
            kids: Vec::new(),
            relay_key: None,
        };
        let report = OutcomeReport {
            nth_try: qris_core::order::tries::TryNumber::FIRST,
            outcome: Delivery::Dispensed,
            reason: None,
            detail: None,
            proof: None,
        };
        [
            HttpCall::Create(Box::new(new)),
            HttpCall::Watch(id.clone(), 1),
            HttpCall::Get(id.clone()),
            HttpCall::Cancel(id.clone()),
            HttpCall::TryAgain(id.clone(), "promise".into()),
            HttpCall::Tell(id, report),
        ]
    }

    fn told_as(call: &HttpCall, status: u16, kind: &'static str, body: &str) -> BackendAnswer {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, kind.parse().expect("a media type"));
        headers.insert(RETRY_AFTER, 7.into());
        read_order(call, StatusCode::from_u16(status).expect("a status"), &headers, body.as_bytes())
    }

    /// The answer in a word, and its reason.
    fn word(answer: &BackendAnswer) -> (&'static str, Option<Reason>) {
        match answer {
            BackendAnswer::Order(_) => ("order", None),
            BackendAnswer::Open(_) => ("open", None),
            BackendAnswer::Absent => ("absent", None),
            BackendAnswer::OtherOutcome => ("told", None),
            BackendAnswer::Refused(refusal) => ("refused", Some(refusal.reason)),
            BackendAnswer::Later(refusal, after) => {
                assert_eq!(*after, Span::secs(7));
                ("later", Some(refusal.reason))
            }
            BackendAnswer::Wrong(refusal) => ("wrong", Some(refusal.reason)),
            BackendAnswer::NoAnswer { code, .. } => ("no answer", *code),
        }
    }

    fn problem_of(status: u16, code: &str, about: Option<&OrderId>) -> Value {
        let mut problem = json!({"type": "about:blank", "title": "x", "status": status, "code": code});
        if let Some(id) = about {
            problem["order_id"] = json!(id);
        }
        problem
    }

    /// A customer has a QR, and nobody would hear of his payment: the machine knows that within ten seconds.
    #[test]
    fn a_long_poll_ends_within_ten_seconds_of_the_qr() {
        use qris_core::order::machine::POLL_AFTER;
        let settings = Settings { url: "http://127.0.0.1:1".into(), token: qris_host::secret::Secret::new("t"), ca_file: None };
        let backend = Backend::new(&settings, &BootId("b".into()), &LastTrusted::default()).expect("a client");
        for call in calls() {
            let is_watch = matches!(call, HttpCall::Watch(..));
            let request = backend.request(&call).build().expect("a request");
            assert_eq!(request.timeout().copied(), is_watch.then_some(POLL_WAIT), "{call:?}");
        }
        assert!(POLL_AFTER.to_duration() + POLL_WAIT <= Duration::from_secs(10));
        assert!(Duration::from_secs(POLL_S) < POLL_WAIT);
    }

    #[test]
    fn the_backends_own_word_is_acted_on() {
        let order = order();
        for call in &calls() {
            assert_eq!(word(&told_as(call, 200, PLAIN, ORDER)).0, "order", "{call:?}");
            let creates = matches!(call, HttpCall::Create(_));
            let none = ("no answer", None);
            let conflict = if matches!(call, HttpCall::Tell(..)) { ("told", None) } else { none };
            let no_try = if matches!(call, HttpCall::TryAgain(..)) { ("refused", Some(Reason::Late)) } else { none };
            // The status, the code, whether it names the order, and the meaning.
            for (status, code, named, expected) in [
                (400, "malformed", false, ("refused", Some(Reason::Malformed))),
                (401, "backend", false, ("wrong", Some(Reason::Backend))),
                (404, "unknown_request", true, if creates { ("no answer", None) } else { ("absent", None) }),
                (404, "unknown_request", false, ("no answer", None)),
                (404, "malformed", true, ("no answer", None)),
                (409, "reused_id", true, if creates { ("refused", Some(Reason::ReusedId)) } else { conflict }),
                (409, "reused_id", false, if creates { ("refused", Some(Reason::ReusedId)) } else { ("no answer", None) }),
                (409, "late", true, no_try),
                (409, "late", false, none),
                (413, "too_large", false, ("refused", Some(Reason::TooLarge))),
                (415, "malformed", false, ("refused", Some(Reason::Malformed))),
                (422, "unknown_key", false, ("refused", Some(Reason::UnknownKey))),
                (429, "rate_limited", false, ("refused", Some(Reason::RateLimited))),
                (500, "backend", false, ("no answer", Some(Reason::Backend))),
                (503, "gateway", false, ("later", Some(Reason::Gateway))),
            ] {
                let about = named.then_some(&order.order_id);
                let text = problem_of(status, code, about).to_string();
                assert_eq!(word(&told_as(call, status, PROBLEM_TYPE, &text)), expected, "{status} {code} {call:?}");
                assert_eq!(word(&told_as(call, status, "application/problem+json; charset=utf-8", &text)), expected, "{status} {call:?}");
            }
        }
    }

    #[test]
    fn what_does_not_say_that_it_is_the_backends_and_about_this_is_no_answer() {
        let order = order();
        let other: OrderId = serde_json::from_value(json!("o-another")).expect("an id");
        let statuses = [200, 201, 202, 204, 206, 301, 302, 307, 308, 400, 401, 403, 404, 405, 408, 409, 410, 413, 415, 418, 422, 429];
        for status in statuses.into_iter().chain([451, 500, 501, 502, 503, 504, 511, 599]) {
            let right = problem_of(status, "unknown_request", Some(&order.order_id)).to_string();
            let another = |name: &str, value: Value| {
                let mut another: Value = serde_json::from_str(ORDER).expect("an order");
                another[name] = value;
                another.to_string()
            };
            let mut answers = vec![
                ("text/html", "<html>Log in</html>".to_owned()),
                ("text/html", String::new()),
                (PLAIN, "{}".to_owned()),
                (PLAIN, r#"{"error": "upstream not found"}"#.to_owned()),
                (PLAIN, ORDER[..ORDER.len() / 2].to_owned()),
                (PROBLEM_TYPE, right[..right.len() - 2].to_owned()),
                (PROBLEM_TYPE, r#"{"type": "about:blank", "title": "Not Found", "status": 404}"#.to_owned()),
                // All but one part is ours: the media type, or the status that it is about.
                (PLAIN, right.clone()),
                ("text/html", right.clone()),
                (PROBLEM_TYPE, problem_of(if status == 404 { 409 } else { 404 }, "unknown_request", Some(&order.order_id)).to_string()),
            ];
            if matches!(status, 404 | 409) {
                answers.push((PROBLEM_TYPE, problem_of(status, "unknown_request", Some(&other)).to_string()));
                answers.push((PROBLEM_TYPE, problem_of(status, "backend", Some(&order.order_id)).to_string()));
            }
            for call in &calls() {
                let creates = matches!(call, HttpCall::Create(_));
                let (name, value) = if creates { ("request_id", json!("another")) } else { ("order_id", json!("o-another")) };
                let resource = (PLAIN, another(name, value));
                let ticket = (PLAIN, another("ticket", json!("AAAAAAAAAAAAAAAAAAAAAA")));
                let all = answers.iter().chain([&resource]).chain(creates.then_some(&ticket));
                for (kind, body) in all {
                    let answer = told_as(call, status, kind, body);
                    assert_eq!(word(&answer), ("no answer", None), "{status} {kind} {body} to {call:?}");
                }
            }
            for (kind, body) in &answers {
                let mut headers = HeaderMap::new();
                headers.insert(CONTENT_TYPE, kind.parse().expect("a media type"));
                let answer = read_open(StatusCode::from_u16(status).expect("a status"), &headers, body.as_bytes());
                assert_eq!(word(&answer), ("no answer", None), "{status} {kind} {body} to all open orders");
            }
        }
    }
}
