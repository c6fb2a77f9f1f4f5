//! Jobs at a simulated board, in the time of the test. Last a board at a terminal, from `relay.toml` to the wire.

use super::board::{Board, Does, Random};
use super::frame::{Data, Frame};
use super::talk::{BoardStock, Slot, Talk};
use crate::config::Config;
use crate::outlet::Ending;
use crate::tests::{begin, service};
use crate::threads::ThreadReport;
use qris_core::order::keys::jwk_set;
use qris_core::order::outcome::Outcome;
use qris_core::order::receipt::testing::{ISSUER, key};
use qris_core::order::time::{Boot, Span};
use qris_core::wire::dbus::DispenseAnswer;
use qris_host::clock;
use qris_host::config::Source;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};

const WITHIN: Span = Span::secs(60);

fn slot(number: i64) -> Slot {
    Slot::new(number).expect("a slot")
}

/// A board and the talk with it, on one wire.
struct Wire {
    board: Board,
    talk: Talk,
    now: Boot,
    /// Each `06` that went out.
    drives: usize,
    /// Spoils what the board sends.
    noise: Option<Random>,
}

impl Wire {
    fn new() -> Self {
        let now = Boot(1_000_000);
        let mut wire = Self { board: Board::new(now), talk: Talk::new(now), now, drives: 0, noise: None };
        wire.talk.opened(now);
        wire.run(1_000);
        assert_eq!(wire.talk.health(wire.now), Ok(()));
        wire
    }

    /// Lets so many milliseconds pass.
    fn run(&mut self, ms: i64) {
        let until = self.now + Span::millis(ms);
        while self.now < until {
            self.now = self.now + Span::millis(20);
            let bytes = self.board.tick(self.now);
            self.carry(&bytes);
        }
    }

    fn carry(&mut self, from_board: &[u8]) {
        let mut waiting = from_board.to_vec();
        if let Some(random) = &mut self.noise
            && !waiting.is_empty()
        {
            match random.below(12) {
                0 => waiting.truncate(random.below(waiting.len())),
                1 => {
                    let at = random.below(waiting.len());
                    waiting[at] ^= 1 << random.below(8);
                }
                2 => waiting.splice(0..0, [0xfa, random.byte()]).for_each(drop),
                _ => {}
            }
        }
        while !waiting.is_empty() {
            let said = self.talk.heard(&waiting, self.now);
            self.drives += super::frame::Decoder::default()
                .push(&said.bytes)
                .iter()
                .filter(|frame| matches!(frame, Frame::Data(Data { command: 0x06, .. })))
                .count();
            waiting = self.board.heard(&said.bytes);
        }
    }

    fn ready(&mut self, slot: Slot, stock: BoardStock) -> Option<Result<(), String>> {
        (0..100).find_map(|_| {
            let answer = self.talk.ready(slot, stock, self.now);
            self.run(20);
            answer
        })
    }

    /// A job to its end.
    fn sell(&mut self, slot: Slot) -> Ending {
        self.talk.begin(slot, self.now + WITHIN, self.now).expect("free");
        self.end()
    }

    fn end(&mut self) -> Ending {
        for _ in 0..10_000 {
            if let Some(ending) = self.talk.take_end(self.now) {
                return ending;
            }
            self.run(20);
        }
        panic!("it has no end");
    }
}

#[test]
fn each_status_is_the_outcome_that_the_papers_allow() {
    use Outcome::{Dispensed, Failed, Uncertain};
    for (statuses, outcome) in [
        (&[(50, 1), (3_000, 2)][..], Dispensed),
        (&[(50, 1), (3_000, 0x10), (5_000, 0x24), (9_000, 2)], Dispensed),
        // The command was acknowledged.
        (&[(3_000, 2)], Dispensed),
        (&[(50, 1), (3_000, 3)], Failed),
        (&[(50, 6)], Failed),
        (&[(50, 1), (3_000, 4)], Uncertain),
        (&[(50, 1), (3_000, 7)], Uncertain),
        (&[(50, 0x0a)], Uncertain),
        (&[(50, 1), (3_000, 0x30)], Uncertain),
        (&[(50, 1), (3_000, 0xff)], Uncertain),
        // Unknown ones end nothing.
        (&[(50, 1), (1_000, 0), (1_500, 8), (3_000, 2)], Dispensed),
        (&[(50, 1), (1_000, 0x77)], Uncertain),
        (&[(50, 1)], Uncertain),
        (&[], Uncertain),
    ] {
        for repeats in [false, true] {
            for says_twice in [false, true] {
                let mut wire = Wire::new();
                (wire.board.does, wire.board.repeats, wire.board.says_twice) = (Does::says(statuses, &[]), repeats, says_twice);
                let ending = wire.sell(slot(12));
                assert_eq!(ending.outcome, outcome, "{statuses:?}: {}", ending.detail);
                assert_eq!((wire.board.drives.as_slice(), wire.drives), ([12].as_slice(), 1), "{statuses:?}");
            }
        }
    }
}

