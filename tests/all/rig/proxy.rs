//! A proxy that alters answers: what is behind it seems to break its contract.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use axum::response::Response;
use serde_json::Value;
use tokio::net::TcpListener;

/// An answer on its way back.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub content_type: String,
    /// Empty where there is none.
    pub retry_after: String,
    pub body: Vec<u8>,
}

impl Reply {
    /// Changes the body where it is a JSON object. `None`: there was nothing to change in it.
    pub fn json_mut(&mut self, change: impl FnOnce(&mut Value) -> Option<()>) {
        let value: Option<Value> = serde_json::from_slice(&self.body).ok().filter(Value::is_object);
        if let Some(mut value) = value
            && change(&mut value).is_some()
        {
            self.body = value.to_string().into_bytes();
        }
    }
}

/// The address that it tells of whoever asks through it, as web servers do.
pub const FORWARDED_FOR: &str = "192.0.2.7";

type Alter = fn(&str, &str, &mut Reply);

/// The proxy; its thread ends with the test's process.
pub struct Proxy {
    pub url: String,
}

impl Proxy {
    /// Stands before `backend`. `alter` gets method, path and the answer.
    pub fn start(backend: &str, alter: Alter) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).expect("loopback");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let backend = backend.to_owned();
        let app = axum::Router::new().fallback(move |request: Request| pass(request, backend.clone(), alter));
        std::thread::spawn(move || runtime.block_on(async { axum::serve(listener, app).await }));
        Self { url }
    }
}

async fn pass(request: Request, backend: String, alter: Alter) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a body");
    let mut headers = head.headers.clone();
    headers.remove(HOST);
    headers.insert("x-forwarded-for", HeaderValue::from_static(FORWARDED_FOR));
    let url = format!("{backend}{}", head.uri);
    let limits = qris::host::http::Limits { total: super::PATIENCE, read: super::PATIENCE, idle_connections: 0 };
    let client = qris::host::http::client(None, limits).expect("a client");
    let answer = client.request(head.method.clone(), url).headers(headers).body(body).send().await.expect("an answer");
    let text = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (status, content_type, retry_after) = (answer.status().as_u16(), text(CONTENT_TYPE), text(RETRY_AFTER));
    let mut reply = Reply { status, content_type, retry_after, body: answer.bytes().await.expect("a body").to_vec() };
    alter(head.method.as_str(), head.uri.path(), &mut reply);
    let mut response = Response::builder().status(reply.status).header(CONTENT_TYPE, reply.content_type);
    if !reply.retry_after.is_empty() {
        response = response.header(RETRY_AFTER, reply.retry_after);
    }
    response.body(Body::from(reply.body)).expect("an answer")
}
