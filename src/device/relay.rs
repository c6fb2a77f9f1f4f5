//! The client of the relay service, `io.qrisd.Relay1`.

use super::words::{Operated, PrepareError, RelayAnswer, RelayFacts, RelayLine};
use qris_core::order::ids::{DeviceId, ItemId, KeyId, OrderId, Ticket};
use qris_core::order::ledger::Limits;
use qris_core::order::machine::RelayCall;
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Outcome;
use qris_core::order::proof::RelayKey;
use qris_core::wire::command::{Code, Problem};
use qris_core::wire::dbus::{CloseAnswer, DispenseAnswer, RELAY_NAME, RELAY_PATH, RelayError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::timeout;
use zbus::zvariant::{DynamicType, Type};
use zbus::{Connection, OwnedVariant};

/// The time for `Prepare`, `Check` and `Close`; also for `Query` and the properties, which are as quick.
const QUICK: Duration = Duration::from_secs(2);
/// `Dispense` answers within 20 s.
const SLOW: Duration = Duration::from_secs(22);

/// Why a call failed.
enum Failure {
    Refused(RelayError, Box<str>),
    NoAnswer(Box<str>),
}

/// A connection on which the relay service answers.
#[derive(Clone, Debug)]
pub struct Relay(pub Connection);

impl Relay {
    /// `Prepare(device, item, amount) → ticket`.
    ///
    /// # Errors
    /// The relay's refusal, or the lack of an answer in time.
    pub async fn prepare(&self, device: &DeviceId, item: &ItemId, amount: Rupiah) -> Result<Ticket, PrepareError> {
        let amount = i64::try_from(amount.get()).unwrap_or(i64::MAX);
        let ticket: String =
            self.call("Prepare", &(device.as_str(), item.as_str(), amount), QUICK).await.map_err(|failure| match failure {
                Failure::Refused(error, detail) => PrepareError::Refused(error, detail),
                Failure::NoAnswer(why) => PrepareError::NoAnswer(why),
            })?;
        Ticket::new(&ticket).map_err(|error| PrepareError::NoAnswer(error.to_string().into()))
    }

    /// A call for an order.
    pub async fn ask(&self, call: RelayCall) -> RelayAnswer {
        match call {
            RelayCall::Check(ticket) => {
                let answer = self.call("Check", &(ticket.as_str(),), QUICK).await;
                answered(answer, |(deliverable, reason): (bool, String)| Some(RelayAnswer::Checked { deliverable, reason: reason.into() }))
            }
            RelayCall::Dispense(receipt) => {
                let answer = self.call("Dispense", &(receipt.jws(),), SLOW).await;
                answered(answer, |(word, _): (String, String)| DispenseAnswer::from_word(&word).map(RelayAnswer::Dispense))
            }
            RelayCall::Query(order) => {
                let answer = self.call("Query", &(order.as_str(),), QUICK).await;
                answered(answer, |(word, _): (String, String)| DispenseAnswer::from_word(&word).map(RelayAnswer::Dispense))
            }
            RelayCall::Close(ticket) => self.close(&ticket).await,
            RelayCall::Prove(ticket) => {
                let answer = self.call("Prove", &(ticket.as_str(),), QUICK).await;
                answered(answer, |proof: String| Some(RelayAnswer::Proof((!proof.is_empty()).then(|| proof.into()))))
            }
        }
    }

    /// `Close(ticket) → outcome`.
    pub async fn close(&self, ticket: &Ticket) -> RelayAnswer {
        let answer = self.call("Close", &(ticket.as_str(),), QUICK).await;
        answered(answer, |word: String| CloseAnswer::from_word(&word).map(RelayAnswer::Close))
    }

    /// `Test(jws)`, for an operator who has signed it. The relay service judges that by itself.
    pub async fn test(&self, jws: &str) -> Operated {
        self.operate("Test", jws, tested).await
    }

    /// `ClearBy(jws)`, likewise.
    pub async fn clear_by(&self, jws: &str) -> Operated {
        self.operate("ClearBy", jws, cleared).await
    }

    async fn operate(&self, method: &str, jws: &str, read: impl FnOnce(&str, &str) -> Operated) -> Operated {
        match self.call::<_, (String, String)>(method, &(jws,), SLOW).await {
            Ok((outcome, detail)) => read(&outcome, &detail),
            Err(Failure::Refused(error, detail)) => refused(error, &detail),
            Err(Failure::NoAnswer(_)) => Operated::NoAnswer,
        }
    }

    /// The relay's facts about itself.
    ///
    /// # Errors
    /// There is no answer, or it is one that no relay service of ours would give.
    pub async fn facts(&self) -> Result<RelayFacts, Box<str>> {
        let mut all = self.properties().await?;
        let device: String = property(&mut all, "Device")?;
        let keys: Vec<String> = property(&mut all, "Keys")?;
        let tickets: Vec<String> = property(&mut all, "Tickets")?;
        let faults: Vec<String> = property(&mut all, "Faults")?;
        let proof_key: String = property(&mut all, "ProofKey")?;
        let limits = property(&mut all, "Limits")?;
        let version: String = property(&mut all, "Version")?;
        let lines: Vec<(String, Vec<String>, String)> = property(&mut all, "Lines")?;
        Ok(RelayFacts {
            lines: limited(limits, &lines).into(),
            version: Some(version.into()),
            device: Some(device.into()),
            kids: keys.iter().filter_map(|kid| KeyId::new(kid).ok()).collect(),
            // There is no key while the relay's ledger cannot be read.
            proof_key: proof_key.parse().ok(),
            tickets: tickets.iter().filter_map(|ticket| Ticket::new(ticket).ok()).collect(),
            faults: faults.into_iter().map(Into::into).collect(),
            blocked: lines.into_iter().filter(|(_, _, state)| state == "blocked").map(|(name, _, _)| name.into()).collect(),
        })
    }

    /// What it tells of itself and its ledger, as [`as_json`].
    ///
    /// # Errors
    /// As [`Relay::facts`].
    pub async fn as_json(&self) -> Result<Value, Box<str>> {
        as_json(&mut self.properties().await?)
    }

    /// All of them come in one call. Four calls would be four ways there and back, after nearly every answer of the relay.
    async fn properties(&self) -> Result<HashMap<String, OwnedVariant>, Box<str>> {
        let call = self.0.call_method(Some(RELAY_NAME), RELAY_PATH, Some("org.freedesktop.DBus.Properties"), "GetAll", &(RELAY_NAME,));
        let reply = timeout(QUICK, call).await.map_err(|_| "no answer in 2 s")?.map_err(|e| e.to_string())?;
        Ok(reply.body().deserialize().map_err(|e| e.to_string())?)
    }

    async fn call<B, A>(&self, method: &str, body: &B, within: Duration) -> Result<A, Failure>
    where
        B: Serialize + DynamicType + Sync,
        A: DeserializeOwned + Type,
    {
        let call = self.0.call_method(Some(RELAY_NAME), RELAY_PATH, Some(RELAY_NAME), method, body);
        match timeout(within, call).await {
            Err(_) => Err(Failure::NoAnswer(format!("{method}: no answer in {} s", within.as_secs()).into())),
            Ok(Ok(reply)) => reply.body().deserialize().map_err(|error| Failure::NoAnswer(format!("{method}: {error}").into())),
            Ok(Err(zbus::Error::MethodError(name, detail, _))) => match RelayError::from_name(name.as_str()) {
                Some(error) => Err(Failure::Refused(error, detail.unwrap_or_default().into())),
                None => Err(Failure::NoAnswer(format!("{method}: {name}").into())),
            },
            Ok(Err(error)) => Err(Failure::NoAnswer(format!("{method}: {error}").into())),
        }
    }
}

/// What came of a test, by the relay service's word. A word that this release does not know is not "dispensed".
#[must_use]
pub fn tested(outcome: &str, detail: &str) -> Operated {
    match DispenseAnswer::from_word(outcome) {
        Some(DispenseAnswer::Dispensing) => Operated::NoAnswer,
        Some(DispenseAnswer::Ended(Outcome::Dispensed)) => Operated::Done(json!({ "outcome": outcome, "detail": detail })),
        Some(DispenseAnswer::Ended(Outcome::Failed | Outcome::Uncertain) | DispenseAnswer::Later(_) | DispenseAnswer::Unknown) | None => {
            Operated::Refused(Problem::new(Code::Refused, format!("{outcome}: {detail}")))
        }
    }
}

/// What came of `ClearBy`, by the relay service's word.
#[must_use]
pub fn cleared(outcome: &str, _: &str) -> Operated {
    Operated::Done(json!({ "outcome": outcome }))
}

/// The relay service has refused what an operator ordered.
#[must_use]
pub fn refused(error: RelayError, detail: &str) -> Operated {
    let why = match error {
        // It is about the command and not about the line, which a reason would be.
        RelayError::CommandRefused => format!("the relay service refused the command: {detail}"),
        RelayError::InvalidReceipt
        | RelayError::WrongDevice
        | RelayError::UnknownItem
        | RelayError::UnknownTicket
        | RelayError::Amount
        | RelayError::Busy
        | RelayError::Blocked
        | RelayError::Hardware
        | RelayError::Ledger => format!("{}: {detail}", error.reason()),
    };
    Operated::Refused(Problem::new(Code::Refused, why))
}

/// What the relay service tells of itself and its ledger, for people and programs: `qrisctl relay lines --json`, and a part of `diag`.
///
/// # Errors
/// A property is missing or of another type: it is of another release.
pub fn as_json(properties: &mut HashMap<String, OwnedVariant>) -> Result<Value, Box<str>> {
    let lines: Vec<(String, Vec<String>, String)> = property(properties, "Lines")?;
    let lines: Vec<_> = lines.into_iter().map(|(name, items, state)| json!({ "name": name, "items": items, "state": state })).collect();
    // There is no key while the relay's ledger cannot be read.
    let key: Option<RelayKey> = property::<String>(properties, "ProofKey")?.parse().ok();
    Ok(json!({
        "device": property::<String>(properties, "Device")?,
        "version": property::<String>(properties, "Version")?,
        "lines": lines,
        "keys": property::<Vec<String>>(properties, "Keys")?,
        "proof_key": key.map(|key| json!({ "x": key, "fingerprint": key.fingerprint() })),
        "tickets": property::<Vec<String>>(properties, "Tickets")?.len(),
        "faults": property::<Vec<String>>(properties, "Faults")?,
    }))
}

/// The lines whose limits are told.
fn limited(limits: Vec<(String, i64, i64, i64)>, lines: &[(String, Vec<String>, String)]) -> Vec<RelayLine> {
    let amount = |amount: i64| u64::try_from(amount).ok().and_then(|amount| Rupiah::new(amount).ok());
    let line = |(name, min, step, max): (String, i64, i64, i64)| {
        let (_, items, _) = lines.iter().find(|(known, ..)| *known == name)?;
        let limits = Limits { min: amount(min)?, step: amount(step), max: amount(max) };
        Some(RelayLine { name: name.into(), items: items.iter().map(|item| item.as_str().into()).collect(), limits })
    };
    // With a part of them, an item would seem to have no line.
    limits.into_iter().map(line).collect::<Option<Vec<_>>>().filter(|told| told.len() == lines.len()).unwrap_or_default()
}

fn property<T: TryFrom<OwnedVariant>>(all: &mut HashMap<String, OwnedVariant>, name: &str) -> Result<T, Box<str>> {
    let value = all.remove(name).ok_or_else(|| format!("there is no property {name}"))?;
    T::try_from(value).map_err(|_| format!("the property {name} has another type").into())
}

/// The order and its outcome in a `Finished` signal.
pub fn finished(order_id: &str, outcome: &str) -> Option<(OrderId, DispenseAnswer)> {
    Some((OrderId::new(order_id).ok()?, DispenseAnswer::from_word(outcome)?))
}

fn answered<A>(answer: Result<A, Failure>, read: impl FnOnce(A) -> Option<RelayAnswer>) -> RelayAnswer {
    match answer {
        Ok(answer) => read(answer).unwrap_or_else(|| RelayAnswer::NoAnswer("an answer that is not in the contract".into())),
        Err(Failure::Refused(error, detail)) => RelayAnswer::Refused(error, detail),
        Err(Failure::NoAnswer(why)) => RelayAnswer::NoAnswer(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_done_only_if_the_relay_says_that_it_came_out() {
        assert!(matches!(tested("dispensed", ""), Operated::Done(_)));
        assert_eq!(cleared("cleared", ""), Operated::Done(json!({ "outcome": "cleared" })), "as the contract has it");
        assert_eq!(tested("dispensing", ""), Operated::NoAnswer);
        // The last two are those of a later release.
        for word in ["failed", "uncertain", "unknown", "jammed", "Not a word!"] {
            assert!(matches!(tested(word, "why"), Operated::Refused(_)), "{word}");
        }
    }

    #[test]
    fn who_ordered_something_hears_what_the_relay_refused() {
        for (error, message) in [
            (RelayError::CommandRefused, "the relay service refused the command: why"),
            (RelayError::Blocked, "line_blocked: why"),
            (RelayError::Hardware, "relay: why"),
        ] {
            assert_eq!(refused(error, "why"), Operated::Refused(Problem::new(Code::Refused, message)), "{error}");
        }
    }

    #[test]
    fn limits_are_those_of_all_lines_or_of_none() {
        let lines = [("tray 1", "A1"), ("rest", "*")].map(|(name, item)| (name.to_owned(), vec![item.to_owned()], "ready".to_owned()));
        let told = |limits: &[(&str, i64, i64, i64)]| {
            let limits = limits.iter().map(|(name, min, step, max)| ((*name).to_owned(), *min, *step, *max)).collect();
            limited(limits, &lines).into_iter().map(|line| (line.items[0].clone(), line.limits.to_string())).collect::<Vec<_>>()
        };
        assert_eq!(
            told(&[("tray 1", 5000, 0, 0), ("rest", 1000, 500, 9000)]),
            [
                ("A1".into(), "at least Rp5.000".into()),
                ("*".into(), "at least Rp1.000, at most Rp9.000, and only multiples of Rp500".into())
            ]
        );
        for bad in
            [&[][..], &[("tray 1", 5000, 0, 0)], &[("tray 1", 5000, 0, 0), ("tray 2", 1, 0, 0)], &[("tray 1", 0, 0, 0), ("rest", 1, 0, 0)]]
        {
            assert_eq!(told(bad), [], "{bad:?}");
        }
    }
}
