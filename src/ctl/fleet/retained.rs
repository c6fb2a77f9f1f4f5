//! What machines last told the broker.

use super::which::Which;
use crate::broker::{Broker, Connection};
use crate::print;
use qris_core::order::ids::DeviceId;
use qris_core::order::time::Wall;
use qris_core::wire::settings::Reported;
use qris_core::wire::status::{Presence, Status, offline_for};
use qris_core::wire::stock::{STOCK_MAX, Stock};
use qris_core::wire::telemetry::Telemetry;
use qris_core::wire::topics::{PROBE, Topic};
use qris_host::Failure;
use qris_host::clock;
use qris_host::mqtt::{Inbound, Retained};
use std::collections::BTreeMap;

/// So many machines are named of which nothing came.
const NAMED_MAX: usize = 5;
const TOPICS: [Topic; 3] = [Topic::Status, Topic::ConfigReported, Topic::Telemetry];

/// The last words of a machine, as far as it told any.
#[derive(Default)]
pub(super) struct Words {
    pub(super) status: Option<Status>,
    /// Since when the broker keeps its `offline`.
    pub(super) offline_since: Option<Wall>,
    pub(super) settings: Option<Reported>,
    pub(super) telemetry: Option<Telemetry>,
    /// Heard only by who asks for it.
    pub(super) stock: Option<Stock>,
    /// Something came there, also if it cannot be read.
    pub(super) has_told_stock: bool,
}

#[derive(Default)]
pub(super) struct LastWords(BTreeMap<DeviceId, Words>);

impl LastWords {
    /// Connects, and hears what the broker has. `more` are further topics to hear.
    pub(super) async fn hear(connection: Connection, who: &Which, more: Vec<String>) -> Result<(Broker, Self), Failure> {
        let filters = [TOPICS.map(|topic| who.filters(topic)).concat(), more].concat();
        let mut broker = Broker::connect(connection, filters, Retained::Always).await?;
        let mut told = Self::default();
        for message in broker.drain().await.map_err(Failure::failed)? {
            told.take(&message);
        }
        Ok((broker, told))
    }

    /// Takes a message. Answers with its machine, if it is of these topics and can be read.
    pub(super) fn take(&mut self, message: &Inbound) -> Option<DeviceId> {
        let (device, topic) = Topic::parse(&message.topic).filter(|_| message.payload != PROBE)?;
        let words = self.0.entry(device.clone()).or_default();
        let payload = &message.payload;
        match topic {
            Topic::Status => {
                let status: Status = serde_json::from_slice(payload).ok()?;
                words.offline_since = message.expiry_s.filter(|_| status.state == Presence::Offline).and_then(kept_since);
                words.status = Some(status);
            }
            Topic::ConfigReported => words.settings = Some(serde_json::from_slice(payload).ok()?),
            Topic::Telemetry => words.telemetry = Some(serde_json::from_slice(payload).ok()?),
            Topic::Stock => {
                words.has_told_stock = true;
                words.stock = Some(payload).filter(|payload| payload.len() <= STOCK_MAX).and_then(|all| serde_json::from_slice(all).ok());
                if words.stock.is_none() {
                    let machine = print::machine(words.name(), &device);
                    let length = payload.len();
                    print::remark(&format!("{machine}: its stock cannot be read: {length} bytes, at most {STOCK_MAX} of JSON can"));
                }
            }
            Topic::VendRequest
            | Topic::VendCancel
            | Topic::VendCollect
            | Topic::VendEvent
            | Topic::PaymentUpdate
            | Topic::ConfigDesired
            | Topic::CommandResponse => return None,
        }
        Some(device)
    }

    /// What people call this machine.
    pub(super) fn called(&self, device: &DeviceId) -> String {
        print::machine(self.0.get(device).and_then(Words::name), device)
    }

    /// Whether the broker says that it is off, or has heard nothing of it.
    pub(super) fn is_off(&self, device: &DeviceId) -> bool {
        self.0.get(device).is_none_or(|words| !words.is_online())
    }

    /// Adds those who are named, and never told anything.
    pub(super) fn with_named(mut self, who: &Which) -> Self {
        who.device.iter().for_each(|device| _ = self.0.entry(device.clone()).or_default());
        self
    }

