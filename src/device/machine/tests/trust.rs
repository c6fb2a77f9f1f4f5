//! A clock that was ahead, behind, or right: what is trusted, and what it stops.

use super::rig::*;
use qris_host::trust::ServerTime;

const DAY: Span = Span::secs(86_400);

impl Rig {
    /// The backend tells the right time, and every certificate is good by our clock, or not. Answers with what is to be judged by now.
    fn is_told(&mut self, date: Wall, is_good: bool) -> Option<Wall> {
        let trusted = |effect| if let Effect::Trust(trusted) = effect { Some(trusted) } else { None };
        self.on(Input::Time(ServerTime { date, is_good })).into_iter().find_map(trusted)
    }

    /// TLS refuses the dates of the broker's certificate. Answers with whether the backend is asked for the time.
    fn dates_are_refused(&mut self) -> bool {
        asks(&self.on(Input::BrokerDown { reason: "certificate expired".into(), date_refusal: true, thrown_out: false }))
    }

    /// A long time ago all agreed on a time that is days ahead.
    fn ahead(days: i64) -> (Self, Wall) {
        let mut rig = Self::new();
        let right = rig.now.wall;
        rig.now.wall = Wall(right.0 + days * DAY.0);
        assert_eq!(rig.is_told(rig.now.wall, true), Some(rig.now.wall));
        let ahead = std::mem::replace(&mut rig.now.wall, right);
        (rig, ahead)
    }
}

fn asks(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::AskTime))
}

#[test]
fn no_connection_and_no_answer_alone_makes_a_time_trusted() {
    for mut rig in [Rig::new(), Rig::without_a_broker()] {
        rig.after(30 * DAY.0);
        if rig.settings.broker.is_some() {
            rig.on(Input::BrokerUp { refused: vec![] });
        }
        rig.offered_on_board(1);
        assert_eq!(rig.machine.last_trusted(), Wall(0));
        assert_eq!(rig.is_told(rig.now.wall, false), None, "a server's certificate is not good");
        assert_eq!(rig.is_told(Wall(rig.now.wall.0 - 61_000), true), None, "the backend has another time");
        assert_eq!(rig.machine.last_trusted(), Wall(0));
        assert_eq!(rig.is_told(Wall(rig.now.wall.0 - 59_000), true), Some(rig.now.wall));
        rig.cut_and_up(false);
        assert_eq!(rig.machine.last_trusted(), rig.now.wall, "it is stored");
    }
}

#[test]
fn where_no_backend_tells_the_time_none_is_trusted_and_none_of_before_counts() {
    let (mut rig, ahead) = Rig::ahead(200);
    assert_eq!(rig.machine.last_trusted(), ahead);
    rig.settings.tells_time = false;
    rig.cut_and_up(true);
    assert_eq!(rig.machine.last_trusted(), Wall(0));
    rig.now.wall = Wall(ahead.0 + 2 * DAY.0);
    assert_eq!(rig.is_told(rig.now.wall, true), None);
}

#[test]
fn a_trusted_time_that_is_ahead_is_asked_about_and_set_back() {
    let (mut rig, ahead) = Rig::ahead(200);
    assert!(rig.dates_are_refused());
    // It is looked at again, and not more often than that.
    assert!(!rig.dates_are_refused());
    let asked = (0..60).filter(|_| asks(&rig.after(1_000))).count();
    assert_eq!(asked, 4);
    // Somebody else's time changes nothing.
    assert_eq!(rig.is_told(ahead, true), None);
    assert_eq!(rig.is_told(rig.now.wall, false), None);
    assert_eq!(rig.machine.last_trusted(), ahead);
    assert_eq!(rig.is_told(rig.now.wall, true), Some(rig.now.wall));
    let trusted = rig.now.wall;
    assert!((0..60).all(|_| !asks(&rig.after(1_000))), "nothing stands in the way now");
    rig.cut_and_up(false);
    assert_eq!(rig.machine.last_trusted(), trusted, "after a reboot, too");
}

#[test]
fn nobody_is_asked_while_the_clock_is_surely_wrong_or_no_dates_are_refused() {
    let (mut rig, _) = Rig::ahead(200);
    assert!((0..60).all(|_| !asks(&rig.after(1_000))), "all certificates are good");
    rig.now.wall = Wall(5);
    assert!(!rig.dates_are_refused());
    assert!((0..60).all(|_| !asks(&rig.after(1_000))), "1970");
    // The broker is back: it was another certificate.
    let (mut rig, _) = Rig::ahead(200);
    assert!(rig.dates_are_refused());
    rig.on(Input::BrokerUp { refused: vec![] });
    assert!((0..60).all(|_| !asks(&rig.after(1_000))));
}

#[test]
fn nothing_is_judged_by_a_time_that_could_not_be_stored() {
    let (mut rig, ahead) = Rig::ahead(200);
    let lock = super::stores::lock(&rig);
    assert_eq!(rig.is_told(rig.now.wall, true), None);
    drop(lock);
    rig.after(3_000);
    assert_eq!(rig.machine.last_trusted(), ahead);
    assert_eq!(rig.is_told(rig.now.wall, true), Some(rig.now.wall));
}

#[test]
fn a_certificate_that_is_over_is_not_the_clocks_fault_where_the_clock_agrees() {
    let has_fault = |rig: &Rig| rig.machine.faults.has(FaultCode::Clock);
    let mut rig = Rig::new();
    rig.dates_are_refused();
    assert!(has_fault(&rig), "nobody knows which of the two is wrong");
    // The backend has our time, and the broker's certificate is not good by it.
    assert_eq!(rig.is_told(rig.now.wall, false), None);
    rig.dates_are_refused();
    assert!(!has_fault(&rig));
    rig.after(3_600_000);
    rig.dates_are_refused();
    assert!(!has_fault(&rig), "an hour later our clock has gone on as the boot clock did");
    rig.now.wall = Wall(rig.now.wall.0 + 200 * DAY.0);
    rig.dates_are_refused();
    assert!(has_fault(&rig), "it was set");
    rig.is_told(Wall(rig.now.wall.0 - 200 * DAY.0), false);
    rig.dates_are_refused();
    assert!(has_fault(&rig), "the backend has another time");
    // Who is on the same computer knows nothing of the time.
    let mut beside = Rig::new();
    beside.settings.tells_time = false;
    beside.cut_and_up(true);
    beside.is_told(beside.now.wall, false);
    beside.dates_are_refused();
    assert!(has_fault(&beside));
}
