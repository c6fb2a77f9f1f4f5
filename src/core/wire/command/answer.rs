//! What a machine answers to a command: perhaps how far it is, and exactly one end.

use crate::order::ids::CommandId;
use crate::order::word::words;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A result that is longer than this, in bytes of its JSON, comes in pieces.
pub const ANSWER_PIECE: usize = 32 * 1024;
/// The longest result, in bytes of its JSON. Ours are much shorter; whoever has the broker may send pieces without end.
pub const ANSWER_MAX: usize = 8 * 1024 * 1024;

words! {
    /// How far a command is. The last four are ends.
    pub enum Stage {
        /// It is stored, and will have an end, also after a crash or reboot.
        Accepted = "accepted",
        /// It is under way.
        Running = "running",
        Done = "done",
        /// It was tried, and did not work.
        Failed = "failed",
        /// It was not tried.
        Rejected = "rejected",
        /// It could not be done in time.
        TimedOut = "timed_out",
    }
}

words! {
    /// Why a command was rejected, or has failed.
    pub enum Code {
        /// The message has another form.
        Malformed = "malformed",
        /// The message is too large.
        TooLarge = "too_large",
        /// A retained message: it may be of any age.
        Retained = "retained",
        /// Too many commands.
        RateLimited = "rate_limited",
        /// This release has no such command, or this machine no such request.
        UnknownRequest = "unknown_request",
        /// No operator's key of this machine has this name.
        UnknownKey = "unknown_key",
        /// The key may do less.
        Level = "level",
        /// The signature does not fit.
        Signature = "signature",
        /// It is for another machine.
        WrongDevice = "wrong_device",
        /// Its time is over, or too far ahead.
        Expired = "expired",
        /// It is for another life of the machine's database.
        WrongStream = "wrong_stream",
        /// The clock of the machine is not trusted now: only a command for its present stream is taken.
        Clock = "clock",
        /// Its id was used for another command.
        ReusedId = "reused_id",
        /// The database cannot be written.
        Store = "store",
        /// The screen shows nothing.
        Screen = "screen",
        /// A customer was there all the time.
        Busy = "busy",
        /// Somebody else looks after the machine.
        Updating = "updating",
        /// The relay service is gone.
        Relay = "relay",
        /// The relay service, or the system, refused it.
        Refused = "refused",
    }
}

/// Why a command was rejected, or has failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// Why, for programs.
    pub code: Code,
    /// Why, for people.
    pub message: Box<str>,
}

impl Problem {
    /// A problem.
    #[must_use]
    pub fn new(code: Code, message: impl Into<Box<str>>) -> Self {
        Self { code, message: message.into() }
    }
}

/// One answer to a command. Field names are those of the wire.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Response {
    /// The command's `jti`; absent if it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    /// How far it is.
    pub state: Stage,
    /// At the end: whether it did what was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<bool>,
    /// Counts the answers that are [`Stage::Running`], from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// What it is waiting for, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Box<str>>,
    /// A part of the result's JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub piece: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// The result came before, in so many pieces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pieces: Option<u32>,
    /// The checksum of all pieces, one after the other: SHA-256, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Box<str>>,
    /// Why it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
}

impl Response {
    fn new(id: Option<CommandId>, state: Stage) -> Self {
        let (ok, number, message, piece, result, pieces, sha256, error) = Default::default();
        Self { id, state, ok, number, message, piece, result, pieces, sha256, error }
    }

    /// It is stored.
    #[must_use]
    pub fn accepted(id: CommandId) -> Self {
        Self::new(Some(id), Stage::Accepted)
    }

    /// It is under way.
    #[must_use]
    pub fn running(id: CommandId, number: u32, message: &str) -> Self {
        Self { number: Some(number), message: Some(message.into()), ..Self::new(Some(id), Stage::Running) }
    }

    #[must_use]
    pub fn done(id: Option<CommandId>, result: Value) -> Self {
        Self { ok: Some(true), result: Some(result), ..Self::new(id, Stage::Done) }
    }

