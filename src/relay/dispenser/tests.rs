//! The promises of the ledger, on real SQLite files.

mod chutes;
mod operator;
mod tries;

use super::*;
use qris_core::order::ids::{RequestId, TransactionId};
use qris_core::order::keys::{Level, SigningKey, jwk_set};
use qris_core::order::ledger::OPEN_TICKETS_MAX;
use qris_core::order::receipt::Claims;
use qris_core::order::receipt::testing::{ISSUER, claims, key};
use qris_core::order::tries::TryNumber;
use qris_core::wire::relay::RelayFault;
use qris_host::config::Source;
use qris_host::random;
use rusqlite::Connection;
use std::path::PathBuf;

struct Rig {
    directory: tempfile::TempDir,
    config: Config,
    dispenser: Dispenser,
    drawn: u8,
}

fn begin(config: &Config) -> Dispenser {
    Dispenser::new(config, Box::new(random::fill))
}

impl Rig {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let keys = directory.path().join("keys.json");
        let [manage, service] = [Level::Manage, Level::Service].map(qris_core::order::receipt::testing::operator);
        std::fs::write(
            &keys,
            jwk_set(&[key().to_public_jwk(ISSUER), service.to_operator_jwk(Level::Service), manage.to_operator_jwk(Level::Manage)]),
        )
        .expect("written");
        let text = format!(
            r#"
            device.id = "vm-001"
            dbus.bus = "session"
            receipts.keys_file = "{keys}"
            ledger.path = "{ledger}"
            line = [
                {{ name = "tray 1", items = ["A1", "A2"], min_amount = 5000, chip = "sim:/tmp/x", pulse_ms = 500 }},
                {{ name = "gate", items = ["exit"], min_amount = 2000, chip = "sim:/tmp/x", pulse_ms = 500, block_on_uncertain = true }},
                {{ name = "coins", items = ["*"], chip = "sim:/tmp/x", rupiah_per_pulse = 1000, on_ms = 50, off_ms = 50 }},
            ]"#,
            keys = keys.display(),
            ledger = directory.path().join("ledger.db").display(),
        );
        let config = Config::from_source(&Source::from_text("relay.toml", text)).expect("good");
        let dispenser = begin(&config);
        Self { directory, config, dispenser, drawn: 0 }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("ledger.db")
    }

    /// A kill and a start.
    fn restart(&mut self) {
        let away = Config { ledger: "/nowhere/at/all.db".into(), ..clone(&self.config) };
        self.dispenser = begin(&away);
        self.dispenser = begin(&self.config);
    }

    fn prepare(&mut self, item: &str, amount: i64) -> Ticket {
        self.try_prepare(item, amount).expect("a ticket")
    }

    fn try_prepare(&mut self, item: &str, amount: i64) -> Result<Ticket, RelayError> {
        self.drawn += 1;
        self.dispenser.prepare("vm-001", item, amount, [self.drawn; 16]).map_err(|refusal| refusal.error)
    }

    fn dispense(&mut self, jws: &str) -> Result<Dispensed, RelayError> {
        self.dispenser.dispense(jws).map_err(|refusal| refusal.error)
    }

    /// Sells one of A1, as far as the moment when its line is driven.
    fn begin(&mut self, n: u8) -> (Ticket, String) {
        let ticket = self.prepare("A1", 5000);
        let jws = receipt(n, &ticket);
        assert_eq!(self.dispense(&jws), Ok(Dispensed::Begun(cause(n))));
        (ticket, jws)
    }

    fn end(&mut self, line: usize, outcome: Outcome) {
        self.dispenser.ended(line, Ending { outcome, detail: "told".into() });
    }

    fn drives(&mut self) -> Vec<usize> {
        let effects = self.dispenser.take_effects();
        effects.iter().filter_map(|effect| if let Effect::Deliver(line, _) = effect { Some(*line) } else { None }).collect()
    }

    /// The names of the events for the journal.
    fn journal(&mut self) -> Vec<String> {
        let effects = self.dispenser.take_effects();
        let name = |event: &Event| format!("{event:?}").split(' ').next().unwrap_or_default().to_owned();
        effects.iter().filter_map(|effect| if let Effect::Journal(event) = effect { Some(name(event)) } else { None }).collect()
    }

    /// The orders that the journal has blamed for a blocked line since the last look, each with its
    /// item.
    fn blamed(&mut self) -> Vec<(String, String)> {
        let effects = self.dispenser.take_effects();
        let blamed = |effect| match effect {
            Effect::Journal(Event::LineBlocked { item, order, .. }) => {
                Some((item.to_string(), order.map(|order| order.to_string()).unwrap_or_default()))
            }
            _ => None,
        };
        effects.into_iter().filter_map(blamed).collect()
    }

    /// The items for which the journal has told since the last look that a line was cleared, each with
    /// the one who cleared it.
    fn cleared(&mut self) -> Vec<(String, String)> {
        let effects = self.dispenser.take_effects();
        let cleared = |effect| match effect {
            Effect::Journal(Event::LineCleared { item, by, .. }) => Some((item.to_string(), by.into_owned())),
            _ => None,
        };
        effects.into_iter().filter_map(cleared).collect()
    }

    fn state(&self, line: usize) -> String {
        self.dispenser.lines()[line].state.to_string()
    }

    fn query(&mut self, n: u8) -> DispenseAnswer {
        self.dispenser.query(order(n).as_str(), 1).expect("readable").0
    }

    fn close(&mut self, ticket: &Ticket) -> Result<CloseAnswer, RelayError> {
        self.dispenser.close(ticket.as_str()).map_err(|refusal| refusal.error)
    }

    /// Makes every commit fail, as a full disk does, or lets them pass again.
    fn fail_commits(&self, fail: bool) {
        self.dispenser.ledger.store().fail_commits(fail);
    }
}

