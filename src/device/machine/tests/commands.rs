//! Commands that operators have signed.

use super::rig::*;
use qris_core::order::ids::CommandId;
use qris_core::order::keys::{Level, SigningKey};
use qris_core::order::outcome::Outcome;
use qris_core::order::receipt::testing::operator;
use qris_core::order::tries::TryNumber;
use qris_core::wire::command::{Action, Code, Command, Problem, Query, Response, SignedCommand, Stage, VALID_MAX_S};
use qris_host::events::Event as Journal;
use qris_host::trust::ServerTime;

/// What came of a message.
#[derive(Default, Debug)]
struct Came {
    answers: Vec<Response>,
    operations: Vec<Operation>,
    systems: Vec<SystemCall>,
    journal: Vec<Journal>,
}

impl Came {
    fn of(effects: Vec<Effect>) -> Self {
        let mut came = Self::default();
        for effect in effects {
            match effect {
                Effect::AnswerCommand(to, answer) => {
                    assert_eq!((&*to.topic, to.correlation.as_deref()), ("here", Some(&b"me"[..])));
                    came.answers.push(*answer);
                }
                Effect::Operate(_, operation) => came.operations.push(operation),
                Effect::System(call) => came.systems.push(call),
                Effect::Journal(event) => came.journal.push(event),
                _ => {}
            }
        }
        came
    }

    fn stages(&self) -> Vec<Stage> {
        self.answers.iter().map(|answer| answer.state).collect()
    }

    fn rejected(&self) -> Code {
        assert_eq!(self.stages(), [Stage::Rejected]);
        assert_eq!(self.operations, []);
        self.answers[0].error.as_ref().expect("why").code
    }
}

fn door() -> SigningKey {
    operator(Level::Service)
}

fn item() -> ItemId {
    ItemId::new("A1").expect("an item")
}

impl Rig {
    fn asked(&self, jti: &str, command: impl Into<Command>) -> SignedCommand {
        let command = command.into();
        let stream = self.machine.storage.store().map(|store| store.stream().into());
        let exp = self.now.wall.0 / 1000 + 60;
        SignedCommand { aud: self.settings.device.clone(), jti: CommandId::new(jti).expect("an id"), exp, stream, command }
    }

    fn brings_command(&mut self, name: &str, payload: Vec<u8>, retained: bool) -> Came {
        let ack = Ack::numbered(70_000 + self.now.boot.0.unsigned_abs());
        let to = Address { topic: "here".into(), correlation: Some((*b"me").into()) };
        let came = Came::of(self.on(Input::Command { name: name.into(), payload, retained, to, ack }));
        assert!(self.is_acked(ack), "it is stored, or refused");
        self.now.boot = self.now.boot + Span::millis(250);
        came
    }

    fn sends(&mut self, asked: &SignedCommand) -> Came {
        self.brings_command(asked.command.name(), SignedCommand::payload(&asked.jws(&door())), false)
    }

    fn commands(&mut self, jti: &str, command: impl Into<Command>) -> Came {
        let asked = self.asked(jti, command);
        self.sends(&asked)
    }

    fn operated(&mut self, jti: &str, answer: Operated) -> Came {
        Came::of(self.on(Input::Operated(CommandId::new(jti).expect("an id"), answer)))
    }
}

#[test]
fn a_restart_is_carried_out_once_and_its_end_comes_after_it() {
    let mut rig = Rig::new();
    let asked = rig.asked("c-1", Action::Restart {});
    let came = rig.sends(&asked);
    assert_eq!((came.stages(), &came.operations[..]), (vec![Stage::Accepted], &[Operation::Restart][..]));
    let by = door().kid().as_str().to_owned();
    assert!(
        came.journal.iter().any(|event| matches!(event, Journal::CommandTaken { by: told, .. } if **told == *by)),
        "nothing without a name"
    );
    let again = rig.sends(&asked);
    assert_eq!((again.stages(), again.operations.len()), (vec![Stage::Accepted], 0), "it is under way");
    rig.power_cut(true);
    let came = Came::of(rig.on(Input::BrokerUp { refused: vec![] }));
    assert_eq!(came.stages(), [Stage::Done]);
    assert_eq!(came.answers[0].id, Some(asked.jti.clone()));
    // The end is the same for ever, also after another start.
    rig.cut_and_up(false);
    let again = rig.sends(&asked);
    assert_eq!((again.answers, again.operations.len()), (came.answers, 0));
    let another = SignedCommand { command: Action::Reboot {}.into(), ..asked };
    assert_eq!(rig.sends(&another).rejected(), Code::ReusedId);
}

/// Whoever finds an older image gives the database another stream, and the command is in it as begun.
#[test]
fn a_command_of_another_life_of_the_database_is_not_carried_out() {
    for action in [Action::Clear { item: item() }, Action::TestPulse { item: item() }] {
        let mut rig = Rig::new();
        let came = rig.commands("c-1", action);
        assert_eq!(came.operations.len(), 1, "{came:?}");
        // No program has it while it changes.
        let live = rig.settings.store.clone();
        rig.settings.store = live.with_extension("other");
        rig.power_cut(true);
        let database = rusqlite::Connection::open(&live).expect("opened");
        assert_eq!(database.execute("DELETE FROM facts WHERE name = 'stream'", []).expect("done"), 1);
        drop(database);
        rig.settings.store = live;
        rig.power_cut(true);
        let mut effects = rig.on(Input::BrokerUp { refused: vec![] });
        effects.extend(rig.after(1_000));
        let came = Came::of(effects);
        assert_eq!(came.operations, [], "nothing of it is done");
        let end = came.answers.last().expect("an end");
        assert_eq!((end.state, end.error.as_ref().map(|why| why.code)), (Stage::Failed, Some(Code::WrongStream)));
    }
}

