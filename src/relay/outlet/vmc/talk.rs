//! The talk with a board: what is said at each poll, and how a job ends. It does no I/O, and it is handed the time.
//!
//! No paper says whether a board carries out a repeated frame twice. So `06`, the frame that turns a motor, goes out once for a job.

use super::frame::{Data, Decoder, Frame};
use crate::outlet::Ending;
use qris_core::order::outcome::Outcome;
use qris_core::order::time::{Boot, Span};
use std::collections::{BTreeMap, BTreeSet};

const READY: u8 = 0x01;
const SLOT_IS: u8 = 0x02;
const STATUS: u8 = 0x04;
const DRIVE: u8 = 0x06;
const SYNC: u8 = 0x31;
const MENU: u8 = 0x70;
/// In the menu: forget the jams of all slots. Nothing turns.
const CLEAR_JAMS: [u8; 2] = [0x32, 0x01];
const SENSOR_ON: u8 = 1;
const NO_LIFT: u8 = 0;
/// A board polls at least every 2 s, whatever it is set to.
const SILENT_AFTER: Span = Span::secs(3);
/// A frame of the longest size lasts 45 ms. What is begun and stands still for longer is junk.
const FRAME_WITHIN: Span = Span::millis(50);
/// A harmless frame without an ACK goes again with the same number, up to 5 times, as the maker says.
const SENT_MAX: u32 = 6;
/// A question that the board took gets its answer within this time, or is asked anew.
const ANSWER_WITHIN: Span = Span::millis(500);
/// The board may answer our `31` with one of its own. Later ones say that it has started anew.
const SYNC_ANSWER_WITHIN: Span = Span::secs(2);
const ASKED_MAX: u32 = 3;
/// An answer about a slot is good for a ticket for this time.
const FRESH_FOR: Span = Span::millis(500);
/// After any end but "came", a slot must be silent for this time before it is driven again: a status names no order.
const QUIET_AFTER_DOUBT: Span = Span::secs(10);
/// After "came". The board may tell that once more, with another number.
const QUIET_AFTER_END: Span = Span::secs(2);

/// 1 to 999: the board takes 0 as the whole machine and 1000 and more as trays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(u16);

/// Whose count says that a slot is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoardStock {
    /// Ours alone.
    Ignore,
    /// That of the board, too.
    Count,
}

/// What is to be written to the board.
#[derive(Debug, Default)]
pub struct Said {
    pub bytes: Vec<u8>,
    /// Where the frame begins that turns a motor.
    drive_at: Option<usize>,
}

#[derive(Debug)]
pub struct Talk {
    decoder: Decoder,
    heard_at: Boot,
    /// The number of our next exchange.
    number: u8,
    /// The board's last data: the same once more is a repeat, since our ACK was lost.
    last: Option<Data>,
    link: Link,
    sync_is_due: bool,
    /// A `31` of the board until then is the answer to ours.
    sync_answer_until: Boot,
    asked: Option<Asked>,
    wanted: BTreeSet<Slot>,
    clear_is_wanted: bool,
    answers: BTreeMap<Slot, (Boot, u8)>,
    job: Option<Work>,
    ended: Option<Ending>,
    /// When each slot may be driven again.
    quiet_until: BTreeMap<Slot, Boot>,
    /// Slots of which the board said "came" while no job of theirs waited for it.
    late: BTreeSet<Slot>,
}

#[derive(Debug)]
enum Link {
    Away(String),
    /// Open since then, or polled then. Has the board taken our `31`?
    There {
        at: Boot,
        synced: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Sync,
    Ready(Slot),
    Clear,
}

#[derive(Debug)]
struct Asked {
    question: Question,
    frame: Data,
    /// How often this frame went out, and how many frames asked the same.
    sent: u32,
    rounds: u32,
    /// When the board took it.
    taken_at: Option<Boot>,
}

#[derive(Debug)]
struct Work {
    slot: Slot,
    until: Boot,
    sent: bool,
    /// The board acknowledged it, or says that it dispenses. An end before that belongs to an earlier job.
    is_own: bool,
    strange: Option<u8>,
}

/// What a status says of a job.
#[derive(Debug, PartialEq, Eq)]
enum Status {
    Dispensing,
    GoesOn,
    Came,
    /// Surely nothing came.
    Nothing(&'static str),
    Doubtful,
    Unknown,
}

impl Status {
    /// The codes are counted as if they were decimal.
    const fn of(code: u8) -> Self {
        match code {
            0x01 => Self::Dispensing,
            0x10 | 0x11 | 0x14 | 0x16 | 0x18 | 0x19 | 0x21..=0x24 | 0x26 => Self::GoesOn,
            0x02 => Self::Came,
            0x03 => Self::Nothing("jammed: its sensor saw nothing"),
            0x06 => Self::Nothing("it has no such motor"),
            0x04 | 0x07 | 0x0a | 0x12 | 0x13 | 0x15 | 0x17 | 0x20 | 0x25 | 0x27..=0x29 | 0x30..=0x32 | 0xff => Self::Doubtful,
            _ => Self::Unknown,
        }
    }
}

impl Slot {
    pub fn new(number: i64) -> Option<Self> {
        u16::try_from(number).ok().filter(|number| (1..1000).contains(number)).map(Self)
    }