fn clone(config: &Config) -> Config {
    Config {
        device: config.device.clone(),
        bus: config.bus.clone(),
        keys: config.keys.clone(),
        ledger: config.ledger.clone(),
        lines: config.lines.clone(),
        buttons: config.buttons.clone(),
        service_switch: config.service_switch.clone(),
    }
}

fn order(n: u8) -> OrderId {
    OrderId::new(&format!("o-{n}")).expect("an id")
}

fn claims_of(n: u8, ticket: &Ticket) -> Claims {
    Claims {
        sub: order(n),
        jti: RequestId::new(&format!("r-{n}")).expect("an id"),
        transaction_id: TransactionId::new(&format!("t-{n}")).expect("an id"),
        ticket: ticket.clone(),
        ..claims()
    }
}

fn receipt(n: u8, ticket: &Ticket) -> String {
    receipt_for(n, ticket, "A1", 5000)
}

fn receipt_for(n: u8, ticket: &Ticket, item: &str, amount: u64) -> String {
    let (item, amount) = (ItemId::new(item).expect("an item"), Rupiah::new(amount).expect("an amount"));
    key().sign(Claims { item, amount, gross_amount: amount, ..claims_of(n, ticket) }).jws().to_owned()
}

fn cause(n: u8) -> Cause {
    Cause::Order { order: order(n), request: RequestId::new(&format!("r-{n}")).expect("an id"), number: TryNumber::FIRST }
}

fn known(answer: DispenseAnswer) -> Result<Dispensed, RelayError> {
    let detail = match answer {
        DispenseAnswer::Ended(_) => "told".to_owned(),
        DispenseAnswer::Later(_) | DispenseAnswer::Dispensing | DispenseAnswer::Unknown => String::new(),
    };
    Ok(Dispensed::Known(answer, detail))
}

const DISPENSED: DispenseAnswer = DispenseAnswer::Ended(Outcome::Dispensed);

#[test]
fn one_order_one_pulse() {
    let mut rig = Rig::new();
    let (ticket, jws) = rig.begin(1);
    assert_eq!(rig.drives(), [0]);
    assert_eq!(rig.state(0), "busy");
    assert_eq!(rig.dispenser.tickets(), []);
    // The same again meanwhile, and again later: nothing more is driven.
    assert_eq!(rig.dispense(&jws), known(DispenseAnswer::Dispensing));
    assert_eq!(rig.query(1), DispenseAnswer::Dispensing);
    assert_eq!(rig.close(&ticket), Ok(CloseAnswer::Dispensing));
    rig.end(0, Outcome::Dispensed);
    let finished = Effect::Finished { cause: cause(1), outcome: Outcome::Dispensed, detail: "told".into() };
    assert!(rig.dispenser.take_effects().contains(&finished));
    for round in 0..2 {
        assert_eq!(rig.dispense(&jws), known(DISPENSED), "round {round}");
        assert_eq!(rig.query(1), DISPENSED);
        assert_eq!(rig.close(&ticket), Ok(CloseAnswer::Ended(Outcome::Dispensed)));
        assert_eq!(rig.drives(), [0; 0]);
        assert_eq!(rig.state(0), "ready");
        rig.restart();
    }
    // A late word of the line changes nothing.
    rig.end(0, Outcome::Failed);
    assert_eq!(rig.query(1), DISPENSED);
}

#[test]
fn the_ledger_says_driving_before_the_line_is_driven() {
    let mut rig = Rig::new();
    let (ticket, _) = rig.begin(1);
    // The effect is not carried out yet. Another connection sees only committed rows.
    let seen = Connection::open(rig.path()).expect("opens");
    let row = |sql: &str| seen.query_row(sql, [], |row| row.get::<_, Option<String>>(0)).expect("a row");
    assert_eq!(row("SELECT outcome FROM pulses WHERE order_id = 'o-1'"), None);
    assert_eq!(row(&format!("SELECT state FROM tickets WHERE ticket = '{ticket}'")).as_deref(), Some("used"));
}

