//! What an operator has done to a line.

use super::*;
use qris_core::order::ids::CommandId;
use qris_core::order::operator::Level;
use qris_core::order::receipt::testing::operator;
use qris_core::order::time::Wall;
use qris_core::wire::command::{Asked, Command};

const NOW: Wall = Wall(1_795_000_000_000);

fn asked(jti: &str, command: Command) -> Asked {
    let (aud, jti) = (DeviceId::new("vm-001").expect("an id"), CommandId::new(jti).expect("an id"));
    Asked { aud, jti, exp: NOW.0 / 1000 + 60, stream: Some("s".into()), command }
}

fn item() -> ItemId {
    ItemId::new("A1").expect("an item")
}

fn test_of(jti: &str) -> String {
    asked(jti, Command::TestPulse { item: item() }).jws(&operator(Level::Door))
}

impl Rig {
    fn test(&mut self, jws: &str) -> Result<Dispensed, RelayError> {
        self.drawn += 1;
        self.dispenser.test(jws, [self.drawn; 16], NOW).map_err(|refusal| refusal.error)
    }

    fn tests(&mut self, jti: &str) {
        assert!(matches!(self.test(&test_of(jti)), Ok(Dispensed::Begun(_))));
    }
}

#[test]
fn a_test_drives_its_line_once() {
    let mut rig = Rig::new();
    rig.tests("c-1");
    assert_eq!(rig.drives(), [0]);
    assert_eq!(rig.test(&test_of("c-1")), known(DispenseAnswer::Dispensing), "it is driven");
    assert_eq!(rig.test(&test_of("c-2")), Err(RelayError::Busy));
    assert_eq!(rig.try_prepare("A1", 5000), Err(RelayError::Busy), "nothing is sold meanwhile");
    rig.end(0, Outcome::Dispensed);
    assert_eq!(rig.test(&test_of("c-1")), known(DISPENSED));
    rig.restart();
    assert_eq!(rig.test(&test_of("c-1")), known(DISPENSED), "also after a restart");
    assert_eq!(rig.drives(), [0_usize; 0]);
    assert_eq!(rig.dispenser.tickets(), []);
    // A sale goes on as if nothing had been.
    rig.begin(1);
}

#[test]
fn a_test_that_a_crash_ends_is_uncertain_and_is_no_order() {
    let mut rig = Rig::new();
    rig.tests("c-1");
    assert_eq!(rig.journal(), ["TestBegins"]);
    rig.restart();
    assert_eq!(rig.journal(), ["TestEnded"]);
    let answer = rig.test(&test_of("c-1")).expect("known");
    assert!(matches!(answer, Dispensed::Known(DispenseAnswer::Ended(Outcome::Uncertain), _)), "{answer:?}");
    rig.tests("c-2");
    rig.end(0, Outcome::Failed);
    assert_eq!(rig.journal(), ["TestBegins", "TestEnded", "LineBlocked"]);
    assert_eq!(rig.test(&test_of("c-3")), Err(RelayError::Blocked));
    let clear = asked("c-4", Command::Clear { item: item() }).jws(&operator(Level::Door));
    rig.dispenser.clear_by(&clear, NOW).expect("cleared");
    let by = format!("the key {}", operator(Level::Door).kid());
    assert_eq!(rig.cleared(), [(Some("A1".into()), by)]);
    rig.tests("c-5");
}

#[test]
fn only_an_operator_of_the_door_has_a_line_driven() {
    let mut rig = Rig::new();
    let good = asked("c-1", Command::TestPulse { item: item() });
    let refused = RelayError::InvalidReceipt;
    assert_eq!(rig.test(&good.jws(&operator(Level::Desk))), Err(refused));
    assert_eq!(rig.test(&good.jws(&key())), Err(refused), "the key of the backend");
    assert_eq!(rig.test(&good.jws(&SigningKey::from_seed([99; 32]))), Err(refused));
    let other = Asked { aud: DeviceId::new("vm-002").expect("an id"), ..good.clone() };
    assert_eq!(rig.test(&other.jws(&operator(Level::Door))), Err(RelayError::WrongDevice));
    let late = Asked { exp: NOW.0 / 1000, ..good.clone() };
    assert_eq!(rig.test(&late.jws(&operator(Level::Door))), Err(refused));
    let early = Asked { exp: NOW.0 / 1000 + 10 * 24 * 3600, ..good.clone() };
    assert_eq!(rig.test(&early.jws(&operator(Level::Door))), Err(refused), "a clock of 1970");
    let clear = asked("c-2", Command::Clear { item: item() }).jws(&operator(Level::Door));
    assert_eq!(rig.test(&clear), Err(refused), "another command");
    assert_eq!(rig.dispenser.clear_by(&good.jws(&operator(Level::Door)), NOW).map_err(|refusal| refusal.error), Err(refused));
    let receipt = receipt(1, &Ticket::from_random([7; 16]));
    assert_eq!(rig.test(&receipt), Err(refused));
    assert_eq!(rig.drives(), [0_usize; 0]);
}