#[test]
fn a_command_whose_ack_is_missing_is_never_sent_again() {
    for repeats in [false, true] {
        let mut wire = Wire::new();
        (wire.board.loses_ack_of, wire.board.repeats) = (Some(0x06), repeats);
        assert_eq!(wire.sell(slot(12)).outcome, Outcome::Dispensed, "its own 01 is more than an ACK");
        wire.run(60_000);
        assert_eq!((wire.drives, wire.board.drives.len()), (1, 1), "the cable is bad once, and one piece comes");

        let mut wire = Wire::new();
        (wire.board.loses_command, wire.board.repeats) = (Some(0x06), repeats);
        let ending = wire.sell(slot(12));
        assert_eq!((ending.outcome, wire.drives), (Outcome::Uncertain, 1), "{}", ending.detail);
        assert!(ending.detail.contains("did not acknowledge"), "{}", ending.detail);
    }
}

#[test]
fn silence_a_reset_and_a_port_that_is_gone_are_uncertain() {
    for does in [Does::Resets { after: 1_000, falls: vec![500] }, Does::Resets { after: 1_000, falls: vec![] }, Does::SaysOther(2)] {
        let mut wire = Wire::new();
        wire.board.does = does.clone();
        wire.run(3_000);
        assert_eq!(wire.sell(slot(12)).outcome, Outcome::Uncertain, "{does:?}");
        wire.run(11_000);
        assert_eq!(wire.ready(slot(12), BoardStock::Ignore), Some(Ok(())), "{does:?}: it is there again");
        assert_eq!(wire.drives, 1);
    }
    let mut wire = Wire::new();
    wire.talk.begin(slot(12), wire.now + WITHIN, wire.now).expect("free");
    wire.run(1_000);
    wire.board.is_silent = true;
    assert_eq!(wire.end().outcome, Outcome::Uncertain, "its polls stopped");
    assert!(wire.talk.health(wire.now).is_err());

    let mut wire = Wire::new();
    wire.talk.begin(slot(12), wire.now + WITHIN, wire.now).expect("free");
    wire.run(1_000);
    wire.talk.gone("unplugged".into(), wire.now);
    assert_eq!(wire.end().outcome, Outcome::Uncertain);
    wire.talk.opened(wire.now);
    wire.run(60_000);
    assert_eq!(wire.drives, 1);
}

#[test]
fn what_never_left_was_not_driven() {
    let mut wire = Wire::new();
    wire.talk.begin(slot(12), wire.now + WITHIN, wire.now).expect("free");
    wire.board.is_silent = true;
    assert_eq!(wire.end().outcome, Outcome::NotDriven, "no poll came");
    let mut wire = Wire::new();
    wire.talk.begin(slot(12), wire.now + WITHIN, wire.now).expect("free");
    assert_eq!(wire.talk.begin(slot(13), wire.now + WITHIN, wire.now).expect_err("one at a time"), "the board drives another slot");
    let poll = Frame::Poll.encode();
    let said = wire.talk.heard(&poll, wire.now);
    wire.talk.unwritten(&said, 0);
    wire.talk.gone("gone".into(), wire.now);
    assert_eq!(wire.end().outcome, Outcome::NotDriven, "not one byte of it was written");
    let mut wire = Wire::new();
    wire.talk.begin(slot(12), wire.now + WITHIN, wire.now).expect("free");
    let said = wire.talk.heard(&poll, wire.now);
    wire.talk.unwritten(&said, 1);
    wire.talk.gone("gone".into(), wire.now);
    assert_eq!(wire.end().outcome, Outcome::Uncertain, "a part of it was written");
}

