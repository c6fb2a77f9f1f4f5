//! One machine, as the broker and the backend see it. It connects, asks the backend and checks a receipt with the code of `qrisd`. It
//! has no relay, screen or database: what it knows of its orders is in the town's records. It asks for receipts only when it comes
//! back. So it shows if the broker does not bring one, for which `qrisd` would ask.

use super::audit::{DELIVERED, Sale, UNDELIVERED};
use super::start::Town;
use qris_core::order::ids::DeviceId;
use qris_core::wire::payment::PaymentUpdate;
use qris_demo::shop::random_name;
use qris_device::backend::Backend;
use qris_device::words::{BackendAnswer, HttpCall, Identity, Notice};
use qris_host::backoff::Backoff;
use qris_host::mqtt::{LinkSettings, Mqtt, MqttEvent, PublishId};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Whole rupiah.
pub const PRICE: u64 = 5_000;
/// A customer without a QR leaves after this time. `qrisd` gives up after 15 s; here, one computer plays all of them and may be slow.
const LEAVES_AFTER: Duration = Duration::from_secs(60);
/// How a machine shows itself when it asks for its open orders. It has no relay that could sign.
const NOBODY: Identity = Identity { relay_key: None, newest_event: None, taken_over: false };

pub struct Machine {
    pub number: usize,
    pub device: DeviceId,
    pub link: LinkSettings,
    pub backend: Backend,
    pub has_network: watch::Sender<bool>,
    pub town: Arc<Town>,
}

impl Machine {
    pub fn set_network(&self, is_there: bool) {
        self.has_network.send_replace(is_there);
    }

    /// Its connection to the broker, for ever.
    pub async fn run(self: Arc<Self>) {
        let mut network = self.has_network.subscribe();
        // Our own sender is there, so this loop does not end.
        while network.wait_for(|is_there| *is_there).await.is_ok() {
            let (mqtt, mut events) = Mqtt::start(self.link.clone(), 16);
            loop {
                tokio::select! {
                    // The connection breaks off without a goodbye.
                    _ = network.wait_for(|is_there| !is_there) => break,
                    Some(event) = events.recv() => self.hear(&mqtt, event),
                }
            }
        }
    }

    fn hear(self: &Arc<Self>, mqtt: &Mqtt, event: MqttEvent) {
        match event {
            MqttEvent::Up { .. } => {
                let online = qris_device::broker::outbound(&self.device, Notice::Status, br#"{"state": "online"}"#.into());
                mqtt.publish(PublishId(1), online);
                tokio::spawn(Arc::clone(self).ask_for_open());
            }
            MqttEvent::Message(message) => {
                if let Ok(PaymentUpdate { receipt: Some(jws), .. }) = PaymentUpdate::read(&message.payload) {
                    self.take(&jws, true);
                }
                mqtt.ack(message.ack);
            }
            MqttEvent::Down { refused: true, reason, .. } => self.wrong(&format!("the broker refuses it: {reason}")),
            _ => {}
        }
    }

    async fn ask_for_open(self: Arc<Self>) {
        match self.ask(|| self.backend.open(&NOBODY)).await {
            BackendAnswer::Open(orders) => {
                orders.iter().filter_map(|order| order.receipt.as_deref()).for_each(|jws| self.take(jws, false));
                self.town.records().away.remove(&self.number);
            }
            other => self.wrong(&format!("its open orders: {other:?}")),
        }
    }

    /// Asks until the backend answers.
    async fn ask<T, Asked: Future<Output = (BackendAnswer, T)>>(&self, question: impl Fn() -> Asked) -> BackendAnswer {
        let mut waits = Backoff::new(self.device.as_str());
        loop {
            match question().await.0 {
                BackendAnswer::NoAnswer { .. } => tokio::time::sleep(waits.next_wait()).await,
                BackendAnswer::Later(_, after) => tokio::time::sleep(after.to_duration()).await,
                answer => return answer,
            }
        }
    }

    /// A customer comes. The answer is the order, if there is a QR.
    pub async fn serve(self: Arc<Self>, pays_at_once: bool) -> Option<String> {
        let order = json!({ "request_id": random_name(), "ticket": random_name()[..22], "item": "A1", "description": null, "amount": PRICE,
                            "payment": "gopay", "timeout_s": 840, "kids": self.town.keys.receipt_kids() });
        let order = HttpCall::Create(serde_json::from_value(order).expect("an order"));
        match tokio::time::timeout(LEAVES_AFTER, self.ask(|| self.backend.call(order.clone()))).await {
            Ok(BackendAnswer::Order(order)) if order.qr_payload.is_some() => {
                let id = order.order_id.to_string();
                self.town.records().sales.insert(id.clone(), Sale::default());
                if pays_at_once {
                    self.town.pay(&id);
                }
                return Some(id);
            }
            Ok(BackendAnswer::Refused(_)) | Err(_) => self.town.records().refused += 1,
            Ok(other) => self.wrong(&format!("a new order: {other:?}")),
        }
        None
    }

    /// A receipt has come, from the broker or in an answer of the backend. The first one of an order opens the machine.
    fn take(self: &Arc<Self>, jws: &str, by_broker: bool) {
        let receipt = match self.town.keys.verify(jws, &self.device) {
            Ok(receipt) => receipt,
            Err(error) => return self.wrong(&format!("a receipt is not good: {error}")),
        };
        let id = receipt.claims().sub.clone();
        let Some(has_left) = self.town.records().give(id.as_str(), jws, by_broker) else { return };
        let (outcome, reason) = if has_left { (UNDELIVERED, Some("late")) } else { (DELIVERED, None) };
        let report = serde_json::from_value(json!({ "outcome": outcome, "reason": reason, "detail": null })).expect("a report");
        let (machine, tell) = (Arc::clone(self), HttpCall::Tell(id.clone(), report));
        tokio::spawn(async move {
            match machine.ask(|| machine.backend.call(tell.clone())).await {
                BackendAnswer::Order(_) => machine.town.records().sale(id.as_str()).outcome = Some(outcome),
                other => machine.wrong(&format!("the outcome of {id}: {other:?}")),
            }
        });
    }

    fn wrong(&self, what: &str) {
        self.town.records().wrong.push(format!("{}: {what}", self.device));
    }
}