    pub const fn get(self) -> u16 {
        self.0
    }

    fn read(text: &[u8]) -> Option<Self> {
        let [_, high, low, ..] = text else { return None };
        Self::new(i64::from(u16::from_be_bytes([*high, *low])))
    }
}

impl Talk {
    pub fn new(now: Boot) -> Self {
        Self {
            decoder: Decoder::default(),
            heard_at: now,
            // Not the same after each start: a board that looks at numbers could take it for a repeat.
            number: u8::try_from(now.0.rem_euclid(255) + 1).expect("1 to 255"),
            last: None,
            link: Link::Away("it was not opened yet".into()),
            sync_is_due: true,
            sync_answer_until: now,
            asked: None,
            wanted: BTreeSet::new(),
            clear_is_wanted: false,
            answers: BTreeMap::new(),
            job: None,
            ended: None,
            quiet_until: BTreeMap::new(),
            late: BTreeSet::new(),
        }
    }

    /// The port was opened, and holds no old bytes.
    pub fn opened(&mut self, now: Boot) {
        self.decoder = Decoder::default();
        self.asked = None;
        self.sync_is_due = true;
        self.link = Link::There { at: now, synced: false };
    }

    /// The port is gone, or cannot be opened. What was on its way is in doubt.
    pub fn gone(&mut self, why: String, now: Boot) {
        self.end_by_doubt(&why, now);
        self.asked = None;
        self.answers.clear();
        self.link = Link::Away(why);
    }

    /// The write failed after so many bytes.
    pub fn unwritten(&mut self, said: &Said, written: usize) {
        if let (Some(job), Some(at)) = (&mut self.job, said.drive_at) {
            // Not one byte of it left.
            job.sent = written > at;
        }
    }

    /// Can it be driven now, as far as one can know without a question? The error is the reason.
    pub fn health(&self, now: Boot) -> Result<(), String> {
        match &self.link {
            Link::Away(why) => Err(why.clone()),
            Link::There { at, .. } if now - *at > SILENT_AFTER => {
                Err("the board sends nothing any more: look at its power and its cable".into())
            }
            Link::There { synced: false, .. } => {
                Err("the board does not take our first frame yet: look at the cable's other direction".into())
            }
            Link::There { synced: true, .. } => Ok(()),
        }
    }

    /// Says the board that this slot can be driven? `None`: it is asked, and the answer comes soon.
    pub fn ready(&mut self, slot: Slot, stock: BoardStock, now: Boot) -> Option<Result<(), String>> {
        if let Err(why) = self.health(now) {
            return Some(Err(why));
        }
        if self.job.is_some() {
            return Some(Err("the board drives another slot".into()));
        }
        if self.quiet_until.get(&slot).is_some_and(|until| *until - now > QUIET_AFTER_END) {
            return Some(Err("its last job ended in doubt a moment ago: try again in ten seconds".into()));
        }
        match self.answers.get(&slot) {
            Some((at, state)) if now - *at <= FRESH_FOR => Some(may_be_driven(*state, stock)),
            Some(_) | None => {
                self.wanted.insert(slot);
                None
            }
        }
    }

    /// Begins a job. The error is why it cannot.
    pub fn begin(&mut self, slot: Slot, until: Boot, now: Boot) -> Result<(), String> {
        self.health(now)?;
        if self.job.is_some() {
            return Err("the board drives another slot".into());
        }
        (self.ended, self.job) = (None, Some(Work { slot, until, sent: false, is_own: false, strange: None }));
        self.wanted.clear();
        Ok(())
    }

    /// How the job ended; told once.
    pub fn take_end(&mut self, now: Boot) -> Option<Ending> {
        if let Some(job) = &self.job {
            match (job.sent, self.health(now)) {
                (false, Err(why)) => self.end(Ending::not_driven(why), now),
                (false, Ok(())) if now >= job.until => self.end(Ending::not_driven("the board did not become free in time"), now),
                (true, _) if now >= job.until => self.end_by_doubt("the board told no end in time", now),
                (false, Ok(())) | (true, _) => {}
            }
        }
        self.ended.take()
    }

    /// Nobody waits for the job any more. The motor goes on: nothing stops it.
    pub fn abandon(&mut self, now: Boot) {
        if self.job.as_ref().is_some_and(|job| !job.sent) {
            self.end(Ending::not_driven("stopped before it began"), now);
        }
        self.end_by_doubt("stopped before the board told an end", now);
    }

