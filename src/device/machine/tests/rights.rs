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
    let refused = || vec![("qrisd/v1/vm-001/vend/request".to_owned(), WHY)];
    assert_eq!(journaled(&rig.on(Input::BrokerUp { refused: refused() })), 1);
    assert_eq!(rig.config().as_deref(), Some("the broker refuses qrisd/v1/vm-001/vend/request (not authorized)"));
    assert_eq!(journaled(&rig.on(Input::BrokerUp { refused: refused() })), 0);
    rig.on(Input::BrokerUp { refused: vec![] });
    assert_eq!(rig.config(), None);
}
