//! A broker whose access list refuses what this machine writes.

use super::rig::*;

const WHY: &str = "not authorized";

impl Rig {
    /// The broker takes none of these messages. Answers with all that follows.
    fn refuse(&mut self, notice: Notice, effects: &[Effect]) -> Vec<Effect> {
        let ids: Vec<_> = published(effects, notice);
        ids.into_iter().flat_map(|id| self.on(Input::Undelivered(id, Some(WHY.into())))).collect()
    }

    fn config(&self) -> Option<String> {
        self.machine.faults.all().find(|fault| fault.code == FaultCode::Config).map(|fault| fault.detail.to_string())
    }
}

fn published(effects: &[Effect], wanted: Notice) -> Vec<PublishId> {
    let id = |effect: &Effect| if let Effect::Publish { id, notice, .. } = effect { (*notice == wanted).then_some(*id) } else { None };
    effects.iter().filter_map(id).collect()
}

fn probes(effects: &[Effect]) -> Vec<Notice> {
    let probe = |effect: &Effect| match effect {
        Effect::Publish { notice, payload, .. } if payload == PROBE => Some(*notice),
        _ => None,
    };
    effects.iter().filter_map(probe).collect()
}

fn journaled(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Journal(Journal::TopicRefused { .. }))).count()
}

#[test]
fn each_topic_that_the_broker_refuses_is_named_until_it_takes_something_there() {
    for (notice, name) in [
        (Notice::Event, "vend/event"),
        (Notice::Status, "status"),
        (Notice::Settings, "config/reported"),
        (Notice::Telemetry, "telemetry"),
        (Notice::Answer, "cmd/response"),
    ] {
        let mut rig = Rig::new();
        rig.broker_takes = false;
        rig.on(Input::BrokerDown { reason: "closed".into(), date_refusal: false, thrown_out: false });
        rig.after(10_000);
        let up = rig.on(Input::BrokerUp { refused: vec![] });
        assert_eq!(probes(&up), [Notice::Event, Notice::Answer], "of what is written seldom");
        let told = rig.refuse(notice, &up);
        assert_eq!((rig.config(), journaled(&told)), (Some(format!("the broker refuses {name} ({WHY})")), 1));
        let again = rig.after(30_000);
        assert_eq!(probes(&again), [notice]);
        let told = rig.refuse(notice, &again);
        assert_eq!((journaled(&told), rig.config().is_some()), (0, true), "the journal is told once");
        let again = rig.after(30_000);
        rig.on(Input::Delivered(published(&again, notice)[0]));
        assert_eq!(rig.config(), None);
        assert_eq!(probes(&rig.after(60_000)), []);
    }
}

#[test]
fn what_was_refused_is_told_when_the_broker_takes_it() {
    let mut rig = Rig::new();
    rig.broker_takes = false;
    rig.on(Input::BrokerDown { reason: "closed".into(), date_refusal: false, thrown_out: false });
    let up = rig.on(Input::BrokerUp { refused: vec![] });
    rig.refuse(Notice::Settings, &up);
    let again = rig.after(30_000);
    let told = rig.on(Input::Delivered(published(&again, Notice::Settings)[0]));
    assert_eq!(published(&told, Notice::Settings).len(), 1, "{told:?}");
}

#[test]
fn a_subscription_that_is_refused_is_a_fault_until_the_next_connect() {
    let mut rig = Rig::new();
    let refused = || vec![("qrisd/v1/vm-001/vend/request".to_owned(), WHY.into())];
    assert_eq!(journaled(&rig.on(Input::BrokerUp { refused: refused() })), 1);
    assert_eq!(rig.config().as_deref(), Some("the broker refuses qrisd/v1/vm-001/vend/request (not authorized)"));
    assert_eq!(journaled(&rig.on(Input::BrokerUp { refused: refused() })), 0);
    rig.on(Input::BrokerUp { refused: vec![] });
    assert_eq!(rig.config(), None);
}

fn told(effects: &[Effect]) -> Vec<TopicsTold> {
    let topics = |effect: &Effect| if let Effect::AskOpen(_, who) = effect { Some(who.topics.clone()) } else { None };
    effects.iter().filter_map(topics).collect()
}

#[test]
fn the_backend_hears_which_messages_the_broker_took_and_which_it_refuses() {
    let mut rig = Rig::new();
    rig.tells_topics = true;
    rig.after(40_000);
    rig.settle_open();
    // A fault changes the status.
    rig.on(Input::Screen(ScreenState::Gone("gone".into())));
    let number = u64::try_from(rig.now.boot.0).expect("positive");
    assert_eq!(told(&rig.after(19_000)), []);
    let asked = told(&rig.after(1_000));
    assert_eq!(asked.iter().map(|told| told.last.get(&Topic::Status).copied()).collect::<Vec<_>>(), [Some(number)]);
    rig.settle_open();
    rig.broker_takes = false;
    let changed = rig.on(Input::Screen(ScreenState::Working));
    let asked = told(&rig.refuse(Notice::Status, &changed));
    assert_eq!(asked.iter().map(|told| told.refused.iter().copied().collect()).collect::<Vec<Vec<_>>>(), [[Topic::Status]], "at once");
}

#[test]
fn a_payment_that_no_message_told_is_a_fault_if_the_backend_sends_them() {
    for (at_broker, settled_ago, comes, is_fault) in
        [(true, 2, false, true), (true, 2, true, false), (false, 2, false, false), (true, 3_000, false, false)]
    {
        let mut rig = Rig::new();
        (rig.at_broker, rig.tells_topics) = (at_broker, true);
        rig.after(60_000);
        rig.settle_open();
        rig.requested(1);
        rig.after(10_000);
        rig.answer(1, order(settled(1, settled_ago)));
        if comes {
            rig.pay(&receipt_of(1));
        }
        for _ in 0..50 {
            rig.after(1_000);
            if rig.open().is_some() {
                rig.answer_open(vec![]);
            }
        }
        let wanted = "the broker refuses payment/update (order o-1 was paid, and no message told it)";
        assert_eq!(rig.config().as_deref(), is_fault.then_some(wanted), "{at_broker} {settled_ago} {comes}");
        rig.pay(&receipt_of(1));
        assert_eq!(rig.config(), None, "one came");
    }
}

#[test]
fn a_payment_that_no_message_told_is_found_on_a_busy_machine() {
    let mut rig = Rig::unlimited();
    (rig.at_broker, rig.tells_topics) = (true, true);
    rig.after(60_000);
    rig.settle_open();
    for n in 1..=6 {
        rig.requested(n);
        rig.after(8_000);
        rig.answer(n, order(settled(n, 2)));
        rig.delivered(n);
        rig.answer(n, order(settled(n, 3)));
        if rig.open().is_some() {
            rig.answer_open(vec![]);
        }
    }
    assert_eq!(rig.config().as_deref(), Some("the broker refuses payment/update (order o-1 was paid, and no message told it)"));
}
