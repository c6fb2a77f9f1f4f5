//! Midtrans' Core API as the backend uses it: charge, status, cancel, refund, and the payload of a charge's QR.
//!
//! Each call is made once: nothing in here repeats, waits or remembers. [`MidtransError`] says whether it may be made
//! again and whether it may have had its effect. The owner of the order decides.

mod answer;
mod config;
mod doctor;
mod gateway;
mod qr_image;
mod request;
mod signature;
mod trial;
mod words;

pub use answer::{Action, FraudStatus, MidtransError, RefundRefusal, Transaction, TransactionStatus};
pub use config::{Account, Section};
pub use qr_image::{QrImageError, payload as read_qr};
pub use request::{Acquirer, ChargeAs, ChargeOptions, ChargeRequest, Customer, RefundDays, idempotency_key};
pub use signature::{Notification, NotificationError, ServerKey};

use base64::Engine as _;
use qris_core::order::ids::OrderId;
use qris_core::order::money::Rupiah;
use qris_core::order::request::Payment;
use qris_core::order::time::Span;
use qris_core::order::time::Wall;
use qris_host::{causes, tls};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderValue};
use reqwest::{Client, Method, Request, RequestBuilder, Response, Url};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Its name in configurations and paths.
pub const NAME: &str = "midtrans";
/// The largest answer that is read; real ones are under 2 KiB.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// How long one call may take, from connecting to the last byte. A machine waits 15 s for its QR.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The most characters of an address that are told.
const ADDRESS_CHARS_MAX: usize = 200;

/// The Midtrans environment, and the merchant's account.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `https://api.sandbox.midtrans.com` or `https://api.midtrans.com`; a slash at the end does not matter.
    pub base_url: String,
    pub server_key: ServerKey,
    /// The address where this backend takes notifications. It goes out as `X-Override-Notification` with every charge. Without
    /// one Midtrans is only asked.
    pub notification_url: Option<String>,
    pub charge: ChargeOptions,
}

/// The way to Midtrans.
pub trait Network: fmt::Debug + Send + Sync {
    /// Carries a request there and its answer back, within the request's own time limit.
    fn carry(&self, request: Request) -> Pin<Box<dyn Future<Output = Result<Response, MidtransError>> + Send>>;
}

impl Network for Client {
    fn carry(&self, request: Request) -> Pin<Box<dyn Future<Output = Result<Response, MidtransError>> + Send>> {
        let answer = self.execute(request);
        Box::pin(async { answer.await.map_err(not_sent) })
    }
}

/// The client. It is cheap to clone and to share.
#[derive(Debug, Clone)]
pub struct Midtrans {
    http: Client,
    network: Arc<dyn Network>,
    base_url: String,
    authorization: HeaderValue,
    server_key: ServerKey,
    notification_url: Option<HeaderValue>,
    charge: ChargeOptions,
    timeout: Duration,
    /// Whether its answers come over TLS, or from this computer.
    tells_time: bool,
    /// What Midtrans' clock said in the last answer.
    reported_time: Arc<Mutex<Option<Wall>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("midtrans.{0} has characters that no HTTP header can carry")]
