//! The one time of day that is stored as trusted. The next start goes by no earlier one, and a command judges its clock by it.

use super::entry::BooksError;
use crate::store::{self, Tx};
use qris_core::order::time::{Boot, BootId, Now, Span, Told, Wall};
use qris_host::reckoning::Reckoning;
use qris_host::trust::AGREES;

/// While the time is trusted, it is stored so often.
pub const STORED_EVERY: Span = Span::secs(60);

/// A trusted time, and the boot clock then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedTime {
    pub at: Wall,
    pub boot: BootId,
    pub since_boot: Boot,
}

pub fn store_time(tx: &mut dyn Tx, time: &TrustedTime) -> Result<(), BooksError> {
    let row = vec![("one", 1.into()), ("at_ms", time.at.into()), ("boot", (&*time.boot.0).into()), ("boot_ms", time.since_boot.0.into())];
    Ok(store::put(tx, "trusted_time", "one", row)?)
}

pub fn stored_time(tx: &mut dyn Tx) -> Result<Option<TrustedTime>, BooksError> {
    let rows = tx.rows("SELECT at_ms, boot, boot_ms FROM trusted_time", &[])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let boot = BootId(row.text("boot")?.into());
    Ok(Some(TrustedTime { at: Wall(row.int("at_ms")?), boot, since_boot: Boot(row.int("boot_ms")?) }))
}

/// The time by which a command says until when a code or a link is good. It goes on from the stored time, if that is of this boot: then the
/// clock may say what it wants.
pub fn latest_beside(tx: &mut dyn Tx, own: Now, boot: Option<BootId>) -> Result<Wall, BooksError> {
    let reckoning = Reckoning::of(boot);
    if let Some(TrustedTime { at, boot, since_boot }) = stored_time(tx)? {
        reckoning.stored(at, &boot, since_boot, own);
    }
    Ok(reckoning.latest(own))
}

/// The time for a command beside `serve`, whose clock says `own`. It is trusted if `serve` has stored it lately.
pub fn told_beside(tx: &mut dyn Tx, own: Wall) -> Result<Told, BooksError> {
    let is_near = |time: TrustedTime| (time.at - AGREES..=time.at + STORED_EVERY + AGREES).contains(&own);
    Ok(if stored_time(tx)?.is_some_and(is_near) { Told::trusted(own) } else { Told::unknown(own) })
}