    /// Those who are meant, among all with known settings: what each told, and whether it is there.
    pub(super) fn settable(&self, who: &Which) -> Result<BTreeMap<DeviceId, (Reported, Option<Status>)>, Failure> {
        let told = self.0.iter().filter_map(|(device, words)| Some((device.clone(), words.settings.clone()?))).collect();
        let status = |device: &DeviceId| self.0.get(device).and_then(|words| words.status.clone());
        Ok(who.pick(told)?.into_iter().map(|(device, reported)| (device.clone(), (reported, status(&device)))).collect())
    }

    /// Those who are meant. One that tells no settings is among them unless a label is asked for.
    pub(super) fn meant(&self, who: &Which) -> Result<Vec<(&DeviceId, &Words)>, Failure> {
        let all = self.0.iter().map(|(device, words)| (device.clone(), words.settings.clone().unwrap_or_default())).collect();
        let meant = who.pick(all)?;
        Ok(self.0.iter().filter(|(device, _)| meant.contains_key(*device)).collect())
    }
}

/// Says of which machines nothing came on a topic, and what `else_` may be the cause. A broker may refuse a subscription in silence. Then
/// nothing comes, as if there were nothing.
pub(super) fn nothing_of(silent: &[(&DeviceId, &Words)], topic: Topic, what: &str, else_: &str) -> Option<String> {
    let asked = match silent {
        [] => return None,
        [(device, _)] => topic.of(device),
        _ => topic.of_all(),
    };
    let mut names: Vec<_> = silent.iter().take(NAMED_MAX).map(|(device, words)| print::machine(words.name(), device)).collect();
    names.extend(silent.len().checked_sub(NAMED_MAX).filter(|more| *more > 0).map(|more| format!("{more} more")));
    let names = names.join(", ");
    Some(format!("no {what} came of {names}: {else_}, or the broker's access list does not let this user read {asked}"))
}

/// When the broker got an `offline` of which it still keeps this.
fn kept_since(left_s: u32) -> Option<Wall> {
    offline_for(left_s).map(|kept| clock::now().wall - kept)
}

impl Words {
    /// What people call it. While its database is not open, it tells no settings.
    pub(super) fn name(&self) -> Option<&str> {
        let in_settings = self.settings.as_ref().and_then(|settings| settings.name.as_deref());
        in_settings.or_else(|| self.status.as_ref().and_then(|status| status.name.as_deref()))
    }

    pub(super) fn state(&self) -> String {
        match (self.status.as_ref().map(|status| status.state), self.offline_since) {
            (Some(Presence::Online), _) => "online".into(),
            (Some(Presence::Offline), Some(since)) => format!("offline since {}", print::since(since)),
            (Some(Presence::Offline), None) => "offline".into(),
            (None, _) => "?".into(),
        }
    }

    pub(super) fn is_online(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.state == Presence::Online)
    }

    pub(super) fn release(&self) -> &str {
        self.status.as_ref().and_then(|status| status.version.as_deref()).unwrap_or("?")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_of_which_nothing_came_are_named_with_the_topic_that_may_be_refused() {
        let devices: Vec<_> = (1..=7).map(|n| DeviceId::new(&format!("vm-00{n}")).expect("an id")).collect();
        let named = Words { settings: serde_json::from_str(r#"{"version":1,"name":"Lobi"}"#).expect("settings"), ..Words::default() };
        let nothing = Words::default();
        let said = |count: usize| {
            let silent: Vec<_> = devices.iter().zip([&named].into_iter().chain([&nothing; 6])).take(count).collect();
            nothing_of(&silent, Topic::Stock, "stock", "no slot is counted").unwrap_or_default()
        };
        let cause = "no slot is counted, or the broker's access list does not let this user read qrisd/v1/";
        assert_eq!(said(0), "");
        assert_eq!(said(1), format!("no stock came of Lobi (vm-001): {cause}vm-001/stock"));
        assert_eq!(said(2), format!("no stock came of Lobi (vm-001), vm-002: {cause}+/stock"));
        assert_eq!(said(5), format!("no stock came of Lobi (vm-001), vm-002, vm-003, vm-004, vm-005: {cause}+/stock"));
        assert_eq!(said(7), format!("no stock came of Lobi (vm-001), vm-002, vm-003, vm-004, vm-005, 2 more: {cause}+/stock"));
    }
}
