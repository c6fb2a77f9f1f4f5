//! The first page: what needs a person, the money first; then what was sold.

use super::{Frame, Tab};
use crate::Desk;
use crate::visitor::{Halt, Visitor};
use crate::words;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use qris_core::wire::desk::{Sum, Today};
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

/// The most machines on this page. The others are on theirs.
const MACHINES_MAX: usize = 10;
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
    let f = Frame::of(&visitor, Tab::Today, words::Words::of(visitor.language).today, told.me);
    let day = f.clock.map(|clock| clock.long(clock.today())).unwrap_or_default();
    let mut today = told.told;
    let all_ill = today.machines.len();
    today.machines.truncate(MACHINES_MAX);
    Ok(visitor.show(StatusCode::OK, &Page { day, bars: bars(&today.hours), all_ill, today, f }))
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