pub struct SettingsError(&'static str);

impl Midtrans {
    /// A client that makes its requests with `http`, and sends them over `network`: mostly the same. It must follow no redirect and
    /// repeat nothing by itself.
    pub fn new(settings: Settings, http: Client, network: Arc<dyn Network>) -> Result<Self, SettingsError> {
        let credentials = base64::engine::general_purpose::STANDARD.encode(format!("{}:", settings.server_key.expose()));
        let mut authorization = HeaderValue::from_str(&format!("Basic {credentials}")).map_err(|_| SettingsError("server_key"))?;
        authorization.set_sensitive(true);
        let tells_time = is_verified(&settings.base_url);
        Ok(Self {
            http,
            network,
            base_url: settings.base_url.trim_end_matches('/').to_owned(),
            authorization,
            server_key: settings.server_key,
            notification_url: settings
                .notification_url
                .as_deref()
                .map(HeaderValue::from_str)
                .transpose()
                .map_err(|_| SettingsError("notification_url"))?,
            charge: settings.charge,
            timeout: CALL_TIMEOUT,
            tells_time,
            reported_time: Arc::default(),
        })
    }

    /// Asks for a QR of exactly this amount. The same key again within five minutes returns the same charge, even if
    /// the first answer was lost ([`idempotency_key`] makes a key from the order).
    ///
    /// # Errors
    /// See [`MidtransError`]. If it leaves the effect open, a charge may exist that can be paid. Then the charge must be repeated
    /// with its key, or cancelled, before there is another one.
    pub async fn charge(&self, request: &ChargeRequest, idempotency_key: &str) -> Result<Transaction, MidtransError> {
        let call = self.call(Method::POST, "charge").header("Idempotency-Key", idempotency_key).json(&request.body(&self.charge));
        // Without an address, the one of the dashboard counts, and nothing is lost: Midtrans is asked about each order anyway.
        let call = self.notification_url.iter().fold(call, |call, url| call.header("X-Override-Notification", url.clone()));
        let (http, body) = self.answer(call).await?;
        read_charge(http, &body, &request.order_id)
    }

    /// Midtrans' word on a transaction, by its order_id or transaction_id. It must not be asked more often than every
    /// 10 s for each order. The answer may name another order: whoever asked must judge it.
    ///
    /// # Errors
    /// [`MidtransError::NotFound`] only on Midtrans' own word.
    pub async fn status(&self, id: &str) -> Result<Transaction, MidtransError> {
        let (http, body) = self.answer(self.call(Method::GET, &format!("{id}/status"))).await?;
        read_answer(http, &body)
    }

    /// Asks about a transaction that cannot exist: [`MidtransError::NotFound`] says that the key is good. Also gives
    /// the time of Midtrans' clock.
    pub async fn probe(&self, id: &str) -> (Result<Transaction, MidtransError>, Option<Wall>) {
        let response = match self.send(self.call(Method::GET, &format!("{id}/status"))).await {
            Ok(response) => response,
            Err(error) => return (Err(error), None),
        };
        let date = date_of(&response);
        let http = response.status().as_u16();
        let answer = match read(response, ANSWER_BYTES_MAX).await {
            Ok(Some(body)) => answer::classify(http, &body),
            Ok(None) => Err(MidtransError::Unreadable(format!("more than {ANSWER_BYTES_MAX} bytes"))),
            Err(error) => Err(error),
        };
        (answer, date)
    }

    /// Ends a transaction that nobody paid, by its order_id or transaction_id. The answer may name another order.
    ///
    /// # Errors
    /// [`MidtransError::CannotModify`] if it is not pending any more, perhaps because it is paid: ask [`Midtrans::status`].
    pub async fn cancel(&self, id: &str, idempotency_key: &str) -> Result<Transaction, MidtransError> {
        let call = self.call(Method::POST, &format!("{id}/cancel")).header("Idempotency-Key", idempotency_key);
        let (http, body) = self.answer(call).await?;
        read_answer(http, &body)
    }

    /// Gives the payment back, or what is left of it. However often it is asked for with this `refund_key`, the refund is never made twice. After a
    /// refusal that get-status has confirmed, the next one needs another key: Midtrans takes a key for seven days only. The answer may
    /// name another order.
    ///
    /// # Errors
    /// [`MidtransError::RefundRefused`] if there is none. After another error it may have been made. In both cases
    /// [`Midtrans::status`] has the last word.
    pub async fn refund(
        &self,
        id: &OrderId,
        key: &str,
        amount: Option<Rupiah>,
        reason: &str,
        idempotency_key: &str,
    ) -> Result<Transaction, MidtransError> {
        let body = request::refund_body(key, amount, reason);
        let call = self.call(Method::POST, &format!("{id}/refund")).header("Idempotency-Key", idempotency_key).json(&body);
        let (http, body) = self.answer(call).await?;
        answer::classify_refund(http, &body)
    }

    /// How long a charge lives if its answer does not say.
    #[must_use]
    pub fn lifetime(&self, payment: Payment) -> Span {
        self.charge.lifetime(payment)
    }

    /// Where Midtrans has the picture of a charge's QR: at one of its hosts, or at the address of this client. Any other
    /// address is not Midtrans'. Somebody who changed the answer could make this program, and customers' phones, fetch
    /// anything.
    #[must_use]
    pub fn picture<'a>(&self, charge: &'a Transaction) -> Option<&'a str> {
        charge.picture_url().filter(|url| self.hosts_pictures(url))
    }

    fn hosts_pictures(&self, url: &str) -> bool {
        let (Ok(url), Ok(own)) = (Url::parse(url), Url::parse(&self.base_url)) else { return false };
        let Some(host) = url.host_str() else { return false };
        let listed = |known: &String| host.strip_suffix(known.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        url.scheme() == "https" && self.charge.picture_hosts.iter().any(listed)
            || url.scheme() == own.scheme() && Some(host) == own.host_str()
    }

    /// The text in a charge's QR: its `qr_string`, else read from its picture.
    ///
    /// # Errors
    /// [`MidtransError::Qr`] if there is no readable code: this will not change. Other errors may pass.
    pub async fn qr_payload(&self, charge: &Transaction) -> Result<String, MidtransError> {
        if let Some(payload) = &charge.qr_string {
            return Ok(payload.clone());
        }
        let url = charge.picture_url().ok_or(QrImageError::None)?;
        if !self.hosts_pictures(url) {
            return Err(QrImageError::Address(url.chars().take(ADDRESS_CHARS_MAX).collect()).into());
        }
        // The image needs no authentication, and its host is not always the API's. So the key is not sent.
        let response = self.send(self.http.get(url).timeout(self.timeout)).await?;
        let http = response.status().as_u16();
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
        let is_png = content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("image/png"));
        if !is_png || http != 200 {
            // Failure is JSON with a status_code, under HTTP 200 or not.
            let body = read(response, ANSWER_BYTES_MAX).await?.unwrap_or_default();
            return Err(match answer::classify(http, &body) {
                Err(MidtransError::Unreadable(_)) if http == 200 => QrImageError::ContentType(content_type).into(),
                Err(error) => error,
                Ok(_) => QrImageError::ContentType(content_type).into(),
            });
        }
        let image = read(response, qr_image::IMAGE_BYTES_MAX).await?.ok_or(QrImageError::TooLarge)?;
        // This takes milliseconds of work, which must not hold up other orders. A reader that panics on a picture has
        // not read it.
        let payload = tokio::task::spawn_blocking(move || qr_image::payload(&image)).await.unwrap_or(Err(QrImageError::NoQr))?;
        Ok(payload)
    }

    /// The key that notifications are signed with.
    #[must_use]
    pub fn server_key(&self) -> &ServerKey {
        &self.server_key
    }

    /// The parts of every call. By the ids' own rules no character needs an escape in a path.
    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}/v2/{path}", self.base_url))
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, self.authorization.clone())
            .timeout(self.timeout)
    }

    /// HTTP status and body of a complete answer.
    async fn answer(&self, call: RequestBuilder) -> Result<(u16, Vec<u8>), MidtransError> {
        let response = self.send(call).await?;
        let http = response.status().as_u16();
        self.note_time(&response);
        let body = read(response, ANSWER_BYTES_MAX).await?;
        let body = body.ok_or_else(|| MidtransError::Unreadable(format!("more than {ANSWER_BYTES_MAX} bytes")))?;
        Ok((http, body))
    }

    /// Any answer has the time.
    pub async fn ask_time(&self) -> Result<(), MidtransError> {
        let response = self.send(self.http.request(Method::HEAD, format!("{}/", self.base_url)).timeout(self.timeout)).await?;
        self.note_time(&response);
        Ok(())
    }

    fn note_time(&self, response: &Response) {
        let told = date_of(response).filter(|_| self.tells_time);
        *self.reported_time.lock().unwrap_or_else(PoisonError::into_inner) = told;
    }

    async fn send(&self, call: RequestBuilder) -> Result<Response, MidtransError> {
        self.network.carry(call.build().map_err(not_sent)?).await
    }
}

