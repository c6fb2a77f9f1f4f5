//! Ends the accounts at the broker of machines that were revoked. Another program revokes them.

use crate::machines::accounts::{AccountError, Administrator, ended, to_end};
use crate::machines::handle::Machines;
use qris_core::order::ids::DeviceId;
use qris_host::events::Event as Journal;
use qris_host::surroundings::Surroundings;
use std::sync::Arc;
use std::time::Duration;

/// How often revoked machines are looked for.
const LOOK: Duration = Duration::from_secs(5);
/// After a failure the broker is told again after this time.
const AGAIN: Duration = Duration::from_secs(15);

pub async fn follow(around: Arc<dyn Surroundings>, machines: Arc<Machines>, administrator: Administrator) {
    let mut has_failed = false;
    loop {
        let failed = end_revoked(&*around, &machines, &administrator).await;
        if let (Err((device, why)), false) = (&failed, has_failed) {
            around.emit(&Journal::AccountNotEnded { device: device.clone(), why: why.to_string().into() });
        }
        has_failed = failed.is_err();
        tokio::time::sleep(if has_failed { AGAIN } else { LOOK }).await;
    }
}

async fn end_revoked(
    around: &dyn Surroundings,
    machines: &Machines,
    administrator: &Administrator,
) -> Result<(), (DeviceId, AccountError)> {
    // The journal has heard why the database cannot be read or written.
    let Ok(devices) = machines.read(to_end).await else { return Ok(()) };
    for device in devices {
        // Nobody is let in by a code meanwhile: that machine's account would be ended.
        let _one = machines.turn().await;
        if !machines.read(to_end).await.is_ok_and(|still| still.contains(&device)) {
            continue;
        }
        administrator.end(&device).await.map_err(|why| (device.clone(), why))?;
        let (over, now) = (device.clone(), machines.now());
        if machines.write(move |tx| ended(tx, &over, now)).await.is_ok() {
            around.emit(&Journal::AccountEnded { device });
        }
    }
    Ok(())
}
