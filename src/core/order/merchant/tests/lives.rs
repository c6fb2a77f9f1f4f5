//! Lives of an order under a gateway that answers as it is told to.

use super::*;

pub(super) const DAY: i64 = 24 * 3_600_000;
pub(super) const SAID: [Said; 11] = [
    Said::Pending,
    Said::Settled,
    Said::Suspect,
    Said::Expired,
    Said::Cancelled,
    Said::Denied,
    Said::Failed,
    Said::Refunded,
    Said::PartlyRefunded,
    Said::ChargedBack,
    Said::Other,
];

pub(super) fn at(ms: i64) -> Wall {
    T0 + Span::millis(ms)
}

/// Every answer to a get-status, with its name.
pub(super) fn answers() -> Vec<(String, Event)> {
    let said = SAID.into_iter().map(|said| (format!("{said:?}"), status(said)));
    let others = [
        ("404", Event::StatusUnknown),
        ("nothing", Event::StatusUnanswered),
        ("what nobody understands", Event::StatusUnclear("an alien".into())),
        ("another sum", Event::Status(StatusReport { gross_amount: Some(rp(1)), ..report(Said::Settled) })),
        ("no sum", Event::Status(StatusReport { gross_amount: None, ..report(Said::Settled) })),
        ("a refund of no sum", Event::Status(StatusReport { gross_amount: None, ..report(Said::Refunded) })),
        ("pending of nobody", Event::Status(StatusReport { metadata: [None, None, None], ..report(Said::Pending) })),
    ];
    said.chain(others.map(|(what, event)| (what.to_owned(), event))).collect()
}

/// Every answer to a cancel.
pub(super) fn cancels() -> [Event; 4] {
    [Event::CancelDone(report(Said::Cancelled)), Event::CancelRefused, Event::CancelUnknown, Event::CancelUnanswered]
}

/// Every answer to a call for a refund.
pub(super) fn refunds() -> [RefundAnswer; 6] {
    let another = StatusReport { refund_amount: Some(rp(1)), ..report(Said::Refunded) };
    [
        approved(),
        RefundAnswer::Approved(Box::new(another)),
        RefundAnswer::Unsure("cut".into()),
        RefundAnswer::Passing("no route".into()),
        RefundAnswer::KeyUsed("406".into()),
        RefundAnswer::Refused("414".into()),
    ]
}

/// An order, and the times of the calls about it.
pub(super) struct Lived {
    pub(super) order: Order,
    pub(super) calls: Vec<(Call, i64)>,
}

/// Lives for so long. Each call has its answer 10 ms later.
pub(super) fn lives(mut order: Order, from: i64, to: i64, answer: &dyn Fn(Call) -> Event) -> Lived {
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let (mut now, mut calls) = (from, Vec::new());
    while now < to && calls.len() < 5000 {
        let event = match duty(&order, Told::trusted(at(now))) {
            Duty::Apply(event) => event,
            Duty::Call(call) => {
                calls.push((call, now));
                now += 10;
                answer(call)
            }
            Duty::Wait => match next_deadline(&order) {
                Some(next) => {
                    assert!(next > at(now), "{order:#?}");
                    now = (next - T0).0;
                    continue;
                }
                None => break,
            },
        };
        order = apply(order, event, Told::trusted(at(now)), &with).expect("a fact");
    }
    Lived { order, calls }
}

/// No more calls than the pauses allow, at any time.
pub(super) fn has_pauses(what: &str, life: &Lived) {
    let most = |within: i64| {
        let times: Vec<i64> = life.calls.iter().map(|(_, at)| *at).collect();
        let until = |from: i64| times.partition_point(|at| *at < from + within);
        times.iter().enumerate().map(|(n, from)| until(*from) - n).max().unwrap_or(0)
    };
    for (within, allowed) in [(1000, 8), (60_000, 30), (3_600_000, 160), (DAY, 700)] {
        assert!(most(within) <= allowed, "{what}: {} calls in {within} ms: {:?}", most(within), &life.calls[..life.calls.len().min(30)]);
    }
}

/// A paid order that was not delivered.
pub(super) fn due() -> Order {
    live(&[(0, Event::Charged(charge(5000))), (1000, status(Said::Settled)), (2000, told(Delivery::Failed))])
}

/// The same; a person has asked for its refund.
pub(super) fn refund_under_way() -> Order {
    then(due(), 3000, Event::RefundRequested(RefundWish::of_a_person(None)))
}

pub(super) fn then(order: Order, ms: i64, event: Event) -> Order {
    let rules = rules();
    apply(order, event, Told::trusted(at(ms)), &Context { rules: &rules, paid_already: false }).expect("granted")
}
