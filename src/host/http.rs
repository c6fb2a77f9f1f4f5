//! The HTTP client that every program uses. Every wait and every body has a limit. It follows no redirect and repeats
//! no request.

use hyper_util::client::legacy::connect::HttpInfo;
use reqwest::{Client, ClientBuilder, Response, redirect, retry};
use rustls::{ClientConfig, RootCertStore};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// The longest time to connect, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
pub const USER_AGENT: &str = concat!("qrisd/", env!("CARGO_PKG_VERSION"));

#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The client could not be made: a fault of the build.
    #[error("HTTP client: {0}")]
    Client(#[source] reqwest::Error),
    /// The connection broke, or a time limit passed, while the body was read.
    #[error("reading the answer: {0}")]
    Body(#[source] reqwest::Error),
    #[error("the answer is longer than {limit} bytes")]
    TooLarge { limit: usize },
}

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the call to the last byte of the answer; a request may set its own.
    pub total: Duration,
    /// The longest silence while an answer is awaited or read. For long polling it must be longer than the poll's `wait`.
    pub read: Duration,
    /// The number of idle connections that are kept for each host.
    pub idle_connections: usize,
}

/// A client under `limits`. Without `tls` it reaches `http://` addresses only (no authority is trusted).
///
/// It has no redirect, no proxy from the environment and no automatic retry: a charge that is repeated without our
/// knowledge would be a second charge.
pub fn client(tls: Option<&ClientConfig>, limits: Limits) -> Result<Client, HttpError> {
    let tls = match tls {
        Some(config) => config.clone(),
        None => trusting_nobody(),
    };
    builder(limits).tls_backend_preconfigured(tls).build().map_err(HttpError::Client)
}

/// The same to a program of this computer, which listens at a socket with a path. What the address names is only said to it.
pub fn local_client(socket: &Path, limits: Limits) -> Result<Client, HttpError> {
    builder(limits).tls_backend_preconfigured(trusting_nobody()).unix_socket(socket).build().map_err(HttpError::Client)
}

fn builder(limits: Limits) -> ClientBuilder {
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(limits.total)
        .read_timeout(limits.read)
        .pool_max_idle_per_host(limits.idle_connections)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .tcp_nodelay(true)
        .user_agent(USER_AGENT)
}

/// Whether another computer has answered. A connection that stays on this one has the same address at both ends, whatever name led there.
#[must_use]
pub fn is_from_afar(response: &Response) -> bool {
    let info = response.extensions().get::<HttpInfo>();
    info.is_some_and(|info| is_other(info.local_addr().ip(), info.remote_addr().ip()))
}

fn is_other(here: IpAddr, there: IpAddr) -> bool {
    let (here, there) = (here.to_canonical(), there.to_canonical());
    here != there && !there.is_loopback()
}

/// Reads an answer's body up to `limit` bytes. A longer one is an error.
pub async fn read_limited(mut response: Response, limit: usize) -> Result<Vec<u8>, HttpError> {
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).map_or(true, |announced| announced > limit) {
        return Err(HttpError::TooLarge { limit });
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(HttpError::Body)? {
        if body.len() + chunk.len() > limit {
            return Err(HttpError::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Without any configuration, reqwest would read the system's certificates.
fn trusting_nobody() -> ClientConfig {
    ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("ring offers both protocol versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const LIMITS: Limits = Limits { total: Duration::from_secs(5), read: Duration::from_secs(5), idle_connections: 1 };

    /// A server that gives every connection the same answer. Returns its address.
    async fn answering(answer: &'static str) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4_096];
                drop(stream.read(&mut request).await);
                drop(stream.write_all(answer.as_bytes()).await);
            }
        });
        format!("http://{address}/")
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        let announced = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: close\r\n\r\n0123456789";
        let unannounced = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n0123456789";
        let broken_off = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: close\r\n\r\n01234";
        let client = client(None, LIMITS).expect("a client");
        for (answer, limit, expected) in [
            (announced, 10, "0123456789"),
            (announced, 9, "the answer is longer than 9 bytes"),
            (unannounced, 10, "0123456789"),
            (unannounced, 9, "the answer is longer than 9 bytes"),
            (broken_off, 10, "reading the answer"),
        ] {
            let response = client.get(answering(answer).await).send().await.expect("an answer");
            let outcome = match read_limited(response, limit).await {
                Ok(body) => String::from_utf8(body).expect("text"),
                Err(error) => error.to_string(),
            };
            assert!(outcome.starts_with(expected), "{answer:?} up to {limit}: {outcome}");
        }
    }

    #[test]
    fn an_address_at_both_ends_is_this_computer_s() {
        for (here, there, expected) in [
            ("192.0.2.7", "198.51.100.1", true),
            ("2001:db8::1", "2001:db8::2", true),
            ("127.0.0.1", "127.0.0.1", false),
            ("127.0.0.1", "127.3.2.1", false),
            ("::1", "::1", false),
            ("192.0.2.7", "192.0.2.7", false),
            ("192.0.2.7", "::ffff:192.0.2.7", false),
            ("2001:db8::1", "2001:db8::1", false),
            ("192.0.2.7", "::ffff:127.0.0.1", false),
        ] {
            let ends = [here, there].map(|text| text.parse().expect("an address"));
            assert_eq!(is_other(ends[0], ends[1]), expected, "from {here} to {there}");
        }
    }

    #[tokio::test]
    async fn a_server_on_this_computer_is_not_afar() {
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let response = client(None, LIMITS).expect("a client").get(answering(answer).await).send().await.expect("an answer");
        assert!(!is_from_afar(&response));
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_not_an_order() {
        let address =
            answering("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        let response = client(None, LIMITS).expect("a client").get(address).send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), 302);
    }

    #[tokio::test]
    async fn a_silent_server_is_given_up() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has free ports");
        let address = format!("http://{}/", listener.local_addr().expect("it is bound"));
        let limits = Limits { total: Duration::from_millis(50), ..LIMITS };
        let refused = client(None, limits).expect("a client").get(address).send().await.expect_err("it says nothing");
        assert!(refused.is_timeout(), "{refused}");
    }
}
