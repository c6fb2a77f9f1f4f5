//! Tells people about everything that they must look at: for each, it runs `[alerts] command` with one JSON object on
//! its standard input, and posts the same object to `[alerts] webhook_url`. When the matter is over, both are told that as well.
//!
//! The alerts are in the database, so they survive a restart. The command has taken an alert when it ends with status 0,
//! the webhook when it answers 2xx. Who has not is tried again for two days, alone. So each is told at least once: `alert_id`
//! marks repetitions. One alert is told at a time, also if several backends share one database.

mod section;
pub mod webhook;

pub use section::Section;

use super::daily::{Daily, DayTold, ReadDay};
use crate::command;
use crate::machines::handle::Machines;
use crate::machines::stock::{self, Kept, State};
use crate::sale::books::{self, Alert, Older, StockAlert, Subject, Ways};
use crate::sale::counted;
use crate::sale::handle::{Bell, Books};
use crate::sale::view::{Shop, people};
use crate::settings::SETTINGS;
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::Attention;
use qris_core::order::time::{Span, Wall};
use qris_core::text::named;
use qris_core::wire::people::OrderLine;
use qris_host::config::settings::{Whole, number};
use qris_host::events::Event as Journal;
use qris_host::speech::orders::Text;
use qris_host::speech::{self, Language};
use qris_host::surroundings::Surroundings;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use webhook::Webhook;

/// The longest time for the command.
const LIMIT: Duration = Duration::from_secs(30);
/// Alerts that commands beside `serve` wrote are noticed after this time.
const LOOK: Duration = Duration::from_secs(5);

/// The kind of what is told about the end of an alert.
const OVER: &str = "over";
const NOTHING_TO_DO: &str = "nothing is to be done";
/// What to do where a command is needed, for who has a desk.
const TELL_SERVER: &str = "tell whoever runs your server";
const OTHER_COMPUTER: &str = "find the other computer, and switch it off; if it may be in foreign hands: tell whoever runs your server";
/// The most machines or slots of a kind that a sentence names. The object has all.
pub const NAMED: usize = 10;

/// A machine that is missing for this long leads to an alert, unless the merchant sets another time.
pub const OFFLINE_AFTER: Whole = number(SETTINGS, "alerts.offline_after_s");

#[derive(Debug, Clone)]
pub struct Tellers {
    /// The command that is run. It begins with an absolute path.
    pub command: Option<Vec<String>>,
    pub webhook: Option<Webhook>,
    /// The path of what the webhook is signed with, for the check of the rights of such files.
    pub webhook_secret_file: Option<PathBuf>,
    /// Whether they are told of the end, too.
    pub over: bool,
    pub offline_after: Span,
    pub daily: Option<Daily>,
}

impl Tellers {
    /// The ways that must still take it.
    fn wanted(&self, alert: &Alert) -> Ways {
        let command = self.command.as_ref().map_or(Ways::default(), |_| Ways::COMMAND);
        let ways = self.webhook.as_ref().map_or(command, |_| command.and(Ways::WEBHOOK));
        match alert.until {
            None => ways.without(alert.taken),
            Some(_) if self.over => ways.among(alert.taken),
            Some(_) => Ways::default(),
        }
    }

    /// Tells one alert. Gives the ways that took it, and why others did not.
    async fn tell(&self, alert: &Alert, body: &str, now: Wall) -> (Ways, Vec<String>) {
        let wanted = self.wanted(alert);
        let (mut took, mut failed) = (Ways::default(), Vec::new());
        if let Some(command) = self.command.as_ref().filter(|_| wanted.has(Ways::COMMAND)) {
            match command::call(command, body.as_bytes(), LIMIT).await {
                Ok(()) => took = took.and(Ways::COMMAND),
                Err(error) => failed.push(error.to_string()),
            }
        }
        if let Some(webhook) = self.webhook.as_ref().filter(|_| wanted.has(Ways::WEBHOOK)) {
            match webhook.post(body, now).await {
                Ok(()) => took = took.and(Ways::WEBHOOK),
                Err(error) => failed.push(error.to_string()),
            }
        }
        if failed.len() == 1 && (!took.is_none() || !alert.taken.without(wanted).is_none()) {
            failed[0] += " (the other way took it)";
        }
        (took, failed)
    }
}

