//! `vend` and `cancel`: the work of a controller, from a terminal. With a machine's id over MQTT, else with this machine.

mod here;

use super::broker::{Broker, Connection, random_hex};
use super::machine::Bus;
use super::print;
use crate::complete;
use qris_core::order::ids::{DeviceId, RequestId};
use qris_core::order::reason::Reason;
use qris_core::order::request::TIMEOUT_S;
use qris_core::wire::status::{Presence, Status};
use qris_core::wire::topics::Topic;
use qris_core::wire::vend::{EventState, VendEvent, read_sale};
use qris_host::Failure;
use qris_host::mqtt::{Outbound, Retained};
use qris_host::qr;
use serde_json::{Map, Value};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The broker forgets a request after this time if no machine took it. So a machine that comes back later does not
/// sell to a customer who has left.
const EXPIRY_S: u32 = 30;
/// By then the broker has forgotten the request. A machine that took it at the last moment has told something by then.
const ANSWER_WAIT: Duration = Duration::from_secs(EXPIRY_S as u64 + 1);
/// A QR is shown for 14 minutes at most, and a late answer is over soon after.
const END_WAIT: Duration = Duration::from_secs(1800);
/// A customer who pays at a store has days to pay, and days to come back.
const STORE_WAIT: Duration = Duration::from_secs(31 * 24 * 3600);

/// Asks a machine to sell something.
#[derive(clap::Args, Debug)]
pub(super) struct Vend {
    /// The machine, over MQTT; the default is this machine, over D-Bus
    #[arg(long, value_name = "ID", value_parser = DeviceId::new, add = complete::machines())]
    device: Option<DeviceId>,
    /// What to sell
    #[arg(long, value_name = "ID")]
    item: String,
    /// Whole rupiah; needed if the item has no price of its own
    #[arg(long, value_name = "RUPIAH")]
    amount: Option<u64>,
    /// What the customer sees in the app, at most 50 characters
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// How it is paid: gopay (any QRIS app), alfamart or indomaret (with a code at the store)
    #[arg(long, value_name = "WAY", value_parser = ["gopay", "alfamart", "indomaret"], hide_possible_values = true)]
    payment: Option<String>,
    /// How long the QR or payment code is shown, 10 to 840 seconds
    #[arg(long, value_name = "SECONDS", value_parser = timeout())]
    timeout_s: Option<u16>,
    /// A name for this request, which was never used before; the default is a random one
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Over MQTT: show the address of the customer's page, also as a QR for a phone's camera, and wait as --wait does
    #[arg(long, requires = "device")]
    qr: bool,
    #[command(flatten)]
    following: Following,
    #[command(flatten)]
    bus: Bus,
}

/// Cancels a request.
#[derive(clap::Args, Debug)]
pub(super) struct Cancel {
    /// The machine, over MQTT; the default is this machine, over D-Bus
    #[arg(long, value_name = "ID", value_parser = DeviceId::new, add = complete::machines())]
    device: Option<DeviceId>,
    /// The request; the default is the one that holds the machine
    #[arg(value_name = "REQUEST_ID", value_parser = RequestId::new, conflicts_with = "named")]
    request_id: Option<RequestId>,
    /// The same, as `vend` takes it
    #[arg(long = "request-id", value_name = "ID", value_parser = RequestId::new)]
    named: Option<RequestId>,
    #[command(flatten)]
    following: Following,
    #[command(flatten)]
    bus: Bus,
}

/// The request to cancel, named as `vend` prints it or as `vend` takes it.
#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct Cancelled {
    /// The request
    #[arg(value_name = "REQUEST_ID", value_parser = RequestId::new)]
    request_id: Option<RequestId>,
    /// The same, as `vend` takes it
    #[arg(long = "request-id", value_name = "ID", value_parser = RequestId::new)]
    named: Option<RequestId>,
}

impl Cancelled {
    pub(super) fn id(self) -> RequestId {
        self.request_id.or(self.named).expect("one of both is required")
    }
}

#[derive(clap::Args, Debug)]
struct Following {
    /// Show what becomes of it, until it ends; exit status 0 only if it ended as wanted
    #[arg(long)]
    wait: bool,
}

fn timeout() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(i64::from(*TIMEOUT_S.start())..=i64::from(*TIMEOUT_S.end()))
}

/// Only the merchant's side asks the gateway.
const AT_THE_GATEWAY: &str = ". `qris-backend doctor`, at the merchant's server, says what is wrong with the gateway";