    /// Another end.
    #[must_use]
    pub fn ended(id: Option<CommandId>, state: Stage, problem: Problem) -> Self {
        Self { ok: Some(false), error: Some(problem), ..Self::new(id, state) }
    }

    /// The same answer, in messages of a bounded size.
    #[must_use]
    pub fn in_pieces(mut self) -> Vec<Self> {
        let text = self.result.as_ref().map(Value::to_string).unwrap_or_default();
        if text.len() <= ANSWER_PIECE {
            return vec![self];
        }
        self.result = None;
        let mut answers = Vec::new();
        let mut left = text.as_str();
        while !left.is_empty() {
            let (piece, rest) = left.split_at(left.floor_char_boundary(ANSWER_PIECE));
            let number = Some(u32::try_from(answers.len() + 1).unwrap_or(u32::MAX));
            answers.push(Self { number, piece: Some(piece.into()), ..Self::new(self.id.clone(), Stage::Running) });
            left = rest;
        }
        self.pieces = answers.last().and_then(|last| last.number);
        self.sha256 = Some(sum(&text));
        answers.push(self);
        answers
    }
}

fn sum(text: &str) -> Box<str> {
    crate::hex(digest(&SHA256, text.as_bytes()).as_ref()).into()
}

/// Puts pieces together again.
#[derive(Debug, Default)]
pub struct Joined {
    text: String,
    next: u32,
}

/// A piece is missing, or was changed on the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the pieces of the answer do not fit together: ask again")]
pub struct Torn;

impl Joined {
    /// Takes the next answer. `None`: it was no end. A message that comes twice counts once.
    pub fn take(&mut self, mut answer: Response) -> Result<Option<Response>, Torn> {
        if let (Stage::Running, Some(piece), Some(number)) = (answer.state, &answer.piece, answer.number) {
            // What is left out is missed at the end.
            if Some(number) == self.next.checked_add(1) && self.text.len() + piece.len() <= ANSWER_MAX {
                self.text += piece;
                self.next = number;
            }
            return Ok(None);
        }
        if answer.ok.is_none() {
            return Ok(None);
        }
        if let (Some(pieces), Some(sha256)) = (answer.pieces, &answer.sha256) {
            if pieces != self.next || *sha256 != sum(&self.text) {
                return Err(Torn);
            }
            answer.result = Some(serde_json::from_str(&self.text).map_err(|_| Torn)?);
        }
        Ok(Some(answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_result_comes_whole_or_not_at_all() {
        let id = CommandId::new("c-1").expect("an id");
        let long: String = "añ\n".repeat(30_000);
        let whole = Response::done(Some(id.clone()), Value::from(long.as_str()));
        let pieces = whole.clone().in_pieces();
        assert!(pieces.len() > 3 && pieces.iter().all(|piece| serde_json::to_vec(piece).expect("plain").len() < 2 * ANSWER_PIECE));
        let join = |answers: &mut dyn Iterator<Item = &Response>| {
            let mut joined = Joined::default();
            answers.map(|answer| joined.take(answer.clone())).last().expect("some")
        };
        let back = join(&mut pieces.iter()).expect("whole").expect("an end");
        assert_eq!((back.result, back.state), (whole.result.clone(), Stage::Done));
        let twice = pieces.iter().flat_map(|piece| [piece, piece]).take(2 * pieces.len() - 1);
        assert!(join(&mut { twice }).expect("whole").is_some(), "a message that comes twice counts once");
        assert_eq!(join(&mut pieces.iter().skip(1)), Err(Torn), "the first is missing");
        let mut changed = pieces.clone();
        changed[0].piece = Some(changed[0].piece.as_deref().expect("a piece").replacen('a', "b", 1).into());
        assert_eq!(join(&mut changed.iter()), Err(Torn));
        let endless = (1..).map(|number| Response { number: Some(number), ..pieces[0].clone() }).take(1000);
        let mut joined = Joined::default();
        assert!(endless.map(|piece| joined.take(piece)).all(|told| told == Ok(None)));
        assert!(joined.text.len() <= ANSWER_MAX, "{}", joined.text.len());
        assert_eq!(Response::done(Some(id), Value::Null).in_pieces().len(), 1);
    }
}
