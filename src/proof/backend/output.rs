//! The output of the program: its calls to Midtrans, its answers, its writes.

use super::database::Watch;
use crate::midtrans;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};
use qris_backend::midtrans::{MidtransError, Network};
use qris_backend::sale::books::{self, BooksError, Stored};
use qris_backend::store::{StoreError, Tx};
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::Call;
use qris_device::words::BackendAnswer;
use qris_host::events::Event as Journal;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

const PNG: &[u8] = b"\x89PNG";

#[derive(Debug)]
pub(crate) enum Effect<C> {
    AsksMidtrans(Box<MidtransCall>),
    /// It answers a machine.
    Answers(C, BackendAnswer),
    /// It answers a notification, with this HTTP status.
    Answered(u64, u16),
    /// Something is in its outbox.
    HasNews,
    IsDue,
    Wrote(Box<Stored>),
    Journal(Box<Journal>),
    /// It was killed in the middle of its work with the database.
    Dies,
}

#[derive(Debug)]
pub(crate) struct MidtransCall {
    /// `None`: it fetches the picture of a QR.
    pub(crate) call: Option<Call>,
    /// The order; of a picture the name that Midtrans gave it.
    pub(crate) id: OrderId,
    pub(crate) request: midtrans::Request,
    /// Without it the program waits as long as it does by itself.
    pub(crate) reply: ReplyTo,
}

#[derive(Debug)]
pub(crate) struct ReplyTo(oneshot::Sender<Result<(u16, Vec<u8>), MidtransError>>);

impl ReplyTo {
    /// Hands over the answer, or why there is none. Tells whether somebody still waits for it.
    pub(crate) fn send(self, answer: Result<(u16, Vec<u8>), MidtransError>) -> bool {
        self.0.send(answer).is_ok()
    }
}

pub(super) struct Output<C> {
    effects: Mutex<VecDeque<Effect<C>>>,
    pub(super) bell: Notify,
}

impl<C> Default for Output<C> {
    fn default() -> Self {
        Self { effects: Mutex::default(), bell: Notify::new() }
    }
}

impl<C> Output<C> {
    pub(super) fn effects(&self) -> MutexGuard<'_, VecDeque<Effect<C>>> {
        self.effects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, effect: Effect<C>) {
        self.effects().push_back(effect);
        self.bell.notify_one();
    }
}

pub(super) struct ToMidtrans<C>(pub(super) Arc<Output<C>>);

impl<C> std::fmt::Debug for ToMidtrans<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ToMidtrans")
    }
}

impl<C: Send + 'static> Network for ToMidtrans<C> {
    fn carry(&self, request: reqwest::Request) -> Pin<Box<dyn Future<Output = Result<reqwest::Response, MidtransError>> + Send>> {
        let output = Arc::clone(&self.0);
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            output.put(Effect::AsksMidtrans(Box::new(asked(&request, ReplyTo(reply)))));
            let arrives = async {
                match answer.await {
                    Ok(answer) => answer.map(|(http, body)| {
                        let is_picture = body.starts_with(PNG);
                        let mut response = Response::new(body);
                        if is_picture {
                            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("image/png"));
                        }
                        *response.status_mut() = StatusCode::from_u16(http).expect("a status");
                        response.into()
                    }),
                    // It was lost on its way: silence.
                    Err(_) => std::future::pending().await,
                }
            };
            let within = request.timeout().copied().expect("each call has a time limit");
            timeout(within, arrives).await.unwrap_or_else(|_| Err(MidtransError::NoAnswer("nothing in time".into())))
        })
    }
}

/// A request in the form for the simulated Midtrans, with its kind.
fn asked(request: &reqwest::Request, reply: ReplyTo) -> MidtransCall {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(Into::into);
    let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default().to_vec();
    let path = request.url().path();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let (id, call) = match segments[..] {
        ["v2", id, "status"] => (id.to_owned(), Some(Call::GetStatus)),
        ["v2", id, "cancel"] => (id.to_owned(), Some(Call::Cancel)),
        ["v2", id, "refund"] => (id.to_owned(), Some(Call::Refund)),
        ["v2", "charge"] => {
            let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            (body["transaction_details"]["order_id"].as_str().expect("an order_id").to_owned(), Some(Call::Charge))
        }
        [.., name, "qr-code"] => (name.to_owned(), None),
        _ => panic!("no call to Midtrans: {path}"),
    };
    let request = midtrans::Request {
        method: request.method().to_string(),
        path: path.into(),
        authorization: header("Authorization"),
        idempotency_key: header("Idempotency-Key"),
        override_notification: header("X-Override-Notification"),
        body,
        ..midtrans::Request::default()
    };
    MidtransCall { call, id: OrderId::new(&id).expect("an order_id"), request, reply }
}

pub(super) struct Reader<C> {
    pub(super) output: Arc<Output<C>>,
    pub(super) runs: Box<dyn Fn() -> bool + Send + Sync>,
    /// The last line of the history that was read.
    pub(super) line: Arc<Mutex<i64>>,
}

impl<C: Send> Watch for Reader<C> {
    fn done(&self, tx: &mut dyn Tx, writes: bool) -> bool {
        if !(self.runs)() {
            self.output.put(Effect::Dies);
            return false;
        }
        if writes {
            let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            // If the disk does not let us read, the next look finds it.
            if let Ok((written, last)) = written_since(tx, *line) {
                *line = last;
                written.into_iter().for_each(|stored| self.output.put(Effect::Wrote(Box::new(stored))));
            }
        }
        true
    }
}

/// The orders that were written since a line of the history, in their present state, and the newest
/// line.
fn written_since(tx: &mut dyn Tx, line: i64) -> Result<(Vec<Stored>, i64), BooksError> {
    let rows = tx.rows("SELECT max(seq) AS seq, order_id FROM history WHERE seq > $1 GROUP BY order_id ORDER BY 1", &[line.into()])?;
    let mut written = Vec::new();
    for row in &rows {
        let id =
            OrderId::new(row.text("order_id")?).map_err(|error| StoreError::Damaged { what: "history".into(), why: error.to_string() })?;
        written.extend(books::load(tx, &id)?);
    }
    Ok((written, rows.last().map_or(Ok(line), |row| row.int("seq"))?))
}
