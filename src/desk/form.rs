//! The forms. A form must show two things before its wish is done. The browser says that one of our own pages sent it. It has a token that
//! only a page made for this very session can have.
//!
//! The token is an HMAC of the form's address by the session's secret. So it needs no memory, ends with the session, and is good
//! for no other form.

use crate::Desk;
use crate::visitor::{Visitor, local};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use qris_core::wire::desk as wire;
use qris_host::events::Event;
use qris_host::journal::emit;
use ring::hmac;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// The largest form: a note, a password and a token are far less.
pub const BODY_BYTES_MAX: usize = 16 << 10;
/// The most fields: more than any of our forms has.
const FIELDS_MAX: usize = 16;
/// A form is small. Whoever takes longer does not mean to send it.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);
/// The token's own use of a session's secret.
const LABEL: &str = "qris-desk form ";
const TOKEN: &str = "token";
const LOGIN: &str = "/login";

pub fn token(secret: &str, address: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    BASE64.encode(hmac::sign(&key, format!("{LABEL}{address}").as_bytes()))
}

/// A form that one of our own pages sent.
pub struct Posted {
    pub visitor: Visitor,
    fields: Vec<(String, String)>,
}

impl Posted {
    /// A field; empty if it is not there.
    pub fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// A form that is not taken: `pages/note.rs` has the page that says so.
pub struct NotTaken {
    pub visitor: Visitor,
    pub why: Why,
}

pub enum Why {
    Refused(wire::NotTaken, Option<Box<str>>),
    /// It is a login of somebody who came in meanwhile, in another tab: it goes on there.
    InAlready(String),
    TooLarge,
    Malformed,
}

impl FromRequest<Arc<Desk>> for Posted {
    type Rejection = NotTaken;

    async fn from_request(request: Request, desk: &Arc<Desk>) -> Result<Self, NotTaken> {
        let (parts, body) = request.into_parts();
        let visitor = Visitor::read(&parts, desk);
        let address = parts.uri.path().to_owned();
        let url = match desk.home {
            None => desk.serve.url(&visitor).await,
            // A host of another place does not come so far.
            Some(_) => parts.headers.get(header::HOST).and_then(|host| Some(format!("http://{}", host.to_str().ok()?).into())),
        };
        let sender = sender(&parts.headers, url.as_deref(), desk.plain_http);
        let refused = |visitor: Visitor, why| {
            emit(&Event::DeskFormRefused { from: visitor.from.to_string().into(), why: said(why, url.as_deref()).into() });
            NotTaken { visitor, why: Why::Refused(why, url.clone()) }
        };
        let is_own = match sender {
            Sender::Own => true,
            Sender::Unsaid => false,
            Sender::Foreign => return Err(refused(visitor, wire::NotTaken::Foreign)),
            Sender::OtherName => return Err(refused(visitor, wire::NotTaken::OtherName)),
        };
        let read = tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, BODY_BYTES_MAX)).await;
        let Ok(Ok(body)) = read else { return Err(NotTaken { visitor, why: Why::TooLarge }) };
        let Some(fields) = fields(&body) else { return Err(NotTaken { visitor, why: Why::Malformed }) };
        let posted = Self { visitor, fields };
        let wanted = token(posted.visitor.key(), &address);
        if bool::from(wanted.as_bytes().ct_eq(posted.field(TOKEN).as_bytes())) {
            return Ok(posted);
        }
        match (&posted.visitor.session, posted.visitor.is_new()) {
            (Some(_), _) if address == LOGIN => {
                let to = local(posted.field("to")).to_owned();
                Err(NotTaken { visitor: posted.visitor, why: Why::InAlready(to) })
            }
            (None, true) => Err(refused(posted.visitor, wire::NotTaken::NoCookie)),
            // Of two first visits at once the later one's cookie stays. Nobody is logged in, and the browser says that the page was ours.
            (None, false) if is_own => Ok(posted),
            (Some(_) | None, _) => Err(refused(posted.visitor, wire::NotTaken::Old)),
        }
    }
}

/// For the journal. No text of a stranger is in it.
fn said(why: wire::NotTaken, url: Option<&str>) -> String {
    match why {
        wire::NotTaken::Old => "its page was made for another session".into(),
        wire::NotTaken::NoCookie => "no cookie came back with it: over http:// a browser keeps none of ours".into(),
        wire::NotTaken::Foreign => "another site sent it".into(),
        wire::NotTaken::OtherName => {
            format!("the browser has the desk under another address than desk.url, which is {}", url.unwrap_or("not known"))
        }
    }
}

/// Whether an origin is `localhost`, or an address without a name.
fn is_by_number(origin: &str) -> bool {
    let named = origin.split_once("://").map_or("", |(_, named)| named);
    named.parse::<SocketAddr>().is_ok() || named.parse::<IpAddr>().is_ok() || named.split(':').next() == Some("localhost")
}

