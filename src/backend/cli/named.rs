//! The order that a person names on the command line.

use super::opening::books;
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

/// The one order of this number or beginning, in the books or in this file of archived orders.
///
/// # Errors
/// There is none, or there are several. These are listed.
pub(super) async fn named(config: &Config, beginning: &Beginning, file: Option<&Path>) -> Result<OrderId, Failure> {
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
        (Some(id), true) => Ok(id),
        (Some(_), false) => {
            let count = if lines.len() == ALIKE_MAX { format!("{ALIKE_MAX} orders or more") } else { format!("{} orders", lines.len()) };
            let mut told = format!("{count} begin with {beginning}: type more letters");
            lines.iter().for_each(|line| write!(told, "\n  {line}").expect("a string takes all"));
            Err(Failure::failed(told))
        }
        (None, _) => {
            let place = file.map(|file| format!(" in {}", file.display())).unwrap_or_default();
            let told = if beginning.is_short() { format!("; a beginning has {BEGINNING_MIN} letters or more") } else { String::new() };
            Err(Failure::failed(format!("there is no order {beginning}{place}{told}")))
        }
    }
}

/// What tells orders apart whose numbers begin alike.
fn line(tx: &mut dyn Tx, id: &OrderId, zone: Zone) -> Result<String, BooksError> {
    let order = match ledger::load(tx, id) {
        Ok(Some(stored)) => stored.order,
        Ok(None) => return Ok(format!("{id}, archived")),
        Err(error) if error.is_damage() => return Ok(format!("{id}, which cannot be read")),
        Err(error) => return Err(error),
    };
    let (amount, began) = (order.sale.purchase.amount, order.created_at.to_local(zone));
    Ok(format!("{id}, {amount}, {} at {}, {began}", wording::goods(&order), wording::place(&order)))
}
