//! Another try at an order: the relay's own rule, whatever the backend signs.

use super::operator::test_of;
use super::*;
use qris_core::order::tries::Try;

fn number(n: u32) -> TryNumber {
    TryNumber::try_from(n).expect("a number")
}

/// The receipt of try `n` at this order, for this ticket, on a machine of a backend that believes anything.
fn signed(order: u8, n: u32, after: &Ticket, ticket: &Ticket) -> String {
    let nth = if n == 1 { Try::First } else { Try::Again { number: number(n), after: after.clone() } };
    key().sign(Claims { nth, ..claims_of(order, ticket) }).jws().to_owned()
}

impl Rig {
    pub(super) fn prepare_again(&mut self, order: u8, n: u32, after: &Ticket) -> Result<(Ticket, String), RelayError> {
        self.drawn += 1;
        let again = Again { order: super::order(order), number: number(n), after: after.clone() };
        self.dispenser.prepare_again("vm-001", "A1", 5000, again, [self.drawn; 16]).map_err(|refusal| refusal.error)
    }

    /// Whether line 0 is driven for this receipt.
    fn drives_for(&mut self, jws: &str) -> bool {
        let answer = self.dispense(jws);
        self.drives() == [0] && matches!(answer, Ok(Dispensed::Begun(_)))
    }

    fn closed(&mut self) -> Ticket {
        let ticket = self.prepare("A1", 5000);
        self.close(&ticket).expect("closed");
        ticket
    }

    fn ended(&mut self, n: u8, outcome: Outcome) -> Ticket {
        let (ticket, _) = self.begin(n);
        self.end(0, outcome);
        self.dispenser.clear("A1").expect("cleared");
        self.drives();
        ticket
    }
}

#[test]
fn another_try_is_driven_once_after_nothing_came() {
    for is_failed in [false, true] {
        let mut rig = Rig::new();
        let first = if is_failed { rig.ended(1, Outcome::Failed) } else { rig.closed() };
        let (second, promise) = rig.prepare_again(1, 2, &first).expect("a ticket");
        let promise = Promise::verify(&promise, &rig.dispenser.key().expect("a ledger")).expect("its own signature");
        let wanted = Again { order: order(1), number: number(2), after: first.clone() };
        let (device, item, amount) = (DeviceId::new("vm-001").expect("an id"), claims().item, claims().amount);
        assert_eq!(promise, Promise::of(device, second.clone(), wanted, item, amount));
        let jws = signed(1, 2, &first, &second);
        assert!(rig.drives_for(&jws));
        let (one, two) = (rig.dispenser.query("o-1", 1), rig.dispenser.query("o-1", 2));
        let of_first = if is_failed { DispenseAnswer::Ended(Outcome::Failed) } else { DispenseAnswer::Unknown };
        assert_eq!((one.expect("readable").0, two.expect("readable").0), (of_first, DispenseAnswer::Dispensing));
        rig.end(0, Outcome::Dispensed);
        let told = |effect: &Effect| matches!(effect, Effect::Finished { cause: Cause::Order { number, .. }, .. } if number.get() == 2);
        assert!(rig.dispenser.take_effects().iter().any(told));
        for _ in 0..2 {
            assert_eq!(rig.dispense(&jws), known(DISPENSED), "the same again");
            assert_eq!(rig.close(&second), Ok(CloseAnswer::Ended(Outcome::Dispensed)));
            let proof = rig.dispenser.prove(second.as_str()).expect("a ticket of ours").expect("it ended");
            let word = proof::verify(&proof, &rig.dispenser.key().expect("a ledger")).expect("its own signature");
            assert_eq!((word.order_id, word.number_of_try, word.outcome), (Some(order(1)), number(2), Last::Dispensed));
            assert_eq!(rig.prepare_again(1, 3, &second), Err(RelayError::NoTry));
            rig.restart();
        }
        assert_eq!(rig.drives(), [0; 0]);
    }
}

#[test]
fn a_third_try_comes_after_a_second_one_that_was_closed_or_failed() {
    for is_failed in [false, true] {
        let mut rig = Rig::new();
        let first = rig.closed();
        let (second, _) = rig.prepare_again(1, 2, &first).expect("a ticket");
        if is_failed {
            assert!(rig.drives_for(&signed(1, 2, &first, &second)));
            rig.end(0, Outcome::Failed);
            rig.dispenser.clear("A1").expect("cleared");
        } else {
            rig.close(&second).expect("closed");
        }
        let proof = rig.dispenser.prove(second.as_str()).expect("a ticket of ours").expect("it ended");
        let word = proof::verify(&proof, &rig.dispenser.key().expect("a ledger")).expect("its own signature");
        let outcome = if is_failed { Last::Failed } else { Last::Closed };
        assert_eq!((word.order_id, word.number_of_try, word.outcome), (Some(order(1)), number(2), outcome));
        assert_eq!(rig.prepare_again(1, 3, &first), Err(RelayError::NoTry), "that is not the one before");
        assert_eq!(rig.prepare_again(2, 3, &second), Err(RelayError::NoTry), "that is another order's");
        let (third, _) = rig.prepare_again(1, 3, &second).expect("a ticket");
        assert!(rig.drives_for(&signed(1, 3, &second, &third)));
        rig.end(0, Outcome::Dispensed);
        if is_failed {
            assert_eq!(rig.dispense(&signed(1, 2, &first, &second)), known(DispenseAnswer::Ended(Outcome::Failed)));
        } else {
            assert_eq!(rig.dispense(&signed(1, 2, &first, &second)), Err(RelayError::UnknownTicket));
        }
        assert_eq!(rig.drives(), [0; 0]);
    }
}

