//! Secrets. They are read from a file or a systemd credential, and never printed.

use super::interrupt::Input;
use super::speech::fill;
use crate::texts;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

// A set-up says this in the language of its conversation; services say it in English.
texts! {
    unread: "rahasia di {0} tidak bisa dibaca: {1}; tulis rahasianya di sana, atau sebutkan berkas lain", "cannot read the secret in {0}: {1}; write it there, or name another file";
    no_file: "rahasia tidak bisa dibaca: tidak ada kredensial dan tidak ada berkas dengan nama ini; tulis rahasianya ke sebuah berkas, lalu sebutkan berkas itu", "cannot read the secret: there is neither a credential nor a file of this name; write the secret to a file, and name that";
    empty: "rahasia di {0} kosong: tulis rahasianya di sana", "the secret in {0} is empty: write it there";
    large: "rahasia di {0} lebih besar dari 64 KiB", "the secret in {0} is larger than 64 KiB";
    not_text: "rahasia di {0} bukan teks UTF-8", "the secret in {0} is not UTF-8 text";
}

/// A password, token or key. It has no `Display`, and its `Debug` is `…`. Only [`Secret::expose`] gives it out.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

/// The largest secret that is read: 64 KiB, far more than any key or token has.
const SIZE_MAX: u64 = 64 * 1024;

/// Why a secret could not be read. The error names the file and never its content.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("{}", fill(texts().unread, &[&path.display(), why]))]
    Read {
        path: PathBuf,
        #[source]
        why: std::io::Error,
    },
    /// No path, and no name of a credential. It may be the secret itself, so it is not repeated.
    #[error("{}", texts().no_file)]
    NoFile,
    /// It is empty, or holds only a newline.
    #[error("{}", fill(texts().empty, &[&.0.display()]))]
    Empty(PathBuf),
    #[error("{}", fill(texts().large, &[&.0.display()]))]
    TooLarge(PathBuf),
    #[error("{}", fill(texts().not_text, &[&.0.display()]))]
    NotText(PathBuf),
}

impl Secret {
    #[must_use]
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// Reads the value of a `…_file` setting. It is a path. If systemd handed credentials over
    /// (`CREDENTIALS_DIRECTORY`), it may be the plain name of one of them. One trailing newline is not part of
    /// the secret.
    pub fn read(file: &Path) -> Result<Self, SecretError> {
        Self::read_at(located(file))
    }

    /// The secret itself. Every use of it is worth a second look.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn read_at(path: PathBuf) -> Result<Self, SecretError> {
        let mut bytes = Vec::new();
        match Input::of(&path).and_then(|file| file.take(SIZE_MAX + 1).read_to_end(&mut bytes)) {
            Ok(_) => {}
            Err(why) if why.kind() == std::io::ErrorKind::NotFound && path.components().count() == 1 => return Err(SecretError::NoFile),
            Err(why) => return Err(SecretError::Read { path, why }),
        }
        if bytes.len() as u64 > SIZE_MAX {
            return Err(SecretError::TooLarge(path));
        }
        let Ok(text) = std::str::from_utf8(&bytes) else { return Err(SecretError::NotText(path)) };
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() { Err(SecretError::Empty(path)) } else { Ok(Self(text.into())) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// The path behind a `…_file` setting.
#[must_use]
pub fn located(file: &Path) -> PathBuf {
    located_in(file, std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from))
}

/// If there are credentials, a plain name is one of them.
fn located_in(file: &Path, credentials: Option<PathBuf>) -> PathBuf {
    let plain = file.components().count() == 1 && file.file_name().is_some();
    match credentials {
        Some(directory) if plain => directory.join(file),
        _ => file.to_path_buf(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Result<Secret, SecretError> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("secret");
        std::fs::write(&path, content).expect("written");
        Secret::read(&path)
    }

    #[test]
    fn one_trailing_newline_is_not_part_of_it() {
        for (content, secret) in
            [("hunter2", "hunter2"), ("hunter2\n", "hunter2"), ("hunter2\r\n", "hunter2"), ("a\n\n", "a\n"), (" a ", " a ")]
        {
            assert_eq!(read(content.as_bytes()).expect("a secret").expose(), secret);
        }
    }

    #[test]
    fn what_is_no_secret_is_refused_without_quoting_it() {
        assert!(matches!(read(b""), Err(SecretError::Empty(_))));
        assert!(matches!(read(b"\n"), Err(SecretError::Empty(_))));
        assert!(read(&vec![b'x'; 64 * 1024]).is_ok());
        assert!(matches!(read(&vec![b'x'; 64 * 1024 + 1]), Err(SecretError::TooLarge(_))));
        let error = read(b"hunter2\xff").expect_err("not text");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        let error = Secret::read(Path::new("/nowhere/at-all")).expect_err("no file");
        assert!(error.to_string().contains("/nowhere/at-all"));
    }

    #[test]
    fn it_does_not_print() {
        assert_eq!(format!("{:?}", Some(Secret::new("hunter2"))), "Some(…)");
    }

    #[test]
    fn a_plain_name_is_a_credential_where_there_are_credentials() {
        let directory = || Some(PathBuf::from("/run/credentials/qrisd"));
        assert_eq!(located_in(Path::new("token"), directory()), Path::new("/run/credentials/qrisd/token"));
        assert_eq!(located_in(Path::new("token"), None), Path::new("token"));
        assert_eq!(located_in(Path::new("./a/token"), directory()), Path::new("./a/token"));
        assert_eq!(located_in(Path::new("/etc/token"), directory()), Path::new("/etc/token"));
        assert_eq!(located_in(Path::new(".."), directory()), Path::new(".."));
    }
}
