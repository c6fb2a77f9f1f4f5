//! A directory of our own for what is looked at before it is put in its place, and for secrets that must be a file for a
//! moment. It is gone with the command.

use super::broker::random_hex;
use super::site::{CREDENTIALS, DEVICE_USER, Site};
use crate::host::Failure;
use crate::host::config::Places;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// In memory, on a system with systemd.
const RUN: &str = "/run";
/// The secrets of the device service that can be credentials.
pub(super) const SECRETS: [&str; 2] = ["mqtt-password", "backend-token"];

/// The directory: ours alone, and removed at the end.
pub(super) struct Staging(PathBuf);

impl Staging {
    pub(super) fn new() -> Result<Self, Failure> {
        let name = format!("qrisctl-{}", random_hex()?);
        let make = |path: PathBuf| DirBuilder::new().mode(0o700).create(&path).map(|()| path);
        let made = make(Path::new(RUN).join(&name)).or_else(|_| make(std::env::temp_dir().join(&name)));
        made.map(Self).map_err(|why| Failure::failed(format!("no directory for what is to be checked: {why}")))
    }

    /// Puts a file there, for us alone to read.
    pub(super) fn put(&self, name: &str, content: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.0.join(name);
        let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let written = written.and_then(|mut file| file.write_all(content));
        written.map_err(|why| Failure::failed(format!("{}: {why}", path.display())))?;
        Ok(path)
    }

    /// Where the credentials of the device service are, of which its configuration has only the names. Encrypted ones can be
    /// read on their own computer alone, and by root.
    pub(super) fn credentials(&self, site: &Site, places: &mut Places) -> Result<(), Failure> {
        for name in SECRETS {
            let [plain, encrypted] = CREDENTIALS.map(|directory| site.at(directory).join(credential(name)));
            // As systemd does, but for an encrypted one of which it was not told: that would else be read by nobody.
            if encrypted.exists() && site.runs() && (site.is_decrypted(name) || !plain.exists()) {
                if let Ok(secret) = decrypted(name, &encrypted) {
                    places.put_for_now(name, self.put(&format!("credential-{name}"), &secret)?);
                }
            } else if plain.exists() {
                places.put(name, plain);
            }
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now is in memory, or in the directory for such things, and nobody else's to read.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// The name of a credential's file.
pub(super) fn credential(name: &str) -> String {
    format!("{DEVICE_USER}.{name}")
}

fn decrypted(name: &str, file: &Path) -> io::Result<Vec<u8>> {
    let told =
        Command::new("systemd-creds").arg("decrypt").arg(format!("--name={name}")).arg(file).arg("-").stdin(Stdio::null()).output()?;
    if told.status.success() { Ok(told.stdout) } else { Err(io::Error::other("systemd-creds cannot decrypt it")) }
}

/// A secret as only this computer can read it.
pub(super) fn encrypted(name: &str, secret: &str) -> Result<Vec<u8>, Failure> {
    let failed = |why: String| Failure::failed(format!("systemd-creds encrypt: {why}"));
    let mut command = Command::new("systemd-creds");
    command.arg("encrypt").arg(format!("--name={name}")).args(["-", "-"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|why| failed(why.to_string()))?;
    let mut input = child.stdin.take().expect("piped");
    input.write_all(secret.as_bytes()).map_err(|why| failed(why.to_string()))?;
    drop(input);
    let told = child.wait_with_output().map_err(|why| failed(why.to_string()))?;
    if told.status.success() { Ok(told.stdout) } else { Err(failed(String::from_utf8_lossy(&told.stderr).trim().to_owned())) }
}