pub async fn run(
    around: Arc<dyn Surroundings>,
    books: Arc<Books>,
    machines: Arc<Machines>,
    place: Arc<Shop>,
    read_day: ReadDay,
    tellers: Tellers,
) {
    let mut day = None;
    loop {
        // Both ends of the wait lead to a look.
        let _ = timeout(LOOK, books.rung(Bell::Alerts)).await;
        if let Some(last) = tellers.daily.map(|daily| daily.last(books.now().wall, place.zone)).filter(|last| day != Some(*last)) {
            let name = last.to_local(place.zone)[..10].to_owned();
            if books.write(move |tx, _, _| books::day_is_over(tx, &name, last)).await.is_ok() {
                day = Some(last);
            }
        }
        tell_all(&*around, &books, &machines, &place, &read_day, &tellers).await;
    }
}

/// Tells the alerts that are due now, one after the other.
async fn tell_all(around: &dyn Surroundings, books: &Books, machines: &Machines, place: &Shop, read_day: &ReadDay, tellers: &Tellers) {
    let now = books.now();
    let due = books.read(move |tx| books::due_alerts(tx, now)).await;
    // The journal was told of an error. The next look comes.
    let Ok(due) = due else { return };
    for alert in due {
        let (who, wanted) = (books.process().to_owned(), alert.clone());
        // One of two backends has the turn. An alert that the other one has just told, or that has ended, is not told again.
        let mine = books.write(move |tx, _, now| books::take_turn(tx, &who, &wanted, now)).await;
        match mine {
            Ok(true) => {}
            Ok(false) => continue,
            Err(_) => return,
        }
        let day = match &alert.about {
            Subject::Daily(_) => match read_day(alert.since).await {
                Ok(day) => Some(day),
                Err(_) => return,
            },
            _ => None,
        };
        let in_it = match (&alert.about, &alert.device) {
            (Subject::Stock(_), Some(device)) => {
                let of = device.clone();
                // The journal was told of an error. The others are told all the same, and this one when it can be read.
                let Ok(machine) = machines.read(move |tx| stock::of(tx, &of)).await else { continue };
                let Ok(blocked) = machines.blocked(device).await else { continue };
                InIt { slots: machine.map(|machine| machine.slots).unwrap_or_default(), blocked }
            }
            (_, _) => InIt::default(),
        };
        let name = match (&alert.about, &alert.device) {
            (Subject::Order(stored, _), _) => stored.order.sale.purchase.machine.clone(),
            (_, Some(device)) => machines.name(device).await,
            (_, None) => None,
        };
        let body = object(&alert, name.as_deref(), day.as_ref(), &in_it, place).to_string();
        let (took, failed) = tellers.tell(&alert, &body, books.now().wall).await;
        let (tried, left) = (alert.clone(), !failed.is_empty());
        let kept = books.write(move |tx, _, now| books::alert_tried(tx, &tried, took, left, now)).await;
        // The journal comes after the books: who reads there that somebody was told may stop us.
        if !(took.is_none() && failed.is_empty()) {
            note(around, &alert, &failed);
        }
        if kept.is_err() {
            return;
        }
    }
}

fn note(around: &dyn Surroundings, alert: &Alert, failed: &[String]) {
    let order = match &alert.about {
        Subject::Order(stored, _) => Some(stored.order.id.clone()),
        Subject::Damaged(id, _) => Some(id.clone()),
        Subject::Offline
        | Subject::Merchant(_)
        | Subject::Twice(_)
        | Subject::People(_)
        | Subject::TakenOver
        | Subject::Older(_)
        | Subject::Clock
        | Subject::Stock(_)
        | Subject::Daily(_) => None,
    };
    let over = if alert.until.is_some() { " is over" } else { "" };
    let (device, kind) = (alert.device.clone(), format!("{}{over}", alert.kind()).into());
    if failed.is_empty() {
        around.emit(&Journal::AlertSent { order, device, kind });
    } else {
        around.emit(&Journal::AlertFailed { order, device, kind, why: failed.join("; ").into() });
    }
}

