//! Customers, of the kinds that there are, and the controller that asks for them.

use super::harm::{LINES, Moment, Ordeal, Requested};
use crate::rig::midtrans::Via;
use crate::rig::shop::new_request_id;
use qris::host::clock;
use qris::sim::rng::Rng;
use qris::wire::vend::EventState;
use serde_json::json;
use std::time::{Duration, Instant};

/// What a customer does with the QR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Customer {
    PaysAtOnce,
    PaysAfterAWhile,
    /// Wrong PIN first.
    FailsFirst,
    Cancels,
    /// Pays and cancels at the same time.
    CannotDecide,
    /// Pays what was cancelled: the payment was under way.
    PaysAfterCancel,
    /// Goes away; the machine gives up.
    Never,
    /// Comes back with a picture of the QR after the machine gave up.
    Late,
    /// Pays at a store, and comes back for the goods.
    AtCounter,
}

/// The controller repeats what was not answered.
const ASK_AGAIN: Duration = Duration::from_millis(2_500);
/// A customer who sees no QR in this time goes away.
const QR_WITHIN: Duration = Duration::from_secs(16);
/// A customer who has paid waits so long for the goods.
const END_WITHIN: Duration = Duration::from_secs(9);
/// So long after everything was mended a machine sells again: another's QR may be up for a minute, and a connection waits
/// up to 30 s before it is tried again.
const SELLS_WITHIN: Duration = Duration::from_secs(120);
/// The shortest `timeout_s`.
const SCREEN_S: u64 = 10;

impl Customer {
    pub fn draw(rng: &mut Rng) -> Self {
        match rng.below(100) {
            0..=35 => Self::PaysAtOnce,
            36..=49 => Self::PaysAfterAWhile,
            50..=59 => Self::FailsFirst,
            60..=68 => Self::Cancels,
            69..=78 => Self::CannotDecide,
            79..=86 => Self::PaysAfterCancel,
            87..=89 => Self::Never,
            90..=92 => Self::Late,
            _ => Self::AtCounter,
        }
    }

    /// From the request until there is nothing more to wait for.
    pub fn visits(self, ordeal: &mut Ordeal) -> Result<(), String> {
        if !ordeal.to_collect.is_empty() && ordeal.rng.below(3) == 0 {
            return collects(ordeal);
        }
        let line = ordeal.count("orders") % LINES;
        let request = new_request_id();
        ordeal.requests.push(Requested { request: request.clone(), line, at_ms: clock::now().boot.0 });
        ordeal.note(&format!("{request}: {self:?} asks for i{line}"));
        ordeal.prepare_ambush();
        let Some(shown) = self.asks(ordeal, &request, line)? else {
            return self.leaves(ordeal, &request);
        };
        ordeal.add("orders");
        ordeal.add("with a QR or a code");
        ordeal.note(&format!("{request}: sees the QR, or the code"));
        ordeal.passes(Moment::Shown);
        self.acts(ordeal, &request, &shown)?;
        if self == Self::AtCounter {
            return Ok(());
        }
        ordeal.until(END_WITHIN, |ordeal| ended(ordeal, &request)).map(|_| ())
    }

    /// Without a QR: the machine refused, or something was wrong. The next one comes a bit later.
    fn leaves(self, ordeal: &mut Ordeal, request: &str) -> Result<(), String> {
        if ordeal.announced.get(request) == Some(&EventState::Refused) {
            ordeal.add("refused");
        } else {
            ordeal.add("orders");
            ordeal.add("without a QR");
        }
        ordeal.pass_some(200, 1_000)
    }

