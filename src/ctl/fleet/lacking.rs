//! The prices and texts that passed over a machine: it was off, or did not answer. The operator's own computer keeps it until they have it. A price is sent in a text that is made of
//! what the machine has. While the machine is off, nobody knows that. So the wish is kept, and signed when the machine is back.

use super::retained::Words;
use crate::broker::Connection;
use crate::{print, site};
use qris_core::order::ids::{DeviceId, ItemId};
use qris_core::order::money::Rupiah;
use qris_core::wire::settings::Reported;
use qris_host::Failure;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

const FILE: &str = "lacking.json";
/// The largest file that is read, in bytes: some ten thousand wishes.
const SIZE_MAX: u64 = 1 << 20;

/// A wish that a machine has not heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lack {
    /// The address of its broker: another fleet may have a machine of this name.
    broker: String,
    pub(super) device: DeviceId,
    #[serde(flatten)]
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// Another price of one item. Nothing was sent.
    Price {
        item: ItemId,
        price: Rupiah,
        /// In force from then on.
        at: Option<String>,
    },
    /// The text of this version is at the broker, and the machine has not said that it has it.
    Version(u64),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Price { item, price, at: None } => write!(f, "{item} at {price}"),
            Self::Price { item, price, at: Some(at) } => write!(f, "{item} at {price} from {at}"),
            Self::Version(version) => write!(f, "version {version}"),
        }
    }
}

/// All that machines of one broker lack.
#[derive(Debug, Default)]
pub(super) struct Lacking {
    broker: String,
    /// `None`: there is no home, so nothing can be kept.
    path: Option<PathBuf>,
    of_others: Vec<Lack>,
    all: Vec<Lack>,
}

impl Lacking {
    /// # Errors
    /// The file is there, and cannot be read.
    pub(super) fn read(connection: &Connection) -> Result<Self, Failure> {
        let broker = connection.address()?;
        let Some(path) = site::of_user().map(|directory| directory.join(FILE)) else { return Ok(Self { broker, ..Self::default() }) };
        let wrong = |why: &dyn fmt::Display| {
            Failure::failed(format!("{}: {why}: it says what passed over machines. Mend it or remove it", path.display()))
        };
        let all: Vec<Lack> = match fs::metadata(&path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => Vec::new(),
            Ok(file) if file.len() > SIZE_MAX => return Err(wrong(&"it has more than 1 MiB")),
            Ok(_) => serde_json::from_slice(&fs::read(&path).map_err(|why| wrong(&why))?).map_err(|why| wrong(&why))?,
            Err(why) => return Err(wrong(&why)),
        };
        let (all, of_others) = all.into_iter().partition(|lack| lack.broker == broker);
        Ok(Self { broker, path: Some(path), of_others, all })
    }

    /// For who only looks: a file that cannot be read is told, and nothing is lacking.
    pub(super) fn read_or_say(connection: &Connection) -> Self {
        Self::read(connection).unwrap_or_else(|why| {
            print::remark(&why.reason());
            Self::default()
        })
    }

    /// When any command of this user wrote it last; `None`: none did.
    pub(super) fn written_at() -> Option<SystemTime> {
        fs::metadata(site::of_user()?.join(FILE)).and_then(|file| file.modified()).ok()
    }

