//! A simulated board. It has a clock of its own that a test moves, and keeps what really happened apart from what it says.

use super::frame::{Data, Decoder, Frame};
use qris_core::order::time::{Boot, Span};

/// A board polls so often.
const POLL_EVERY: Span = Span::millis(200);

/// Numbers from a seed (splitmix64).
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count as u64).expect("small")
    }

    pub fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// What a board does with a `06`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Does {
    /// Says these statuses so many milliseconds after the command, and drops goods at these times.
    Says { statuses: Vec<(i64, u8)>, falls: Vec<i64> },
    /// Starts anew after this time.
    Resets { after: i64, falls: Vec<i64> },
    /// Says the end of another slot.
    SaysOther(u8),
}

impl Does {
    pub fn says(statuses: &[(i64, u8)], falls: &[i64]) -> Self {
        Self::Says { statuses: statuses.to_vec(), falls: falls.to_vec() }
    }
}

#[derive(Debug)]
pub struct Board {
    pub now: Boot,
    next_poll: Boot,
    decoder: Decoder,
    number: u8,
    /// What it has to say, and when. One frame at a time is out.
    to_say: Vec<(Boot, u8, Vec<u8>)>,
    out: Option<(Data, u32)>,
    /// The last number that it saw.
    seen: Option<u8>,
    pub state: u8,
    pub does: Does,
    /// Carries out a frame with the same number once more.
    pub repeats: bool,
    pub loses_ack_of: Option<u8>,
    pub loses_command: Option<u8>,
    pub says_twice: bool,
    pub is_silent: bool,
    // What really happened.
    pub drives: Vec<u16>,
    pub falls: Vec<(Boot, u16)>,
    pub polls: u32,
    /// Words for polls, and ACKs for data.
    pub words: u32,
    pub acks: u32,
    pub data: u32,
    pub cleared: u32,
}

impl Board {
    pub fn new(now: Boot) -> Self {
        Self {
            now,
            next_poll: now,
            decoder: Decoder::default(),
            number: 0x20,
            to_say: vec![],
            out: None,
            seen: None,
            state: 1,
            does: Does::says(&[(50, 1), (3_000, 2)], &[2_900]),
            repeats: false,
            loses_ack_of: None,
            loses_command: None,
            says_twice: false,
            is_silent: false,
            drives: vec![],
            falls: vec![],
            polls: 0,
            words: 0,
            acks: 0,
            data: 0,
            cleared: 0,
        }
    }

    /// Says this of its own accord.
    pub fn say(&mut self, after: i64, command: u8, text: &[u8]) {
        self.to_say.push((self.now + Span::millis(after), command, text.to_vec()));
    }

    /// The bytes that it sends now. Its clock goes to then.
    pub fn tick(&mut self, now: Boot) -> Vec<u8> {
        self.now = now;
        if now < self.next_poll {
            return vec![];
        }
        self.next_poll = now + POLL_EVERY;
        if self.is_silent {
            return vec![];
        }
        if self.out.is_none() {
            self.to_say.sort_by_key(|(at, ..)| *at);
            if self.to_say.first().is_some_and(|(at, ..)| *at <= now) {
                let (_, command, text) = self.to_say.remove(0);
                self.number = self.number.checked_add(1).unwrap_or(1);
                self.out = Some((Data { command, number: self.number, text }, 0));
            }
        }
        match &mut self.out {
            // At most 1 + 5 times, and then it gives up.
            Some((_, sent)) if *sent > 5 => self.out = None,
            Some((data, sent)) => {
                *sent += 1;
                self.data += 1;
                return Frame::Data(data.clone()).encode();
            }
            None => {}
        }
        self.polls += 1;
        Frame::Poll.encode()
    }

    /// Takes what was sent to it. The answer is what it sends at once.
    pub fn heard(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        for frame in self.decoder.push(bytes) {
            match frame {
                Frame::Ack if self.out.is_some() => {
                    self.acks += 1;
                    self.out = None;
                }
                Frame::Ack => self.words += 1,
                Frame::Data(data) => {
                    self.words += 1;
                    if self.loses_command == Some(data.command) {
                        continue;
                    }
                    if self.loses_ack_of != Some(data.command) {
                        answer.extend(Frame::Ack.encode());
                    }
                    if self.seen.replace(data.number) != Some(data.number) || self.repeats {
                        self.carry_out(&data);
                    }
                }
                Frame::Poll => panic!("only a board polls"),
            }
        }
        answer
    }

    fn carry_out(&mut self, data: &Data) {
        match (data.command, data.text.as_slice()) {
            (0x31, []) | (0x70, [0x32, 0x01]) => self.cleared += u32::from(data.command == 0x70),
            (0x01, [high, low]) => self.say(0, 0x02, &[self.state, *high, *low]),
            (0x06, [1, 0, high, low]) => {
                let slot = u16::from_be_bytes([*high, *low]);
                self.drives.push(slot);
                self.vend(slot);
            }
            other => panic!("it was sent {other:?}"),
        }
    }

    fn vend(&mut self, slot: u16) {
        let [high, low] = slot.to_be_bytes();
        let falls = match self.does.clone() {
            Does::Says { statuses, falls } => {
                for (after, code) in statuses {
                    for _ in 0..=u32::from(self.says_twice) {
                        self.say(after, 0x04, &[code, high, low]);
                    }
                }
                falls
            }
            Does::Resets { after, falls } => {
                self.say(50, 0x04, &[1, high, low]);
                self.say(after, 0x31, &[]);
                falls
            }
            Does::SaysOther(code) => {
                self.say(50, 0x04, &[1, high, low]);
                self.say(3_000, 0x04, &[code, high, low + 1]);
                vec![]
            }
        };
        self.falls.extend(falls.iter().map(|after| (self.now + Span::millis(*after), slot)));
    }
}
