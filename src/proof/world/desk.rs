//! A desk far away: an operator changes a price while machines sell, and the broker keeps the last change for them.

use super::counts::Kind;
use super::{Event, World, device, large, price, small};
use qris_core::order::keys::{Level, SigningKey};
use qris_core::order::money::Rupiah;
use qris_core::order::time::Wall;
use qris_core::wire::settings::{Desired, Objection, RefusedSettings, Reported};
use qris_core::wire::topics::Topic;
use std::collections::BTreeMap;

/// What the operator knows, and what the broker has for a machine that comes.
#[derive(Default)]
pub(super) struct Desk {
    /// The price of each version that was sent.
    sent: BTreeMap<u64, Rupiah>,
    retained: Option<Vec<u8>>,
    /// The last word of the machines under their one name.
    heard: Reported,
}

pub(super) fn key() -> SigningKey {
    SigningKey::from_seed([0x0d; 32])
}

/// The operator's public key, for `keys.json`.
pub(super) fn public_key() -> String {
    key().to_operator_jwk(Level::Service)
}

impl World {
    /// The operator wants another price, made from what the machine said last. It is at least the first one: a line takes no less.
    pub(super) fn wants_another_price(&mut self) {
        self.counts.note(Kind::Settings);
        let from = self.desk.heard.waiting.as_ref().map_or(self.desk.heard.version, |waiting| waiting.version);
        let version = 1 + from.max(self.desk.sent.last_key_value().map_or(0, |(version, _)| *version));
        let amount = Rupiah::new(price(&small()).get() + 100 * (version % 40)).expect("an amount");
        let later = self.one_in(4).then(|| Wall(self.wall().0 + self.below(600_000)).to_rfc3339().into());
        let slot = self.slots.written();
        let same = self.same.written(&slot);
        let [first, last] = [small(), large()].map(|item| self.other.written(&item));
        let last = if self.other.sells(&large()) { format!("[[item]]\nid = \"B1\"\nprice = 15000\n{last}{slot}") } else { String::new() };
        let settings = format!("[[item]]\nid = \"A1\"\nprice = {}\n{first}{slot}{same}{last}", amount.get());
        // Some come too late for a machine that is away.
        let exp = self.wall().0 / 1000 + if self.one_in(8) { 600 } else { 90 * 86_400 };
        let desired = Desired {
            aud: device(),
            version,
            from,
            exp,
            effective_at: later,
            skip_unknown: false,
            made_of: None,
            settings: settings.into(),
        };
        self.note(|| format!("the operator wants version {version} from {from}: {amount}"));
        self.desk.sent.insert(version, amount);
        let payload = desired.signed(&key());
        self.desk.retained = Some(payload.clone());
        self.broker_takes(Topic::ConfigDesired, payload);
    }

    /// What the broker keeps comes with every subscription.
    pub(super) fn brings_settings(&mut self) {
        if let Some(payload) = self.desk.retained.clone() {
            self.broker_takes(Topic::ConfigDesired, payload);
        }
    }

    /// A machine's screen takes other prices.
    pub(super) fn dressed(&mut self, m: usize, first_price: Option<Rupiah>) {
        self.machines[m].price = first_price;
    }

    /// All effects are carried out: no sale went on over it. A sale may begin with it, at the new prices.
    pub(super) fn judge_taking(&mut self, m: usize, was_in_mid_sale: bool) {
        let has_taken = std::mem::take(&mut self.machines[m].has_taken);
        if has_taken && was_in_mid_sale && self.machines[m].is_in_mid_sale() {
            self.fail("settings were taken in mid-sale".into());
        }
    }

    /// A machine says which settings are in force. They are in force whole, and never go back but with the database.
    pub(super) fn settings_reported(&mut self, m: usize, payload: &[u8]) {
        let Ok(told) = serde_json::from_slice::<Reported>(payload) else { return self.fail("a report that cannot be read".into()) };
        self.note(|| format!("the machine reports version {}", told.version));
        let shown = self.machines[m].price;
        let wanted = if told.version == 0 { shown } else { self.desk.sent.get(&told.version).copied() };
        if shown != wanted {
            return self.fail(format!("version {} is said to be in force, and the price is {shown:?}, not {wanted:?}", told.version));
        }
        if told.version < self.desk.heard.version && !self.losses.card() && !self.losses.store() {
            return self.fail(format!("version {} follows version {}", told.version, self.desk.heard.version));
        }
        // A machine whose card was set back, or whose clone was scrapped, has other settings than the operator has seen. One that was away,
        // or whose clock was ahead, hears of them too late.
        let to_send_again = |refused: &RefusedSettings| matches!(refused.code, Objection::Conflict | Objection::Expired);
        if told.refused.as_ref().is_some_and(to_send_again) && self.desk.heard.refused != told.refused {
            self.after(60_000, Event::Sets);
        }
        self.desk.heard = told;
    }

    /// At the end: the last settings are in force.
    pub(super) fn audit_settings(&self) -> Option<String> {
        let last = self.desk.sent.last_key_value().map_or(0, |(version, _)| *version);
        (self.desk.heard.version != last).then(|| format!("settings version {last} never came into force: {:?}", self.desk.heard))
    }
}
