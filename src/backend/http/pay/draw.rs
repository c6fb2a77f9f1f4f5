//! The customer's page as HTML. It shows only what anybody with the order_id may know: the amount, the item, the state
//! of the order, how to pay it, where it was made. It has no ticket, no receipt of the relay, no request_id.

mod contact;

use super::words::Words;
use crate::sale::view::Shop;
use crate::sale::view::customer::ForCustomer;
use askama::Template;
use qris_core::order::merchant::{NoTry, NumberStands, Standing};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Delivery;
use qris_core::order::qris;
use qris_core::order::request::Payment;
use qris_core::order::time::{Span, Wall, Zone};
use qris_core::order::tries::TryNumber;
use qris_core::text;
use qris_core::wire::orders::{Refund, Status};

/// How often the page looks for news while something is about to happen, in seconds.
const SOON_S: u32 = 3;
/// The same while only a person or a late payment can change it.
const SELDOM_S: u32 = 30;
/// The shortest time, in seconds, after which a page without a script is loaded again.
const NO_SCRIPT_S: u32 = 5;
/// The digits of a payment code that stand together.
const GROUP: usize = 4;

#[derive(Debug, Clone, Copy)]
pub(super) struct Sheet<'a> {
    pub(super) order: &'a ForCustomer,
    /// The money is not real.
    pub(super) sandbox: bool,
    pub(super) merchant: Option<&'a str>,
    pub(super) left: Option<Span>,
    /// The QR's picture: at the gateway, or in the address itself.
    pub(super) qr_url: Option<&'a str>,
    pub(super) zone: Zone,
    pub(super) contact: Option<&'a str>,
    /// The page to which GoPay sends the customer back, with its word on the payment.
    pub(super) finish: Option<Finish>,
    /// The same page in the other language.
    pub(super) other_language: &'a str,
    /// The order's own page, from here.
    pub(super) page: &'a str,
    /// Whether its customer may ask for another try now.
    pub(super) try_can_begin: Result<(), NoTry>,
    /// Its customer, who has the page's address, can have the money at once.
    pub(super) gives_back: bool,
    /// The name of what the page shows: a page that was seen before is not sent again.
    pub(super) tag: &'a str,
}

/// The words of GoPay's redirect. They are not believed: they only choose the greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// `result=success`
    Success,
    /// `result=failure`
    Failure,
    /// Anything else.
    Unsaid,
}

/// The look of an order: its words, its colour, when the page looks again, and what stands below.
struct Look {
    head: &'static str,
    more: &'static str,
    colour: &'static str,
    next_s: u32,
    calls: bool,
    shows: Shows,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    Nothing,
    /// How to pay it with an app.
    Ways,
    /// How to pay it over the counter.
    Counter,
    /// How to collect what was paid over the counter.
    Collect,
    /// Which try the machine is at.
    Work,
}

fn look(sheet: &Sheet<'_>, w: &'static Words) -> Look {
    let plain = |head, colour, next_s| Look { head, more: "", colour, next_s, calls: false, shows: Shows::Nothing };
    let ended = |head| Look { more: w.paid_anyway, calls: true, ..plain(head, "grey", SELDOM_S) };
    let refunded = Look { more: w.refunded_hint, ..plain(w.refunded, "green", SELDOM_S) };
    // Twenty seconds are over soon. A page without a script would take away what is being typed.
    let next_s = if sheet.order.number == Some(NumberStands::Told) { SOON_S } else { SELDOM_S };
    let due = Look { more: w.say_code, calls: true, ..plain(w.refund_due, "red", next_s) };
    let uncertain = Look { more: w.uncertain_hint, calls: true, ..plain(w.uncertain, "red", SELDOM_S) };
    match sheet.order.refund {
        Some(Refund::Due) => return due,
        Some(Refund::Done) => return refunded,
        Some(Refund::ByHand) => return plain(w.by_hand, "green", SELDOM_S),
        Some(Refund::Given) => return plain(w.given, "green", SELDOM_S),
        Some(Refund::Other(_)) => return uncertain,
        None => {}
    }
    let over_the_counter = match sheet.order.payment {
        Payment::Gopay => false,
        Payment::Alfamart | Payment::Indomaret => true,
    };
    match (sheet.order.standing, sheet.order.status) {
        (Standing::Payable, _) if over_the_counter => Look { shows: Shows::Counter, ..plain(w.waiting, "blue", SOON_S) },
        (Standing::Payable, _) => match sheet.finish {
            None => Look { shows: Shows::Ways, ..plain(w.waiting, "blue", SOON_S) },
            // A customer who comes back from the app has paid, or believes so. So there is no word of waiting for the customer.
            Some(Finish::Success) => plain(w.confirming, "blue", SOON_S),
            Some(Finish::Failure | Finish::Unsaid) => plain(w.waiting, "blue", SOON_S),
        },
        (Standing::Charging, _) => plain(w.preparing, "blue", SOON_S),
        (Standing::Held, _) => Look { more: w.held, ..plain(w.confirming, "blue", SOON_S) },
        (Standing::Ending, _) | (Standing::Over, Status::Pending) => plain(w.ending, "grey", SOON_S),
        (Standing::Over, Status::Other(_)) => uncertain,
        (Standing::Over, Status::Cancel) => ended(w.cancelled),
        (Standing::Over, Status::Expire) => ended(w.expired),
        (Standing::Over, Status::Deny | Status::Failure) => ended(w.failed),
        (Standing::Over, Status::Refund) => refunded,
        (Standing::Over, Status::Settlement) => match sheet.order.outcome {
            None if over_the_counter => Look { more: w.collect, shows: Shows::Collect, ..plain(w.paid, "green", SOON_S) },
            None => Look { more: w.working, shows: Shows::Work, ..plain(w.paid, "green", SOON_S) },
            Some(Delivery::Dispensed) => plain(w.delivered, "green", SELDOM_S),
            Some(Delivery::Uncertain | Delivery::Other(_)) => uncertain,
            Some(Delivery::Failed | Delivery::Undelivered) => due,
        },
    }
}

