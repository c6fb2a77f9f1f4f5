//! The page. Nothing in it comes from elsewhere, and server-sent events keep it live. It shows the words of the programs, the
//! pixels of the panel and the state of the relay lines.

use super::books::{Audit, audit};
use super::captions;
use super::chronicle::{Entry, EntryKind, Network, Who};
use super::door::Door;
use super::language::Language;
use super::layout::{PRODUCTS, Product};
use super::midtrans::{MidtransError, Via};
use super::owner::Owner;
use super::phone::Bill;
use super::site::{CustomersRequest, Server, Site, SiteError};
use super::watch::View;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Json, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::stream::{Stream, unfold};
use qris_core::order::ids::{OrderId, RequestId};
use qris_host::causes::in_one_line;
use qris_host::http::read_limited;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, Write as _};
use std::sync::Arc;
use tokio::sync::watch;

/// Serves the page for ever. First it prints its address on standard output.
pub async fn serve(site: Arc<Site>, door: Door) -> io::Result<()> {
    // Nobody needs to read it: a closed standard output ends nothing.
    let _ = write!(io::stdout(), "{}", door.words(site.owner.as_ref().map(|owner| owner.port)));
    axum::serve(door.listener, router(site)).await
}

/// A customer's page or picture is not larger, in bytes.
const PASSED_MAX: usize = 1024 * 1024;

fn router(site: Arc<Site>) -> Router {
    let mut router = Router::new();
    for Asset { path, content_type, text } in ASSETS {
        router = router.route(path, get(async move || (asset_headers(content_type), text)));
    }
    router
        .route("/products", get(|| async { Json(PRODUCTS) }))
        .route("/events", get(events))
        .route("/screen.png", get(screen))
        .route("/books", get(books))
        .route("/sandbox", get(sandbox))
        .route("/owner", get(owner))
        .route("/picture/{order_id}", get(picture))
        .route("/vend", post(vend))
        .route("/cancel", post(cancel))
        .route("/decline", post(decline))
        .route("/pay", post(pay))
        .route("/fail", post(fail))
        .route("/leave", post(leave))
        .route("/fill", post(fill))
        .route("/power", post(power))
        .route("/network", post(network))
        .route("/language", post(language))
        .route("/pay/{*path}", get(of_backend).post(of_backend))
        .route("/v2/{kind}/{name}/qr-code", get(of_midtrans))
        .route("/gopay/{*path}", get(of_midtrans).post(of_midtrans))
        .with_state(site)
}

struct Asset {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

macro_rules! assets {
    ($($path:literal $content_type:literal $file:literal,)*) => {
        [$(Asset { path: $path, content_type: $content_type, text: include_str!(concat!("page/", $file)) },)*]
    };
}

const ASSETS: [Asset; 14] = assets![
    "/" "text/html; charset=utf-8" "index.html",
    "/page/style.css" "text/css" "style.css",
    "/page/machine.css" "text/css" "machine.css",
    "/page/icon.svg" "image/svg+xml" "icon.svg",
    "/page/main.js" "text/javascript" "main.js",
    "/page/common.js" "text/javascript" "common.js",
    "/page/words.js" "text/javascript" "words.js",
    "/page/machine.js" "text/javascript" "machine.js",
    "/page/phone.js" "text/javascript" "phone.js",
    "/page/owner.js" "text/javascript" "owner.js",
    "/page/links.js" "text/javascript" "links.js",
    "/page/timeline.js" "text/javascript" "timeline.js",
    "/page/story.js" "text/javascript" "story.js",
    "/page/tour.js" "text/javascript" "tour.js",
];

/// Tells the browser to take nothing from anywhere else but the owner's pages, and not to show the page inside another.
const POLICY: &str = "default-src 'self'; frame-src http:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn asset_headers(content_type: &'static str) -> [(header::HeaderName, &'static str); 4] {
    [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ]
}

/// Why a button did nothing. The page shows it.
struct PageRefusal(StatusCode, String);

