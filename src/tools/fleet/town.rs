//! All that is around a machine: the way to the backends, the customers, and Midtrans.

use super::board::Board;
use qris_core::order::ids::{KeyId, OrderId, RequestId, Ticket};
use qris_core::order::keys::KeySet;
use qris_core::wire::orders::ANSWER_MAX;
use qris_device::backend::{Backend, read_open, read_order};
use qris_device::words::{BackendAnswer, HttpCall, Identity};
use qris_host::http::read_limited;
use qris_sim::midtrans::Via;
use qris_sim::midtrans_http::SimulatorHandle;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Request, StatusCode};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How a machine shows itself when it asks for its open orders. It has no relay that could sign.
const NOBODY: Identity = Identity { relay_key: None, newest_event: None, taken_over: false };

/// A question to the backend.
#[derive(Debug)]
pub enum Question {
    /// For all open orders, after a connection in this wave.
    Open(u32),
    /// For one order.
    About(HttpCall),
}

/// What the machines share.
pub struct Town {
    /// What was told so far.
    pub board: Board,
    /// The keys that machines believe.
    pub keys: KeySet,
    /// The name of the one that signs.
    pub kid: KeyId,
    /// Makes `qrisd`'s requests, one for each backend.
    pub backends: Vec<Backend>,
    /// Sends them. Its connections are shared, as those of a web server in front are.
    pub http: Client,
    /// The simulated Midtrans.
    pub midtrans: SimulatorHandle,
    /// Orders whose customers pay when they are told to.
    pub later: Mutex<Vec<OrderId>>,
}

impl Town {
    /// A machine asks its backend.
    pub async fn ask(&self, machine: usize, token: &HeaderValue, question: &Question) -> BackendAnswer {
        let backend = &self.backends[machine % self.backends.len()];
        let request = match question {
            Question::Open(_) => backend.request_for_open(&NOBODY),
            Question::About(call) => backend.request(call),
        };
        let sent = async {
            let mut request = request.build()?;
            request.headers_mut().insert(AUTHORIZATION, token.clone());
            self.send(request).await
        };
        match (sent.await, question) {
            (Ok((status, headers, body)), Question::Open(_)) => read_open(status, &headers, &body),
            (Ok((status, headers, body)), Question::About(call)) => read_order(call, status, &headers, &body),
            (Err(error), _) => BackendAnswer::NoAnswer { why: error.to_string().into(), code: None, date_refusal: false },
        }
    }

    async fn send(&self, request: Request) -> Result<(StatusCode, HeaderMap, Vec<u8>), Box<dyn std::error::Error + Send + Sync>> {
        let response = self.http.execute(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok((status, headers, read_limited(response, ANSWER_MAX).await?))
    }

    /// A customer pays. Midtrans sends its notification at once.
    pub fn pay(&self, id: &OrderId) {
        self.board.note(|tally| {
            tally.unsettled += 1;
            if let Some(sale) = tally.orders.get_mut(id) {
                sale.paid = Some(Instant::now());
            }
        });
        if let Err(error) = self.midtrans.with(|midtrans, now| midtrans.pay(id.as_str(), Via::Gopay, false, now)) {
            self.board.note(|tally| tally.is_wrong(format!("{id} cannot be paid: {error:?}")));
        }
    }

    /// This customer pays when [`Town::pay_later`] is called.
    pub fn later(&self, id: OrderId) {
        self.lock().push(id);
    }

    /// The customers who have waited pay now.
    pub fn pay_later(&self) {
        let all = std::mem::take(&mut *self.lock());
        all.iter().for_each(|id| self.pay(id));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<OrderId>> {
        self.later.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new request, and the ticket that a relay would give for it.
    pub fn draw(&self) -> (RequestId, Ticket) {
        let mut bits = [[0; 16]; 2];
        bits.iter_mut().for_each(|bits| qris_host::random::fill(bits));
        (RequestId::new(&qris_core::hex(&bits[0])).expect("hexadecimal digits are allowed"), Ticket::from_random(bits[1]))
    }
}