#[test]
fn a_reboot_waits_for_the_customer_and_nothing_new_is_sold() {
    let mut rig = Rig::new();
    rig.dispensing(1);
    let came = rig.commands("c-1", Action::Reboot {});
    assert_eq!((came.stages(), came.operations.len()), (vec![Stage::Accepted, Stage::Running], 0));
    assert_eq!(came.answers[1].number, Some(1));
    assert_eq!(Came::of(rig.after(60_000)).stages(), [], "it is told once");
    let call = rig.relay(1);
    assert!(call.is_some(), "the order goes on");
    let effects =
        rig.on(Input::Finished(order_id("o-1"), TryNumber::FIRST, DispenseAnswer::Ended(qris_core::order::outcome::Outcome::Dispensed)));
    let came = Came::of(effects);
    assert_eq!(came.operations, [Operation::Reboot]);
    rig.announced();
    rig.vend(2);
    assert_eq!(rig.announced(), ["refused(updating)"]);
    rig.power_cut(false);
    let came = Came::of(rig.on(Input::BrokerUp { refused: vec![] }));
    assert_eq!((came.stages(), came.operations.len()), (vec![Stage::Done], 0));
    rig.bring_up();
    rig.settle_open();
    rig.requested(3);
}

#[test]
fn a_reboot_that_was_lost_is_ordered_again_and_one_that_never_comes_is_told() {
    let mut rig = Rig::new();
    rig.commands("c-1", Action::Reboot {});
    // The program crashed before the system heard of it.
    rig.power_cut(true);
    rig.on(Input::BrokerUp { refused: vec![] });
    let came = Came::of(rig.after(299_000));
    assert_eq!(came.stages(), []);
    let came = Came::of(rig.after(700_000));
    assert_eq!(came.stages(), [Stage::TimedOut]);
    rig.bring_up();
    rig.settle_open();
    rig.requested(1);
    // The system refuses.
    let mut rig = Rig::new();
    rig.commands("c-2", Action::Reboot {});
    let came = rig.operated("c-2", Operated::Refused(Problem::new(Code::Refused, "polkit says no")));
    assert_eq!(came.stages(), [Stage::Failed]);
    rig.requested(1);
}

#[test]
fn the_wait_for_somebody_else_who_holds_the_machine_has_an_end() {
    let mut rig = Rig::new();
    rig.on(Input::Requested(Request::Hold("apt".into(), Span::secs(3600)), ON_BOARD));
    assert_eq!(rig.commands("c-1", Action::Restart {}).stages(), [Stage::Accepted, Stage::Running]);
    let came = Came::of(rig.after(901_000));
    assert_eq!((came.stages(), came.operations.len()), (vec![Stage::TimedOut], 0));
    assert_eq!(came.answers[0].error.as_ref().map(|why| why.code), Some(Code::Updating));
}

#[test]
fn the_wait_has_an_end_after_a_start_in_the_middle_too() {
    let mut rig = Rig::new();
    let version = |rig: &Rig, version: i32| {
        let connection = rusqlite::Connection::open(&rig.settings.store).expect("opens");
        connection.pragma_update(None, "user_version", version).expect("written");
    };
    assert_eq!(rig.commands("c-1", Action::Reboot {}).operations, [Operation::Reboot]);
    rig.operated("c-1", Operated::NoAnswer);
    // Its database opens late, and somebody else is faster.
    version(&rig, 99);
    rig.power_cut(true);
    rig.on(Input::BrokerUp { refused: vec![] });
    rig.on(Input::Requested(Request::Hold("apt".into(), Span::secs(3600)), ON_BOARD));
    version(&rig, crate::store::database::SCHEMA.version());
    let came = Came::of(rig.after(5_000));
    assert_eq!((came.stages(), came.operations.len()), (vec![Stage::Running], 0), "{came:?}");
    let came = Came::of(rig.after(901_000));
    assert_eq!((came.stages(), came.operations.len()), (vec![Stage::TimedOut], 0), "{came:?}");
    assert_eq!(came.answers[0].error.as_ref().map(|why| why.code), Some(Code::Updating));
}

#[test]
fn a_request_is_cancelled_and_an_unknown_one_is_not() {
    let mut rig = Rig::new();
    rig.offered(1);
    let came = rig.commands("c-1", Action::Cancel { request_id: request_id("r-1") });
    assert_eq!(came.stages(), [Stage::Accepted, Stage::Done]);
    assert_eq!(came.answers[1].result.as_ref().expect("a result")["state"], "cancelling");
    let came = rig.commands("c-2", Action::Cancel { request_id: request_id("r-9") });
    assert_eq!(came.stages(), [Stage::Accepted, Stage::Failed]);
    assert_eq!(came.answers[1].error.as_ref().map(|why| why.code), Some(Code::UnknownRequest));
}

