//! Whether Midtrans takes the key, and what its clock says.

use super::config::is_production;
use super::{Midtrans, MidtransError};
use qris_core::order::time::Wall;
use qris_host::finding::Finding;
use qris_host::speech::fill;
use qris_host::texts;
use qris_host::{clock, random};

// `init` says it in the language of its conversation, `doctor` in that of its reader.
texts! {
    real: "uangnya sungguhan", "the money is real";
    not_real: "bukan uang sungguhan", "the money is not real";
    valid: "kuncinya berlaku di {0} ({1})", "the key is valid at {0} ({1})";
    not_valid: "kuncinya tidak berlaku di {0}", "the key is not valid at {0}";
    not_valid_do: "sandbox dan production punya kunci yang berbeda: ambil Server Key dari environment yang sama dengan `midtrans.base_url` di dashboard Midtrans", "sandbox and production have different keys: take the Server Key for midtrans.base_url from Midtrans' dashboard";
    away: "{0} tidak bisa dihubungi: {1}", "{0} cannot be reached: {1}";
    away_do: "periksa jaringan, DNS, firewall dan midtrans.base_url", "look at the network, DNS, the firewall and midtrans.base_url";
    again: "coba lagi satu menit lagi; apakah midtrans.base_url alamat API Midtrans?", "try again in a minute; is midtrans.base_url Midtrans' API?";
    strange: "{0} memberi jawaban yang tidak terduga: {1}", "{0} gives an unexpected answer: {1}";
    strange_do: "tanyakan kepada Midtrans", "ask Midtrans";
    knows_all: "{0} mengenal transaksi yang tidak mungkin ada", "{0} knows a transaction that cannot exist";
    knows_all_do: "apakah midtrans.base_url alamat API Midtrans?", "is midtrans.base_url Midtrans' API?";
    its_clock: "jam Midtrans", "Midtrans' clock";
    no_time: "Midtrans tidak memberi tahu waktu", "Midtrans did not tell the time";
    no_time_do: "cocokkan `timedatectl` sendiri", "compare `timedatectl` by hand";
}

/// Asks about a transaction that cannot exist.
pub async fn examine(midtrans: &Midtrans) -> Vec<Finding> {
    let base_url = midtrans.base_url.as_str();
    let place = if is_production(base_url) { texts().real } else { texts().not_real };
    let before = clock::now().wall;
    let (answer, date) = midtrans.probe(&random_uuid()).await;
    let after = clock::now().wall;
    let key = match answer {
        Err(MidtransError::NotFound) => Finding::ok("midtrans", fill(texts().valid, &[&base_url, &place])),
        Err(MidtransError::Unauthorized) => Finding::bad("midtrans", fill(texts().not_valid, &[&base_url]), texts().not_valid_do),
        Err(MidtransError::Unreachable(why)) => Finding::bad("midtrans", fill(texts().away, &[&base_url, &why]), texts().away_do),
        Err(
            error @ (MidtransError::RateLimited
            | MidtransError::Running
            | MidtransError::Unavailable { .. }
            | MidtransError::NoAnswer(_)
            | MidtransError::Unreadable(_)),
        ) => Finding::bad("midtrans", format!("{base_url}: {error}"), texts().again),
        Err(
            error @ (MidtransError::Conflict
            | MidtransError::CannotModify
            | MidtransError::Denied { .. }
            | MidtransError::Refused { .. }
            | MidtransError::NotActivated { .. }
            | MidtransError::RefundRefused { .. }
            | MidtransError::Qr(_)),
        ) => Finding::warn("midtrans", fill(texts().strange, &[&base_url, &error]), texts().strange_do),
        Ok(_) => Finding::warn("midtrans", fill(texts().knows_all, &[&base_url]), texts().knows_all_do),
    };
    vec![key, clock_finding(date, before, after)]
}

/// Compares our clock, read before and after, with Midtrans'.
fn clock_finding(theirs: Option<Wall>, before: Wall, after: Wall) -> Finding {
    let Some(theirs) = theirs else {
        return Finding::warn("clock", texts().no_time, texts().no_time_do);
    };
    Finding::of_clock(theirs, texts().its_clock, before, after)
}

/// No transaction has it.
fn random_uuid() -> String {
    let mut bits = [0; 16];
    random::fill(&mut bits);
    let hex = qris_core::hex(&bits);
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
