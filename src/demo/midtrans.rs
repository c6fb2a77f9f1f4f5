//! The controls of the simulated Midtrans: a customer's acts with the text that the phone has read, and its books.

use super::phone::Bill;
use qris_core::order::ids::OrderId;
use qris_host::http::{HttpError, Limits, client, read_limited};
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// It is on this computer, so its answers come at once.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// The largest answer that is read: its books.
const ANSWER_MAX: usize = 64 * 1024 * 1024;

/// The app with which a customer pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    Gopay,
    /// Any other app that reads QRIS.
    Qris,
}

/// Midtrans' own record of one order.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Transaction {
    pub order_id: OrderId,
    /// `pending`, `settlement`, `expire`, `cancel`, `deny`, `refund`.
    pub status: Box<str>,
    /// The amount that the customer pays, whole rupiah.
    pub gross_amount: u64,
}

impl Transaction {
    /// Was a customer's money taken? It may have gone back since.
    #[must_use]
    pub fn is_paid(&self) -> bool {
        ["settlement", "refund", "partial_refund"].contains(&&*self.status)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum MidtransError {
    /// The app says no, and no money moves.
    #[error("the payment was refused: {0}")]
    Refused(String),
    /// The money is in Midtrans' sandbox.
    #[error("this QR is of Midtrans' sandbox: pay it in Midtrans' simulator")]
    NotSimulated,
    #[error("the simulated Midtrans cannot be asked")]
    Unreachable(#[source] reqwest::Error),
    /// The client cannot be made, or the answer is too long or breaks off.
    #[error("the simulated Midtrans cannot be asked")]
    Http(#[from] HttpError),
    #[error("the simulated Midtrans answered {status}: {text}")]
    Answer { status: StatusCode, text: String },
}

#[derive(Debug, Clone)]
pub struct Midtrans {
    http: Client,
    base: Url,
}

impl Midtrans {
    pub fn new(base: Url) -> Result<Self, MidtransError> {
        let limits = Limits { total: ANSWER_WAIT, read: ANSWER_WAIT, idle_connections: 1 };
        Ok(Self { http: client(None, limits)?, base })
    }

    /// A customer pays the bill that the phone has read.
    pub async fn pay(&self, bill: &Bill, via: Via) -> Result<(), MidtransError> {
        self.take(bill, via, false).await
    }

    /// The same for a payment that was under way when the charge was cancelled. Midtrans takes it all the same.
    pub async fn pay_under_way(&self, bill: &Bill, via: Via) -> Result<(), MidtransError> {
        self.take(bill, via, true).await
    }

    async fn take(&self, bill: &Bill, via: Via, force: bool) -> Result<(), MidtransError> {
        let payment = json!({"qr": bill.payload, "via": via, "force": force});
        self.ask::<Value>(self.http.post(self.url(&["sim", "pay"])).json(&payment)).await.map(drop)
    }

    /// A payment that fails in the app: wrong PIN, or too little money.
    ///
    /// # Errors
    /// [`MidtransError::Refused`] when the app does not even try.
    pub async fn fail(&self, bill: &Bill) -> Result<(), MidtransError> {
        self.ask::<Value>(self.http.post(self.url(&["sim", "fail", &bill.payload]))).await.map(drop)
    }

    pub async fn transactions(&self) -> Result<Vec<Transaction>, MidtransError> {
        self.ask(self.http.get(self.url(&["sim", "transactions"]))).await
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, MidtransError> {
        let response = request.send().await.map_err(MidtransError::Unreachable)?;
        let status = response.status();
        let body = read_limited(response, ANSWER_MAX).await?;
        match serde_json::from_slice(&body) {
            Ok(answer) if status.is_success() => Ok(answer),
            _ => {
                let refused = serde_json::from_slice::<Value>(&body).ok().and_then(|value| Some(value.get("error")?.as_str()?.to_owned()));
                match refused {
                    Some(reason) => Err(MidtransError::Refused(reason)),
                    None => Err(MidtransError::Answer { status, text: String::from_utf8_lossy(&body).chars().take(200).collect() }),
                }
            }
        }
    }

    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut().expect("an http address has a path").clear().extend(segments);
        url
    }
}
