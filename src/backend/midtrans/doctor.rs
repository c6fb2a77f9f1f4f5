//! Whether Midtrans takes the key, and what its clock says.

use super::config::is_production;
use super::{Midtrans, MidtransError};
use qris_core::order::time::Wall;
use qris_host::finding::Finding;
use qris_host::{clock, random};

/// Asks about a transaction that cannot exist.
pub async fn examine(midtrans: &Midtrans) -> Vec<Finding> {
    let base_url = midtrans.base_url.as_str();
    let place = if is_production(base_url) { "the money is real" } else { "the money is not real" };
    let before = clock::now().wall;
    let (answer, date) = midtrans.probe(&random_uuid()).await;
    let after = clock::now().wall;
    let key = match answer {
        Err(MidtransError::NotFound) => Finding::ok("midtrans", format!("the key is valid at {base_url} ({place})")),
        Err(MidtransError::Unauthorized) => Finding::bad(
            "midtrans",
            format!("the key is not valid at {base_url}"),
            "sandbox and production have different keys: take the Server Key for midtrans.base_url from Midtrans' dashboard",
        ),
        Err(MidtransError::Unreachable(why)) => Finding::bad(
            "midtrans",
            format!("{base_url} cannot be reached: {why}"),
            "look at the network, DNS, the firewall and midtrans.base_url",
        ),
        Err(
            error @ (MidtransError::RateLimited | MidtransError::Running | MidtransError::Unavailable { .. } | MidtransError::NoAnswer(_)),
        ) => Finding::bad("midtrans", format!("{base_url}: {error}"), "try again in a minute; is midtrans.base_url Midtrans' API?"),
        Err(
            error @ (MidtransError::Conflict
            | MidtransError::CannotModify
            | MidtransError::Denied { .. }
            | MidtransError::Refused { .. }
            | MidtransError::NotActivated { .. }
            | MidtransError::RefundRefused { .. }
            | MidtransError::Qr(_)),
        ) => Finding::warn("midtrans", format!("{base_url} gives an unexpected answer: {error}"), "ask Midtrans"),
        Ok(_) => {
            Finding::warn("midtrans", format!("{base_url} knows a transaction that cannot exist"), "is midtrans.base_url Midtrans' API?")
        }
    };
    vec![key, clock_finding(date, before, after)]
}

/// Compares our clock, read before and after, with Midtrans'.
fn clock_finding(theirs: Option<Wall>, before: Wall, after: Wall) -> Finding {
    let Some(theirs) = theirs else {
        return Finding::warn("clock", "Midtrans did not tell the time", "compare `timedatectl` by hand");
    };
    Finding::of_clock(theirs, "Midtrans' clock", before, after)
}

/// No transaction has it.
fn random_uuid() -> String {
    let mut bits = [0; 16];
    random::fill(&mut bits);
    let hex = crate::hex(&bits);
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use qris_host::finding::Level;

    #[test]
    fn a_clock_is_judged_by_midtrans() {
        let now = Wall(1_000_000_000);
        assert_eq!(clock_finding(Some(now), now, now).level, Level::Ok);
        assert_eq!(clock_finding(None, now, now).level, Level::Warn);
    }

    #[test]
    fn no_two_probes_ask_the_same() {
        let id = random_uuid();
        assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_ne!(id, random_uuid());
    }
}