#[test]
fn what_is_no_good_is_refused_and_changes_nothing() {
    let mut rig = Rig::new();
    let ticket = rig.prepare("A1", 5000);
    let changed = |change: &dyn Fn(&mut Claims)| {
        let mut claims = claims_of(1, &ticket);
        change(&mut claims);
        key().sign(claims).jws().to_owned()
    };
    let item = |id: &str| ItemId::new(id).expect("an item");
    let table = [
        (changed(&|c| c.aud = DeviceId::new("vm-002").expect("an id")), RelayError::WrongDevice),
        (SigningKey::from_seed([8; 32]).sign(claims_of(1, &ticket)).jws().to_owned(), RelayError::InvalidReceipt),
        (changed(&|_| ()).replace('.', ".A"), RelayError::InvalidReceipt),
        (String::new(), RelayError::InvalidReceipt),
        (changed(&|c| c.ticket = Ticket::from_random([99; 16])), RelayError::UnknownTicket),
        (changed(&|c| c.item = item("A2")), RelayError::UnknownTicket),
        (changed(&|c| c.amount = Rupiah::new(4999).expect("an amount")), RelayError::UnknownTicket),
        // The ticket is looked at before the line: also for an item that no line names.
        (changed(&|c| c.item = item("exit")), RelayError::UnknownTicket),
    ];
    for (i, (jws, want)) in table.into_iter().enumerate() {
        assert_eq!(rig.dispense(&jws), Err(want), "row {i}");
        assert_eq!(rig.query(1), DispenseAnswer::Unknown);
        assert_eq!(rig.dispenser.tickets(), std::slice::from_ref(&ticket));
    }
    assert_eq!(rig.drives(), [0; 0]);
    assert!(rig.dispense(&changed(&|_| ())).is_ok(), "the good one still is");
}

#[test]
fn a_request_or_transaction_is_driven_for_one_order() {
    for same_request in [true, false] {
        let mut rig = Rig::new();
        rig.begin(1);
        rig.end(0, Outcome::Dispensed);
        let ticket = rig.prepare("A1", 5000);
        let (first, mut second) = (claims_of(1, &ticket), claims_of(2, &ticket));
        if same_request {
            second.jti = first.jti;
        } else {
            second.transaction_id = first.transaction_id;
        }
        rig.drives();
        assert_eq!(rig.dispense(key().sign(second).jws()), Err(RelayError::InvalidReceipt));
        assert_eq!(rig.drives(), [0; 0]);
        assert_eq!(rig.close(&ticket), Ok(CloseAnswer::Closed));
    }
}

#[test]
fn what_prepare_refuses() {
    let mut rig = Rig::new();
    let table = [
        ("vm-002", "A1", 5000, RelayError::WrongDevice),
        ("vm 1", "A1", 5000, RelayError::WrongDevice),
        ("vm-001", "a|b", 5000, RelayError::UnknownItem),
        ("vm-001", "A1", 4999, RelayError::Amount),
        ("vm-001", "A1", 0, RelayError::Amount),
        ("vm-001", "A1", -5000, RelayError::Amount),
        ("vm-001", "A1", i64::MAX, RelayError::Amount),
        ("vm-001", "other", 1500, RelayError::Amount),
        ("vm-001", "other", 1_300_000, RelayError::Amount),
    ];
    for (device, item, amount, want) in table {
        let got = rig.dispenser.prepare(device, item, amount, [1; 16]).map_err(|refusal| refusal.error);
        assert_eq!(got, Err(want), "{device} {item} {amount}");
    }
    assert_eq!(rig.dispenser.tickets(), []);
    rig.dispenser.hardware(0, Err(Trouble::Hardware("unplugged".into())));
    assert_eq!(rig.try_prepare("A1", 5000), Err(RelayError::Hardware));
    assert_eq!(rig.dispenser.faults(), [RelayFault::Gpio]);
    rig.dispenser.hardware(0, Ok(()));
    rig.begin(1);
    assert_eq!(rig.try_prepare("A2", 5000), Err(RelayError::Busy));
    rig.prepare("other", 3000);
}

#[test]
fn what_a_cut_interrupted_is_uncertain_for_ever() {
    let mut rig = Rig::new();
    let (ticket, jws) = rig.begin(1);
    rig.restart();
    assert_eq!(rig.drives(), [0; 0]);
    let uncertain = DispenseAnswer::Ended(Outcome::Uncertain);
    assert_eq!(rig.query(1), uncertain);
    assert!(matches!(rig.dispense(&jws), Ok(Dispensed::Known(answer, _)) if answer == uncertain));
    assert_eq!(rig.close(&ticket), Ok(CloseAnswer::Ended(Outcome::Uncertain)));
    assert_eq!(rig.drives(), [0; 0]);
    assert_eq!(rig.state(0), "ready", "this line is not blocked by it");
}