/// The fields of a form; `None`: it is none of ours. A field that stands twice could be read in two ways.
fn fields(body: &[u8]) -> Option<Vec<(String, String)>> {
    let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(body).ok()?;
    let is_single = |name: &str| fields.iter().filter(|(known, _)| known == name).count() == 1;
    (fields.len() <= FIELDS_MAX && fields.iter().all(|(name, _)| is_single(name))).then_some(fields)
}

/// Which page sent a form, by the browser's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    Own,
    /// It says nothing: `null` is what browsers say where a web server adds `Referrer-Policy: no-referrer`.
    Unsaid,
    Foreign,
    /// A page of this desk, but the browser has it under another address.
    OtherName,
}

/// `url`: that of `desk.url`, which is what a browser calls the origin of our pages. The `Host` that a web server passes on may be its own.
fn sender(headers: &HeaderMap, url: Option<&str>, is_trial: bool) -> Sender {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let site = text("sec-fetch-site");
    if site.is_some_and(|site| site != "same-origin") {
        return Sender::Foreign;
    }
    let is_here = |origin: &str| origin.split_once("://").is_some_and(|(_, named)| Some(named) == text("host"));
    match (text("origin"), url) {
        (Some(origin), Some(url)) if origin == url => Sender::Own,
        (None | Some("null"), _) | (Some(_), None) if site.is_some() => Sender::Own,
        (None | Some("null"), _) | (Some(_), None) => Sender::Unsaid,
        // A trial has several addresses. A name that somebody else could lead here is none of them.
        (Some(origin), Some(_)) if is_trial && is_here(origin) && is_by_number(origin) => Sender::Own,
        (Some(origin), Some(_)) if site.is_some() || is_here(origin) => Sender::OtherName,
        (Some(_), Some(_)) => Sender::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_token_is_good_for_one_session_and_one_form() {
        let token_of = |secret: &str, address: &str| token(secret, address);
        let one = token_of("one", "/orders/4TS65/refund");
        assert_eq!(one, token_of("one", "/orders/4TS65/refund"));
        assert_ne!(one, token_of("other", "/orders/4TS65/refund"));
        assert_ne!(one, token_of("one", "/orders/4TS66/refund"));
        assert!(!one.contains("one") && one.len() == 43, "{one}");
    }

    #[test]
    fn a_form_of_another_place_is_told_by_the_browser() {
        let (own, url) = (Some("https://desk.example"), Some("https://desk.example"));
        for (host, site, origin, url, wanted) in [
            ("desk.example", None, None, url, Sender::Unsaid),
            ("desk.example", Some("same-origin"), own, url, Sender::Own),
            // The web server passes its own name on, or none.
            ("127.0.0.1:8090", None, own, url, Sender::Own),
            ("", Some("same-origin"), own, url, Sender::Own),
            ("desk.example", None, Some("https://desk.example:8443"), Some("https://desk.example:8443"), Sender::Own),
            ("desk.example", Some("same-origin"), Some("null"), url, Sender::Own),
            ("desk.example", None, Some("null"), url, Sender::Unsaid),
            ("desk.example", Some("cross-site"), Some("null"), url, Sender::Foreign),
            ("desk.example", Some("same-site"), None, url, Sender::Foreign),
            ("desk.example", Some("none"), own, url, Sender::Foreign),
            ("desk.example", Some(""), own, url, Sender::Foreign),
            ("desk.example", Some("same-origin"), Some("https://other.example"), url, Sender::OtherName),
            ("192.0.2.7:8443", None, Some("https://192.0.2.7:8443"), url, Sender::OtherName),
            ("desk.example", None, Some("http://desk.example"), url, Sender::OtherName),
            ("desk.example", None, Some("https://evil.example"), url, Sender::Foreign),
            ("desk.example", None, Some(""), url, Sender::Foreign),
            ("desk.example", None, Some("https://desk.example.evil.example"), url, Sender::Foreign),
            ("", None, Some("https://"), url, Sender::Foreign),
            ("desk.example", None, Some("https://evil.example"), None, Sender::Unsaid),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [("host", Some(host)), ("sec-fetch-site", site), ("origin", origin)] {
                if let Some(value) = value.filter(|value| name != "host" || !value.is_empty()) {
                    headers.insert(name, HeaderValue::from_str(value).expect("a value"));
                }
            }
            assert_eq!(sender(&headers, url, false), wanted, "{host} {site:?} {origin:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("localhost:8090"));
        headers.insert("origin", HeaderValue::from_static("http://localhost:8090"));
        assert_eq!(sender(&headers, Some("http://127.0.0.1:8090"), true), Sender::Own, "a trial");
    }

    #[test]
    fn a_field_is_read_once_or_not_at_all() {
        assert_eq!(fields(b"a=1+2&b=%3Cb%3E"), Some(vec![("a".into(), "1 2".into()), ("b".into(), "<b>".into())]));
        assert_eq!(fields(b""), Some(vec![]));
        for wrong in [&b"a=1&a=2"[..], b"a=1&b=2&a=1"] {
            assert_eq!(fields(wrong), None);
        }
        let many: String = (0..=FIELDS_MAX).map(|n| format!("f{n}=&")).collect();
        assert_eq!(fields(many.as_bytes()), None);
    }
}
