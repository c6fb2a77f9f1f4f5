//! What an operator has done to a line.

use super::*;
use qris_core::order::ids::CommandId;
use qris_core::order::keys::Level;
use qris_core::order::receipt::testing::operator;
use qris_core::order::time::Wall;
use qris_core::wire::command::{Action, SignedCommand};

const NOW: Wall = Wall(1_795_000_000_000);

fn asked(jti: &str, action: Action) -> SignedCommand {
    let (aud, jti) = (DeviceId::new("vm-001").expect("an id"), CommandId::new(jti).expect("an id"));
    SignedCommand { aud, jti, exp: NOW.0 / 1000 + 60, stream: Some("s".into()), command: action.into() }
}

fn item() -> ItemId {
    ItemId::new("A1").expect("an item")
}

pub(super) fn test_of(jti: &str) -> String {
    asked(jti, Action::TestPulse { item: item() }).jws(&operator(Level::Service))
}

fn clear_of(jti: &str) -> SignedCommand {
    asked(jti, Action::Clear { item: item() })
}

impl Rig {
    pub(super) fn test(&mut self, jws: &str) -> Result<Dispensed, RelayError> {
        self.test_at(jws, Some(NOW))
    }

    fn test_at(&mut self, jws: &str, now: Option<Wall>) -> Result<Dispensed, RelayError> {
        self.dispenser.test(jws, now).map_err(|refusal| refusal.error)
    }

    fn clear_at(&mut self, asked: &SignedCommand, now: Option<Wall>) -> Result<bool, RelayError> {
        self.dispenser.clear_by(&asked.jws(&operator(Level::Service)), now).map_err(|refusal| refusal.error)
    }

    /// A test fails, and its line is blocked.
    fn jams(&mut self, jti: &str) {
        self.jams_at(jti, NOW);
    }