#[test]
fn closing_a_ticket() {
    let mut rig = Rig::new();
    let ticket = rig.prepare("A1", 5000);
    assert_eq!(rig.dispenser.check(ticket.as_str()), Ok(()));
    for _ in 0..2 {
        assert_eq!(rig.close(&ticket), Ok(CloseAnswer::Closed));
        assert_eq!(rig.dispenser.tickets(), []);
        assert_eq!(qris_host::mark::Mark::open(&rig.path()).expect("there").counted(), 1, "beside the ledger, too");
        rig.restart();
    }
    assert_eq!(rig.dispense(&receipt(1, &ticket)), Err(RelayError::UnknownTicket));
    assert_eq!(rig.dispenser.check(ticket.as_str()).map_err(|r| r.error), Err(RelayError::UnknownTicket));
    assert_eq!(rig.close(&Ticket::from_random([77; 16])), Err(RelayError::UnknownTicket));
    assert_eq!(rig.dispenser.close("short").map_err(|r| r.error), Err(RelayError::UnknownTicket));
}

#[test]
fn what_became_of_a_ticket_is_signed_with_the_ledgers_own_key() {
    let mut rig = Rig::new();
    let key = rig.dispenser.key().expect("a ledger");
    let statement = |rig: &mut Rig, ticket: &Ticket| {
        let proof = rig.dispenser.prove(ticket.as_str()).expect("a ticket of ours")?;
        Some(proof::verify(&proof, &key).expect("its own key"))
    };
    let expected = |ticket: &Ticket, order_id, outcome, driven, number| {
        Some(Statement {
            device: DeviceId::new("vm-001").expect("an id"),
            ticket: ticket.clone(),
            order_id,
            number_of_try: TryNumber::FIRST,
            outcome,
            driven,
            number,
        })
    };
    let closed = rig.prepare("A1", 5000);
    assert_eq!(statement(&mut rig, &closed), None, "it is open");
    rig.close(&closed).expect("closed");
    let (driven, _) = rig.begin(1);
    assert_eq!(statement(&mut rig, &driven), None, "its line is driven");
    rig.end(0, Outcome::Dispensed);
    let failed = rig.prepare("exit", 2000);
    rig.dispense(&receipt_for(2, &failed, "exit", 2000)).expect("driven");
    rig.end(1, Outcome::Failed);
    let broken = rig.prepare("B1", 5000);
    rig.dispense(&receipt_for(3, &broken, "B1", 5000)).expect("begun");
    rig.end(2, Outcome::NotDriven);
    // The key is drawn once, and stays after a restart: the same key, the same words, the same numbers.
    for _ in 0..2 {
        assert_eq!(statement(&mut rig, &closed), expected(&closed, None, Last::Closed, false, 1));
        assert_eq!(statement(&mut rig, &driven), expected(&driven, Some(order(1)), Last::Dispensed, true, 2));
        assert_eq!(statement(&mut rig, &failed), expected(&failed, Some(order(2)), Last::Failed, true, 3));
        assert_eq!(statement(&mut rig, &broken), expected(&broken, Some(order(3)), Last::Failed, false, 4));
        rig.restart();
        assert_eq!(rig.dispenser.key().as_ref(), Some(&key));
    }
    let refused = rig.dispenser.prove(Ticket::from_random([77; 16]).as_str());
    assert_eq!(refused.map_err(|refusal| refusal.error), Err(RelayError::UnknownTicket));
    // Another ledger has another key: it knows nothing of what this one promised.
    drop(std::mem::replace(&mut rig.dispenser, begin(&Config { ledger: "/nowhere/at/all.db".into(), ..clone(&rig.config) })));
    assert_eq!(rig.dispenser.key(), None);
    std::fs::remove_file(rig.path()).expect("removed");
    rig.restart();
    assert!(rig.dispenser.key().is_some_and(|other| other != key));
}

#[test]
fn failed_blocks_and_a_person_clears() {
    let mut rig = Rig::new();
    let waiting = rig.prepare("A2", 5000);
    rig.begin(1);
    rig.end(0, Outcome::Failed);
    assert_eq!(rig.blamed(), [("A1".to_owned(), order(1).to_string())]);
    for _ in 0..2 {
        assert_eq!(rig.state(0), "blocked");
        assert_eq!(rig.try_prepare("A1", 5000), Err(RelayError::Blocked));
        assert_eq!(rig.dispenser.check(waiting.as_str()).map_err(|r| r.error), Err(RelayError::Blocked));
        assert_eq!(rig.dispense(&receipt_for(2, &waiting, "A2", 5000)), Err(RelayError::Blocked));
        rig.restart();
    }
    assert_eq!(rig.dispenser.clear("a b").map_err(|r| r.error), Err(RelayError::UnknownItem));
    assert_eq!(rig.dispenser.clear("A2"), Ok(()));
    for _ in 0..2 {
        assert_eq!(rig.state(0), "ready");
        assert_eq!(rig.dispenser.check(waiting.as_str()), Ok(()));
        rig.restart();
    }
    rig.begin(3);
    rig.end(0, Outcome::Failed);
    rig.dispenser.clear_pressed(0);
    assert_eq!(rig.state(0), "ready");
}

