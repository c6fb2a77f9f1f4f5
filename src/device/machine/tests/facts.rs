//! Nothing is judged by the relay service's facts before they are known.

use super::rig::*;
use crate::controller::{buttons, dbus};
use qris_core::order::ids::PaymentCode;
use qris_core::order::stock::{Change, NotChanged};
use qris_core::order::tries::TryNumber;
use qris_core::wire::vend::TryRequest;

const CANCEL: &str = r#"{"request_id":"r-1"}"#;

impl Rig {
    /// A start at which all is there but a word of the relay service.
    fn comes_back(&mut self) {
        self.power_cut(true);
        self.on(Input::Screen(ScreenState::Working));
        self.on(Input::BrokerUp { refused: vec![] });
        self.settle_open_at_once();
        self.announced();
    }

    /// Its image of the database has five in A1, and the relay has driven its line five times since.
    fn of_an_older_image() -> Self {
        let mut rig = Self::holding(5);
        rig.driven(0, 0);
        rig.facts.driven = vec![qris_core::wire::relay::Driven {
            item: ItemId::new("A1").expect("an item"),
            drives: qris_core::order::stock::Drives { orders: 5, tests: 0 },
        }];
        rig.comes_back();
        assert_eq!(rig.count(), Some(5));
        rig
    }

    /// No time passes.
    fn settle_open_at_once(&mut self) {
        if self.open().is_some() {
            self.answer_open(vec![]);
        }
    }

    fn relay_comes(&mut self) -> Vec<Effect> {
        self.on(Input::RelayUp(self.facts.clone()))
    }
}

fn prepares(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Prepare(..))).count()
}

fn replies(effects: &[Effect]) -> Vec<String> {
    let reply = |effect: &Effect| match effect {
        Effect::Reply(_, reply) => Some(reply.reason.map_or("-".into(), |reason| reason.to_string())),
        _ => None,
    };
    effects.iter().filter_map(reply).collect()
}

