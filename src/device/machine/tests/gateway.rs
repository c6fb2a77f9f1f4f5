//! The machine's word about the merchant's gateway: charges that fail one after the other, and a payment that nobody confirms.

use super::rig::*;
use qris_core::order::reason::Reason;
use qris_core::order::request::Refusal;
use qris_core::wire::orders::{OrderResource, Status};
use qris_core::wire::status::FaultCode;

#[test]
fn charges_that_fail_one_after_the_other_are_a_fault_until_one_is_shown() {
    let mut rig = Rig::unlimited();
    let refused = |reason| BackendAnswer::Refused(Refusal::new(reason, "Payment channel is not activated."));
    let rows = [
        (Reason::Gateway, false),
        (Reason::Gateway, false),
        // A reason that has a fault of its own does not count.
        (Reason::Store, false),
        (Reason::GrossAmount, true),
        (Reason::Gateway, true),
    ];
    for (n, (reason, wanted)) in (1..).zip(rows) {
        rig.requested(n);
        rig.answer(n, refused(reason));
        assert_eq!(rig.machine.faults.has(FaultCode::Charges), wanted, "after {n}");
    }
    let told = rig.machine.faults.all().find(|fault| fault.code == FaultCode::Charges).expect("a fault");
    assert_eq!(&*told.detail, "the last 4 requests failed: Payment channel is not activated.");
    assert!(rig.machine.faults.refusal(true).is_none(), "the next one may do better");
    rig.requested(9);
    rig.answer(9, order(resource(9, Status::Pending)));
    assert!(!rig.machine.faults.has(FaultCode::Charges));
}

/// Without a broker the machine asks the backend about its order.
fn asks_by_itself(rig: &mut Rig) {
    rig.on(Input::BrokerDown { reason: "cut".into(), date_refusal: false, thrown_out: false });
    assert!(matches!(rig.backend(1), Some(HttpCall::Watch(..))));
}

#[test]
fn a_payment_that_nobody_confirms_is_a_fault_while_the_backend_says_so() {
    let mut rig = Rig::new();
    rig.offered(1);
    asks_by_itself(&mut rig);
    assert!(!rig.machine.faults.has(FaultCode::Unconfirmed));
    let effects = rig.answer(1, order(OrderResource { rev: 2, unconfirmed: true, ..resource(1, Status::Pending) }));
    let in_journal = |effect: &Effect| match effect {
        Effect::Journal(Journal::FaultBegan { fault, why }) => Some(format!("{fault}: {why}")),
        _ => None,
    };
    assert_eq!(effects.iter().filter_map(in_journal).collect::<Vec<_>>(), ["unconfirmed: nobody confirms whether order o-1 is paid"]);
    assert!(!rig.on(Input::Woken).iter().any(|effect| in_journal(effect).is_some()), "it is told once");
    let told = rig.machine.faults.all().find(|fault| fault.code == FaultCode::Unconfirmed).expect("a fault");
    assert_eq!(&*told.detail, "nobody confirms whether order o-1 is paid");
    rig.answer(1, order(OrderResource { rev: 3, ..resource(1, Status::Failure) }));
    assert!(!rig.machine.faults.has(FaultCode::Unconfirmed), "a person has ended it");
}

#[test]
fn a_qr_leaves_the_screen_at_the_end_of_its_life_whatever_is_answered() {
    for answer in [gone(), order(OrderResource { rev: 2, expires_in_s: Some(500), ..resource(1, Status::Pending) })] {
        let mut rig = Rig::new();
        rig.requested(1);
        rig.answer(1, order(OrderResource { expires_in_s: Some(20), ..resource(1, Status::Pending) }));
        assert!(rig.scene.starts_with("Pay"), "{}", rig.scene);
        asks_by_itself(&mut rig);
        rig.answer(1, answer.clone());
        rig.after(21_000);
        assert!(!rig.scene.starts_with("Pay"), "{answer:?}: {}", rig.scene);
    }
}
