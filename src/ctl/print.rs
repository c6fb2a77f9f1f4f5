//! Output on the terminal.

use qris_core::order::money::Rupiah;
use qris_core::wire::status::{Presence, Status};
use qris_core::wire::vend::VendEvent;
use qris_host::terminal::{Colour, is_coloured};
use std::io::{self, Write as _};

pub(super) use qris_host::terminal::{line, plain};

/// A remark beside the output.
pub(super) fn remark(text: &str) {
    // If nobody reads it, nobody misses it.
    drop(writeln!(io::stderr(), "qrisctl: {}", plain(text)));
}

/// An event in words.
pub(super) fn event(device: &str, event: &VendEvent) -> String {
    let VendEvent { request_id, order_id, state, reason, item, amount, gross_amount, payment_code, store, field, detail, at, .. } = event;
    let mut words = vec![device.to_owned()];
    words.extend(at.as_ref().map(ToString::to_string));
    words.push(request_id.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string));
    words.push(state.as_str().to_owned());
    words.extend(reason.map(|reason| format!("({reason})")));
    words.extend(item.as_ref().map(ToString::to_string));
    words.extend(amount.as_ref().map(Rupiah::to_string));
    if let (Some(gross), true) = (gross_amount, gross_amount != amount) {
        words.push(format!("pays {gross}"));
    }
    words.extend(order_id.as_ref().map(|id| format!("order {id}")));
    words.extend(store.as_ref().zip(payment_code.as_ref()).map(|(store, code)| format!("{store} {code}")));
    words.extend(field.as_ref().map(|field| format!("field {field}")));
    words.extend(detail.as_ref().map(|detail| format!("– {detail}")));
    plain(&words.join(" "))
}

/// A status in words; its faults stand out on a terminal.
pub(super) fn status(device: &str, status: &Status) -> String {
    status_in(device, status, is_coloured())
}

fn status_in(device: &str, status: &Status, colours: bool) -> String {
    let Status { state, version, busy, faults, at, .. } = status;
    let mut words = vec![device.to_owned()];
    words.push(
        match state {
            Presence::Online => "online",
            Presence::Offline => "offline",
        }
        .to_owned(),
    );
    words.extend(busy.map(|busy| if busy { "busy" } else { "idle" }.to_owned()));
    words.extend(version.as_ref().map(|version| format!("version {version}")));
    words.extend(at.as_ref().map(|at| format!("since {at}")));
    let faults: Vec<_> = faults.iter().flatten().map(|fault| format!("{} ({})", fault.code.as_str(), fault.detail)).collect();
    let told = plain(&words.join(" "));
    match plain(&faults.join(", ")) {
        none if none.is_empty() => told,
        faults if colours => format!("{told} {}", Colour::Red.put_on(&format!("faults: {faults}"))),
        faults => format!("{told} faults: {faults}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_in_words_that_cannot_drive_the_terminal() {
        let json = serde_json::json!({
            "event_id": "e", "stream": "s", "seq": 1, "request_id": "r-1", "order_id": "o-1", "state": "refund_due",
            "reason": "late", "item": "A1", "amount": 5000, "gross_amount": 5100, "detail": "\u{1b}[2J\u{202e}x"
        });
        let read: VendEvent = serde_json::from_value(json).expect("an event");
        assert_eq!(event("vm-001", &read), "vm-001 r-1 refund_due (late) A1 Rp5.000 pays Rp5.100 order o-1 – \u{fffd}[2J\u{fffd}x");
    }

    #[test]
    fn a_status_is_told_with_its_faults() {
        let json = r#"{"state":"online","busy":false,"faults":[{"code":"relay","detail":"gone","since":null}]}"#;
        let read: Status = serde_json::from_str(json).expect("a status");
        assert_eq!(status_in("vm-001", &read, false), "vm-001 online idle faults: relay (gone)");
        assert_eq!(status_in("vm-001", &read, true), "vm-001 online idle \u{1b}[31mfaults: relay (gone)\u{1b}[0m");
        assert_eq!(status_in("vm-001", &Status::offline(), true), "vm-001 offline");
    }
}
