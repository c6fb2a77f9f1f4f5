//! The customer's page on a phone. A visitor who knows an order_id, which nobody can guess, sees amount, item and
//! state. Only who has the address that the machine showed sees a payment code and the link to the app, too, and may ask for another try at what did not come. Nothing
//! else here changes an order, whatever the address says.

mod draw;
mod words;

pub(crate) use draw::rendered;

use super::handles::Handles;
use super::limit::Pace;
use super::orders;
use super::request::Named;
use crate::page_key;
use crate::sale::books::{self, BooksError, Stored};
use crate::sale::handle::Books;
use crate::sale::view::{Shop, customer};
use crate::sale::work::Work;
use crate::store::Tx;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequestParts, RawQuery, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use draw::{Finish, Sheet};
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::NoTry;
use qris_core::order::tries::TwoDigits;
use qris_host::clock;
use qris_host::connections::{Caller, network};
use qris_host::surroundings::Surroundings;
use ring::digest::{SHA256, digest};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, LazyLock};
use subtle::ConstantTimeEq as _;
use words::Words;

/// The wait in seconds for a visitor who asks too often, or while the books cannot be read.
const AGAIN_S: u32 = 5;

/// The largest form that is read: two digits, and what a browser may put around them.
const FORM_BYTES_MAX: usize = 256;

/// The page's part of the server.
#[derive(Debug)]
struct Window {
    around: Arc<dyn Surroundings>,
    books: Arc<Books>,
    work: Arc<Work>,
    place: Arc<Shop>,
    pace: Arc<Pace>,
}

/// `/pay/{order_id}` and `/pay/{order_id}/finish`, and `/` for whom types the address alone.
pub fn router(handles: &Handles) -> Router {
    let Handles { around, books, work, place, pace, .. } = handles.clone();
    let window = Arc::new(Window { around, books, work, place, pace });
    Router::new()
        .route("/pay/{order_id}", get(page).post(want).layer(DefaultBodyLimit::max(FORM_BYTES_MAX)))
        .route("/pay/{order_id}/finish", get(finish))
        .route("/", get(nothing))
        .with_state(window)
}

/// `GET /pay/{order_id}`
async fn page(State(window): State<Arc<Window>>, visitor: Visitor, id: Named, RawQuery(query): RawQuery) -> Response {
    answer(&window, &visitor, &id, &Query(query.unwrap_or_default()), None).await
}

/// `POST /pay/{order_id}?key=…`: the customer stands at the machine, and wants another try; or, with `want=money`, the money; or, with
/// `want=number` and the form's `number=07`, tells the number that the machine shows. Without the key nothing happens. The answer is the
/// page again.
async fn want(
    State(window): State<Arc<Window>>,
    visitor: Visitor,
    id: Named,
    RawQuery(query): RawQuery,
    form: Result<Bytes, BytesRejection>,
) -> Response {
    let query = Query(query.unwrap_or_default());
    let words = visitor.words(&query);
    let Ok(id) = OrderId::new(id.as_str()) else { return not_found(&window.place, words) };
    if !window.pace.take(&id, visitor.address, clock::now().boot) {
        return not_now(StatusCode::TOO_MANY_REQUESTS, &window.place, words);
    }
    let said = query.value("key").unwrap_or_default().to_owned();
    let (of, key) = (id.clone(), said.clone());
    let wish = match query.value("want") {
        Some("money") => Wish::Money,
        // The digits come in the body: addresses are kept in logs.
        Some("number") => Wish::Told(form.ok().and_then(|form| told(&form))),
        Some(_) | None => Wish::Try(window.around.two_digits()),
    };
    let wished = window.books.write(move |tx, policy, now| {
        let stored = books::load(tx, &of)?.ok_or(BooksError::Unknown)?;
        if !bool::from(page_key::of(&stored.order).as_bytes().ct_eq(key.as_bytes())) {
            return Err(BooksError::Unknown);
        }
        match wish {
            Wish::Money => books::want_money(tx, policy, &of, now),
            Wish::Try(drawn) => books::want_try(tx, policy, &of, None, drawn, now),
            Wish::Told(Some(number)) => books::tell_number(tx, policy, &of, None, number, now),
            Wish::Told(None) => Err(NoTry::WrongNumber.into()),
        }
    });
    match wished.await {
        Ok(done) => window.work.announce(&done),
        // The page says what is.
        Err(BooksError::NoTry(_)) => {}
        Err(BooksError::Unknown) => return not_found(&window.place, words),
        Err(_) => return not_now(StatusCode::SERVICE_UNAVAILABLE, &window.place, words),
    }
    let to = format!("{id}?key={said}&lang={}", words.language);
    (StatusCode::SEE_OTHER, [(header::LOCATION, to), (header::CACHE_CONTROL, "no-store".into())]).into_response()
}