/// Reads the answer to a charge of this order. Nothing of the charge is known yet, so only our name says that it is ours.
fn read_charge(http: u16, body: &[u8], order_id: &OrderId) -> Result<Transaction, MidtransError> {
    match answer::classify_charge(http, body)? {
        transaction if transaction.order_id.as_ref() == Some(order_id) => Ok(transaction),
        Transaction { order_id: Some(other), .. } => {
            Err(MidtransError::Unreadable(format!("{order_id} was to be charged, and the answer is about {other}")))
        }
        Transaction { order_id: None, .. } => Err(MidtransError::Unreadable("an answer to a charge without our order_id".into())),
    }
}

/// Reads the answer to a get-status or a cancel. Whether it counts for the order is judged by
/// [`Order::judge`](qris_core::order::merchant::Order::judge).
pub fn read_answer(http: u16, body: &[u8]) -> Result<Transaction, MidtransError> {
    answer::classify(http, body)
}

/// Whether nobody on the way there can make an answer.
fn is_verified(address: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(address) else { return false };
    match url.scheme() {
        "https" => true,
        "http" => match url.host_str().map(|host| host.trim_matches(['[', ']'])) {
            Some("localhost") => true,
            Some(host) => host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()),
            None => false,
        },
        _ => false,
    }
}

