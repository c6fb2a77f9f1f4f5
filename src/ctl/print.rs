//! Output on the terminal.

use qris_core::order::ids::DeviceId;
use qris_core::order::money::Rupiah;
use qris_core::order::time::Wall;
use qris_core::text;
use qris_core::wire::orders::MACHINE_NAME_MAX;
use qris_core::wire::status::{Presence, Status};
use qris_core::wire::vend::VendEvent;
use qris_host::terminal::{Colour, is_coloured};
use qris_host::{clock, zone};
use std::io::{self, Write as _};

pub(super) use qris_host::terminal::{line, plain};

pub(super) fn remark(text: &str) {
    // If nobody reads it, nobody misses it.
    drop(writeln!(io::stderr(), "qrisctl: {}", plain(text)));
}

/// A machine as people know it: `Lobi (vm-001)`. Its name is its own word, and may be any.
pub(super) fn machine(name: Option<&str>, device: &DeviceId) -> String {
    let short = name.map(|name| name.chars().take(MACHINE_NAME_MAX).collect::<String>()).filter(|name| !name.trim().is_empty());
    plain(&text::named(short.as_deref(), device.as_str()))
}

/// A time of another computer's, for a person at this one: `2026-11-20 15:00:00 WIB`. What is no time stays as it is.
pub(super) fn time(rfc3339: &str) -> String {
    Wall::from_rfc3339(rfc3339).map_or_else(|_| plain(rfc3339), zone::told)
}

/// The same without seconds, and without the day if it is today's.
pub(super) fn since(wall: Wall) -> String {
    let clock = |at: Wall| at.to_clock(zone::here(at).0);
    let (told, today) = (clock(wall), clock(clock::now().wall));
    let begin = if told[..10] == today[..10] { 11 } else { 0 };
    format!("{} {}", &told[begin..16], zone::here(wall).1)
}

pub(super) fn event(device: &str, event: &VendEvent) -> String {
    let VendEvent {
        request_id, order_id, state, reason, item, asked, amount, gross_amount, payment_code, store, field, detail, at, ..
    } = event;
    let mut words = vec![device.to_owned()];
    words.extend(at.as_deref().map(time));
    words.push(request_id.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string));
    words.push(state.as_str().to_owned());
    words.extend(reason.map(|reason| format!("({reason})")));
    words.extend(item.as_ref().map(ToString::to_string));
    words.extend(asked.as_ref().map(|asked| format!("(asked for as {asked})")));
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
pub(super) fn status(device: &DeviceId, status: &Status) -> String {
    status_in(device, status, is_coloured())
}

fn status_in(device: &DeviceId, status: &Status, colours: bool) -> String {
    let Status { state, name, version, busy, sold_out, faults, at, try_offer, .. } = status;
    let mut words = vec![machine(name.as_deref(), device)];
    words.push(
        match state {
            Presence::Online => "online",
            Presence::Offline => "offline",
        }
        .to_owned(),
    );
    words.extend(busy.map(|busy| if busy { "busy" } else { "idle" }.to_owned()));
    words.extend(try_offer.as_ref().map(|offer| format!("offers try {} of {}", offer.number, offer.request_id)));
    words.extend(version.as_ref().map(|version| format!("version {version}")));
    words.extend(at.as_ref().map(|at| format!("since {}", time(at))));
    let sold_out: Vec<_> = sold_out.iter().flatten().map(ToString::to_string).collect();
    words.extend((!sold_out.is_empty()).then(|| format!("sold out: {}", sold_out.join(", "))));
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
        let json = r#"{"state":"online","name":"Lobi\u001b[2J","busy":false,"faults":[{"code":"relay","detail":"gone","since":null}]}"#;
        let read: Status = serde_json::from_str(json).expect("a status");
        let device = DeviceId::new("vm-001").expect("an id");
        let told = "Lobi\u{fffd}[2J (vm-001) online idle";
        assert_eq!(status_in(&device, &read, false), format!("{told} faults: relay (gone)"));
        assert_eq!(status_in(&device, &read, true), format!("{told} \u{1b}[31mfaults: relay (gone)\u{1b}[0m"));
        assert_eq!(status_in(&device, &Status::offline("0.1.0"), true), "vm-001 offline version 0.1.0");
        let out = r#"{"state":"online","sold_out":["A1","A3"],"faults":[{"code":"relay","detail":"gone","since":null}]}"#;
        let read: Status = serde_json::from_str(out).expect("a status");
        assert_eq!(status_in(&device, &read, false), "vm-001 online sold out: A1, A3 faults: relay (gone)");
        let read: Status = serde_json::from_str(r#"{"state":"online","sold_out":[]}"#).expect("a status");
        assert_eq!(status_in(&device, &read, false), "vm-001 online");
        let offers = r#"{"state":"online","busy":false,"try_offer":{"request_id":"r-1","try":2,"up_to":5000,"remaining_s":60}}"#;
        let read: Status = serde_json::from_str(offers).expect("a status");
        assert_eq!(status_in(&device, &read, true), "vm-001 online idle offers try 2 of r-1");
    }

    #[test]
    fn a_machine_has_a_bounded_name_before_its_id() {
        let device = DeviceId::new("vm-001").expect("an id");
        let long = format!("{} (vm-001)", "x".repeat(MACHINE_NAME_MAX));
        for (name, told) in [
            (None, "vm-001"),
            (Some(" "), "vm-001"),
            (Some("vm-001"), "vm-001"),
            (Some("Lobi"), "Lobi (vm-001)"),
            (Some(&*"x".repeat(500)), &*long),
        ] {
            assert_eq!(machine(name, &device), told);
        }
    }

    #[test]
    fn the_day_is_told_of_another_day_alone() {
        let now = clock::now().wall;
        let (ahead, zone) = zone::here(now);
        assert_eq!(since(now), format!("{} {zone}", &now.to_clock(ahead)[11..16]));
        let before = now - qris_core::order::time::Span::secs(3 * 24 * 3600);
        let (ahead, zone) = zone::here(before);
        assert_eq!(since(before), format!("{} {zone}", &before.to_clock(ahead)[..16]));
        assert_eq!(time(&before.to_rfc3339()), zone::told(before));
        assert_eq!(time("no\u{1b}time"), "no\u{fffd}time");
    }
}
