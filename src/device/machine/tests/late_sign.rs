//! There is a sign of goods after the end of their try was signed.

use super::rig::*;
use qris_core::order::late_sign::{LateNews, LateSign};
use qris_core::order::outcome::Outcome;
use qris_core::order::stock::Change;
use qris_core::order::tries::TryNumber;

fn news(n: u8, sign: LateSign) -> LateNews {
    LateNews { order: order_id(&format!("o-{n}")), number: TryNumber::FIRST, sign }
}

/// What each question to the backend says of it.
fn asked(effects: &[Effect]) -> Vec<Option<LateNews>> {
    let told = |effect: &Effect| if let Effect::AskOpen(_, who) = effect { Some(who.late_sign.clone()) } else { None };
    effects.iter().filter_map(told).collect()
}

#[test]
fn the_backend_hears_of_a_late_sign_until_it_has_answered_and_then_no_more() {
    let mut rig = Rig::new();
    let of = |n: u8| Some(news(n, LateSign::Passed));
    let says = |rig: &mut Rig, n: u8| rig.on(Input::LateSign(news(n, LateSign::Passed)));
    assert_eq!(asked(&says(&mut rig, 1)), [of(1)]);
    assert!(asked(&says(&mut rig, 2)).is_empty(), "one question at a time");
    let id = rig.open().expect("a question");
    let mut effects = rig.on(Input::Open(id, BackendAnswer::NoAnswer { why: "no route".into(), code: None, date_refusal: false }));
    effects.extend((0..30).flat_map(|_| rig.after(1_000)));
    assert_eq!(asked(&effects), [of(1)], "it did not hear of it");
    let mut rest = rig.answer_open(vec![]);
    rest.extend(rig.after(1_000));
    assert_eq!(asked(&rest), [of(2)]);
    let mut rest = rig.answer_open(vec![]);
    rest.extend((0..30).flat_map(|_| rig.after(1_000)));
    assert!(asked(&rest).is_empty());
}

/// Goods that hung fall when somebody opens the door. They left the count when they were driven, and their order has its end.
#[test]
fn what_falls_while_somebody_fills_the_slot_moves_no_count_and_no_order() {
    let mut rig = Rig::holding(5);
    rig.dispensing(1);
    rig.answer_relay(1, RelayAnswer::Dispense(DispenseAnswer::Ended(Outcome::Failed)));
    rig.after(130_000);
    assert_eq!((rig.announced().pop().as_deref(), rig.count()), (Some("refund_due(failed)"), Some(4)));
    rig.on(Input::LateSign(news(1, LateSign::Passed)));
    assert_eq!(rig.count(), Some(4));
    rig.change(Change::Fill, Some(2)).expect("filled");
    rig.on(Input::LateSign(news(1, LateSign::Passed)));
    assert_eq!((rig.announced(), rig.count()), (vec![], Some(6)));
}