#[derive(Debug, thiserror::Error)]
enum EndError {
    #[error(
        "{request_id} ended {}{}: {}{}", .state.as_str(), .reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default(),
        after(.state), if .reason.as_deref() == Some(Reason::Gateway.as_str()) { AT_THE_GATEWAY } else { "" }
    )]
    Otherwise { request_id: RequestId, state: EventState, reason: Option<String> },
    /// Nobody subscribes to the topic for requests of this machine.
    #[error("no machine took it: {0} is not at this broker")]
    NotThere(DeviceId),
    /// The machine says nothing, and the broker has forgotten the request.
    #[error(
        "no machine took it: {0} sent no event in {EXPIRY_S} s. See with `qrisctl status` whether it is online. If it is, see in the \
         broker's access list whether it may read {tail} and write vend/event, and whether this user may read vend/event",
        tail = .1.tail()
    )]
    NoAnswer(DeviceId, Topic),
    #[error("{0} did not end in {s} s, and may go on. `qrisctl watch` shows it, and `qrisctl cancel {0}` ends what is not paid", s = .1.as_secs())]
    NoEnd(RequestId, Duration),
}

/// The order ended in another way than was wanted: whether money went, and what to do.
const fn after(state: &EventState) -> &'static str {
    match state {
        EventState::Refused => "nothing was begun. `qrisctl status` shows the faults of the machine, and what is sold out",
        EventState::Cancelled | EventState::Expired | EventState::Denied | EventState::Failed => {
            "nothing was paid. Whoever still wants it asks again, with a new request"
        }
        EventState::RefundDue => {
            "it was paid, and the goods did not come, or nobody knows. The merchant gives the money back: `qris-backend orders` names it"
        }
        EventState::Refunded => "the money went back",
        EventState::Dispensed => "the goods came, so there is nothing to cancel",
        EventState::Requested
        | EventState::AwaitingPayment
        | EventState::AwaitingCollection
        | EventState::Cancelling
        | EventState::Paid
        | EventState::Dispensing
        | EventState::TryingAgain
        | EventState::Other(_) => "it goes on",
    }
}

impl Vend {
    pub(super) async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        let Self { device, item, amount, description, payment, timeout_s, request_id, qr, following, bus } = self;
        let following = Following { wait: following.wait || qr };
        let request_id = match request_id {
            Some(id) => id,
            None => random_hex()?,
        };
        let mut body = Map::new();
        body.insert("request_id".into(), request_id.into());
        body.insert("item".into(), item.into());
        let options = [
            ("amount", amount.map(Value::from)),
            ("description", description.map(Value::from)),
            ("payment", payment.map(Value::from)),
            ("timeout_s", timeout_s.map(Value::from)),
        ];
        body.extend(options.into_iter().filter_map(|(key, value)| value.map(|value| (key.to_owned(), value))));
        let payload = Value::Object(body).to_string().into_bytes();
        // The machine would refuse it. So it is told here, as wrong use.
        let request = read_sale(&payload).map_err(|rejected| Failure::usage(rejected.refusal.detail.into_string()))?;
        let end_wait = if request.payment.is_over_the_counter() { STORE_WAIT } else { END_WAIT };
        let Some(device) = device else { return here::sell(&bus, &request, following.wait.then_some(end_wait), json).await };
        let to = Addressed { device, topic: Topic::VendRequest, request_id: request.request_id, end_wait, json, qr };
        following.publish(connection, to, payload, EventState::Dispensed).await
    }
}

impl Cancel {
    pub(super) async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        let Self { device, request_id, named, following, bus } = self;
        let request = request_id.or(named);
        let Some(device) = device else { return here::cancel(&bus, request, following.wait.then_some(END_WAIT), json).await };
        let request_id = match request {
            Some(request) => request,
            None => holding(connection.clone(), &device).await?,
        };
        let payload = serde_json::json!({ "request_id": request_id }).to_string().into_bytes();
        let to = Addressed { device, topic: Topic::VendCancel, request_id, end_wait: END_WAIT, json, qr: false };
        following.publish(connection, to, payload, EventState::Cancelled).await
    }
}

/// The request that holds a machine, by its status. That names one order: another one that comes meanwhile is not cancelled.
async fn holding(connection: Connection, device: &DeviceId) -> Result<RequestId, Failure> {
    let mut broker = Broker::connect(connection, vec![Topic::Status.of(device)], Retained::Always).await?;
    let told = broker.drain().await.map_err(Failure::failed)?;
    broker.leave().await;
    let Some(status) = told.iter().rev().find_map(|message| serde_json::from_slice::<Status>(&message.payload).ok()) else {
        return Err(Failure::failed(format!("{device} never told its status to this broker, or we may not read it: name the request")));
    };
    match (status.state, status.busy, status.request_id) {
        (Presence::Online, _, Some(request)) => Ok(request),
        (Presence::Online, Some(true), None) => {
            Err(Failure::failed(format!("{device} does not tell which order holds it: name the request; `qrisctl watch` shows its id")))
        }
        (Presence::Online, _, None) => Err(Failure::failed(format!("no order holds {device}: there is nothing to cancel"))),
        (Presence::Offline, ..) => Err(Failure::failed(format!("{device} is offline: nobody knows which order holds it"))),
    }
}

