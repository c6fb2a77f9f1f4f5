//! The questions of controllers, and the news that they hear.

use super::rig::*;
use crate::controller::buttons::Buttons;
use crate::controller::{Controllers, Listener};
use crate::inbox::{Inbox, Letter};
use qris_core::order::reason::Reason;
use qris_core::wire::orders::Status;
use qris_core::wire::vend::EventState;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc::UnboundedReceiver;

fn ask(rig: &mut Rig, request: Request) -> Vec<Effect> {
    rig.on(Input::Requested(request, ON_BOARD))
}

fn replied(effects: &[Effect]) -> Option<(Option<EventState>, Option<Reason>)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Reply(ON_BOARD, reply) => Some((reply.state, reply.reason)),
        _ => None,
    })
}

/// The customer of the last view.
fn customer(effects: &[Effect]) -> Option<Option<RequestId>> {
    effects.iter().rev().find_map(|effect| if let Effect::View(view) = effect { Some(view.customer.clone()) } else { None })
}

fn vend(n: u8) -> Request {
    let payload = format!(r#"{{"request_id":"r-{n}","item":"A1"}}"#);
    Request::Vend(sale(&payload))
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
    let cancel = |n: u8| Request::Cancel(request_id(&format!("r-{n}")));
    assert_eq!(replied(&ask(&mut rig, cancel(1))).and_then(|reply| reply.0), Some(EventState::Cancelling));
    rig.answer(1, order(resource(1, Status::Cancel)));
    assert_eq!(replied(&ask(&mut rig, cancel(1))).and_then(|reply| reply.0), Some(EventState::Cancelled));
    assert_eq!(replied(&ask(&mut rig, cancel(9))), Some((None, None)), "nobody knows it");
}

#[test]
fn the_view_names_the_customer_from_the_request_to_the_end() {
    let mut rig = Rig::new();
    let effects = ask(&mut rig, vend(1));
    assert_eq!(customer(&effects), Some(Some(request_id("r-1"))), "before it is an order");
    rig.prepare(&effects, Ok(ticket(1)));
    rig.answer(1, order(resource(1, Status::Pending)));
    assert_eq!(customer(&ask(&mut rig, Request::Cancel(request_id("r-1")))), Some(Some(request_id("r-1"))));
    assert_eq!(customer(&rig.answer(1, order(resource(1, Status::Cancel)))), Some(None));
}

#[test]
fn the_controller_may_set_a_price_that_the_broker_may_not() {
    let mut rig = Rig::new();
    let request = sale(r#"{"request_id":"r-1","item":"exit","amount":7000}"#);
    let effects = ask(&mut rig, Request::Vend(request));
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

#[tokio::test]
async fn a_button_sells_and_is_refused_like_anybody() {
    let mut rig = Rig::new();
    let (inbox, mut letters) = Inbox::new();
    let buttons = Buttons::start(&Controllers::new(inbox));
    let mut press = async || {
        buttons.pressed(ItemId::new("A1").expect("an item")).await;
        rig.on(asked(&mut letters))
    };
    let effects = press().await;
    press().await;
    rig.prepare(&effects, Ok(ticket(1)));
    assert_eq!(rig.announced(), ["refused(busy)", "requested"]);
    let [refused, sold] = &rig.events[..] else { panic!("two events") };
    assert_ne!(refused.request_id, sold.request_id, "each press has a name of its own");
}

/// The input that waits in the machine's queue.
fn asked(letters: &mut UnboundedReceiver<Letter>) -> Input {
    match letters.try_recv() {
        Ok(Letter::Input(input, _room)) => *input,
        other => panic!("no question: {other:?}"),
    }
}

/// A controller that writes its news down.
#[derive(Clone, Default)]
struct Double(Arc<Mutex<Vec<String>>>);

impl Double {
    fn hear(&self, what: String) {
        self.0.lock().expect("whole").push(what);
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("whole"))
    }
}

impl Listener for Double {
    fn order_changed(&mut self, event: &VendEvent) {
        self.hear(format!("news: {}", event.state.as_str()));
    }

    fn view_changed(&mut self, view: &View) {
        self.hear(format!("view: {view}"));
    }
}

/// Carries effects out as the ports do.
fn carry_out(controllers: &mut Controllers, effects: Vec<Effect>) {
    for effect in effects {
        match effect {
            Effect::Reply(asker, reply) => controllers.reply(asker, reply),
            Effect::OrderChanged(event) => controllers.order_changed(&event),
            Effect::View(view) => controllers.view_changed(&view),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_controller_asks_and_hears_what_becomes_of_it() {
    let mut rig = Rig::new();
    let (inbox, mut letters) = Inbox::new();
    let mut controllers = Controllers::new(inbox);
    let (double, other) = (Double::default(), Double::default());
    controllers.listen(double.clone());
    let (requests, others) = (controllers.requests(ON_BOARD.kind), controllers.requests(ON_BOARD.kind));
    let answers = |double: &Double| {
        let double = double.clone();
        move |reply: Reply| double.hear(format!("reply: {}", reply.state.as_ref().map_or("nothing", EventState::as_str)))
    };
    requests.put(vend(1), answers(&double)).await;
    let effects = rig.on(asked(&mut letters));
    others.put(vend(2), answers(&other)).await;
    let busy = rig.on(asked(&mut letters));
    carry_out(&mut controllers, busy);
    assert_eq!((double.heard(), other.heard()), (vec!["news: refused".into()], vec!["reply: refused".into()]));
    let effects = rig.prepare(&effects, Ok(ticket(1)));
    carry_out(&mut controllers, effects);
    assert_eq!(double.heard(), ["news: requested", "reply: requested", "view: requested: A1, Rp5.000"]);
    requests.put(Request::Cancel(request_id("r-9")), answers(&double)).await;
    let effects = rig.on(asked(&mut letters));
    carry_out(&mut controllers, effects);
    assert_eq!((double.heard(), other.heard()), (vec!["reply: nothing".to_owned()], vec![]), "who hears replies is not told by events");
}

#[test]
fn who_hears_no_reply_is_told_by_events() {
    let mut rig = Rig::new();
    let deaf = Asker { kind: ControllerKind { hears_replies: false, ..ON_BOARD.kind }, ..ON_BOARD };
    let cancel = |rig: &mut Rig, n: u8| {
        let effects = rig.on(Input::Requested(Request::Cancel(request_id(&format!("r-{n}"))), deaf));
        assert!(effects.iter().any(|effect| matches!(effect, Effect::Reply(asker, _) if *asker == deaf)), "its question is over");
    };
    cancel(&mut rig, 9);
    assert_eq!(rig.announced(), ["refused(unknown_request)"]);
    rig.offered(1);
    rig.announced();
    cancel(&mut rig, 1);
    cancel(&mut rig, 1);
    assert_eq!(rig.announced(), ["cancelling(customer)", "cancelling(customer)"]);
    let code = qris_core::order::ids::PaymentCode::new("8127740588870520").expect("a code");
    let effects = rig.on(Input::Requested(Request::Collect(code), deaf));
    assert!(matches!(&effects[0], Effect::Reply(asker, Reply { state: None, reason: None, .. }) if *asker == deaf), "at once");
    assert_eq!(rig.announced(), ["refused(wrong_code)"]);
}