#[test]
fn an_end_that_comes_late_is_news_and_never_the_next_jobs() {
    for (first, outcome) in [(vec![(50, 1), (3_000, 3), (9_000, 2)], Outcome::Failed), (vec![(50, 1), (66_000, 2)], Outcome::Uncertain)] {
        let mut wire = Wire::new();
        wire.board.does = Does::Says { statuses: first, falls: vec![] };
        assert_eq!(wire.sell(slot(12)).outcome, outcome);
        assert!(matches!(wire.ready(slot(12), BoardStock::Ignore), Some(Err(_))), "no ticket so soon");
        // Whoever had a ticket before waits for the silence.
        wire.board.does = Does::says(&[(50, 1), (3_000, 3)], &[]);
        assert_eq!(wire.sell(slot(12)).outcome, Outcome::Failed, "its own end, and not the late one");
        assert_eq!((wire.talk.came_late(slot(12)), wire.talk.came_late(slot(12))), (true, false), "told once");
        assert_eq!(wire.drives, 2);
    }
    // Without its own ACK and its own 01 no end is its own.
    let mut wire = Wire::new();
    (wire.board.loses_command, wire.board.does) = (Some(0x06), Does::says(&[], &[]));
    wire.talk.begin(slot(12), wire.now + WITHIN, wire.now).expect("free");
    wire.run(1_000);
    wire.board.say(0, 0x04, &[2, 0, 12]);
    assert_eq!((wire.end().outcome, wire.talk.came_late(slot(12))), (Outcome::Uncertain, true));
}

#[test]
fn a_ticket_needs_the_boards_word_and_a_clear_is_told_to_it() {
    for (state, stock, good) in [
        (1, BoardStock::Count, true),
        (2, BoardStock::Ignore, true),
        (2, BoardStock::Count, false),
        (0, BoardStock::Ignore, false),
        (3, BoardStock::Ignore, false),
        (4, BoardStock::Ignore, false),
        (6, BoardStock::Ignore, false),
        (0x17, BoardStock::Ignore, false),
        (0x99, BoardStock::Ignore, false),
    ] {
        let mut wire = Wire::new();
        wire.board.state = state;
        assert_eq!(wire.ready(slot(12), stock).map(|answer| answer.is_ok()), Some(good), "{state}");
        assert_eq!(wire.drives, 0);
    }
    let mut wire = Wire::new();
    wire.board.loses_command = Some(0x01);
    assert_eq!(wire.ready(slot(12), BoardStock::Ignore), None, "it does not answer");
    wire.talk.clear();
    wire.run(10_000);
    assert_eq!(wire.board.cleared, 1);
}

