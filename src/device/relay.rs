//! The client of the relay service, `io.qrisd.Relay1`.

use super::words::{Operated, PrepareError, RelayAnswer};
use qris_core::order::ids::{DeviceId, ItemId, OrderId, Ticket};
use qris_core::order::ledger::Again;
use qris_core::order::machine::RelayCall;
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Outcome;
use qris_core::order::reason::Reason;
use qris_core::order::request::{DETAIL_CHARS_MAX, cut};
use qris_core::order::tries::TryNumber;
use qris_core::text;
use qris_core::wire::command::{Code, Problem};
use qris_core::wire::dbus::{CloseAnswer, DispenseAnswer, RELAY_FACTS, RELAY_NAME, RELAY_PATH, RelayError};
use qris_core::wire::relay::RelayFacts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;
use zbus::zvariant::{DynamicType, Type};
use zbus::{Connection, OwnedVariant};

/// The time for `Prepare`, `Check` and `Close`; also for `Query` and the properties, which are as quick.
const QUICK: Duration = Duration::from_secs(2);
/// `Dispense` answers within 20 s.
const SLOW: Duration = Duration::from_secs(22);

enum Failure {
    Refused(RelayError, Box<str>),
    NoAnswer(Box<str>),
}

#[derive(Clone, Debug)]
pub struct Relay(pub Connection);

impl Relay {
    /// `Prepare(device, item, amount) → ticket`.
    pub async fn prepare(&self, device: &DeviceId, item: &ItemId, amount: Rupiah) -> Result<Ticket, PrepareError> {
        let body = (device.as_str(), item.as_str(), whole(amount));
        let ticket: String = self.call("Prepare", &body, QUICK).await.map_err(unprepared)?;
        ticket_of(&ticket)
    }

    /// `PrepareAgain(device, item, amount, order_id, nth_try, after) → ticket, promise`.
    pub async fn prepare_again(
        &self,
        device: &DeviceId,
        item: &ItemId,
        amount: Rupiah,
        again: &Again,
    ) -> Result<(Ticket, Box<str>), PrepareError> {
        let Again { order, number, after } = again;
        let body = (device.as_str(), item.as_str(), whole(amount), order.as_str(), number.get(), after.as_str());
        let (ticket, promise): (String, String) = self.call("PrepareAgain", &body, QUICK).await.map_err(unprepared)?;
        Ok((ticket_of(&ticket)?, promise.into()))
    }

    pub async fn ask(&self, call: RelayCall) -> RelayAnswer {
        match call {
            RelayCall::Check(ticket) => {
                let answer = self.call("Check", &(ticket.as_str(),), QUICK).await;
                answered(answer, checked)
            }
            RelayCall::Dispense(receipt) => {
                let answer = self.call("Dispense", &(receipt.jws(),), SLOW).await;
                answered(answer, dispensed)
            }
            RelayCall::Query(order, number) => {
                let answer = self.call("Query", &(order.as_str(), number.get()), QUICK).await;
                answered(answer, dispensed)
            }
            RelayCall::Close(ticket) => self.close(&ticket).await,
            RelayCall::Prove(ticket) => {
                let answer = self.call("Prove", &(ticket.as_str(),), QUICK).await;
                answered(answer, |proof: String| Some(RelayAnswer::Proof((!proof.is_empty()).then(|| proof.into()))))
            }
        }
    }

    /// `Close(ticket) → outcome, driven`.
    pub async fn close(&self, ticket: &Ticket) -> RelayAnswer {
        let answer = self.call("Close", &(ticket.as_str(),), QUICK).await;
        answered(answer, |(word, driven): (String, bool)| CloseAnswer::read(&word, driven).map(RelayAnswer::Close))
    }

    /// `Test(jws)`, for an operator who has signed it. The relay service judges that by itself.
    pub async fn test(&self, jws: &str) -> Operated {
        let answer: Result<(String, bool, String), _> = self.call("Test", &(jws,), SLOW).await;
        operated(answer, |(outcome, driven, detail)| tested(&outcome, driven, &harmless(detail)))
    }

    /// `ClearBy(jws)`, likewise.
    pub async fn clear_by(&self, jws: &str) -> Operated {
        operated(self.call("ClearBy", &(jws,), SLOW).await, |()| cleared())
    }

