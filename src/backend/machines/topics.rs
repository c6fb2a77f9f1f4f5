//! Which topics of a machine do not get through at the broker. Mosquitto refuses a subscription in silence, so what a machine says over HTTP
//! that the broker took is compared with what came. The machine itself says which of its own messages are refused, and the publisher
//! which of ours. It is all news, as in `reported.rs`.

use qris_core::order::time::{Boot, Span};
use qris_core::wire::topics::{Topic, TopicsTold};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// What the broker took comes here within this time.
const LATE: Span = Span::secs(15);
/// What was told counts so long. Another process on the same books may be told since then: a machine tells with each of its reports.
const COUNTS: Span = Span::secs(3_600);
/// The longest name of a boot, in bytes.
const BOOT_MAX: usize = 64;

/// The number of a message: that of a status counts within a boot of its machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Number {
    number: u64,
    boot_id: Option<Box<str>>,
}

impl Number {
    /// That of this message, which was read; `None`: it has none.
    #[must_use]
    pub fn of(payload: &[u8]) -> Option<Self> {
        let number: Self = serde_json::from_slice(payload).ok()?;
        number.boot_id.as_ref().is_none_or(|boot| boot.len() <= BOOT_MAX).then_some(number)
    }
}

#[derive(Debug, Default)]
pub struct Topics {
    /// The last message that came of each topic.
    heard: BTreeMap<Topic, Number>,
    /// The broker has a message, and it has not come, since then.
    missing: BTreeMap<Topic, Boot>,
    /// The machine says that these do not get through.
    refused: BTreeSet<Topic>,
    /// The broker refuses our messages to it.
    is_deaf: bool,
    /// The machine has said something since the last look.
    is_told: bool,
    /// What was found counts until then; `None`: nobody has told this process anything.
    counts_until: Option<Boot>,
    /// What was found at the last look.
    silent: BTreeSet<Topic>,
}

impl Topics {
    /// A message came. Whatever is missing of its topic, it is heard.
    pub fn came(&mut self, topic: Topic, number: Option<Number>) {
        self.missing.remove(&topic);
        self.heard.extend(number.map(|number| (topic, number)));
    }

    /// The machine says over HTTP what the broker took. `boot`: its present one.
    pub fn told(&mut self, told: &TopicsTold, boot: Option<&str>, now: Boot) {
        self.is_told = true;
        self.refused.clone_from(&told.refused);
        for (topic, last) in &told.last {
            let is_of_boot = |heard: &&Number| *topic != Topic::Status || boot.is_none() || heard.boot_id.as_deref() == boot;
            if self.heard.get(topic).filter(is_of_boot).is_some_and(|heard| heard.number >= *last) {
                self.missing.remove(topic);
            } else {
                self.missing.entry(*topic).or_insert(now);
            }
        }
    }

    /// Whether the broker takes what we write to this machine. `true`: it did not, and that is news.
    pub fn written(&mut self, is_taken: bool) -> bool {
        !std::mem::replace(&mut self.is_deaf, !is_taken) && !is_taken
    }

    /// Looks which topics do not get through now. `from`: since when the broker brings what machines say; `None`: it does not, so nothing is
    /// known. `Some`: it is another answer than at the last look, or the first one that counts; and these are new.
    pub fn look(&mut self, from: Option<Boot>, now: Boot) -> Option<Vec<Topic>> {
        let is_late = |since: Boot| from.is_some_and(|from| now >= since.max(from) + LATE);
        let missing = self.missing.iter().filter(|(_, since)| is_late(**since)).map(|(topic, _)| *topic);
        let ours = self.is_deaf.then_some(Topic::PaymentUpdate);
        let silent: BTreeSet<_> = self.refused.iter().copied().chain(missing).chain(ours).collect();
        let (is_told, counted) = (std::mem::take(&mut self.is_told), self.is_known(now));
        if is_told || silent != self.silent {
            self.counts_until = Some(now + COUNTS);
        }
        if silent == self.silent && (counted || !is_told) {
            return None;
        }
        let new = silent.difference(&self.silent).copied().collect();
        self.silent = silent;
        Some(new)
    }

    /// What was found at the last look; `None`: this process was told nothing that counts, so what others have written stays.
    pub fn silent(&self, now: Boot) -> Option<Box<[Topic]>> {
        self.is_known(now).then(|| self.silent.iter().copied().collect())
    }

