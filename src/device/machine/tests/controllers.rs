//! What a controller on the same board asks.

use super::rig::*;
use crate::machine::*;
use qris_core::order::reason::Reason;
use qris_core::wire::orders::Status;
use qris_core::wire::vend::EventState;

fn ask(rig: &mut Rig, asked: Asked) -> Vec<Effect> {
    rig.on(Input::Asked(asked, ReplyTo(7)))
}

fn replied(effects: &[Effect]) -> Option<(Option<EventState>, Option<Reason>)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Reply(ReplyTo(7), reply) => Some((reply.state, reply.reason)),
        _ => None,
    })
}

fn vend(n: u8) -> Asked {
    let payload = format!(r#"{{"request_id":"r-{n}","item":"A1"}}"#);
    Asked::Vend(qris_core::wire::vend::read_request(payload.as_bytes()).expect("a request"))
}

#[test]
fn vend_and_cancel_answer_with_the_first_transition() {
    let mut rig = Rig::new();
    let effects = ask(&mut rig, vend(1));
    assert_eq!(replied(&effects), None, "not before the commit");
    let effects = rig.prepare(&effects, Ok(ticket(1)));
    assert_eq!(replied(&effects), Some((Some(EventState::Requested), None)));
    rig.answer(1, order(resource(1, Status::Pending)));
    assert_eq!(replied(&ask(&mut rig, vend(1))), Some((Some(EventState::AwaitingPayment), None)));
    assert_eq!(replied(&ask(&mut rig, vend(2))), Some((Some(EventState::Refused), Some(Reason::Busy))));
    let cancel = |n: u8| Asked::Cancel(request_id(&format!("r-{n}")));
    assert_eq!(replied(&ask(&mut rig, cancel(1))).and_then(|reply| reply.0), Some(EventState::Cancelling));
    rig.answer(1, order(resource(1, Status::Cancel)));
    assert_eq!(replied(&ask(&mut rig, cancel(1))).and_then(|reply| reply.0), Some(EventState::Cancelled));
    assert_eq!(replied(&ask(&mut rig, cancel(9))), Some((None, None)), "nobody knows it");
}

#[test]
fn the_controller_may_set_a_price_that_the_broker_may_not() {
    let mut rig = Rig::new();
    let request = qris_core::wire::vend::read_request(br#"{"request_id":"r-1","item":"exit","amount":7000}"#).expect("a request");
    let effects = ask(&mut rig, Asked::Vend(request));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Prepare(_, _, amount) if *amount == rp(7000))));
}

#[test]
fn the_properties_tell_the_order_that_holds_the_machine() {
    let mut rig = Rig::new();
    rig.requested(1);
    let effects = rig.answer(1, order(resource(1, Status::Pending)));
    let view = effects.iter().find_map(|effect| if let Effect::View(view) = effect { view.order.clone() } else { None });
    let shown = view.expect("an order");
    assert_eq!((shown.state, shown.order_id, shown.gross_amount), (EventState::AwaitingPayment, Some(order_id("o-1")), Some(rp(5000))));
    assert_eq!(shown.until, Some(rig.now.boot + Span::secs(120)));
    rig.pay(&receipt_of(1));
    let call = rig.relay(1).is_some();
    assert!(call);
    let (_, effects) = rig.pay(&receipt_of(1));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::View(_))), "nothing changed");
}

#[test]
fn a_button_sells_and_is_refused_like_anybody() {
    let mut rig = Rig::new();
    let effects = rig.on(Input::Pressed(ItemId::new("A1").expect("an item")));
    rig.prepare(&effects, Ok(ticket(1)));
    rig.on(Input::Pressed(ItemId::new("A1").expect("an item")));
    assert_eq!(rig.told(), ["requested", "refused(busy)"]);
}
