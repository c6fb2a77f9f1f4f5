//! The pages, a file each, with its template beside it in `templates/`. [`Frame`] is what they share.

pub mod account;
mod at_home;
mod bars;
mod bring;
mod log;
mod login;
mod machines;
pub mod note;
mod orders;
mod people;
mod report;
mod today;

pub use crate::asking::address;
use crate::say::{Clock, Day};
use crate::visitor::Visitor;
use crate::words::{self, Words, machines as machine_words, orders as order_words};
use crate::{Desk, form};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use qris_core::order::ids::{DeviceId, OrderId};
use qris_core::order::merchant::{Attention, End, NoTry, Refused};
use qris_core::order::money::{signed_total, total};
use qris_core::order::request::Payment;
use qris_core::order::scheme::Scheme;
use qris_core::order::time::Wall;
use qris_core::wire::desk::{
    AgainShown, Barred, By, Deed, Denied, Door, MachineLine, Me, OrderStep, Possible, ROWS, Role, Screen, SlotLine, Sum, Sure, Trouble,
};
use qris_core::wire::people::{NoEnd, OrderLine, Stands};
use qris_core::wire::status::FaultCode;
use qris_host::speech::{Language, fill, orders as said};
use std::borrow::Cow;
use std::fmt::Display;
use std::sync::{Arc, LazyLock};

const STYLE: &str = include_str!("templates/desk.css");
/// The address of the style has the hash of it, so that a browser may keep it for ever.
static STYLE_AT: LazyLock<String> = LazyLock::new(|| {
    let digest = ring::digest::digest(&ring::digest::SHA256, STYLE.as_bytes());
    format!("/desk.{}.css", qris_core::hex(&digest.as_ref()[..6]))
});

/// A page may have its own style, pictures that stand in it, and forms that come back here. Nothing of foreign hosts, no script, and no
/// page around it.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// The same where the demo's page shows it as a phone.
const POLICY_FRAMED: &str =
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors http:";

pub fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .merge(entering(desk.door()))
        .route("/", get(today::show))
        .route("/orders", get(orders::list))
        .route("/orders/{order}", get(orders::show))
        .route("/orders/{order}/{deed}", get(orders::ask).post(orders::act))
        .route("/machines", get(machines::list))
        .route("/machines/{device}", get(machines::show))
        .route("/bring", get(bring::show))
        .route("/bring.csv", get(bring::table))
        .route("/report", get(report::show))
        .route("/report.csv", get(report::table))
        .route("/log", get(log::show))
        .route("/people", get(people::list).post(people::add))
        .route("/people/{number}", get(people::show).post(people::act))
        .route("/sessions", get(account::show))
        .route("/sessions/end", post(account::end))
        .route("/logout", post(account::logout))
        .route("/language", post(account::language))
        .route(&STYLE_AT, get(style))
        .fallback(note::nowhere)
        .method_not_allowed_fallback(note::nowhere)
        .layer(from_fn_with_state(Arc::clone(&desk), at_home::guard))
        .layer(from_fn_with_state(if desk.framed { POLICY_FRAMED } else { POLICY }, guarded))
        .with_state(desk)
}

/// How people come in. At home no page takes a password.
fn entering(door: Door) -> Router<Arc<Desk>> {
    match door {
        Door::Public => Router::new()
            .route("/login", get(login::show).post(login::act))
            .route("/join/{code}", get(login::invited).post(login::join))
            .route("/password", get(people::password).post(people::change_password)),
        Door::Home => Router::new()
            .route("/login", get(at_home::how))
            .route("/enter/{code}", get(at_home::invited).post(at_home::enter))
            .route("/join/{code}", get(at_home::not_here))
            .route("/password", get(at_home::not_here)),
    }
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")], STYLE)
        .into_response()
}

/// A page into which nothing is typed comes anew by itself, also while it lies on the counter. Each other one has a link for that.
fn renewed(mut response: Response) -> Response {
    if response.status().is_success() {
        response.headers_mut().insert(HeaderName::from_static("refresh"), HeaderValue::from_static("60"));
    }
    response
}

