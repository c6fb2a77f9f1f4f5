//! Watches the world for the demo: the broker's messages, the panel's pixels, the relay line.

use super::captions::{self, Bilingual};
use super::chronicle::{Chronicle, EntryKind, Who};
use super::language::{self, Desk, Language};
use super::panel::{Frame, Panel};
use super::phone::{self, Bill};
use qris_core::order::ids::{DeviceId, OrderId, RequestId};
use qris_core::order::reason::Reason;
use qris_core::order::request::Refusal;
use qris_core::order::tries::OFFERED_FOR;
use qris_core::wire::payment::PaymentUpdate;
use qris_core::wire::settings::Reported;
use qris_core::wire::status::{Fault, Presence, Status};
use qris_core::wire::topics::{PROBE, Topic};
use qris_core::wire::vend::{EventState, VendEvent};
use qris_host::mqtt::{Inbound, Mqtt, MqttEvent};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// Pixels and the line are looked at this often. They are hardware: nobody tells when they change.
const GLANCE: Duration = Duration::from_millis(25);
/// The last events of this many orders are kept; the oldest go.
const ORDERS_MAX: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct View {
    /// Counts up with every change of the panel's pixels.
    pub frame: u64,
    pub power: bool,
    /// Is a relay line driven?
    pub driven: bool,
    /// Pulses so far: rising edges of all lines.
    pub pulses: u64,
    /// The bill that the phone's camera reads off the panel.
    pub bill: Option<Bill>,
    /// Is the machine connected to the broker?
    pub online: bool,
    pub faults: Vec<Fault>,
    pub networks: Standing,
    /// Does the machine have a connection to the broker right now? The broker notices a missing connection only after a
    /// while.
    pub connected: bool,
}

/// The networks that are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Standing {
    pub broker: bool,
    pub backend: bool,
    pub midtrans: bool,
}

impl Default for Standing {
    fn default() -> Self {
        Self { broker: true, backend: true, midtrans: true }
    }
}

/// The state that the watchers share with the rest of the demo.
#[derive(Debug)]
pub struct Watched {
    pub chronicle: Arc<Chronicle>,
    pub view: watch::Sender<View>,
    /// The machine's last word on every order.
    ends: Mutex<BTreeMap<OrderId, (EventState, Option<Reason>)>>,
    /// The request of which nothing came last, and when.
    nothing_came: Mutex<Option<(RequestId, Instant)>>,
}

impl Watched {
    #[must_use]
    pub fn new() -> Self {
        Self {
            chronicle: Arc::new(Chronicle::new()),
            view: watch::Sender::new(View::default()),
            ends: Mutex::default(),
            nothing_came: Mutex::default(),
        }
    }

    /// Changes the view. A view that stays the same wakes nobody.
    pub fn change_view(&self, change: impl FnOnce(&mut View)) {
        self.view.send_if_modified(|view| {
            let before = view.clone();
            change(view);
            *view != before
        });
    }

    /// The request of which nothing came just now. The machine may offer another try at it.
    #[must_use]
    pub fn nothing_came(&self) -> Option<RequestId> {
        let last = self.nothing_came.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref()
            .filter(|(_, at)| at.elapsed() < Duration::from_millis(OFFERED_FOR.0.unsigned_abs()))
            .map(|(request, _)| request.clone())
    }

    /// The same. From now on its customer wants no other try.
    pub fn decline(&self) -> Option<RequestId> {
        let owed = self.nothing_came();
        *self.nothing_came.lock().unwrap_or_else(PoisonError::into_inner) = None;
        owed
    }

    fn hear(&self, event: &VendEvent) {
        let Some(request) = event.request_id.clone().filter(|_| event.seq.is_some()) else { return };
        let owed = event.state == EventState::RefundDue && event.reason != Some(Reason::Uncertain);
        *self.nothing_came.lock().unwrap_or_else(PoisonError::into_inner) = owed.then(|| (request, Instant::now()));
    }

    #[must_use]
    pub fn last_reported(&self) -> BTreeMap<OrderId, (EventState, Option<Reason>)> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the machine's word on an order. A word on D-Bus comes over the broker once more, and later: an earlier word
    /// does not undo an end.
    pub fn keep(&self, order_id: &OrderId, state: EventState, reason: Option<Reason>) {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_end() || !ends.get(order_id).is_some_and(|(before, _)| before.is_end()) {
            ends.insert(order_id.clone(), (state, reason));
        }
        if ends.len() > ORDERS_MAX {
            ends.pop_first();
        }
    }
}

