//! `collect`: hands out an order that was paid at a store, by its payment code. It works over MQTT with any machine, or
//! over D-Bus with the machine that it runs on.

use super::broker::{Broker, Connection};
use super::machine::{Bus, Service};
use super::print;
use crate::complete;
use qris_core::order::ids::{DeviceId, PaymentCode, RequestId};
use qris_core::wire::dbus::{DEVICE_NAME, DEVICE_PATH};
use qris_core::wire::topics::Topic;
use qris_core::wire::vend::EventState;
use qris_host::Failure;
use qris_host::mqtt::{Outbound, Retained};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The broker forgets a code after this time if no machine took it: by then the customer who typed it in has left.
const EXPIRY_S: u32 = 15;
/// The machine answers within 10 s after it took the code.
const ANSWER_WAIT: Duration = Duration::from_secs(EXPIRY_S as u64 + 11);
/// A delivery is over by then: it begins within 10 minutes, and takes 2 minutes at most.
const END_WAIT: Duration = Duration::from_secs(780);

/// Hands out what was paid at a store.
#[derive(clap::Args, Debug)]
pub(super) struct Collect {
    /// The payment code; spaces and hyphens do not count
    #[arg(value_parser = PaymentCode::typed)]
    code: PaymentCode,
    /// The machine, over MQTT; the default is this machine, over D-Bus
    #[arg(long, value_name = "ID", value_parser = DeviceId::new, add = complete::machines())]
    device: Option<DeviceId>,
    /// Over MQTT: show what becomes of it, until it ends; exit status 0 only if it was dispensed
    #[arg(long, requires = "device")]
    wait: bool,
    #[command(flatten)]
    bus: Bus,
}

#[derive(Debug, thiserror::Error)]
enum CollectError {
    #[error("{}{}", .state.as_str(), .why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    Otherwise { state: EventState, why: Option<String> },
    /// Over D-Bus: not begun.
    #[error("{state} ({reason})")]
    Refused { state: String, reason: String },
    /// Nobody subscribes to the topic for codes of this machine.
    #[error("no machine took it: {0} is not at this broker")]
    NotThere(DeviceId),
    #[error(
        "{0} sent no event about this code in {s} s. See with `qrisctl status` whether it is online. If it is, see in the broker's access \
         list whether it may read vend/collect and write vend/event, and whether this user may read vend/event",
        s = ANSWER_WAIT.as_secs()
    )]
    NoAnswer(DeviceId),
    #[error("it did not end in {s} s", s = END_WAIT.as_secs())]
    NoEnd,
}

impl Collect {
    pub(super) async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        match self.device {
            Some(device) => at(device, &self.code, self.wait, connection, json).await,
            None => here(&self.bus, &self.code, json).await,
        }
    }
}

async fn here(bus: &Bus, code: &PaymentCode, json: bool) -> Result<(), Failure> {
    let service = Service::connect(bus, DEVICE_NAME, DEVICE_PATH).await?;
    let (state, reason): (String, String) = service.ask("Collect", code.as_str()).await.map_err(Failure::failed)?;
    if state == EventState::Paid.as_str() {
        return print::line(&if json { serde_json::json!({ "state": state }).to_string() } else { state });
    }
    Err(Failure::failed(CollectError::Refused { state, reason }))
}

async fn at(device: DeviceId, code: &PaymentCode, wait: bool, connection: Connection, json: bool) -> Result<(), Failure> {
    let filters = if wait { vec![Topic::VendEvent.of(&device)] } else { Vec::new() };
    let mut broker = Broker::connect(connection, filters, Retained::Never).await?;
    let payload = serde_json::json!({ "code": code }).to_string().into_bytes();
    let message = Outbound { topic: Topic::VendCollect.of(&device), payload, expiry_s: Some(EXPIRY_S), ..Outbound::default() };
    let taken = broker.publish(message).await.map_err(Failure::failed)?;
    let result = match (taken, wait) {
        (false, _) => Err(Failure::failed(CollectError::NotThere(device))),
        (true, true) => follow(&mut broker, &device, code, json).await,
        (true, false) => {
            print::remark(&format!(
                "the code went to {device}: `qrisctl watch --device {device}` shows what becomes of it, as --wait does"
            ));
            Ok(())
        }
    };
    broker.leave().await;
    result
}

async fn follow(broker: &mut Broker, device: &DeviceId, code: &PaymentCode, json: bool) -> Result<(), Failure> {
    let start = Instant::now();
    // Its first event tells the request.
    let mut request: Option<RequestId> = None;
    loop {
        let end = start + if request.is_some() { END_WAIT } else { ANSWER_WAIT };
        let none = if request.is_some() { CollectError::NoEnd } else { CollectError::NoAnswer(device.clone()) };
        let event = timeout_at(end, broker.next_event()).await.map_err(|_| Failure::failed(none))?;
        if event.payment_code.as_deref() != Some(code.as_str()) {
            continue;
        }
        print::line(&if json { serde_json::to_string(&event).map_err(Failure::failed)? } else { print::event(device.as_str(), &event) })?;
        if event.state == EventState::Dispensed {
            return Ok(());
        }
        if event.state.is_end() {
            let why = event.detail.map(Into::into).or_else(|| event.reason.map(|reason| reason.to_string()));
            return Err(Failure::failed(CollectError::Otherwise { state: event.state, why }));
        }
        request = request.or(event.request_id);
    }
}
