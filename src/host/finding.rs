//! A finding of a doctor: the thing that was looked at, its condition, and what to do about it. A doctor makes a list of them,
//! and [`end`] does the rest.

use super::Failure;
use super::speech::fill;
use super::terminal::{Colour, is_coloured};
use crate::texts;
use qris_core::order::time::{Span, Wall};
use qris_core::text;
use serde_json::json;

/// A clock that is more wrong than this gets a warning.
const CLOCK_WARN: Span = Span::secs(5);
/// A clock that is more wrong than this is bad: receipts, expiries and the times in events are wrong too, and
/// certificates are refused.
const CLOCK_BAD: Span = Span::secs(60);

// What a set-up tells as well, in the language of its conversation.
texts! {
    behind: "{0},{1} detik lebih lambat daripada {2}", "{0}.{1} s behind {2}";
    ahead: "{0},{1} detik lebih cepat daripada {2}", "{0}.{1} s ahead of {2}";
    set_the_clock: "atur jamnya: `timedatectl set-ntp true`, dan pastikan server waktu bisa dihubungi", "set the clock: `timedatectl set-ntp true`, and see that a time server can be reached";
    make_room: "kosongkan tempat", "make room";
    one_bad: "satu hal tidak beres", "one thing is bad";
    many_bad: "{0} hal tidak beres", "{0} things are bad";
}

pub const CONFIG: &str = "config";

/// Ends a doctor: tells its findings, and whether something is bad. `line` writes one line.
/// It fails if something is bad. A bad configuration is wrong use: not all could be looked at.
pub fn end(findings: &[Finding], json: bool, line: impl FnMut(&str) -> Result<(), Failure>) -> Result<(), Failure> {
    tell(findings, json, line)?;
    let is_configured = !findings.iter().any(|finding| finding.check == CONFIG && finding.level == Level::Bad);
    match verdict(findings) {
        None => Ok(()),
        Some(bad) if is_configured => Err(Failure::failed(bad)),
        Some(bad) => Err(Failure::usage(bad)),
    }
}

/// Tells findings in words, or as one JSON object a line.
pub fn tell(findings: &[Finding], json: bool, mut line: impl FnMut(&str) -> Result<(), Failure>) -> Result<(), Failure> {
    let colours = is_coloured();
    let told = |finding: &Finding| if json { vec![finding.json()] } else { finding.words(colours) };
    findings.iter().flat_map(told).try_for_each(|text| line(&text))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Ok,
    /// It works, but somebody should look at it.
    Warn,
    Bad,
}

impl Level {
    /// The word in front of the line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warn => "WARN",
            Self::Bad => "BAD",
        }
    }
}