    /// Writes it anew, as a whole.
    ///
    /// # Errors
    /// It cannot be written, or there is no home: then it says what nobody keeps.
    pub(super) fn write(&self) -> Result<(), Failure> {
        let Some(path) = &self.path else {
            let lost: Vec<_> = self.all.iter().map(|lack| format!("{} lacks {}", lack.device, lack.what)).collect();
            return if lost.is_empty() {
                Ok(())
            } else {
                Err(Failure::failed(format!("there is no HOME to keep this: {}", lost.join("; "))))
            };
        };
        let text = serde_json::to_vec_pretty(&self.of_others.iter().chain(&self.all).collect::<Vec<_>>()).map_err(Failure::failed)?;
        let new = path.with_extension("new");
        let written =
            path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&new, text)).and_then(|()| fs::rename(&new, path));
        written.map_err(|why| Failure::failed(format!("{}: {why}: what machines lack was not kept", path.display())))
    }

    /// A later wish of the same kind takes the place of an earlier one.
    pub(super) fn lacks(&mut self, device: &DeviceId, what: What) {
        match &what {
            What::Price { item, .. } => self.has_price(device, item),
            What::Version(_) => self.all.retain(|lack| lack.device != *device || !matches!(lack.what, What::Version(_))),
        }
        self.all.push(Lack { broker: self.broker.clone(), device: device.clone(), what });
    }

    /// The machine has a price of this item that came later, or does not sell it.
    pub(super) fn has_price(&mut self, device: &DeviceId, item: &ItemId) {
        self.all.retain(|lack| lack.device != *device || !matches!(&lack.what, What::Price { item: of, .. } if of == item));
    }

    /// A whole text went to it: what was wished before that is void.
    pub(super) fn has_text(&mut self, device: &DeviceId) {
        self.all.retain(|lack| lack.device != *device);
    }

    /// The prices that are still to be sent.
    pub(super) fn prices(&self) -> Vec<Lack> {
        self.all.iter().filter(|lack| matches!(lack.what, What::Price { .. })).cloned().collect()
    }

    /// What this machine lacks, as far as its last words tell.
    pub(super) fn of(&self, device: &DeviceId, words: &Words) -> Vec<String> {
        let of_it = self.all.iter().filter(|lack| lack.device == *device);
        of_it.filter(|lack| !words.settings.as_ref().is_some_and(|told| has(told, &lack.what))).map(|lack| lack.what.to_string()).collect()
    }
}

/// Whether a report shows that the machine has it, or refused it. It tells no prices.
fn has(told: &Reported, what: &What) -> bool {
    match what {
        What::Price { .. } => false,
        What::Version(version) => {
            let refused = told.refused.as_ref().and_then(|refused| refused.version);
            [Some(told.version), told.waiting.as_ref().map(|waiting| waiting.version), refused]
                .into_iter()
                .flatten()
                .any(|has| has >= *version)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_lacks_what_passed_over_it_until_it_has_it() {
        let device = |id| DeviceId::new(id).expect("an id");
        let item = |id| ItemId::new(id).expect("an id");
        let (one, two) = (device("vm-001"), device("vm-002"));
        let price = |id, rupiah| What::Price { item: item(id), price: Rupiah::new(rupiah).expect("an amount"), at: None };
        let words = |version| Words { settings: Some(Reported { version, ..Reported::default() }), ..Words::default() };
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("new").join(FILE);
        let mut lacking = Lacking { broker: "b:1".into(), path: Some(path.clone()), ..Lacking::default() };
        for what in [price("A1", 5_000), price("A1", 6_000), price("A2", 7_000), What::Version(3), What::Version(4)] {
            lacking.lacks(&one, what);
        }
        lacking.lacks(&two, price("A1", 6_000));
        assert_eq!(lacking.of(&one, &words(3)), ["A1 at Rp6.000", "A2 at Rp7.000", "version 4"], "the later wish counts");
        assert_eq!(lacking.of(&one, &words(4)), ["A1 at Rp6.000", "A2 at Rp7.000"], "it has said that it has the text");
        lacking.has_price(&one, &item("A1"));
        assert_eq!(lacking.of(&one, &words(4)), ["A2 at Rp7.000"]);
        assert_eq!(lacking.of(&two, &words(4)), ["A1 at Rp6.000"], "that was another machine");
        lacking.write().expect("written");
        let kept: Vec<Lack> = serde_json::from_slice(&fs::read(path).expect("there")).expect("JSON");
        assert_eq!(kept, lacking.all);
        lacking.has_text(&one);
        assert_eq!((lacking.of(&one, &words(0)).len(), lacking.prices().len()), (0, 1));
        let homeless = Lacking { path: None, ..lacking };
        assert!(homeless.write().is_err_and(|why| why.reason().contains("vm-002 lacks A1 at Rp6.000")));
    }
}
