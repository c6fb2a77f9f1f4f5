use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use qris_core::order::time::Wall;
use qris_device::config::Certificates;
use qris_host::finding::Level;
use qris_host::zone::told;
use serde_json::{Value, json};

fn order(status: &str, payment: &str, settled_ago_s: Option<u64>, outcome: Option<&str>) -> Value {
    json!({
        "order_id": "o-1", "rev": 1, "request_id": "r-1", "device": "vm-001", "ticket": "0123456789012345678901", "item": "A1",
        "amount": 5000, "gross_amount": 5000, "payment": payment, "status": status, "over": status != "pending", "qr_payload": null, "deeplink_url": null,
        "pay_url": null, "payment_code": null, "store": null, "expires_in_s": null, "settled_ago_s": settled_ago_s, "kid": null,
        "receipt": null, "outcome": outcome.map(|outcome| json!({"outcome": outcome, "reason": null, "detail": null})), "refund": null,
        "sandbox": true
    })
}

#[test]
fn an_order_that_was_paid_long_ago_should_have_been_told() {
    for (order, level, told) in [
        (order("pending", "gopay", None, None), Level::Ok, "1 open at the backend, 0 of them paid"),
        (order("settlement", "gopay", Some(10), None), Level::Ok, "1 of them paid"),
        (order("settlement", "gopay", Some(1000), None), Level::Warn, "not reported as delivered: o-1"),
        (order("settlement", "gopay", Some(1000), Some("dispensed")), Level::Ok, "0 of them paid"),
        (order("settlement", "alfamart", Some(100_000), None), Level::Ok, "1 of them paid"),
    ] {
        let open: OpenOrders = serde_json::from_value(json!({ "orders": [order] })).expect("orders");
        let found = orders(&open);
        assert_eq!((found.level, found.said.contains(told)), (level, true), "{found:?}");
    }
}

#[test]
fn a_certificate_that_ends_soon_is_told_in_time() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("certificate.pem");
    let der = STANDARD.encode(include_bytes!("../../../tests/corpora/certificate/ends-2027"));
    std::fs::write(&file, format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n")).expect("written");
    let own = Certificates { own: Some(file.clone()), authorities: Vec::new() };
    let ca = Certificates { own: None, authorities: vec![file] };
    let end = told(Wall::from_rfc3339("2027-03-01T12:34:56Z").expect("a time"));
    for (now, files, level, told) in [
        ("2027-01-30T12:34:55Z", &own, Level::Ok, &*format!("is good until {end}")),
        ("2027-01-30T12:34:56Z", &own, Level::Warn, &format!("ends at {end}: then the broker refuses it")),
        ("2027-03-01T12:34:56Z", &own, Level::Bad, "ended at"),
        ("2027-01-30T12:34:55Z", &ca, Level::Ok, "is good until"),
        ("2027-01-30T12:34:56Z", &ca, Level::Warn, "a CA in it ends at"),
        ("2027-03-01T12:34:56Z", &ca, Level::Warn, "a CA in it ended at"),
    ] {
        let found = files::certificates(files, Wall::from_rfc3339(now).expect("a time"));
        assert_eq!((found.len(), found[0].level, found[0].said.contains(told)), (1, level, true), "{now}: {found:?}");
    }
    assert_eq!(files::certificates(&Certificates::default(), Wall(0)), []);
}

#[test]
fn only_root_judges_a_file_that_is_closed_to_others() {
    for (about, is_root, level, to_do) in [
        (About::Denied, false, Level::Warn, "sudo qrisctl doctor"),
        (About::Credential, false, Level::Warn, "sudo qrisctl doctor"),
        (About::Denied, true, Level::Bad, "correct it"),
        (About::Credential, true, Level::Bad, "correct it"),
        (About::Missing, false, Level::Bad, "setup` makes it"),
        (About::Missing, true, Level::Bad, "setup` makes it"),
        (About::Value, false, Level::Bad, "correct it"),
        (About::UnknownKey, false, Level::Bad, "correct it"),
    ] {
        // The words say another thing.
        let why = "cannot be read: No such file: Permission denied".into();
        let found = finding_of(&Fault { file: "/etc/qrisd/qrisd.toml".into(), line: None, key: None, why, about }, is_root);
        let told = found.to_do.as_deref().unwrap_or_default();
        assert_eq!((found.level, told.contains(to_do)), (level, true), "{about:?}: {found:?}");
    }
}
