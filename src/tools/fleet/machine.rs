//! One machine, as the broker and the backend see it. The connection to the broker, the questions to the backend and the check of a
//! receipt are those of `qrisd` itself. It has no relay, screen or database: it keeps its orders in memory.

use super::board::Sale;
use super::stock::Shelf;
use super::town::{Question, Town};
use qris_core::order::ids::{DeviceId, ItemId, OrderId, RequestId, Ticket};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Delivery;
use qris_core::order::reason::Reason;
use qris_core::order::request::{Payment, Purchase};
use qris_core::order::tries::TryNumber;
use qris_core::wire::orders::{NewOrder, OrderResource, OutcomeReport};
use qris_core::wire::payment::PaymentUpdate;
use qris_core::wire::settings::Reported;
use qris_core::wire::status::{Presence, Status};
use qris_core::wire::telemetry::EVERY_S;
use qris_core::wire::topics::Topic;
use qris_device::words::{BackendAnswer, HttpCall, Notice};
use qris_host::backoff::Backoff;
use qris_host::clock;
use qris_host::mqtt::{LinkSettings, Mqtt, MqttEvent, PublishId};
use reqwest::header::HeaderValue;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What is sold, and its price.
pub const ITEM: &str = "A1";
/// Its price, whole rupiah.
pub const PRICE: u64 = 5_000;
/// How long a QR is shown. Nothing here waits for its end.
const TIMEOUT_S: u16 = 840;
/// With a broker, a machine asks the backend about a payment from this time on.
const ASK_AFTER: Duration = Duration::from_secs(10);
/// A customer without a QR leaves after this time. `qrisd` gives up after 15 s; here, one computer plays all of them and may be slow.
const LEAVES_AFTER: Duration = Duration::from_secs(60);
/// What a machine reports of itself, as long as it mostly is, without its time: it always is of now.
const TELEMETRY: &str = r#"{"v": 1, "number": 41, "stream": "fleet", "ended": [], "waiting": 0,
 "sums": {"dispensed": 9120, "dispensed_amount": 45600000, "refund_due": 7, "refund_due_amount": 35000, "refunded": 1,
 "refunded_amount": 5000, "unpaid": 812},
 "qr_ms": [0, 3, 9, 1, 0, 0, 0, 0], "delivery_ms": [0, 0, 13, 0, 0, 0, 0, 0], "connections": 1, "running_s": 86400,
 "vitals": {"uptime_s": 86420, "memory_free_kib": 312000, "disk_free_bytes": 9000000000, "clock_synchronized": true}}"#;
/// The most events of the connection that may wait.
const EVENTS: usize = 16;

/// What its customer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Customer {
    /// Pays at once, and waits for the goods.
    Pays,
    /// Pays when it is told to, and waits.
    PaysLater,
    /// Pays when it is told to, and has left when the receipt comes.
    PaysAndLeaves,
    /// Looks, and does not pay.
    Browses,
}

/// What happens to a machine.
#[derive(Debug)]
pub enum Input {
    /// A customer comes.
    Sell(Customer),
    /// Its network is gone, and nobody is told.
    Leave,
    /// Its network is there again.
    Return,
    /// What is not paid is cancelled.
    CancelUnpaid,
    /// The backend has answered.
    Answer(Box<Question>, BackendAnswer),
    /// The receipt of this order is late.
    Impatient(OrderId),
}

/// A customer who waits for a QR.
#[derive(Debug)]
struct Request {
    ticket: Ticket,
    customer: Customer,
    leaves_at: Instant,
}

/// An order on the machine.
#[derive(Debug)]
struct Waiting {
    request: RequestId,
    ticket: Ticket,
    customer: Customer,
    rev: u64,
    receipt: Option<Box<str>>,
    is_over: bool,
}

/// A machine before it runs.
pub struct Machine {
    /// From 0.
    pub number: usize,
    /// Its name.
    pub device: DeviceId,
    /// `Bearer …`
    pub token: HeaderValue,
    /// Its connection.
    pub link: LinkSettings,
    /// All that is around it.
    pub town: Arc<Town>,
}

struct Running {
    of: Machine,
    inbox: mpsc::WeakUnboundedSender<Input>,
    mqtt: Option<Mqtt>,
    events: mpsc::Receiver<MqttEvent>,
    published: u64,
    asks: Backoff,
    requests: HashMap<RequestId, Request>,
    orders: HashMap<OrderId, Waiting>,
    shelf: Shelf,
}

