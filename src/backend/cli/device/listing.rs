//! `qris-backend device list`: what is known of each machine.

use super::{machines, readable};
use crate::cli::print::Shown::{Is, Text, Time, Words};
use crate::cli::print::{Field, Out, left, object_of, table_of};
use crate::config::Config;
use crate::machines::devices::{self, Device, Listed};
use crate::machines::invitations;
use crate::machines::reported::{self, Facts, Noted};
use crate::sale::books::BooksError;
use qris_core::order::ids::DeviceId;
use qris_core::order::time::Wall;
use qris_core::text::named;
use qris_host::Failure;
use serde_json::json;

/// A machine, or one that has a code and was never let in.
struct Listing {
    id: DeviceId,
    device: Option<Device>,
    noted: Option<Noted>,
    code_until: Option<Wall>,
}

impl Listing {
    fn facts(&self) -> Option<&Facts> {
        self.noted.as_ref()?.facts.as_ref()
    }

    fn topics(&self) -> Option<Vec<String>> {
        let noted = self.noted.as_ref().filter(|noted| noted.facts.is_some())?;
        Some(noted.silent.iter().flatten().map(|topic| topic.tail().into()).collect())
    }

    fn name(&self) -> Option<&str> {
        self.facts()?.name.as_deref()
    }

    /// Whether it is there, by the backend's own sense.
    fn is_there(&self) -> Option<bool> {
        match self.noted.as_ref()?.is {
            reported::Is::There(_) => Some(true),
            reported::Is::Missing(_) => Some(false),
            reported::Is::Unknown => None,
        }
    }

    fn since(&self) -> Option<Wall> {
        match self.noted.as_ref()?.is {
            reported::Is::There(since) | reported::Is::Missing(since) => Some(since),
            reported::Is::Unknown => None,
        }
    }

    /// Until it is missed, the broker's word comes first, as the broker's.
    fn stands(&self) -> Option<(&'static str, Wall)> {
        let noted = self.noted.as_ref()?;
        match (noted.is, noted.off_since()) {
            (reported::Is::Missing(since), _) => Some(("missing", since)),
            (reported::Is::There(_) | reported::Is::Unknown, Some(since)) => Some(("off, says the broker", since)),
            (reported::Is::There(since), None) => Some(("there", since)),
            (reported::Is::Unknown, None) => None,
        }
    }

    fn of<T>(&self, field: impl FnOnce(&Device) -> Option<T>) -> Option<T> {
        self.device.as_ref().and_then(field)
    }
}

const FIELDS: [Field<Listing>; 19] = [
    Field(None, Some(left("MACHINE", 40)), |it| Text(Some(named(it.name(), it.id.as_str())))),
    Field(Some("device"), None, |it| Text(Some(it.id.to_string()))),
    Field(Some("machine"), None, |it| Text(it.name().map(str::to_owned))),
    Field(Some("there"), None, |it| Is(it.is_there(), ["yes", "no"])),
    Field(Some("since"), None, |it| Time(it.since())),
    Field(Some("off_since"), None, |it| Time(it.noted.as_ref().and_then(Noted::off_since))),
    Field(None, Some(left("IS", 20)), |it| Text(it.stands().map(|(word, _)| word.into()))),
    Field(None, Some(left("SINCE ({0})", 19)), |it| Time(it.stands().map(|(_, since)| since))),
    Field(Some("version"), Some(left("RELEASE", 14)), |it| Text(it.facts().map(|facts| facts.version.to_string()))),
    Field(Some("faults"), Some(left("FAULTS", 24)), |it| {
        Words(it.facts().map(|facts| facts.faults.iter().map(ToString::to_string).collect()))
    }),
    Field(Some("topics"), None, |it| Words(it.topics())),
    Field(Some("added"), Some(left("ADDED ({0})", 19)), |it| Time(it.of(|device| Some(device.added)))),
    Field(Some("revoked"), Some(left("REVOKED ({0})", 19)), |it| Time(it.of(|device| device.revoked))),
    Field(Some("relay_key"), Some(left("KEY OF ITS RELAY", 24)), |it| Text(it.of(|device| Some(device.relay_key.as_ref()?.fingerprint())))),
    Field(Some("other_key"), Some(left("SHOWS ANOTHER KEY", 24)), |it| {
        Text(it.of(|device| Some(device.other_key.as_ref()?.fingerprint())))
    }),
    Field(Some("code_until"), Some(left("CODE GOOD UNTIL", 19)), |it| Time(it.code_until)),
    Field(Some("relay_key_since"), None, |it| Time(it.of(|device| device.relay_key_since))),
    Field(Some("relay_key_by"), None, |it| Text(it.of(|device| device.relay_key_by.as_deref().map(str::to_owned)))),
    Field(Some("other_key_since"), None, |it| Time(it.of(|device| device.other_key_since))),
];

pub async fn list(config: &Config, as_json: bool, now: Wall) -> Result<(), Failure> {
    let (Listed { machines: list, damaged }, mut codes, mut noted) = machines(config, false)?
        .read(move |tx| Ok::<_, BooksError>((devices::list(tx)?, invitations::open(tx, now)?, reported::noted(tx)?)))
        .await
        .map_err(Failure::failed)?;
    let mut all = Vec::new();
    for device in list {
        let noted = noted.remove(device.id.as_str()).filter(|_| device.revoked.is_none());
        all.push(Listing { id: device.id.clone(), noted, code_until: codes.remove(&device.id), device: Some(device) });
    }
    all.extend(codes.into_iter().map(|(id, until)| Listing { id, device: None, noted: None, code_until: Some(until) }));
    let mut out = Out::default();
    if !as_json {
        table_of(&FIELDS, &all, config.zone).iter().try_for_each(|line| out.line(line))?;
        return readable(&damaged);
    }
    for it in &all {
        out.line(&match &it.device {
            Some(_) => object_of(&FIELDS, it).to_string(),
            None => json!({ "device": it.id, "code_until": it.code_until.map(Wall::to_rfc3339_wib) }).to_string(),
        })?;
    }
    readable(&damaged)
}