impl Default for Watched {
    fn default() -> Self {
        Self::new()
    }
}

/// Carries the broker's messages into the chronicle, until the connection is stopped. `up` is told the first connection, and `desk` what
/// the machine says of its settings.
pub async fn broker(
    watched: Arc<Watched>,
    mqtt: Mqtt,
    mut events: mpsc::Receiver<MqttEvent>,
    up: watch::Sender<bool>,
    desk: Arc<Mutex<Desk>>,
) {
    while let Some(event) = events.recv().await {
        match event {
            MqttEvent::Up { .. } => {
                up.send_replace(true);
            }
            MqttEvent::Down { reason, .. } => {
                watched.chronicle.note(Who::Demo, format!("broker connection lost: {reason}"), EntryKind::Log)
            }
            MqttEvent::Message(message) => {
                match Topic::parse(&message.topic) {
                    Some((device, Topic::ConfigReported)) => take_settings(&watched, &message, &desk, &mqtt, &device),
                    _ => take(&watched, &message),
                }
                mqtt.ack(message.ack);
            }
            MqttEvent::Delivered { .. } => {}
            MqttEvent::Rejected { reason, .. } => {
                watched.chronicle.note(Who::Demo, format!("the broker refused it: {reason}"), EntryKind::Log)
            }
            MqttEvent::Undelivered(_) => watched.chronicle.note(Who::Demo, "no connection to the broker: not sent", EntryKind::Log),
        }
    }
}

fn take(watched: &Watched, message: &Inbound) {
    let chronicle = &watched.chronicle;
    let Some((_, topic)) = Topic::parse(&message.topic) else {
        return chronicle.note(Who::Broker, format!("message on {}", message.topic), EntryKind::Log);
    };
    if message.payload == PROBE {
        return;
    }
    let text = String::from_utf8_lossy(&message.payload);
    match topic {
        Topic::VendRequest
        | Topic::VendCancel
        | Topic::VendCollect
        | Topic::ConfigDesired
        | Topic::ConfigReported
        | Topic::Telemetry
        | Topic::Stock
        | Topic::CommandResponse => chronicle.note(Who::Broker, format!("{}: {text}", message.topic), EntryKind::Log),
        Topic::VendEvent => match serde_json::from_slice::<VendEvent>(&message.payload) {
            Ok(event) => {
                if let Some(order_id) = &event.order_id {
                    watched.keep(order_id, event.state, event.reason);
                }
                watched.hear(&event);
                let (text, to) = (in_words(&event), towards(event.state));
                let kind = EntryKind::Vend { event: Box::new(event) };
                match to {
                    Some(to) => chronicle.arrow(Who::Machine, to, text, kind),
                    None => chronicle.note(Who::Machine, text, kind),
                }
            }
            Err(error) => {
                chronicle.note(Who::Machine, format!("a message on vend/event that is no event ({error}): {text}"), EntryKind::Log)
            }
        },
        Topic::PaymentUpdate => match PaymentUpdate::read(&message.payload) {
            Ok(update) => {
                let status = update.status.as_str();
                let text = if update.receipt.is_some() { captions::receipt(status) } else { status.into() };
                let kind = EntryKind::Update { update: Box::new(update) };
                // The message is read at the broker. A machine that is not connected gets it later, or never.
                if watched.view.borrow().connected {
                    chronicle.arrow(Who::Backend, Who::Machine, text, kind);
                } else {
                    chronicle.note(Who::Backend, captions::at_broker(text), kind);
                }
            }
            Err(Refusal { detail, .. }) => {
                chronicle.note(Who::Backend, format!("a message on payment/update that is no update: {detail}"), EntryKind::Log)
            }
        },
        Topic::Status => match serde_json::from_slice::<Status>(&message.payload) {
            Ok(status) => take_status(watched, status),
            Err(error) => chronicle.note(Who::Machine, format!("a message on status that is no status ({error}): {text}"), EntryKind::Log),
        },
    }
}