impl Machine {
    /// Its life, until nobody can tell it anything any more. `inbox` is the other end of `inputs`.
    pub async fn run(self, mut inputs: mpsc::UnboundedReceiver<Input>, inbox: mpsc::WeakUnboundedSender<Input>) {
        let asks = Backoff::new(self.device.as_str());
        let (mqtt, events) = Mqtt::start(self.link.clone(), EVENTS);
        let (requests, orders, shelf) = (HashMap::new(), HashMap::new(), Shelf::of(self.number));
        let mut running = Running { of: self, inbox, mqtt: Some(mqtt), events, published: 0, asks, requests, orders, shelf };
        loop {
            tokio::select! {
                event = running.events.recv(), if running.mqtt.is_some() => match event {
                    Some(event) => running.heard(event),
                    None => return,
                },
                input = inputs.recv() => match input {
                    Some(input) => running.take(input),
                    None => return,
                },
            }
        }
    }
}

impl Running {
    fn take(&mut self, input: Input) {
        match input {
            Input::Sell(customer) => self.sell(customer),
            Input::Leave => self.mqtt = None,
            Input::Return => {
                let (mqtt, events) = Mqtt::start(self.of.link.clone(), EVENTS);
                (self.mqtt, self.events) = (Some(mqtt), events);
            }
            Input::CancelUnpaid => {
                let unpaid: Vec<_> = self.waiting().map(|(id, _)| id.clone()).collect();
                unpaid.into_iter().for_each(|id| self.ask(HttpCall::Cancel(id), Duration::ZERO));
            }
            // Nothing comes through while the network is gone. It asks again when it is back.
            Input::Answer(..) | Input::Impatient(_) if self.mqtt.is_none() => {}
            Input::Answer(question, answer) => self.answered(*question, answer),
            Input::Impatient(id) => self.watch(&id, Duration::ZERO),
        }
    }

    fn waiting(&self) -> impl Iterator<Item = (&OrderId, &Waiting)> {
        self.orders.iter().filter(|(_, order)| order.receipt.is_none() && !order.is_over)
    }

    fn heard(&mut self, event: MqttEvent) {
        match event {
            MqttEvent::Up { refused, .. } => {
                let wave = self.of.town.board.lock().wave();
                for (filter, why) in refused {
                    self.wrong(format!("the broker refuses {filter}: {why}"));
                }
                let at = Some(clock::now().wall.to_rfc3339().into());
                // The observer knows by this when the machine connected.
                let status = Status {
                    state: Presence::Online,
                    name: None,
                    version: Some(env!("CARGO_PKG_VERSION").into()),
                    relay: None,
                    boot_id: Some(wave.to_string().into()),
                    stream: Some("fleet".into()),
                    at,
                    busy: Some(false),
                    sold_out: Some(Vec::new()),
                    faults: Some(Vec::new()),
                    report_every_s: Some(EVERY_S),
                    commands: Some(Vec::new()),
                };
                self.publish(Notice::Status, serde_json::to_vec(&status).expect("plain data"));
                self.publish(Notice::Settings, serde_json::to_vec(&Reported::default()).expect("plain data"));
                self.publish(Notice::Telemetry, TELEMETRY.into());
                self.tell_stock();
                self.ask_about(Question::Open(wave), Duration::ZERO);
            }
            MqttEvent::Message(message) => {
                if let Some((_, Topic::PaymentUpdate)) = Topic::parse(&message.topic) {
                    match PaymentUpdate::read(&message.payload) {
                        Ok(PaymentUpdate { receipt: Some(jws), .. }) => self.receipt(&jws, Some(Instant::now())),
                        Ok(PaymentUpdate { receipt: None, .. }) => {}
                        Err(refusal) => self.wrong(format!("payment/update: {}", refusal.detail)),
                    }
                }
                if let Some(mqtt) = &self.mqtt {
                    mqtt.ack(message.ack);
                }
            }
            MqttEvent::Rejected { reason, .. } => self.wrong(format!("the broker refuses a message: {reason}")),
            MqttEvent::Down { refused: true, reason, .. } => self.wrong(format!("the broker refuses it: {reason}")),
            MqttEvent::Down { .. } | MqttEvent::Delivered { .. } | MqttEvent::Undelivered(_) => {}
        }
    }

