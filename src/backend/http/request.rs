//! What a request says: the name in its path, and its body.

use super::refusal::Refusal;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use hyper::body::Body as _;
use qris_core::order::reason::Reason;
use qris_core::wire::orders::FieldError;
use qris_core::wire::strict::Object;
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::timeout;

const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest body, in bytes. A machine's has under 1 KiB, a notification under 2.
const BODY_BYTES_MAX: usize = 16 << 10;
/// The most bytes of a body that is too large. They are read before it is refused.
const DRAIN_MAX: usize = 128 << 10;

/// The name in a path. A name that is not even text means nothing.
pub(super) struct Named(Box<str>);

impl Named {
    pub(super) fn as_str(&self) -> &str {
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

/// Reads a machine's body, which is JSON. A body that says to be something else is not even read.
pub(super) async fn json(request: Request) -> Result<Vec<u8>, Refusal> {
    if let Some(why) = not_json(request.headers()) {
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).code(Reason::Malformed).detail(why));
    }
    body(request).await
}

/// The fields of a machine's body, and what is wrong with them: every wrong field is named.
pub(super) struct Fields {
    object: Object,
    errors: Vec<FieldError>,
}

impl Fields {
    pub(super) async fn read(request: Request) -> Result<Self, Refusal> {
        let object = Object::read(&json(request).await?, BODY_BYTES_MAX).map_err(|refusal| {
            let field = refusal.field.map(|field| FieldError { field, detail: refusal.detail.clone() });
            malformed(field.into_iter().collect()).detail(refusal.detail.to_string())
        })?;
        Ok(Self { object, errors: Vec::new() })
    }

    pub(super) fn needed<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        self.object.required(name).map_err(|refusal| self.wrong(name, refusal.detail)).ok()
    }

    /// It may be absent or null.
    pub(super) fn maybe<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        self.object.optional(name).map_err(|refusal| self.wrong(name, refusal.detail)).ok().flatten()
    }

    pub(super) fn wrong(&mut self, field: &str, detail: impl Into<Box<str>>) {
        self.errors.push(FieldError { field: field.into(), detail: detail.into() });
    }

    /// What was read, if nothing is wrong.
    pub(super) fn end<T>(self, read: Option<T>) -> Result<T, Refusal> {
        read.filter(|_| self.errors.is_empty()).ok_or_else(|| malformed(self.errors))
    }
}

fn malformed(errors: Vec<FieldError>) -> Refusal {
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY).code(Reason::Malformed).errors(errors)
}

/// Why these headers do not announce JSON. A body without a type is taken for JSON.
fn not_json(headers: &HeaderMap) -> Option<&'static str> {
    let says = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?").trim().to_ascii_lowercase());
    let kind = says(header::CONTENT_TYPE);
    let kind = kind.as_deref().and_then(|kind| kind.split(';').next()).map(str::trim_end);
    if kind.is_some_and(|kind| kind != "application/json" && !(kind.starts_with("application/") && kind.ends_with("+json"))) {
        return Some("the body must be application/json");
    }
    says(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity").then_some("the body must not be compressed")
}

/// Reads a body within its time.
pub(super) async fn body(request: Request) -> Result<Vec<u8>, Refusal> {
    let too_large =
        || Refusal::new(StatusCode::PAYLOAD_TOO_LARGE).code(Reason::TooLarge).detail(format!("at most {BODY_BYTES_MAX} bytes are read"));
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|announced| announced > DRAIN_MAX as u64) {
        return Err(too_large());
    }
    match timeout(BODY_TIMEOUT, read(request.into_body())).await {
        Ok(bytes) => bytes.ok_or_else(too_large),
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT).code(Reason::Backend).detail("the body did not arrive in time")),
    }
}

/// Reads a body to its end. `None`: it is too large, or was cut off. In the second case nobody is there to read the difference.
async fn read(mut body: Body) -> Option<Vec<u8>> {
    let (mut bytes, mut length) = (Vec::new(), 0);
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        length += data.len();
        // A little more than the limit is read and not kept. So the sender hears the reason before the connection ends.
        if length > DRAIN_MAX {
            return None;
        }
        if length <= BODY_BYTES_MAX {
            bytes.extend_from_slice(&data);
        }
    }
    (length <= BODY_BYTES_MAX).then_some(bytes)
}