impl Level {
    const fn colour(self) -> Colour {
        match self {
            Self::Ok => Colour::Green,
            Self::Warn => Colour::Yellow,
            Self::Bad => Colour::Red,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The thing, in a word or two.
    pub check: &'static str,
    pub level: Level,
    pub said: String,
    pub to_do: Option<String>,
}

impl Finding {
    pub fn ok(check: &'static str, said: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, said: said.into(), to_do: None }
    }

    pub fn warn(check: &'static str, said: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self { check, level: Level::Warn, said: said.into(), to_do: Some(to_do.into()) }
    }

    pub fn bad(check: &'static str, said: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self { check, level: Level::Bad, said: said.into(), to_do: Some(to_do.into()) }
    }

    /// Compares our clock with another computer's, which told its time in an HTTP header `Date`. Ours was read before
    /// and after that.
    #[must_use]
    pub fn of_clock(theirs: Wall, whose: &str, before: Wall, after: Wall) -> Self {
        const CHECK: &str = "clock";
        let ours = Wall(before.0.midpoint(after.0));
        // The header counts whole seconds, rounded down.
        let theirs = theirs + Span::millis(500);
        let off = Span((ours - theirs).0.abs());
        let form = if ours < theirs { texts().behind } else { texts().ahead };
        let said = fill(form, &[&(off.0 / 1000), &(off.0 % 1000 / 100), &whose]);
        let to_do = texts().set_the_clock;
        if off > CLOCK_BAD {
            Self::bad(CHECK, said, to_do)
        } else if off > CLOCK_WARN {
            Self::warn(CHECK, said, to_do)
        } else {
            Self::ok(CHECK, said)
        }
    }

    /// Judges the free room for orders, in bytes. Below `warn` it deserves a warning; below `bad` it counts as none.
    pub fn of_room(check: &'static str, free: u64, [warn, bad]: [u64; 2], said: String, to_do: &str) -> Self {
        match free {
            free if free < bad => Self::bad(check, said, to_do),
            free if free < warn => Self::warn(check, said, texts().make_room),
            _ => Self::ok(check, said),
        }
    }

    /// As lines for people: what was seen, and below it what to do.
    #[must_use]
    pub fn words(&self, colours: bool) -> Vec<String> {
        let Self { check, level, said, to_do } = self;
        let word = format!("{:<4}", level.as_str());
        let word = if colours { level.colour().put_on(&word) } else { word };
        let mut lines = vec![format!("{word}  {}", plain(&format!("{check:<13} {said}")))];
        lines.extend(to_do.as_ref().map(|to_do| plain(&format!("{:<20}-> {to_do}", ""))));
        lines
    }

    fn json(&self) -> String {
        let Self { check, level, said, to_do } = self;
        json!({ "check": check, "level": level.as_str().to_lowercase(), "said": said, "to_do": to_do }).to_string()
    }
}

/// How many of them are bad, in words; `None` if all are well.
#[must_use]
pub fn verdict(findings: &[Finding]) -> Option<String> {
    match findings.iter().filter(|finding| finding.level == Level::Bad).count() {
        0 => None,
        1 => Some(texts().one_bad.into()),
        bad => Some(fill(texts().many_bad, &[&bad])),
    }
}

/// The text on one line, and without characters that steer a terminal: other programs wrote some of it.
fn plain(text: &str) -> String {
    text::plain(text, ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_judged_by_somebody_else_s() {
        let theirs = Wall(1_000_000_000);
        for (off_s, level, told) in [
            (0, Level::Ok, "0.4 s behind the shop's"),
            (4, Level::Ok, "3.6 s ahead of the shop's"),
            (-4, Level::Ok, "4.4 s behind the shop's"),
            (7, Level::Warn, "6.6 s ahead of the shop's"),
            (-7, Level::Warn, "7.4 s behind the shop's"),
            (61, Level::Bad, "60.6 s ahead of the shop's"),
            (-62, Level::Bad, "62.4 s behind the shop's"),
        ] {
            let ours = theirs + Span::secs(off_s);
            let found = Finding::of_clock(theirs, "the shop's", ours, ours + Span::millis(200));
            assert_eq!((found.level, found.said.as_str()), (level, told));
        }
    }

    #[test]
    fn room_is_judged_by_what_is_free() {
        for (free, level) in [(9, Level::Bad), (10, Level::Warn), (99, Level::Warn), (100, Level::Ok)] {
            assert_eq!(Finding::of_room("disk", free, [100, 10], String::new(), "make room").level, level, "{free}");
        }
    }

    #[test]
    fn findings_are_told_in_lines_and_as_objects() {
        let bad = Finding::bad("broker", "refuses\nour \u{1b}[31mpassword", "compare it");
        assert_eq!(bad.words(false), ["BAD   broker        refuses our  [31mpassword", "                    -> compare it"]);
        let good = Finding::ok("clock", "0.1 s");
        assert_eq!(good.words(false), ["OK    clock         0.1 s"]);
        assert_eq!(good.words(true), ["\u{1b}[32mOK  \u{1b}[0m  clock         0.1 s"]);
        assert_eq!(good.json(), r#"{"check":"clock","level":"ok","said":"0.1 s","to_do":null}"#);
        let warning = Finding::warn("alerts", "none", "set one");
        assert_eq!(verdict(&[good.clone(), warning.clone()]), None);
        assert_eq!(verdict(&[good.clone(), bad.clone()]).as_deref(), Some("one thing is bad"));
        assert_eq!(verdict(&[warning.clone(), bad.clone(), bad.clone()]).as_deref(), Some("2 things are bad"));
        let mut lines = Vec::new();
        let mut ended = |findings: &[Finding], json| {
            end(findings, json, |line| {
                lines.push(line.to_owned());
                Ok(())
            })
        };
        assert!(ended(&[good.clone(), warning], false).is_ok());
        assert!(matches!(ended(std::slice::from_ref(&bad), true), Err(Failure::Failed(_))));
        assert!(matches!(ended(&[Finding::bad(CONFIG, "no", "correct it")], true), Err(Failure::Use(_))));
        assert_eq!((lines.len(), &lines[0], &lines[3]), (5, &good.words(false)[0], &bad.json()));
    }
}
