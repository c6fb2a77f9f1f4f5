//! The HTTP server: routes, the owner of a request, bodies, problems. A reverse proxy does TLS.

mod connections;
mod enrolment;
mod limit;
mod notifications;
mod operators;
mod orders;
mod pay;

pub use connections::{Limits, listen, serve};
pub use operators::OPENAPI;
pub(crate) use pay::escape;

use crate::counters::Counters;
use crate::gateway::{Gateway, WatchedGateway};
use crate::machines::devices;
use crate::machines::handle::Machines;
use crate::machines::token;
use crate::machines::twins::{self, Sight};
use crate::sale::books::BooksError;
use crate::sale::handle::Books;
use crate::sale::view::Place;
use crate::sale::waiters::Waiters;
use crate::sale::work::Work;
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRef, FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::map_response_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use connections::Caller;
use hyper::body::Body as _;
use qris_core::order::ids::{DeviceId, OrderId};
use qris_core::order::merchant::Refused;
use qris_core::order::reason::Reason;
use qris_core::wire::invitation;
use qris_core::wire::orders::{BOOT, FieldError, NEWEST_EVENT, PROBLEM_TYPE, Problem};
use qris_host::events::Event as Journal;
use qris_host::surroundings::Surroundings;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// A body must come within this time.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest body, in bytes. A machine's has under 1 KiB, a notification under 2.
const BODY_BYTES_MAX: usize = 16 << 10;
/// The longest `boot_id` or `event_id`, in bytes. A `boot_id` of Linux has 36, an `event_id` at most 53.
const SHOWN_MAX: usize = 64;
/// The most bytes of a body that is too large. They are read before it is refused.
const DRAIN_MAX: usize = 128 << 10;

/// The handles of the running backend. The router gives each handler those that it needs.
#[derive(Debug, Clone)]
pub struct Handles {
    /// Clock, randomness and journal.
    pub around: Arc<dyn Surroundings>,
    /// The books.
    pub books: Arc<Books>,
    /// The work on them.
    pub work: Arc<Work>,
    /// Those who wait for its news.
    pub waiters: Arc<Waiters>,
    /// The gateway.
    pub gateway: Arc<WatchedGateway>,
    /// The machines.
    pub machines: Arc<Machines>,
    /// What is counted for operators.
    pub counters: Arc<Counters>,
    /// Where customers find this backend.
    pub place: Arc<Place>,
}

impl Handles {
    /// Puts books, machines and gateway together.
    #[must_use]
    pub fn new(around: Arc<dyn Surroundings>, books: Arc<Books>, machines: Machines, gateway: Arc<dyn Gateway>, place: Place) -> Self {
        let (waiters, counters) = (Arc::<Waiters>::default(), Arc::<Counters>::default());
        let gateway = Arc::new(WatchedGateway::new(gateway, Arc::clone(&around)));
        let (of, to) = (Arc::clone(&books), Arc::clone(&gateway));
        let work = Arc::new(Work::new(of, to, Arc::clone(&waiters), Arc::clone(&counters), Arc::clone(&around)));
        Self { around, books, work, waiters, gateway, machines: Arc::new(machines), counters, place: Arc::new(place) }
    }
}

/// A handler may ask for this handle.
macro_rules! given {
    ($($handle:ident: $kind:ty),+ $(,)?) => {
        $(impl FromRef<Handles> for Arc<$kind> {
            fn from_ref(handles: &Handles) -> Self {
                Arc::clone(&handles.$handle)
            }
        })+
    };
}

given! {
    around: dyn Surroundings, books: Books, work: Work, gateway: WatchedGateway, machines: Machines, counters: Counters, place: Place,
}

/// The handler of each address.
pub fn router(handles: &Handles) -> Router {
    Router::new()
        .route("/v1/orders", post(orders::create).get(orders::open))
        .route("/v1/orders/{order_id}", get(orders::show))
        .route("/v1/orders/{order_id}/qr.png", get(orders::qr_png))
        .route("/v1/orders/{order_id}/cancel", post(orders::cancel))
        .route("/v1/orders/{order_id}/outcome", post(orders::outcome))
        .route(invitation::PATH, post(enrolment::claim))
        .route(&format!("/{}/notifications", handles.gateway.name()), post(notifications::take))
        .route("/healthz", get(operators::health))
        .route("/readyz", get(operators::ready))
        .route("/metrics", get(operators::metrics))
        .route("/openapi.json", get(operators::openapi))
        .with_state(handles.clone())
        .merge(pay::router(Arc::clone(&handles.books), Arc::clone(&handles.place)))
        .fallback(|| async { Refusal::new(StatusCode::NOT_FOUND).code(Reason::Malformed).detail("there is nothing at this address") })
        .method_not_allowed_fallback(|| async {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED).code(Reason::Malformed).detail("this address does not support this method")
        })
        .layer(map_response_with_state(Arc::clone(&handles.around), dated))
}