/// What a customer wants of the page.
enum Wish {
    Money,
    /// Another try; the machine shows this number.
    Try(TwoDigits),
    /// The number was told; `None`: it is not two digits.
    Told(Option<TwoDigits>),
}

/// The digits of the form. Blanks around them are nobody's fault.
fn told(form: &[u8]) -> Option<TwoDigits> {
    let value = std::str::from_utf8(form).ok()?.strip_prefix("number=")?;
    value.trim_matches('+').parse().ok()
}

/// `GET /pay/{order_id}/finish`: GoPay sends the customer back to this page. The words in its address are not believed.
async fn finish(State(window): State<Arc<Window>>, visitor: Visitor, id: Named, RawQuery(query): RawQuery) -> Response {
    let query = Query(query.unwrap_or_default());
    let finish = match query.value("result") {
        Some("success") => Finish::Success,
        Some("failure") => Finish::Failure,
        Some(_) | None => Finish::Unsaid,
    };
    answer(&window, &visitor, &id, &query, Some(finish)).await
}

/// `GET /`
async fn nothing(State(window): State<Arc<Window>>, visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let words = visitor.words(&Query(query.unwrap_or_default()));
    let html = draw::without_order(words.no_order, words.no_order_hint, &window.place, words, None);
    shown(StatusCode::OK, html, &policy("'none'"), words)
}

struct Visitor {
    headers: HeaderMap,
    address: IpAddr,
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // Only what came over a connection has an address.
        let address =
            parts.extensions.get::<Arc<Caller>>().map_or(Ipv6Addr::UNSPECIFIED.into(), |caller| network(caller.address(&parts.headers)));
        Ok(Self { headers: parts.headers.clone(), address })
    }
}

/// The part of an address behind `?`. Only words without any escape mean something here. The rest is ignored. GoPay puts its own words behind
/// the address that it was given, perhaps with another `?`.
struct Query(String);