fn date_of(response: &Response) -> Option<Wall> {
    response.headers().get(DATE).and_then(|date| Wall::from_http_date(date.to_str().ok()?).ok())
}

/// The body; `None` if it has more than `max` bytes.
async fn read(mut response: Response, max: usize) -> Result<Option<Vec<u8>>, MidtransError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| MidtransError::NoAnswer(causes::last(&error)))? {
        if body.len() + chunk.len() > max {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

fn not_sent(error: reqwest::Error) -> MidtransError {
    // The causes before the last one are words of the library, and an address.
    let why = tls::refused_dates(&error).unwrap_or_else(|| causes::last(&error));
    if error.is_connect() || error.is_builder() { MidtransError::Unreachable(why) } else { MidtransError::NoAnswer(why) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qris_host::secret::Secret;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    #[test]
    fn only_a_way_on_which_nobody_can_make_an_answer_tells_the_time() {
        for (address, tells) in [
            ("https://api.midtrans.com", true),
            ("https://pay.example", true),
            ("http://localhost:9000", true),
            ("http://127.0.0.1:9000", true),
            ("http://[::1]:9000/", true),
            ("http://pay.example", false),
            ("http://192.168.1.7:9000", false),
            ("http://localhost.example", false),
            ("localhost:9000", false),
        ] {
            assert_eq!(is_verified(address), tells, "{address}");
        }
    }

    /// A client of a server that sends this answer once, and the head of the client's request.
    async fn against(sent: &'static [u8]) -> (Midtrans, tokio::task::JoinHandle<String>) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let settings = Settings {
            base_url: format!("http://{}/", listener.local_addr().expect("an address")),
            server_key: ServerKey::new(&Secret::new("SB-Mid-server-test")),
            notification_url: Some("https://pay.example/midtrans/notifications".into()),
            charge: ChargeOptions::default(),
        };
        let http = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.expect("a request");
            stream.write_all(sent).await.expect("written");
            String::from_utf8_lossy(&head[..length]).into_owned()
        });
        (Midtrans::new(settings, http.clone(), Arc::new(http)).expect("settings"), asked)
    }

    #[tokio::test]
    async fn a_charge_carries_each_header_once() {
        let (midtrans, asked) = against(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
        let request = request::tests::request("o-1", 5_000);
        let answer = midtrans.charge(&request, &idempotency_key(&request.order_id, "charge")).await;
        assert!(matches!(answer, Err(MidtransError::Unreadable(_))), "{answer:?}");
        let asked = asked.await.expect("asked");
        let head = asked.split("\r\n\r\n").next().expect("a head").to_lowercase();
        assert!(head.starts_with("post /v2/charge http/1.1\r\n"), "{head}");
        for header in [
            "accept: application/json",
            "content-type: application/json",
            "authorization: basic u0ittwlklxnlcnzlci10zxn0og==",
            "x-override-notification: https://pay.example/midtrans/notifications",
            &format!("idempotency-key: {}", idempotency_key(&request.order_id, "charge")),
        ] {
            assert_eq!(head.lines().filter(|line| *line == header).count(), 1, "{header} in {head}");
            let name = header.split(':').next().expect("a name");
            assert_eq!(head.lines().filter(|line| line.starts_with(&format!("{name}:"))).count(), 1, "{name} in {head}");
        }
    }

    #[tokio::test]
    async fn without_an_address_a_charge_names_none() {
        let (midtrans, asked) = against(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
        let request = request::tests::request("o-1", 5_000);
        let midtrans = Midtrans { notification_url: None, ..midtrans };
        drop(midtrans.charge(&request, "key").await);
        assert!(!asked.await.expect("asked").to_lowercase().contains("notification"));
    }

    #[tokio::test]
    async fn half_an_answer_is_none() {
        for sent in
            [b"".as_slice(), b"HTTP/1.1 200", b"SMTP ready\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"status_code\":"]
        {
            let (midtrans, _asked) = against(sent).await;
            let error = midtrans.status("o-1").await.expect_err("no answer");
            assert!(matches!(error, MidtransError::NoAnswer(_)), "{error}");
        }
        // A whole answer that says nothing is another matter.
        let moved = b"HTTP/1.1 301 Moved\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        let (midtrans, _asked) = against(moved).await;
        let error = midtrans.status("o-1").await.expect_err("no answer");
        assert!(matches!(error, MidtransError::Unreadable(_)), "{error}");
    }

    #[test]
    fn a_charge_of_another_order_is_no_answer() {
        let about = |order_id: &str| {
            let fields = r#""status_code":"201","transaction_id":"t","gross_amount":"1.00","transaction_status":"pending""#;
            let body = format!("{{{order_id}{fields}}}");
            read_charge(200, body.as_bytes(), &OrderId::new("o-1").expect("an id"))
        };
        assert!(about(r#""order_id":"o-1","#).is_ok());
        for (other, why) in [(r#""order_id":"o-2","#, "about o-2"), (r#""order_id":"a b","#, "without our order_id"), ("", "without our")] {
            let error = about(other).expect_err("another");
            assert!(matches!(error, MidtransError::Unreadable(_)) && error.to_string().contains(why), "{error}");
        }
    }

    #[tokio::test]
    async fn a_picture_is_fetched_from_midtrans_and_from_nobody_else() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let hosts = ["midtrans.com", "pictures.example"].map(str::to_owned).to_vec();
        let client = |base_url: &str| {
            let settings = Settings {
                base_url: base_url.into(),
                server_key: ServerKey::new(&Secret::new("SB-Mid-server-test")),
                notification_url: Some("https://pay.example/midtrans/notifications".into()),
                charge: ChargeOptions { picture_hosts: hosts.clone(), ..ChargeOptions::default() },
            };
            Midtrans::new(settings, Client::new(), Arc::new(Client::new())).expect("settings")
        };
        let (real, near) = (client("https://api.midtrans.com"), client("http://127.0.0.1:9000"));
        for (url, at_real, at_near) in [
            ("https://api.midtrans.com/v2/gopay/x/qr-code", true, true),
            ("https://merchants-app.sandbox.midtrans.com/v4/qris/gopay/x/qr-code", true, true),
            ("https://MIDTRANS.com/x", true, true),
            ("https://pictures.example:8443/x", true, true),
            ("http://api.midtrans.com/x", false, false),
            ("https://api.midtrans.com.evil.example/x", false, false),
            ("https://evilmidtrans.com/x", false, false),
            ("https://midtrans.com@evil.example/x", false, false),
            ("https://evil.example/midtrans.com", false, false),
            ("https://169.254.169.254/latest", false, false),
            ("http://127.0.0.1:9000/qr", false, true),
            ("http://127.0.0.1:9001/qr", false, true),
            ("file:///etc/qris-backend/signing-key.json", false, false),
            ("//api.midtrans.com/x", false, false),
            ("", false, false),
        ] {
            assert_eq!((real.hosts_pictures(url), near.hosts_pictures(url)), (at_real, at_near), "{url}");
        }
    }

    #[tokio::test]
    async fn the_key_is_in_no_debug_print_and_no_error() {
        let (midtrans, _asked) = against(b"").await;
        let error = midtrans.status("o-1").await.expect_err("cut");
        let printed = format!("{midtrans:?} {error:?} {error}");
        assert!(!printed.contains("SB-Mid") && !printed.contains("U0ItTWlk"), "{printed}");
    }
}
