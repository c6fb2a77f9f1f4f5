//! The forms. A form must show two things before its wish is done. The browser says that one of our own pages sent it. It has a token that
//! only a page made for this very session can have.
//!
//! The token is an HMAC of the form's address by the session's secret. So it needs no memory, ends with the session, and is good
//! for no other form.

use crate::Desk;
use crate::visitor::Visitor;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::hmac;
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
    /// It does not come from one of our pages, or from one of another session.
    Old,
    TooLarge,
    Malformed,
}

impl FromRequest<Arc<Desk>> for Posted {
    type Rejection = NotTaken;

    async fn from_request(request: Request, desk: &Arc<Desk>) -> Result<Self, NotTaken> {
        let (parts, body) = request.into_parts();
        let visitor = Visitor::read(&parts, desk);
        let address = parts.uri.path().to_owned();
        if !is_own(&parts.headers) {
            return Err(NotTaken { visitor, why: Why::Old });
        }
        let read = tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, BODY_BYTES_MAX)).await;
        let Ok(Ok(body)) = read else { return Err(NotTaken { visitor, why: Why::TooLarge }) };
        let Some(fields) = fields(&body) else { return Err(NotTaken { visitor, why: Why::Malformed }) };
        let posted = Self { visitor, fields };
        let wanted = token(posted.visitor.key(), &address);
        if !bool::from(wanted.as_bytes().ct_eq(posted.field(TOKEN).as_bytes())) {
            return Err(NotTaken { visitor: posted.visitor, why: Why::Old });
        }
        Ok(posted)
    }
}

/// The fields of a form; `None`: it is none of ours. A field that stands twice could be read in two ways.
fn fields(body: &[u8]) -> Option<Vec<(String, String)>> {
    let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(body).ok()?;
    let is_single = |name: &str| fields.iter().filter(|(known, _)| known == name).count() == 1;
    (fields.len() <= FIELDS_MAX && fields.iter().all(|(name, _)| is_single(name))).then_some(fields)
}

/// Whether the browser says that one of our own pages sent it, as far as it says anything.
fn is_own(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_same_site = text("sec-fetch-site").is_none_or(|site| site == "same-origin");
    let host = text("host").unwrap_or_default();
    let is_same_origin = text("origin").is_none_or(|origin| {
        let named = origin.split_once("://").map_or("", |(_, named)| named);
        !host.is_empty() && (named == host || without_port(named) == host)
    });
    is_same_site && is_same_origin
}

/// Some web servers tell the host without its port.
fn without_port(named: &str) -> &str {
    named.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(named, |(host, _)| host)
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
        for (host, site, origin, own) in [
            ("desk.example", None, None, true),
            ("desk.example", Some("same-origin"), Some("https://desk.example"), true),
            ("desk.example:8443", None, Some("https://desk.example:8443"), true),
            ("desk.example", None, Some("https://desk.example:8443"), true),
            ("desk.example", Some("same-site"), None, false),
            ("desk.example", Some("cross-site"), None, false),
            ("desk.example", Some("none"), None, false),
            ("desk.example", Some("same-origin"), Some("https://evil.example"), false),
            ("desk.example", None, Some("null"), false),
            ("desk.example", None, Some(""), false),
            ("desk.example", None, Some("https://desk.example.evil.example"), false),
            ("desk.example:8443", None, Some("https://desk.example:1"), false),
            ("", None, Some("https://"), false),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [("host", Some(host)), ("sec-fetch-site", site), ("origin", origin)] {
                if let Some(value) = value {
                    headers.insert(name, HeaderValue::from_str(value).expect("a value"));
                }
            }
            assert_eq!(is_own(&headers), own, "{host} {site:?} {origin:?}");
        }
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