/// The object that is told. At the end of an alert its `kind` is another one, so that a program that does not know of ends
/// says `told`, and not the words of an alert that begins.
fn object(alert: &Alert, name: Option<&str>, day: Option<&DayTold>, in_it: &InIt, place: &Shop) -> Value {
    let (subject, device, zone) = (alert.subject(), &alert.device, place.zone);
    let machine = device.as_ref().map_or_else(String::new, |device| named(name, device.as_str()));
    let customer = match (&alert.about, alert.until) {
        (Subject::Order(stored, kind), None) if counted::may_be_owed(*kind) => Some(customers(&stored.order.id, place)),
        (_, _) => None,
    };
    let (told, to_do, order) = trouble(alert, &machine, day, in_it, place);
    let (kind, told, to_do) = match (&alert.until, &alert.about) {
        (None, _) => (alert.kind(), told, to_do),
        (Some(_), Subject::Offline) => (OVER, format!("over: the machine {machine} is there again"), NOTHING_TO_DO),
        (Some(_), Subject::TakenOver) => (OVER, format!("over: the machine {machine} keeps its place at the broker"), NOTHING_TO_DO),
        (Some(_), Subject::Clock) => {
            (OVER, "over: the clock of the merchant's server agrees with the gateway's again".into(), NOTHING_TO_DO)
        }
        (Some(_), Subject::Stock(why)) => (OVER, format!("over: the machine {machine} {}", is_over(*why)), NOTHING_TO_DO),
        (
            Some(_),
            Subject::Order(..)
            | Subject::Damaged(..)
            | Subject::Merchant(_)
            | Subject::Twice(_)
            | Subject::People(_)
            | Subject::Older(_)
            | Subject::Daily(_),
        ) => (OVER, format!("over: nobody must look at this any more ({told})"), NOTHING_TO_DO),
    };
    json!({
        "alert_id": format!("{subject}/{}/{}", alert.kind(), alert.since.0),
        "kind": kind,
        "over": alert.until.map(|_| alert.kind()),
        "since": alert.since.to_rfc3339_in(zone),
        "until": alert.until.map(|until| until.to_rfc3339_in(zone)),
        "device": device,
        "machine": name,
        "message": told,
        "to_do": to_do,
        "in_indonesian": in_indonesian(alert, place),
        "order": order,
        "customer": customer,
        "day": day.map(|(_, object)| object),
        "slots": match (&alert.about, alert.until) {
            (Subject::Stock(why), None) => Some(wanting(&in_it.slots, *why).map(Kept::object).collect::<Vec<_>>()),
            (_, _) => None,
        },
        "not_sold": match (&alert.about, alert.until) {
            (Subject::Stock(why @ (StockAlert::Blocked | StockAlert::Price)), None) => in_it.not_sold(*why),
            (_, _) => None,
        },
        "desk_url": place.desk_url.as_deref().map(|url| at_desk(alert, url)),
        "tries": alert.tries,
        "sandbox": place.sandbox,
    })
}

