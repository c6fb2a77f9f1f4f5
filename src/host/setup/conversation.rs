//! The flags of a set-up that say whether it asks, and in which language.

use crate::speech::{self, Language};
use crate::terminal;

/// How a set-up talks.
#[derive(clap::Args, Debug)]
pub struct Conversation {
    /// Ask nothing
    #[arg(long, short)]
    yes: bool,
    /// Ask, although standard input is not a terminal
    #[arg(long, conflicts_with = "yes")]
    ask: bool,
    /// The language of the questions; by default that of your locale (LANG=id_ID.UTF-8), else English
    #[arg(long, value_name = "LANGUAGE", value_parser = speech::language())]
    speak: Option<Language>,
}

impl Conversation {
    /// Whether it asks: as the flags say, else where a person is there and it `may`. The language is chosen by this.
    #[must_use]
    pub fn begin(&self, may: bool) -> bool {
        let asks = self.ask || (!self.yes && may && terminal::is_there());
        // Scripts read messages in one language, and that is English if they do not say another one.
        if asks || self.speak.is_some() {
            speech::speak(self.speak);
        }
        asks
    }

    /// For a person who reads, and is asked nothing: the language that was said, or that of the locale.
    pub fn speak(&self) {
        speech::speak(self.speak);
    }
}