#[test]
fn the_relay_is_asked_until_it_answers_also_after_a_crash() {
    let mut rig = Rig::new();
    let asked = rig.asked("c-1", Action::TestPulse { item: item() });
    let test = vec![Operation::Test(asked.jws(&door()).into())];
    assert_eq!(rig.sends(&asked).operations, test);
    rig.vend(1);
    assert_eq!(rig.announced(), ["refused(updating)"], "nothing is sold in the middle of a test");
    assert_eq!(rig.operated("c-1", Operated::NoAnswer).operations, []);
    assert_eq!(Came::of(rig.after(2_000)).operations, test);
    rig.power_cut(true);
    let came = Came::of(rig.on(Input::BrokerUp { refused: vec![] }));
    assert_eq!(came.stages(), [], "it has no end yet");
    let end = Operated::Done(serde_json::json!({ "outcome": "dispensed" }));
    assert_eq!(rig.operated("c-1", end.clone()).stages(), [Stage::Done]);
    assert_eq!(rig.operated("c-1", end).stages(), [], "one end");
    rig.bring_up();
    rig.settle_open();
    rig.requested(2);
    // A line is cleared beside a customer.
    let came = rig.commands("c-2", Action::Clear { item: item() });
    assert!(matches!(came.operations[..], [Operation::Clear(_)]));
}

#[test]
fn a_test_that_goes_on_after_a_start_still_holds_the_machine() {
    let mut rig = Rig::new();
    rig.commands("c-1", Action::TestPulse { item: item() });
    rig.power_cut(true);
    rig.bring_up();
    rig.settle_open();
    rig.vend(1);
    assert_eq!(rig.announced(), ["refused(updating)"], "the relay may drive the line at any moment");
}

#[test]
fn what_cannot_be_believed_changes_nothing_and_is_told() {
    let mut rig = Rig::new();
    let good = rig.asked("c-1", Action::Restart {});
    let jws = |key: &SigningKey, asked: &SignedCommand| SignedCommand::payload(&asked.jws(key));
    assert_eq!(rig.brings_command("restart", jws(&operator(Level::View), &good), false).rejected(), Code::Level);
    assert_eq!(rig.brings_command("restart", jws(&SigningKey::from_seed([9; 32]), &good), false).rejected(), Code::UnknownKey);
    assert_eq!(rig.brings_command("restart", jws(&door(), &good), true).rejected(), Code::Retained);
    assert_eq!(rig.brings_command("reboot", jws(&door(), &good), false).rejected(), Code::Malformed, "on another topic");
    rig.after(1_000);
    assert_eq!(rig.brings_command("format", jws(&door(), &good), false).rejected(), Code::UnknownRequest);
    assert_eq!(rig.brings_command("restart", b"{\"signed\":1}".to_vec(), false).rejected(), Code::Malformed);
    assert_eq!(rig.brings_command("restart", vec![b' '; 9_000], false).rejected(), Code::TooLarge);
    let late = SignedCommand { exp: rig.now.wall.0 / 1000, ..good.clone() };
    assert_eq!(rig.sends(&late).rejected(), Code::Expired);
    rig.after(1_000);
    let early = SignedCommand { exp: rig.now.wall.0 / 1000 + VALID_MAX_S + 60, ..good.clone() };
    assert_eq!(rig.sends(&early).rejected(), Code::Expired);
    let other = SignedCommand { stream: Some("another".into()), ..good.clone() };
    assert_eq!(rig.sends(&other).rejected(), Code::WrongStream);
    rig.after(1_000);
    // A clock that nobody trusts.
    rig.now.wall = qris_core::order::time::Wall(5);
    assert_eq!(rig.sends(&SignedCommand { stream: None, ..good.clone() }).rejected(), Code::Clock);
    assert_eq!(rig.sends(&good).operations, [Operation::Restart], "for the present stream");
}

#[test]
fn a_flood_is_refused_without_a_look_and_then_without_an_answer() {
    let mut rig = Rig::new();
    let to = Address { topic: "here".into(), correlation: Some((*b"me").into()) };
    let mut codes = Vec::new();
    for n in 0..200 {
        let (ack, payload) = (Ack::numbered(80_000 + n), b"{}".to_vec());
        let came = Came::of(rig.on(Input::Command { name: "restart".into(), payload, retained: false, to: to.clone(), ack }));
        assert!(rig.is_acked(ack));
        codes.extend(came.answers.into_iter().map(|answer| answer.error.expect("why").code));
    }
    assert_eq!(codes.iter().filter(|code| **code == Code::Malformed).count(), 5);
    assert_eq!(codes.len(), 20);
}

#[test]
fn commands_are_remembered_for_as_long_as_they_are_valid_and_not_longer() {
    let mut rig = Rig::new();
    for n in 0..64 {
        assert_eq!(rig.commands(&format!("c-{n}"), Action::Cancel { request_id: request_id("r-9") }).stages().len(), 2);
    }
    assert_eq!(rig.commands("c-64", Action::Restart {}).rejected(), Code::RateLimited);
    rig.after(61_000);
    assert_eq!(rig.commands("c-65", Action::Restart {}).stages(), [Stage::Accepted]);
    let stored = rig.machine.storage.store().expect("open").commands().expect("read");
    assert_eq!(stored.len(), 1, "the others are forgotten");
}

/// What the journal has about the ends of commands.
fn ends(journal: &[Journal]) -> Vec<(String, String, String)> {
    let end = |event: &Journal| match event {
        Journal::CommandEnded { command, id, by: _, result } | Journal::QuestionAnswered { command, id, by: _, result } => {
            Some((command.to_string(), id.to_string(), result.to_string()))
        }
        _ => None,
    };
    journal.iter().filter_map(end).collect()
}