fn take_settings(watched: &Watched, message: &Inbound, desk: &Mutex<Desk>, mqtt: &Mqtt, device: &DeviceId) {
    let Ok(reported) = serde_json::from_slice::<Reported>(&message.payload) else { return };
    let (speaks, settings) = desk.lock().unwrap_or_else(PoisonError::into_inner).hear(&reported, device);
    match speaks {
        Some(Language::En) => watched.chronicle.note(Who::Machine, captions::speaks_english(), EntryKind::Status),
        Some(Language::Id) => watched.chronicle.note(Who::Machine, captions::speaks_indonesian(), EntryKind::Status),
        None => {}
    }
    if let Some(settings) = settings {
        language::send(mqtt, device, settings);
    }
}

fn take_status(watched: &Watched, status: Status) {
    let online = status.state == Presence::Online;
    let faults = status.faults.unwrap_or_default();
    let text = match (online, faults.is_empty()) {
        (true, true) => captions::online(),
        (true, false) => captions::online_with(faults_in_words(&faults)),
        (false, _) => captions::offline(),
    };
    let before = watched.view.borrow().clone();
    watched.change_view(|view| (view.online, view.faults) = (online, faults.clone()));
    // Every order publishes it too, for the sake of `busy`.
    if (before.online, before.faults) != (online, faults) {
        watched.chronicle.note(Who::Machine, text, EntryKind::Status);
    }
}

/// Faults in words. What each is about the machine says in English only.
fn faults_in_words(faults: &[Fault]) -> Bilingual {
    let listed = |told: fn(&Fault) -> String, between: &str| faults.iter().map(told).collect::<Vec<_>>().join(between);
    Bilingual {
        en: listed(|fault| format!("{}: {}", fault.code.as_str(), fault.detail), "; "),
        id: listed(|fault| fault.code.as_str().into(), ", "),
    }
}

/// The party that an event concerns beside the machine: it sees the event on the screen, or is driven by it.
fn towards(state: EventState) -> Option<Who> {
    match state {
        EventState::AwaitingPayment | EventState::AwaitingCollection => Some(Who::Customer),
        EventState::Dispensing | EventState::TryingAgain => Some(Who::Relay),
        EventState::Requested
        | EventState::Cancelling
        | EventState::Paid
        | EventState::Dispensed
        | EventState::Refused
        | EventState::Cancelled
        | EventState::Expired
        | EventState::Denied
        | EventState::Failed
        | EventState::RefundDue
        | EventState::Refunded
        | EventState::Other(_) => None,
    }
}

fn in_words(event: &VendEvent) -> Bilingual {
    let mut text = captions::state_and_reason(event.state, event.reason);
    if let Some(item) = &event.item {
        text = text.and(": ", item);
    }
    if let Some(amount) = event.gross_amount.or(event.amount) {
        text = text.and(", ", amount);
    }
    // The machine says it in English only.
    if let Some(detail) = event.detail.as_ref().or(event.field.as_ref()) {
        text.en = format!("{} – {detail}", text.en);
    }
    text
}

/// Looks at the panel, and through the phone's camera, for ever.
pub async fn panel(watched: Arc<Watched>, panel: Panel) {
    let mut shown = Frame::dark();
    loop {
        tokio::time::sleep(GLANCE).await;
        let Ok(frame) = panel.frame() else { continue };
        if frame == shown {
            continue;
        }
        shown = frame.clone();
        // This computes for milliseconds and would hold up everything else. It fails only when the program ends.
        let Ok(bill) = tokio::task::spawn_blocking(move || phone::scan(&frame)).await else { return };
        watched.change_view(|view| {
            view.frame += 1;
            view.bill = bill;
        });
    }
}

/// Looks at the relay line, for ever: at the edges that the simulated line wrote down.
pub async fn line(watched: Arc<Watched>, log: PathBuf) {
    let mut read = 0;
    loop {
        tokio::time::sleep(GLANCE).await;
        for Edge { line, on } in new_edges(&log, &mut read) {
            watched.change_view(|view| {
                view.driven = on;
                view.pulses += u64::from(on);
            });
            let text = if on { captions::line_on(&line) } else { captions::line_off(&line) };
            let kind = EntryKind::Edge { line, on };
            if on {
                watched.chronicle.arrow(Who::Relay, Who::Customer, text, kind);
            } else {
                watched.chronicle.note(Who::Relay, text, kind);
            }
        }
    }
}