    fn jams_at(&mut self, jti: &str, now: Wall) {
        let test = SignedCommand { exp: now.0 / 1000 + 60, ..asked(jti, Action::TestPulse { item: item() }) };
        assert!(matches!(self.test_at(&test.jws(&operator(Level::Service)), Some(now)), Ok(Dispensed::Begun(_))));
        self.end(0, Outcome::Failed);
        assert_eq!(self.state(0), "blocked");
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
    assert_eq!(rig.clear_at(&clear_of("c-4"), Some(NOW)), Ok(true));
    let by = format!("the key {}", operator(Level::Service).kid());
    assert_eq!(rig.cleared(), [("A1".into(), by)]);
    rig.tests("c-5");
}

#[test]
fn nobody_hears_of_an_order_when_a_line_is_tested() {
    let mut rig = Rig::new();
    let mut told = String::new();
    for (jti, outcome) in [("c-1", Outcome::Dispensed), ("c-2", Outcome::Failed)] {
        rig.tests(jti);
        rig.end(0, outcome);
        told += &format!("{:?}", rig.dispenser.take_effects());
    }
    assert!(
        ["cause: Test(c-1)", "cause: Test(c-2)", "LineBlocked { item: A1, order: None"].iter().all(|part| told.contains(part)),
        "{told}"
    );
    assert_eq!(rig.dispenser.tickets(), []);
}

#[test]
fn only_an_operator_of_the_door_has_a_line_driven() {
    let mut rig = Rig::new();
    let good = asked("c-1", Action::TestPulse { item: item() });
    let refused = RelayError::CommandRefused;
    assert_eq!(rig.test(&good.jws(&operator(Level::Manage))), Err(refused));
    assert_eq!(rig.test(&good.jws(&key())), Err(refused), "the key of the backend");
    assert_eq!(rig.test(&good.jws(&SigningKey::from_seed([99; 32]))), Err(refused));
    let other = SignedCommand { aud: DeviceId::new("vm-002").expect("an id"), ..good.clone() };
    assert_eq!(rig.test(&other.jws(&operator(Level::Service))), Err(refused));
    let late = SignedCommand { exp: NOW.0 / 1000, ..good.clone() };
    assert_eq!(rig.test(&late.jws(&operator(Level::Service))), Err(refused));
    let early = SignedCommand { exp: NOW.0 / 1000 + 10 * 24 * 3600, ..good.clone() };
    assert_eq!(rig.test(&early.jws(&operator(Level::Service))), Err(refused), "a clock of 1970");
    let clear = asked("c-2", Action::Clear { item: item() }).jws(&operator(Level::Service));
    assert_eq!(rig.test(&clear), Err(refused), "another command");
    assert_eq!(rig.clear_at(&good, Some(NOW)), Err(refused));
    let receipt = receipt(1, &Ticket::from_random([7; 16]));
    assert_eq!(rig.test(&receipt), Err(refused));
    assert_eq!(rig.drives(), [0_usize; 0]);
}

#[test]
fn a_clear_takes_one_block_off_and_no_later_one() {
    let mut rig = Rig::new();
    let clear = clear_of("c-2");
    rig.jams("c-1");
    assert_eq!(rig.clear_at(&clear, Some(NOW)), Ok(true));
    rig.jams("c-3");
    for round in 0..2 {
        assert_eq!(rig.clear_at(&clear, Some(NOW)), Ok(false), "round {round}");
        assert_eq!(rig.state(0), "blocked", "round {round}");
        rig.restart();
    }
    // Who keeps a command for later has nothing of it, if it came to nothing when it was new.
    assert_eq!(rig.clear_at(&clear_of("c-4"), Some(NOW)), Ok(true));
    assert_eq!(rig.clear_at(&clear_of("c-5"), Some(NOW)), Ok(true), "nothing is blocked");
    rig.jams("c-6");
    assert_eq!(rig.clear_at(&clear_of("c-5"), Some(NOW)), Ok(false));
    // A ledger that takes nothing leaves the block, and the command is good later.
    rig.fail_commits(true);
    assert_eq!(rig.clear_at(&clear_of("c-7"), Some(NOW)), Err(RelayError::Ledger));
    assert_eq!(rig.state(0), "blocked");
    rig.fail_commits(false);
    rig.dispenser.tick();
    assert_eq!(rig.clear_at(&clear_of("c-7"), Some(NOW)), Ok(true));
    assert_eq!(rig.state(0), "ready");
}

#[test]
fn the_name_of_a_command_is_used_once() {
    let mut rig = Rig::new();
    rig.jams("c-1");
    assert_eq!(rig.clear_at(&clear_of("c-1"), Some(NOW)), Err(RelayError::CommandRefused), "a test's");
    assert_eq!(rig.clear_at(&clear_of("c-2"), Some(NOW)), Ok(true));
    let other = ItemId::new("A2").expect("an item");
    assert_eq!(rig.clear_at(&asked("c-2", Action::Clear { item: other.clone() }), Some(NOW)), Err(RelayError::CommandRefused));
    assert_eq!(rig.test(&test_of("c-2")), Err(RelayError::CommandRefused));
    let test = asked("c-1", Action::TestPulse { item: other }).jws(&operator(Level::Service));
    assert_eq!(rig.test(&test), Err(RelayError::CommandRefused));
}

#[test]
fn while_no_clock_is_trusted_a_command_that_names_a_stream_is_carried_out_once() {
    let mut rig = Rig::new();
    let jws = |asked: &SignedCommand| asked.jws(&operator(Level::Service));
    let named = asked("c-1", Action::TestPulse { item: item() });
    let plain = SignedCommand { stream: None, ..named.clone() };
    assert_eq!(rig.test_at(&jws(&plain), None), Err(RelayError::CommandRefused));
    assert_eq!(rig.clear_at(&SignedCommand { stream: None, ..clear_of("c-2") }, None), Err(RelayError::CommandRefused));
    assert!(matches!(rig.test_at(&jws(&named), None), Ok(Dispensed::Begun(_))));
    rig.end(0, Outcome::Failed);
    assert_eq!(rig.clear_at(&clear_of("c-2"), None), Ok(true));
    rig.jams("c-3");
    rig.restart();
    assert_eq!(rig.clear_at(&clear_of("c-2"), None), Ok(false));
    assert!(matches!(rig.test_at(&jws(&named), None), Ok(Dispensed::Known(..))));
    assert_eq!(rig.drives(), [0_usize; 0]);
    // By a right clock both are over, and forgotten.
    let later = Wall(NOW.0 + 60_000);
    let fresh = |jti: &str| SignedCommand { exp: later.0 / 1000 + 60, ..clear_of(jti) };
    assert_eq!(rig.clear_at(&fresh("c-4"), Some(later)), Ok(true));
    rig.jams_at("c-5", later);
    for now in [Some(later), Some(NOW), None] {
        assert_eq!(rig.clear_at(&clear_of("c-2"), now), Err(RelayError::CommandRefused), "{now:?}: whatever the clock says");
        assert_eq!(rig.clear_at(&fresh("c-4"), now), Ok(false), "{now:?}");
    }
}

#[test]
fn so_many_commands_are_remembered_and_then_no_more_until_their_time_is_over() {
    let mut rig = Rig::new();
    for n in 0..256 {
        assert_eq!(rig.clear_at(&clear_of(&format!("c-{n}")), None), Ok(true));
    }
    for now in [None, Some(NOW)] {
        assert_eq!(rig.clear_at(&clear_of("one-more"), now), Err(RelayError::Ledger));
        assert_eq!(rig.clear_at(&clear_of("c-7"), now), Ok(false));
    }
    let later = Wall(NOW.0 + 60_000);
    let fresh = SignedCommand { exp: later.0 / 1000 + 60, ..clear_of("one-more") };
    assert_eq!(rig.clear_at(&fresh, Some(later)), Ok(true));
    assert_eq!(rig.dispenser.ledger.store().commands_after(i64::MIN).expect("readable"), 1);
}

#[test]
fn what_was_refused_because_it_was_over_is_never_carried_out_whatever_the_clock_says() {
    let mut rig = Rig::new();
    let later = Wall(NOW.0 + 60_000);
    rig.jams("c-1");
    assert_eq!(rig.test_at(&test_of("c-2"), Some(later)), Err(RelayError::CommandRefused));
    let none_of_ours = asked("c-3", Action::Clear { item: item() }).jws(&SigningKey::from_seed([99; 32]));
    assert_eq!(
        rig.dispenser.clear_by(&none_of_ours, Some(Wall(NOW.0 + 999_000))).map_err(|why| why.error),
        Err(RelayError::CommandRefused)
    );
    for now in [Some(NOW), None] {
        assert_eq!(rig.test_at(&test_of("c-2"), now), Err(RelayError::CommandRefused), "{now:?}");
        assert_eq!(rig.clear_at(&clear_of("c-4"), now), Err(RelayError::CommandRefused), "{now:?}: it ended no later");
        rig.restart();
    }
    assert_eq!(rig.state(0), "blocked");
    // A command that ends later is good.
    let fresh = SignedCommand { exp: NOW.0 / 1000 + 61, ..clear_of("c-5") };
    assert_eq!(rig.clear_at(&fresh, Some(NOW)), Ok(true));
    // A ledger that takes nothing refuses it all the same.
    rig.fail_commits(true);
    assert_eq!(rig.test_at(&test_of("c-6"), Some(later)), Err(RelayError::CommandRefused));
}