    fn publish(&mut self, notice: Notice, payload: Vec<u8>) {
        self.published += 1;
        if let Some(mqtt) = &self.mqtt {
            mqtt.publish(PublishId(self.published), qris_device::broker::outbound(&self.of.device, notice, payload));
        }
    }

    fn tell_stock(&mut self) {
        let (number, slots) = (self.of.number, self.shelf.slots());
        self.of.town.board.note(|tally| tally.stock[number] = slots);
        self.publish(Notice::Stock, self.shelf.told());
    }

    fn sell(&mut self, customer: Customer) {
        let (request, ticket) = self.of.town.draw();
        let leaves_at = Instant::now() + LEAVES_AFTER;
        self.requests.insert(request.clone(), Request { ticket: ticket.clone(), customer, leaves_at });
        let new = NewOrder {
            purchase: Purchase {
                request_id: request,
                ticket,
                item: ItemId::new(ITEM).expect("an item"),
                asked: None,
                description: None,
                machine: None,
                amount: Rupiah::new(PRICE).expect("an amount"),
                payment: Payment::Gopay,
                timeout_s: TIMEOUT_S,
            },
            kids: vec![self.of.town.kid.clone()],
            relay_key: None,
        };
        self.ask(HttpCall::Create(Box::new(new)), Duration::ZERO);
    }

    fn ask(&self, call: HttpCall, after: Duration) {
        self.ask_about(Question::About(call), after);
    }