#[test]
fn a_command_whose_record_is_damaged_ends_as_failed_and_is_not_carried_out_again() {
    let topic = "qrisd/v1/vm-001/cmd/response";
    for (answer_to, damage, is_told) in
        [(topic, ("restart", "restarT"), true), (topic, ("{", "["), false), ("qrisd/v1/vm-002/cmd/response", ("c-1", "c-2"), false)]
    {
        let mut rig = Rig::new();
        let asked = rig.asked("c-1", Action::Restart {});
        let to = Address { topic: answer_to.into(), correlation: Some((*b"me").into()) };
        let payload = SignedCommand::payload(&asked.jws(&door()));
        rig.on(Input::Command { name: "restart".into(), payload, retained: false, to: to.clone(), ack: Ack::numbered(9) });
        let store = rig.machine.storage.store_mut().expect("open");
        let (id, text) = store.commands().expect("read").remove(0);
        let damaged = text.replacen(damage.0, damage.1, 1);
        assert_ne!(damaged, text);
        store.keep_command(&id, &damaged).expect("written");
        let loaded = {
            rig.power_cut(true);
            rig.on(Input::BrokerUp { refused: vec![] })
        };
        let answers: Vec<_> =
            loaded.iter().filter_map(|effect| if let Effect::AnswerCommand(to, end) = effect { Some((to, end)) } else { None }).collect();
        assert_eq!(answers.len(), usize::from(is_told), "{damage:?}: {answers:?}");
        assert!(answers.iter().all(|(told, end)| **told == to && end.state == Stage::Failed));
        rig.power_cut(true);
        assert!(Came::of(rig.on(Input::BrokerUp { refused: vec![] })).answers.is_empty(), "it is told once");
        // It is known again when it comes again.
        let again = rig.sends(&asked);
        assert_eq!((again.stages(), again.operations.len()), (vec![Stage::Failed], 0));
        assert_eq!(again.answers[0].error.as_ref().expect("why").code, Code::Store);
        rig.cut_and_up(false);
        assert_eq!(rig.sends(&asked).stages(), [Stage::Failed], "for ever");
        assert_eq!(rig.sends(&SignedCommand { command: Action::Reboot {}.into(), ..asked }).rejected(), Code::ReusedId);
    }
}

#[test]
fn a_damaged_record_is_journalled_once_and_forgotten_when_its_time_must_be_over() {
    let mut rig = Rig::new();
    let asked = rig.asked("c-1", Action::Restart {});
    rig.sends(&asked);
    rig.machine.storage.store_mut().expect("open").keep_command(&CommandId::new("c-1").expect("an id"), "nonsense").expect("written");
    for told in [1, 0] {
        let elsewhere = Settings { store: rig.directory.path().join("none.db"), ..rig.settings.clone() };
        drop(std::mem::replace(&mut rig.machine, Machine::load(elsewhere, rig.now).0));
        let (machine, effects) = Machine::load(rig.settings.clone(), rig.now);
        rig.machine = machine;
        let ended = ends(&Came::of(effects).journal);
        assert_eq!(ended.len(), told, "{ended:?}");
        assert!(ended.iter().all(|(_, id, why)| id == "c-1" && why.starts_with("failed: its record")));
    }
    rig.bring_up();
    let rows = |rig: &Rig| {
        rig.machine.storage.store().expect("open").commands().expect("read").iter().filter(|(id, _)| id.as_str() == "c-1").count()
    };
    rig.after((VALID_MAX_S - 10) * 1000);
    rig.commands("c-2", Action::Cancel { request_id: request_id("r-9") });
    assert_eq!(rows(&rig), 1);
    rig.after(20_000);
    rig.commands("c-3", Action::Cancel { request_id: request_id("r-9") });
    assert_eq!(rows(&rig), 0);
    assert_eq!(rig.sends(&asked).rejected(), Code::Expired);
}

#[test]
fn what_only_reads_is_answered_while_the_database_is_not_open() {
    let mut rig = Rig::new();
    let connection = rusqlite::Connection::open(&rig.settings.store).expect("opens");
    connection.pragma_update(None, "user_version", 99).expect("written");
    drop(connection);
    rig.cut_and_up(false);
    let came = rig.commands("c-1", Query::Status {});
    let status = came.answers[0].result.as_ref().expect("a result");
    assert_eq!((came.stages(), &status["faults"][0]["code"]), (vec![Stage::Done], &"newer_database".into()));
    // Who asks may know the stream of before.
    let named = SignedCommand { stream: Some("before".into()), ..rig.asked("c-2", Query::ConfigGet {}) };
    assert_eq!(rig.sends(&named).stages(), [Stage::Done]);
    let orders = rig.commands("c-3", Query::Orders { newest: 5 });
    assert_eq!(orders.stages(), [Stage::Failed], "the orders are in the database");
    rig.after(2_000);
    for (n, command) in [(4, Query::Diag {}), (5, Query::Vitals {})] {
        let known = rig.looks(&format!("c-{n}"), &command).expect("asked of the computer");
        if command == (Query::Diag {}) {
            assert_eq!((&known["database"], &known["orders"]), (&"the database is not open".into(), &"the database is not open".into()));
            assert_eq!(known["status"]["faults"][0]["code"], "newer_database");
        }
        rig.looked(&format!("c-{n}"));
    }
    assert_eq!(rig.commands("c-6", Action::Restart {}).rejected(), Code::Store, "this one could not be remembered");
    rig.after(2_000);
    // Somebody may have kept an old one: neither a clock nor a stream tells.
    rig.now.wall = qris_core::order::time::Wall(5);
    assert_eq!(rig.sends(&named).rejected(), Code::Clock);
    assert_eq!(rig.sends(&SignedCommand { stream: None, ..named }).rejected(), Code::Clock);
}

