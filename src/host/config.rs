//! Configuration files. They are TOML. All faults are told at once, each with file, line, key and reason.
//!
//! A program reads in two steps. First [`Source::parse`] gives the written values, as a type of its own whose fields are
//! all optional. This type refuses unknown keys (`#[serde(deny_unknown_fields)]`). Then a [`Checker`] turns it into
//! checked settings. The checker collects faults and finds their lines by their keys.

#[cfg(feature = "http")]
mod address;
mod bus_address;
mod places;
mod reader;
pub mod settings;
mod words;

#[cfg(feature = "http")]
pub use address::{AddressError, MqttError, MqttSection, MqttSettings, http_url, is_far, is_here, web_url};
pub use bus_address::{BusAddress, BusAddressError};
pub use places::Places;

use crate::causes;
use crate::interrupt::Input;
use crate::secret::{SecretError, located};
use crate::socket;
use crate::speech::fill;
use crate::texts;
use qris_core::order::ids::IdError;
use qris_core::order::keys::KeySet;
use reader::{Misread, Wrong};
use serde::de::DeserializeOwned;
use settings::Whole;
use std::cell::OnceCell;
use std::error::Error;
use std::fmt;
use std::io::{self, Read as _};
use std::ops::{Range, RangeInclusive};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

const SIZE_MAX: u64 = 1024 * 1024;
const KEYS_BYTES_MAX: u64 = 64 * 1024;
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
    unread: "tidak bisa dibaca: {0}; perbaiki itu, atau sebutkan berkas lain", "cannot be read: {0}; mend that, or name another file";
    missing: "belum diisi", "is missing";
    keys_unread: "{0} tidak bisa dibaca: {1}", "{0} cannot be read: {1}";
    no_receipt_key: "{0} tidak berisi kunci tanda terima: tidak ada barang yang akan bisa keluar", "{0} holds no receipt key: nothing could ever be delivered";
    id: "harus {0} karakter dari {1}", "must be {0} of {1}";
    range: "harus {0} sampai {1}, bukan {2}", "must be {0} to {1}, not {2}";
    open_to_all: "{0} punya mode {1}: siapa saja di komputer ini bisa memakainya; chmod o= {0}", "{0} has mode {1}: everybody on this computer may use it; chmod o= {0}";
}

/// A configuration file in memory.
#[derive(Debug, Clone)]
pub struct Source {
    path: PathBuf,
    text: String,
    places: Places,
}

/// One thing that is wrong with a configuration. It prints as `FILE:LINE: KEY: WHY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub file: PathBuf,
    /// Its line, from 1. A missing key has the nearest line. A fault of the whole file has no line.
    pub line: Option<usize>,
    /// The key as a path: `item[0].price`, counted from 0.
    pub key: Option<String>,
    /// The rule for its value, or the fault of the value.
    pub why: String,
    pub about: About,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    UnknownKey,
    /// A file that is not there.
    Missing,
    /// A file that this user may not read.
    Denied,
    /// A secret by the plain name of a credential. Only its service is given that.
    Credential,
    Value,
}

impl About {
    /// What an error is about. It looks through the whole chain of causes.
    fn of(error: &(dyn Error + 'static)) -> Self {
        if matches!(error.downcast_ref(), Some(SecretError::NoFile)) {
            return Self::Credential;
        }
        match error.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::NotFound) => Self::Missing,
            Some(io::ErrorKind::PermissionDenied) => Self::Denied,
            Some(_) => Self::Value,
            None => error.source().map_or(Self::Value, Self::of),
        }
    }
}

/// Everything that is wrong with a configuration: one fault or more, one on each line, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

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
        let mut checker = Checker { misread, ..self.checker() };
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
        let mut checker = Checker { misread, ..self.checker() };
        let checked = check(written, &mut checker);
        checker.finish()?;
        Ok((checked.expect("what is missing was noted as a fault"), left_out))
    }

    #[must_use]
    pub fn checker(&self) -> Checker<'_> {
        Checker { source: self, table: OnceCell::new(), faults: Vec::new(), misread: Vec::new() }
    }

    fn fault(&self, span: Option<Range<usize>>, key: Option<String>, why: String, about: About) -> Fault {
        let line = span.map(|span| 1 + self.text.bytes().take(span.start).filter(|&byte| byte == b'\n').count());
        Fault { file: self.path.clone(), line, key, why: self.places.as_written(&why.replace('\n', " ")), about }
    }
}

/// Collects what is wrong with values that could be read.
#[derive(Debug)]
pub struct Checker<'a> {
    source: &'a Source,
    /// The file once more, for the places of its values. It is read for the first fault.
    table: OnceCell<Spanned<DeTable<'a>>>,
    faults: Vec<Fault>,
    /// Values that could not be read, and were left out.
    misread: Vec<Fault>,
}

