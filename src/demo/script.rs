//! `--script`: five sales without a hand, and the books at the end.

use super::books::{Audit, audit, audit_slots};
use super::captions;
use super::chronicle::{Entry, EntryKind, InVain};
use super::layout::{Options, PRODUCTS, Product};
use super::midtrans::{MidtransError, Via};
use super::phone::Bill;
use super::site::{Site, SiteError};
use super::watch::View;
use qris_core::order::ids::RequestId;
use qris_core::order::reason::Reason;
use qris_core::order::time::Boot;
use qris_core::wire::vend::{EventState, VendEvent};
use qris_host::clock;
use std::time::Duration;

/// The time for all five sales and the books. Start and stop have ten seconds more, so that all is over in two minutes.
pub const DEADLINE: Duration = Duration::from_secs(105);
const SALES: u64 = 5;
/// The longest wait for any one event.
const STEP_WAIT: Duration = Duration::from_secs(40);
/// While the machine has not found its relay, a controller asks this many times, and this often.
const ASKED_MAX: u32 = 10;
const ASKED_EVERY: Duration = Duration::from_millis(500);
/// The shortest that a QR may be shown (`timeout_s`), in seconds: the customer of the fifth sale is slower.
const IMPATIENT_S: u16 = 10;
/// The machine's `late_settlement_grace_s` here: none. So the fifth customer pays later than that.
const GRACE_S: u32 = 0;
/// The machine's `cancel_wait_s` here.
const CANCEL_WAIT_S: u32 = 2;
/// How long after the answer to the machine's last question the fifth customer's payment comes.
const LATER: Duration = Duration::from_secs(1);

pub const OPTIONS: Options =
    Options { keep: false, mosquitto: false, grace_s: GRACE_S, cancel_wait_s: CANCEL_WAIT_S, sandbox: None, desk: None, page: None };