    pub async fn facts(&self) -> Result<RelayFacts, Box<str>> {
        let properties = Some("org.freedesktop.DBus.Properties");
        let call = self.0.call_method(Some(RELAY_NAME), RELAY_PATH, properties, "Get", &(RELAY_NAME, RELAY_FACTS));
        let reply = timeout(QUICK, call).await.map_err(|_| "no answer in 2 s")?.map_err(|e| e.to_string())?;
        let facts: OwnedVariant = reply.body().deserialize().map_err(|e| e.to_string())?;
        let json = String::try_from(facts).map_err(|_| "its facts are no text")?;
        serde_json::from_str(&json).map_err(|error| format!("its facts: {error}").into())
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
                Some(error) => Err(Failure::Refused(error, harmless(detail.unwrap_or_default()))),
                None => Err(Failure::NoAnswer(format!("{method}: {name}").into())),
            },
            Ok(Err(error)) => Err(Failure::NoAnswer(format!("{method}: {error}").into())),
        }
    }
}

fn whole(amount: Rupiah) -> i64 {
    i64::try_from(amount.get()).unwrap_or(i64::MAX)
}

fn unprepared(failure: Failure) -> PrepareError {
    match failure {
        Failure::Refused(error, detail) => PrepareError::Refused(error, detail),
        Failure::NoAnswer(why) => PrepareError::NoAnswer(why),
    }
}

fn ticket_of(text: &str) -> Result<Ticket, PrepareError> {
    Ticket::new(text).map_err(|error| PrepareError::NoAnswer(error.to_string().into()))
}

/// What the relay service says, as it may go to screens and to askers far away.
fn harmless(detail: String) -> Box<str> {
    cut(text::plain(&detail, ' ').into(), DETAIL_CHARS_MAX)
}

/// What came of a test, by the relay service's word. A word that this release does not know is not "dispensed".
#[must_use]
pub fn tested(outcome: &str, driven: bool, detail: &str) -> Operated {
    match DispenseAnswer::read(outcome, driven) {
        Some(DispenseAnswer::Dispensing) => Operated::NoAnswer,
        Some(DispenseAnswer::Ended(Outcome::Dispensed)) => Operated::Done(json!({ "outcome": outcome, "detail": detail })),
        Some(
            DispenseAnswer::Ended(Outcome::Failed | Outcome::NotDriven | Outcome::Uncertain)
            | DispenseAnswer::Later(_)
            | DispenseAnswer::Unknown,
        )
        | None => Operated::Refused(Problem::new(Code::Refused, format!("{outcome}: {detail}"))),
    }
}

#[must_use]
pub fn cleared() -> Operated {
    Operated::Done(json!({ "outcome": "cleared" }))
}

#[must_use]
pub fn refused(error: RelayError, detail: &str) -> Operated {
    let why = match error {
        // It is about the command and not about the line, which a reason would be.
        RelayError::CommandRefused => format!("the relay service refused the command: {detail}"),
        RelayError::InvalidReceipt
        | RelayError::WrongDevice
        | RelayError::UnknownItem
        | RelayError::UnknownTicket
        | RelayError::NoTry
        | RelayError::Amount
        | RelayError::Busy
        | RelayError::Blocked
        | RelayError::Hardware
        | RelayError::Ledger => format!("{}: {detail}", error.reason()),
    };
    Operated::Refused(Problem::new(Code::Refused, why))
}

/// The order and the try of a signal about goods.
pub fn of_try(order_id: &str, number: u32) -> Option<(OrderId, TryNumber)> {
    Some((OrderId::new(order_id).ok()?, TryNumber::try_from(number).ok()?))
}

pub fn finished(order_id: &str, number: u32, outcome: &str, driven: bool) -> Option<(OrderId, TryNumber, DispenseAnswer)> {
    Some((OrderId::new(order_id).ok()?, TryNumber::try_from(number).ok()?, DispenseAnswer::read(outcome, driven)?))
}

fn checked((deliverable, reason): (bool, String)) -> Option<RelayAnswer> {
    let checked = if deliverable { Ok(()) } else { Err(Reason::from_word(&reason).ok()?) };
    Some(RelayAnswer::Checked(checked))
}

fn dispensed((word, driven, _): (String, bool, String)) -> Option<RelayAnswer> {
    DispenseAnswer::read(&word, driven).map(RelayAnswer::Dispense)
}

fn operated<A>(answer: Result<A, Failure>, read: impl FnOnce(A) -> Operated) -> Operated {
    match answer {
        Ok(answer) => read(answer),
        Err(Failure::Refused(error, detail)) => refused(error, &detail),
        Err(Failure::NoAnswer(_)) => Operated::NoAnswer,
    }
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
        assert!(matches!(tested("dispensed", true, ""), Operated::Done(_)));
        assert_eq!(cleared(), Operated::Done(json!({ "outcome": "cleared" })), "as the contract has it");
        assert_eq!(tested("dispensing", true, ""), Operated::NoAnswer);
        // The last two are those of a later release.
        for word in ["failed", "uncertain", "unknown", "jammed", "Not a word!"] {
            assert!(matches!(tested(word, word != "unknown", "why"), Operated::Refused(_)), "{word}");
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
}