/// What is wrong, what to do, and the order that it is about. Who has a desk settles it there: then no command is told.
fn trouble(alert: &Alert, machine: &str, day: Option<&DayTold>, in_it: &InIt, place: &Shop) -> (String, &'static str, Value) {
    let has_desk = place.desk_url.is_some();
    let or_at_desk = |by_command: &'static str, at_desk: &'static str| if has_desk { at_desk } else { by_command };
    let (told, to_do) = match &alert.about {
        Subject::Order(stored, kind) => {
            let line = people::line(&stored.order, place.zone);
            return (in_words(*kind, &line), order_to_do(*kind, place).spoken(), json!(line.order));
        }
        Subject::Damaged(id, _) => {
            let told = "an order that a person must look at cannot be read: its row in the database is damaged";
            let to_do = or_at_desk(
                "look for it in the gateway's dashboard by its order_id; look at the disk, and restore a backup",
                "look for it in the gateway's dashboard by its order_id; tell whoever runs your server",
            );
            return (told.into(), to_do, json!({ "order_id": id }));
        }
        Subject::Offline => (
            format!("the machine {machine} is not there: it sends no reports, and it asks for nothing"),
            "look at its power and its network",
        ),
        Subject::TakenOver => (
            format!(
                "the machine {machine} is thrown out of the broker again and again: another computer has its client id, and so its token"
            ),
            or_at_desk(
                "find the other computer, and switch it off; if it may be in foreign hands: device revoke, then a new code",
                OTHER_COMPUTER,
            ),
        ),
        Subject::Older(Older::Copy) => (
            "the books are older than they were: a copy was put in their place, or their disk has lost something. Each order that had no \
             end in them is a person's"
                .into(),
            or_at_desk("if there is a newer copy: `restore` it. Then `reconcile` for each day since it was made", TELL_SERVER),
        ),
        Subject::Older(Older::AnotherPrimary) => (
            "the database has another primary than before, or went back to a point in time: what it had answered last may be missing"
                .into(),
            or_at_desk(
                "if no standby was synchronous: `restore` without a file, then `reconcile` for this day. Else nothing is to be done",
                TELL_SERVER,
            ),
        ),
        Subject::Clock => (
            "the time on the merchant's server cannot be trusted: its clock and the gateway's differ by more than a minute, or the \
             gateway tells no time. Sales go on, but nothing ends by time"
                .into(),
            or_at_desk("set the clock (`timedatectl`), and see that the gateway can be reached: `doctor`", TELL_SERVER),
        ),
        Subject::Older(Older::Restored) => (
            "a copy of the books was put in their place. Each order that had no end in it is a person's: nobody knows what became of it \
             since"
                .into(),
            or_at_desk(
                "`reconcile` for each day since the copy was made, and `reconcile --order` for what `restore` named as missing; then look at each: orders --attention",
                "tell whoever runs your server; then look at each order",
            ),
        ),
        Subject::Merchant(merchant) => (
            format!("a QR on the machine {machine} pays another merchant than earlier QRs did: {merchant}"),
            "compare it with the number (NMID) of your QRIS; if it is not yours, switch the machines off, and ask the gateway",
        ),
        Subject::Twice(both) => (
            format!("two computers are the machine {machine}: {both}. Its card was copied, or set back to an older image"),
            or_at_desk(
                "find the second one, and switch it off; if it may be in foreign hands: device revoke, then a new code",
                OTHER_COMPUTER,
            ),
        ),
        Subject::People(done) => (
            format!("the people of the desk were changed: {done}"),
            or_at_desk(
                "if no owner wanted that: `desk link` for the owner, and `desk list`; the log of the desk says from where it came",
                "the log says from where it came; if no owner wanted that: tell whoever runs your server",
            ),
        ),
        Subject::Stock(why @ (StockAlert::Blocked | StockAlert::Price)) => {
            let goods = in_it.not_sold(*why).unwrap_or_else(|| "some of its goods".into());
            let because = if *why == StockAlert::Blocked { "a line is blocked" } else { "no line or no payment takes the price" };
            (format!("the machine {machine} does not sell {goods}, because {because}"), stock_to_do(*why, has_desk))
        }
        Subject::Stock(why @ (StockAlert::Low | StockAlert::SoldOut | StockAlert::Suspect)) => {
            (format!("the machine {machine} {}", wants(&in_it.slots)), stock_to_do(*why, has_desk))
        }
        Subject::Daily(_) => (
            day.map(|(words, _)| words.clone()).unwrap_or_default(),
            or_at_desk("what is owed: orders --refund-due; each machine: report", "what is owed, and each machine, stand there"),
        ),
    };
    (told, to_do, Value::Null)
}

/// What to do about an order: at the desk, if there is one.
const fn order_to_do(kind: Attention, place: &Shop) -> Text {
    let said = speech::orders::attention(kind);
    if place.desk_url.is_some() { said.desk_to_do } else { said.to_do }
}

/// The same of an order for people who read no English: for a program that tells them. Of what has no order it has words of its own.
fn in_indonesian(alert: &Alert, place: &Shop) -> Option<Value> {
    let Subject::Order(_, kind) = &alert.about else { return None };
    let said = speech::orders::attention(*kind);
    Some(json!({ "message": said.desk.of(Language::Id), "to_do": order_to_do(*kind, place).of(Language::Id) }))
}

/// Where a person sees it on a phone, and settles it.
fn at_desk(alert: &Alert, url: &str) -> String {
    match (&alert.about, &alert.device) {
        (Subject::Order(stored, _), _) => format!("{url}/orders/{}", stored.order.id),
        (Subject::People(_), _) => format!("{url}/log"),
        (_, Some(device)) => format!("{url}/machines/{device}"),
        (_, None) => url.into(),
    }
}

/// What is known of the slots of a machine.
#[derive(Debug, Default)]
struct InIt {
    slots: Vec<Kept>,
    /// The goods whose lines are blocked, as its fault names them.
    blocked: Option<Box<str>>,
}

impl InIt {
    /// The goods that are barred so: the slots are told sooner than the fault. The fault of a price does not name its goods.
    fn not_sold(&self, why: StockAlert) -> Option<String> {
        let slots: Vec<_> = wanting(&self.slots, why).map(goods).collect();
        let by_fault = || self.blocked.as_deref().filter(|_| why == StockAlert::Blocked).map(Into::into);
        if slots.is_empty() { by_fault() } else { Some(first_of(&slots)) }
    }
}