    /// What is in the QR once it is on the screen, or the payment code; `None` where none came.
    fn asks(self, ordeal: &mut Ordeal, request: &str, line: u64) -> Result<Option<String>, String> {
        let before = ordeal.shop.screen.payload();
        let timeout_s = if matches!(self, Self::Never | Self::Late | Self::AtCounter) { SCREEN_S } else { 60 };
        let mut waited = Duration::ZERO;
        while waited < QR_WITHIN {
            ask(ordeal, request, line, timeout_s, self == Self::AtCounter);
            ordeal.passes(Moment::Requested);
            let seen = ordeal.until(ASK_AGAIN, |ordeal| {
                if ended(ordeal, request).is_some() {
                    return Some(None);
                }
                let shown = if self == Self::AtCounter {
                    ordeal.codes.get(request).cloned()
                } else {
                    ordeal.shop.screen.payload().filter(|payload| Some(payload) != before.as_ref())
                };
                shown.map(Some)
            })?;
            match seen {
                Some(shown) => return Ok(shown),
                None => waited += ASK_AGAIN,
            }
        }
        Ok(None)
    }

    fn acts(self, ordeal: &mut Ordeal, request: &str, payload: &str) -> Result<(), String> {
        match self {
            Self::PaysAtOnce => {
                pay(ordeal, payload);
            }
            Self::PaysAfterAWhile => {
                ordeal.pass_some(200, 3_500)?;
                pay(ordeal, payload);
            }
            Self::FailsFirst => {
                ordeal.shop.midtrans.fail(payload);
                ordeal.pass_some(100, 1_500)?;
                pay(ordeal, payload);
            }
            Self::Cancels => {
                ordeal.pass_some(0, 1_500)?;
                cancel(ordeal, request);
            }
            Self::CannotDecide => {
                let pays_first = ordeal.rng.below(2) == 0;
                for pays in [pays_first, !pays_first] {
                    if pays {
                        pay(ordeal, payload);
                    } else {
                        cancel(ordeal, request);
                    }
                    ordeal.pass_some(0, 120)?;
                }
            }
            Self::PaysAfterCancel => {
                cancel(ordeal, request);
                ordeal.pass_some(0, 6_000)?;
                pay_late(ordeal, payload);
            }
            Self::Never => {
                ordeal.until(Duration::from_secs(SCREEN_S + 3), |ordeal| ended(ordeal, request))?;
            }
            Self::Late => {
                ordeal.until(Duration::from_secs(SCREEN_S + 3), |ordeal| ended(ordeal, request))?;
                ordeal.pass_some(0, 6_000)?;
                pay_late(ordeal, payload);
            }
            Self::AtCounter => {
                ordeal.pass_some(0, 4_000)?;
                let answer = ordeal.shop.midtrans.pay_at_counter_if_possible(payload);
                ordeal.note(&format!("{request}: pays at the store: {} {}", answer.status, answer.text()));
                if answer.status < 300 {
                    ordeal.add("payments");
                    ordeal.add("payments at a store");
                    ordeal.passes(Moment::Scanned);
                    ordeal.to_collect.push(request.to_owned());
                }
            }
        }
        Ok(())
    }
}

/// Everything is well again, and somebody buys who has heard nothing of it. The machine may still be busy with another's
/// order; but who sees the QR and pays gets the goods.
pub fn buys_once_more(ordeal: &mut Ordeal) -> Result<(), String> {
    let start = Instant::now();
    while start.elapsed() < SELLS_WITHIN {
        let line = ordeal.count("orders") % LINES;
        let request = new_request_id();
        ordeal.requests.push(Requested { request: request.clone(), line, at_ms: clock::now().boot.0 });
        ordeal.add("orders");
        ordeal.note(&format!("{request}: asks for i{line}, after everything was mended"));
        let shown = Customer::PaysAtOnce.asks(ordeal, &request, line)?;
        // Another's QR may have come back to the screen.
        let charges = ordeal.shop.midtrans.transactions();
        let mine = charges.iter().find(|charge| charge["custom_fields"][1] == request.as_str()).map(|charge| &charge["qr_payload"]);
        let Some(payload) = shown.filter(|payload| mine.is_some_and(|mine| mine == payload.as_str())) else {
            ordeal.pass(Duration::from_millis(500))?;
            continue;
        };
        if !pay(ordeal, &payload) {
            return Err(format!("{request} cannot be paid, though its QR is up and everything was mended"));
        }
        return match ordeal.until(SELLS_WITHIN, |ordeal| ended(ordeal, &request))? {
            Some(EventState::Dispensed) => {
                ordeal.add("sold after healing");
                Ok(())
            }
            end => Err(format!("{request} was paid after everything was mended, and its end is {end:?}")),
        };
    }
    Err(format!("nothing could be bought in {SELLS_WITHIN:?} after everything was mended"))
}