#[test]
fn a_button_that_does_not_work_is_a_fault_told_once() {
    let mut rig = Rig::new();
    let told = |rig: &mut Rig| {
        let effects = rig.dispenser.take_effects();
        effects.iter().filter(|effect| matches!(effect, Effect::Journal(Event::HardwareFault { .. }))).count()
    };
    for (state, faults, journal) in [
        (Ok(()), &[][..], 0),
        (Err("busy".to_owned()), &[RelayFault::Gpio], 1),
        (Err("busy".to_owned()), &[RelayFault::Gpio], 0),
        (Err("gone".to_owned()), &[RelayFault::Gpio], 1),
        (Ok(()), &[], 0),
    ] {
        rig.dispenser.button("the button for A1".into(), state);
        assert_eq!((rig.dispenser.faults().as_slice(), told(&mut rig)), (faults, journal));
    }
    rig.dispenser.button("the button for A1".into(), Err("gone".into()));
    rig.dispenser.button("another".into(), Ok(()));
    assert_eq!(rig.dispenser.faults(), [RelayFault::Gpio]);
    assert_eq!(rig.state(0), "ready", "what it hands out can be sold");
}

#[test]
fn uncertain_blocks_where_it_should() {
    let mut rig = Rig::new();
    let ticket = rig.prepare("exit", 5000);
    assert!(rig.dispense(&receipt_for(1, &ticket, "exit", 5000)).is_ok());
    rig.restart();
    assert_eq!([rig.state(0), rig.state(1)], ["ready", "blocked"]);
    assert_eq!(rig.blamed(), [("exit".to_owned(), order(1).to_string())]);
    rig.restart();
    assert_eq!(rig.blamed(), [], "told once");
}

#[test]
fn a_thousand_tickets_and_no_more() {
    let mut rig = Rig::new();
    rig.dispenser.ledger.store().hurry();
    let ticket = |n: usize| {
        let mut bits = [0xee; 16];
        bits[..8].copy_from_slice(&n.to_le_bytes());
        bits
    };
    for n in 0..OPEN_TICKETS_MAX {
        rig.dispenser.prepare("vm-001", "A1", 5000, ticket(n)).expect("a ticket");
    }
    let full = rig.dispenser.prepare("vm-001", "A1", 5000, [1; 16]);
    assert_eq!(full.map_err(|r| r.error), Err(RelayError::Ledger));
    assert_eq!(rig.dispenser.tickets().len(), OPEN_TICKETS_MAX);
    assert_eq!(rig.dispenser.faults(), [], "full is no fault of the disk");
    assert_eq!(rig.close(&Ticket::from_random(ticket(5))), Ok(CloseAnswer::Closed));
    rig.prepare("A1", 5000);
}

#[test]
fn a_ledger_that_cannot_be_written_promises_and_drives_nothing() {
    let mut rig = Rig::new();
    let ticket = rig.prepare("A1", 5000);
    rig.fail_commits(true);
    assert_eq!(rig.try_prepare("A1", 5000), Err(RelayError::Ledger));
    assert_eq!(rig.dispenser.faults(), [RelayFault::Ledger]);
    assert_eq!(rig.dispenser.check(ticket.as_str()).map_err(|r| r.error), Err(RelayError::Ledger));
    assert_eq!(rig.dispense(&receipt(1, &ticket)), Err(RelayError::Ledger));
    assert_eq!(rig.close(&ticket), Err(RelayError::Ledger));
    assert_eq!(rig.drives(), [0; 0]);
    rig.dispenser.tick();
    assert_eq!(rig.dispenser.faults(), [RelayFault::Ledger]);
    rig.fail_commits(false);
    drop(rig.dispenser.take_effects());
    rig.dispenser.tick();
    assert_eq!(rig.dispenser.faults(), []);
    let told: Vec<_> = rig.dispenser.take_effects().into_iter().filter(|effect| !matches!(effect, Effect::Journal(_))).collect();
    assert_eq!(told, [Effect::LedgerBack], "nobody has looked at a line");
    assert_eq!(rig.query(1), DispenseAnswer::Unknown, "an error means that nothing was recorded");
    assert!(rig.dispense(&receipt(1, &ticket)).is_ok());
}