    /// A stop came. The answer is how the job ended.
    pub fn stop(&mut self, now: Boot) -> Ending {
        self.abandon(now);
        self.ended.take().unwrap_or_else(|| Ending::uncertain("stopped".into()))
    }

    /// A person has looked: the board shall forget its jams.
    pub fn clear(&mut self) {
        self.clear_is_wanted = true;
    }

    /// Did the board say that goods of this slot came, while no job waited for them? Told once.
    pub fn came_late(&mut self, slot: Slot) -> bool {
        self.late.remove(&slot)
    }

    /// Takes what came from the board. The answer must be written within 100 ms.
    pub fn heard(&mut self, bytes: &[u8], now: Boot) -> Said {
        let mut frames = if now - self.heard_at > FRAME_WITHIN { self.decoder.give_up() } else { vec![] };
        self.heard_at = now;
        frames.extend(self.decoder.push(bytes));
        let last_poll = frames.iter().rposition(|frame| *frame == Frame::Poll);
        let mut said = Said::default();
        for (index, frame) in frames.into_iter().enumerate() {
            match frame {
                Frame::Poll => {
                    if let Link::There { at, .. } = &mut self.link {
                        *at = now;
                    }
                    // Of several that waited together only the last is fresh.
                    let word = if Some(index) == last_poll { self.word(now) } else { None };
                    if word.as_ref().is_some_and(|word| word.command == DRIVE) {
                        said.drive_at = Some(said.bytes.len());
                    }
                    said.bytes.extend(word.map_or(Frame::Ack, Frame::Data).encode());
                }
                Frame::Ack => self.acknowledged(now),
                Frame::Data(data) => {
                    said.bytes.extend(Frame::Ack.encode());
                    if self.last.as_ref() != Some(&data) {
                        self.told(&data, now);
                        self.last = Some(data);
                    }
                }
            }
        }
        said
    }

    /// The one command for this poll, if there is one.
    fn word(&mut self, now: Boot) -> Option<Data> {
        self.drop_what_has_no_answer(now);
        if let Some(asked) = &mut self.asked {
            if asked.taken_at.is_none() {
                asked.sent += 1;
                return Some(asked.frame.clone());
            }
            self.job.as_ref()?;
            self.asked = None;
        }
        if std::mem::take(&mut self.sync_is_due) {
            self.sync_answer_until = now + SYNC_ANSWER_WITHIN;
            return Some(self.ask(Question::Sync, 1));
        }
        if let Link::Away(_) | Link::There { synced: false, .. } = self.link {
            return None;
        }
        let driven = match &mut self.job {
            Some(Work { sent: true, .. }) => return None,
            Some(job) if self.quiet_until.get(&job.slot).is_some_and(|until| now < *until) || now >= job.until => return None,
            Some(job) => {
                job.sent = true;
                Some(job.slot)
            }
            None => None,
        };
        if let Some(slot) = driven {
            let [high, low] = slot.0.to_be_bytes();
            return Some(self.frame(DRIVE, vec![SENSOR_ON, NO_LIFT, high, low]));
        }
        if std::mem::take(&mut self.clear_is_wanted) {
            return Some(self.ask(Question::Clear, 1));
        }
        let slot = self.wanted.pop_first()?;
        Some(self.ask(Question::Ready(slot), 1))
    }

    fn drop_what_has_no_answer(&mut self, now: Boot) {
        let Some(asked) = &self.asked else { return };
        let (question, rounds) = (asked.question, asked.rounds);
        let is_over = match asked.taken_at {
            None => asked.sent >= SENT_MAX,
            Some(at) => now - at > ANSWER_WITHIN,
        };
        if !is_over {
            return;
        }
        self.asked = None;
        match question {
            Question::Sync => self.sync_is_due = true,
            Question::Clear => self.clear_is_wanted = true,
            Question::Ready(_) if rounds >= ASKED_MAX || self.job.is_some() => {}
            Question::Ready(slot) => {
                // It is sent by the caller, since it has no ACK yet.
                self.ask(Question::Ready(slot), rounds + 1);
                self.asked.iter_mut().for_each(|asked| asked.sent = 0);
            }
        }
    }

    fn ask(&mut self, question: Question, rounds: u32) -> Data {
        let frame = match question {
            Question::Sync => self.frame(SYNC, vec![]),
            Question::Ready(slot) => self.frame(READY, slot.0.to_be_bytes().to_vec()),
            Question::Clear => self.frame(MENU, CLEAR_JAMS.to_vec()),
        };
        self.asked = Some(Asked { question, frame: frame.clone(), sent: 1, rounds, taken_at: None });
        frame
    }

