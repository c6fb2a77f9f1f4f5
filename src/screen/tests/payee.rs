//! Whom the customer pays, as the QR says it.

use super::*;

fn said(size: (i32, i32), sandbox: bool, payload: Option<&str>) -> Vec<String> {
    let mut scene = pay(60_000).scene;
    if let (Scene::Pay { payload: shown, .. }, Some(payload)) = (&mut scene, payload) {
        *shown = payload.into();
    }
    texts(page(&Picture { scene, sandbox }, size, Language::En))
}

#[test]
fn the_name_and_the_number_of_the_merchant_stand_at_the_code_on_every_panel_that_has_room() {
    for size in [(480, 800), (800, 480), (1024, 600), (600, 1024), (480, 480), (720, 720), (320, 480)] {
        for sandbox in [false, true] {
            let said = said(size, sandbox, None).join(" ");
            assert!(said.contains("Paid to: ") && said.contains("AID772051375229"), "{size:?} {sandbox}: {said}");
        }
    }
}

#[test]
fn a_payload_without_a_merchant_has_no_line_and_a_long_name_is_cut() {
    assert!(!said((480, 800), false, Some("no payload")).concat().contains("Paid to"));
    let Scene::Pay { payload, .. } = pay(60_000).scene else { panic!("a QR") };
    let at = payload.find("5802ID59").expect("a name") + 6;
    let length: usize = payload[at + 2..at + 4].parse().expect("a length");
    let long = format!("{}5999{}{}", &payload[..at], "W".repeat(99), &payload[at + 4 + length..]);
    let said = said((480, 800), false, Some(&long)).join(" ");
    let letters = said.matches('W').count();
    assert!((10..=25).contains(&letters), "{said}");
}