/// Each is a receipt that the backend has signed, as from books of yesterday or by mistake. At most one delivery of a payment.
#[test]
fn no_other_end_is_followed_by_another_try() {
    for outcome in [Outcome::Dispensed, Outcome::Uncertain, Outcome::NotDriven] {
        let mut rig = Rig::new();
        // Another line can still be driven: where it was uncertain or not driven, this one is blocked.
        let first = rig.ended(1, outcome);
        assert_eq!(rig.prepare_again(1, 2, &first), Err(RelayError::NoTry), "{outcome:?}");
        let other = rig.prepare("A1", 5000);
        let refused = Err(RelayError::UnknownTicket);
        assert_eq!(rig.dispense(&signed(1, 2, &first, &other)), refused, "{outcome:?}: a ticket that was not given for it");
        // A ticket of somebody else that was closed, in the place of the order's own.
        let closed = rig.closed();
        let expected = if outcome == Outcome::NotDriven { Ok(()) } else { Err(RelayError::NoTry) };
        assert_eq!(rig.prepare_again(1, 2, &closed).map(drop), expected, "{outcome:?}");
        assert_eq!(rig.drives(), [0; 0], "{outcome:?}");
    }
}

#[test]
fn the_first_receipt_that_comes_after_the_second_try_drives_nothing() {
    for outcome in [Outcome::Dispensed, Outcome::Failed, Outcome::Uncertain] {
        let mut rig = Rig::new();
        let (open, closed) = (rig.prepare("A1", 5000), rig.closed());
        // The books believe that the closed ticket was the order's. Its own is open, with a receipt in foreign hands.
        let (second, _) = rig.prepare_again(1, 2, &closed).expect("a ticket");
        assert!(rig.drives_for(&signed(1, 2, &closed, &second)));
        assert_eq!(rig.dispense(&receipt(1, &open)), Err(RelayError::NoTry), "while it is driven");
        rig.end(0, outcome);
        rig.dispenser.clear("A1").expect("cleared");
        for _ in 0..2 {
            assert_eq!(rig.dispense(&receipt(1, &open)), Err(RelayError::NoTry), "{outcome:?}");
            rig.restart();
        }
        assert_eq!(rig.drives(), [0; 0], "{outcome:?}");
    }
}

#[test]
fn a_second_try_that_is_promised_waits_for_nobody_else() {
    let mut rig = Rig::new();
    let first = rig.closed();
    let (second, _) = rig.prepare_again(1, 2, &first).expect("a ticket");
    assert_eq!(rig.dispense(&receipt(2, &second)), Err(RelayError::UnknownTicket), "a receipt of a first try");
    assert_eq!(rig.dispense(&signed(2, 2, &first, &second)), Err(RelayError::UnknownTicket), "of another order");
    assert_eq!(rig.dispense(&signed(1, 2, &second, &second)), Err(RelayError::UnknownTicket), "after another ticket");
    assert_eq!(rig.dispense(&signed(1, 3, &first, &second)), Err(RelayError::UnknownTicket), "of another number");
    assert_eq!(rig.drives(), [0; 0]);
    // Two tickets of one try: the second one of them drives nothing.
    let (other, _) = rig.prepare_again(1, 2, &first).expect("a ticket");
    assert!(rig.drives_for(&signed(1, 2, &first, &second)));
    rig.end(0, Outcome::Dispensed);
    assert_eq!(rig.dispense(&signed(1, 2, &first, &other)), known(DISPENSED));
    assert_eq!(rig.drives(), [0; 0]);
    // With the transaction of an order that was handed out.
    let mut stolen = claims_of(3, &other);
    (stolen.transaction_id, stolen.nth) = (claims_of(1, &other).transaction_id, Try::Again { number: number(2), after: first.clone() });
    let closed = rig.closed();
    let (third, _) = rig.prepare_again(3, 2, &closed).expect("a ticket");
    let jws = key().sign(Claims { ticket: third, nth: Try::Again { number: number(2), after: closed }, ..stolen }).jws().to_owned();
    assert_eq!(rig.dispense(&jws), Err(RelayError::InvalidReceipt), "one payment is one order");
    assert_eq!(rig.drives(), [0; 0]);
}