#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    #[error(transparent)]
    Site(#[from] SiteError),
    #[error(transparent)]
    InVain(#[from] InVain),
    #[error(transparent)]
    Midtrans(#[from] MidtransError),
    #[error("an order should end as {wanted}, but ended as {found}")]
    End { wanted: String, found: String },
    #[error("a cancelled QR could be paid")]
    PaidCancelled,
    #[error("the relay should have fired {wanted} times by now, but fired {found} times")]
    Pulses {
        /// As many as were dispensed.
        wanted: u64,
        /// Rising edges.
        found: u64,
    },
    #[error("the books do not balance: {}", .0.join("; "))]
    Books(Vec<String>),
    #[error("the script did not end within {} s", DEADLINE.as_secs())]
    Deadline,
}

/// Sells, prints a line a step, and closes the books.
pub async fn run(site: &Site) -> Result<(), ScriptError> {
    let script = Script { site, began: clock::now().boot };
    tokio::time::timeout(DEADLINE, script.play()).await.unwrap_or(Err(ScriptError::Deadline))
}

struct Script<'a> {
    site: &'a Site,
    began: Boot,
}

/// A request whose QR is on the panel.
struct Offer {
    request_id: RequestId,
    /// The chronicle's mark before the request.
    mark: u64,
    bill: Bill,
}

impl Script<'_> {
    async fn play(&self) -> Result<(), ScriptError> {
        // Two of the chips have room in the machine.
        let [tea, water, _, chips] = &PRODUCTS;
        self.plain(1, chips, Via::Gopay).await?;
        self.plain(2, chips, Via::Qris).await?;
        self.runs_empty(chips).await?;
        self.across_a_power_cut(3, chips).await?;
        self.abandoned(4, water).await?;
        self.too_late(5, tea).await?;
        let Audit { totals, wrong, slots: _ } = audit(self.site, true).await?;
        self.say(&format!(
            "books: {} orders, {} paid = {} dispensed + {} refund due + {} uncertain; {} pulses",
            totals.orders, totals.paid, totals.dispensed, totals.refund_due, totals.uncertain, totals.pulses
        ));
        if !wrong.is_empty() {
            return Err(ScriptError::Books(wrong));
        }
        if totals.under_way > 0 || totals.orders != SALES {
            return Err(ScriptError::Books(vec![format!("{} of {} orders have not ended", totals.under_way, totals.orders)]));
        }
        for slot in audit_slots(self.site).await.map_err(ScriptError::Books)? {
            self.say(&format!("slot {slot}"));
        }
        self.say("the books balance");
        Ok(())
    }

    /// The last one is sold. Whoever asks now gets no QR, and the machine waits for somebody who fills it.
    async fn runs_empty(&self, product: &Product) -> Result<(), ScriptError> {
        let mark = self.site.watched.chronicle.mark();
        let request_id = self.site.request(product, None).await?;
        let answered = |event: &VendEvent| event.state == EventState::AwaitingPayment || event.state.is_end();
        let event = self.event_of(&request_id, mark, "a refusal", answered).await?;
        if (event.state, event.reason) != (EventState::Refused, Some(Reason::SoldOut)) {
            return Err(unlike(EventState::Refused, Some(Reason::SoldOut), &event));
        }
        self.say(&format!("    {} is empty: the next request is {}, without a QR", product.name, worded(event.state, event.reason)));
        self.site.fill(product).await?;
        self.say("    somebody fills it");
        Ok(())
    }

    async fn plain(&self, number: u32, product: &Product, via: Via) -> Result<(), ScriptError> {
        let offer = self.offer(number, product, None).await?;
        self.site.simulated()?.pay(&offer.bill, via).await?;
        let app = match via {
            Via::Gopay => "GoPay",
            Via::Qris => "another QRIS app",
        };
        self.say(&format!("{number}/5 paid with {app}"));
        self.ends(number, &offer, EventState::Dispensed, None).await?;
        self.fired(u64::from(number)).await
    }

    /// The receipt reaches `qrisd`, which stores it and asks a relay that stands still. Then the power goes, and both
    /// programs lose their unfinished work.
    async fn across_a_power_cut(&self, number: u32, product: &Product) -> Result<(), ScriptError> {
        let offer = self.offer(number, product, None).await?;
        self.site.freeze_relay().await?;
        self.site.simulated()?.pay(&offer.bill, Via::Gopay).await?;
        self.say(&format!("{number}/5 paid with GoPay"));
        self.event(&offer, "the machine asks the relay", |event| event.state == EventState::Dispensing).await?;
        self.site.cut_power().await?;
        self.say(&format!("{number}/5 power cut between payment and pulse"));
        self.fired(u64::from(number) - 1).await?;
        self.site.restore_power().await?;
        self.say(&format!("{number}/5 power is back"));
        self.ends(number, &offer, EventState::Dispensed, None).await?;
        self.fired(u64::from(number)).await
    }

    async fn abandoned(&self, number: u32, product: &Product) -> Result<(), ScriptError> {
        let offer = self.offer(number, product, None).await?;
        self.site.cancel(&offer.request_id).await?;
        self.say(&format!("{number}/5 the customer walks away and cancels"));
        self.ends(number, &offer, EventState::Cancelled, Some(Reason::Customer)).await?;
        match self.site.simulated()?.pay(&offer.bill, Via::Gopay).await {
            Err(MidtransError::Refused(reason)) => self.say(&format!("{number}/5 a photo of its QR can no longer be paid: {reason}")),
            Err(other) => return Err(other.into()),
            Ok(()) => return Err(ScriptError::PaidCancelled),
        }
        self.fired(u64::from(number) - 1).await
    }

    /// The QR leaves the screen, and Midtrans cancels its charge. But a payment from a photo was under way by then, and Midtrans takes it.
    /// The machine has given up, and the customer may have gone.
    async fn too_late(&self, number: u32, product: &Product) -> Result<(), ScriptError> {
        let offer = self.offer(number, product, Some(IMPATIENT_S)).await?;
        self.say(&format!("{number}/5 the customer takes a photo and hesitates"));
        self.ends(number, &offer, EventState::Cancelled, Some(Reason::Timeout)).await?;
        self.sees("the QR leaves the screen", |view| view.bill.is_none()).await?;
        self.given_up(&offer).await?;
        let ended = Offer { mark: self.site.watched.chronicle.mark(), ..offer };
        tokio::time::sleep(LATER).await;
        self.site.simulated()?.pay_under_way(&ended.bill, Via::Gopay).await?;
        self.say(&format!("{number}/5 paid from the photo all the same: that was under way before the cancel"));
        self.ends(number, &ended, EventState::RefundDue, Some(Reason::Late)).await?;
        self.fired(3).await
    }

    /// The machine asks once more about an order that it has cancelled. From the answer on it delivers no late payment.
    async fn given_up(&self, offer: &Offer) -> Result<(), ScriptError> {
        let steps = [captions::cancel_order().en, captions::how_does_it_stand().en, "cancel".into()];
        let mut steps = steps.into_iter().peekable();
        let pick = |entry: &Entry| {
            steps.next_if(|step| *step == entry.text);
            steps.peek().is_none().then_some(())
        };
        Ok(self.site.watched.chronicle.wait(offer.mark, "the answer to the machine's last question", STEP_WAIT, pick).await?)
    }

    /// A request, as far as the moment when the phone has read its QR off the panel. A machine that has just got its
    /// power may not have found its relay yet. Then it refuses, and a controller asks again.
    async fn offer(&self, number: u32, product: &Product, timeout_s: Option<u16>) -> Result<Offer, ScriptError> {
        self.sees("the machine is online", |view| view.online).await?;
        self.sees("the QR of the sale before leaves the panel", |view| view.bill.is_none()).await?;
        let mut attempt = 1;
        loop {
            let mark = self.site.watched.chronicle.mark();
            let request_id = self.site.request(product, timeout_s).await?;
            self.say(&format!("{number}/5 {} for Rp{} is requested", product.name, product.rupiah));
            let answered = |event: &VendEvent| event.state == EventState::AwaitingPayment || event.state.is_end();
            let event = self.event_of(&request_id, mark, "a QR", answered).await?;
            match (event.state, event.reason) {
                (EventState::AwaitingPayment, _) => {
                    let view = self.sees("the phone reads the QR off the panel", |view| view.bill.is_some()).await?;
                    let bill = view.bill.expect("that was waited for");
                    self.say(&format!("{number}/5 the phone reads the QR: {} to {}", bill.amount, bill.merchant));
                    return Ok(Offer { request_id, mark, bill });
                }
                (EventState::Refused, Some(Reason::Relay)) if attempt < ASKED_MAX => {
                    self.say(&format!("{number}/5 refused: the machine has not found its relay yet"));
                    tokio::time::sleep(ASKED_EVERY).await;
                    attempt += 1;
                }
                _ => return Err(unlike(EventState::AwaitingPayment, None, &event)),
            }
        }
    }

    async fn ends(&self, number: u32, offer: &Offer, state: EventState, reason: Option<Reason>) -> Result<(), ScriptError> {
        let event = self.event(offer, "the order's end", |event| event.state.is_end()).await?;
        if event.state != state || event.reason != reason {
            return Err(unlike(state, reason, &event));
        }
        self.say(&format!("{number}/5 ends {}", worded(state, reason)));
        Ok(())
    }

    async fn event(&self, offer: &Offer, what: &str, is_it: impl Fn(&VendEvent) -> bool) -> Result<VendEvent, ScriptError> {
        self.event_of(&offer.request_id, offer.mark, what, is_it).await
    }

    async fn event_of(
        &self,
        request_id: &RequestId,
        mark: u64,
        what: &str,
        is_it: impl Fn(&VendEvent) -> bool,
    ) -> Result<VendEvent, ScriptError> {
        let pick = |entry: &Entry| match &entry.kind {
            EntryKind::Vend { event } if event.request_id.as_ref() == Some(request_id) && is_it(event) => Some((**event).clone()),
            _ => None,
        };
        Ok(self.site.watched.chronicle.wait(mark, what, STEP_WAIT, pick).await?)
    }

    async fn sees(&self, what: &str, is_it: impl Fn(&View) -> bool) -> Result<View, ScriptError> {
        let chronicle = &self.site.watched.chronicle;
        let mut view = self.site.watched.view.subscribe();
        match tokio::time::timeout(STEP_WAIT, view.wait_for(|view| is_it(view))).await {
            Ok(view) => Ok(view.expect("the site holds its sender").clone()),
            Err(_) => Err(chronicle.in_vain(what, STEP_WAIT).into()),
        }
    }

    /// The line's own log, edge for edge.
    async fn fired(&self, wanted: u64) -> Result<(), ScriptError> {
        let settled = |view: &View| view.pulses >= wanted && !view.driven;
        let found = self.sees("the relay line is at rest", settled).await?.pulses;
        if found == wanted { Ok(()) } else { Err(ScriptError::Pulses { wanted, found }) }
    }

    fn say(&self, text: &str) {
        let ms = clock::now().boot.0 - self.began.0;
        println!("{:>4}.{} s  {text}", ms / 1000, ms % 1000 / 100);
    }
}

fn unlike(state: EventState, reason: Option<Reason>, event: &VendEvent) -> ScriptError {
    let detail = event.detail.as_ref().map_or_else(String::new, |detail| format!(" – {detail}"));
    ScriptError::End { wanted: worded(state, reason), found: worded(event.state, event.reason) + &detail }
}

fn worded(state: EventState, reason: Option<Reason>) -> String {
    match reason {
        Some(reason) => format!("{} ({reason})", state.as_str()),
        None => state.as_str().into(),
    }
}
