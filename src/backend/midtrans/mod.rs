//! Midtrans' Core API as the backend uses it: charge, status, cancel, and the payload of a charge's QR.
//!
//! Each call is made once: nothing in here repeats, waits or remembers. [`MidtransError`] says whether it may be made
//! again and whether it may have had its effect; who owns the order decides.

mod answer;
mod qr_image;
mod request;
mod signature;

pub use answer::{Action, FraudStatus, MidtransError, Transaction, TransactionStatus};
pub use qr_image::QrImageError;
pub use request::{ChargeAs, ChargeRequest, CustomFields, idempotency_key};
pub use signature::{Notification, NotificationError, ServerKey};

use base64::Engine as _;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, RequestBuilder, Response};
use std::time::Duration;

/// The largest answer that is read; real ones are under 2 KiB.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// How long one call may take, from connecting to the last byte. A device waits 15 s for its QR.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Which Midtrans, as which merchant.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `https://api.sandbox.midtrans.com` or `https://api.midtrans.com`; a slash at the end does not matter.
    pub base_url: String,
    /// The merchant's.
    pub server_key: ServerKey,
    /// Where this backend takes notifications; goes out as `X-Override-Notification` with every charge.
    pub notification_url: String,
    /// The `payment_type` of a QR.
    pub charge_as: ChargeAs,
}

/// The client. It is cheap to clone and to share.
#[derive(Debug, Clone)]
pub struct Midtrans {
    http: Client,
    base_url: String,
    authorization: HeaderValue,
    server_key: ServerKey,
    notification_url: HeaderValue,
    charge_as: ChargeAs,
}

