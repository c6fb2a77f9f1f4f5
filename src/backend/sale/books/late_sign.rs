//! What a machine says of goods after the end of their try was signed.

use super::entry::{BooksError, Done};
use super::write::{Claim, matters, write};
use super::{Policy, ledger, words};
use crate::store::Tx;
use qris_core::order::ids::DeviceId;
use qris_core::order::late_sign::{LateNews, LateSign};
use qris_core::order::merchant::Event;
use qris_core::order::time::Told;

/// It is a line in the history of the machine's own order, once a try. What passed a sensor may be the goods, or a hand in the chute: it
/// decides nothing. A device that names its slots is sure: a person decides.
pub fn late_sign(tx: &mut dyn Tx, policy: &Policy, device: &DeviceId, news: &LateNews, now: Told) -> Result<Option<Done>, BooksError> {
    let LateNews { order: id, number, sign } = news;
    let Some(stored) = ledger::load(tx, id)? else { return Ok(None) };
    let line = words::late_sign(*sign, *number);
    if stored.order.sale.device != *device || ledger::history(tx, id)?.iter().any(|known| known.event.starts_with(&line)) {
        return Ok(None);
    }
    let done = match sign {
        LateSign::Passed => None,
        LateSign::Came => {
            let refund_on_its_way = stored.claimed_until.is_some_and(|until| until > now.wall);
            Some(write(tx, policy, stored, Event::CameLate { number: *number, refund_on_its_way }, now, Claim::Keep)?)
        }
    };
    if done.as_ref().is_none_or(|done| !matters(&done.was, &done.now.order)) {
        ledger::note_while_few(tx, id, &line, now.wall)?;
    }
    Ok(done)
}