/// Machines compare their clocks with this. The header of hyper stands still while a clock that was ahead has been set back.
async fn dated(State(around): State<Arc<dyn Surroundings>>, mut response: Response) -> Response {
    if let Ok(date) = HeaderValue::from_str(&around.now().to_http_date()) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// A refusal that will become `application/problem+json`.
#[derive(Debug, Clone)]
struct Refusal {
    status: StatusCode,
    code: Option<Reason>,
    order_id: Option<OrderId>,
    detail: Option<String>,
    errors: Vec<FieldError>,
    retry_after_s: Option<u32>,
}

impl Refusal {
    fn new(status: StatusCode) -> Self {
        Self { status, code: None, order_id: None, detail: None, errors: Vec::new(), retry_after_s: None }
    }

    fn code(self, code: Reason) -> Self {
        Self { code: Some(code), ..self }
    }

    /// The order that it is about. A machine believes nothing about an order that an answer does not name.
    fn about(self, id: &OrderId) -> Self {
        Self { order_id: Some(id.clone()), ..self }
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

    /// The thing that was asked for is not there.
    fn nothing(detail: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND).code(Reason::UnknownRequest).detail(detail)
    }

    /// The same answer for an order that does not exist and for one of another machine.
    fn no_such_order() -> Self {
        Self::nothing("this machine has no such order")
    }

    /// A machine does too much at once.
    fn too_many(detail: &str) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS).code(Reason::RateLimited).detail(detail).retry_after(5)
    }

    /// The gateway cannot be asked now.
    fn gateway(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE).code(Reason::Gateway).detail(detail).retry_after(2)
    }
}

impl From<BooksError> for Refusal {
    fn from(error: BooksError) -> Self {
        match error {
            // The database's reason is for the journal.
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
            BooksError::Full => Self::new(StatusCode::SERVICE_UNAVAILABLE).code(Reason::Store).detail(error.to_string()).retry_after(60),
            BooksError::RateLimited(_) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS).code(Reason::RateLimited).detail(error.to_string()).retry_after(10)
            }
            // A machine reports what a receipt allowed. If the books do not know the payment, they are older than it.
            BooksError::Refused(Refused::NotPaid) => Self::new(StatusCode::SERVICE_UNAVAILABLE)
                .code(Reason::Backend)
                .detail("the order is not known to be paid; the gateway is asked")
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
            order_id: self.order_id,
            detail: self.detail.map(Into::into),
            errors: self.errors,
        };
        let body = serde_json::to_vec(&problem).expect("plain data");
        let mut response = (self.status, Body::from(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_TYPE));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The machine that asks, and what its call shows of its computer. From now on its connection counts as a machine's.
struct Machine {
    device: DeviceId,
    sight: Sight,
    token_hash: String,
}

impl FromRequestParts<Handles> for Machine {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, handles: &Handles) -> Result<Self, Refusal> {
        let machines = &handles.machines;
        // Only what came over a connection has one.
        let caller = parts.extensions.get::<Caller>();
        let sight = sight(&parts.headers, caller);
        let Known { device, token_hash, is_news } = device(&*handles.around, machines, &parts.headers, &sight).await?;
        if let Some(caller) = caller {
            caller.is(&device);
        }
        if is_news {
            machines.seen(&device, sight.clone()).await;
        }
        machines.called(&device);
        Ok(Self { device, sight, token_hash })
    }
}

/// What a call shows of its computer. A header of another form is of a later release.
fn sight(headers: &HeaderMap, caller: Option<&Caller>) -> Sight {
    let shown = |name| headers.get(name).and_then(|value| value.to_str().ok()).filter(|value: &&str| value.len() <= SHOWN_MAX);
    let event = shown(NEWEST_EVENT).and_then(|event| event.rsplit_once('.'));
    Sight {
        boot: shown(BOOT).map(Box::from),
        event: event.and_then(|(stream, seq)| Some((stream.into(), seq.parse().ok()?))),
        is_ledger_old: false,
        address: caller.map_or_else(|| "an unknown address".into(), |caller| caller.address(headers).to_string().into()),
    }
}

/// A machine that is let in.
struct Known {
    device: DeviceId,
    token_hash: String,
    /// The call shows something new of its computer.
    is_news: bool,
}

/// The machine of the token.
async fn device(around: &dyn Surroundings, machines: &Machines, headers: &HeaderMap, sight: &Sight) -> Result<Known, Refusal> {
    let refused = |why: &'static str| {
        around.emit(&Journal::TokenRefused { device: None, why: why.into() });
        Refusal::new(StatusCode::UNAUTHORIZED).code(Reason::Backend).detail(why)
    };
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, token)) = token else { return Err(refused("no bearer token")) };
    let token_hash = token::hash(token.trim());
    let (wanted, sight, now) = (token_hash.clone(), sight.clone(), machines.now());
    let found = machines.read(move |tx| {
        let Some(device) = devices::by_token(tx, &wanted)? else { return Ok(None) };
        // A machine is let in also if this cannot be read.
        let is_news = twins::is_news(tx, &device, &sight, now).unwrap_or(false);
        Ok(Some((device, is_news)))
    });
    let (device, is_news) = found.await?.ok_or_else(|| refused("the token is unknown or revoked"))?;
    Ok(Known { device, token_hash, is_news })
}

/// The name in a path. A name that is not even text means nothing.
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

/// Reads a machine's body, which is JSON. A body that says to be something else is not even read.
async fn json(request: Request) -> Result<Vec<u8>, Refusal> {
    if let Some(why) = not_json(request.headers()) {
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).code(Reason::Malformed).detail(why));
    }
    body(request).await
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
async fn body(request: Request) -> Result<Vec<u8>, Refusal> {
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