/// Somebody who paid at a store comes back with the code, and once more if it did not work.
fn collects(ordeal: &mut Ordeal) -> Result<(), String> {
    let which = usize::try_from(ordeal.rng.below(ordeal.to_collect.len() as u64)).expect("an index");
    let request = ordeal.to_collect[which].clone();
    let code = ordeal.codes[&request].clone();
    ordeal.note(&format!("{request}: comes back with {code}"));
    ordeal.prepare_ambush();
    if ordeal.rng.below(4) == 0 {
        ordeal.call_device("Collect", &["s", &code]);
    } else {
        ordeal.shop.controller.post("qrisd/v1/vm-001/vend/collect", &json!({"code": code}));
    }
    if let Some(end) = ordeal.until(Duration::from_secs(4), |ordeal| ended(ordeal, &request))? {
        ordeal.to_collect.remove(which);
        if end == EventState::Dispensed {
            ordeal.add("collected with a code");
        }
    }
    Ok(())
}

/// Over MQTT, or over D-Bus.
fn ask(ordeal: &mut Ordeal, request: &str, line: u64, timeout_s: u64, at_counter: bool) {
    let item = format!("i{line}");
    let payment = if at_counter { "alfamart" } else { "gopay" };
    if ordeal.rng.below(4) == 0 {
        ordeal.add("requests over D-Bus");
        let timeout_s = timeout_s.to_string();
        ordeal.call_device("Vend", &["ssa{sv}", request, &item, "2", "timeout_s", "u", &timeout_s, "payment", "s", payment]);
    } else {
        ordeal.add("requests over MQTT");
        let body = json!({"request_id": request, "item": item, "payment": payment, "timeout_s": timeout_s});
        ordeal.shop.controller.post("qrisd/v1/vm-001/vend/request", &body);
    }
}

fn cancel(ordeal: &mut Ordeal, request: &str) {
    ordeal.note(&format!("{request}: cancels"));
    ordeal.add("cancels");
    if ordeal.rng.below(4) == 0 {
        ordeal.call_device("Cancel", &["s", request]);
    } else {
        ordeal.shop.controller.post("qrisd/v1/vm-001/vend/cancel", &json!({"request_id": request}));
    }
}

/// Whether it was taken.
fn pay(ordeal: &mut Ordeal, payload: &str) -> bool {
    let via = if ordeal.rng.below(2) == 0 { Via::Gopay } else { Via::Qris };
    let answer = ordeal.shop.midtrans.scan(payload, via);
    ordeal.note(&format!("pays: {} {}", answer.status, answer.text()));
    let taken = answer.status < 300;
    if taken {
        ordeal.add("payments");
        ordeal.passes(Moment::Scanned);
    }
    taken
}

fn pay_late(ordeal: &mut Ordeal, payload: &str) {
    let answer = ordeal.shop.midtrans.pay_late_if_possible(payload);
    ordeal.note(&format!("pays late: {} {}", answer.status, answer.text()));
    if answer.status < 300 {
        ordeal.add("payments");
        ordeal.add("late payments");
        ordeal.late.insert(answer.json()["order_id"].as_str().expect("an id").to_owned());
        ordeal.passes(Moment::Scanned);
    }
}

/// Whether the news says that a request came to its end.
fn ended(ordeal: &Ordeal, request: &str) -> Option<EventState> {
    ordeal.announced.get(request).copied().filter(|state| state.is_end())
}