#[test]
fn an_end_that_cannot_be_written_is_uncertain_and_written_later() {
    let mut rig = Rig::new();
    let (ticket, jws) = rig.begin(1);
    rig.fail_commits(true);
    rig.end(0, Outcome::Dispensed);
    let uncertain = DispenseAnswer::Ended(Outcome::Uncertain);
    let told = |effect: &Effect| matches!(effect, Effect::Finished { outcome: Outcome::Uncertain, .. });
    assert_eq!(rig.dispenser.take_effects().iter().filter(|effect| told(effect)).count(), 1);
    for _ in 0..2 {
        rig.dispenser.tick();
        let words = "told; this could not be written to the ledger".to_owned();
        assert_eq!(rig.dispenser.query("o-1", 1), Ok((uncertain, words.clone())));
        assert_eq!(rig.dispense(&jws), Ok(Dispensed::Known(uncertain, words)));
        assert_eq!(rig.close(&ticket), Ok(CloseAnswer::Ended(Outcome::Uncertain)));
        assert_eq!(rig.state(0), "busy", "the line takes no order meanwhile");
        assert_eq!(rig.dispenser.prove(ticket.as_str()).map_err(|refusal| refusal.error), Ok(None), "the ledger may say more than that");
    }
    rig.fail_commits(false);
    rig.dispenser.tick();
    assert!(matches!(rig.dispenser.prove(ticket.as_str()), Ok(Some(_))));
    assert_eq!(rig.state(0), "ready");
    assert_eq!(rig.query(1), uncertain, "what was answered stands");
    rig.restart();
    assert_eq!(rig.query(1), uncertain);
    assert_eq!(rig.dispenser.take_effects().iter().filter(|effect| told(effect)).count(), 0);
}

#[test]
fn a_damaged_ledger_is_set_aside_and_older_receipts_are_void() {
    let mut rig = Rig::new();
    let ticket = rig.prepare("A1", 5000);
    let path = rig.path();
    qris_host::sqlite::testing::damage(&Connection::open(&path).expect("opens"), "UPDATE tickets SET sum = 'x'");
    // The fault comes while it runs. It is noticed when the row is read; the ledger is set aside at the
    // next tick.
    assert_eq!(rig.dispense(&receipt(1, &ticket)), Err(RelayError::Ledger));
    assert_eq!(rig.try_prepare("A1", 5000), Err(RelayError::Ledger), "nothing is promised that would be lost with it");
    rig.dispenser.tick();
    assert_eq!(rig.dispenser.faults(), [RelayFault::LedgerReset]);
    assert_eq!(rig.dispense(&receipt(1, &ticket)), Err(RelayError::UnknownTicket));
    rig.begin(2);
    rig.end(0, Outcome::Dispensed);
    // The fault comes at a start.
    rig.dispenser.ledger = Ledger::new(path.clone(), Box::new(random::fill));
    std::fs::write(&path, b"no database at all").expect("written");
    rig.restart();
    assert_eq!(rig.dispenser.faults(), [RelayFault::LedgerReset]);
    assert_eq!(rig.query(2), DispenseAnswer::Unknown);
    rig.begin(3);
}

#[test]
fn a_ledger_that_lost_its_name_sells_nothing_until_it_is_back() {
    for suffix in ["", "-wal"] {
        let mut rig = Rig::new();
        let ticket = rig.prepare("A1", 5000);
        let (name, aside) = (format!("{}{suffix}", rig.path().display()), rig.directory.path().join("aside"));
        std::fs::rename(&name, &aside).expect("moved");
        rig.dispenser.tick();
        assert_eq!((rig.journal(), rig.dispenser.faults()), (vec!["StoreFailing".to_owned()], vec![RelayFault::Ledger]), "{suffix}");
        for _ in 0..2 {
            assert_eq!(rig.dispense(&receipt(1, &ticket)), Err(RelayError::Ledger), "{suffix}: this would be forgotten");
            assert_eq!(rig.try_prepare("A1", 5000), Err(RelayError::Ledger), "{suffix}");
            rig.dispenser.tick();
        }
        std::fs::rename(&aside, &name).expect("moved back");
        rig.dispenser.tick();
        assert_eq!(rig.dispenser.faults(), [], "{suffix}");
        assert!(rig.dispense(&receipt(1, &ticket)).is_ok(), "{suffix}");
        rig.end(0, Outcome::Dispensed);
    }
}

#[test]
fn another_program_that_holds_the_ledger_for_a_second_delays_a_delivery_and_does_not_end_it() {
    let mut rig = Rig::new();
    let ticket = rig.prepare("A1", 5000);
    let other = Connection::open(rig.path()).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let copies = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_secs(1));
        other.execute_batch("ROLLBACK").expect("let go");
    });
    assert!(rig.dispense(&receipt(1, &ticket)).is_ok());
    copies.join().expect("it lets go");
    rig.end(0, Outcome::Dispensed);
    assert_eq!(rig.dispenser.faults(), []);
}