#[test]
fn whatever_the_board_does_the_promise_holds() {
    for seed in 0..400 {
        let mut random = Random(seed);
        let mut wire = Wire::new();
        wire.board.repeats = random.one_in(2);
        wire.noise = (!random.one_in(3)).then(|| random.clone());
        let mut jobs = 0;
        for _ in 0..8 {
            let mut codes: Vec<_> = (0..random.below(4))
                .map(|n| {
                    (
                        i64::try_from(1_000 * n + random.below(9_000)).expect("small"),
                        [1, 2, 3, 4, 6, 7, 0x0a, 0x10, 0xff, 0x55][random.below(10)],
                    )
                })
                .collect();
            codes.extend((!random.one_in(5)).then_some((50, 1)));
            wire.board.does = if random.one_in(6) { Does::Resets { after: 700, falls: vec![] } } else { Does::says(&codes, &[]) };
            wire.board.says_twice = random.one_in(4);
            wire.board.loses_ack_of = random.one_in(4).then_some(0x06);
            wire.board.loses_command = random.one_in(8).then_some(0x06);
            let wanted = slot(12 + i64::from(random.one_in(3)));
            let drives = wire.drives;
            if wire.talk.begin(wanted, wire.now + WITHIN, wire.now).is_err() {
                wire.run(5_000);
                continue;
            }
            jobs += 1;
            let turned = wire.board.drives.len();
            // The program is killed, the cable is pulled, or it goes to its end.
            let (ending, was_sent) = match random.below(4) {
                0 => {
                    wire.run(i64::try_from(random.below(4_000)).expect("small"));
                    wire.talk = Talk::new(wire.now);
                    wire.talk.opened(wire.now);
                    (None, wire.drives > drives)
                }
                1 => {
                    wire.run(i64::try_from(random.below(4_000)).expect("small"));
                    wire.talk.gone("unplugged".into(), wire.now);
                    wire.talk.opened(wire.now);
                    let ending = wire.end();
                    (Some(ending), wire.drives > drives)
                }
                _ => (Some(wire.end()), wire.drives > drives),
            };
            let said = |code: u8| codes.iter().any(|(_, said)| *said == code);
            let (outcome, detail) = ending.map_or((None, String::new()), |ending| (Some(ending.outcome), ending.detail));
            match outcome {
                Some(Outcome::NotDriven) => assert!(!was_sent, "seed {seed}: {detail}"),
                Some(Outcome::Dispensed) => assert!(said(2) && wire.board.drives.len() > turned, "seed {seed}: {detail}"),
                Some(Outcome::Failed) => assert!(said(3) || said(6), "seed {seed}: {detail}"),
                Some(Outcome::Uncertain) => assert!(was_sent, "seed {seed}: {detail}"),
                None => {}
            }
            wire.run(12_000);
            assert!(wire.drives <= drives + 1, "seed {seed}: one 06 for a job, ever");
            assert!(wire.board.drives.len() <= turned + 1, "seed {seed}");
        }
        assert!(wire.drives <= jobs, "seed {seed}");
        if wire.noise.is_none() {
            let board = &wire.board;
            assert_eq!((board.words, board.acks), (board.polls, board.data), "seed {seed}: each poll has its word, each frame its ACK");
        }
    }
}

/// A board at a terminal, with a thread that moves its clock.
struct AtTerminal {
    directory: tempfile::TempDir,
    path: PathBuf,
    /// Dropped: the cable is pulled.
    plug: Sender<()>,
    board: std::thread::JoinHandle<Board>,
}

fn terminal() -> (File, PathBuf) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("its other end");
    // A terminal that nobody has opened yet would echo what the board says.
    let mut settings = tcgetattr(&ours).expect("settings");
    settings.make_raw();
    tcsetattr(&ours, OptionalActions::Now, &settings).expect("raw");
    let name = std::ffi::OsString::from_vec(ptsname(&ours, Vec::new()).expect("a name").into_bytes());
    (ours.into(), name.into())
}

fn plug_in(link: &std::path::Path, mut board: Board) -> (Sender<()>, std::thread::JoinHandle<Board>) {
    let (file, name) = terminal();
    drop(std::fs::remove_file(link));
    std::os::unix::fs::symlink(name, link).expect("linked");
    rustix::fs::fcntl_setfl(&file, rustix::fs::OFlags::NONBLOCK).expect("set");
    let (plug, pulled) = channel::<()>();
    let thread = std::thread::spawn(move || {
        let mut file = file;
        while pulled.recv_timeout(std::time::Duration::from_millis(5)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let mut bytes = [0; 512];
            let read = file.read(&mut bytes).unwrap_or(0);
            let mut out = if read > 0 { board.heard(&bytes[..read]) } else { vec![] };
            out.extend(board.tick(clock::now().boot));
            // Nobody has it open yet.
            drop(file.write_all(&out));
        }
        board
    });
    (plug, thread)
}

impl AtTerminal {
    fn new(board: Board) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("keys.json"), jwk_set(&[key().to_public_jwk(ISSUER)])).expect("written");
        let path = directory.path().join("board");
        let (plug, board) = plug_in(&path, board);
        Self { directory, path, plug, board }
    }

    fn source(&self, more: &str) -> Source {
        let at = |name: &str| self.directory.path().join(name).display().to_string();
        let text = format!(
            "[device]\nid = \"vm-001\"\n[receipts]\nkeys_file = \"{}\"\n[ledger]\npath = \"{}\"\n[[line]]\nname = \"12\"\n\
             items = [\"A1\"]\nport = \"{}\"\n{more}",
            at("keys.json"),
            at("ledger.db"),
            self.path.display(),
        );
        Source::from_text("relay.toml", text)
    }
}

