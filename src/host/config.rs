//! Configuration files. They are TOML. All faults are told at once, each with file, line, key and reason.
//!
//! A program reads in two steps. First [`Source::parse`] gives the written values, as a type of its own whose fields are
//! all optional. This type refuses unknown keys (`#[serde(deny_unknown_fields)]`). Then a [`Checker`] turns it into
//! checked settings. The checker collects faults and finds their lines by their keys.

#[cfg(feature = "http")]
mod address;
mod bus_address;
mod checker;
mod faults;
mod places;
mod reader;
pub mod settings;
mod words;

#[cfg(feature = "http")]
pub use address::{AddressError, MqttError, MqttSection, MqttSettings, http_url, is_far, is_here, web_url};
pub use bus_address::{BusAddress, BusAddressError};
pub use checker::{Checker, OtherKeys};
pub use faults::{About, Fault, Faults};
pub use places::Places;

use crate::interrupt::Input;
use crate::speech::fill;
use crate::texts;
use reader::{Misread, Wrong};
use serde::de::DeserializeOwned;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

const SIZE_MAX: u64 = 1024 * 1024;
const FAULTS_MAX: usize = 100;

// A person who checks a file reads this in the language of that person. Services say it in English: it goes to the journal.
texts! {
    good: "{0}: baik", "{0}: good";
    made_by_init: "`sudo qris-backend init` membuatnya", "`sudo qris-backend init` makes it";
    made_by_setup: "`sudo qrisctl setup` membuatnya", "`sudo qrisctl setup` makes it";
    made_by_hand: "tulis berkasnya", "write it";
    too_large: "lebih besar dari 1 MiB: sebutkan berkas konfigurasinya", "is larger than 1 MiB: name the configuration";
    no_text: "bukan teks: harus UTF-8, seperti yang ditulis editor mana pun", "is no text: it must be UTF-8, as any editor writes it";
    not_there: "tidak bisa dibaca: {0}; {1}, atau sebutkan berkas lain", "cannot be read: {0}; {1}, or name another file";
    denied: "tidak bisa dibaca: {0}; jalankan sebagai root, atau izinkan pengguna ini membacanya, atau sebutkan berkas lain", "cannot be read: {0}; run this as root, or let this user read it, or name another file";
    unread: "tidak bisa dibaca: {0}; sebutkan berkas lain", "cannot be read: {0}; name another file";
}

/// A configuration file in memory.
#[derive(Debug, Clone)]
pub struct Source {
    path: PathBuf,
    text: String,
    places: Places,
}

fn made_by(path: &Path) -> &'static str {
    match path.file_name().and_then(|name| name.to_str()) {
        Some("backend.toml") => texts().made_by_init,
        Some("qrisd.toml" | "relay.toml") => texts().made_by_setup,
        Some(_) | None => texts().made_by_hand,
    }
}

impl Source {
    /// Reads a file of at most 1 MiB.
    pub fn read(path: &Path) -> Result<Self, Faults> {
        let whole = |why: String, about| Faults(vec![Fault { file: path.into(), line: None, key: None, why, about }]);
        // The size of a device or a pipe is not known before it is read.
        let mut text = String::new();
        let read = Input::of(path).and_then(|file| file.take(SIZE_MAX + 1).read_to_string(&mut text));
        if text.len() as u64 > SIZE_MAX {
            return Err(whole(texts().too_large.into(), About::Value));
        }
        read.map_err(|error| {
            let why = match error.kind() {
                io::ErrorKind::InvalidData => texts().no_text.into(),
                io::ErrorKind::NotFound => fill(texts().not_there, &[&error, &made_by(path)]),
                io::ErrorKind::PermissionDenied => fill(texts().denied, &[&error]),
                _ => fill(texts().unread, &[&error]),
            };
            whole(why, About::of(&error))
        })?;
        Ok(Self { path: path.into(), text, places: Places::default() })
    }

