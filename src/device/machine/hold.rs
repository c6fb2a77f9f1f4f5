//! Somebody looks after the machine: an upgrade, a restart, a person. Nothing is sold meanwhile.

use qris_core::order::reason::Reason;
use qris_core::order::request::Refusal;
use qris_core::order::time::{Boot, Span};

/// The one who holds the machine. It is not stored: whoever wants it for longer asks again.
#[derive(Debug, Default)]
pub(super) struct Hold(Option<Held>);

#[derive(Debug)]
struct Held {
    who: Box<str>,
    /// It ends by itself then. Nobody can forget a machine.
    until: Boot,
}

impl Hold {
    /// Takes the machine for this time from now on, or for another time if this one has it already. `None`: somebody else has it.
    /// Else answers whether that is news.
    pub(super) fn take(&mut self, who: &str, time: Span, now: Boot) -> Option<bool> {
        let is_new = match &self.0 {
            None => true,
            Some(held) if *held.who == *who => false,
            Some(_) => return None,
        };
        self.0 = Some(Held { who: who.into(), until: now + time });
        Some(is_new)
    }

    /// Gives it back. `false`: this one does not have it.
    pub(super) fn release(&mut self, who: &str) -> bool {
        self.0.take_if(|held| *held.who == *who).is_some()
    }

    /// The one whose time is over.
    pub(super) fn end(&mut self, now: Boot) -> Option<Box<str>> {
        self.0.take_if(|held| now >= held.until).map(|held| held.who)
    }

    pub(super) fn holder(&self) -> Option<&str> {
        self.0.as_ref().map(|held| &*held.who)
    }

    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.holder().map(|who| Refusal::new(Reason::Updating, format!("{who} holds the machine: it sells again in a moment")))
    }

    pub(super) fn deadline(&self) -> Option<Boot> {
        self.0.as_ref().map(|held| held.until)
    }
}
