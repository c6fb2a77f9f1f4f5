//! Posts an alert to `[alerts] webhook_url`. Whoever has the secret can see by the signature that it is ours, whole and new.

use qris_core::order::time::Wall;
use qris_host::causes;
use qris_host::http::{HttpError, Limits, client};
use qris_host::secret::Secret;
use qris_host::tls::{LastTrusted, TlsError, client_config};
use reqwest::{Client, Url};
use std::path::PathBuf;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);
const LIMITS: Limits = Limits { total: TIMEOUT, read: TIMEOUT, idle_connections: 0 };
/// The header with the time and the signature.
const SIGNATURE: &str = "Qris-Signature";

#[derive(Debug, Clone)]
pub struct Webhook {
    /// The address. It may be a secret itself: no message has more of it than its host.
    pub url: Url,
    pub secret: Secret,
    /// The authority of its certificate; the system's if there is none.
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error("the webhook: {0}")]
    Tls(#[from] TlsError),
    #[error("the webhook: {0}")]
    Client(#[from] HttpError),
    #[error("the webhook at {host} cannot be reached: {why}")]
    Unreachable { host: String, why: String },
    #[error("the webhook at {host} answers {status}, and not 200 to 299")]
    Refused { host: String, status: u16 },
}

impl Webhook {
    /// The receiver, for people.
    #[must_use]
    pub fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.into(), |port| format!("{host}:{port}"))
    }

    /// Posts this. The receiver has taken it if the answer is 2xx; what else it says is of no interest.
    pub async fn post(&self, body: &str, now: Wall) -> Result<(), WebhookError> {
        let call = self.client()?.post(self.url.clone()).header("Content-Type", "application/json");
        let sent = call.header(SIGNATURE, self.sign(body, now)).body(body.to_owned()).send().await;
        let status = sent.map_err(|error| self.unreachable(error))?.status();
        if status.is_success() { Ok(()) } else { Err(WebhookError::Refused { host: self.host(), status: status.as_u16() }) }
    }

    /// Looks whether it can be reached. Any answer will do: only a message with a signature means something to it.
    pub async fn check(&self) -> Result<(), WebhookError> {
        self.client()?.head(self.url.clone()).send().await.map(drop).map_err(|error| self.unreachable(error))
    }

    /// Alerts are rare: each call has a client of its own, which knows the certificates of the day.
    fn client(&self) -> Result<Client, WebhookError> {
        let is_tls = self.url.scheme() == "https";
        let tls = if is_tls { Some(client_config(self.ca_file.as_deref(), None, &LastTrusted::default())?) } else { None };
        Ok(client(tls.as_deref(), LIMITS)?)
    }

    fn unreachable(&self, error: reqwest::Error) -> WebhookError {
        WebhookError::Unreachable { host: self.host(), why: causes::last(&error) }
    }

    fn sign(&self, body: &str, now: Wall) -> String {
        let seconds = now.0 / 1000;
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.secret.expose().as_bytes());
        let tag = ring::hmac::sign(&key, format!("{seconds}.{body}").as_bytes());
        format!("t={seconds},v1={}", qris_core::hex(tag.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_goes_wrong_is_told_without_the_secret_and_the_path() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        let url = Url::parse(&format!("http://{closed}/path-of-a-secret")).expect("an address");
        let webhook = Webhook { url, secret: Secret::new("a-secret-of-the-test"), ca_file: None };
        let told = webhook.post("{}", Wall(1_000)).await.expect_err("nobody is there").to_string();
        assert!(told.starts_with(&format!("the webhook at {closed} cannot be reached: ")), "{told}");
        assert!(!format!("{told}{webhook:?}").contains("of-the-test") && !told.contains("path-of"), "{told}");
    }

    #[test]
    fn it_is_signed_as_others_sign() {
        // Computed with `printf '1795178255.{}' | openssl dgst -sha256 -hmac 0123456789abcdef`.
        let url = Url::parse("https://shop.example/x").expect("an address");
        let webhook = Webhook { url, secret: Secret::new("0123456789abcdef"), ca_file: None };
        assert_eq!(
            webhook.sign("{}", Wall(1_795_178_255_661)),
            "t=1795178255,v1=063dd1cddbef9c4eb434efa656544ef983f9f6930adc488d9fd846e38fcda86c"
        );
    }
}