    /// A file that is already in memory. Faults call it `path`.
    pub fn from_text(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into(), places: Places::default() }
    }

    #[must_use]
    pub fn with_places(mut self, places: Places) -> Self {
        self.places = places;
        self
    }

    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A text with the names that the configuration uses. It replaces the names of files that are gone soon.
    #[must_use]
    pub fn as_written(&self, text: &str) -> String {
        self.places.as_written(text)
    }

    /// The name that faults use for the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the written values. `W` should hold `Option`s and refuse unknown keys. Missing values and wrong ranges are
    /// for the [`Checker`], which tells them together with everything else.
    ///
    /// # Errors
    /// Every syntax error, or every unknown key and value of a wrong kind.
    pub fn parse<W: DeserializeOwned>(&self) -> Result<W, Faults> {
        match self.read_all()? {
            (written, faults) if faults.is_empty() => Ok(written),
            (_, faults) => Err(Faults::new(faults)),
        }
    }

    /// Reads as much as it can; the faults tell the rest. It is an error if nothing can be read.
    fn read_all<W: DeserializeOwned>(&self) -> Result<(W, Vec<Fault>), Faults> {
        let (table, errors) = DeTable::parse_recoverable(&self.text);
        let span = table.span();
        let mut table = table.into_inner();
        let (mut malformed, mut is_readable) = (Vec::<Fault>::new(), true);
        for error in errors.iter().take(FAULTS_MAX) {
            let at = error.span().map_or(0, |span| span.start);
            let found = words::malformed(&self.text, at);
            let fault = self.fault(Some(at..at), found.key, found.why, About::Value);
            // The parser goes on in the middle of such a line, and finds more that is none.
            if malformed.last().is_some_and(|last| last.line == fault.line) {
                continue;
            }
            malformed.push(fault);
            // Where only this value is lost, all others are read, and their faults are told besides.
            is_readable &= found.lost.map(|key| take_out(&mut table, key)).is_some();
        }
        if !is_readable {
            return Err(Faults::new(malformed));
        }
        match self.read_table(span, table, "", &[]) {
            (Some(written), faults) => Ok((written, malformed.into_iter().chain(faults).collect())),
            (None, faults) => Err(Faults::new(malformed.into_iter().chain(faults).collect())),
        }
    }

    /// The same for one table of the file; `at` is its key. `beside`: keys that it has besides.
    fn read_table<W: DeserializeOwned>(
        &self,
        span: Range<usize>,
        mut table: DeTable<'_>,
        at: &str,
        beside: &[&'static str],
    ) -> (Option<W>, Vec<Fault>) {
        let mut faults = Vec::new();
        loop {
            let whole = Spanned::new(span.clone(), DeValue::Table(table.clone()));
            let Misread { mut wrong, span } = match W::deserialize(reader::Value(whole)) {
                Ok(written) => return (Some(written), faults),
                Err(misread) => misread,
            };
            // Serde stops at the first fault. The faulty entry is taken out, and the rest is read again for the next fault,
            // until there are no more.
            let key = span.as_ref().and_then(|span| take_out(&mut table, span.start));
            let again = key.is_some() && !matches!(wrong, Wrong::Missing(_)) && faults.len() + 1 < FAULTS_MAX;
            let about = match &mut wrong {
                Wrong::UnknownKey(_, known) => {
                    if key.as_ref().is_some_and(|key| !key.contains('.')) {
                        known.splice(0..0, beside.iter().copied());
                    }
                    About::UnknownKey
                }
                Wrong::UnknownWord(..) | Wrong::Missing(_) | Wrong::Not(_) | Wrong::Other(_) => About::Value,
            };
            let key = key.map(|key| if at.is_empty() { key } else { format!("{at}.{key}") });
            let written = span.clone().and_then(|span| self.text.get(span)).unwrap_or_default();
            let why = words::misread(&wrong, written, key.as_deref());
            faults.push(self.fault(span, key, why, about));
            if !again {
                return (None, faults);
            }
        }
    }

    /// Reads the written values and checks them. `check` makes the settings from them, or notes faults and gives `None`.
    pub fn read_checked<W: DeserializeOwned, C>(&self, check: impl FnOnce(W, &mut Checker<'_>) -> Option<C>) -> Result<C, Faults> {
        let (written, misread) = self.read_all()?;
        let mut checker = Checker::new(self, misread);
        let checked = check(written, &mut checker);
        checker.finish()?;
        Ok(checked.expect("what is missing was noted as a fault"))
    }

    /// The same for a text that may have been written for a later release: keys that are not known are left out, and told.
    pub fn read_checked_in_part<W: DeserializeOwned, C>(
        &self,
        check: impl FnOnce(W, &mut Checker<'_>) -> Option<C>,
    ) -> Result<(C, Vec<Fault>), Faults> {
        let (written, misread) = self.read_all()?;
        let (left_out, misread) = misread.into_iter().partition(|fault: &Fault| fault.about == About::UnknownKey);
        let mut checker = Checker::new(self, misread);
        let checked = check(written, &mut checker);
        checker.finish()?;
        Ok((checked.expect("what is missing was noted as a fault"), left_out))
    }

    #[must_use]
    pub fn checker(&self) -> Checker<'_> {
        Checker::new(self, Vec::new())
    }

    fn fault(&self, span: Option<Range<usize>>, key: Option<String>, why: String, about: About) -> Fault {
        let line = span.map(|span| 1 + self.text.bytes().take(span.start).filter(|&byte| byte == b'\n').count());
        Fault { file: self.path.clone(), line, key, why: self.places.as_written(&why.replace('\n', " ")), about }
    }
}

/// A text as TOML writes it.
#[must_use]
pub fn quoted(text: &str) -> String {
    // TOML escapes all that JSON escapes, in the same way. DEL is the one more character that must be escaped.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

/// The sentence of `--check` about a file without a fault.
#[must_use]
pub fn is_good(file: &Path) -> String {
    fill(texts().good, &[&file.display()])
}

/// Tells about a thing that stops no program, but that somebody should see to.
pub fn remark(file: &Path, why: &str) {
    eprintln!("{}: {why}", file.display());
}

/// Takes out the innermost entry that holds this byte of the file, and gives its key.
fn take_out(table: &mut DeTable<'_>, byte: usize) -> Option<String> {
    for (key, value) in table.iter_mut() {
        let name = key.get_ref();
        let inside = match value.get_mut() {
            DeValue::Table(inner) => take_out(inner, byte).map(|key| format!("{name}.{key}")),
            DeValue::Array(elements) => elements.iter_mut().enumerate().find_map(|(i, element)| match element.get_mut() {
                DeValue::Table(inner) => take_out(inner, byte).map(|key| format!("{name}[{i}].{key}")),
                _ => None,
            }),
            _ => None,
        };
        if inside.is_some() {
            return inside;
        }
    }
    let (key, _) = table.iter().find(|(key, value)| key.span().contains(&byte) || value.span().contains(&byte))?;
    let key = key.clone();
    table.remove(&key);
    Some(key.into_inner().into_owned())
}

#[cfg(test)]
mod tests;
