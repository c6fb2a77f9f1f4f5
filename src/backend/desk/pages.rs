//! What a person sees, and does.

use super::answer::{Asked, No, Of, asked, body, from, shown};
use super::machines::{self as known, FleetSnapshot};
use super::orders::{self, Teller};
use super::sessions::Asker;
use super::typed::Search;
use super::{Desk, deeds, judge, report as sums, search, today as day};
use crate::machines::{reported, stock};
use crate::sale::books::{self, Beginning, BooksError, Cursor, Grouped, Sought};
use crate::store::Tx;
use axum::Json;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use qris_core::order::ids::{DeviceId, OrderId};
use qris_core::order::merchant::Order;
use qris_core::order::time::{Told, Wall};
use qris_core::text::Language;
use qris_core::wire::desk::{
    AgainShown, Deed, Envelope, Found, LogLine, MachineLine, MachinePage, OrderPage, Problem, ROWS, Report, ToBring, Today,
};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// A refund is answered with the gateway's answer, if that comes within this time. It goes on without us.
const GATEWAY_WAIT: Duration = Duration::from_secs(8);
/// The orders on the page of a machine.
const OF_MACHINE: usize = 10;

pub fn addresses() -> Router<Arc<Desk>> {
    Router::new()
        .route("/v1/today", get(today))
        .route("/v1/orders", get(orders))
        .route("/v1/orders/{order}", get(order))
        .route("/v1/orders/{order}/{deed}", post(deed))
        .route("/v1/machines", get(machines))
        .route("/v1/machines/{device}", get(machine))
        .route("/v1/report", get(report))
        .route("/v1/report.csv", get(report_csv))
        .route("/v1/to-bring", get(to_bring))
        .route("/v1/to-bring.csv", get(to_bring_csv))
        .route("/v1/log", get(log))
}

impl Desk {
    async fn tell_of<T: Send + 'static>(
        &self,
        headers: &HeaderMap,
        job: impl FnOnce(&mut dyn Tx, &Teller<'_>) -> Result<T, BooksError> + Send + 'static,
    ) -> Result<Envelope<T>, No> {
        let (policy, usual) = (self.books.policy(), self.usual);
        self.tell(headers, move |tx: &mut dyn Tx, asker: &Asker, now: Told| job(tx, &Teller { policy: &policy, asker, usual, now })).await
    }

    /// Today, from midnight to midnight.
    fn today(&self) -> (Wall, Wall) {
        let now = self.books.now().wall;
        (judge::midnight(now, self.usual.zone), judge::days_before(now, -1))
    }
}

/// `GET /v1/today`
pub async fn today(State(desk): Of, headers: HeaderMap) -> Result<Json<Envelope<Today>>, No> {
    let span = desk.today();
    let told = desk.tell_of(&headers, move |tx, teller| Ok((day::read(tx, teller)?, books::sums(tx, None, span, Grouped::Machine)?)));
    let Envelope { me, told: (mut today, sold) } = told.await?;
    let machines = FleetSnapshot::read(&desk.machines).await?;
    today.all_machines = machines.number();
    today.machines = machines.lines(&known::by_machine(&sold), desk.usual.zone);
    today.machines.retain(|machine| !machine.trouble.is_empty() || machine.off_since.is_some());
    // The worst first. One of which the broker has just said that it is off has no trouble of ours yet.
    today.machines.sort_by_key(|machine| machine.trouble.first().map(|trouble| *trouble as u8));
    Ok(Json(Envelope { me, told: today }))
}

#[derive(Deserialize)]
pub struct Looked {
    q: Option<String>,
    device: Option<String>,
    behind: Option<String>,
    /// All that want a person.
    #[serde(default)]
    wanting: bool,
}

/// `GET /v1/orders`
pub async fn orders(State(desk): Of, headers: HeaderMap, query: Asked<Looked>) -> Result<Json<Envelope<Found>>, No> {
    let Looked { q, device, behind, wanting } = asked(query)?;
    let malformed = |_| Problem::malformed("there is no such place in a list");
    let behind = behind.map(|behind| behind.parse::<Cursor>().map_err(malformed)).transpose()?;
    let device = device.map(|device| DeviceId::new(&device).map_err(|_| Problem::Unknown)).transpose()?;
    let typed = q.as_deref().unwrap_or_default().trim();
    let mut wanted = Search::read(typed, desk.usual.zone, desk.books.now().wall);
    // Somebody without a session hears nothing of machines.
    let device = if device.is_none() && wanted.words.is_some() && shown(&headers).is_ok() {
        let known = FleetSnapshot::read(&desk.machines).await?;
        // A machine's name may have a number in it, which is no sum then.
        let whole = known.meant(typed).map(|device| (device, String::new()));
        let named = whole.or_else(|| known.named_in(typed));
        if let Some((_, rest)) = &named {
            wanted = Search::read(rest, desk.usual.zone, desk.books.now().wall);
        }
        named.map(|(device, _)| device).or_else(|| {
            let meant = known.meant(wanted.words.as_deref()?)?;
            wanted.words = None;
            Some(meant)
        })
    } else {
        device
    };
    if wanting {
        return Ok(Json(desk.tell_of(&headers, move |tx, teller| search::wanting(tx, teller, behind.as_ref())).await?));
    }
    Ok(Json(desk.tell_of(&headers, move |tx, teller| search::found(tx, teller, &wanted, device, behind.as_ref())).await?))
}

