//! Orders: the list with its search, one of them, and what is done about its money.

use super::{Frame, Query, Tab, address, named, note, renewed, rows};
use crate::Desk;
use crate::asking::Unanswered;
use crate::form::Posted;
use crate::visitor::{Halt, Visitor};
use crate::words::{self, orders as order_words};
use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use qris_core::order::merchant::{NumberStands, Refused};
use qris_core::order::tries::TwoDigits;
use qris_core::text::plain;
use qris_core::wire::desk::{Barred, Deed, Denied, Do, Found, NOTE_MAX, OrderPage, Problem, Prove, ROWS, Sure};
use qris_host::speech::fill;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "orders.html")]
struct List {
    f: Frame,
    q: String,
    device: String,
    found: Found,
    /// The search, as it was understood.
    by: Vec<String>,
    next: Option<String>,
}

/// `GET /orders?q=…&device=…&behind=…`, `GET /orders?wanting=true&behind=…`
pub async fn list(State(desk): State<Arc<Desk>>, visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, Halt> {
    const LENGTH_MAX: usize = 64;
    let query = Query::read(query.as_deref());
    let short = |name| query.get(name).chars().take(LENGTH_MAX).collect::<String>();
    let (q, device, behind) = (short("q").trim().to_owned(), short("device"), short("behind"));
    let wanting = if query.get("wanting") == "true" { "true" } else { "" };
    let asked: Vec<_> = [("q", &*q), ("device", &*device), ("behind", &*behind), ("wanting", wanting)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let told = desk.serve.read::<Found>(&visitor, "orders", &asked).await.map_err(|why| why.halt(&visitor))?;
    let found = told.told;
    let words = words::Words::of(visitor.language);
    let f = Frame::of(&visitor, Tab::Orders, words.orders, told.me);
    let name = found.orders.first().and_then(|line| line.order.machine.clone());
    let by = [
        found.by.is_wanting.then(|| words.search_wanting.to_owned()),
        found.by.number.as_ref().map(|number| fill(words.search_number, &[number])),
        found.by.amount.map(|amount| f.money(&amount)),
        found.by.near.as_ref().map(|near| fill(words.search_near, &[&f.at(near)])),
        found.by.day.as_ref().map(|day| f.day(day)),
        found.by.device.as_ref().map(|device| fill(words.search_machine, &[&name.as_deref().unwrap_or(device.as_str())])),
        (!found.by.goods.is_empty()).then(|| found.by.goods.join(", ")),
    ];
    let behind = found.behind.as_deref();
    let next = behind.map(|behind| address("/orders", &[("q", &q), ("device", &device), ("wanting", wanting), ("behind", behind)]));
    Ok(visitor.show(StatusCode::OK, &List { by: by.into_iter().flatten().collect(), next, q, device, found, f }))
}

#[derive(Template)]
#[template(path = "order.html")]
struct One {
    f: Frame,
    page: OrderPage,
    /// The history goes on there, and this is not its beginning.
    next: Option<String>,
    is_later: bool,
}

/// An order by the first letters of its number. Where several have them, the list shows those.
async fn read(desk: &Desk, visitor: &Visitor, order: &str) -> Result<(Frame, OrderPage), Halt> {
    let Some(order) = named(order) else { return Err(note::not_found(visitor).into()) };
    match desk.serve.read::<OrderPage>(visitor, &format!("orders/{order}"), &[]).await {
        Ok(told) => {
            let f = Frame::of(visitor, Tab::Orders, String::new(), told.me);
            let title = format!("{} · {}", f.money(&told.told.line.paid), f.goods(&told.told.line));
            Ok((Frame { title, ..f }, told.told))
        }
        Err(Unanswered::Told(Problem::Several)) => Err(visitor.lead_to(&address("/orders", &[("q", order)])).into()),
        Err(why) => Err(why.halt(visitor)),
    }
}

/// `GET /orders/ORDER?line=40`: the lines of its history from this one on.
pub async fn show(
    State(desk): State<Arc<Desk>>,
    visitor: Visitor,
    Path(order): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Halt> {
    let (f, mut page) = read(&desk, &visitor, &order).await?;
    let from = Query::read(query.as_deref()).place("line");
    let (history, behind) = rows(std::mem::take(&mut page.history), from);
    page.history = history;
    // What people did last says more.
    let earlier = page.log.len().saturating_sub(ROWS);
    page.log.drain(..earlier);
    let next = behind.map(|behind| format!("/orders/{}?line={behind}", page.line.order.order_id));
    let shown = visitor.show(StatusCode::OK, &One { f, page, next, is_later: from > 0 });
    // Whoever reads its history is left alone.
    Ok(if from > 0 { shown } else { renewed(shown) })
}

#[derive(Template)]
#[template(path = "deed.html")]
struct Ask {
    f: Frame,
    page: OrderPage,
    deed: Deed,
    what: String,
    yes: String,
    /// What must be said first.
    sure: Option<Sure>,
    denied: Option<Denied>,
    wrong: Option<String>,
    note: String,
}

impl Ask {
    fn note_max(&self) -> usize {
        NOTE_MAX
    }

    fn is_number(&self) -> bool {
        self.deed == Deed::Number
    }

    fn is_by_hand(&self) -> bool {
        self.deed == Deed::ByHand
    }

    fn is_given(&self) -> bool {
        self.deed == Deed::Given
    }

    /// Whether the page says what is left of today's limit: also to whom the limit denies it.
    fn shows_left(&self) -> bool {
        self.deed.is_about_money() && self.denied.is_none_or(|denied| denied == Denied::Person(Barred::Limit))
    }
}

fn asking(f: Frame, page: OrderPage, deed: Deed) -> Ask {
    let [title, mut what, yes] = order_words::asked(f.o(), deed, page.line.to_return);
    let until = if deed == Deed::Again { &page.would_be_until } else { &page.again_until };
    if let (Some(about), Some(until)) = (order_words::about_another_try(f.o(), deed), until) {
        what = format!("{what} {}", fill(about, &[&f.at(until)]));
    }
    // `serve` judges each deed.
    let possible = page.line.deeds.iter().find(|possible| possible.deed == deed);
    let (sure, denied) =
        possible.map_or((None, Some(Denied::Order(Refused::NothingToSee))), |possible| (possible.is_sure, possible.denied));
    Ask { f: Frame { title, ..f }, page, deed, what, yes, sure, denied, wrong: None, note: String::new() }
}

fn deed_of(visitor: &Visitor, word: &str) -> Result<Deed, Halt> {
    Deed::from_word(word).ok_or_else(|| note::not_found(visitor).into())
}

/// `GET /orders/ORDER/DEED`: what will happen.
pub async fn ask(State(desk): State<Arc<Desk>>, visitor: Visitor, Path((order, deed)): Path<(String, String)>) -> Result<Response, Halt> {
    let deed = deed_of(&visitor, &deed)?;
    let (f, page) = read(&desk, &visitor, &order).await?;
    Ok(visitor.show(StatusCode::OK, &asking(f, page, deed)))
}

/// `POST /orders/ORDER/DEED`: it happens.
pub async fn act(State(desk): State<Arc<Desk>>, Path((order, deed)): Path<(String, String)>, posted: Posted) -> Result<Response, Halt> {
    let visitor = &posted.visitor;
    let deed = deed_of(visitor, &deed)?;
    let Some(order) = named(&order) else { return Err(note::not_found(visitor).into()) };
    let Ok(version) = posted.field("version").parse::<u64>() else { return Err(note::malformed(visitor)) };
    let is_sure = match posted.field("sure") {
        "" => None,
        word => Some(Sure::from_word(word).ok_or_else(|| note::malformed(visitor))?),
    };
    let words = words::Words::of(visitor.language);
    let from_slot = match (deed, posted.field("from")) {
        (Deed::Given, "machine") => Some(true),
        (Deed::Given, "elsewhere") => Some(false),
        (other, "") if other != Deed::Given => None,
        (_, _) => return Err(note::malformed(visitor)),
    };
    // A note is one line in the books.
    let how = plain(posted.field("note"), ' ');
    let how = how.trim();
    let again = async |status, wrong: Option<String>| {
        let (f, page) = read(&desk, visitor, order).await?;
        Ok(visitor.show(status, &Ask { wrong, note: how.chars().take(NOTE_MAX).collect(), ..asking(f, page, deed) }))
    };
    let needs_note = deed == Deed::ByHand;
    if needs_note && !(1..=NOTE_MAX).contains(&how.chars().count()) {
        return again(StatusCode::UNPROCESSABLE_ENTITY, Some(fill(words.note_first, &[&NOTE_MAX]))).await;
    }
    let number = posted.field("number").trim().parse::<TwoDigits>().ok().filter(|_| deed == Deed::Number);
    if deed == Deed::Number && number.is_none() {
        return again(StatusCode::UNPROCESSABLE_ENTITY, Some(words.number_first.into())).await;
    }
    let password = posted.field("password");
    if !password.is_empty() {
        match desk.serve.tell(visitor, "prove", &Prove { password: password.into() }).await {
            Ok(()) => {}
            Err(why) => {
                return match note::of_password(words, &why) {
                    Some((status, wrong)) => again(status, Some(wrong)).await,
                    None => Err(why.halt(visitor)),
                };
            }
        }
    }
    let wanted = Do { number, note: if needs_note { how.into() } else { "".into() }, is_sure, from_slot, version };
    match desk.serve.tell(visitor, &format!("orders/{order}/{}", deed.as_str()), &wanted).await {
        Ok(()) => Ok(visitor.lead_to(&format!("/orders/{order}"))),
        Err(Unanswered::Told(Problem::Changed)) => Ok(changed(visitor, order)),
        Err(Unanswered::Told(Problem::Unproven)) => again(StatusCode::FORBIDDEN, Some(words.prove_first.into())).await,
        Err(Unanswered::Told(Problem::Denied { why })) => {
            // The tick is what is missing, if that would make it possible.
            let may_be_sure =
                matches!(why, Denied::Order(Refused::NotReported | Refused::NoProof | Refused::RefundUnsure | Refused::GoodsAndMoney));
            let is_unsaid = may_be_sure && is_sure.is_none() && deed != Deed::Again;
            let said = if is_unsaid {
                words.sure_first
            } else {
                order_words::denied(order_words::Words::of(visitor.language), visitor.language, why)
            };
            again(note::status_of(why), Some(said.into())).await
        }
        Err(other) => Err(other.halt(visitor)),
    }
}

#[derive(Template)]
#[template(path = "note.html")]
struct Changed<'a> {
    f: Frame,
    hint: &'a str,
    link: (&'a str, &'a str),
}

fn changed(visitor: &Visitor, order: &str) -> Response {
    let words = words::Words::of(visitor.language);
    let link = format!("/orders/{order}");
    let f = Frame::bare(visitor, Tab::Orders, words.changed);
    visitor.show(StatusCode::CONFLICT, &Changed { f, hint: words.changed_hint, link: (&link, words.look_again) })
}
