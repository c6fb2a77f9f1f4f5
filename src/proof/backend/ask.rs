//! A machine's questions as its own client writes them, and its reading of the answers.

use super::TOKEN;
use crate::middlebox::Foreign;
use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::response::Parts;
use axum::http::{Request, Response};
use qris_core::order::time::BootId;
use qris_core::wire::orders::BOOT;
use qris_device::backend::{self as client, Backend};
use qris_device::config;
use qris_device::words::{BackendAnswer, HttpCall, Identity};
use qris_host::secret::Secret;
use qris_host::tls::LastTrusted;
use std::sync::OnceLock;

#[derive(Debug)]
pub(crate) enum Ask {
    Order(HttpCall),
    Open(Identity),
}

impl Ask {
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Open(_) => "open orders",
            Self::Order(HttpCall::Create(_)) => "create",
            Self::Order(HttpCall::Watch(..)) => "watch",
            Self::Order(HttpCall::Get(_)) => "get",
            Self::Order(HttpCall::Cancel(_)) => "cancel",
            Self::Order(HttpCall::TryAgain(..)) => "try again",
            Self::Order(HttpCall::Tell(..)) => "tell",
        }
    }

    /// As the client of a machine sends it that was started by this name.
    pub(super) fn request(&self, boot: &str) -> Request<Body> {
        static CLIENT: OnceLock<Backend> = OnceLock::new();
        let client = CLIENT.get_or_init(|| {
            let settings = config::Backend { url: "http://backend.example".into(), token: Secret::new(TOKEN), ca_file: None };
            Backend::new(&settings, &BootId("any".into()), &LastTrusted::default()).expect("a client")
        });
        let request = match self {
            Self::Order(call) => client.request(call),
            Self::Open(identity) => client.request_for_open(identity),
        };
        let mut request = request.build().expect("a request");
        let body = request.body_mut().take();
        let body = body.as_ref().and_then(reqwest::Body::as_bytes).map_or_else(Bytes::new, Bytes::copy_from_slice);
        let path = match request.url().query() {
            Some(query) => format!("{}?{query}", request.url().path()),
            None => request.url().path().to_owned(),
        };
        let mut asked = Request::new(Body::from(body));
        *asked.method_mut() = request.method().clone();
        *asked.uri_mut() = path.parse().expect("a path");
        *asked.headers_mut() = request.headers().clone();
        let told = asked.headers_mut().insert(BOOT, boot.parse().expect("a name"));
        assert!(told.is_some(), "a client tells by which start of its computer it runs");
        asked
    }

    /// How the machine's client reads somebody else's answer.
    pub(crate) fn answered_by(&self, foreign: Foreign) -> BackendAnswer {
        let (status, kind, body) = foreign.of_backend();
        let mut response = Response::builder().status(status).header(CONTENT_TYPE, kind);
        if let Some(seconds) = foreign.retry_after() {
            response = response.header(RETRY_AFTER, seconds);
        }
        let (parts, ()) = response.body(()).expect("an answer").into_parts();
        self.read((parts, Bytes::from_static(body.as_bytes())))
    }

    pub(super) fn read(&self, (parts, body): (Parts, Bytes)) -> BackendAnswer {
        match self {
            Self::Order(call) => client::read_order(call, parts.status, &parts.headers, &body),
            Self::Open(_) => client::read_open(parts.status, &parts.headers, &body),
        }
    }
}
