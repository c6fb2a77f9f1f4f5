//! The HTTP server: connections and their limits, routes, problems. TLS is a reverse proxy's.

mod limit;
mod notifications;
mod operators;
mod orders;
mod pay;

pub use operators::OPENAPI;

use super::books::BooksError;
use super::devices;
use super::shop::Shop;
use crate::host::events::{Event as Journal, emit};
use crate::order::ids::DeviceId;
use crate::order::merchant::Refused;
use crate::order::reason::Reason;
use crate::wire::orders::{FieldError, Problem};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

/// Connections at once; who comes when there are so many waits.
const CONNECTIONS_MAX: usize = 4096;
/// From the first byte of a request, or the end of the one before, to the end of its head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// A body comes within this.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// A head is read into at most this.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// The largest body of a machine.
const BODY_BYTES_MAX: usize = 16 << 10;
/// So much of a body that is too large is read before it is refused.
const DRAIN_MAX: usize = 128 << 10;
/// What is under way when the program ends has so long.
const STOP_WAIT: Duration = Duration::from_millis(1200);
/// After an error that says that there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` says so; then what is under way has a moment to end.
pub async fn serve(shop: Arc<Shop>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(router(shop));
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let permit = Arc::clone(&connections).acquire_owned().await.expect("the semaphore is never closed");
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        let Ok((stream, _)) = accepted else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // An answer is one small packet; it must not wait for another.
        let _ = stream.set_nodelay(true);
        let (service, mut stop) = (service.clone(), stop.clone());
        tokio::spawn(async move {
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES_MAX);
            let connection = server.serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            // A connection that breaks is the other side's business.
            tokio::select! {
                _ = connection.as_mut() => {}
                () = stopped(&mut stop) => {
                    connection.as_mut().graceful_shutdown();
                    let _ = timeout(STOP_WAIT, connection).await;
                }
            }
            drop(permit);
        });
    }
    let _ = timeout(STOP_WAIT, connections.acquire_many(u32::try_from(CONNECTIONS_MAX).expect("it fits"))).await;
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that nobody is left who could say stop, which is the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// What is at which address.
pub(crate) fn router(shop: Arc<Shop>) -> Router {
    Router::new()
        .route("/v1/orders", post(orders::create).get(orders::open))
        .route("/v1/orders/{order_id}", get(orders::show))
        .route("/v1/orders/{order_id}/qr.png", get(orders::qr_png))
        .route("/v1/orders/{order_id}/cancel", post(orders::cancel))
        .route("/v1/orders/{order_id}/outcome", post(orders::outcome))
        .route("/midtrans/notifications", post(notifications::take))
        .route("/healthz", get(operators::health))
        .route("/readyz", get(operators::ready))
        .route("/metrics", get(operators::metrics))
        .route("/openapi.json", get(operators::openapi))
        .with_state(Arc::clone(&shop))
        .merge(pay::router(shop))
        .fallback(|| async { Refusal::new(StatusCode::NOT_FOUND).code(Reason::Malformed).detail("there is nothing at this address") })
        .method_not_allowed_fallback(|| async {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED).code(Reason::Malformed).detail("this address does not know this method")
        })
}

/// A refusal on its way to becoming `application/problem+json`.
#[derive(Debug, Clone)]
struct Refusal {
    status: StatusCode,
    code: Option<Reason>,
    detail: Option<String>,
    errors: Vec<FieldError>,
    retry_after_s: Option<u32>,
}

impl Refusal {
    fn new(status: StatusCode) -> Self {
        Self { status, code: None, detail: None, errors: Vec::new(), retry_after_s: None }
    }

    fn code(self, code: Reason) -> Self {
        Self { code: Some(code), ..self }
    }

    fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    fn errors(self, errors: Vec<FieldError>) -> Self {
        Self { errors, ..self }
    }

    fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    /// One wrong field.
    fn field(code: Reason, field: &str, detail: impl Into<Box<str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY).code(code).errors(vec![FieldError { field: field.into(), detail: detail.into() }])
    }

    /// What was asked for is not there.
    fn nothing(detail: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND).code(Reason::UnknownRequest).detail(detail)
    }

    /// The same answer for an order that does not exist and for one of another machine.
    fn no_such_order() -> Self {
        Self::nothing("this machine has no such order")
    }

    /// Midtrans cannot be asked now.
    fn midtrans(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE).code(Reason::Midtrans).detail(detail).retry_after(2)
    }
}