/// `GET /v1/orders/ORDER`
pub async fn order(
    State(desk): Of,
    headers: HeaderMap,
    named: Result<Path<String>, PathRejection>,
) -> Result<Json<Envelope<OrderPage>>, No> {
    let beginning: Beginning = named.ok().and_then(|Path(named)| named.parse().ok()).ok_or(Problem::Unknown)?;
    let told = desk.tell_of(&headers, move |tx, teller| match orders::named(tx, &beginning)? {
        Ok(stored) => Ok(Ok((teller.page(tx, &stored)?, stored.order))),
        Err(why) => Ok(Err(why)),
    });
    let Envelope { me, told } = told.await?;
    let (page, order) = told?;
    let again_shown = if page.again_until.is_some() { again_shown(&desk, order).await? } else { None };
    Ok(Json(Envelope { me, told: OrderPage { again_shown, ..page } }))
}

/// Whether the machine has shown the offer since somebody asked for it.
async fn again_shown(desk: &Desk, order: Order) -> Result<Option<AgainShown>, No> {
    let Some(asked) = order.tries.shown.as_ref().map(|shown| shown.since) else { return Ok(None) };
    let (device, request) = (order.sale.device, order.sale.purchase.request_id);
    let told = desk.machines.read(move |tx| reported::offered(tx, &device, &request)).await?;
    Ok(match told {
        Ok(Some(at)) if at >= asked => Some(AgainShown::From { at: at.to_rfc3339_in(desk.usual.zone).into() }),
        Ok(_) if desk.machines.is_hearing() => Some(AgainShown::NotYet),
        Ok(_) | Err(()) => None,
    })
}

