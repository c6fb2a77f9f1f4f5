//! Reports of what was sold.

use super::rig::*;
use crate::machine::*;
use qris_core::wire::status::FaultCode;
use qris_core::wire::telemetry::Telemetry;

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
    fn next_report(&mut self) -> Telemetry {
        (0..3).find_map(|_| report(&self.after(QUARTER))).expect("a report")
    }
}

#[test]
fn each_sale_is_reported_once_and_the_sums_stay() {
    let mut rig = Rig::new();
    rig.sells(1);
    rig.sells(2);
    let first = rig.next_report();
    assert_eq!((first.number, first.sums.dispensed, first.sums.dispensed_amount), (1, 2, 10_000));
    assert_eq!(first.ended.iter().map(|row| (&*row.item, row.count, row.amount)).collect::<Vec<_>>(), [("A1", 2, 10_000)]);
    assert_eq!((first.qr_ms.iter().sum::<u32>(), first.delivery_ms.iter().sum::<u32>()), (2, 2));
    let quiet = rig.next_report();
    assert_eq!((quiet.number, &quiet.ended, quiet.sums), (1, &first.ended, first.sums), "nothing ended: the same, and nothing is written");
    rig.sells(3);
    let second = rig.next_report();
    assert_eq!((second.number, second.ended[0].count, second.sums.dispensed), (2, 1, 3));
}

#[test]
fn a_report_that_may_be_lost_comes_again_as_it_was() {
    let mut rig = Rig::new();
    rig.sells(1);
    rig.broker_takes = false;
    let one = rig.next_report();
    assert_eq!((one.number, one.sums.dispensed), (1, 1));
    // It was not acknowledged. After a crash, and with more sold since, it is still the same.
    rig.power_cut(true);
    rig.bring_up();
    rig.settle_open();
    rig.broker_takes = true;
    rig.sells(2);
    let again = rig.next_report();
    assert_eq!((again.number, again.ended, again.sums), (1, one.ended, one.sums));
    let two = rig.next_report();
    assert_eq!((two.number, two.ended[0].count, two.sums.dispensed), (2, 1, 2));
}

#[test]
fn after_a_week_without_a_broker_nothing_is_missing() {
    let mut rig = Rig::unlimited();
    rig.on(Input::BrokerDown { reason: "gone".into(), date_refusal: false });
    for n in 1..40 {
        rig.sells(n);
        assert_eq!(report(&rig.after(4 * 3_600_000)), None, "nobody is there");
    }
    rig.on(Input::BrokerUp { refused: vec![] });
    rig.settle_open();
    rig.after(20_000);
    let mut reported = (0, 0);
    let mut known = 0;
    for _ in 0..4 {
        let next = rig.next_report();
        if next.number > known {
            known = next.number;
            reported = next.ended.iter().fold(reported, |(count, amount), row| (count + row.count, amount + row.amount));
            assert_eq!(reported, (next.sums.dispensed, next.sums.dispensed_amount));
        }
    }
    assert_eq!(reported, (39, 195_000));
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