    fn ask_about(&self, question: Question, after: Duration) {
        let Some(inbox) = self.inbox.upgrade() else { return };
        let (town, token, number) = (Arc::clone(&self.of.town), self.of.token.clone(), self.of.number);
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let answer = town.ask(number, &token, &question).await;
            // The machine may be gone.
            let _ = inbox.send(Input::Answer(Box::new(question), answer));
        });
    }

    fn answered(&mut self, question: Question, answer: BackendAnswer) {
        let again = match &answer {
            BackendAnswer::NoAnswer { why, .. } => {
                self.of.town.board.note(|tally| {
                    tally.unanswered += 1;
                    tally.why_unanswered.clone_from(why);
                });
                Some(self.asks.next_wait())
            }
            BackendAnswer::Later(_, after) => Some(after.to_duration()),
            _ => {
                self.asks.reset();
                None
            }
        };
        let has_left =
            |new: &NewOrder| self.requests.get(&new.purchase.request_id).is_some_and(|request| request.leaves_at <= Instant::now());
        match (again, &question) {
            // Such a charge is not tried for ever: the backend makes no further attempt at it.
            (Some(_), Question::About(HttpCall::Create(new))) if has_left(new) => return self.refused(&new.purchase.request_id),
            (Some(after), _) => return self.ask_about(question, after),
            (None, _) => {}
        }
        match (question, answer) {
            (Question::Open(wave), BackendAnswer::Open(orders)) => {
                orders.iter().filter_map(|order| order.receipt.as_deref()).for_each(|jws| self.receipt(jws, None));
                let late: Vec<_> = self.waiting().map(|(id, _)| id.clone()).collect();
                late.iter().for_each(|id| self.watch(id, Duration::ZERO));
                let number = self.of.number;
                self.of.town.board.note(|tally| tally.machine_answered(number, wave));
            }
            (Question::About(HttpCall::Create(_)), BackendAnswer::Order(order)) => self.shown(*order),
            (Question::About(HttpCall::Create(new)), BackendAnswer::Refused(_)) => self.refused(&new.purchase.request_id),
            (Question::About(HttpCall::Watch(..) | HttpCall::Get(_) | HttpCall::Cancel(_)), BackendAnswer::Order(order)) => {
                self.seen(&order)
            }
            (Question::About(HttpCall::Tell(id, report)), BackendAnswer::Order(_)) => self.of.town.board.note(|tally| {
                let Some(sale) = tally.orders.get_mut(&id) else { return };
                if sale.reported.replace(report.outcome).is_none() {
                    tally.unsettled -= 1;
                }
            }),
            (question, answer) => self.wrong(format!("{question:?} is answered {answer:?}")),
        }
    }

    /// The customer sees no QR.
    fn refused(&mut self, request: &RequestId) {
        self.requests.remove(request);
        self.of.town.board.note(|tally| {
            tally.asking -= 1;
            tally.refused += 1;
        });
    }

    /// The customer sees the QR.
    fn shown(&mut self, order: OrderResource) {
        let Some(Request { ticket, customer, .. }) = self.requests.remove(&order.request_id) else {
            return self.wrong(format!("{} is answered twice", order.request_id));
        };
        if order.qr_payload.is_none() {
            self.wrong(format!("{} has no QR", order.order_id));
        }
        let OrderResource { order_id: id, rev, request_id: request, .. } = order;
        self.orders.insert(id.clone(), Waiting { request, ticket, customer, rev, receipt: None, is_over: false });
        self.of.town.board.note(|tally| tally.orders.insert(id.clone(), Sale::default()));
        match customer {
            Customer::Pays => self.of.town.pay(&id),
            Customer::PaysLater | Customer::PaysAndLeaves => self.of.town.later(id.clone()),
            Customer::Browses => {}
        }
        // The last step: in between, a sale would be neither asked for nor unsettled, and its machine could lose its network in mid-sale.
        self.of.town.board.note(|tally| tally.asking -= 1);
        let Some(inbox) = self.inbox.upgrade() else { return };
        tokio::spawn(async move {
            tokio::time::sleep(ASK_AFTER).await;
            // The machine may be gone.
            let _ = inbox.send(Input::Impatient(id));
        });
    }

    /// Waits at the backend for news of an order, if it still needs some.
    fn watch(&self, id: &OrderId, after: Duration) {
        if let Some(order) = self.orders.get(id).filter(|order| order.receipt.is_none() && !order.is_over) {
            self.ask(HttpCall::Watch(id.clone(), order.rev), after);
        }
    }

    fn seen(&mut self, order: &OrderResource) {
        use qris_core::order::state::Status as At;
        if let Some(jws) = &order.receipt {
            return self.receipt(jws, None);
        }
        let Some(waiting) = self.orders.get_mut(&order.order_id) else { return };
        waiting.rev = waiting.rev.max(order.rev);
        match &order.status {
            At::Pending => self.watch(&order.order_id, Duration::ZERO),
            At::Settlement | At::Refund => {}
            At::Expire | At::Cancel | At::Deny | At::Failure | At::Other(_) => {
                waiting.is_over = true;
                self.of.town.board.note(|tally| {
                    if let Some(sale) = tally.orders.get_mut(&order.order_id) {
                        sale.ended = true;
                    }
                });
            }
        }
    }

    /// A receipt came. `brought`: when the broker brought it.
    fn receipt(&mut self, jws: &str, brought: Option<Instant>) {
        let receipt = match self.of.town.keys.verify(jws, &self.of.device) {
            Ok(receipt) => receipt,
            Err(error) => return self.wrong(format!("a receipt is not good: {error}")),
        };
        let claims = receipt.claims();
        let Some(order) = self.orders.get_mut(&claims.sub) else {
            return self.wrong(format!("a receipt for {}, which this machine does not have", claims.sub));
        };
        if order.ticket != claims.ticket || order.request != claims.jti || claims.amount.get() != PRICE {
            return self.wrong(format!("the receipt for {} is for another sale", claims.sub));
        }
        match &order.receipt {
            Some(known) if **known == *jws => return,
            Some(_) => return self.wrong(format!("two receipts for {}", claims.sub)),
            None => order.receipt = Some(jws.into()),
        }
        let is_late = order.customer == Customer::PaysAndLeaves;
        let (outcome, reason) = if is_late { (Delivery::Undelivered, Some(Reason::Late)) } else { (Delivery::Dispensed, None) };
        self.of.town.board.note(|tally| match tally.orders.get_mut(&claims.sub) {
            Some(sale) if sale.receipt.is_none() => {
                sale.receipt = Some(jws.into());
                sale.took = brought.zip(sale.paid).map(|(at, paid)| at.saturating_duration_since(paid));
            }
            Some(_) | None => tally.is_wrong(format!("{} was delivered twice", claims.sub)),
        });
        if outcome == Delivery::Dispensed {
            self.shelf.sell();
            self.tell_stock();
        }
        self.ask(
            HttpCall::Tell(claims.sub.clone(), OutcomeReport { nth_try: TryNumber::FIRST, outcome, reason, detail: None, proof: None }),
            Duration::ZERO,
        );
    }

    fn wrong(&self, what: String) {
        self.of.town.board.note(|tally| tally.is_wrong(format!("{}: {what}", self.of.device)));
    }
}