#[test]
fn it_sells_from_the_ledger_to_the_wire_and_comes_back_when_it_is_plugged_in() {
    let mut board = Board::new(clock::now().boot);
    board.does = Does::says(&[(50, 1), (300, 2)], &[250]);
    let mut at = AtTerminal::new(board);
    let config = Config::from_source(
        &at.source(
            "slot = 12\n[[line]]\nname = \"13\"\nitems = [\"B1\"]\nport = \"{}\"\nslot = 13\n"
                .replace("{}", &at.path.display().to_string())
                .as_str(),
        ),
    )
    .expect("good");
    assert_eq!(config.devices().len(), 1);
    let (service, mut reports) = service(&config);
    let mut hears = || loop {
        let report = reports.blocking_recv().expect("the service");
        let is_told = matches!(report, ThreadReport::Ended(..) | ThreadReport::Hardware(..));
        let ended = matches!(report, ThreadReport::Ended(..));
        service.report(report);
        if is_told {
            return ended;
        }
    };
    let answers = |item| {
        let mut is_ready = false;
        crate::tests::run(async { is_ready = service.ready(item, 5000).await.is_ok() });
        is_ready
    };
    // On a busy computer the lines were opened before the board's first words. They are opened anew, and tell that.
    while !answers("A1") {
        assert!(!hears(), "nothing is driven");
    }
    let (order, receipt) = begin(&service);
    assert!(service.with(|dispenser| dispenser.prepare("vm-001", "B1", 5000, [9; 16])).is_err(), "one job at a time");
    while !hears() {}
    let answer = service.with(|dispenser| dispenser.query(order.as_str(), 1)).expect("readable").0;
    assert_eq!(answer, DispenseAnswer::Ended(Outcome::Dispensed));
    service.with(|dispenser| dispenser.dispense(&receipt)).expect("known");
    drop(at.plug);
    let board = at.board.join().expect("the board");
    assert_eq!(board.drives, [12]);
    let states = || service.with(|dispenser| dispenser.lines()).iter().map(|line| line.state.as_str().to_owned()).collect::<Vec<_>>();
    while states() != ["blocked", "blocked"] {
        assert!(!hears(), "nothing is driven");
    }
    // It is another number now.
    (at.plug, at.board) = plug_in(&at.path, Board::new(clock::now().boot));
    while states() != ["ready", "ready"] {
        assert!(!hears(), "nothing is driven");
    }
    while !answers("B1") {
        assert!(!hears(), "nothing is driven");
    }
    drop((service, at.plug));
    assert_eq!(at.board.join().expect("the board").drives, [0; 0]);
}

#[test]
fn its_keys_are_its_own_and_a_slot_belongs_to_one_line() {
    let at = AtTerminal::new(Board::new(clock::now().boot));
    let name = at.path.display();
    for (more, want) in [
        ("slot = 0\n", "line[0].slot: must be 1 to 999, not 0".to_owned()),
        ("slot = 1000\n", "line[0].slot: must be 1 to 999, not 1000".into()),
        ("", "line[0].slot: is missing".into()),
        ("slot = 1\nwithin_s = 121\n", "line[0].within_s: must be 20 to 120, not 121".into()),
        ("slot = 1\nboard_stock = \"x\"\n", "line[0].board_stock: must be".into()),
        ("slot = 1\nsensor = {}\n", "line[0].sensor: unknown key".into()),
        (
            &format!("slot = 12\n[[line]]\nname = \"x\"\nitems = [\"*\"]\nport = \"{name}\"\nslot = 12\n"),
            format!("line[1].slot: {name} 12 is used by line[0] already"),
        ),
    ] {
        let faults = Config::from_source(&at.source(more)).expect_err("faults").to_string();
        assert!(faults.contains(&want), "{more}: {faults}");
    }
    let config = Config::from_source(&at.source("slot = 12\n")).expect("good");
    let held = crate::held::Held::of(&config.lines[0]);
    drop(std::fs::remove_file(&at.path));
    assert!(held.make_safe().is_ok(), "nothing is to be brought to rest, also if the port is away");
    assert!(config.lines[0].outlet.check().is_err());
}
