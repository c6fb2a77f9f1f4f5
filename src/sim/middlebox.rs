//! Devices that answer in place of the server. Such are a proxy that has not loaded its upstream, a hotspot that wants a log-in, and a
//! cache that mixes answers up.

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Foreign {
    /// 404, in the words of a web server.
    NotFound,
    /// 404, in the words of a gateway.
    NoRoute,
    /// 410 without a body.
    Gone,
    /// 409, in the words of a gateway.
    Conflict,
    /// 401, in the words of a web server.
    Unauthorized,
    /// 403, in the words of a web server.
    Forbidden,
    /// 413, in the words of a web server.
    TooLarge,
    /// 429 with `Retry-After`.
    TooMany,
    /// 302 to another address.
    Redirect,
    /// A log-in page, with 200.
    Login,
    /// 200 without a body.
    Nothing,
    /// Half of an answer, with 200.
    Half,
    /// An earlier answer about something else, with 200.
    Another,
    /// JSON that neither server would answer, with 200.
    OtherShape,
    /// 502, in the words of a web server.
    BadGateway,
    /// 503 with `Retry-After`.
    Unavailable,
}

/// Answers that it has seen go by: an order of the backend, a transaction of Midtrans.
const ORDER: &str = include_str!("../../tests/corpora/backend_answer/order.json");
const TRANSACTION: &str = include_str!("../../tests/corpora/midtrans_answer/settled.json");

impl Foreign {
    pub const ALL: [Self; 16] = [
        Self::NotFound,
        Self::NoRoute,
        Self::Gone,
        Self::Conflict,
        Self::Unauthorized,
        Self::Forbidden,
        Self::TooLarge,
        Self::TooMany,
        Self::Redirect,
        Self::Login,
        Self::Nothing,
        Self::Half,
        Self::Another,
        Self::OtherShape,
        Self::BadGateway,
        Self::Unavailable,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::NoRoute => "no-route",
            Self::Gone => "gone",
            Self::Conflict => "conflict",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::TooLarge => "too-large",
            Self::TooMany => "too-many",
            Self::Redirect => "redirect",
            Self::Login => "login",
            Self::Nothing => "nothing",
            Self::Half => "half",
            Self::Another => "another",
            Self::OtherShape => "other-shape",
            Self::BadGateway => "bad-gateway",
            Self::Unavailable => "unavailable",
        }
    }

    /// Status, media type and body, in place of an answer of the backend.
    #[must_use]
    pub fn of_backend(self) -> (u16, &'static str, &'static str) {
        self.in_place_of(ORDER)
    }

    #[must_use]
    pub fn of_midtrans(self) -> (u16, &'static str, &'static str) {
        self.in_place_of(TRANSACTION)
    }

    #[must_use]
    pub const fn retry_after(self) -> Option<u16> {
        match self {
            Self::TooMany | Self::Unavailable => Some(1),
            Self::NotFound
            | Self::NoRoute
            | Self::Gone
            | Self::Conflict
            | Self::Unauthorized
            | Self::Forbidden
            | Self::TooLarge
            | Self::Redirect
            | Self::Login
            | Self::Nothing
            | Self::Half
            | Self::Another
            | Self::OtherShape
            | Self::BadGateway => None,
        }
    }

    fn in_place_of(self, seen: &'static str) -> (u16, &'static str, &'static str) {
        const PAGE: &str = "text/html";
        const JSON: &str = "application/json";
        match self {
            Self::NotFound => (404, PAGE, "<html><title>404 Not Found</title></html>"),
            Self::NoRoute => (404, JSON, r#"{"message": "no Route matched with those values"}"#),
            Self::Gone => (410, PAGE, ""),
            Self::Conflict => (409, JSON, r#"{"message": "conflict"}"#),
            Self::Unauthorized => (401, PAGE, "<html><title>401 Authorization Required</title></html>"),
            Self::Forbidden => (403, PAGE, "<html><title>403 Forbidden</title></html>"),
            Self::TooLarge => (413, PAGE, "<html><title>413 Request Entity Too Large</title></html>"),
            Self::TooMany => (429, PAGE, "<html><title>429 Too Many Requests</title></html>"),
            Self::Redirect => (302, PAGE, "<html><title>302 Found</title></html>"),
            Self::Login => (200, PAGE, "<html><title>Welcome to our network</title></html>"),
            Self::Nothing => (200, JSON, ""),
            Self::Half => (200, JSON, &seen[..seen.len() / 2]),
            Self::Another => (200, JSON, seen),
            Self::OtherShape => (200, JSON, r#"{"status": "ok"}"#),
            Self::BadGateway => (502, PAGE, "<html><title>502 Bad Gateway</title></html>"),
            Self::Unavailable => (503, PAGE, "<html><title>503 Service Unavailable</title></html>"),
        }
    }
}
