//! Checks values that could be read, and collects what is wrong with them.

use super::Source;
use super::faults::{About, Fault, Faults};
use super::settings::Whole;
use crate::causes;
use crate::hint::either;
use crate::secret::located;
use crate::socket;
use crate::speech::fill;
use crate::texts;
use qris_core::order::ids::IdError;
use qris_core::order::keys::KeySet;
use serde::de::DeserializeOwned;
use std::cell::OnceCell;
use std::error::Error;
use std::ops::{Range, RangeInclusive};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::{fmt, io};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

const KEYS_BYTES_MAX: u64 = 64 * 1024;

texts! {
    missing: "belum diisi", "is missing";
    keys_unread: "{0} tidak bisa dibaca: {1}", "{0} cannot be read: {1}";
    no_receipt_key: "{0} tidak berisi kunci tanda terima: tidak ada barang yang akan bisa keluar", "{0} holds no receipt key: nothing could ever be delivered";
    id: "harus {0} karakter dari {1}", "must be {0} of {1}";
    range: "harus {0} sampai {1}, bukan {2}", "must be {0} to {1}, not {2}";
    open_to_all: "{0} punya mode {1}: siapa saja di komputer ini bisa memakainya; chmod o= {0}", "{0} has mode {1}: everybody on this computer may use it; chmod o= {0}";
    words: "harus {0}, bukan {1}", "must be {0}, not {1}";
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

impl<'a> Checker<'a> {
    pub(super) fn new(source: &'a Source, misread: Vec<Fault>) -> Self {
        Self { source, table: OnceCell::new(), faults: Vec::new(), misread }
    }

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

    /// Notes a fault. `key` is a path such as `orders.timeout_s` or `item[0].price` (counted from 0), and gives the line.
    pub fn fault(&mut self, key: &str, why: impl fmt::Display) {
        self.note(key, why.to_string(), About::Value);
    }

    fn note(&mut self, key: &str, why: String, about: About) {
        let span = self.find(key).0;
        self.faults.push(self.source.fault(span, Some(key.into()), why, about));
    }

    /// Gives the value of a key that must be there, or notes that it is missing.
    pub fn required<T>(&mut self, value: Option<T>, key: &str) -> Option<T> {
        if value.is_none() {
            self.fault(key, texts().missing);
        }
        value
    }

    /// Gives the value of a check, or notes its error with all its causes.
    pub fn take<T, E: Error + 'static>(&mut self, result: Result<T, E>, key: &str) -> Option<T> {
        result.map_err(|error| self.note(key, causes::in_one_line(&error), About::of(&error))).ok()
    }

    /// Gives an id, or notes which texts are one.
    pub fn id<T>(&mut self, id: Result<T, IdError>, key: &str) -> Option<T> {
        id.map_err(|IdError { lengths, letters, .. }| self.fault(key, fill(texts().id, &[&lengths, &letters]))).ok()
    }

    /// Reads a set of keys that has one for receipts, or notes why there is none.
    pub fn keys(&mut self, file: &Path, key: &str) -> Option<KeySet> {
        let file = self.locate(file);
        let shown = file.display();
        let json = std::fs::metadata(&file).map(|metadata| metadata.len()).and_then(|size| match size {
            0..=KEYS_BYTES_MAX => std::fs::read_to_string(&file),
            _ => Err(io::ErrorKind::FileTooLarge.into()),
        });
        let json = json.map_err(|why| self.note(key, fill(texts().keys_unread, &[&shown, &why]), About::of(&why))).ok()?;
        let keys = KeySet::from_jwks(&json).map_err(|why| self.fault(key, format_args!("{shown}: {why}"))).ok()?;
        if keys.receipt_kids().is_empty() {
            self.fault(key, fill(texts().no_receipt_key, &[&shown]));
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
                self.fault(key, fill(texts().range, &[range.start(), range.end(), &value]));
                default
            }
            Some(value) => value,
            None => default,
        }
    }

    /// Gives what a word stands for, or notes which words there are. A missing one stands for `usual`.
    pub fn word<T: Copy>(&mut self, written: Option<&str>, usual: T, words: &[(&str, T)], key: &str) -> Option<T> {
        let Some(written) = written else { return Some(usual) };
        let found = words.iter().find(|(word, _)| *word == written);
        if found.is_none() {
            let known: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            let known = either(&known.iter().map(String::as_str).collect::<Vec<_>>());
            self.fault(key, fill(texts().words, &[&known, &format_args!("{written:?}")]));
        }
        found.map(|(_, meaning)| *meaning)
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
            self.fault(key, fill(texts().open_to_all, &[&file, &format_args!("{mode:04o}")]));
        }
    }

    /// Notes a path for a socket that has something else.
    pub fn socket(&mut self, path: &Path, key: &str) {
        let path = self.locate(path);
        if let Err(why) = socket::look(&path) {
            self.fault(key, format_args!("{}: {why}", path.display()));
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

    /// The span of a key, or of the nearest table around it that stands in the file, and the span of its value, if both are there.
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

/// The rights of a file. `None`: the file cannot be seen; its reader says so.
fn mode(file: &Path) -> Option<u32> {
    std::fs::metadata(file).ok().map(|metadata| metadata.permissions().mode() & 0o777)
}
