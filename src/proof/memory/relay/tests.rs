//! The database and its counterpart in memory: the same calls, the same answers.

use super::*;
use qris_core::order::ids::RequestId;
use qris_core::order::proof::RelayKey;
use qris_core::order::receipt::testing::{claims, key, keys};
use qris_core::order::time::Span;
use qris_core::wire::dbus::{CloseAnswer, DispenseAnswer, RelayError};
use qris_host::config::BusAddress;
use qris_host::events::Event;
use qris_relay::config::{Config, Items, Line};
use qris_relay::dispenser::{Dispensed, Dispenser, Effect};
use qris_relay::outlet::line::PulsedLine;
use qris_relay::pin::{Chip, Pin};
use qris_relay::store::database::File;
use qris_sim::rng::Rng;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A call to the ledger. Tickets and orders are named by numbers.
#[derive(Debug, Clone, Copy)]
enum Call {
    /// A ticket for this many rupiah.
    Add(u8, u64),
    Close(u8),
    Begin(Sale, &'static str),
    End(u8, Outcome, Option<&'static str>),
    Clear(&'static str),
    Mark,
    Probe,
    Ticket(u8),
    Pulse(u8),
    IsSecond(Sale),
    Key,
    /// A second owner tries to open it.
    OpenTwice,
    /// The program ends, something happens to the ledger, and the program starts again.
    Restart(Harm),
}

/// An event for a ledger that nobody has open.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Nothing,
    /// A copy is made.
    Copied,
    Lost,
    /// The copy is put in its place, with the mark beside it or without.
    PutBack {
        with_mark: bool,
    },
}

/// The names in a receipt.
#[derive(Debug, Clone, Copy)]
struct Sale {
    order: u8,
    ticket: u8,
    request: u8,
    transaction: u8,
    amount: u64,
}

const fn sale(n: u8) -> Sale {
    Sale { order: n, ticket: n, request: n, transaction: n, amount: 5000 }
}

fn ticket(n: u8) -> Ticket {
    Ticket::from_random([n; 16])
}

fn order(n: u8) -> OrderId {
    OrderId::new(&format!("o-{n}")).expect("an id")
}

fn rupiah(amount: u64) -> Rupiah {
    Rupiah::new(amount).expect("an amount")
}

fn receipt(sale: Sale) -> Receipt {
    let mut claims = claims();
    claims.sub = order(sale.order);
    claims.ticket = ticket(sale.ticket);
    claims.jti = RequestId::new(&format!("r-{}", sale.request)).expect("an id");
    claims.transaction_id = TransactionId::new(&format!("t-{}", sale.transaction)).expect("an id");
    claims.amount = rupiah(sale.amount);
    key().sign(claims)
}

/// A disk that a test may damage.
trait Harmed: Disk {
    type Copy;
    fn copy(&self) -> Self::Copy;
    fn lose(&mut self);
    fn put_back(&mut self, copy: &Self::Copy, with_mark: bool);
}

impl Harmed for Memory {
    type Copy = Self;

    fn copy(&self) -> Self {
        self.clone()
    }

    fn lose(&mut self) {
        Self::lose(self);
    }

    fn put_back(&mut self, copy: &Self, with_mark: bool) {
        Self::put_back(self, copy, with_mark);
    }
}

fn mark_of(path: &Path) -> PathBuf {
    path.with_file_name("ledger.db.mark")
}

impl Harmed for File {
    type Copy = (Vec<u8>, Vec<u8>);

    fn copy(&self) -> Self::Copy {
        let read = |path: &Path| std::fs::read(path).expect("read");
        (read(&self.0), read(&mark_of(&self.0)))
    }

    fn lose(&mut self) {
        std::fs::remove_file(&self.0).expect("removed");
    }

    fn put_back(&mut self, (ledger, mark): &Self::Copy, with_mark: bool) {
        std::fs::write(&self.0, ledger).expect("written");
        if with_mark {
            std::fs::write(mark_of(&self.0), mark).expect("written");
        }
    }
}

/// A disk, and the owner of its ledger.
struct Owner<D: Harmed> {
    disk: D,
    store: Option<D::Store>,
    copy: Option<D::Copy>,
    /// The keys that it has seen.
    keys: Vec<RelayKey>,
}

impl<D: Harmed> Owner<D> {
    fn new(disk: D) -> Self {
        let mut owner = Self { disk, store: None, copy: None, keys: Vec::new() };
        assert_eq!(owner.open(), "opened", "a new one");
        owner
    }

    fn open(&mut self) -> String {
        let Found { store, set_aside, interrupted, open, blocked } = match self.disk.open(&|line| line == "careful") {
            Ok(found) => found,
            // The path is the disk's own.
            Err(error) => return error.to_string().replace(&self.disk.name(), "it"),
        };
        self.store = Some(store);
        let number = |open: &Ticket| (0..=9).find(|n| ticket(*n) == *open).expect("one of ours").to_string();
        let mut told = vec!["opened".to_owned()];
        told.extend(set_aside.map(|_| "one was set aside".to_owned()));
        told.extend(interrupted.iter().map(|pulse| format!("{} was interrupted", show(pulse))));
        told.extend((!open.is_empty()).then(|| format!("open: {}", open.iter().map(number).collect::<Vec<_>>().join(" "))));
        told.extend(blocked.iter().map(|Block { line, why, order }| format!("{line} blocked by {order}: {why}")));
        told.join("; ")
    }

    fn ask(&mut self, call: Call) -> String {
        let store = self.store.as_mut().expect("open");
        let item = claims().item;
        let done = |result: Result<(), StoreError>| result.map(|()| "done".to_owned());
        let answer = match call {
            Call::Add(n, amount) => done(store.add_ticket(&ticket(n), &item, rupiah(amount))),
            Call::Close(n) => done(store.close(&ticket(n))),
            Call::Begin(sale, line) => done(store.begin(&receipt(sale), line)),
            Call::End(n, outcome, why) => done(store.end(&order(n), outcome, "told", why)),
            Call::Clear(line) => done(store.clear(line)),
            Call::Mark => done(store.mark()),
            Call::Probe => done(store.probe()),
            Call::Ticket(n) => store.ticket(&ticket(n)).and_then(|entry| {
                let number = store.number(&ticket(n))?.map_or_else(String::new, |number| format!(", the {number}. to leave"));
                Ok(match entry {
                    None => format!("unknown{number}"),
                    Some(TicketEntry::Open { item, amount }) => format!("open for {item} at {}{number}", amount.get()),
                    Some(TicketEntry::Used(order)) => format!("used for {order}{number}"),
                    Some(TicketEntry::Closed) => format!("closed{number}"),
                })
            }),
            Call::Pulse(n) => store.pulse(&order(n)).map(|pulse| pulse.as_ref().map_or_else(|| "unknown".to_owned(), show)),
            Call::IsSecond(sale) => store.is_second(&receipt(sale)).map(|is_second| is_second.to_string()),
            Call::Key => {
                let key = RelayKey::of(store.key());
                let seen = self.keys.iter().position(|seen| *seen == key);
                let seen = seen.unwrap_or_else(|| {
                    self.keys.push(key);
                    self.keys.len() - 1
                });
                Ok(format!("key {seen}"))
            }
            Call::OpenTwice => match self.disk.open(&|_| true) {
                Ok(_) => Ok("two have it open".to_owned()),
                Err(error) => Err(error),
            },
            Call::Restart(harm) => {
                self.disk.take_back(self.store.take().expect("open"));
                match (harm, &self.copy) {
                    (Harm::Copied, _) => self.copy = Some(self.disk.copy()),
                    (Harm::Lost, _) => self.disk.lose(),
                    (Harm::PutBack { with_mark }, Some(copy)) => self.disk.put_back(copy, with_mark),
                    (Harm::Nothing, _) | (Harm::PutBack { .. }, None) => {}
                }
                Ok(self.open())
            }
        };
        answer.unwrap_or_else(|error| error.to_string().replace(&self.disk.name(), "it"))
    }
}

fn show(pulse: &Pulse) -> String {
    let Pulse { order, request, item, amount, line, entry, detail } = pulse;
    format!("{order} of {request}, {item} at {} on {line}: {entry:?} ({detail})", amount.get())
}

/// Asks both, and gives both answers.
fn both(calls: impl IntoIterator<Item = Call>) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let mut database = Owner::new(File(directory.path().join("ledger.db")));
    let mut memory = Owner::new(Memory::new(1));
    let mut so_far = String::new();
    let mut ask = |call| {
        let said = database.ask(call);
        assert_eq!(memory.ask(call), said, "memory and database asked {call:?}, after\n{so_far}");
        so_far += &format!("{call:?}: {said}\n");
        said
    };
    calls.into_iter().map(&mut ask).collect()
}

const STANDS: &str = "the ledger cannot be read or written: a ticket is used or closed once, and nothing else of it changes";
const ENDED: &str = "the ledger cannot be read or written: a pulse gets its outcome once, and nothing else of it changes";
const UNFIT: &str = "the ledger cannot be read or written: a pulse begins with its ticket used for it, and without an outcome";
const SECOND_OWNER: &str = "the database it is in use: another process has it; end one of the two";

fn one_only(column: &str) -> String {
    format!("the ledger cannot be read or written: UNIQUE constraint failed: {column}")
}

#[test]
fn memory_and_database_answer_the_same() {
    use Call::{Add, Begin, Clear, Close, End, IsSecond, Key, Mark, OpenTwice, Probe, Pulse, Restart, Ticket};
    use Outcome::{Dispensed, Failed};
    let text = str::to_owned;
    // A row: its subject, and the calls, each with its answer.
    let table = [
        (
            "a ticket is used or closed once",
            vec![
                (Ticket(1), text("unknown")),
                (Add(1, 5000), text("done")),
                (Add(1, 6000), one_only("tickets.ticket")),
                (Ticket(1), text("open for A1 at 5000")),
                (Close(1), text("done")),
                (Ticket(1), text("closed, the 1. to leave")),
                (Close(1), text(STANDS)),
                (Begin(sale(1), "a"), text(STANDS)),
                (Add(1, 5000), one_only("tickets.ticket")),
                (Add(2, 5000), text("done")),
                (Begin(sale(2), "a"), text("done")),
                (Ticket(2), text("used for o-2, the 2. to leave")),
                (Close(2), text(STANDS)),
                (Close(3), format!("the ledger is damaged: ticket {} is gone", ticket(3))),
                (Begin(sale(3), "b"), format!("the ledger is damaged: ticket {} is gone", ticket(3))),
            ],
        ),
        (
            "a pulse is for its ticket, the first of its order, request and transaction, and alone on its line",
            vec![
                (Add(1, 5000), text("done")),
                (Add(2, 5000), text("done")),
                (Begin(sale(1), "a"), text("done")),
                (Begin(Sale { amount: 6000, ..sale(2) }, "b"), text(UNFIT)),
                (Begin(sale(2), "a"), one_only("pulses.line")),
                (Begin(Sale { transaction: 1, ..sale(2) }, "b"), one_only("pulses.transaction_id")),
                (Begin(Sale { request: 1, ..sale(2) }, "b"), one_only("pulses.request_id")),
                (Begin(Sale { order: 1, ..sale(2) }, "b"), one_only("pulses.order_id")),
                (IsSecond(sale(1)), text("false")),
                (IsSecond(sale(2)), text("false")),
                (IsSecond(Sale { request: 1, ..sale(2) }), text("true")),
                (IsSecond(Sale { transaction: 1, ..sale(2) }), text("true")),
                (Ticket(2), text("open for A1 at 5000")),
                (Pulse(2), text("unknown")),
                (Begin(sale(2), "b"), text("done")),
                (Ticket(2), text("used for o-2, the 2. to leave")),
            ],
        ),
        (
            "a pulse ends once, and its line is blocked with it",
            vec![
                (Add(1, 5000), text("done")),
                (End(1, Failed, Some("empty")), text("the ledger is damaged: order o-1 is gone")),
                (Begin(sale(1), "a"), text("done")),
                (Pulse(1), text("o-1 of r-1, A1 at 5000 on a: Driving ()")),
                (End(1, Failed, Some("empty")), text("done")),
                (End(1, Dispensed, Some("again")), text(ENDED)),
                (Pulse(1), text("o-1 of r-1, A1 at 5000 on a: Ended(Failed) (told)")),
                (Add(2, 5000), text("done")),
                (Begin(sale(2), "a"), text("done")),
                (End(2, Failed, Some("still empty")), text("done")),
                (Restart(Harm::Nothing), text("opened; a blocked by o-2: still empty")),
                (Clear("b"), text("done")),
                (Clear("a"), text("done")),
                (Restart(Harm::Nothing), text("opened")),
            ],
        ),
        (
            "a restart keeps all, and what was driven is uncertain",
            vec![
                (Key, text("key 0")),
                (Add(1, 5000), text("done")),
                (Add(2, 5000), text("done")),
                (Add(4, 7000), text("done")),
                (Add(3, 5000), text("done")),
                (Begin(sale(2), "careful"), text("done")),
                (Begin(sale(1), "a"), text("done")),
                (Mark, text("done")),
                (OpenTwice, text(SECOND_OWNER)),
                (
                    Restart(Harm::Nothing),
                    text(
                        "opened; o-2 of r-2, A1 at 5000 on careful: Ended(Uncertain) (the program ended while the line was driven) was \
                         interrupted; o-1 of r-1, A1 at 5000 on a: Ended(Uncertain) (the program ended while the line was driven) was \
                         interrupted; open: 4 3; careful blocked by o-2: nobody knows whether its last order came out",
                    ),
                ),
                (Pulse(1), text("o-1 of r-1, A1 at 5000 on a: Ended(Uncertain) (the program ended while the line was driven)")),
                (End(1, Dispensed, None), text(ENDED)),
                (Ticket(4), text("open for A1 at 7000")),
                (Close(4), text("done")),
                (Ticket(4), text("closed, the 3. to leave")),
                (Restart(Harm::Nothing), text("opened; open: 3; careful blocked by o-2: nobody knows whether its last order came out")),
                (Key, text("key 0")),
            ],
        ),
        (
            "a lost ledger knows nothing, and signs with another key",
            vec![
                (Key, text("key 0")),
                (Add(1, 5000), text("done")),
                (Begin(sale(1), "a"), text("done")),
                (End(1, Failed, Some("empty")), text("done")),
                (Probe, text("done")),
                (Restart(Harm::Lost), text("opened")),
                (Key, text("key 1")),
                (Ticket(1), text("unknown")),
                (Pulse(1), text("unknown")),
                (Add(1, 5000), text("done")),
                (Close(1), text("done")),
                (Ticket(1), text("closed, the 1. to leave")),
                (Restart(Harm::Nothing), text("opened")),
                (Key, text("key 1")),
            ],
        ),
        (
            "a ledger that was put back is set aside if its mark knows better",
            vec![
                (Key, text("key 0")),
                (Add(1, 5000), text("done")),
                (Add(2, 5000), text("done")),
                (Restart(Harm::Copied), text("opened; open: 1 2")),
                (Close(1), text("done")),
                (Mark, text("done")),
                (Restart(Harm::PutBack { with_mark: false }), text("opened; one was set aside")),
                (Key, text("key 1")),
                (Ticket(1), text("unknown")),
                (Restart(Harm::PutBack { with_mark: false }), text("opened; open: 1 2")),
                (Key, text("key 0")),
            ],
        ),
        (
            "without a mark, or with one of its own age, nobody sees that it was put back",
            vec![
                (Key, text("key 0")),
                (Add(1, 5000), text("done")),
                (Restart(Harm::Copied), text("opened; open: 1")),
                (Close(1), text("done")),
                (Restart(Harm::PutBack { with_mark: false }), text("opened; open: 1")),
                (Begin(sale(1), "a"), text("done")),
                (Mark, text("done")),
                (Restart(Harm::PutBack { with_mark: true }), text("opened; open: 1")),
                (Key, text("key 0")),
                (Close(1), text("done")),
                (Ticket(1), text("closed, the 1. to leave")),
            ],
        ),
        (
            "a mark outlives a lost ledger until another begins",
            vec![
                (Add(1, 5000), text("done")),
                (Restart(Harm::Copied), text("opened; open: 1")),
                (Close(1), text("done")),
                (Mark, text("done")),
                (Restart(Harm::Lost), text("opened")),
                (Restart(Harm::PutBack { with_mark: false }), text("opened; open: 1")),
            ],
        ),
    ];
    for (what, rows) in table {
        let told = both(rows.iter().map(|(call, _)| *call));
        for (n, ((call, expected), said)) in rows.iter().zip(&told).enumerate() {
            assert_eq!(said, expected, "{what}: {call:?}, which is call {n}");
        }
    }
}

/// Random calls, on few things, so that the calls meet.
#[test]
fn memory_and_database_answer_the_same_to_calls_in_any_order() {
    let mut told = Vec::new();
    for seed in 0..20 {
        let mut rng = Rng::new(seed);
        told.extend(both(std::iter::repeat_with(|| any(&mut rng)).take(200)));
    }
    let columns = ["tickets.ticket", "pulses.line", "pulses.transaction_id", "pulses.request_id", "pulses.order_id"];
    let mut met: Vec<_> =
        [STANDS, ENDED, UNFIT, SECOND_OWNER, "is gone", "was interrupted", "was set aside", "blocked by"].map(str::to_owned).into();
    met.extend(columns.map(one_only));
    for words in met {
        assert!(told.iter().any(|said| said.contains(&words)), "nobody met: {words}");
    }
}

fn any(rng: &mut Rng) -> Call {
    let mut draw = |n: u64| u8::try_from(rng.below(n)).expect("small");
    let line = ["a", "careful"][usize::from(draw(2))];
    let sold = {
        let n = draw(8);
        // Mostly on one thing.
        let mut near = |n: u8| if draw(6) == 0 { draw(8) } else { n };
        Sale { order: near(n), ticket: near(n), request: near(n), transaction: near(n), amount: 5000 }
    };
    let sold = Sale { amount: if draw(6) == 0 { 6000 } else { 5000 }, ..sold };
    let n = draw(8);
    match draw(24) {
        0..4 => Call::Add(n, sold.amount),
        4..6 => Call::Close(n),
        6..11 => Call::Begin(sold, line),
        11 => Call::End(n, Outcome::Failed, Some("empty")),
        12..14 => Call::End(n, Outcome::Dispensed, None),
        14 => Call::Clear(line),
        15 => Call::Mark,
        16 => Call::Probe,
        17 => Call::Ticket(n),
        18 => Call::Pulse(n),
        19 => Call::IsSecond(sold),
        20 => Call::Key,
        21 => Call::OpenTwice,
        22 => Call::Restart(Harm::Nothing),
        _ => Call::Restart(match draw(6) {
            0..3 => Harm::Copied,
            3 => Harm::Lost,
            4 => Harm::PutBack { with_mark: false },
            _ => Harm::PutBack { with_mark: true },
        }),
    }
}

fn config() -> Config {
    let line = Line {
        name: "tray 1".into(),
        items: Items::Any,
        min_amount: rupiah(1000),
        outlet: Arc::new(PulsedLine::single(Pin::of(Chip::Sim("/nowhere".into()), false), Span::millis(500))),
        block_on_uncertain: false,
        clear_button: None,
    };
    Config {
        device: claims().aud,
        bus: BusAddress::Session,
        keys: keys(),
        ledger: "/nowhere".into(),
        lines: vec![line],
        buttons: Vec::new(),
    }
}

#[test]
fn a_dispenser_and_its_copy_go_ways_of_their_own_and_each_is_as_it_was_after_a_restart() {
    let mut driving = Dispenser::begin_on(Memory::new(1), &config());
    let given = driving.prepare("vm-001", "A1", 5000, [1; 16]).expect("a ticket");
    assert_eq!(given, ticket(1));
    let key = driving.key();
    let mut closing = driving.clone();
    let jws = receipt(sale(1)).jws().to_owned();
    assert_eq!(driving.dispense(&jws), Ok(Dispensed::Begun(order(1))));
    assert!(matches!(driving.take_effects()[..], [Effect::Deliver(0, _), Effect::Journal(_)]));
    assert_eq!((closing.take_effects(), closing.tickets()), (vec![], vec![given.clone()]), "the copy drives nothing");
    assert_eq!(closing.close(given.as_str()), Ok(CloseAnswer::Closed));
    assert_eq!(driving.close(given.as_str()), Ok(CloseAnswer::Dispensing));

    let mut driving = Dispenser::begin_on(driving.into_disk(), &config());
    assert!(matches!(driving.take_effects()[..], [Effect::Journal(Event::OutcomeUncertain { .. })]));
    let uncertain = DispenseAnswer::Ended(Outcome::Uncertain);
    assert!(matches!(driving.dispense(&jws), Ok(Dispensed::Known(answer, _)) if answer == uncertain), "never twice");

    let mut disk = closing.into_disk();
    let mut closed = Dispenser::begin_on(disk.clone(), &config());
    assert_eq!(closed.dispense(&jws).map_err(|refusal| refusal.error), Err(RelayError::UnknownTicket));
    assert!(closed.key() == key && driving.key() == key, "one ledger, one key");
    disk.lose();
    let other = Dispenser::begin_on(disk, &config());
    assert_ne!(other.key(), key);
}