impl Query {
    fn value(&self, name: &str) -> Option<&str> {
        self.0.split(['&', '?']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}

impl Visitor {
    /// In the language that the visitor reads.
    fn words(&self, query: &Query) -> &'static Words {
        let accept = self.headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or("");
        words::choose(query.value("lang"), accept)
    }
}

async fn answer(window: &Window, visitor: &Visitor, id: &Named, query: &Query, finish: Option<Finish>) -> Response {
    let (Visitor { headers, address }, words) = (visitor, visitor.words(query));
    let Ok(id) = OrderId::new(id.as_str()) else { return not_found(&window.place, words) };
    if !window.pace.take(&id, *address, clock::now().boot) {
        return not_now(StatusCode::TOO_MANY_REQUESTS, &window.place, words);
    }
    let (policy, now) = (window.books.policy(), window.books.now());
    let read = move |tx: &mut dyn Tx| {
        let Some(stored) = books::load(tx, &id)? else { return Ok(None) };
        let can = Can {
            begin_a_try: match books::may_want_try(tx, &policy, &stored.order, None, now) {
                Ok(()) => Ok(()),
                Err(BooksError::NoTry(why)) => Err(why),
                Err(error) => return Err(error),
            },
            have_the_money: books::gives_back_on_a_wish(tx, &policy, &stored.order, now)?,
        };
        Ok(Some((stored, can)))
    };
    match window.books.read(read).await {
        Ok(Some((stored, can))) => {
            window.pace.is_there(&stored.order.id);
            draw(&stored, can, window, headers, query, words, finish)
        }
        Ok(None) => not_found(&window.place, words),
        Err(_) => not_now(StatusCode::SERVICE_UNAVAILABLE, &window.place, words),
    }
}

#[derive(Clone, Copy)]
struct Can {
    /// The machine has not had all its other tries of 24 hours, and the customer has not told too many wrong numbers.
    begin_a_try: Result<(), NoTry>,
    /// The backend gives the money back at once.
    have_the_money: bool,
}

/// The page. One that was seen before is not sent again. The phone asks for it every few seconds, over mobile data.
fn draw(
    stored: &Stored,
    can: Can,
    window: &Window,
    headers: &HeaderMap,
    query: &Query,
    words: &'static Words,
    finish: Option<Finish>,
) -> Response {
    let (order, place, now) = (&stored.order, &window.place, window.books.now());
    let said = query.value("key").unwrap_or_default();
    let key = Some(page_key::of(order)).filter(|key| bool::from(key.as_bytes().ct_eq(said.as_bytes())));
    let known = customer::order(order, key.is_some(), now);
    let page = key.as_ref().map_or_else(|| order.id.to_string(), |key| format!("{}?key={key}", order.id));
    let page = if finish.is_some() { format!("../{page}") } else { page };
    let hotlinked = known.qr_url.as_deref().and_then(|url| Some((url.to_owned(), origin(url)?)));
    // A charge with the QR's text and without a picture of it gets our picture.
    let qr = hotlinked.or_else(|| {
        let png = orders::draw(known.qr_payload.as_deref()?)?;
        Some((format!("data:image/png;base64,{}", BASE64.encode(png)), "data:".into()))
    });
    let other = words.other().language;
    let result = match finish {
        Some(Finish::Success) => "result=success&",
        Some(Finish::Failure) => "result=failure&",
        None | Some(Finish::Unsaid) => "",
    };
    let kept = key.as_ref().map(|key| format!("key={key}&")).unwrap_or_default();
    let other_language = format!("?{kept}{result}lang={other}");
    let mut sheet = Sheet {
        order: &known,
        sandbox: place.sandbox,
        zone: place.zone,
        merchant: place.merchant.as_deref().or(known.paid_to.as_deref()),
        left: None,
        qr_url: qr.as_ref().map(|(url, _)| url.as_str()),
        contact: place.contact.as_deref(),
        finish,
        other_language: &other_language,
        page: &page,
        try_can_begin: can.begin_a_try,
        gives_back: key.is_some() && can.have_the_money,
        tag: "",
    };
    // The time that is left is no news.
    let tag = format!("\"{}\"", BASE64.encode(&digest(&SHA256, draw::page(&sheet, words).as_bytes()).as_ref()[..15]));
    let seen = headers.get(header::IF_NONE_MATCH).is_some_and(|seen| seen.as_bytes() == tag.as_bytes());
    let mut response = if seen {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        (sheet.left, sheet.tag) = (known.until.and_then(|at| now.until(at)), &tag);
        shown(StatusCode::OK, draw::page(&sheet, words), &policy(qr.as_ref().map_or("'none'", |(_, origin)| origin)), words)
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Scheme, host and port of the picture's address, if it has a plain one: they stand in a header.
fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://").filter(|(scheme, _)| ["https", "http"].contains(scheme))?;
    let host = rest.split(['/', '?', '#']).next()?;
    let is_plain = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
    is_plain.then(|| format!("{scheme}://{host}"))
}

/// The rights of the page: its own style and script, its own news, one source of pictures.
fn policy(pictures: &str) -> String {
    static OURS: LazyLock<[String; 2]> =
        LazyLock::new(|| [draw::STYLE, draw::SCRIPT].map(|text| format!("'sha256-{}'", BASE64.encode(digest(&SHA256, text.as_bytes())))));
    let [style, script] = &*OURS;
    format!(
        "default-src 'none'; img-src {pictures}; style-src {style}; script-src {script}; connect-src 'self'; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'"
    )
}

fn not_found(place: &Shop, words: &Words) -> Response {
    let html = draw::without_order(words.not_found, words.not_found_hint, place, words, None);
    shown(StatusCode::NOT_FOUND, html, &policy("'none'"), words)
}

fn not_now(status: StatusCode, place: &Shop, words: &Words) -> Response {
    let html = draw::without_order(words.not_now, words.not_now_hint, place, words, Some(AGAIN_S));
    let mut response = shown(status, html, &policy("'none'"), words);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(AGAIN_S));
    response
}

fn shown(status: StatusCode, html: String, policy: &str, words: &Words) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_LANGUAGE, words.language),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "Accept-Language"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let mut response = (status, headers, html).into_response();
    response.headers_mut().insert("x-robots-tag", HeaderValue::from_static("noindex, nofollow"));
    if let Ok(policy) = HeaderValue::from_str(policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_come_from_one_plain_place() {
        for (url, expected) in [
            ("https://api.sandbox.midtrans.com/v2/gopay/x/qr-code", Some("https://api.sandbox.midtrans.com")),
            ("http://127.0.0.1:8080/v2/qr", Some("http://127.0.0.1:8080")),
            ("https://[::1]:1/x", Some("https://[::1]:1")),
            ("https://host", Some("https://host")),
            ("javascript:alert(1)", None),
            ("data:image/png;base64,AA", None),
            ("https://evil; script-src *//", None),
            ("https://user@host/x", None),
            ("https:///x", None),
        ] {
            assert_eq!(origin(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn wrong_parameters_mean_nothing() {
        let value = |query: &str, name: &str| Query(query.into()).value(name).map(str::to_owned);
        assert_eq!(value("order_id=x&result=success", "result").as_deref(), Some("success"));
        assert_eq!(value("result=failure&result=success", "result").as_deref(), Some("failure"));
        for joined in ["key=K&order_id=x&result=success", "key=K?order_id=x&result=success"] {
            assert_eq!((value(joined, "key").as_deref(), value(joined, "result").as_deref()), (Some("K"), Some("success")), "{joined}");
        }
        for query in ["", "&&&", "results=success", "result", "xresult=success", "%ff=%", "result%3Dsuccess"] {
            assert_eq!(value(query, "result"), None, "{query}");
        }
    }
}
