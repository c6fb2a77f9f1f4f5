//! Another computer with the machine's client id at the broker, and each throws the other one out.

use super::rig::*;

impl Rig {
    /// The connection ends, and the next one comes. Answers with what the backend is asked: whether it hears of the other computer.
    fn cut(&mut self, thrown_out: bool) -> Vec<bool> {
        let mut effects = self.on(Input::BrokerDown { reason: "closed".into(), date_refusal: false, thrown_out });
        effects.extend(self.on(Input::BrokerUp { refused: vec![] }));
        asked(&effects)
    }

    fn is_taken(&self) -> bool {
        self.machine.faults.has(FaultCode::TakenOver)
    }
}

fn asked(effects: &[Effect]) -> Vec<bool> {
    let taken_over = |effect: &Effect| if let Effect::AskOpen(_, who) = effect { Some(who.taken_over) } else { None };
    effects.iter().filter_map(taken_over).collect()
}

fn is_told(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Journal(Journal::PlaceTaken { .. })))
}

#[test]
fn a_machine_that_is_thrown_out_again_and_again_says_so_to_the_backend_until_it_keeps_its_place() {
    let mut rig = Rig::new();
    for _ in 0..2 {
        assert_eq!(rig.cut(true), [false]);
        rig.settle_open();
    }
    assert!(!rig.is_taken(), "a network may break twice");
    let third = rig.on(Input::BrokerDown { reason: "closed".into(), date_refusal: false, thrown_out: true });
    assert_eq!((asked(&third), is_told(&third), rig.is_taken()), (vec![true], true, true), "without a connection, too");
    rig.settle_open();
    assert_eq!(rig.cut(true), [true]);
    rig.settle_open();
    let told = rig.on(Input::BrokerDown { reason: "closed".into(), date_refusal: false, thrown_out: true });
    assert!(!is_told(&told), "the journal is told once");
    rig.on(Input::BrokerUp { refused: vec![] });
    rig.settle_open();
    // Nobody takes it any more.
    let quiet = rig.after(595_000);
    assert_eq!((asked(&quiet), rig.is_taken()), (vec![], true));
    let over = rig.after(6_000);
    assert_eq!((asked(&over), rig.is_taken()), (vec![false], false));
}

#[test]
fn connections_that_end_otherwise_or_seldom_are_no_other_computer() {
    let mut rig = Rig::new();
    for _ in 0..20 {
        rig.cut(false);
        rig.settle_open();
    }
    assert!(!rig.is_taken());
    // The broker was away, and is not there at once.
    for _ in 0..20 {
        rig.cut(true);
        rig.settle_open();
        rig.on(Input::BrokerDown { reason: "closed".into(), date_refusal: false, thrown_out: true });
        rig.on(Input::BrokerDown { reason: "nobody listens".into(), date_refusal: false, thrown_out: false });
        rig.on(Input::BrokerUp { refused: vec![] });
        rig.settle_open();
    }
    assert!(!rig.is_taken());
    for _ in 0..20 {
        rig.cut(true);
        rig.settle_open();
        rig.cut(true);
        rig.settle_open();
        rig.after(601_000);
        rig.settle_open();
    }
    assert!(!rig.is_taken());
}