impl Rig {
    /// Sends a command that asks the computer. Answers with what the machine knows, if the computer is asked.
    fn looks(&mut self, jti: &str, query: &Query) -> Option<serde_json::Value> {
        let asked = self.asked(jti, query.clone());
        self.looks_from("here", &asked)
    }

    fn looks_from(&mut self, topic: &str, asked: &SignedCommand) -> Option<serde_json::Value> {
        let (to, payload) = (Address { topic: topic.into(), correlation: None }, SignedCommand::payload(&asked.jws(&door())));
        let ack = Ack::numbered(95_000);
        let effects = self.on(Input::Command { name: asked.command.name().into(), payload, retained: false, to, ack });
        self.after(250);
        effects.into_iter().find_map(|effect| if let Effect::Read(.., known) = effect { Some(known) } else { None })
    }

    /// The computer answers. Tells where the end went, and what the journal has of it.
    fn looked(&mut self, jti: &str) -> (Vec<String>, Vec<(String, String, String)>) {
        let id = CommandId::new(jti).expect("an id");
        let end = Box::new(Response::done(Some(id.clone()), serde_json::json!({})));
        let effects = self.on(Input::Read(id, end));
        let told =
            effects.iter().filter_map(|effect| if let Effect::AnswerCommand(to, _) = effect { Some(to.topic.to_string()) } else { None });
        let told = told.collect();
        let journal: Vec<_> =
            effects.into_iter().filter_map(|effect| if let Effect::Journal(event) = effect { Some(event) } else { None }).collect();
        (told, ends(&journal))
    }
}

#[test]
fn the_end_of_what_only_reads_is_journalled() {
    let mut rig = Rig::new();
    let came = rig.commands("c-1", Query::Status {});
    assert_eq!(ends(&came.journal), [("status".into(), "c-1".into(), "done".into())]);
    let answered =
        came.journal.iter().filter(|event| matches!(event, Journal::QuestionAnswered { by, .. } if **by == *door().kid().as_str()));
    assert_eq!(answered.count(), 1);
    rig.looks("c-2", &Query::Vitals {}).expect("asked");
    assert_eq!(rig.looked("c-2"), (vec!["here".into()], vec![("vitals".into(), "c-2".into(), "done".into())]));
    assert_eq!(rig.looked("c-2"), (vec![], vec![]), "an answer that nobody waits for");
}

#[test]
fn a_question_that_comes_again_while_it_is_answered_is_not_asked_twice() {
    let mut rig = Rig::new();
    let asked = rig.asked("c-1", Query::Diag {});
    assert!(rig.looks_from("here", &asked).is_some());
    for topic in ["here", "b", "c", "d", "b", "one too many"] {
        assert_eq!(rig.looks_from(topic, &asked), None, "{topic}");
    }
    assert_eq!(rig.looks("c-2", &Query::Vitals {}), None, "one at a time");
    rig.after(1_000);
    assert_eq!(rig.commands("c-2", Query::Vitals {}).rejected(), Code::RateLimited);
    assert_eq!(rig.sends(&SignedCommand { command: Query::Vitals {}.into(), ..asked.clone() }).rejected(), Code::ReusedId);
    assert_eq!(rig.looked("c-1").0, ["here", "b", "c", "d"], "one end for each who has asked");
    assert!(rig.looks_from("here", &asked).is_some(), "then it is read anew");
    // An answer that never comes blocks nobody for ever.
    assert_eq!(rig.looks("c-3", &Query::Vitals {}), None);
    rig.after(180_000);
    assert!(rig.looks("c-4", &Query::Vitals {}).is_some());
    assert_eq!(rig.looked("c-1"), (vec![], vec![]));
}

#[test]
fn what_only_reads_is_answered_at_once() {
    let mut rig = Rig::new();
    rig.offered(1);
    let came = rig.commands("c-1", Query::Status {});
    let status = came.answers[0].result.as_ref().expect("a result");
    assert_eq!((came.stages(), &status["busy"]), (vec![Stage::Done], &true.into()));
    assert_eq!(status["commands"].as_array().expect("a list").len(), Command::NAMES.len());
    let came = rig.commands("c-2", Query::Orders { newest: 5 });
    assert_eq!(came.answers[0].result.as_ref().expect("a result")["orders"][0]["request_id"], "r-1");
    let came = rig.commands("c-3", Query::ConfigGet {});
    assert_eq!(came.answers[0].result.as_ref().expect("a result")["reported"]["version"], 0);
    let to = Address { topic: "here".into(), correlation: None };
    rig.after(2_000);
    let asked = rig.asked("c-4", Query::Vitals {});
    let payload = SignedCommand::payload(&asked.jws(&door()));
    let effects = rig.on(Input::Command { name: "vitals".into(), payload, retained: false, to, ack: Ack::numbered(99_999) });
    let known = effects.iter().find_map(|effect| match effect {
        Effect::Read(_, _, Query::Vitals {}, known) => Some(known),
        _ => None,
    });
    assert_eq!(known.expect("asked of the computer")["vitals"]["booted"], "unknown");
}

impl Rig {
    /// RAUC says which system runs.
    fn runs(&mut self, slot: &str) {
        let system = System { slot: slot.into(), installed: "2026-11-24".into() };
        self.on(Input::System(SystemAnswer::Runs { system, is_installing: false }));
    }

    /// An update, as far as RAUC is asked to install it.
    fn updates(&mut self) {
        let came = self.commands("c-1", Action::Update { bundle: "/image.raucb".into() });
        assert_eq!((came.stages(), &came.operations[..]), (vec![Stage::Accepted], &[Operation::TellSlot { may_be_late: false }][..]));
        let install = Operation::Install { bundle: "/image.raucb".into(), may_join: false };
        assert_eq!(self.operated("c-1", Operated::Slot("rootfs.0".into())).operations, [install]);
    }