#[test]
fn a_ledger_that_is_gone_or_empty_beside_its_mark_is_told() {
    for is_gone in [true, false] {
        let mut rig = Rig::new();
        let path = rig.path();
        rig.restart();
        assert_eq!((rig.journal(), rig.dispenser.faults()), (vec![], vec![]), "a first ledger that had driven nothing");
        let (ticket, jws) = rig.begin(1);
        rig.end(0, Outcome::Dispensed);
        rig.dispenser.ledger = Ledger::new(path.clone(), Box::new(random::fill));
        drop(rig.dispenser.take_effects());
        ["", "-wal", "-shm"].iter().for_each(|suffix| drop(std::fs::remove_file(format!("{}{suffix}", path.display()))));
        if !is_gone {
            std::fs::write(&path, b"").expect("written");
        }
        rig.restart();
        assert_eq!((rig.journal(), rig.dispenser.faults()), (vec!["LedgerLost".to_owned()], vec![RelayFault::LedgerReset]), "{is_gone}");
        assert_eq!(rig.dispense(&jws), Err(RelayError::UnknownTicket), "not a second time");
        assert_eq!(rig.close(&ticket), Err(RelayError::UnknownTicket));
        rig.begin(2);
        rig.end(0, Outcome::Dispensed);
        rig.restart();
        assert_eq!(rig.dispenser.faults(), [], "it was told once");
    }
}

#[test]
fn damage_in_mid_pulse_waits_for_its_end() {
    let mut rig = Rig::new();
    rig.begin(1);
    let path = rig.path();
    qris_host::sqlite::testing::damage(&Connection::open(path).expect("opens"), "UPDATE pulses SET sum = 'x'");
    rig.dispenser.tick();
    assert_eq!(rig.query(1), DispenseAnswer::Dispensing);
    rig.end(0, Outcome::Dispensed);
    assert_eq!(rig.query(1), DispenseAnswer::Ended(Outcome::Uncertain));
    rig.dispenser.tick();
    assert_eq!(rig.dispenser.faults(), [RelayFault::LedgerReset]);
    assert_eq!(rig.state(0), "ready");
}

#[test]
fn without_a_ledger_nobody_is_told_that_an_order_is_unknown() {
    let mut rig = Rig::new();
    let ticket = rig.prepare("A1", 5000);
    let home = rig.directory.path().join("home");
    let away = Config { ledger: home.join("ledger.db"), ..clone(&rig.config) };
    rig.dispenser = begin(&away);
    assert_eq!(rig.dispenser.faults(), [RelayFault::Ledger]);
    assert_eq!(rig.dispenser.query("o-1", 1).map_err(|r| r.error), Err(RelayError::Ledger));
    assert_eq!(rig.close(&ticket), Err(RelayError::Ledger));
    assert_eq!(rig.try_prepare("A1", 5000), Err(RelayError::Ledger));
    assert_eq!(rig.dispense(&receipt(1, &ticket)), Err(RelayError::Ledger));
    std::fs::create_dir(&home).expect("made");
    rig.dispenser.tick();
    assert_eq!(rig.dispenser.faults(), []);
    rig.prepare("A1", 5000);
}

#[test]
fn a_stop_begins_nothing_and_ends_what_runs() {
    let mut rig = Rig::new();
    let waiting = rig.prepare("other", 3000);
    rig.begin(1);
    rig.dispenser.stop();
    assert_eq!(rig.try_prepare("other", 3000), Err(RelayError::Busy));
    assert_eq!(rig.dispense(&receipt_for(2, &waiting, "other", 3000)), Err(RelayError::Busy));
    assert!(rig.dispenser.is_driving());
    rig.dispenser.give_up();
    assert!(!rig.dispenser.is_driving());
    assert_eq!(rig.query(1), DispenseAnswer::Ended(Outcome::Uncertain));
}

#[test]
fn the_journal_is_told_what_happens_to_an_order_and_to_its_line() {
    let mut rig = Rig::new();
    assert_eq!(rig.journal(), [""; 0]);
    assert_eq!(rig.try_prepare("A1", 1), Err(RelayError::Amount));
    assert_eq!(rig.journal(), ["TicketRefused"]);
    assert_eq!(rig.dispense("no receipt"), Err(RelayError::InvalidReceipt));
    assert_eq!(rig.dispense(&receipt(9, &Ticket::from_random([99; 16]))), Err(RelayError::UnknownTicket));
    assert_eq!(rig.journal(), ["ReceiptRefused", "ReceiptRefused"]);
    for (outcome, words) in [
        (Outcome::Dispensed, &["PulseBegins", "PulseEnds"][..]),
        (Outcome::Uncertain, &["PulseBegins", "OutcomeUncertain"]),
        (Outcome::Failed, &["PulseBegins", "DeliveryFailed", "LineBlocked"]),
    ] {
        rig.begin(rig.drawn + 1);
        rig.end(0, outcome);
        assert_eq!(rig.journal(), words, "{outcome:?}");
    }
    for _ in 0..2 {
        rig.dispenser.clear_pressed(0);
    }
    assert_eq!(rig.journal(), ["LineCleared"], "once");
    rig.begin(8);
    rig.restart();
    assert_eq!(rig.journal(), ["OutcomeUncertain"]);
}

#[test]
fn whoever_clears_a_line_the_journal_says_what_had_blocked_it() {
    let mut rig = Rig::new();
    for n in [1, 2] {
        for is_pressed in [true, false] {
            rig.begin(2 * n + u8::from(is_pressed));
            rig.end(0, Outcome::Failed);
            if n == 2 {
                rig.restart();
            }
            let by = if is_pressed {
                rig.dispenser.clear_pressed(0);
                "its button"
            } else {
                // Another item of the same line.
                rig.dispenser.clear("A2").expect("cleared");
                "Clear"
            };
            assert_eq!(rig.cleared(), [("A1".to_owned(), by.to_owned())], "{n}");
        }
    }
}

