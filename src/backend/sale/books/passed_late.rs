//! What a machine says of goods after the end of their try was signed.

use super::entry::BooksError;
use super::ledger;
use crate::store::Tx;
use qris_core::order::ids::{DeviceId, OrderId};
use qris_core::order::time::Told;
use qris_core::order::tries::TryNumber;

/// The relay's sensor saw something after that. It may be the goods, or a hand in the chute. So it is a line in the history of the machine's
/// own order, once a try, and decides nothing.
pub fn passed_late(tx: &mut dyn Tx, device: &DeviceId, id: &OrderId, number: TryNumber, now: Told) -> Result<(), BooksError> {
    let Some(stored) = ledger::load(tx, id)? else { return Ok(()) };
    let line = format!("something passed the sensor after the end of try {} was signed: the goods, or a hand", number.get());
    if stored.order.sale.device != *device || ledger::history(tx, id)?.iter().any(|known| known.event == line) {
        return Ok(());
    }
    ledger::note_while_few(tx, id, &line, now.wall)
}
