//! Who asks: the language, the cookies, the address. And what an answer carries back.

use crate::Desk;
use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use qris_core::hex;
use qris_core::wire::desk::Door;
use qris_host::connections::Caller;
use qris_host::events::Event;
use qris_host::journal::emit;
use qris_host::random;
use qris_host::speech::{Language, accepted};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// The names of our cookies.
const SESSION: &str = "desk";
const DEVICE: &str = "desk-device";
/// The cookie of somebody who is not logged in yet: what the tokens of those forms are made from.
const VISIT: &str = "desk-visit";
const LANGUAGE: &str = "desk-language";
/// A device, and a language, are kept for a year.
const YEAR_S: u64 = 365 * 24 * 3600;
/// The longest value of a cookie, and the longest address, that means something here.
const LENGTH_MAX: usize = 512;

#[derive(Debug)]
pub struct Visitor {
    pub language: Language,
    pub session: Option<Box<str>>,
    pub device: Option<Box<str>>,
    /// As the web server in front says it.
    pub from: IpAddr,
    /// The kind of browser, for the list of sessions.
    pub browser: String,
    /// The address that was asked for, with its question.
    pub here: String,
    pub is_get: bool,
    /// By which listener it came.
    pub door: Door,
    visit: Box<str>,
    is_new: bool,
    /// The merchant's name, as `serve` has told it last.
    pub merchant: Option<Box<str>>,
    /// What the names of our cookies begin with.
    prefix: Box<str>,
}

/// An answer that ends the work on a request early.
pub struct Halt(Box<Response>);

impl From<Response> for Halt {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl IntoResponse for Halt {
    fn into_response(self) -> Response {
        *self.0
    }
}

impl FromRequestParts<Arc<Desk>> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk>) -> Result<Self, Infallible> {
        Ok(Self::read(parts, desk))
    }
}

impl Visitor {
    pub fn read(parts: &Parts, desk: &Desk) -> Self {
        let headers = &parts.headers;
        let prefix = prefix(desk);
        let cookie = |name| cookie(headers, &format!("{prefix}{name}"));
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let language = match cookie(LANGUAGE).as_deref() {
            Some("id") => Language::Id,
            Some("en") => Language::En,
            Some(_) | None => accepted(text(header::ACCEPT_LANGUAGE)).unwrap_or(Language::Id),
        };
        let visit = cookie(VISIT);
        Self {
            language,
            session: cookie(SESSION),
            device: cookie(DEVICE),
            from: parts.extensions.get::<Arc<Caller>>().map_or(Ipv4Addr::UNSPECIFIED.into(), |caller| caller.address(headers)),
            browser: browser(text(header::USER_AGENT)),
            here: local(parts.uri.path_and_query().map_or("/", |here| here.as_str())).to_owned(),
            is_get: parts.method == Method::GET || parts.method == Method::HEAD,
            door: desk.door(),
            is_new: visit.is_none(),
            visit: visit.unwrap_or_else(drawn),
            merchant: desk.serve.merchant(),
            prefix,
        }
    }

    /// For `serve`, which writes tables in the language of the page.
    pub const fn language_code(&self) -> &'static str {
        match self.language {
            Language::Id => "id",
            Language::En => "en",
        }
    }

    /// The secret from which the tokens of this visitor's forms are made.
    pub fn key(&self) -> &str {
        self.session.as_deref().unwrap_or(&self.visit)
    }

    /// This browser has brought no cookie of an earlier page.
    pub const fn is_new(&self) -> bool {
        self.is_new
    }

    pub fn show(&self, status: StatusCode, page: &impl Template) -> Response {
        let html = match page.render() {
            Ok(html) => html,
            Err(why) => {
                emit(&Event::ProgramFault { program: crate::PROGRAM.into(), why: why.to_string().into() });
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
        };
        let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::VARY, "Accept-Language, Cookie")];
        let mut response = (status, headers, html).into_response();
        if self.session.is_none() && self.is_new {
            self.set(&mut response, VISIT, &self.visit, None);
        }
        response
    }

    /// Leads to another page, which is then read.
    pub fn lead_to(&self, address: &str) -> Response {
        let mut response = StatusCode::SEE_OTHER.into_response();
        let address = HeaderValue::from_str(local(address)).unwrap_or(HeaderValue::from_static("/"));
        response.headers_mut().insert(header::LOCATION, address);
        response
    }

    /// From now on this browser has a session.
    pub fn begin(&self, response: &mut Response, session: &str, device: Option<&str>, seconds: u64) {
        self.set(response, SESSION, session, Some(seconds));
        if let Some(device) = device {
            self.set(response, DEVICE, device, Some(YEAR_S));
        }
        self.set(response, VISIT, "", Some(0));
    }

    /// This browser has no session any more.
    pub fn end(&self, response: &mut Response) {
        self.set(response, SESSION, "", Some(0));
    }

    pub fn choose(&self, response: &mut Response, language: &str) {
        self.set(response, LANGUAGE, language, Some(YEAR_S));
    }

    fn set(&self, response: &mut Response, name: &str, value: &str, seconds: Option<u64>) {
        let prefix = &self.prefix;
        let secure = if **prefix == *WITH_TLS { "; Secure" } else { "" };
        let age = seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
        // Lax: the link of an alert opens the order of somebody who is logged in.
        if let Ok(cookie) = HeaderValue::from_str(&format!("{prefix}{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}")) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}

