//! A proxy that alters answers: what is behind it seems to break its contract.

use super::http::Http;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// An answer on its way back.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub content_type: String,
    pub retry_after: Option<String>,
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

/// The proxy; its threads end with the test's process.
pub struct Proxy {
    pub url: String,
}

impl Proxy {
    /// Stands before `backend`. `alter` gets method, path and the answer.
    pub fn start(backend: &str, alter: fn(&str, &str, &mut Reply)) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let backend: Arc<str> = backend.into();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let backend = Arc::clone(&backend);
                std::thread::spawn(move || drop(pass(stream, &backend, alter)));
            }
        });
        Self { url }
    }
}

/// One request, one answer, one connection.
fn pass(stream: TcpStream, backend: &str, alter: fn(&str, &str, &mut Reply)) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap_or("").to_owned(), words.next().unwrap_or("/").to_owned());
    let (mut headers, mut length) = (Vec::new(), 0_u64);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { continue };
        let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
        match name.as_str() {
            "content-length" => length = value.parse().unwrap_or(0),
            "authorization" | "idempotency-key" | "content-type" | "accept-language" => headers.push((name, value)),
            _ => {}
        }
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    let answer = Http::new().forward(&method, &format!("{backend}{target}"), &headers, body);
    let Some(answer) = answer else { return Ok(()) };
    let mut reply = Reply { status: answer.status, content_type: answer.content_type, retry_after: answer.retry_after, body: answer.body };
    alter(&method, target.split('?').next().unwrap_or(""), &mut reply);
    let again = reply.retry_after.map(|seconds| format!("retry-after: {seconds}\r\n")).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {} x\r\ncontent-type: {}\r\ncontent-length: {}\r\n{again}connection: close\r\n\r\n",
        reply.status,
        reply.content_type,
        reply.body.len()
    );
    let mut stream = stream;
    stream.write_all(head.as_bytes())?;
    stream.write_all(&reply.body)
}
