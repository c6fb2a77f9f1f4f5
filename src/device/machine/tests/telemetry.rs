//! Reports of what was sold.

use super::rig::*;
use qris_core::order::machine::RelayCall;
use qris_core::wire::status::FaultCode;
use qris_core::wire::telemetry::{Measured, Telemetry};

const QUARTER: i64 = 900_000;

fn report(effects: &[Effect]) -> Option<Telemetry> {
    let reports: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Publish { notice: Notice::Telemetry, payload, .. } => serde_json::from_slice(payload).ok(),
            _ => None,
        })
        .collect();
    assert!(reports.len() <= 1, "one at a time");
    reports.into_iter().next()
}

impl Rig {
    fn sells(&mut self, n: u8) {
        self.dispensing(n);
        self.delivered(n);
        self.after(20_000);
    }

    /// The next report, within so many quarters of an hour.
    pub(super) fn next_report(&mut self) -> Telemetry {
        (0..3).find_map(|_| report(&self.after(QUARTER))).expect("a report")
    }
}

/// How many waits for a QR, waits for the goods and connections.
fn measured(report: &Telemetry) -> (u32, u32, u32) {
    let Measured { qr_ms, delivery_ms, connections } = report.measured;
    (qr_ms.iter().sum(), delivery_ms.iter().sum(), connections)
}

#[test]
fn each_sale_is_reported_once_and_the_sums_stay() {
    let mut rig = Rig::new();
    rig.sells(1);
    rig.sells(2);
    let first = rig.next_report();
    assert_eq!((first.number, first.sums.dispensed, first.sums.dispensed_amount), (2, 2, 10_000), "the first told of the connection");
    assert_eq!(first.ended.iter().map(|row| (&*row.item, row.count, row.amount)).collect::<Vec<_>>(), [("A1", 2, 10_000)]);
    assert_eq!(measured(&first), (2, 2, 0));
    let quiet = rig.next_report();
    assert_eq!((quiet.number, &quiet.ended, quiet.sums), (2, &first.ended, first.sums), "nothing ended: the same, and nothing is written");
    assert_eq!(quiet.measured, first.measured);
    rig.sells(3);
    let second = rig.next_report();
    assert_eq!((second.number, second.ended[0].count, second.sums.dispensed), (3, 1, 3));
    assert_eq!(measured(&second), (1, 1, 0), "since the report before, and not since the start");
}

#[test]
fn a_report_that_may_be_lost_comes_again_as_it_was() {
    let mut rig = Rig::new();
    rig.sells(1);
    rig.broker_takes = false;
    let one = rig.next_report();
    assert_eq!((one.number, one.sums.dispensed, measured(&one)), (2, 1, (1, 1, 0)));
    // It was not acknowledged. After a crash, and with more sold since, it is still the same.
    rig.power_cut(true);
    rig.bring_up();
    rig.settle_open();
    rig.broker_takes = true;
    rig.sells(2);
    let again = rig.next_report();
    assert_eq!((again.number, again.ended, again.sums, again.measured), (2, one.ended, one.sums, one.measured));
    let two = rig.next_report();
    assert_eq!((two.number, two.ended[0].count, two.sums.dispensed, measured(&two)), (3, 1, 2, (1, 1, 1)));
}

#[test]
fn what_was_measured_waits_for_the_broker_through_crashes() {
    let mut rig = Rig::new();
    rig.on(Input::BrokerDown { reason: "gone".into(), date_refusal: false, thrown_out: false });
    for n in 1..5 {
        rig.sells(n);
        assert_eq!(report(&rig.after(QUARTER)), None, "nobody is there");
        rig.power_cut(true);
        rig.on(Input::Screen(ScreenState::Working));
        rig.on(Input::RelayUp(rig.facts.clone()));
        rig.settle_open();
    }
    // An end that cannot be stored is not counted yet.
    rig.dispensing(5);
    let lock = super::stores::lock(&rig);
    rig.delivered(5);
    drop(lock);
    rig.after(3_000);
    assert_eq!(rig.relay(5), Some(RelayCall::Dispense(receipt_of(5))), "the relay has its end, and is asked for it");
    rig.delivered(5);
    rig.after(20_000);
    rig.on(Input::BrokerUp { refused: vec![] });
    rig.settle_open();
    let (mut number, mut sum) = (1, (0, 0, 0));
    for _ in 0..3 {
        let next = rig.next_report();
        if next.number > number {
            let more = measured(&next);
            (number, sum) = (next.number, (sum.0 + more.0, sum.1 + more.1, sum.2 + more.2));
        }
    }
    assert_eq!(sum, (5, 5, 1));
}

#[test]
fn a_fault_is_reported_at_once_and_none_is_if_nobody_wants_any() {
    let mut rig = Rig::new();
    rig.after(20_000);
    let effects = rig.on(Input::Screen(ScreenState::Gone("no device".into())));
    assert!(rig.machine.faults.has(FaultCode::Screen) && report(&effects).is_some());
    assert_eq!(report(&rig.on(Input::Screen(ScreenState::Working))), None, "not more often than every 10 s");
    assert!(report(&rig.after(10_000)).is_some());
    let mut rig = Rig::dark(10);
    rig.settings.report_every = Span::ZERO;
    rig.power_cut(true);
    assert_eq!(report(&rig.on(Input::BrokerUp { refused: vec![] })), None);
    assert_eq!(report(&rig.after(QUARTER)), None);
}