    fn is_known(&self, now: Boot) -> bool {
        self.counts_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: u64, boot: &str) -> Option<Number> {
        Number::of(format!(r#"{{"number":{number},"boot_id":"{boot}","more":[1]}}"#).as_bytes())
    }

    fn told(topic: Topic, number: u64) -> TopicsTold {
        TopicsTold { last: [(topic, number)].into(), ..TopicsTold::default() }
    }

    const fn at(s: i64) -> Boot {
        Boot(s * 1_000)
    }

    #[test]
    fn what_the_broker_took_and_did_not_bring_is_missed_until_something_comes() {
        for topic in [Topic::Status, Topic::Telemetry, Topic::Stock] {
            let mut topics = Topics::default();
            topics.came(topic, number(5, "a"));
            topics.told(&told(topic, 5), Some("a"), at(10));
            assert_eq!(topics.look(Some(at(0)), at(99)), Some(vec![]), "the first word");
            topics.told(&told(topic, 5), Some("a"), at(99));
            assert_eq!(topics.look(Some(at(0)), at(100)), None, "it came");
            topics.told(&told(topic, 6), Some("a"), at(100));
            topics.told(&told(topic, 7), Some("a"), at(110));
            assert_eq!(topics.look(Some(at(0)), at(114)), None, "it may be on its way");
            assert_eq!(topics.look(None, at(200)), None, "nobody hears");
            assert_eq!(topics.look(Some(at(200)), at(214)), None, "the broker has just come");
            assert_eq!(topics.look(Some(at(0)), at(115)), Some(vec![topic]));
            assert_eq!(topics.look(Some(at(0)), at(116)), None, "it is no news");
            assert_eq!(topics.silent(at(116)).as_deref(), Some(&[topic][..]));
            topics.came(topic, None);
            assert_eq!(topics.look(Some(at(0)), at(117)), Some(vec![]));
        }
    }

    #[test]
    fn a_status_of_an_earlier_boot_is_another_one() {
        let mut topics = Topics::default();
        topics.came(Topic::Status, number(900, "a"));
        topics.told(&told(Topic::Status, 5), Some("b"), at(0));
        assert_eq!(topics.look(Some(at(0)), at(20)), Some(vec![Topic::Status]));
    }

    #[test]
    fn what_is_refused_is_told_at_once_and_ours_once() {
        let mut topics = Topics::default();
        let refused = TopicsTold { refused: [Topic::VendEvent].into(), ..TopicsTold::default() };
        topics.told(&refused, None, at(0));
        assert_eq!(topics.look(None, at(0)), Some(vec![Topic::VendEvent]));
        assert_eq!((topics.written(false), topics.written(false), topics.written(true), topics.written(true)), (true, false, false, false));
        topics.written(false);
        assert_eq!(topics.look(None, at(0)), Some(vec![Topic::PaymentUpdate]));
        topics.told(&TopicsTold::default(), None, at(0));
        assert_eq!(topics.look(None, at(0)), Some(vec![]));
    }

    /// Two processes on the same books: the machine asks one of them, and later the other one.
    #[test]
    fn who_was_told_nothing_or_long_ago_says_nothing_and_the_first_word_counts() {
        let mut topics = Topics::default();
        topics.came(Topic::Status, number(5, "a"));
        assert_eq!((topics.look(Some(at(0)), at(100)), topics.silent(at(100))), (None, None), "it was told nothing");
        let refused = TopicsTold { refused: [Topic::VendEvent].into(), ..TopicsTold::default() };
        topics.told(&refused, None, at(100));
        assert_eq!(topics.look(None, at(100)), Some(vec![Topic::VendEvent]));
        assert_eq!(topics.silent(at(3_699)).as_deref(), Some(&[Topic::VendEvent][..]));
        assert_eq!((topics.look(None, at(3_700)), topics.silent(at(3_700))), (None, None), "another one may be told since");
        topics.told(&refused, None, at(3_701));
        assert_eq!(topics.look(None, at(3_701)), Some(vec![]), "what it says counts again");
        assert_eq!(topics.silent(at(3_701)).as_deref(), Some(&[Topic::VendEvent][..]));
    }
}