    /// RAUC has installed the bundle, and the computer goes down and comes up again; this slot runs.
    fn installed_and_started(&mut self, slot: &str) {
        assert_eq!(self.operated("c-1", Operated::Installed).operations, [Operation::Reboot]);
        self.starts_as(slot);
    }

    fn starts_as(&mut self, slot: &str) {
        self.power_cut(false);
        let asked = Came::of(self.on(Input::Woken));
        assert_eq!(asked.operations, [], "it was asked when it started");
        let came = self.operated("c-1", Operated::Slot(slot.into()));
        assert_eq!(came.operations, [], "nothing is proven yet");
        self.runs(slot);
    }
}

#[test]
fn a_system_that_was_installed_is_called_good_when_it_has_proven_itself() {
    let mut rig = Rig::new();
    rig.updates();
    let came = rig.operated("c-1", Operated::Percent(40));
    assert_eq!((came.answers[0].number, came.answers[0].message.as_deref()), (Some(1), Some("40 % are installed")));
    rig.vend(1);
    assert_eq!(rig.announced(), ["refused(updating)"]);
    rig.installed_and_started("rootfs.1");
    rig.on(Input::Screen(ScreenState::Working));
    rig.on(Input::RelayUp(rig.facts.clone()));
    let came = Came::of(rig.on(Input::BrokerUp { refused: vec![] }));
    assert_eq!(came.operations, [], "the backend has not answered");
    let came = Came::of(rig.answer_open(vec![]));
    assert_eq!((came.systems, came.answers), (vec![SystemCall::MarkGood], vec![]));
    let came = Came::of(rig.on(Input::System(SystemAnswer::Good)));
    assert_eq!(came.stages(), [Stage::Done]);
    assert_eq!(came.answers[0].result.as_ref().expect("a result")["slot"], "rootfs.1");
    rig.settle_open();
    rig.requested(2);
}

#[test]
fn a_system_that_does_not_prove_itself_is_started_again_until_the_bootloader_goes_back() {
    // All is well but the screen.
    let mut rig = Rig::new();
    rig.updates();
    rig.installed_and_started("rootfs.1");
    rig.on(Input::RelayUp(rig.facts.clone()));
    rig.on(Input::BrokerUp { refused: vec![] });
    rig.on(Input::Screen(ScreenState::Gone("no device".into())));
    rig.settle_open();
    let came = Came::of(rig.after(601_000));
    assert_eq!(came.operations, [Operation::Reboot]);
    assert!(came.journal.iter().any(|event| matches!(event, Journal::UpdateUnproven { .. })));
    rig.starts_as("rootfs.1");
    assert_eq!(Came::of(rig.after(601_000)).operations, [Operation::Reboot]);
    // The bootloader has had enough.
    rig.power_cut(false);
    rig.operated("c-1", Operated::Slot("rootfs.0".into()));
    let came = Came::of(rig.on(Input::BrokerUp { refused: vec![] }));
    assert_eq!(came.stages(), [Stage::Failed]);
    assert_eq!(came.answers[0].error.as_ref().map(|why| &*why.message), Some("the bootloader went back to rootfs.0"));
    rig.bring_up();
    rig.settle_open();
    rig.requested(1);
}

#[test]
fn a_system_whose_rauc_does_not_answer_is_not_kept_for_ever() {
    // It does not even say which slot runs.
    let mut rig = Rig::new();
    rig.updates();
    assert_eq!(rig.operated("c-1", Operated::Installed).operations, [Operation::Reboot]);
    for _ in 0..3 {
        rig.power_cut(false);
        rig.on(Input::Woken);
        rig.operated("c-1", Operated::NoAnswer);
        assert_eq!(Came::of(rig.after(601_000)).operations, [Operation::Reboot]);
    }
    rig.power_cut(false);
    rig.operated("c-1", Operated::NoAnswer);
    rig.on(Input::BrokerUp { refused: vec![] });
    assert_eq!(Came::of(rig.after(601_000)).stages(), [Stage::Failed], "the bootloader never goes back");
    // It proves itself, and RAUC never says that it is marked.
    let mut rig = Rig::new();
    rig.updates();
    rig.installed_and_started("rootfs.1");
    rig.on(Input::Screen(ScreenState::Working));
    rig.on(Input::RelayUp(rig.facts.clone()));
    rig.on(Input::BrokerUp { refused: vec![] });
    assert_eq!(Came::of(rig.answer_open(vec![])).systems, [SystemCall::MarkGood]);
    assert_eq!(Came::of(rig.on(Input::System(SystemAnswer::NoAnswer))).systems, []);
    assert_eq!(Came::of(rig.after(10_000)).systems, [SystemCall::MarkGood], "it is asked once more");
    assert_eq!(Came::of(rig.after(601_000)).operations, [Operation::Reboot]);
}

#[test]
fn an_update_has_its_time_for_as_long_as_it_comes_further() {
    let mut rig = Rig::new();
    rig.updates();
    for percent in [20, 40, 60] {
        assert_eq!(Came::of(rig.after(3_000_000)).stages(), []);
        rig.operated("c-1", Operated::Percent(percent));
    }
    rig.vend(1);
    assert_eq!(rig.announced(), ["refused(updating)"]);
    let came = Came::of(rig.after(3_600_000));
    assert_eq!((came.stages(), came.systems), (vec![Stage::TimedOut], vec![SystemCall::AwaitIdle]));
    rig.vend(2);
    assert_eq!(rig.announced(), ["refused(updating)"], "it is given up, and RAUC may go on");
    rig.on(Input::System(SystemAnswer::Idle));
    rig.requested(3);
}