#[test]
fn trouble_is_told_when_it_changes() {
    let mut rig = Rig::new();
    let unplugged = || Err("unplugged".to_owned());
    for (state, told) in [(unplugged(), 1), (unplugged(), 0), (Err("burnt".into()), 1), (Ok(()), 0), (Ok(()), 0), (unplugged(), 1)] {
        rig.dispenser.hardware(0, state.clone().map_err(Trouble::Hardware));
        assert_eq!(rig.journal(), vec!["HardwareFault"; told], "{state:?}");
    }
    rig.dispenser.hardware(0, Ok(()));
    let ticket = rig.prepare("A1", 5000);
    // A disk that is full.
    rig.fail_commits(true);
    for told in [&["StoreFailing", "TicketRefused"][..], &["TicketRefused"]] {
        assert_eq!(rig.try_prepare("A1", 5000), Err(RelayError::Ledger));
        let mut words = rig.journal();
        words.sort();
        assert_eq!(words, told);
    }
    rig.dispenser.tick();
    assert_eq!(rig.journal(), [""; 0]);
    rig.fail_commits(false);
    // A little can be written, but not as much as a sale writes: the ledger stays faulty.
    let room = rig.path().with_extension("db.room");
    std::fs::create_dir(&room).expect("made");
    rig.dispenser.tick();
    assert_eq!(rig.close(&ticket), Ok(CloseAnswer::Closed));
    rig.dispenser.tick();
    assert_eq!((rig.journal(), rig.dispenser.faults()), (vec![], vec![RelayFault::Ledger]));
    assert_eq!(rig.try_prepare("A1", 5000), Err(RelayError::Ledger));
    assert_eq!(rig.journal(), ["TicketRefused"]);
    std::fs::remove_dir(&room).expect("removed");
    rig.dispenser.tick();
    rig.dispenser.tick();
    assert_eq!((rig.journal(), rig.dispenser.faults()), (vec!["StoreBack".to_owned()], vec![]));
    // A ledger that is not there.
    let home = rig.directory.path().join("home");
    rig.dispenser = begin(&Config { ledger: home.join("ledger.db"), ..clone(&rig.config) });
    assert_eq!(rig.journal(), ["StoreFailing"]);
    rig.dispenser.tick();
    assert_eq!(rig.journal(), [""; 0], "the same again");
    std::fs::create_dir(&home).expect("made");
    rig.dispenser.tick();
    assert_eq!(rig.journal(), ["StoreBack"]);
    // A ledger that is damaged.
    rig.dispenser.ledger = Ledger::new(rig.path(), Box::new(random::fill));
    std::fs::write(home.join("ledger.db"), b"no database at all").expect("written");
    rig.dispenser = begin(&Config { ledger: home.join("ledger.db"), ..clone(&rig.config) });
    let effects = rig.dispenser.take_effects();
    let [Effect::Journal(Event::LedgerReset { path, aside })] = &effects[..] else { panic!("{effects:?}") };
    let name = home.join("ledger.db").display().to_string();
    assert!(**path == *name && aside.starts_with(&name) && **aside != *name, "{path} {aside}");
}

#[test]
fn a_log_that_a_reader_keeps_is_told_each_time_that_it_becomes_long() {
    let mut rig = Rig::new();
    let log = std::fs::OpenOptions::new().write(true).open(format!("{}-wal", rig.path().display())).expect("its log");
    let own = log.metadata().expect("it is there").len();
    for _ in 0..2 {
        log.set_len(64 << 20).expect("a file with a hole");
        for told in [&["StoreLogLong"][..], &[]] {
            rig.dispenser.tick();
            assert_eq!(rig.journal(), told);
        }
        log.set_len(own).expect("as it was");
        rig.dispenser.tick();
        assert_eq!(rig.journal(), [""; 0]);
    }
    rig.begin(1);
}

#[test]
fn what_no_line_drives_is_not_being_driven_whatever_the_ledger_says() {
    let mut rig = Rig::new();
    let ticket = rig.prepare("A1", 5000);
    rig.dispenser.ledger.begin(&Begun::Order(&key().sign(claims_of(1, &ticket))), "tray 1").expect("written");
    assert_eq!(rig.query(1), DispenseAnswer::Ended(Outcome::Uncertain));
    assert_eq!(rig.close(&ticket), Ok(CloseAnswer::Ended(Outcome::Uncertain)));
    assert!(matches!(rig.dispense(&receipt(1, &ticket)), Ok(Dispensed::Known(DispenseAnswer::Ended(Outcome::Uncertain), _))));
    assert_eq!(rig.drives(), [0; 0]);
}