fn vend() -> qris_core::order::request::VendRequest {
    sale(r#"{"request_id":"r-1","item":"A1"}"#)
}

/// One request on each way.
fn requests() -> [(Request, ControllerKind); 5] {
    let item = ItemId::new("A1").expect("an item");
    let again = TryRequest { request_id: request_id("r-9"), number: TryNumber::FIRST.next().expect("a second one"), item };
    [
        (Request::Vend(vend()), crate::controller::mqtt::KIND),
        (Request::Vend(vend()), dbus::KIND),
        (Request::Pressed(vend()), buttons::KIND),
        (Request::Collect(PaymentCode::new("25709650945026").expect("a code")), dbus::KIND),
        (Request::TryAgain(again), dbus::KIND),
    ]
}

#[test]
fn an_older_image_of_the_database_offers_nothing_that_the_relay_has_handed_out() {
    for (request, kind) in requests().into_iter().take(3) {
        let mut rig = Rig::of_an_older_image();
        let effects = rig.on(Input::Requested(request, Asker { question: 1, kind }));
        assert_eq!((prepares(&effects), replies(&effects), rig.announced()), (0, vec![], vec![]), "{kind:?}: it waits");
        let effects = rig.relay_comes();
        assert_eq!((prepares(&effects), rig.announced()), (0, vec!["refused(sold_out)".into()]), "{kind:?}");
        assert_eq!(rig.count(), Some(0));
    }
}

#[test]
fn a_request_that_waits_is_taken_with_the_facts() {
    let mut rig = Rig::holding(5);
    rig.comes_back();
    let (ack, effects) = rig.vend(1);
    let (_, again) = rig.vend(1);
    let (cancel, ended) = rig.message(Topic::VendCancel, CANCEL);
    assert_eq!(prepares(&effects) + prepares(&again) + prepares(&ended), 0);
    assert!(!rig.is_acked(ack) && !rig.is_acked(cancel), "after a crash they come once more");
    let effects = rig.relay_comes();
    assert_eq!(prepares(&effects), 1);
    rig.prepare(&effects, Ok(ticket(1)));
    assert_eq!(rig.announced(), ["requested", "cancelling(customer)"], "the wish to cancel came after it");
    assert!(rig.is_acked(ack) && rig.is_acked(cancel));
    // What needs no facts waits for none.
    let mut rig = Rig::holding(5);
    rig.comes_back();
    assert_eq!(rig.holds("apt"), None);
    let (cancel, _) = rig.message(Topic::VendCancel, CANCEL);
    assert_eq!((rig.announced(), rig.is_acked(cancel)), (vec!["refused(unknown_request)".into()], true));
}

#[test]
fn without_the_relay_service_every_request_is_refused_in_time() {
    for is_told in [true, false] {
        for (request, kind) in requests() {
            let what = format!("{request:?} {kind:?}, told: {is_told}");
            let mut rig = Rig::holding(5);
            rig.comes_back();
            let ask = |rig: &mut Rig| rig.on(Input::Requested(request.clone(), Asker { question: 1, kind }));
            let before = ask(&mut rig);
            assert_eq!((replies(&before), rig.announced()), (vec![], vec![]), "{what}");
            if !is_told {
                assert_eq!(replies(&rig.after(1_999)), [""; 0], "{what}");
            }
            let effects = if is_told { rig.on(Input::RelayDown("nobody owns it".into())) } else { rig.after(1) };
            assert_eq!((prepares(&effects), replies(&effects).len()), (0, 1), "{what}");
            let told = rig.announced();
            let unknown = matches!(request, Request::Collect(_) | Request::TryAgain(_));
            assert!(unknown || told == ["refused(relay)"], "{what}: {told:?}");
            let effects = ask(&mut rig);
            assert_eq!((prepares(&effects), replies(&effects).len()), (0, 1), "{what}: nothing waits any more");
            // It comes late.
            rig.after(10_000);
            rig.announced();
            rig.relay_comes();
            let (_, effects) = rig.vend(2);
            assert_eq!((prepares(&effects), rig.announced()), (1, vec![]), "{what}");
        }
    }
}

#[test]
fn only_so_many_requests_wait() {
    let mut rig = Rig::holding(5);
    rig.comes_back();
    for n in 1..=16 {
        rig.vend(n);
    }
    assert_eq!(rig.announced(), [""; 0]);
    rig.vend(17);
    assert_eq!(rig.announced(), ["refused(relay)"]);
    let effects = rig.relay_comes();
    assert_eq!((prepares(&effects), rig.announced()), (1, vec!["refused(busy)".to_owned(); 15]));
}

#[test]
fn nobody_counts_beside_the_machine_before_the_facts_are_known() {
    for (news, is_known) in
        [(None, false), (Some(Input::RelayDown("nobody owns it".into())), true), (Some(Input::RelayUp(Rig::holding(1).facts)), true)]
    {
        for (change, n) in [(Change::Fill, None), (Change::Fill, Some(2)), (Change::Count, Some(3)), (Change::Give, Some(1))] {
            let mut rig = Rig::holding(5);
            rig.comes_back();
            if let Some(Input::RelayUp(facts)) = &news {
                rig.on(Input::RelayUp(facts.clone()));
            } else if news.is_some() {
                rig.on(Input::RelayDown("nobody owns it".into()));
            }
            let counted = rig.change(change, n);
            assert_eq!(counted.is_ok(), is_known, "{change:?} {news:?}: {counted:?}");
            assert!(is_known || counted != Err(NotChanged::Busy) && rig.count() == Some(5), "{change:?}");
        }
    }
    let mut rig = Rig::holding(5);
    rig.comes_back();
    rig.after(2_000);
    rig.change(Change::Count, Some(3)).expect("whoever stands there need not wait for ever");
}

/// Relay service and program start with the computer, and a slow board takes its time.
#[test]
fn an_order_waits_for_a_relay_service_that_starts_slowly() {
    for same_boot in [true, false] {
        for (comes_after, expected) in [(19_900, vec![]), (20_000, vec!["cancelling(relay)"])] {
            let mut rig = Rig::new();
            rig.offered(1);
            rig.power_cut(same_boot);
            rig.on(Input::Screen(ScreenState::Working));
            rig.on(Input::BrokerUp { refused: vec![] });
            rig.announced();
            rig.on(Input::RelayDown("nobody owns it".into()));
            rig.after(comes_after);
            assert!(!rig.scene.starts_with("Pay"), "{}: its QR waits", rig.scene);
            assert_eq!(rig.announced(), expected, "after {comes_after} ms");
            if expected.is_empty() {
                rig.relay_comes();
                rig.after(4_900);
                rig.answer_relay(1, RelayAnswer::Checked(Ok(())));
                assert!(rig.scene.starts_with("Pay"), "{}", rig.scene);
            }
        }
    }
}