struct Addressed {
    device: DeviceId,
    topic: Topic,
    request_id: RequestId,
    end_wait: Duration,
    json: bool,
    qr: bool,
}

impl Following {
    async fn publish(&self, connection: Connection, to: Addressed, payload: Vec<u8>, wanted: EventState) -> Result<(), Failure> {
        if !self.wait {
            // Before it is sent: whoever is interrupted then knows which request that was.
            let id = to.request_id.as_str();
            print::line(&if to.json { serde_json::json!({ "request_id": id }).to_string() } else { id.to_owned() })?;
        }
        let filters = if self.wait { vec![Topic::VendEvent.of(&to.device)] } else { Vec::new() };
        let mut broker = Broker::connect(connection, filters, Retained::Never).await?;
        let message = Outbound { topic: to.topic.of(&to.device), payload, expiry_s: Some(EXPIRY_S), ..Outbound::default() };
        let taken = broker.publish(message).await.map_err(Failure::failed)?;
        let result = match (taken, self.wait) {
            (false, _) => Err(Failure::failed(EndError::NotThere(to.device))),
            (true, true) => follow(&mut broker, &to, wanted).await,
            (true, false) => {
                print::remark(&to.sent(&wanted));
                Ok(())
            }
        };
        broker.leave().await;
        result
    }
}

impl Addressed {
    /// It is on its way, and no more is known.
    fn sent(&self, wanted: &EventState) -> String {
        let Self { device, request_id, .. } = self;
        let what = if *wanted == EventState::Cancelled { "the cancel of" } else { "the request" };
        format!("{what} {request_id} went to {device}: `qrisctl watch --device {device}` shows what becomes of it, as --wait does")
    }
}

async fn follow(broker: &mut Broker, to: &Addressed, wanted: EventState) -> Result<(), Failure> {
    let Addressed { device, topic, request_id, end_wait, json, qr } = to;
    let start = Instant::now();
    let mut answered = false;
    loop {
        let end = start + if answered { *end_wait } else { ANSWER_WAIT };
        let event = timeout_at(end, broker.next_event()).await.map_err(|_| {
            Failure::failed(if answered {
                EndError::NoEnd(request_id.clone(), *end_wait)
            } else {
                EndError::NoAnswer(device.clone(), *topic)
            })
        })?;
        if event.request_id.as_ref() != Some(request_id) {
            continue;
        }
        answered = true;
        print::line(&if *json { json_line(&event)? } else { print::event(device.as_str(), &event) })?;
        // In JSON it is a part of the event.
        if *qr && !json {
            show(&event)?;
        }
        if event.state == wanted {
            return Ok(());
        }
        if event.state.is_end() {
            let reason = event.reason.map(|reason| reason.to_string());
            return Err(Failure::failed(EndError::Otherwise { request_id: request_id.clone(), state: event.state, reason }));
        }
    }
}

/// The customer's page, for a phone's camera and for people: it can be paid there.
fn show(event: &VendEvent) -> Result<(), Failure> {
    match &event.pay_url {
        Some(url) => {
            if let Some(code) = qr::draw(url) {
                print::line(code.trim_end())?;
            }
            print::line(&print::plain(url))
        }
        None if event.state == EventState::AwaitingPayment => {
            print::remark("there is no page for customers: http.public_url of the backend is not set");
            Ok(())
        }
        None => Ok(()),
    }
}

fn json_line(event: &VendEvent) -> Result<String, Failure> {
    serde_json::to_string(event).map_err(Failure::failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_says_whether_money_went_and_what_to_do() {
        let said = |word: &str, reason: Option<&str>| {
            let (request_id, state) = (RequestId::new("r-1").expect("an id"), EventState::from_word(word).expect("a state"));
            EndError::Otherwise { request_id, state, reason: reason.map(Into::into) }.to_string()
        };
        assert!(said("refused", Some("busy")).starts_with("r-1 ended refused (busy): nothing was begun. "));
        for unpaid in ["cancelled", "expired", "denied", "failed"] {
            assert!(said(unpaid, None).starts_with(&format!("r-1 ended {unpaid}: nothing was paid. ")), "{unpaid}");
        }
        assert!(said("refund_due", Some("late")).contains("it was paid, ") && said("refunded", None).ends_with("the money went back"));
        assert!(said("dispensed", None).ends_with("the goods came, so there is nothing to cancel"));
    }
}