    fn frame(&mut self, command: u8, text: Vec<u8>) -> Data {
        let number = self.number;
        self.number = number.checked_add(1).unwrap_or(1);
        Data { command, number, text }
    }

    fn acknowledged(&mut self, now: Boot) {
        match &mut self.asked {
            Some(asked) => {
                let taken_before = asked.taken_at.is_some();
                asked.taken_at = Some(asked.taken_at.unwrap_or(now));
                match asked.question {
                    _ if taken_before => {}
                    Question::Sync => {
                        self.is_synced();
                        self.asked = None;
                    }
                    Question::Clear => self.asked = None,
                    Question::Ready(_) => {}
                }
            }
            None => {
                if let Some(job) = self.job.as_mut().filter(|job| job.sent) {
                    job.is_own = true;
                }
            }
        }
    }

    fn is_synced(&mut self) {
        if let Link::There { synced, .. } = &mut self.link {
            *synced = true;
        }
    }

    /// Data that were not told before.
    fn told(&mut self, data: &Data, now: Boot) {
        match data.command {
            SYNC => self.began_anew(now),
            SLOT_IS => {
                let Some(slot) = Slot::read(&data.text) else { return };
                if self.asked.as_ref().is_some_and(|asked| asked.question == Question::Ready(slot)) {
                    self.asked = None;
                    self.answers.insert(slot, (now, data.text[0]));
                }
            }
            STATUS => {
                if let (Some(slot), Some(code)) = (Slot::read(&data.text), data.text.first()) {
                    self.status(slot, *code, now);
                }
            }
            // Its keys, its money, its stock.
            _ => {}
        }
    }

    /// The board has started, or answers our own `31`.
    fn began_anew(&mut self, now: Boot) {
        self.end_by_doubt("the board started anew", now);
        self.asked = None;
        self.answers.clear();
        if now < self.sync_answer_until {
            // One answer is enough: two that answer each other would never end.
            self.sync_answer_until = now;
            self.is_synced();
        } else {
            self.sync_is_due = true;
        }
    }

    fn status(&mut self, slot: Slot, code: u8, now: Boot) {
        let job = self.job.as_mut().filter(|job| job.sent && job.slot == slot);
        let (status, Some(job)) = (Status::of(code), job) else { return self.status_without_job(slot, code, now) };
        if status == Status::Dispensing {
            job.is_own = true;
        }
        if !job.is_own {
            return self.status_without_job(slot, code, now);
        }
        match status {
            Status::Dispensing | Status::GoesOn => {}
            Status::Unknown => job.strange = Some(code),
            Status::Came => self.end(Ending::dispensed("the board says that it came".into()), now),
            Status::Nothing(why) => self.end(Ending::failed(format!("the board says: {why}")), now),
            Status::Doubtful => self.end_by_doubt(&format!("the board ended it with status {code:02X}"), now),
        }
    }

    /// An end that no job waits for is never the end of the next one.
    fn status_without_job(&mut self, slot: Slot, code: u8, now: Boot) {
        if Status::of(code) == Status::Came {
            self.late.insert(slot);
        }
        self.be_quiet(slot, QUIET_AFTER_DOUBT, now);
    }

    fn be_quiet(&mut self, slot: Slot, span: Span, now: Boot) {
        self.quiet_until.insert(slot, now + span);
    }

    fn end(&mut self, ending: Ending, now: Boot) {
        let Some(job) = self.job.take() else { return };
        if job.sent {
            self.be_quiet(job.slot, if ending.outcome == Outcome::Dispensed { QUIET_AFTER_END } else { QUIET_AFTER_DOUBT }, now);
        }
        self.answers.remove(&job.slot);
        self.ended = Some(ending);
    }

    /// The end of a job whose frame went out, and of which nobody knows how it ended.
    fn end_by_doubt(&mut self, why: &str, now: Boot) {
        let Some(Work { sent: true, is_own, strange, .. }) = self.job else { return };
        let taken = if is_own { "" } else { "; it did not acknowledge the command" };
        let strange = strange.map(|code| format!("; it told the unknown status {code:02X}")).unwrap_or_default();
        self.end(Ending::uncertain(format!("{why}{taken}{strange}")), now);
    }
}

/// The answer to a ticket, by the state of a slot.
fn may_be_driven(state: u8, stock: BoardStock) -> Result<(), String> {
    let why = match (state, stock) {
        (0x01, _) | (0x02, BoardStock::Ignore) => return Ok(()),
        (0x02, BoardStock::Count) => "by the board's own count it is empty",
        (0x03, _) => "the board has no such slot",
        (0x04, _) => "the board has paused it",
        (0x05, _) => "goods lie in the lift",
        (0x06, _) => "the delivery door is not shut",
        _ => return Err(format!("the board cannot drive it: state {state:02X}")),
    };
    Err(why.into())
}