/// `POST /v1/orders/ORDER/DEED`
pub async fn deed(
    State(desk): Of,
    headers: HeaderMap,
    named: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<Json<Envelope<OrderPage>>, No> {
    let Path((order, word)) = named.map_err(|_| Problem::Unknown)?;
    let deed = Deed::from_word(&word).ok_or(Problem::Unknown)?;
    let order = OrderId::new(&order).map_err(|_| Problem::Unknown)?;
    let (shown, from) = (shown(&headers)?, from(&headers)?.to_string());
    let drawn = desk.around.two_digits();
    let asked = deeds::Asked { shown, boot: desk.boot(), from, order: order.clone(), deed, with: body(request).await?, drawn }.check()?;
    // A person who goes away leaves nothing half done.
    tokio::spawn(done(Arc::clone(&desk), asked)).await.map_err(|_| Problem::Away)??;
    Ok(Json(desk.tell_of(&headers, move |tx, teller| orders::again(tx, teller, &order)).await?))
}

async fn done(desk: Arc<Desk>, asked: deeds::Asked) -> Result<(), No> {
    let (usual, deed, id) = (desk.usual, asked.deed, asked.order.clone());
    let done = desk.books.write(move |tx, policy, now| deeds::carry_out(tx, policy, &asked, usual, now)).await??;
    desk.work.announce(&done);
    let going = tokio::spawn(Arc::clone(&desk.work).advance(id));
    if deed.asks_the_gateway() {
        drop(timeout(GATEWAY_WAIT, going).await);
    }
    Ok(())
}

/// `GET /v1/machines`
pub async fn machines(State(desk): Of, headers: HeaderMap) -> Result<Json<Envelope<Vec<MachineLine>>>, No> {
    let span = desk.today();
    let Envelope { me, told } = desk.tell(&headers, move |tx, _, _| books::sums(tx, None, span, Grouped::Machine)).await?;
    let lines = FleetSnapshot::read(&desk.machines).await?.lines(&known::by_machine(&told), desk.usual.zone);
    Ok(Json(Envelope { me, told: lines }))
}

/// `GET /v1/machines/DEVICE`
pub async fn machine(
    State(desk): Of,
    headers: HeaderMap,
    named: Result<Path<String>, PathRejection>,
) -> Result<Json<Envelope<MachinePage>>, No> {
    let device = named.ok().and_then(|Path(named)| DeviceId::new(&named).ok()).ok_or(Problem::Unknown)?;
    let (of, span) = (device.clone(), desk.today());
    let told = desk.tell_of(&headers, move |tx, teller| {
        let sought = Sought { device: Some(of.clone()), ..Sought::default() };
        let newest = books::sought(tx, &sought, (Wall(i64::MIN), &Cursor::at(Wall(i64::MAX))), OF_MACHINE)?;
        let lines = newest.orders.iter().map(|stored| teller.line(tx, &stored.order)).collect::<Result<Vec<_>, _>>()?;
        Ok((lines, newest, books::sums(tx, Some(&of), span, Grouped::Machine)?))
    });
    let Envelope { me, told: (orders, newest, sold) } = told.await?;
    let machines = FleetSnapshot::read(&desk.machines).await?;
    if !machines.has(&device) {
        return Err(Problem::Unknown.into());
    }
    let line = machines.line(&device, &known::by_machine(&sold), desk.usual.zone);
    let (slots, slots_at) = known::slots(&desk, &device).await?;
    let screen = known::screen(&line, newest.orders.iter().map(|stored| &stored.order), desk.books.now(), desk.usual.zone);
    let damaged = newest.damaged.into_iter().map(Into::into).collect();
    Ok(Json(Envelope { me, told: MachinePage { version: machines.version(&device), line, screen, orders, damaged, slots, slots_at } }))
}

/// `GET /v1/report`
pub async fn report(State(desk): Of, headers: HeaderMap, query: Asked<sums::Asked>) -> Result<Json<Envelope<Report>>, No> {
    let (asked, zone) = (asked(query)?, desk.usual.zone);
    let span = asked.span(zone, desk.books.now().wall).ok_or(Problem::malformed("there is no such day or month"))?;
    let by = asked.by();
    let Envelope { me, told } = desk.report(&headers, span, by).await?;
    Ok(Json(Envelope { me, told: sums::with_news(told, &desk.machines, span, by, zone).await }))
}

/// `GET /v1/report.csv`
pub async fn report_csv(State(desk): Of, headers: HeaderMap, query: Asked<sums::Asked>) -> Result<Response, No> {
    Ok(csv(desk.table_of_payments(&headers, &asked(query)?).await?))
}

fn csv(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], text).into_response()
}

#[derive(Deserialize)]
pub struct BehindMachine {
    behind: Option<Box<str>>,
}

/// `GET /v1/to-bring`
pub async fn to_bring(State(desk): Of, headers: HeaderMap, query: Asked<BehindMachine>) -> Result<Json<Envelope<ToBring>>, No> {
    let behind = asked(query)?.behind.unwrap_or_default();
    let is_first = behind.is_empty();
    let Envelope { me, .. } = desk.tell(&headers, |_, _, _| Ok(())).await?;
    let (all, packing, is_more) = known::packing(&desk.machines, behind, ROWS, None).await?;
    let (packing, others) = if is_first {
        (packing, desk.machines.read(|tx| Ok([stock::untold(tx)?, stock::well_filled(tx)?])).await?)
    } else {
        Default::default()
    };
    Ok(Json(Envelope { me, told: known::to_bring(&all, others, &packing, is_more, desk.usual.zone) }))
}

#[derive(Deserialize)]
pub struct InLanguage {
    #[serde(default)]
    language: Language,
}

/// `GET /v1/to-bring.csv`
pub async fn to_bring_csv(State(desk): Of, headers: HeaderMap, query: Asked<InLanguage>) -> Result<Response, No> {
    Ok(csv(desk.table_to_bring(&headers, asked(query)?.language).await?))
}

#[derive(Deserialize)]
pub struct Behind {
    behind: Option<i64>,
}

/// `GET /v1/log`
pub async fn log(State(desk): Of, headers: HeaderMap, query: Asked<Behind>) -> Result<Json<Envelope<Vec<LogLine>>>, No> {
    let (Behind { behind }, zone) = (asked(query)?, desk.usual.zone);
    let told = desk.tell(&headers, move |tx, asker, _| match judge::owner(&asker.person) {
        Ok(()) => Ok(Ok(super::log::page(tx, behind, zone)?)),
        Err(why) => Ok(Err(why)),
    });
    let Envelope { me, told } = told.await?;
    Ok(Json(Envelope { me, told: told? }))
}
