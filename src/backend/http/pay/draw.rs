//! The customer's page as HTML. It shows only what anybody with the order_id may know: the amount, the item, the state
//! of the order, how to pay it, where it was made. It has no ticket, no receipt of the relay, no request_id.

mod contact;

use super::words::Words;
use crate::sale::view::Place;
use qris_core::contact::telephone;
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::Standing;
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Delivery;
use qris_core::order::qris;
use qris_core::order::request::Payment;
use qris_core::order::time::{Span, Wall, Zone};
use qris_core::order::tries::TryNumber;
use qris_core::text;
use qris_core::wire::orders::{OrderResource, Refund, Status};
use std::fmt::Write as _;

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
    pub(super) order: &'a OrderResource,
    pub(super) merchant: Option<&'a str>,
    /// The machine's name; its id if it has not told one.
    pub(super) machine: &'a str,
    pub(super) price: Rupiah,
    /// The name of the goods.
    pub(super) name: &'a str,
    pub(super) standing: Standing,
    pub(super) charged_at: Option<Wall>,
    /// When it was paid, and how much if the gateway said that.
    pub(super) paid: Option<(Wall, Option<Rupiah>)>,
    /// The end of the time to pay it, or to collect it at the machine.
    pub(super) until: Option<Wall>,
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
    /// Until then another try may begin.
    pub(super) try_until: Option<Wall>,
    /// Its machine has not had all its other tries of 24 hours.
    pub(super) try_can_begin: bool,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Preparing,
    Waiting,
    Counter,
    Confirming,
    Ending,
    Cancelled,
    Expired,
    Failed,
    Working,
    Collect,
    Delivered,
    Uncertain,
    RefundDue,
    Refunded,
    ByHand,
    Given,
}

fn stage(order: &OrderResource, standing: Standing) -> Stage {
    match order.refund {
        Some(Refund::Due) => return Stage::RefundDue,
        Some(Refund::Done) => return Stage::Refunded,
        Some(Refund::ByHand) => return Stage::ByHand,
        Some(Refund::Given) => return Stage::Given,
        Some(Refund::Other(_)) => return Stage::Uncertain,
        None => {}
    }
    let over_the_counter = match order.payment {
        Payment::Gopay => false,
        Payment::Alfamart | Payment::Indomaret => true,
    };
    match (standing, order.status) {
        (Standing::Payable, _) if over_the_counter => Stage::Counter,
        (Standing::Payable, _) => Stage::Waiting,
        (Standing::Charging, _) => Stage::Preparing,
        (Standing::Held, _) => Stage::Confirming,
        (Standing::Ending, _) | (Standing::Over, Status::Pending) => Stage::Ending,
        (Standing::Over, Status::Other(_)) => Stage::Uncertain,
        (Standing::Over, Status::Cancel) => Stage::Cancelled,
        (Standing::Over, Status::Expire) => Stage::Expired,
        (Standing::Over, Status::Deny | Status::Failure) => Stage::Failed,
        (Standing::Over, Status::Refund) => Stage::Refunded,
        (Standing::Over, Status::Settlement) => match order.outcome.as_ref().map(|told| told.outcome) {
            None if over_the_counter => Stage::Collect,
            None => Stage::Working,
            Some(Delivery::Dispensed) => Stage::Delivered,
            Some(Delivery::Uncertain | Delivery::Other(_)) => Stage::Uncertain,
            Some(Delivery::Failed | Delivery::Undelivered) => Stage::RefundDue,
        },
    }
}

/// The look of a stage: its words, its colour, and when the page looks again.
struct Look {
    head: String,
    more: &'static str,
    colour: &'static str,
    next_s: u32,
    calls: bool,
}