/// The ledger drops the row of a pulse when it is old enough, and never that there was one.
#[test]
fn an_order_whose_pulse_was_dropped_is_never_driven_again() {
    for outcome in Outcome::ALL {
        let mut rig = Rig::new();
        let (ticket, old) = rig.begin(1);
        rig.end(0, outcome);
        rig.dispenser.clear("A1").expect("cleared");
        // Only of one that failed the relay promises another try.
        let promised = rig.prepare_again(1, 2, &ticket).ok().map(|(second, _)| signed(1, 2, &ticket, &second));
        rig.dispenser.ledger.age();
        rig.ended(2, Outcome::Dispensed);
        assert_eq!(rig.query(1), DispenseAnswer::Unknown, "{outcome:?}: its row is gone");
        for _ in 0..2 {
            assert_eq!(rig.dispense(&old), Err(RelayError::UnknownTicket), "{outcome:?}");
            let fresh = rig.prepare("A1", 5000);
            assert_eq!(rig.dispense(&receipt(1, &fresh)), Err(RelayError::NoTry), "{outcome:?}: signed once more");
            if let Some(jws) = &promised {
                assert_eq!(rig.dispense(jws), Err(RelayError::NoTry), "{outcome:?}: promised before");
            }
            let closed = rig.closed();
            assert_eq!(rig.prepare_again(1, 2, &closed).map(drop), Err(RelayError::NoTry), "{outcome:?}: a ticket that names no order");
            assert_eq!(rig.drives(), [0; 0], "{outcome:?}");
            rig.restart();
        }
        let fresh = rig.prepare("A1", 5000);
        assert!(rig.drives_for(&receipt(3, &fresh)), "{outcome:?}: another order");
    }
}

/// An operator has the line driven while a try is promised, and after it came to nothing. Nobody gets the goods of the order by that, and it
/// keeps its try.
#[test]
fn a_test_of_the_line_is_no_try() {
    let mut rig = Rig::new();
    let first = rig.closed();
    let (second, _) = rig.prepare_again(1, 2, &first).expect("a ticket");
    let jws = signed(1, 2, &first, &second);
    assert!(matches!(rig.test(&test_of("c-1")), Ok(Dispensed::Begun(_))));
    assert_eq!((rig.drives(), rig.dispense(&jws)), (vec![0], Err(RelayError::Busy)));
    rig.end(0, Outcome::Dispensed);
    assert_eq!(rig.dispenser.query("o-1", 2).expect("readable").0, DispenseAnswer::Unknown);
    assert!(rig.drives_for(&jws));
    assert_eq!(rig.test(&test_of("c-2")), Err(RelayError::Busy));
    rig.end(0, Outcome::Failed);
    rig.dispenser.clear("A1").expect("cleared");
    assert!(matches!(rig.test(&test_of("c-2")), Ok(Dispensed::Begun(_))));
    rig.end(0, Outcome::Dispensed);
    rig.restart();
    assert_eq!(rig.dispense(&jws), known(DispenseAnswer::Ended(Outcome::Failed)), "the end of the try, and not of the test");
    let (third, _) = rig.prepare_again(1, 3, &second).expect("a ticket");
    rig.drives();
    assert!(rig.drives_for(&signed(1, 3, &second, &third)));
    rig.end(0, Outcome::Dispensed);
    assert_eq!((rig.prepare_again(1, 4, &third), rig.drives()), (Err(RelayError::NoTry), vec![]));
}

/// The program believes nothing that the ledger would not take: a row is refused by the database itself.
#[test]
fn the_ledger_itself_refuses_a_try_that_does_not_come_after_nothing() {
    let mut rig = Rig::new();
    let first = rig.ended(1, Outcome::Dispensed);
    let ledger = Connection::open(rig.path()).expect("opens");
    let ticket = Ticket::from_random([90; 16]);
    ledger
        .execute(
            "INSERT INTO tickets (seq, ticket, item, amount, state, order_id, try, after, sum) VALUES (99, ?1, 'A1', 5000, 'open', 'o-1', 2, ?2, '')",
            [ticket.as_str(), first.as_str()],
        )
        .expect("a ticket");
    ledger.execute("UPDATE tickets SET state = 'used', number = 99 WHERE seq = 99", []).expect("used");
    let told = ledger
        .execute(
            "INSERT INTO pulses (seq, order_id, try, ticket, request_id, transaction_id, line, item, amount, detail, sum)
             VALUES (99, 'o-1', 2, ?1, 'r-1', 't-1', 'tray 1', 'A1', 5000, '', '')",
            [ticket.as_str()],
        )
        .expect_err("refused");
    assert!(told.to_string().contains("another try begins after one that came to nothing"), "{told}");
}