/// The order's page.
#[derive(Template)]
#[template(path = "pay_order.html", whitespace = "minimize")]
struct PaymentPage<'a> {
    w: &'static Words,
    s: &'a Sheet<'a>,
    look: Look,
    amount: Rupiah,
}

pub(super) fn page(sheet: &Sheet<'_>, words: &'static Words) -> String {
    let amount = sheet.order.gross_amount.unwrap_or(sheet.order.amount);
    rendered(&PaymentPage { w: words, s: sheet, look: look(sheet, words), amount })
}

impl PaymentPage<'_> {
    /// `alfamart` → `Alfamart`
    fn store(&self) -> String {
        let mut letters = self.s.order.store.as_deref().unwrap_or_else(|| self.s.order.payment.as_str()).chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    }

    /// The gateway's deeplink must be an address of the app or of the web, and not a script.
    fn deeplink(&self) -> Option<&str> {
        let is_good = |url: &&str| ["https://", "http://", "gojek://", "gopay://"].iter().any(|scheme| url.starts_with(scheme));
        self.s.order.deeplink_url.as_deref().filter(is_good)
    }

    fn payee(&self) -> Option<String> {
        self.s.order.qr_payload.as_deref().and_then(qris::payee)
    }

    /// The seconds that are left to pay, the same as a clock shows them, and until when.
    fn countdown(&self) -> Option<(i64, String, String)> {
        let (until, left) = (self.s.order.until?, self.s.left?);
        if !matches!(self.look.shows, Shows::Ways | Shows::Counter) {
            return None;
        }
        let seconds = left.as_secs_up().max(0);
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        let clock = if hours > 0 { format!("{hours}:{minutes:02}") } else { minutes.to_string() };
        // Today's date is no news.
        let until = self.moment(&until);
        let until = if hours > 0 { &until } else { until.get(11..).unwrap_or_default() };
        Some((seconds, format!("{clock}:{:02}", seconds % 60), until.into()))
    }

    fn collect_until(&self) -> Option<Wall> {
        self.s.order.until.filter(|_| self.look.shows == Shows::Collect)
    }

    /// `12345678901` → `1234 5678 901`
    fn payment_code(&self) -> Option<String> {
        let code = self.s.order.payment_code.as_deref().filter(|_| matches!(self.look.shows, Shows::Counter | Shows::Collect))?;
        let letters: Vec<char> = code.chars().collect();
        Some(letters.chunks(GROUP).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" "))
    }

    fn try_until(&self) -> Option<Wall> {
        self.s.order.try_until
    }

    /// Whether the page asks for the number that the machine shows.
    fn asks_number(&self) -> bool {
        matches!(self.s.order.number, Some(NumberStands::Asked { .. }))
    }

    /// Why the button for another try is not there, though one is offered.
    fn why_not_now(&self) -> &'static str {
        if self.s.try_can_begin == Err(NoTry::TooManyWrong) { self.w.number_no_more } else { self.w.try_later }
    }

    fn button(&self) -> &'static str {
        if self.look.calls { "a p" } else { "a" }
    }

    /// The address of a chat about this order.
    fn chat(&self, contact: &str) -> Option<String> {
        let Self { w, s, amount, .. } = self;
        contact::whatsapp(
            contact,
            &format!("{} {}: {}, {amount}, {} {}", w.chat_text, s.order.order_id, s.order.name, w.machine, s.order.machine),
        )
    }

    /// `2026-11-20 16:24 WIB`, in the merchant's zone
    fn moment(&self, at: &Wall) -> String {
        format!("{} {}", at.to_local(self.s.zone).get(..16).unwrap_or_default(), self.s.zone.as_str())
    }
}

/// A page without an order: whose it is, what it has to say, and whom to ask. It may come again by itself.
#[derive(Template)]
#[template(path = "pay_none.html", whitespace = "minimize")]
struct WithoutOrder<'a> {
    w: &'a Words,
    title: &'a str,
    hint: &'a str,
    place: &'a Shop,
    again_s: Option<u32>,
}

pub(super) fn without_order(title: &str, hint: &str, place: &Shop, words: &Words, again_s: Option<u32>) -> String {
    rendered(&WithoutOrder { w: words, title, hint, place, again_s })
}

/// The templates escape each text. What steers the letters beside it stands in none of ours, so it goes from all.
pub(crate) fn rendered(page: &impl Template) -> String {
    text::lines(&page.render().expect("a string takes all"))
}

/// The page's style; the policy allows this one, by its hash.
pub(super) const STYLE: &str = include_str!("draw/page.css");

/// The page's script; the policy allows this one, by its hash. It looks for news while the page is seen, replaces the old text with
/// it, and counts down between. Without it the page comes again by itself, and has no button that prints.
pub(super) const SCRIPT: &str = include_str!("draw/page.js");

#[cfg(test)]
mod tests;