fn look(stage: Stage, words: &'static Words, finish: Option<Finish>) -> Look {
    let plain = |head: &str, colour, next_s| Look { head: head.into(), more: "", colour, next_s, calls: false };
    let ended = |head: &str| Look { more: words.paid_anyway, calls: true, ..plain(head, "grey", SELDOM_S) };
    match stage {
        Stage::Preparing => plain(words.preparing, "blue", SOON_S),
        // A customer who comes back from the app has paid, or believes so. So there is no word of waiting for the customer.
        Stage::Waiting if finish == Some(Finish::Success) => plain(words.confirming, "blue", SOON_S),
        Stage::Waiting | Stage::Counter => plain(words.waiting, "blue", SOON_S),
        Stage::Confirming => Look { more: words.held, ..plain(words.confirming, "blue", SOON_S) },
        Stage::Ending => plain(words.ending, "grey", SOON_S),
        Stage::Cancelled => ended(words.cancelled),
        Stage::Expired => ended(words.expired),
        Stage::Failed => ended(words.failed),
        Stage::Working => Look { more: words.working, ..plain(words.paid, "green", SOON_S) },
        Stage::Collect => Look { more: words.collect, ..plain(words.paid, "green", SOON_S) },
        Stage::Delivered => plain(words.delivered, "green", SELDOM_S),
        Stage::Uncertain => Look { more: words.uncertain_hint, calls: true, ..plain(words.uncertain, "red", SELDOM_S) },
        Stage::RefundDue => Look { more: words.say_code, calls: true, ..plain(words.refund_due, "red", SELDOM_S) },
        Stage::Refunded => Look { more: words.refunded_hint, ..plain(words.refunded, "green", SELDOM_S) },
        Stage::ByHand => plain(words.by_hand, "green", SELDOM_S),
        Stage::Given => plain(words.given, "green", SELDOM_S),
    }
}

pub(super) fn page(sheet: &Sheet<'_>, words: &'static Words) -> String {
    let order = sheet.order;
    let stage = stage(order, sheet.standing);
    let look = look(stage, words, sheet.finish);
    let amount = order.gross_amount.unwrap_or(order.amount);
    // Without a script the page comes again by itself.
    let again = format!("<noscript><meta http-equiv=refresh content={}></noscript>", look.next_s.max(NO_SCRIPT_S));
    let title = sheet.merchant.map_or_else(|| amount.to_string(), |merchant| format!("{amount} – {}", escape(merchant)));
    let mut html = head(words, &title, &again, sheet.tag);
    let mut add = |text: std::fmt::Arguments<'_>| html.write_fmt(text).expect("a string takes all");
    if order.sandbox {
        add(format_args!("<p class=t>{}</p>", words.test));
    }
    add(format_args!("<main data-next={}>", look.next_s));
    match sheet.finish {
        Some(Finish::Success) => add(format_args!("<p class=f>{}</p>", words.thanks)),
        Some(Finish::Failure) => add(format_args!("<p class=f>{}</p>", words.sorry)),
        Some(Finish::Unsaid) | None => {}
    }
    if let Some(merchant) = sheet.merchant {
        add(format_args!("<p class=m>{}</p>", escape(merchant)));
    }
    add(format_args!("<p class=n>{} {}</p>", words.machine, escape(sheet.machine)));
    add(format_args!("<p>{}</p><p class=b>{amount}</p>", escape(sheet.name)));
    if let Some(fee) = amount.above(sheet.price) {
        add(format_args!("<p>{} {fee}</p>", words.fee));
    }
    add(format_args!("<p class=\"s {}\" role=status>{}</p>", look.colour, look.head));
    if !look.more.is_empty() {
        add(format_args!("<p>{}</p>", look.more));
    }
    if sheet.finish.is_some() && sheet.standing == Standing::Payable {
        add(format_args!("<p><a class=c href=\"{}\">{}</a></p>", escape(sheet.page), words.back));
    }
    match stage {
        Stage::Waiting if sheet.finish.is_none() => {
            countdown(&mut add, sheet, words);
            if let Some(url) = order.deeplink_url.as_deref().filter(|url| is_deeplink(url)) {
                add(format_args!("<a class=\"a p\" href=\"{}\">{}</a>", escape(url), words.pay));
            }
            if let Some(url) = sheet.qr_url {
                add(format_args!(
                    "<img alt=\"{0}\" width=400 height=400 src=\"{1}\"><p class=n>{2}</p><a class=a href=\"{1}\" download>{3}</a>",
                    words.qr_alt,
                    escape(url),
                    words.qr_hint,
                    words.qr_save
                ));
                if let Some(payee) = order.qr_payload.as_deref().and_then(qris::payee) {
                    add(format_args!("<p class=n>{}: {}</p>", words.paid_to, escape(&payee)));
                }
            }
        }
        Stage::Counter | Stage::Collect => {
            let store = order.store.as_deref().unwrap_or_else(|| order.payment.as_str());
            if stage == Stage::Counter {
                add(format_args!("<p>{} <b>{}</b></p>", words.counter, escape(&titled(store))));
            }
            match sheet.until {
                Some(until) if stage == Stage::Collect => {
                    add(format_args!("<p>{} {}</p>", words.collect_before, moment(until, sheet.zone)))
                }
                Some(_) | None => countdown(&mut add, sheet, words),
            }
            if let Some(code) = order.payment_code.as_deref() {
                add(format_args!("<p class=n>{}</p><p class=k>{}</p>", words.counter_code, escape(&grouped(code))));
            }
        }
        Stage::Preparing
        | Stage::Waiting
        | Stage::Confirming
        | Stage::Ending
        | Stage::Cancelled
        | Stage::Expired
        | Stage::Failed
        | Stage::Working
        | Stage::Delivered
        | Stage::Uncertain
        | Stage::RefundDue
        | Stage::Refunded
        | Stage::ByHand
        | Stage::Given => {}
    }
    if stage == Stage::Working && order.nth_try > TryNumber::FIRST {
        add(format_args!("<p>{}</p>", words.try_wanted));
    }
    try_again(&mut add, sheet, words);
    // Who must ask finds that first; the receipt has a button, too.
    if look.calls && sheet.paid.is_some() {
        reach(&mut add, sheet, &look, words);
        facts(&mut add, sheet, &look, words);
    } else {
        facts(&mut add, sheet, &look, words);
        reach(&mut add, sheet, &look, words);
    }
    add(format_args!("</main>"));
    let other = words.other();
    add(format_args!(
        "<p class=\"n x\"><a lang={} hreflang={0} href=\"{}\">{}</a></p>",
        other.language,
        escape(sheet.other_language),
        words.other_language
    ));
    html.push_str(&tail());
    html
}

