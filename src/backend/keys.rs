//! The file of signing keys. With one key it is that key's private JWK (RFC 8037); after `keys new --rotate` it is a JWK
//! Set whose member `use` names the key that signs, oldest first:
//!
//! ```json
//! { "use": "KID", "keys": [ { "kty": "OKP", "crv": "Ed25519", "kid": "KID", "x": "…", "d": "…" }, … ] }
//! ```
//!
//! It has mode 0600, and is replaced as a whole. Keys are never taken out by the program: a receipt of an old order may
//! still be wanted. Remove one by hand when no machine lists it any more.

use crate::sale::handle::Books;
use qris_core::order::ids::KeyId;
use qris_core::order::keys::{KEYS_MAX, KeyError, SigningKey, jwk_set};
use qris_host::events::Event as Journal;
use qris_host::journal::emit;
use qris_host::speech::fill;
use qris_host::{owner, random, texts};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How often the file is looked at while the program runs.
const LOOK: Duration = Duration::from_secs(1);

/// The private keys, oldest first.
#[derive(Debug)]
pub struct Ring {
    keys: Vec<SigningKey>,
    in_use: usize,
}

// A person with a doctor reads it in the language of that person.
texts! {
    no_file: "{0} tidak ada: `qris-backend keys new` membuatnya", "{0} does not exist: `qris-backend keys new` makes it";
    no_keys: "{0}: bukan JWK pribadi, dan bukan kumpulan JWK pribadi dengan `use`", "{0}: is neither a private JWK nor a set of private JWKs with `use`";
}

/// Why the key file cannot be used. The error never repeats its content.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    #[error("{}", fill(texts().no_file, &[&.0.display()]))]
    Missing(PathBuf),
    #[error("{} exists and is kept: `keys new --rotate` adds a key to it", .0.display())]
    Exists(PathBuf),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// A key in it is not valid.
    #[error("{}: {source}", path.display())]
    Key { path: PathBuf, source: KeyError },
    /// It is neither a JWK nor a set of them.
    #[error("{}", fill(texts().no_keys, &[&.0.display()]))]
    Form(PathBuf),
    #[error("there is no key {kid} in {}: see `qris-backend keys public`", path.display())]
    Unknown { path: PathBuf, kid: KeyId },
    #[error("{} holds {KEYS_MAX} keys already: remove those that no machine lists any more", .0.display())]
    Full(PathBuf),
}

/// The file of keys while the program runs. It is read again when it was replaced, as `keys use` and `keys new --rotate` do.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    seen: Option<(u64, u64, Option<SystemTime>)>,
}

impl Watch {
    /// Watches a file of keys. The first look counts as a change.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.into(), seen: None }
    }

    /// The present keys of the file, if it changed since the last call. A file that cannot be read is told once.
    pub fn changed(&mut self) -> Option<Result<Ring, RingError>> {
        let stamp = fs::metadata(&self.path).ok().map(|file| (file.ino(), file.len(), file.modified().ok()));
        // If the file is gone for a moment, another program is replacing it. The keys in use stay.
        if stamp.is_none() || stamp == self.seen {
            return None;
        }
        self.seen = stamp;
        Some(Ring::read(&self.path))
    }
}

/// Signs with the keys of the file, after every change of it, for as long as the program runs.
pub async fn follow(books: Arc<Books>, path: PathBuf) {
    let mut watch = Watch::new(&path);
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tick.tick().await;
        match watch.changed() {
            None => {}
            Some(Ok(ring)) => {
                let before: Vec<KeyId> = books.policy().rules.keys.iter().map(|key| key.kid().clone()).collect();
                let kids = ring.kids();
                if kids != before {
                    books.use_keys(ring.into_keys());
                    emit(&Journal::KeyInUse { kid: kids[0].to_string().into() });
                }
            }
            Some(Err(error)) => emit(&Journal::KeysUnusable { why: error.to_string().into() }),
        }
    }
}

fn drawn() -> SigningKey {
    let mut seed = [0; 32];
    random::fill(&mut seed);
    SigningKey::from_seed(seed)
}

/// The text of a file with a new key.
#[must_use]
pub fn new_file() -> String {
    format!("{}\n", drawn().to_private_jwk())
}

#[derive(Serialize, Deserialize)]
struct Set {
    #[serde(rename = "use")]
    in_use: KeyId,
    keys: Vec<Box<RawValue>>,
}

