//! The first page: what needs a person, the money first; then what was sold.

use super::machines::Card as MachineCard;
use super::{Frame, Tab, bytes, fitting, room};
use crate::Desk;
use crate::visitor::{Halt, Visitor};
use crate::words;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use qris_core::wire::desk::{MachineLine, OrderLine, Sum, Today};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "today.html")]
struct Page {
    f: Frame,
    day: String,
    today: Today,
    bars: Vec<Bar>,
    /// The machines that want a person.
    all_ill: usize,
}

struct Bar {
    hour: usize,
    x: usize,
    y: u64,
    height: u64,
    sum: Sum,
}

/// The most machines on this page, and the bytes that are kept for them. The others are on theirs.
const MACHINES_MAX: usize = 10;
const MACHINES_BYTES: usize = 4 << 10;
/// The headings above both lists, and what stands below them.
const HEADINGS_BYTES: usize = 1 << 10;
/// The height of the highest bar, and the distance from one to the next.
const HIGH: u64 = 60;
const STEP: usize = 13;

fn bars(hours: &[Sum]) -> Vec<Bar> {
    let most = hours.iter().map(|sum| sum.amount).max().unwrap_or(0).max(1);
    let bar = |(hour, sum): (usize, &Sum)| {
        // An hour with a sale is seen, however small it is.
        let height = if sum.amount == 0 { 0 } else { (u128::from(sum.amount) * u128::from(HIGH) / u128::from(most)).max(2) as u64 };
        Bar { hour, x: hour * STEP, y: HIGH - height, height, sum: *sum }
    };
    hours.iter().take(24).enumerate().map(bar).collect()
}

/// `GET /`
pub async fn show(State(desk): State<Arc<Desk>>, visitor: Visitor) -> Result<Response, Halt> {
    let told = desk.serve.read::<Today>(&visitor, "today", &[]).await.map_err(|why| why.halt(&visitor))?;
    let f = Frame::of(&visitor, Tab::Today, words::in_language(visitor.language).today, told.me);
    let day = f.clock.map(|clock| clock.long(clock.today())).unwrap_or_default();
    let mut page = Page { day, bars: bars(&told.told.hours), all_ill: told.told.machines.len(), today: told.told, f };
    let (mut wanting, mut machines) = (std::mem::take(&mut page.today.wanting), std::mem::take(&mut page.today.machines));
    let left = room(&page).saturating_sub(HEADINGS_BYTES);
    let machine = |machine: &MachineLine| bytes(&MachineCard { f: &page.f, machine, level: "h3" });
    machines.truncate(MACHINES_MAX);
    let of_machines: usize = machines.iter().map(machine).sum();
    let there = fitting(&wanting, left.saturating_sub(of_machines.min(MACHINES_BYTES)), |line| bytes(&Card { f: &page.f, line }));
    page.today.more |= there < wanting.len();
    wanting.truncate(there);
    let of_orders: usize = wanting.iter().map(|line| bytes(&Card { f: &page.f, line })).sum();
    machines.truncate(fitting(&machines, left.saturating_sub(of_orders), machine));
    (page.today.wanting, page.today.machines) = (wanting, machines);
    Ok(visitor.show(StatusCode::OK, &page))
}

#[derive(Template)]
#[template(path = "order_card.html")]
struct Card<'a> {
    f: &'a Frame,
    line: &'a OrderLine,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fit_and_a_small_sale_is_seen() {
        let sum = |amount| Sum { orders: 1, amount };
        let drawn: Vec<_> = bars(&[sum(0), sum(1), sum(1_000_000)]).iter().map(|bar| (bar.x, bar.y, bar.height)).collect();
        assert_eq!(drawn, [(0, 60, 0), (13, 58, 2), (26, 0, 60)]);
        assert!(bars(&[]).is_empty() && bars(&[Sum::default(); 30]).len() == 24);
        assert_eq!(bars(&[sum(u64::MAX)])[0].height, HIGH);
    }
}