/// No other name of the same domain, and nothing without TLS, can set such a cookie.
const WITH_TLS: &str = "__Host-";

/// At home there is no TLS, and the computers of two shops may have one name or address: each shop has names of its own.
fn prefix(desk: &Desk) -> Box<str> {
    match &desk.home {
        Some(home) => format!("home-{}-", home.shop).into(),
        None if desk.plain_http => "".into(),
        None => WITH_TLS.into(),
    }
}

/// 128 bits that nobody can guess.
fn drawn() -> Box<str> {
    let mut bits = [0; 16];
    random::fill(&mut bits);
    hex(&bits).into()
}

/// The value of a cookie that can be one of ours. It becomes a part of a header. Other programs under this name set cookies of any bytes: these
/// keep nobody out.
fn cookie(headers: &HeaderMap, name: &str) -> Option<Box<str>> {
    let is_ours = |byte: &u8| byte.is_ascii_alphanumeric() || b"._~-".contains(byte);
    let value_of = |pair: &[u8]| {
        let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?.to_vec();
        ((1..=LENGTH_MAX).contains(&value.len()) && value.iter().all(is_ours)).then(|| String::from_utf8(value).ok())?
    };
    let all = headers.get_all(header::COOKIE);
    all.iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b';')).find_map(value_of).map(Into::into)
}

/// An address of this desk; anything else is its first page.
pub fn local(address: &str) -> &str {
    let is_here = address.starts_with('/') && !address.starts_with("//") && address.len() <= LENGTH_MAX;
    if is_here && address.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') { address } else { "/" }
}

/// `Chrome, Android`: enough to know one's own phone in a list.
fn browser(agent: &str) -> String {
    let known = |names: &[(&str, &'static str)]| names.iter().find(|(sign, _)| agent.contains(sign)).map(|(_, name)| *name);
    let browser = known(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("CriOS/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = known(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "Mac"),
        ("Linux", "Linux"),
    ]);
    let parts: Vec<&str> = [browser, system].into_iter().flatten().collect();
    if parts.is_empty() { "?".into() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_cookie_is_ours_by_its_whole_name_and_its_letters() {
        let read = |cookies: &'static str| cookie(&headers("cookie", &[cookies]), "__Host-desk");
        assert_eq!(read("a=b; __Host-desk=abc-._~Z; c=d").as_deref(), Some("abc-._~Z"));
        for wrong in
            ["", "desk=abc", "__Host-desk=", "__Host-desk", "x__Host-desk=abc", "__Host-desk=a\"b", "__Host-desk=a b", "__Host-desk=a,b"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(cookie(&headers("cookie", &["a=b", "desk=abc"]), "desk").as_deref(), Some("abc"));
        let mut foreign = HeaderMap::new();
        foreign.insert("cookie", HeaderValue::from_bytes(b"x=\xff\xe9; desk=\xff; desk=abc").expect("a header may have it"));
        assert_eq!(cookie(&foreign, "desk").as_deref(), Some("abc"));
    }

    #[test]
    fn nobody_is_led_away_from_the_desk() {
        for here in ["/", "/orders/4TS65", "/orders?q=5.000+15%3A00"] {
            assert_eq!(local(here), here);
        }
        for away in ["", "//evil.example", "https://evil.example", "/\\evil.example", "evil", "/a\r\nb", "/a b", "/é"] {
            assert_eq!(local(away), "/", "{away:?}");
        }
        assert_eq!(local(&format!("/{}", "a".repeat(LENGTH_MAX))), "/");
    }

    #[test]
    fn a_browser_is_known_by_its_kind() {
        for (agent, kind) in [
            (
                "Mozilla/5.0 (Linux; Android 14; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36",
                "Chrome, Android",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile/15E148 Safari/604.1",
                "Safari, iPhone",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox, Linux"),
            ("curl/8", "?"),
            ("", "?"),
        ] {
            assert_eq!(browser(agent), kind);
        }
    }
}
