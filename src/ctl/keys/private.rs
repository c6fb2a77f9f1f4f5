//! The private half of an operator's key, in a file of its owner's: a JWK, or a JWK that only a passphrase opens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use qris_core::order::keys::SigningKey;
use qris_host::Failure;
use qris_host::config::remark;
use qris_host::secret::Secret;
use qris_host::terminal::{self, Hidden};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::pbkdf2;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::num::NonZeroU32;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The variable that names a file with the passphrase, where nobody is there to type it.
const PASSPHRASE_FILE: &str = "QRISCTL_PASSPHRASE_FILE";
/// The name of how a key is sealed. Another way would get another name.
const SEALED_BY: &str = "PBKDF2-HMAC-SHA512+A256GCM";
/// Half a second of a computer of today, for each guess.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(600_000).expect("not zero");
/// A file that wants more was made to keep somebody busy.
const ITERATIONS_MAX: u32 = 10_000_000;
/// The shortest passphrase, in characters.
const PASSPHRASE_MIN: usize = 8;
const SALT_BYTES: usize = 16;

#[derive(Serialize, Deserialize)]
struct Sealed {
    sealed_by: Box<str>,
    iterations: NonZeroU32,
    salt: Box<str>,
    nonce: Box<str>,
    key: Box<str>,
}

/// The operator's own key. Whoever has a passphrase on it is asked for it.
pub(in crate::keys) fn read(path: &Path) -> Result<SigningKey, Failure> {
    let named = |why: String| Failure::usage(format!("{}: {why}", path.display()));
    let text = fs::read_to_string(path).map_err(|why| named(format!("{why}; `qrisctl keys new` makes a key")))?;
    if fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o077 != 0) {
        remark(path, "others on this computer may read this key: chmod 600 it");
    }
    let Ok(sealed) = serde_json::from_str::<Sealed>(&text) else {
        return SigningKey::from_jwk(text.trim()).map_err(|error| named(error.to_string()));
    };
    let passphrase = given()?.map_or_else(|| typed(&format!("The passphrase of {}", path.display())), Ok)?;
    sealed.open(&passphrase).map_err(|why| named(why.into()))
}

/// Writes a new key. A file that is there is never written over: it may be the only copy of a key.
pub(in crate::keys) fn write(path: &Path, key: &SigningKey, is_sealed: bool) -> Result<(), Failure> {
    let failed = |why: io::Error| {
        Failure::failed(match why.kind() {
            io::ErrorKind::AlreadyExists => format!("{}: there is a key already; name another file with --operator-key", path.display()),
            _ => format!("{}: {why}", path.display()),
        })
    };
    let mut text = key.to_private_jwk();
    if is_sealed {
        if path.exists() {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        let sealed = Sealed::of(&text, &chosen()?)?;
        text = serde_json::to_string(&sealed).expect("plain data");
    }
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    writeln!(file, "{text}").and_then(|()| file.sync_all()).map_err(failed)
}

impl Sealed {
    fn of(jwk: &str, passphrase: &Secret) -> Result<Self, Failure> {
        let (mut salt, mut nonce) = ([0; SALT_BYTES], [0; NONCE_LEN]);
        let random = SystemRandom::new();
        let drawn = random.fill(&mut salt).and_then(|()| random.fill(&mut nonce));
        drawn.map_err(|_| Failure::failed("the system gives no random bits"))?;
        let mut key = jwk.as_bytes().to_vec();
        cipher(passphrase, &salt, ITERATIONS)
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut key)
            .expect("a key is short");
        let [salt, nonce, key] = [&salt[..], &nonce, &key].map(|bytes| BASE64URL.encode(bytes).into());
        Ok(Self { sealed_by: SEALED_BY.into(), iterations: ITERATIONS, salt, nonce, key })
    }

    fn open(&self, passphrase: &Secret) -> Result<SigningKey, &'static str> {
        const DAMAGED: &str = "this sealed key is damaged, or of a later release";
        if *self.sealed_by != *SEALED_BY || self.iterations.get() > ITERATIONS_MAX {
            return Err(DAMAGED);
        }
        let bytes = |text: &str| BASE64URL.decode(text).map_err(|_| DAMAGED);
        let (salt, mut key) = (bytes(&self.salt)?, bytes(&self.key)?);
        let nonce = Nonce::try_assume_unique_for_key(&bytes(&self.nonce)?).map_err(|_| DAMAGED)?;
        let opened = cipher(passphrase, &salt, self.iterations).open_in_place(nonce, Aad::empty(), &mut key);
        let jwk = opened.map_err(|_| "this passphrase does not open the key")?;
        std::str::from_utf8(jwk).ok().and_then(|jwk| SigningKey::from_jwk(jwk).ok()).ok_or(DAMAGED)
    }
}

fn cipher(passphrase: &Secret, salt: &[u8], iterations: NonZeroU32) -> LessSafeKey {
    let mut key = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, iterations, salt, passphrase.expose().as_bytes(), &mut key);
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).expect("32 bytes"))
}

/// A new passphrase: from the file, or typed twice.
fn chosen() -> Result<Secret, Failure> {
    let passphrase = match given()? {
        Some(passphrase) => passphrase,
        None => {
            let passphrase = typed("A passphrase for the key")?;
            if typed("The same once more")? != passphrase {
                return Err(Failure::usage("the two passphrases are different; no key was made"));
            }
            passphrase
        }
    };
    if passphrase.expose().chars().count() < PASSPHRASE_MIN {
        return Err(Failure::usage(format!("a passphrase needs {PASSPHRASE_MIN} characters or more; no key was made")));
    }
    Ok(passphrase)
}

fn given() -> Result<Option<Secret>, Failure> {
    let file = std::env::var_os(PASSPHRASE_FILE).filter(|file| !file.is_empty()).map(PathBuf::from);
    file.map(|file| Secret::read(&file).map_err(Failure::usage)).transpose()
}

fn typed(question: &str) -> Result<Secret, Failure> {
    if !terminal::is_there() {
        return Err(Failure::usage(format!(
            "the key needs its passphrase: run this at a terminal, or name a file with it ({PASSPHRASE_FILE})"
        )));
    }
    eprint!("{question} (is not shown): ");
    let hidden = Hidden::begin();
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line);
    drop(hidden);
    read.map_err(Failure::failed)?;
    Ok(Secret::new(line.trim_end_matches(['\n', '\r'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_key_opens_by_its_passphrase_alone() {
        let key = SigningKey::from_seed([3; 32]);
        let passphrase = Secret::new("correct horse");
        let sealed = Sealed::of(&key.to_private_jwk(), &passphrase).expect("sealed");
        let text = serde_json::to_string(&sealed).expect("JSON");
        assert!(!text.contains("\"d\""), "{text}");
        assert_eq!(sealed.open(&passphrase).expect("opened").kid(), key.kid());
        let why = sealed.open(&Secret::new("correct horsf")).expect_err("another");
        assert!(why.contains("does not open"), "{why}");
        for change in [("sealed_by", "XOR".into()), ("iterations", 4_000_000_000_u32.into()), ("salt", "!".into()), ("nonce", "AA".into())]
        {
            let mut bad: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            bad[change.0] = change.1;
            let bad: Sealed = serde_json::from_value(bad).expect("its form");
            assert!(bad.open(&passphrase).is_err_and(|why| why.contains("damaged")), "{}", change.0);
        }
    }
}