fn wanting(slots: &[Kept], why: StockAlert) -> impl Iterator<Item = &Kept> {
    slots.iter().filter(move |kept| match why {
        StockAlert::Blocked | StockAlert::Price => kept.barred() == Some(why),
        StockAlert::Low | StockAlert::SoldOut | StockAlert::Suspect => kept.state().wants().is_some(),
    })
}

fn goods(kept: &Kept) -> String {
    named(kept.slot.name.as_deref(), kept.slot.item.as_str())
}

/// What a machine wants, with its slots: one message for all of them.
fn wants(slots: &[Kept]) -> String {
    let listed = |is: fn(State) -> bool, tell: &dyn Fn(&Kept) -> String| {
        let all: Vec<_> = slots.iter().filter(|kept| is(kept.state())).map(tell).collect();
        (!all.is_empty()).then(|| first_of(&all))
    };
    let left = |kept: &Kept| format!("{} {} of {}", goods(kept), kept.slot.count.unwrap_or(0), kept.slot.capacity);
    let soon = |kept: &Kept| match kept.state() {
        State::Soon(0) => format!("{} within a day", goods(kept)),
        State::Soon(1) => format!("{} in about 1 day", goods(kept)),
        State::Soon(days) => format!("{} in about {days} days", goods(kept)),
        State::Suspect | State::SoldOut | State::Low | State::Unknown | State::Good => goods(kept),
    };
    let parts = [
        listed(|state| state == State::SoldOut, &goods).map(|all| format!("has sold out of {all}")),
        listed(|state| state == State::Suspect, &goods).map(|all| format!("does not sell {all}, because nothing came out")),
        listed(|state| state == State::Low, &left).map(|all| format!("has little left of {all}")),
        listed(|state| matches!(state, State::Soon(_)), &soon).map(|all| format!("will be empty of {all}")),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    // It was filled while this was on its way.
    if parts.is_empty() { "wanted to be filled, and was".into() } else { parts.join("; ") }
}

/// The first [`NAMED`] of many, and the number of the others.
#[must_use]
pub fn first_of(all: &[String]) -> String {
    let more = all.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    format!("{}{more}", all.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", "))
}

const fn stock_to_do(why: StockAlert, has_desk: bool) -> &'static str {
    match why {
        StockAlert::Low | StockAlert::SoldOut if has_desk => "fill it",
        StockAlert::Low | StockAlert::SoldOut => "fill it; what to bring: stock --to-fill",
        StockAlert::Price if has_desk => "change the price, or the line",
        StockAlert::Blocked => "see what is jammed, and whether the sensor is clean; then press the button inside the door",
        StockAlert::Price => {
            "change the price, or the line; what takes which price: `qrisctl relay lines`, and the machine's fault `prices`"
        }
        StockAlert::Suspect => "look for what is jammed in the slot, and count what is in it, at the machine",
    }
}

const fn is_over(why: StockAlert) -> &'static str {
    match why {
        StockAlert::Low => "was filled",
        StockAlert::SoldOut => "has some of everything",
        StockAlert::Suspect => "was looked at",
        StockAlert::Blocked => "has no blocked line any more",
        StockAlert::Price => "has no price any more that nothing takes",
    }
}

/// The way of a customer who paid and may have nothing for it. The address of the page has no key: this goes to services of others, and
/// whoever has the key sees a payment code.
fn customers(order: &OrderId, place: &Shop) -> Value {
    let page = place.public_url.as_ref().map(|url| format!("{url}/pay/{order}"));
    let contact = place.contact.as_deref();
    let follow = page.as_ref().map(|page| format!("follow the order at {page}, and "));
    let ask = contact.map_or_else(|| "whom the machine names".into(), |contact| format!("at {contact}"));
    let told = format!("the customer can {}ask {ask}", follow.unwrap_or_default());
    json!({ "message": told, "page": page, "contact": contact })
}

/// One sentence for a message on a phone.
fn in_words(kind: Attention, line: &OrderLine) -> String {
    let (what, order) = (speech::orders::attention(kind).alert, &line.order);
    let reason = order.reason.map(|reason| format!("; reason: {reason}")).unwrap_or_default();
    let last_day = line.last_day.as_ref().map(|day| format!("; last day for a refund at the gateway: {day}")).unwrap_or_default();
    let rest = line.rest.map(|rest| format!("; a part went back, and {rest} is left")).unwrap_or_default();
    format!("{} for {} at {} {what}{reason}{rest}{last_day}", order.goods(), order.amount, order.place())
}