impl IntoResponse for PageRefusal {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

impl From<SiteError> for PageRefusal {
    fn from(error: SiteError) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl From<MidtransError> for PageRefusal {
    fn from(error: MidtransError) -> Self {
        match error {
            // The code of the reason: the page says the rest.
            MidtransError::Refused(why) => Self(StatusCode::CONFLICT, why),
            error => Self(StatusCode::BAD_GATEWAY, error.to_string()),
        }
    }
}

async fn screen(State(site): State<Arc<Site>>) -> Result<Response, PageRefusal> {
    let unreadable =
        |error: &dyn std::error::Error| PageRefusal(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot read the panel: {error}"));
    let frame = site.panel.frame().map_err(|error| unreadable(&error))?;
    let png = frame.png().map_err(|error| unreadable(&error))?;
    Ok(([(header::CONTENT_TYPE, "image/png"), (header::CACHE_CONTROL, "no-store")], png).into_response())
}

/// Whether the money is in Midtrans' sandbox.
async fn sandbox(State(site): State<Arc<Site>>) -> Json<bool> {
    Json(site.sandbox.is_some())
}

#[derive(Deserialize)]
struct OwnerQuery {
    language: Option<Language>,
}

/// The port of the owner's pages, at this address, and what makes this browser her phone, in this page's language. `null`: there are none.
async fn owner(State(site): State<Arc<Site>>, Query(wanted): Query<OwnerQuery>) -> Response {
    let Some(owner) = &site.owner else { return Json(None::<u16>).into_response() };
    match owner.cookie().await {
        Ok(cookie) => {
            let cookies = [Some(cookie), wanted.language.map(Owner::language)].into_iter().flatten();
            (AppendHeaders(cookies.map(|cookie| (header::SET_COOKIE, cookie))), Json(Some(owner.port))).into_response()
        }
        // The page is of use without her, and asks again when it turns to her.
        Err(error) => {
            site.watched.chronicle.note(Who::Demo, format!("the owner's phone: {}", in_one_line(&error)), EntryKind::Log);
            Json(Some(owner.port)).into_response()
        }
    }
}

/// The address to give to Midtrans' simulator.
async fn picture(State(site): State<Arc<Site>>, Path(order_id): Path<String>) -> Result<String, PageRefusal> {
    let missing = || PageRefusal(StatusCode::NOT_FOUND, "no such order in the sandbox".into());
    let order_id = OrderId::new(&order_id).map_err(|_| missing())?;
    site.picture(&order_id)?.ok_or_else(missing)
}

async fn books(State(site): State<Arc<Site>>) -> Result<Json<Audit>, PageRefusal> {
    Ok(Json(audit(&site, false).await?))
}

async fn of_backend(State(site): State<Arc<Site>>, request: Request) -> Result<Response, PageRefusal> {
    passed_on(&site, Server::Backend, request).await
}

async fn of_midtrans(State(site): State<Arc<Site>>, request: Request) -> Result<Response, PageRefusal> {
    passed_on(&site, Server::Midtrans, request).await
}

/// The headers that mean something to those servers, and those of their answers that concern one connection only.
const ASKED: [header::HeaderName; 3] = [header::ACCEPT_LANGUAGE, header::CONTENT_TYPE, header::IF_NONE_MATCH];
const OF_CONNECTION: [header::HeaderName; 3] = [header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING];

/// A customer's phone reaches only the page: what backend and Midtrans have for it goes through here. In a page of theirs Midtrans' address
/// becomes the one at which the phone asks.
async fn passed_on(site: &Site, server: Server, request: Request) -> Result<Response, PageRefusal> {
    let away = |error: &dyn std::error::Error| PageRefusal(StatusCode::BAD_GATEWAY, error.to_string());
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().cloned().ok_or_else(|| PageRefusal(StatusCode::NOT_FOUND, "no such page".into()))?;
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let (midtrans, here) = (site.root_of(Server::Midtrans), format!("http://{host}"));
    let headers = ASKED.into_iter().filter_map(|name| Some((name.clone(), parts.headers.get(name)?.clone()))).collect();
    let body = to_bytes(body, PASSED_MAX).await.map_err(|error| away(&error))?;
    let asked = CustomersRequest { method: parts.method, path, headers, body };
    let answer = site.pass_on(server, asked).await.map_err(|error| away(&error))?;
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    OF_CONNECTION.iter().for_each(|name| drop(headers.remove(name)));
    let policy = headers.get(header::CONTENT_SECURITY_POLICY).and_then(|policy| policy.to_str().ok());
    if let Some(Ok(policy)) = policy.map(|policy| policy.replace(&midtrans, &here).parse()) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    let is_page = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let body = read_limited(answer, PASSED_MAX).await.map_err(|error| away(&error))?;
    let body = if is_page { String::from_utf8_lossy(&body).replace(&midtrans, &here).into() } else { Body::from(body) };
    Ok((status, headers, body).into_response())
}

#[derive(Deserialize)]
struct Pressed {
    item: Box<str>,
}

#[derive(Serialize)]
struct Requested {
    request_id: RequestId,
}

impl Pressed {
    fn product(&self) -> Result<&'static Product, PageRefusal> {
        let product = PRODUCTS.iter().find(|product: &&Product| product.id == &*self.item);
        product.ok_or_else(|| PageRefusal(StatusCode::NOT_FOUND, "no such product".into()))
    }
}

async fn vend(State(site): State<Arc<Site>>, Json(pressed): Json<Pressed>) -> Result<Json<Requested>, PageRefusal> {
    Ok(Json(Requested { request_id: site.request(pressed.product()?, None).await? }))
}

async fn fill(State(site): State<Arc<Site>>, Json(pressed): Json<Pressed>) -> Result<StatusCode, PageRefusal> {
    site.fill(pressed.product()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Cancelled {
    request_id: RequestId,
}

async fn cancel(State(site): State<Arc<Site>>, Json(cancelled): Json<Cancelled>) -> Result<StatusCode, PageRefusal> {
    site.cancel(&cancelled.request_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn decline(State(site): State<Arc<Site>>) -> Result<StatusCode, PageRefusal> {
    site.decline().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The bill that the phone has read, maybe a while ago. The page keeps it as a photo.
#[derive(Deserialize)]
struct Photo {
    payload: String,
    merchant: String,
    amount: qris_core::order::money::Rupiah,
}

impl From<Photo> for Bill {
    fn from(photo: Photo) -> Self {
        Self { payload: photo.payload, merchant: photo.merchant, amount: photo.amount }
    }
}

#[derive(Deserialize)]
struct Payment {
    bill: Photo,
    via: Via,
    /// Was it under way when the charge was cancelled?
    under_way: bool,
}

async fn pay(State(site): State<Arc<Site>>, Json(payment): Json<Payment>) -> Result<StatusCode, PageRefusal> {
    let bill = Bill::from(payment.bill);
    let deed = match (payment.via, payment.under_way) {
        (_, true) => captions::paid_before_the_cancel(bill.amount),
        (Via::Gopay, false) => captions::pays_with_gopay(bill.amount),
        (Via::Qris, false) => captions::pays_with_qris(bill.amount),
    };
    let chronicle = &site.watched.chronicle;
    chronicle.arrow(Who::Customer, Who::Midtrans, deed, EntryKind::Deed);
    let midtrans = site.simulated()?;
    let result = if payment.under_way { midtrans.pay_under_way(&bill, payment.via).await } else { midtrans.pay(&bill, payment.via).await };
    let text = match &result {
        Ok(()) => captions::paid(),
        Err(error) => in_both_languages(error),
    };
    chronicle.arrow(Who::Midtrans, Who::Customer, text, EntryKind::Payment { paid: result.is_ok() });
    Ok(result.map(|()| StatusCode::NO_CONTENT)?)
}

fn in_both_languages(error: &MidtransError) -> captions::Bilingual {
    match error {
        MidtransError::Refused(why) => captions::payment_refused(why),
        error => error.into(),
    }
}

async fn fail(State(site): State<Arc<Site>>, Json(photo): Json<Photo>) -> Result<StatusCode, PageRefusal> {
    let chronicle = &site.watched.chronicle;
    chronicle.arrow(Who::Customer, Who::Midtrans, captions::wrong_pin(), EntryKind::Deed);
    let result = site.simulated()?.fail(&photo.into()).await;
    let text = match &result {
        Ok(()) => captions::nothing_paid(),
        Err(error) => in_both_languages(error),
    };
    chronicle.arrow(Who::Midtrans, Who::Customer, text, EntryKind::Payment { paid: false });
    Ok(result.map(|()| StatusCode::NO_CONTENT)?)
}

async fn leave(State(site): State<Arc<Site>>) -> StatusCode {
    site.watched.chronicle.note(Who::Customer, captions::walks_away(), EntryKind::Leave);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct Plug {
    on: bool,
}

async fn power(State(site): State<Arc<Site>>, Json(plug): Json<Plug>) -> Result<StatusCode, PageRefusal> {
    if plug.on {
        site.restore_power().await?
    } else {
        site.cut_power().await?
    }
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Flip {
    network: Network,
    up: bool,
}

async fn network(State(site): State<Arc<Site>>, Json(flip): Json<Flip>) -> StatusCode {
    site.switch(flip.network, flip.up);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct Spoken {
    language: Language,
}

/// The page is read in this language; the machine's screen follows.
async fn language(State(site): State<Arc<Site>>, Json(spoken): Json<Spoken>) -> StatusCode {
    site.speak(spoken.language);
    StatusCode::NO_CONTENT
}

/// The first event of a stream.
#[derive(Serialize)]
struct Hello {
    /// Entries from this number on are news. Those before it were there already.
    news_from: u64,
    /// The chronicle's time now, in milliseconds.
    now_ms: i64,
}

/// `hello` comes first. `view` events tell the present state. `entry` events tell what happened, from the oldest kept entry on.
async fn events(State(site): State<Arc<Site>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let feed = Feed {
        view: site.watched.view.subscribe(),
        news: site.watched.chronicle.subscribe(),
        greeted: false,
        shown: None,
        next: 0,
        ready: VecDeque::new(),
        site,
    };
    Sse::new(unfold(feed, async |mut feed| feed.next().await.map(|event| (Ok(event), feed)))).keep_alive(KeepAlive::default())
}

/// One browser's stream.
struct Feed {
    site: Arc<Site>,
    view: watch::Receiver<View>,
    news: watch::Receiver<u64>,
    greeted: bool,
    shown: Option<View>,
    next: u64,
    ready: VecDeque<Arc<Entry>>,
}

impl Feed {
    async fn next(&mut self) -> Option<Event> {
        if !self.greeted {
            self.greeted = true;
            let chronicle = &self.site.watched.chronicle;
            return message("hello", &Hello { news_from: chronicle.mark(), now_ms: chronicle.now_ms() });
        }
        loop {
            let view = self.view.borrow_and_update().clone();
            if self.shown.as_ref() != Some(&view) {
                let event = message("view", &view);
                self.shown = Some(view);
                return event;
            }
            self.news.mark_unchanged();
            if self.ready.is_empty() {
                self.ready.extend(self.site.watched.chronicle.since(self.next));
            }
            if let Some(entry) = self.ready.pop_front() {
                self.next = entry.n + 1;
                return message("entry", &*entry);
            }
            // An error says that the demo ends.
            let changed = tokio::select! {
                changed = self.view.changed() => changed,
                changed = self.news.changed() => changed,
            };
            changed.ok()?;
        }
    }
}

fn message(name: &str, what: &impl Serialize) -> Option<Event> {
    Event::default().event(name).json_data(what).ok()
}