/// The part of one table of a list that the type of its file does not know. One of several other readers knows these keys.
#[derive(Debug)]
pub struct OtherKeys<'a> {
    at: String,
    span: Range<usize>,
    table: DeTable<'a>,
    /// The keys that the file's type knows.
    known: &'static [&'static str],
}

impl OtherKeys<'_> {
    /// The key of the table: `line[0]`.
    #[must_use]
    pub fn at(&self) -> &str {
        &self.at
    }

    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.table.keys().any(|there| there.get_ref() == key)
    }

    /// Reads the table, as [`Source::read_checked`] reads a whole file.
    pub fn read<W: DeserializeOwned>(self, checker: &mut Checker<'_>) -> Option<W> {
        // A person who wrote a key wrongly gets a list of all keys.
        let (written, faults) = checker.source.read_table(self.span, self.table, &self.at, self.known);
        checker.misread.extend(faults);
        written
    }
}

/// Where a value stands in its file: a range of bytes, or `()`, which means that its key is looked up.
pub trait Spot {
    fn span(&self) -> Option<Range<usize>>;
}

impl Spot for () {
    fn span(&self) -> Option<Range<usize>> {
        None
    }
}

impl Spot for Range<usize> {
    fn span(&self) -> Option<Range<usize>> {
        Some(self.clone())
    }
}

