//! The order that a person names on the command line.

use super::opening::books;
use super::text::{fill, texts};
use crate::config::Config;
use crate::keeping::archive;
use crate::sale::books::{self as ledger, ALIKE_MAX, BEGINNING_MIN, Beginning, BooksError};
use crate::store::Tx;
use crate::telling::wording;
use qris_core::order::ids::OrderId;
use qris_core::order::time::Zone;
use qris_host::Failure;
use std::fmt::Write as _;
use std::path::Path;

/// The one order of this number or beginning, in the books or in this file of archived orders. It may be written in the groups in which
/// the screen shows it, each a word of the command line.
///
/// # Errors
/// There is none, or there are several. These are listed.
pub(super) async fn named(config: &Config, words: &[Beginning], file: Option<&Path>) -> Result<OrderId, Failure> {
    let beginning = words.iter().map(ToString::to_string).collect::<String>().parse::<Beginning>().map_err(Failure::usage)?;
    let found = alone(config, &beginning, file).await?;
    found.ok_or_else(|| none(&beginning, file))
}

pub(super) fn none(beginning: &Beginning, file: Option<&Path>) -> Failure {
    let mut told = match file {
        Some(file) => fill(texts().no_order_there, &[beginning, &file.display()]),
        None => fill(texts().no_order, &[beginning]),
    };
    if beginning.is_short() {
        told += &fill(texts().short_beginning, &[&BEGINNING_MIN]);
    }
    Failure::failed(told)
}

/// The order of this number or beginning, if there is one.
///
/// # Errors
/// There are several. These are listed.
pub(super) async fn alone(config: &Config, beginning: &Beginning, file: Option<&Path>) -> Result<Option<OrderId>, Failure> {
    let (wanted, zone) = (beginning.clone(), config.zone);
    let look = move |tx: &mut dyn Tx| {
        let found = ledger::beginning_with(tx, &wanted)?;
        let lines = found.iter().map(|id| line(tx, id, zone)).collect::<Result<Vec<_>, _>>()?;
        Ok((found, lines))
    };
    let (mut found, lines) = match file {
        Some(file) => archive::look_into(file, look).map_err(Failure::failed)?,
        None => books(config)?.read(look).await.map_err(Failure::failed)?,
    };
    match (found.pop(), found.is_empty()) {
        (Some(id), true) => Ok(Some(id)),
        (Some(_), false) => {
            let form = if lines.len() == ALIKE_MAX { texts().alike_or_more } else { texts().alike };
            let mut told = fill(form, &[&lines.len(), beginning]);
            lines.iter().for_each(|line| write!(told, "\n  {line}").expect("a string takes all"));
            Err(Failure::failed(told))
        }
        (None, _) => Ok(None),
    }
}

/// What tells orders apart whose numbers begin alike.
fn line(tx: &mut dyn Tx, id: &OrderId, zone: Zone) -> Result<String, BooksError> {
    let order = match ledger::load(tx, id) {
        Ok(Some(stored)) => stored.order,
        Ok(None) => return Ok(fill(texts().alike_archived, &[id])),
        Err(error) if error.is_damage() => return Ok(fill(texts().alike_damaged, &[id])),
        Err(error) => return Err(error),
    };
    let (amount, began) = (order.sale.purchase.amount, order.created_at.to_local_named(zone));
    Ok(fill(texts().alike_line, &[id, &amount, &wording::goods(&order), &wording::place(&order), &began]))
}