/// All edges in the log: the number of rising ones, and whether a line is still driven.
#[must_use]
pub fn count_pulses(log: &Path) -> (u64, bool) {
    let edges = new_edges(log, &mut 0);
    (edges.iter().filter(|edge| edge.on).count() as u64, edges.last().is_some_and(|edge| edge.on))
}

/// The rising edges of one line.
#[must_use]
pub fn pulses_of(log: &Path, line: &str) -> u64 {
    new_edges(log, &mut 0).iter().filter(|edge| edge.on && edge.line == line).count() as u64
}

/// One edge of a simulated line.
#[derive(Debug, PartialEq, Eq)]
struct Edge {
    line: String,
    on: bool,
}

impl Edge {
    /// `MILLISECONDS NAME 1|0`. The name may have blanks.
    fn read(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once(' ')?;
        let (line, level) = rest.rsplit_once(' ')?;
        let on = match level {
            "1" => true,
            "0" => false,
            _ => return None,
        };
        Some(Self { line: line.into(), on })
    }
}

/// The whole lines after the first `read` bytes. `read` moves on.
fn new_edges(log: &Path, read: &mut u64) -> Vec<Edge> {
    let mut bytes = Vec::new();
    // Before the first pulse there is no file.
    let Ok(mut file) = std::fs::File::open(log) else { return Vec::new() };
    if file.seek(SeekFrom::Start(*read)).is_err() || file.read_to_end(&mut bytes).is_err() {
        return Vec::new();
    }
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    *read += whole as u64;
    String::from_utf8_lossy(&bytes[..whole]).lines().filter_map(Edge::read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use qris_core::wire::status::FaultCode;

    #[test]
    fn what_a_fault_is_about_is_english_and_its_code_is_both() {
        let fault = |code, detail: &str| Fault { code, detail: detail.into(), since: None };
        let told = faults_in_words(&[fault(FaultCode::Backend, "operation timed out"), fault(FaultCode::Relay, "it is gone")]);
        assert_eq!((&*told.en, &*told.id), ("backend: operation timed out; relay: it is gone", "backend, relay"));
    }

    #[test]
    fn an_end_is_not_undone_by_what_is_told_again() {
        use EventState::{AwaitingPayment, Dispensed, RefundDue, Requested};
        let (watched, order_id) = (Watched::new(), OrderId::new("o-1").expect("an id"));
        for (state, reason, wanted) in [
            (Requested, None, Requested),
            (AwaitingPayment, None, AwaitingPayment),
            (RefundDue, Some(Reason::Late), RefundDue),
            (Requested, None, RefundDue),
            (Dispensed, None, Dispensed),
            (AwaitingPayment, None, Dispensed),
        ] {
            watched.keep(&order_id, state, reason);
            assert_eq!(watched.last_reported()[&order_id].0, wanted, "after {state:?}");
        }
    }

    #[test]
    fn an_offer_that_was_declined_is_over() {
        let (watched, owed) = (Watched::new(), RequestId::new("request-1").expect("an id"));
        *watched.nothing_came.lock().expect("nobody panicked") = Some((owed.clone(), Instant::now()));
        assert_eq!([watched.nothing_came(), watched.decline()], [Some(owed.clone()), Some(owed)]);
        assert_eq!([watched.nothing_came(), watched.decline()], [None, None]);
    }

    #[test]
    fn edges_are_read_once_and_only_when_whole() {
        let directory = tempfile::tempdir().expect("a directory");
        let log = directory.path().join("relay.log");
        let mut read = 0;
        assert_eq!(new_edges(&log, &mut read), []);
        std::fs::write(&log, "12 tray 1 1\n512 tray 1 0\nnonsense\n900 gate ").expect("a log");
        let edge = |line: &str, on| Edge { line: line.into(), on };
        assert_eq!(new_edges(&log, &mut read), [edge("tray 1", true), edge("tray 1", false)]);
        std::fs::write(&log, "12 tray 1 1\n512 tray 1 0\nnonsense\n900 gate 1\n").expect("a log");
        assert_eq!(new_edges(&log, &mut read), [edge("gate", true)]);
        assert_eq!(new_edges(&log, &mut read), []);
        assert_eq!(count_pulses(&log), (2, true));
        assert_eq!(["tray 1", "gate", "door"].map(|line| pulses_of(&log, line)), [1, 1, 0]);
    }
}