/// What every answer says about itself.
async fn guarded(State(policy): State<&'static str>, request: Request, next: Next) -> Response {
    // The address of such a page is a secret. A browser would tell it to the log of the web server when it fetches the style.
    let is_link = ["/join/", "/enter/"].iter().any(|start| request.uri().path().starts_with(start));
    let referrer = if is_link { "strict-origin" } else { "same-origin" };
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // With `no-referrer` a browser would not say of our own forms where they come from.
        (header::REFERRER_POLICY, referrer),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=()"),
        (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    Today,
    Orders,
    Machines,
    Bring,
    Report,
    Account,
    None,
}

pub struct Frame {
    w: &'static Words,
    language: Language,
    tab: Tab,
    title: String,
    here: String,
    /// It was only asked for, so its own link brings the same anew.
    is_get: bool,
    /// The merchant's name, as the desk was told it last.
    merchant: Option<Box<str>>,
    me: Option<Me>,
    clock: Option<Clock>,
    key: Box<str>,
    door: Door,
}

struct Entry {
    address: &'static str,
    name: &'static str,
    icon: &'static str,
    is_here: bool,
}

impl Frame {
    /// For somebody with a session.
    fn of(visitor: &Visitor, tab: Tab, title: impl Into<String>, me: Me) -> Self {
        let words = words::Words::of(visitor.language);
        let now = Wall::from_rfc3339(&me.now).unwrap_or(Wall(0));
        let clock = Clock { now, zone: me.zone, language: visitor.language, words };
        Self { clock: Some(clock), me: Some(me), ..Self::bare(visitor, tab, title) }
    }

    /// For anybody.
    fn bare(visitor: &Visitor, tab: Tab, title: impl Into<String>) -> Self {
        let here = if visitor.is_get { visitor.here.clone() } else { "/".into() };
        let (w, language) = (words::Words::of(visitor.language), visitor.language);
        let (is_get, merchant, key) = (visitor.is_get, visitor.merchant.clone(), visitor.key().into());
        Self { w, language, tab, title: title.into(), here, is_get, merchant, me: None, clock: None, key, door: visitor.door }
    }

    fn menu(&self) -> Vec<Entry> {
        let entry = |tab, address, name, icon| Entry { address, name, icon, is_here: self.tab == tab };
        vec![
            entry(Tab::Today, "/", self.w.today, "M4 11 12 4l8 7v9h-5v-6H9v6H4z"),
            entry(Tab::Orders, "/orders", self.w.orders, "M6 3h12v18l-3-2-3 2-3-2-3 2zM9 8h6M9 12h6"),
            entry(Tab::Machines, "/machines", self.w.machines, "M5 3h14v18H5zM8 6h5v8H8zM16 7v2M8 17h8"),
            entry(Tab::Bring, "/bring", self.w.bring, "M4 8l8-4 8 4v8l-8 4-8-4zM4 8l8 4 8-4M12 12v8"),
            entry(Tab::Report, "/report", self.w.report, "M5 20V10M12 20V4M19 20v-7"),
        ]
    }

    fn style(&self) -> &'static str {
        &STYLE_AT
    }

    fn other_language(&self) -> &'static str {
        match self.language {
            Language::Id => "en",
            Language::En => "id",
        }
    }

    fn token(&self, address: &str) -> String {
        form::token(&self.key, address)
    }

    fn join_token(&self, code: &str) -> String {
        self.token(&format!("/join/{code}"))
    }

    fn deed_token(&self, order: &str, deed: &str) -> String {
        self.token(&format!("/orders/{order}/{deed}"))
    }

    fn is_sandbox(&self) -> bool {
        self.me.as_ref().is_some_and(|me| me.sandbox)
    }

    /// The server hears what the machines say.
    fn hears(&self) -> bool {
        self.me.as_ref().is_some_and(|me| me.hears)
    }

    /// Nothing ends by time.
    fn has_no_time(&self) -> bool {
        self.me.as_ref().is_some_and(|me| !me.trusts_clock)
    }

    /// The password was typed too long ago for a deed.
    fn asks_password(&self) -> bool {
        self.me.as_ref().is_some_and(|me| !me.proven)
    }

    fn is_owner(&self) -> bool {
        self.me.as_ref().is_some_and(|me| me.role == Role::Owner)
    }

    /// Whether the role has a sum a day.
    fn settles(&self, role: &Role) -> bool {
        match role {
            Role::Owner | Role::Settler => true,
            Role::Viewer => false,
        }
    }

    /// Whether the role is that of this word in a form.
    fn is_role(&self, role: &Role, word: &str) -> bool {
        serde_json::to_value(role).is_ok_and(|role| role == word)
    }

    fn person_token(&self, number: &u64) -> String {
        self.token(&format!("/people/{number}"))
    }

    fn role(&self, role: &Role) -> &'static str {
        match role {
            Role::Owner => self.w.owner,
            Role::Settler => self.w.settler,
            Role::Viewer => self.w.viewer,
        }
    }

    fn shop(&self) -> &str {
        self.me.as_ref().map_or(self.merchant.as_deref(), |me| me.merchant.as_deref()).unwrap_or("QRIS")
    }

    fn wanting(&self) -> u64 {
        self.me.as_ref().map_or(0, |me| me.wanting)
    }

    fn fill(&self, text: &str, value: impl Display) -> String {
        fill(text, &[&value])
    }

    fn fill2(&self, text: &str, one: impl Display, two: impl Display) -> String {
        fill(text, &[&one, &two])
    }

    fn money(&self, rupiah: &u64) -> String {
        total(*rupiah)
    }

    fn signed(&self, rupiah: &i64) -> String {
        signed_total(*rupiah)
    }

    fn at(&self, time: &str) -> String {
        self.clock.map_or_else(|| time.to_owned(), |clock| clock.at(time))
    }

    /// Of when everything on the page is.
    fn as_of(&self) -> Option<String> {
        self.clock.map(|clock| fill(self.w.as_of, &[&clock.of_now()]))
    }

    fn day(&self, time: &str) -> String {
        self.clock.and_then(|clock| clock.day(time)).unwrap_or_else(|| time.to_owned())
    }

    fn last_day(&self, day: &str) -> (String, bool) {
        self.clock.map_or_else(|| (day.to_owned(), true), |clock| clock.last_day(day))
    }

    fn o(&self) -> &'static order_words::Words {
        order_words::Words::of(self.language)
    }

    fn m(&self) -> &'static machine_words::Words {
        machine_words::Words::of(self.language)
    }

    fn stands(&self, stands: &Stands) -> &'static str {
        order_words::stands(self.language, *stands)
    }

    /// The colour of it: good, bad, waiting or plain.
    fn tone(&self, stands: &Stands) -> &'static str {
        match stands {
            Stands::At(End::Delivered | End::Given | End::Refunded | End::RefundedByHand) => "good",
            Stands::At(End::RefundDue) => "bad",
            Stands::At(End::Uncertain | End::Unreported | End::TakenBack) | Stands::Before(NoEnd::Unconfirmed | NoEnd::Refunding) => "warn",
            Stands::At(End::Awaited)
            | Stands::Before(
                NoEnd::Open | NoEnd::Held | NoEnd::Ending | NoEnd::Cancelled | NoEnd::Expired | NoEnd::Denied | NoEnd::Unpaid,
            ) => "plain",
        }
    }

    fn why(&self, kind: &Attention) -> (&'static str, &'static str) {
        let said = said::attention(*kind);
        (said.desk.of(self.language), said.desk_to_do.of(self.language))
    }

    fn goods(&self, line: &OrderLine) -> String {
        line.order.description.as_deref().unwrap_or_else(|| line.order.item.as_str()).to_owned()
    }

    fn machine_of(&self, line: &OrderLine) -> String {
        line.order.machine.as_deref().unwrap_or_else(|| line.order.device.as_str()).to_owned()
    }

    fn groups(&self, line: &OrderLine) -> String {
        line.order.order_id.groups().join(" ")
    }

    /// The first letters of a number: enough for people.
    fn short(&self, order: &OrderId) -> String {
        order.groups().into_iter().next().unwrap_or_default().chars().take(8).collect()
    }

    /// Whether anything can be done about it here and now.
    fn can(&self, line: &OrderLine) -> bool {
        line.deeds.iter().any(|possible| possible.denied.is_none())
    }

    /// Why this person settles nothing, here or anywhere.
    fn only_sees(&self, line: &OrderLine) -> Option<Denied> {
        let is_of_person = |denied: &Denied| match denied {
            Denied::Person(Barred::Role | Barred::Home) => true,
            Denied::Person(Barred::Limit) | Denied::Order(_) | Denied::Try(_) => false,
        };
        line.deeds.iter().find_map(|possible| possible.denied.filter(is_of_person))
    }

    fn cannot(&self, line: &OrderLine) -> bool {
        line.deeds.iter().any(|possible| self.why_not(possible).is_some())
    }

    /// Why a deed is not possible. That there is nothing to be seen, or that the machine shows no number, is no news.
    fn why_not(&self, possible: &Possible) -> Option<Denied> {
        let no_news = [Denied::Order(Refused::NothingToSee), Denied::Try(NoTry::NoNumber)];
        possible.denied.filter(|denied| !no_news.contains(denied))
    }

    /// The reason of all deeds, if it is one.
    fn one_reason(&self, line: &OrderLine) -> Option<Denied> {
        let mut all = line.deeds.iter().filter_map(|possible| self.why_not(possible));
        let first = all.next()?;
        // Another try has words of its own for the same reason.
        all.all(|other| self.denied(&other) == self.denied(&first)).then_some(first)
    }

    fn wants_somebody(&self, line: &OrderLine) -> bool {
        !line.order.attention.is_empty() || line.stands == Stands::At(End::RefundDue)
    }

    /// The deed that stands first: it is what a customer waits for.
    fn is_main(&self, deed: &Deed) -> bool {
        *deed == Deed::Refund
    }

    /// What is left to give back, after a part.
    fn rest(&self, line: &OrderLine) -> Option<String> {
        let is_owed = matches!(line.stands, Stands::At(End::RefundDue) | Stands::Before(NoEnd::Refunding));
        (is_owed && line.to_return != line.paid).then(|| fill(self.o().rest, &[&total(line.to_return)]))
    }

    fn button(&self, deed: &Deed, amount: &u64) -> String {
        order_words::button(self.o(), *deed, *amount)
    }

    fn denied(&self, denied: &Denied) -> &'static str {
        order_words::denied(self.o(), self.language, *denied)
    }

    fn sure(&self, sure: &Sure) -> &'static str {
        order_words::sure(self.o(), *sure)
    }

    fn again_shown(&self, shown: &AgainShown) -> String {
        match shown {
            AgainShown::NotYet => self.w.offer_not_shown.into(),
            AgainShown::From { at } => fill(self.w.offer_shown, &[&self.at(at)]),
        }
    }

    fn step(&self, step: &OrderStep) -> String {
        order_words::step(self.o(), self.language, &step.what, |time| self.at(time))
    }

    fn name_of(&self, machine: &MachineLine) -> String {
        machine.name.as_deref().unwrap_or_else(|| machine.device.as_str()).to_owned()
    }

    fn called(&self, device: &DeviceId, name: Option<&str>) -> String {
        name.unwrap_or_else(|| device.as_str()).to_owned()
    }

    /// The colour of a machine: that of the worst thing about it.
    fn machine_tone(&self, machine: &MachineLine) -> &'static str {
        machine.trouble.first().map_or_else(|| self.presence_tone(machine), |trouble| self.trouble_tone(trouble))
    }

    fn presence_tone(&self, machine: &MachineLine) -> &'static str {
        match (machine.is_there, &machine.off_since) {
            (Some(false), _) => "bad",
            (Some(true) | None, Some(_)) => "warn",
            (Some(true), None) => "good",
            (None, None) => "plain",
        }
    }

    /// Whether it is there. Until it is missed, the broker's word comes first, as the broker's.
    fn presence(&self, machine: &MachineLine) -> &'static str {
        match (machine.is_there, &machine.off_since) {
            (Some(false), _) => self.w.not_there,
            (Some(true) | None, Some(_)) => self.w.off,
            (Some(true), None) => self.w.there,
            (None, None) => self.w.there_unknown,
        }
    }

    /// Since when that is so.
    fn presence_since(&self, machine: &MachineLine) -> Option<String> {
        let since = match machine.is_there {
            Some(false) => machine.since.as_ref(),
            Some(true) | None => machine.off_since.as_ref().or(machine.since.as_ref()),
        };
        since.map(|since| fill(self.w.since, &[&self.at(since)]))
    }

    fn on_screen<'a>(&self, screen: &'a Screen) -> Option<&'a OrderId> {
        match screen {
            Screen::Payable { order, .. } | Screen::Paid { order } | Screen::TryAgain { order } => Some(order),
            Screen::Unknown
            | Screen::Dark
            | Screen::Idle { .. }
            | Screen::OutOfOrder
            | Screen::Unsure
            | Screen::Offline
            | Screen::Preparing => None,
        }
    }

    /// `15.00` in Indonesian, `15:00` in English.
    fn hour(&self, hour: &usize) -> String {
        match self.language {
            Language::Id => format!("{hour:02}.00"),
            Language::En => format!("{hour:02}:00"),
        }
    }

    fn payment(&self, payment: &Payment) -> String {
        said::scheme(&Scheme::from(*payment)).to_owned()
    }

    fn group(&self, by: &By, name: &str) -> String {
        match by {
            By::Day => self.clock.zip(Day::read(name)).map_or_else(|| name.to_owned(), |(clock, day)| clock.long(day)),
            By::Scheme => scheme(self.w, name),
            By::Item | By::Machine => name.to_owned(),
        }
    }

    fn trouble(&self, machine: &MachineLine, trouble: &Trouble) -> String {
        machine_words::trouble(self.m(), machine, *trouble)
    }

    fn trouble_tone(&self, trouble: &Trouble) -> &'static str {
        match trouble {
            Trouble::Silent | Trouble::Faulty | Trouble::Suspect | Trouble::SoldOut => "bad",
            Trouble::Low => "warn",
        }
    }

    fn fault<'a>(&self, machine: &MachineLine, fault: &'a FaultCode) -> (Cow<'a, str>, Option<&'static str>) {
        machine_words::fault(self.m(), machine, fault)
    }

    fn slot(&self, line: &SlotLine) -> String {
        machine_words::slot(self.m(), line)
    }

    fn slot_goods(&self, line: &SlotLine) -> String {
        line.slot.name.as_deref().unwrap_or_else(|| line.slot.item.as_str()).to_owned()
    }

    /// How today's sum differs from an earlier one.
    fn beside(&self, today: &Sum, then: &Sum) -> String {
        match today.amount.cmp(&then.amount) {
            std::cmp::Ordering::Greater => format!("+{}", total(today.amount - then.amount)),
            std::cmp::Ordering::Equal => self.w.as_much.into(),
            std::cmp::Ordering::Less => format!("−{}", total(then.amount - today.amount)),
        }
    }
}