#[test]
fn an_update_that_fails_or_is_cut_off_leaves_the_machine_selling() {
    let mut rig = Rig::new();
    rig.updates();
    let came = rig.operated("c-1", Operated::Refused(Problem::new(Code::Refused, "RAUC: signature verification failed")));
    assert_eq!((came.stages(), came.systems), (vec![Stage::Failed], vec![SystemCall::AwaitIdle]));
    rig.on(Input::System(SystemAnswer::Idle));
    rig.requested(1);
    let mut rig = Rig::new();
    rig.updates();
    rig.power_cut(false);
    rig.operated("c-1", Operated::Slot("rootfs.0".into()));
    let came = Came::of(rig.on(Input::BrokerUp { refused: vec![] }));
    assert_eq!(came.stages(), [Stage::Failed]);
    // Only qrisd began anew: RAUC goes on, and is asked how far it is.
    let mut rig = Rig::new();
    rig.updates();
    rig.power_cut(true);
    let came = Came::of(rig.on(Input::BrokerUp { refused: vec![] }));
    assert_eq!(came.stages(), []);
    assert_eq!(rig.operated("c-1", Operated::Installed).operations, [Operation::Reboot]);
}

#[test]
fn a_customer_who_is_there_when_an_image_is_installed_keeps_the_computer_up_and_nothing_spins() {
    let mut rig = Rig::new();
    rig.updates();
    // The program began anew, and a customer came before it asked again.
    rig.power_cut(true);
    rig.bring_up();
    rig.settle_open();
    let asked = rig.operated("c-1", Operated::NoAnswer);
    assert_eq!(asked.operations, []);
    rig.vend(1);
    assert_eq!(rig.announced(), ["refused(updating)"], "it is held for as long as it takes");
    assert_eq!(Came::of(rig.after(2_000)).operations, [Operation::Install { bundle: "/image.raucb".into(), may_join: true }]);
    assert_eq!(rig.operated("c-1", Operated::Installed).operations, [Operation::Reboot]);
    // Nobody reboots it, and that is not the end of it.
    assert_eq!(rig.operated("c-1", Operated::NoAnswer).operations, []);
    let again = Came::of(rig.after(2_000));
    assert_eq!((again.operations, again.answers.len()), (vec![Operation::Reboot], 0));
    for _ in 0..3 {
        let again = Came::of(rig.after(301_000));
        assert_eq!((again.stages(), again.operations), (vec![], vec![Operation::Reboot]));
        rig.vend(2);
        assert_eq!(rig.announced(), ["refused(updating)"]);
    }
    // A machine that cannot be restarted sells on. Whoever reboots it next starts the new system.
    assert_eq!(Came::of(rig.after(301_000)).stages(), [Stage::TimedOut]);
    rig.requested(3);
}

/// Another image would overwrite the last good system.
#[test]
fn an_update_waits_for_a_new_system_to_prove_itself() {
    let mut rig = Rig::new();
    rig.runs("rootfs.0");
    rig.on(Input::System(SystemAnswer::Good));
    // RAUC has installed a system by itself.
    rig.power_cut(false);
    rig.runs("rootfs.1");
    rig.on(Input::BrokerUp { refused: vec![] });
    let update = || Action::Update { bundle: "/image.raucb".into() };
    let came = rig.commands("c-1", update());
    assert_eq!((came.stages(), came.operations.len()), (vec![Stage::Accepted, Stage::Running], 0));
    rig.bring_up();
    rig.settle_open();
    rig.dispensing(1);
    assert_eq!(Came::of(rig.on(Input::System(SystemAnswer::Good))).operations, [], "a customer is there");
    let dispensed = RelayAnswer::Dispense(DispenseAnswer::Ended(Outcome::Dispensed));
    assert_eq!(Came::of(rig.answer_relay(1, dispensed)).operations, [Operation::TellSlot { may_be_late: false }]);
    // It was begun under another system.
    rig.power_cut(false);
    rig.runs("rootfs.0");
    assert_eq!(Came::of(rig.on(Input::BrokerUp { refused: vec![] })).stages(), [Stage::Failed]);
    // It does not prove itself, and is started again all the same.
    rig.on(Input::BrokerDown { reason: "no route".into(), date_refusal: false, thrown_out: false });
    let came = Came::of(rig.after(601_000));
    assert_eq!(came.systems, [SystemCall::Reboot]);
}

#[test]
fn one_command_waits_for_the_other() {
    let mut rig = Rig::new();
    rig.updates();
    let came = rig.commands("c-2", Action::Reboot {});
    assert_eq!((came.stages(), came.operations.len()), (vec![Stage::Accepted, Stage::Running], 0));
    let came = rig.operated("c-1", Operated::Refused(Problem::new(Code::Refused, "RAUC: no")));
    assert_eq!((came.stages(), came.operations), (vec![Stage::Failed], vec![Operation::Reboot]));
}

