//! A backend whose books have lost orders, or that can be reached only now and then.

use super::counter::paid_at_store;
use super::rig::*;
use qris_core::order::machine::RelayCall;
use qris_core::order::outcome::DispenseAnswer;
use qris_core::order::reason::Reason;
use qris_core::order::request::Refusal;

/// Answers for so long that the books do not have the order. Returns how often the journal says so.
fn absent(rig: &mut Rig, n: u8, seconds: i64) -> usize {
    let until = rig.now.boot + Span::secs(seconds);
    let mut told = 0;
    while rig.now.boot < until {
        if rig.backend(n).is_some() {
            let effects = rig.answer(n, BackendAnswer::Absent);
            told += effects.iter().filter(|effect| matches!(effect, Effect::Journal(Journal::OrderLost { .. }))).count();
        }
        rig.after(20_000);
    }
    told
}

/// Waits until the machine asks the backend about it again. It does so after a quarter of an hour at the latest.
fn asked(rig: &mut Rig, n: u8) {
    for _ in 0..1_000 {
        if rig.backend(n).is_some() {
            return;
        }
        rig.after(1_000);
    }
    panic!("nobody asks");
}

#[test]
fn a_charge_that_the_books_have_lost_is_to_be_cancelled_for_a_day() {
    let mut rig = Rig::new();
    rig.offered(1);
    rig.after(10_000);
    rig.announced();
    assert_eq!(absent(&mut rig, 1, 20), 1, "a person is told once");
    assert_eq!(rig.announced(), ["cancelling(backend)"], "nobody could be told that it is paid");
    assert_eq!(absent(&mut rig, 1, 23 * 3600), 0);
    assert_eq!(rig.announced(), [""; 0], "it can be paid at Midtrans all the same");
    absent(&mut rig, 1, 2 * 3600);
    assert_eq!(rig.announced(), ["cancelled(backend)"]);
}

#[test]
fn a_cancel_is_confirmed_by_the_books_when_they_are_back() {
    let mut rig = Rig::new();
    rig.offered(1);
    rig.message(Topic::VendCancel, r#"{"request_id":"r-1"}"#);
    absent(&mut rig, 1, 600);
    rig.announced();
    asked(&mut rig, 1);
    rig.answer(1, order(resource(1, qris_core::wire::orders::Status::Cancel)));
    assert_eq!(rig.announced(), ["cancelled(customer)"]);
}

#[test]
fn what_waits_for_its_customer_waits_also_where_the_books_have_lost_it() {
    let mut rig = Rig::new();
    rig.collectable(1);
    rig.announced();
    assert_eq!(absent(&mut rig, 1, 20 * 3600), 1);
    assert_eq!((rig.announced(), rig.relay(1)), (vec![], None), "its ticket is not closed");
    asked(&mut rig, 1);
    rig.answer(1, order(paid_at_store(1)));
    assert_eq!(absent(&mut rig, 1, 20 * 3600), 1, "lost anew");
    absent(&mut rig, 1, 10 * 3600);
    assert_eq!(rig.announced(), ["refund_due(not_collected)"], "longer than it could be paid or collected");
}

#[test]
fn a_paid_order_of_an_earlier_boot_is_delivered_in_its_time_if_the_books_find_it() {
    for found in [true, false] {
        let mut rig = Rig::new();
        rig.dispensing(1);
        rig.cut_and_up(false);
        rig.answer_relay(1, RelayAnswer::Dispense(DispenseAnswer::Unknown));
        rig.announced();
        for _ in 0..5 {
            assert_eq!((rig.relay(1), rig.backend(1)), (None, Some(HttpCall::Get(order_id("o-1")))));
            rig.answer(1, BackendAnswer::Absent);
            rig.after(4_000);
        }
        assert_eq!(rig.announced(), [""; 0]);
        if found {
            rig.answer(1, order(settled(1, 30)));
            assert_eq!(rig.relay(1), Some(RelayCall::Dispense(receipt_of(1))));
        } else {
            rig.after(600_000);
            assert_eq!(rig.relay(1), Some(RelayCall::Close(ticket(1))), "its own time is over");
        }
    }
}

#[test]
fn no_mix_of_answers_makes_the_machine_ask_faster() {
    /// The number of calls in 8 s for three outcomes. Each outcome gets an answer of its own.
    fn calls(answers: [fn() -> BackendAnswer; 3]) -> usize {
        let mut rig = Rig::new();
        for n in [1, 2, 3] {
            rig.dispensing(n);
            rig.delivered(n);
            rig.answer(n, gone());
        }
        let mut calls = 0;
        for tick in 0..800 {
            // Each answer comes at its own time: if several come together, none of them is new.
            for (n, answer) in [1, 2, 3].into_iter().zip(answers) {
                if tick % usize::from(n * 3) == 0 && rig.backend(n).is_some() {
                    calls += 1;
                    rig.answer(n, answer());
                }
            }
            rig.after(10);
        }
        calls
    }
    let later = || BackendAnswer::Later(Refusal::new(Reason::Backend, "soon"), Span::millis(1));
    let absent = || BackendAnswer::Absent;
    let slow = calls([gone, gone, gone]);
    let mixes: [[fn() -> BackendAnswer; 3]; 4] =
        [[absent, absent, gone], [absent, gone, gone], [later, later, gone], [later, absent, gone]];
    for mix in mixes {
        let mixed = calls(mix);
        assert!(mixed <= slow + 3, "{mixed} calls in place of {slow}");
    }
}

#[test]
fn books_that_cannot_be_written_are_a_fault_until_the_backend_answers_otherwise() {
    let mut rig = Rig::new();
    rig.offered(1);
    let has_fault = |rig: &Rig| rig.machine.faults.has(FaultCode::Backend);
    asked(&mut rig, 1);
    rig.answer(1, BackendAnswer::Later(Refusal::new(Reason::Store, "the books cannot be written"), Span::secs(2)));
    assert!(has_fault(&rig), "nothing can be sold, and nobody is told");
    assert!(rig.scene.starts_with("Pay"), "its QR stays: {}", rig.scene);
    asked(&mut rig, 1);
    rig.answer(1, order(resource(1, qris_core::wire::orders::Status::Pending)));
    assert!(!has_fault(&rig));
    asked(&mut rig, 1);
    rig.answer(1, BackendAnswer::Later(Refusal::new(Reason::Gateway, "the gateway does not answer"), Span::secs(2)));
    assert!(!has_fault(&rig), "the backend is there");
}