/// How something was paid, and by whose app (`qris dana`) or through whom (`qris by gopay`). Others' names stay as they are.
fn scheme(words: &'static Words, payment: &str) -> String {
    let scheme = Scheme::of_full(payment);
    let name = said::scheme(&scheme);
    let who = payment.strip_prefix(&scheme.to_string()).unwrap_or_default().trim_start();
    match who.strip_prefix("by ") {
        Some(acquirer) => fill(words.by_acquirer, &[&name, &acquirer]),
        None if who.is_empty() => name.into(),
        None => format!("{name} {who}"),
    }
}

/// The rows of a list from a place on, and the place behind them, if there is more.
fn rows<T>(mut all: Vec<T>, from: usize) -> (Vec<T>, Option<usize>) {
    let from = from.min(all.len().saturating_sub(1));
    let behind = from + ROWS;
    let is_more = all.len() > behind;
    all.truncate(behind);
    (all.split_off(from), is_more.then_some(behind))
}

/// A part of an address that can name an order or a machine. The rest of an address must not be changed by it.
fn named(text: &str) -> Option<&str> {
    const LENGTH_MAX: usize = 64;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    let is_named = (1..=LENGTH_MAX).contains(&text.len()) && text.bytes().all(is_plain) && text.bytes().any(|byte| byte != b'.');
    is_named.then_some(text)
}

/// The question of an address, as the pages ask it. A word that stands twice counts once.
struct Query(Vec<(String, String)>);

impl Query {
    fn read(query: Option<&str>) -> Self {
        Self(serde_urlencoded::from_str(query.unwrap_or_default()).unwrap_or_default())
    }

    /// A word of it; empty if it is not there.
    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// A place in a list; the first, where nothing else is said.
    fn place(&self, name: &str) -> usize {
        self.get(name).parse().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_to_pay_has_its_name_and_that_of_who_took_it() {
        for (payment, indonesian, english) in [
            ("qris", "QRIS", "QRIS"),
            ("qris dana", "QRIS dana", "QRIS dana"),
            ("qris by gopay", "QRIS lewat gopay", "QRIS by gopay"),
            ("gopay", "GoPay", "GoPay"),
            ("of_a_later_release", "of_a_later_release", "of_a_later_release"),
        ] {
            let said = [Language::Id, Language::En].map(|language| scheme(words::Words::of(language), payment));
            assert_eq!(said, [indonesian, english]);
        }
    }
}