#[test]
fn a_repeated_command_takes_nobodys_answer_away() {
    let mut rig = Rig::new();
    let asked = rig.asked("c-1", Action::TestPulse { item: item() });
    rig.sends(&asked);
    let (to, ack) = (Address { topic: "elsewhere".into(), correlation: None }, Ack::numbered(91_000));
    let payload = SignedCommand::payload(&asked.jws(&door()));
    let effects = rig.on(Input::Command { name: "test-pulse".into(), payload, retained: false, to: to.clone(), ack });
    assert!(effects.iter().any(|effect| matches!(effect, Effect::AnswerCommand(told, _) if *told == to)));
    let end = rig.operated("c-1", Operated::Done(serde_json::json!({ "outcome": "dispensed" })));
    assert_eq!(end.stages(), [Stage::Done], "to the one who has sent it");
}

#[test]
fn what_was_forgotten_is_not_carried_out_again_whatever_the_clock_says() {
    let mut rig = Rig::new();
    let asked = rig.asked("c-1", Action::Cancel { request_id: request_id("r-9") });
    rig.sends(&asked);
    rig.after(61_000);
    rig.commands("c-2", Action::Cancel { request_id: request_id("r-9") });
    rig.now.wall = qris_core::order::time::Wall(rig.now.wall.0 - 100_000);
    assert_eq!(rig.sends(&asked).rejected(), Code::Expired);
    rig.cut_and_up(false);
    rig.now.wall = qris_core::order::time::Wall(5);
    assert_eq!(rig.sends(&asked).rejected(), Code::Expired, "for this stream, by a clock that nobody trusts");
}

#[test]
fn a_machine_that_was_off_for_long_does_not_begin_what_nobody_waits_for() {
    let mut rig = Rig::new();
    rig.on(Input::Requested(Request::Hold("apt".into(), Span::secs(3600)), ON_BOARD));
    rig.commands("c-1", Action::Reboot {});
    rig.now.wall = qris_core::order::time::Wall(rig.now.wall.0 + 7 * 86_400_000);
    rig.power_cut(false);
    let came = Came::of(rig.on(Input::BrokerUp { refused: vec![] }));
    assert_eq!((came.stages(), came.operations.len()), (vec![Stage::TimedOut], 0));
}

/// It was refused, and nothing was carried out. The clock goes back, the program and the computer start anew.
#[test]
fn what_was_refused_because_it_was_over_is_not_carried_out_whatever_the_clock_says() {
    for command in [Command::from(Action::Restart {}), Query::Status {}.into()] {
        let mut rig = Rig::new();
        let asked = rig.asked("c-1", command);
        rig.after(61_000);
        assert_eq!(rig.sends(&asked).rejected(), Code::Expired);
        let over = rig.now.wall;
        for (wall, same_boot) in [(Wall(over.0 - 50_000), true), (Wall(over.0 - 50_000), false), (Wall(5), false)] {
            rig.now.wall = wall;
            assert_eq!(rig.sends(&asked).rejected(), Code::Expired, "{wall:?}");
            rig.cut_and_up(same_boot);
            rig.after(1_000);
            assert_eq!(rig.sends(&asked).rejected(), Code::Expired, "{wall:?}, and it started anew");
        }
    }
}

#[test]
fn a_clock_behind_the_last_trusted_time_is_not_trusted() {
    let mut rig = Rig::new();
    let right = rig.now.wall;
    let told = ServerTime { date: Wall(right.0 + 86_400_000), is_good: true };
    rig.now.wall = told.date;
    rig.on(Input::Time(told));
    let held_back = SignedCommand { exp: told.date.0 / 1000, ..rig.asked("c-1", Action::Restart {}) };
    let fresh = SignedCommand { exp: told.date.0 / 1000 + 60, ..rig.asked("c-2", Action::Restart {}) };
    rig.now.wall = right;
    rig.cut_and_up(false);
    assert_eq!(rig.sends(&held_back).rejected(), Code::Expired);
    assert_eq!(rig.sends(&SignedCommand { stream: None, ..fresh.clone() }).rejected(), Code::Clock);
    assert_eq!(rig.sends(&fresh).stages(), [Stage::Accepted], "for the present stream");
}

/// The clocks of machine and desk were both at 2050.
#[test]
fn commands_of_a_clock_that_was_ahead_stop_no_others_for_good() {
    let mut rig = Rig::new();
    let right = Wall(10 * 86_400_000);
    rig.now.wall = Wall(2_524_608_000_000);
    let asked = rig.asked("c-1", Action::Restart {});
    rig.after(61_000);
    assert_eq!(rig.sends(&asked).rejected(), Code::Expired);
    rig.now.wall = right;
    rig.after(1_000);
    assert_eq!(rig.commands("c-2", Action::Restart {}).rejected(), Code::Expired);
    rig.on(Input::Time(ServerTime { date: rig.now.wall, is_good: true }));
    rig.after(VALID_MAX_S * 1000);
    assert_eq!(rig.commands("c-3", Action::Restart {}).stages(), [Stage::Accepted]);
}

#[test]
fn a_count_from_afar_waits_for_what_the_relay_has_driven() {
    for is_told in [true, false] {
        let mut rig = Rig::holding(5);
        rig.power_cut(true);
        rig.on(Input::BrokerUp { refused: vec![] });
        let change = qris_core::order::stock::Change::Count;
        let came = rig.commands("c-1", Action::Stock { change, item: item(), n: Some(3) });
        assert_eq!((came.stages(), rig.count()), (vec![Stage::Accepted, Stage::Running], Some(5)));
        assert_eq!(came.answers[1].message.as_deref(), Some("the relay service has not told yet what it has driven"));
        let came = if is_told { rig.on(Input::RelayUp(rig.facts.clone())) } else { rig.after(2_000) };
        assert_eq!((Came::of(came).stages(), rig.count()), (vec![Stage::Done], Some(3)), "told: {is_told}");
    }
}