impl<'a> Checker<'a> {
    /// The part of table `index` of `[[list]]` that is beside these keys.
    #[must_use]
    pub fn other_keys(&self, list: &str, index: usize, known: &'static [&'static str]) -> OtherKeys<'a> {
        let tables = self.table().iter().find(|(key, _)| key.get_ref() == list).map(|(_, tables)| tables.get_ref());
        let element = match tables {
            Some(DeValue::Array(elements)) => elements.get(index),
            _ => None,
        };
        let (span, table) = match element.map(|element| (element.span(), element.get_ref())) {
            Some((span, DeValue::Table(table))) => (span, table.clone()),
            _ => (0..0, DeTable::new()),
        };
        let table = table.into_iter().filter(|(key, _)| !known.contains(&key.get_ref().as_ref())).collect();
        OtherKeys { at: format!("{list}[{index}]"), span, table, known }
    }

    /// Notes a fault. `key` is a path such as `orders.timeout_s` or `item[0].price` (counted from 0). With `()` as the
    /// spot, the key gives the line.
    pub fn fault(&mut self, spot: &impl Spot, key: &str, why: impl fmt::Display) {
        self.note(spot, key, why.to_string(), About::Value);
    }

    fn note(&mut self, spot: &impl Spot, key: &str, why: String, about: About) {
        let span = spot.span().or_else(|| self.lookup(key));
        self.faults.push(self.source.fault(span, Some(key.into()), why, about));
    }

    /// Gives the value of a key that must be there, or notes that it is missing.
    pub fn required<T>(&mut self, value: Option<T>, key: &str) -> Option<T> {
        if value.is_none() {
            self.fault(&(), key, texts().missing);
        }
        value
    }

    /// Gives the value of a check, or notes its error with all its causes.
    pub fn take<T, E: Error + 'static>(&mut self, result: Result<T, E>, key: &str) -> Option<T> {
        result.map_err(|error| self.note(&(), key, causes::in_one_line(&error), About::of(&error))).ok()
    }

    /// Gives an id, or notes which texts are one.
    pub fn id<T>(&mut self, id: Result<T, IdError>, key: &str) -> Option<T> {
        id.map_err(|IdError { lengths, letters, .. }| self.fault(&(), key, fill(texts().id, &[&lengths, &letters]))).ok()
    }

    /// Reads a set of keys that has one for receipts, or notes why there is none.
    pub fn keys(&mut self, file: &Path, key: &str) -> Option<KeySet> {
        let file = self.locate(file);
        let shown = file.display();
        let json = std::fs::metadata(&file).map(|metadata| metadata.len()).and_then(|size| match size {
            0..=KEYS_BYTES_MAX => std::fs::read_to_string(&file),
            _ => Err(io::ErrorKind::FileTooLarge.into()),
        });
        let json = json.map_err(|why| self.note(&(), key, fill(texts().keys_unread, &[&shown, &why]), About::of(&why))).ok()?;
        let keys = KeySet::from_jwks(&json).map_err(|why| self.fault(&(), key, format_args!("{shown}: {why}"))).ok()?;
        if keys.receipt_kids().is_empty() {
            self.fault(&(), key, fill(texts().no_receipt_key, &[&shown]));
        }
        Some(keys)
    }

    /// Gives the value of a setting, or notes its range. A missing value is its default.
    pub fn whole(&mut self, value: Option<i64>, setting: Whole) -> i64 {
        self.integer(value, setting.usual, setting.range(), setting.key)
    }

    /// Gives an integer within its range, or notes the range. A missing value is `default`.
    pub fn integer(&mut self, value: Option<i64>, default: i64, range: RangeInclusive<i64>, key: &str) -> i64 {
        match value {
            Some(value) if !range.contains(&value) => {
                self.fault(&(), key, fill(texts().range, &[range.start(), range.end(), &value]));
                default
            }
            Some(value) => value,
            None => default,
        }
    }

    /// Adds the faults of another file that must agree with this one.
    pub fn also(&mut self, other: Result<(), Faults>) {
        self.faults.extend(other.err().into_iter().flat_map(|faults| faults.0));
    }

    /// Notes a file with a secret, if one is named, that everybody on this computer can read or write.
    pub fn guard(&mut self, file: Option<&Path>, key: &str) {
        let file = file.map(|file| located(&self.locate(file)));
        if let Some((file, mode)) = file.and_then(|file| Some((file.display().to_string(), mode(&file)?)))
            && mode & 0o007 != 0
        {
            self.fault(&(), key, fill(texts().open_to_all, &[&file, &format_args!("{mode:04o}")]));
        }
    }

    /// Notes a path for a socket that has something else.
    pub fn socket(&mut self, path: &Path, key: &str) {
        let path = self.locate(path);
        if let Err(why) = socket::look(&path) {
            self.fault(&(), key, format_args!("{}: {why}", path.display()));
        }
    }

    #[must_use]
    pub fn locate(&self, path: &Path) -> PathBuf {
        self.source.places.of(path)
    }

    pub fn finish(self) -> Result<(), Faults> {
        let Self { source: _, table: _, mut faults, misread } = self;
        // A value that could not be read must not also be called missing.
        faults.retain(|fault| !misread.iter().any(|read| read.explains(fault)));
        faults.extend(misread);
        if faults.is_empty() { Ok(()) } else { Err(Faults::new(faults)) }
    }

    /// The text of a value as it stands in the file: `5.000`, and not 5.
    #[must_use]
    pub fn written(&self, key: &str) -> &'a str {
        self.find(key).1.and_then(|span| self.source.text.get(span)).unwrap_or_default()
    }

    fn table(&self) -> &DeTable<'a> {
        self.table.get_or_init(|| DeTable::parse_recoverable(&self.source.text).0).get_ref()
    }

    /// The span of a key, or of the nearest table around it that stands in the file.
    fn lookup(&self, key: &str) -> Option<Range<usize>> {
        self.find(key).0
    }

    /// The same, and the span of its value, if both are there.
    fn find(&self, key: &str) -> (Option<Range<usize>>, Option<Range<usize>>) {
        let mut table = self.table();
        let mut nearest = None;
        let mut steps = key.split('.').peekable();
        while let Some(step) = steps.next() {
            let (name, index) = match step.split_once('[') {
                Some((name, index)) => (name, index.trim_end_matches(']').parse::<usize>().ok()),
                None => (step, None),
            };
            let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref().as_ref() == name) else { break };
            nearest = Some(key.span());
            let mut found = value.span();
            let value = match (value.get_ref(), index) {
                (DeValue::Array(array), Some(index)) => match array.get(index) {
                    Some(element) => {
                        (nearest, found) = (Some(element.span()), element.span());
                        element.get_ref()
                    }
                    None => break,
                },
                (value, _) => value,
            };
            match value {
                _ if steps.peek().is_none() => return (nearest, Some(found)),
                DeValue::Table(inner) => table = inner,
                _ => break,
            }
        }
        (nearest, None)
    }
}

impl Faults {
    fn new(mut faults: Vec<Fault>) -> Self {
        faults.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        Self(faults)
    }

    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }
}

impl Fault {
    /// Whether the other fault only says that this value is missing. The value was there, but could not be read.
    fn explains(&self, other: &Self) -> bool {
        let (Some(here), Some(there)) = (&self.key, &other.key) else { return false };
        let holds =
            |outer: &str, inner: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        self.about != About::UnknownKey && (holds(here, there) || holds(there, here))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if let Some(key) = &self.key {
            write!(f, " {key}:")?;
        }
        write!(f, " {}", self.why)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.0.iter().enumerate() {
            write!(f, "{}{fault}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl Error for Faults {}

/// The rights of a file. `None`: the file cannot be seen; its reader says so.
fn mode(file: &Path) -> Option<u32> {
    std::fs::metadata(file).ok().map(|metadata| metadata.permissions().mode() & 0o777)
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
