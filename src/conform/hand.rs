//! The payer.

use crate::report::{Stop, different};
use qris_host::config::http_url;
use qris_host::http::{Limits, client, read_limited};
use reqwest::Client;
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;

/// A simulator answers at once.
const ANSWER_WAIT: Duration = Duration::from_secs(15);
/// This much of its answer is read: its books, and all calls that it has had.
const ANSWER_BYTES_MAX: usize = 64 << 20;

#[derive(Debug)]
pub enum Hand {
    /// The controls of a simulated Midtrans.
    Simulator(Client, String),
    /// A command of the shell.
    Command(String),
    /// A person who reads the QR.
    Person,
    /// Nobody.
    None,
}

impl Hand {
    /// Pays at a simulated Midtrans.
    ///
    /// # Errors
    /// Why there is no simulator at this address, in words.
    pub fn simulator(url: &str) -> Result<Self, String> {
        let url = http_url(url).map_err(|error| error.to_string())?;
        let limits = Limits { total: ANSWER_WAIT, read: ANSWER_WAIT, idle_connections: 1 };
        Ok(Self::Simulator(client(None, limits).map_err(|error| error.to_string())?, url))
    }

    /// Does it pay at once, without a person?
    pub fn is_quick(&self) -> bool {
        match self {
            Self::Simulator(..) | Self::Command(_) => true,
            Self::Person | Self::None => false,
        }
    }

    /// Asks the controls of a simulated Midtrans (`/sim/…`): with a body by POST, without one by GET.
    ///
    /// # Errors
    /// There is no simulator, or it refuses.
    pub async fn control(&self, path: &str, body: Option<&Value>) -> Result<Value, Stop> {
        let Self::Simulator(client, url) = self else { return Err(Stop::NotRun("--simulator is missing".into())) };
        let url = format!("{url}/sim/{path}");
        let request = body.map_or_else(|| client.get(&url), |body| client.post(&url).json(body));
        let no_answer = |why: String| Stop::NotRun(format!("--simulator: {path}: {why}"));
        let response = request.send().await.map_err(|error| no_answer(error.to_string()))?;
        let status = response.status();
        let body = read_limited(response, ANSWER_BYTES_MAX).await.map_err(|error| no_answer(error.to_string()))?;
        if !status.is_success() {
            return Err(no_answer(status.to_string()));
        }
        serde_json::from_slice(&body).map_err(|error| no_answer(error.to_string()))
    }

    /// Lets the gateway refuse the next charge for good, with this code and these words.
    ///
    /// # Errors
    /// Only a simulator does that.
    pub async fn refuse(&self, code: u16, words: &str) -> Result<(), Stop> {
        let fault = json!({ "fault": "error", "on": "charge", "code": code, "message": words, "count": 1 });
        self.control("faults", Some(&fault)).await.map(drop)
    }

    /// Pays an order, and answers whether the payment was taken. A person is only asked to pay;
    /// then the order tells.
    ///
    /// # Errors
    /// There is no hand, or it cannot be used.
    pub async fn pay(&self, order: &Value) -> Result<bool, Stop> {
        let field = |name: &str| order[name].as_str().unwrap_or_default().to_owned();
        match self {
            Self::Simulator(client, url) => {
                let request = client.post(format!("{url}/sim/pay/{}?via=qris", field("order_id")));
                let response = request.send().await.map_err(|error| Stop::NotRun(format!("--simulator: {error}")))?;
                let status = response.status().as_u16();
                let body = read_limited(response, 1 << 16).await.unwrap_or_default();
                match status {
                    200..=299 => Ok(true),
                    409 => Ok(false),
                    _ => Err(Stop::NotRun(format!("--simulator: {status} {}", String::from_utf8_lossy(&body)))),
                }
            }
            Self::Command(command) => {
                let mut shell = std::process::Command::new("/bin/sh");
                shell
                    .args(["-c", command])
                    .env("ORDER_ID", field("order_id"))
                    .env("QR", field("qr_payload"))
                    .env("PAYMENT_CODE", field("payment_code"));
                shell.env("AMOUNT", order["gross_amount"].to_string()).stdin(Stdio::null());
                let status = tokio::task::spawn_blocking(move || shell.status()).await;
                match status {
                    Ok(Ok(status)) => Ok(status.success()),
                    Ok(Err(error)) => Err(Stop::NotRun(format!("--pay: {error}"))),
                    Err(_) => Err(different("an end of the command", "none")),
                }
            }
            Self::Person => {
                println!("pay {} rupiah now: {}{}", order["gross_amount"], field("qr_payload"), field("payment_code"));
                Ok(true)
            }
            Self::None => Err(Stop::NotRun("nobody pays: --simulator, --pay or --interactive is missing".into())),
        }
    }
}