impl From<BooksError> for Refusal {
    fn from(error: BooksError) -> Self {
        match error {
            // What the database says is for the journal.
            BooksError::Store(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE)
                .code(Reason::Store)
                .detail("the books cannot be written or read now")
                .retry_after(2),
            BooksError::Unknown => Self::no_such_order(),
            BooksError::ReusedId => Self::new(StatusCode::CONFLICT).code(Reason::ReusedId).detail(error.to_string()),
            BooksError::ReusedTicket => Self::new(StatusCode::CONFLICT)
                .code(Reason::ReusedId)
                .detail(error.to_string())
                .errors(vec![FieldError { field: "ticket".into(), detail: error.to_string().into() }]),
            BooksError::RateLimited(_) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS).code(Reason::RateLimited).detail(error.to_string()).retry_after(10)
            }
            // A machine reports what a receipt allowed: books that know nothing of it are older than the payment.
            BooksError::Refused(Refused::NotPaid) => Self::new(StatusCode::SERVICE_UNAVAILABLE)
                .code(Reason::Backend)
                .detail("the order is not known to be paid; Midtrans is asked")
                .retry_after(10),
            BooksError::Refused(Refused::OutcomeStands) => Self::new(StatusCode::CONFLICT).code(Reason::ReusedId).detail(error.to_string()),
            // The others are a person's requests, which no machine makes.
            BooksError::Refused(_) => Self::new(StatusCode::CONFLICT).detail(error.to_string()),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = Problem {
            kind: "about:blank".into(),
            title: self.status.canonical_reason().unwrap_or("").into(),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail.map(Into::into),
            errors: self.errors,
        };
        let body = serde_json::to_vec(&problem).expect("plain data");
        let mut response = (self.status, Body::from(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Which machine asks.
async fn device(shop: &Shop, headers: &HeaderMap) -> Result<DeviceId, Refusal> {
    let refused = |why: &'static str| {
        emit(&Journal::TokenRefused { device: None, why: why.into() });
        Refusal::new(StatusCode::UNAUTHORIZED).code(Reason::Backend).detail(why)
    };
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, token)) = token else { return Err(refused("no bearer token")) };
    let hash = devices::hash(token.trim());
    match shop.read(move |tx| devices::by_token(tx, &hash)).await? {
        Some(device) => {
            shop.heard(&device).await;
            Ok(device)
        }
        None => Err(refused("the token is unknown or revoked")),
    }
}

/// The name in a path. One that is not even text names nothing.
struct Named(Box<str>);

impl Named {
    fn as_str(&self) -> &str {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let named = Path::<Box<str>>::from_request_parts(parts, state).await;
        Ok(Self(named.map(|Path(named)| named).unwrap_or_default()))
    }
}

/// Reads a machine's body, which is JSON: one that says to be something else is not even read.
async fn json(request: Request) -> Result<Bytes, Refusal> {
    if let Some(why) = not_json(request.headers()) {
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).code(Reason::Malformed).detail(why));
    }
    body(request, BODY_BYTES_MAX).await
}

/// Why what these headers announce is no JSON. A body that says nothing of itself is taken for JSON.
fn not_json(headers: &HeaderMap) -> Option<&'static str> {
    let says = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?").trim().to_ascii_lowercase());
    let kind = says(header::CONTENT_TYPE);
    let kind = kind.as_deref().and_then(|kind| kind.split(';').next()).map(str::trim_end);
    if kind.is_some_and(|kind| kind != "application/json" && !(kind.starts_with("application/") && kind.ends_with("+json"))) {
        return Some("the body must be application/json");
    }
    says(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity").then_some("the body must not be compressed")
}

/// Reads a body of at most `max` bytes, in time.
async fn body(request: Request, max: usize) -> Result<Bytes, Refusal> {
    let too_large = || Refusal::new(StatusCode::PAYLOAD_TOO_LARGE).code(Reason::TooLarge).detail(format!("at most {max} bytes are read"));
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|announced| announced > DRAIN_MAX as u64) {
        return Err(too_large());
    }
    // A little more than is accepted is read, so that who sent it hears why before the connection ends.
    match timeout(BODY_TIMEOUT, axum::body::to_bytes(request.into_body(), DRAIN_MAX)).await {
        Ok(Ok(bytes)) if bytes.len() <= max => Ok(bytes),
        // Or cut off: nobody is there to read the difference.
        Ok(Ok(_) | Err(_)) => Err(too_large()),
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT).code(Reason::Backend).detail("the body took too long")),
    }
}
