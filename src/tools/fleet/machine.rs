//! One machine, as the broker and the backend see it. It connects, asks the backend and checks a receipt with the code of `qrisd`. It
//! has no relay, screen or database: what it knows of its orders is in the town's records. It asks for receipts only when it comes
//! back. So it shows if the broker does not bring one, for which `qrisd` would ask.

use super::audit::{Records, Sale};
use qris_core::order::ids::DeviceId;
use qris_core::order::keys::KeySet;
use qris_core::wire::payment::PaymentUpdate;
use qris_core::wire::topics::TopicsTold;
use qris_demo::shop::random_name;
use qris_device::backend::Backend;
use qris_device::words::{BackendAnswer, HttpCall, Identity, Notice};
use qris_host::backoff::Backoff;
use qris_host::mqtt::{LinkSettings, Mqtt, MqttEvent, PublishId};
use qris_sim::midtrans::Via;
use qris_sim::midtrans_http::SimulatorHandle;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A customer without a QR leaves after this time. `qrisd` gives up after 15 s; here, one computer plays all of them and may be slow.
const LEAVES_AFTER: Duration = Duration::from_secs(60);
/// How a machine shows itself when it asks for its open orders. It has no relay that could sign.
static NOBODY: Identity = Identity {
    relay_key: None,
    newest_event: None,
    taken_over: false,
    late_sign: None,
    topics: TopicsTold { last: BTreeMap::new(), refused: BTreeSet::new() },
};

/// What the machines share.
pub struct Town {
    /// The keys that machines believe.
    pub keys: KeySet,
    pub midtrans: SimulatorHandle,
    pub records: Mutex<Records>,
}

impl Town {
    pub fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A customer pays. Midtrans sends its notification at once.
    pub fn pay(&self, id: &str) {
        self.records().sale(id).paid = Some(Instant::now());
        if let Err(error) = self.midtrans.with(|midtrans, now| midtrans.pay(id, Via::Gopay, false, now)) {
            self.records().wrong.push(format!("{id} cannot be paid: {error:?}"));
        }
    }
}

pub struct Machine {
    pub number: usize,
    pub device: DeviceId,
    pub link: LinkSettings,
    pub backend: Backend,
    pub town: Arc<Town>,
}

impl Machine {
    /// Its connection to the broker. It breaks off without a goodbye where this is not polled any more.
    pub async fn run(self: Arc<Self>) {
        let (mqtt, mut events) = Mqtt::start(self.link.clone(), 16);
        while let Some(event) = events.recv().await {
            self.hear(&mqtt, event);
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
                    self.take(&jws);
                }
                mqtt.ack(message.ack);
            }
            MqttEvent::Down { refused: true, reason, .. } => self.wrong(&format!("the broker refuses it: {reason}")),
            _ => {}
        }
    }

    async fn ask_for_open(self: Arc<Self>) {
        match self.ask(|| self.backend.open(&NOBODY)).await {
            BackendAnswer::Open(open) => {
                open.orders.iter().filter_map(|order| order.receipt.as_deref()).for_each(|jws| self.take(jws));
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
        let order = json!({ "request_id": random_name(), "ticket": random_name()[..22], "item": "A1", "description": null, "amount": 5_000,
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
    fn take(self: &Arc<Self>, jws: &str) {
        let id = match self.town.keys.verify(jws, &self.device) {
            Ok(receipt) => receipt.claims().sub.clone(),
            Err(error) => return self.wrong(&format!("a receipt is not good: {error}")),
        };
        if !self.town.records().give(id.as_str(), jws) {
            return;
        }
        let report = serde_json::from_value(json!({ "outcome": "dispensed", "reason": null, "detail": null })).expect("a report");
        let (machine, tell) = (Arc::clone(self), HttpCall::Tell(id.clone(), report));
        tokio::spawn(async move {
            match machine.ask(|| machine.backend.call(tell.clone())).await {
                BackendAnswer::Order(_) => machine.town.records().sale(id.as_str()).is_told = true,
                other => machine.wrong(&format!("the delivery of {id}: {other:?}")),
            }
        });
    }

    fn wrong(&self, what: &str) {
        self.town.records().wrong.push(format!("{}: {what}", self.device));
    }
}