/// Nothing came: the customer may have the goods after all, or the money at once.
fn try_again(add: &mut impl FnMut(std::fmt::Arguments<'_>), sheet: &Sheet<'_>, words: &Words) {
    let offered_until = sheet.try_until.filter(|_| sheet.order.try_again_s.is_some());
    let can_begin = offered_until.is_some() && sheet.try_can_begin;
    if can_begin && sheet.order.try_wanted_s.is_some() {
        add(format_args!("<p class=\"s blue\" role=status>{}</p><p>{}</p>", words.try_wanted, words.try_wanted_hint));
    }
    let mut ask = |want: &str, class: &str, text: &str| {
        let (page, language) = (escape(sheet.page), words.language);
        add(format_args!("<form method=post action=\"{page}&amp;lang={language}{want}\"><button class=\"{class}\">{text}</button></form>"));
    };
    if can_begin {
        ask("", "a p", words.try_again);
    }
    if sheet.gives_back {
        ask("&amp;want=money", "a", words.want_money);
    }
    if let Some(until) = offered_until {
        let hint = if can_begin { words.try_again_hint } else { words.try_later };
        add(format_args!("<p class=n>{hint} {}</p>", moment(until, sheet.zone)));
    }
}

fn countdown(add: &mut impl FnMut(std::fmt::Arguments<'_>), sheet: &Sheet<'_>, words: &Words) {
    let (Some(until), Some(left)) = (sheet.until, sheet.left) else { return };
    let seconds = left.as_secs_up().max(0);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let clock = if hours > 0 { format!("{hours}:{minutes:02}") } else { minutes.to_string() };
    add(format_args!("<p class=l>{} <b role=timer data-left={seconds}>{clock}:{:02}</b></p>", words.left, seconds % 60));
    // Today's date is no news.
    let until = moment(until, sheet.zone);
    let until = if hours > 0 { &until } else { until.get(11..).unwrap_or_default() };
    add(format_args!("<p class=n>{} {until}</p>", words.pay_before));
}

/// All that the customer may want to keep. Of what is paid it is a receipt.
fn facts(add: &mut impl FnMut(std::fmt::Arguments<'_>), sheet: &Sheet<'_>, look: &Look, words: &Words) {
    let order = sheet.order;
    let Some((at, amount)) = sheet.paid else {
        add(format_args!("<p class=n>{}</p><p>{}</p>", words.order_number, spoken(&order.order_id)));
        if let Some(at) = sheet.charged_at {
            add(format_args!("<p class=n>{}</p>", moment(at, sheet.zone)));
        }
        return;
    };
    add(format_args!("<section class=r><h1>{}</h1><dl>", words.receipt));
    let mut row = |name: &str, value: &str| add(format_args!("<dt>{name}</dt><dd>{value}</dd>"));
    if let Some(merchant) = sheet.merchant {
        row(words.merchant, &escape(merchant));
    }
    row(words.machine, &escape(sheet.machine));
    row(words.item, &escape(sheet.name));
    if order.nth_try > TryNumber::FIRST {
        // The machine's name of the goods, and their price. Who took cheaper ones sees that here.
        row(words.try_wanted, &format!("{} ({})", escape(order.item.as_str()), order.amount));
    }
    row(words.total, &amount.or(order.gross_amount).unwrap_or(order.amount).to_string());
    row(words.paid_at, &moment(at, sheet.zone));
    row(words.status, &look.head);
    row(words.order_number, &spoken(&order.order_id));
    add(format_args!("</dl></section><button class=\"a o\" id=print>{}</button>", words.keep));
}

/// An order's number as people read it out. Who copies it copies no blanks.
fn spoken(id: &OrderId) -> String {
    format!("<code>{}</code>", id.groups().join("<wbr><i></i>"))
}

fn reach(add: &mut impl FnMut(std::fmt::Arguments<'_>), sheet: &Sheet<'_>, look: &Look, words: &Words) {
    let Some(contact) = sheet.contact else {
        if look.calls {
            add(format_args!("<p>{}</p>", words.call_operator));
        }
        return;
    };
    let class = if look.calls { "a p" } else { "a" };
    let amount = sheet.order.gross_amount.unwrap_or(sheet.order.amount);
    let text = format!("{} {}: {}, {amount}, {} {}", words.chat_text, sheet.order.order_id, sheet.name, words.machine, sheet.machine);
    let chat = contact::whatsapp(contact, &text);
    if let Some(url) = &chat {
        add(format_args!("<a class=\"{class}\" href=\"{}\">{}</a>", escape(url), words.chat));
    }
    // One button stands out.
    let class = if chat.is_some() { "a" } else { class };
    calling(add, contact, class, words);
}

/// The contact, as a button if a phone can call it.
fn calling(add: &mut impl FnMut(std::fmt::Arguments<'_>), contact: &str, class: &str, words: &Words) {
    match telephone(contact) {
        Some(number) => add(format_args!("<a class=\"{class}\" href=\"tel:{number}\">{} {}</a>", words.call, escape(contact))),
        None => add(format_args!("<p>{} <b>{}</b></p>", words.call, escape(contact))),
    }
}

/// `2026-11-20 16:24 WIB`, in the merchant's zone
fn moment(at: Wall, zone: Zone) -> String {
    format!("{} {}", at.to_local(zone).get(..16).unwrap_or_default(), zone.as_str())
}

/// A page without an order: whose it is, what it has to say, and whom to ask. It may come again by itself.
pub(super) fn without_order(title: &str, hint: &str, place: &Place, words: &Words, again_s: Option<u32>) -> String {
    let again = again_s.map(|seconds| format!("<meta http-equiv=refresh content={seconds}>")).unwrap_or_default();
    let mut html = head(words, title, &again, "");
    html.push_str("<main>");
    if let Some(merchant) = &place.merchant {
        write!(html, "<p class=m>{}</p>", escape(merchant)).expect("a string takes all");
    }
    write!(html, "<p class=\"s grey\">{title}</p><p>{hint}</p>").expect("a string takes all");
    if let Some(contact) = &place.contact {
        calling(&mut |text| html.write_fmt(text).expect("a string takes all"), contact, "a", words);
    }
    html.push_str("</main></body></html>");
    html
}

fn head(words: &Words, title: &str, again: &str, tag: &str) -> String {
    format!(
        "<!doctype html><html lang={}><head><meta charset=utf-8><meta name=viewport content=\"width=device-width,initial-scale=1\">\
         <meta name=robots content=noindex><title>{title}</title>{again}<style>{STYLE}</style></head><body data-tag='{tag}'>",
        words.language,
    )
}

fn tail() -> String {
    format!("<script>{SCRIPT}</script></body></html>")
}

/// The page's style; the policy allows this one, by its hash.
pub(super) const STYLE: &str = include_str!("draw/page.css");

/// The page's script; the policy allows this one, by its hash. It looks for news while the page is seen, replaces the old text with
/// it, and counts down between. Without it the page comes again by itself, and has no button that prints.
pub(super) const SCRIPT: &str = include_str!("draw/page.js");

/// `12345678901` → `1234 5678 901`
fn grouped(code: &str) -> String {
    let letters: Vec<char> = code.chars().collect();
    letters.chunks(GROUP).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

/// `alfamart` → `Alfamart`
fn titled(store: &str) -> String {
    let mut letters = store.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The gateway's deeplink must be an address of the app or of the web, and not a script.
fn is_deeplink(url: &str) -> bool {
    ["https://", "http://", "gojek://", "gopay://"].iter().any(|scheme| url.starts_with(scheme))
}

/// A text in a form that may stand between tags and in quotes. It steers neither the page nor the letters beside it.
pub(crate) fn escape(text: &str) -> String {
    text::plain(text, ' ').replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests;
