//! A plain HTTP client that can be called from a test.

use super::PATIENCE;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// The longest wait for an answer. A browser's driver answers when a page is there, and that is waited for as everything is.
const WAIT: Duration = PATIENCE.saturating_mul(2);

/// A client with a runtime of its own.
pub struct Http {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    pub status: u16,
    pub content_type: String,
    pub retry_after: Option<String>,
    pub body: Vec<u8>,
}

impl HttpAnswer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|why| panic!("no JSON ({why}): {} {}", self.status, self.text()))
    }
}

impl Http {
    pub fn new() -> Self {
        let limits = qris::host::http::Limits { total: WAIT, read: WAIT, idle_connections: 0 };
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"),
            client: qris::host::http::client(None, limits).expect("a client"),
        }
    }

    /// A client that asks whoever answers at this socket, whatever host an address names.
    pub fn at_socket(socket: &Path) -> Self {
        qris::host::tls::install_provider();
        let client = reqwest::Client::builder().unix_socket(socket).no_proxy().timeout(WAIT);
        Self { client: client.build().expect("a client"), ..Self::new() }
    }

    /// Gets a page with headers of one's own; the answer with its headers.
    pub fn get_with(&self, url: &str, headers: &[(&str, &str)]) -> (HttpAnswer, reqwest::header::HeaderMap) {
        self.send_with(self.client.get(url), headers)
    }

    /// Posts a form as a browser does; the answer with its headers.
    pub fn post_form(&self, url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> (HttpAnswer, reqwest::header::HeaderMap) {
        self.send_with(self.client.post(url).header("Content-Type", "application/x-www-form-urlencoded").body(body), headers)
    }

    fn send_with(&self, request: reqwest::RequestBuilder, headers: &[(&str, &str)]) -> (HttpAnswer, reqwest::header::HeaderMap) {
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.runtime.block_on(async {
            let response = request.send().await.unwrap_or_else(|why| panic!("no answer: {why:?}"));
            let headers = response.headers().clone();
            let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let (status, content_type, retry_after) = (response.status().as_u16(), text("content-type"), text("retry-after"));
            let body = response.bytes().await.expect("a body").to_vec();
            (HttpAnswer { status, content_type: content_type.unwrap_or_default(), retry_after, body }, headers)
        })
    }

    pub fn get(&self, url: &str, token: Option<&str>) -> HttpAnswer {
        self.send(self.client.get(url), token)
    }

    pub fn get_from(&self, url: &str, token: Option<&str>, headers: &[(&str, &str)]) -> HttpAnswer {
        let request = headers.iter().fold(self.client.get(url), |request, (name, value)| request.header(*name, *value));
        self.send(request, token)
    }

    pub fn delete(&self, url: &str) -> HttpAnswer {
        self.send(self.client.delete(url), None)
    }

    /// Posts JSON.
    pub fn post(&self, url: &str, token: Option<&str>, headers: &[(&str, &str)], body: &Value) -> HttpAnswer {
        let request = headers.iter().fold(self.client.post(url), |request, (name, value)| request.header(*name, *value));
        self.send(request.json(body), token)
    }

    /// Posts bytes as they are.
    pub fn post_bytes(&self, url: &str, token: Option<&str>, content_type: &str, body: &[u8]) -> HttpAnswer {
        self.send(self.client.post(url).header("Content-Type", content_type).body(body.to_vec()), token)
    }

    pub fn try_delete(&self, url: &str) -> Result<HttpAnswer, reqwest::Error> {
        self.try_send(self.client.delete(url), None)
    }

    /// Sends a request and reads the whole answer; the test fails where there is none.
    pub fn send(&self, request: reqwest::RequestBuilder, token: Option<&str>) -> HttpAnswer {
        self.try_send(request, token).unwrap_or_else(|why| panic!("no answer: {why:?}"))
    }

    pub fn try_send(&self, request: reqwest::RequestBuilder, token: Option<&str>) -> Result<HttpAnswer, reqwest::Error> {
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        self.runtime.block_on(async {
            let response = request.send().await?;
            let status = response.status().as_u16();
            let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let (content_type, retry_after) = (header("content-type").unwrap_or_default(), header("retry-after"));
            Ok(HttpAnswer { status, content_type, retry_after, body: response.bytes().await?.to_vec() })
        })
    }
}