impl Ring {
    pub fn read(path: &Path) -> Result<Self, RingError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(RingError::Missing(path.into())),
            Err(source) => return Err(RingError::Io { path: path.into(), source }),
        };
        let key = |jwk: &str| SigningKey::from_jwk(jwk).map_err(|source| RingError::Key { path: path.into(), source });
        // A key has no member `keys`, and a set has no `d`.
        let Ok(set) = serde_json::from_str::<Set>(&text) else { return Ok(Self { keys: vec![key(&text)?], in_use: 0 }) };
        let keys = set.keys.iter().map(|jwk| key(jwk.get())).collect::<Result<Vec<_>, _>>()?;
        let in_use = keys.iter().position(|key| *key.kid() == set.in_use).ok_or_else(|| RingError::Form(path.into()))?;
        Ok(Self { keys, in_use })
    }

    /// Makes a key and writes it. With `rotate` it is added to the keys that are there, and the key in use stays.
    /// Without `rotate` an old file is kept.
    pub fn make(path: &Path, rotate: bool) -> Result<KeyId, RingError> {
        let new = drawn();
        let kid = new.kid().clone();
        match (Self::read(path), rotate) {
            (Err(RingError::Missing(_)), _) => Self { keys: vec![new], in_use: 0 }.write(path)?,
            (Ok(_), false) => return Err(RingError::Exists(path.into())),
            (Ok(mut ring), true) => {
                if ring.keys.len() >= KEYS_MAX {
                    return Err(RingError::Full(path.into()));
                }
                ring.keys.push(new);
                ring.write(path)?;
            }
            (Err(error), _) => return Err(error),
        }
        Ok(kid)
    }

    /// Signs with another key from now on.
    pub fn choose(path: &Path, kid: &KeyId) -> Result<(), RingError> {
        let mut ring = Self::read(path)?;
        let unknown = || RingError::Unknown { path: path.into(), kid: kid.clone() };
        ring.in_use = ring.keys.iter().position(|key| key.kid() == kid).ok_or_else(unknown)?;
        ring.write(path)
    }

    /// The JWK Set for the `keys.json` of machines, without a private part.
    #[must_use]
    pub fn public(&self, issuer: &str) -> String {
        jwk_set(&self.keys.iter().map(|key| key.to_public_jwk(issuer)).collect::<Vec<_>>())
    }

    /// The keys, the one in use first, then the newest first.
    #[must_use]
    pub fn into_keys(self) -> Vec<SigningKey> {
        let Self { mut keys, in_use } = self;
        let first = keys.remove(in_use);
        std::iter::once(first).chain(keys.into_iter().rev()).collect()
    }

    /// The names of the keys in the order of [`Ring::into_keys`].
    fn kids(&self) -> Vec<KeyId> {
        let rest = self.keys.iter().enumerate().rev().filter(|(index, _)| *index != self.in_use).map(|(_, key)| key);
        std::iter::once(&self.keys[self.in_use]).chain(rest).map(|key| key.kid().clone()).collect()
    }

    fn write(&self, path: &Path) -> Result<(), RingError> {
        let failed = |source| RingError::Io { path: path.into(), source };
        let text = match self.keys.as_slice() {
            [only] => only.to_private_jwk(),
            keys => {
                let raw = |key: &SigningKey| RawValue::from_string(key.to_private_jwk()).expect("a JWK is JSON");
                let set = Set { in_use: keys[self.in_use].kid().clone(), keys: keys.iter().map(raw).collect() };
                serde_json::to_string(&set).expect("plain data")
            }
        };
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let temporary = PathBuf::from(name);
        let written = || -> io::Result<()> {
            // A file that a crash left behind holds no key that anybody used.
            match fs::remove_file(&temporary) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            let mut file = owner::create(&temporary, 0o600, path)?;
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&temporary, path)?;
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            fs::File::open(directory)?.sync_all()
        };
        written().map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_made_once_and_rotated_beside_the_old() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("signing.jwk");
        assert!(matches!(Ring::read(&path), Err(RingError::Missing(_))));
        let first = Ring::make(&path, false).expect("made");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert!(SigningKey::from_jwk(&fs::read_to_string(&path).expect("text")).is_ok(), "one key is a plain JWK");
        let before = fs::read(&path).expect("read");
        assert!(matches!(Ring::make(&path, false), Err(RingError::Exists(_))));
        assert_eq!(fs::read(&path).expect("read"), before);

        let second = Ring::make(&path, true).expect("rotated");
        let third = Ring::make(&path, true).expect("rotated");
        let kids =
            |path: &Path| -> Vec<KeyId> { Ring::read(path).expect("read").into_keys().iter().map(|key| key.kid().clone()).collect() };
        assert_eq!(kids(&path), [first.clone(), third.clone(), second.clone()], "rotation only adds");
        Ring::choose(&path, &second).expect("known");
        assert_eq!(kids(&path), [second.clone(), third.clone(), first.clone()]);
        assert_eq!(Ring::read(&path).expect("read").kids(), [second, third, first]);
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        let other = KeyId::new("other").expect("an id");
        assert!(matches!(Ring::choose(&path, &other), Err(RingError::Unknown { .. })));
        let public = Ring::read(&path).expect("read").public("pay.example");
        assert!(!public.contains("\"d\"") && qris_core::order::keys::KeySet::from_jwks(&public).expect("a set").receipt_kids().len() == 3);
    }

    #[test]
    fn a_file_that_is_replaced_is_read_again_and_one_that_is_not_is_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("signing.jwk");
        let mut watch = Watch::new(&path);
        assert!(watch.changed().is_none(), "not there yet");
        Ring::make(&path, false).expect("made");
        assert!(matches!(watch.changed(), Some(Ok(_))) && watch.changed().is_none());
        let second = Ring::make(&path, true).expect("rotated");
        Ring::choose(&path, &second).expect("chosen");
        assert_eq!(watch.changed().expect("changed").expect("good").kids()[0], second);
        assert!(watch.changed().is_none());
        fs::write(&path, "{}").expect("written");
        assert!(matches!(watch.changed(), Some(Err(_))) && watch.changed().is_none(), "told once");
    }

    #[test]
    fn what_is_no_key_file_is_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("signing.jwk");
        for bad in ["", "{}", "{\"use\":\"x\",\"keys\":[]}"] {
            fs::write(&path, bad).expect("written");
            assert!(Ring::read(&path).is_err(), "{bad}");
            assert!(Ring::make(&path, true).is_err(), "{bad}");
            assert_eq!(fs::read_to_string(&path).expect("read"), bad);
        }
    }
}