/// A setting that no request can carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("midtrans.{0} has characters that no HTTP header can carry")]
pub struct SettingsError(&'static str);

impl Midtrans {
    /// A client over the given connections, which must follow no redirect and repeat nothing by themselves.
    ///
    /// # Errors
    /// A notification address that is no header value.
    pub fn new(settings: Settings, http: Client) -> Result<Self, SettingsError> {
        let credentials = base64::engine::general_purpose::STANDARD.encode(format!("{}:", settings.server_key.expose()));
        let mut authorization = HeaderValue::from_str(&format!("Basic {credentials}")).map_err(|_| SettingsError("server_key"))?;
        authorization.set_sensitive(true);
        Ok(Self {
            http,
            base_url: settings.base_url.trim_end_matches('/').to_owned(),
            authorization,
            server_key: settings.server_key,
            notification_url: HeaderValue::from_str(&settings.notification_url).map_err(|_| SettingsError("notification_url"))?,
            charge_as: settings.charge_as,
        })
    }

    /// Asks for a QR of exactly this amount. The same key again within five minutes returns the same charge, whatever
    /// became of the first answer ([`idempotency_key`] makes one from the order).
    ///
    /// # Errors
    /// See [`MidtransError`]; with `effect_unknown` there may be a charge that can be paid.
    pub async fn charge(&self, request: &ChargeRequest, idempotency_key: &str) -> Result<Transaction, MidtransError> {
        let call = self
            .http
            .post(format!("{}/v2/charge", self.base_url))
            .header("X-Override-Notification", self.notification_url.clone())
            .header("Idempotency-Key", idempotency_key)
            .json(&request.body(self.charge_as));
        let (http, body) = self.answer(call).await?;
        let charge = answer::classify_charge(http, &body)?;
        about(charge, request.order_id.as_str())
    }

    /// What Midtrans says of a transaction, by its order_id or transaction_id. No more often than every 10 s an order.
    ///
    /// # Errors
    /// [`MidtransError::NotFound`] only on Midtrans' own word.
    pub async fn status(&self, id: &str) -> Result<Transaction, MidtransError> {
        let (http, body) = self.answer(self.http.get(self.path(id, "status"))).await?;
        about(answer::classify(http, &body)?, id)
    }

    /// Ends a transaction that nobody paid, by its order_id or transaction_id.
    ///
    /// # Errors
    /// [`MidtransError::CannotModify`] where it is not pending any more, paid perhaps: ask [`Midtrans::status`].
    pub async fn cancel(&self, id: &str, idempotency_key: &str) -> Result<Transaction, MidtransError> {
        let call = self.http.post(self.path(id, "cancel")).header("Idempotency-Key", idempotency_key);
        let (http, body) = self.answer(call).await?;
        about(answer::classify(http, &body)?, id)
    }

    /// The text in a charge's QR: its `qr_string`, else read from the image of its action `generate-qr-code`.
    ///
    /// # Errors
    /// [`MidtransError::Qr`] where there is no code that can be read: it will not change. Others may pass.
    pub async fn qr_payload(&self, charge: &Transaction) -> Result<String, MidtransError> {
        if let Some(payload) = &charge.qr_string {
            return Ok(payload.clone());
        }
        let url = charge.action("generate-qr-code").ok_or(QrImageError::None)?;
        // The image needs no authentication, and its host is not always the API's: the key stays here.
        let response = self.http.get(url).timeout(CALL_TIMEOUT).send().await.map_err(not_sent)?;
        let http = response.status().as_u16();
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
        let is_png = content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("image/png"));
        if !is_png || http != 200 {
            // Failure is JSON with a status_code, under HTTP 200 or not.
            let body = read(response, ANSWER_BYTES_MAX).await?.unwrap_or_default();
            return Err(match answer::classify(http, &body) {
                Err(MidtransError::NoAnswer(_)) if http == 200 => QrImageError::ContentType(content_type).into(),
                Err(error) => error,
                Ok(_) => QrImageError::ContentType(content_type).into(),
            });
        }
        let image = read(response, qr_image::IMAGE_BYTES_MAX).await?.ok_or(QrImageError::TooLarge)?;
        // Milliseconds of work, which must not hold up other orders; a reader that panics on a picture has not read it.
        let payload = tokio::task::spawn_blocking(move || qr_image::payload(&image)).await.unwrap_or(Err(QrImageError::NoQr))?;
        Ok(payload)
    }

    /// The key that notifications are signed with.
    #[must_use]
    pub fn server_key(&self) -> &ServerKey {
        &self.server_key
    }

    /// The ids' own rules leave no character in that a path would need escaped.
    fn path(&self, id: &str, call: &str) -> String {
        format!("{}/v2/{id}/{call}", self.base_url)
    }

    async fn answer(&self, call: RequestBuilder) -> Result<(u16, Vec<u8>), MidtransError> {
        let call = call.header(ACCEPT, "application/json").header(CONTENT_TYPE, "application/json");
        let response = call.header(AUTHORIZATION, self.authorization.clone()).timeout(CALL_TIMEOUT).send().await.map_err(not_sent)?;
        let http = response.status().as_u16();
        let body = read(response, ANSWER_BYTES_MAX).await?;
        let body = body.ok_or_else(|| MidtransError::NoAnswer(format!("more than {ANSWER_BYTES_MAX} bytes")))?;
        Ok((http, body))
    }
}

/// An answer about another transaction than the one asked for answers nothing.
fn about(transaction: Transaction, id: &str) -> Result<Transaction, MidtransError> {
    if transaction.order_id.as_str() == id || transaction.transaction_id.as_str() == id {
        Ok(transaction)
    } else {
        Err(MidtransError::NoAnswer(format!("asked about {id}, answered about {}", transaction.order_id)))
    }
}

/// `None` if there is more than `max` bytes of it.
async fn read(mut response: Response, max: usize) -> Result<Option<Vec<u8>>, MidtransError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| MidtransError::NoAnswer(causes(&error)))? {
        if body.len() + chunk.len() > max {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

fn not_sent(error: reqwest::Error) -> MidtransError {
    let why = causes(&error);
    if error.is_connect() || error.is_builder() { MidtransError::Unreachable(why) } else { MidtransError::NoAnswer(why) }
}

/// An error with its causes in one line; reqwest tells the reason only in the last.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
