//! The secrets of the device service as credentials of systemd.

use super::site::{CREDENTIALS, DEVICE_USER, Site, is_decrypted};
use qris_host::Failure;
use qris_host::config::Places;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(super) use qris_host::setup::staging::Staging;

pub(super) const SECRETS: [&str; 2] = ["mqtt-password", "backend-token"];

/// Finds the device service's credentials, of which its configuration has only the names. Encrypted credentials can be
/// read only on their own computer, and only by root.
pub(super) fn credentials(staging: &Staging, site: &Site, places: &mut Places) -> Result<(), Failure> {
    for name in SECRETS {
        let [plain, encrypted] = credential_files(name).map(|file| site.at(file));
        // As systemd does it, with one exception. An encrypted credential that systemd was not told of is decrypted too:
        // otherwise nothing could read it.
        if encrypted.exists() && site.runs() && (is_decrypted(site, name) || !plain.exists()) {
            if let Ok(secret) = decrypted(name, &encrypted) {
                places.put_for_now(name, staging.put(&format!("credential-{name}"), &secret)?);
            }
        } else if File::open(&plain).is_ok() {
            places.put(name, plain);
        }
    }
    Ok(())
}

pub(super) fn credential(name: &str) -> String {
    format!("{DEVICE_USER}.{name}")
}

/// The two files that a credential may have on its system: plain, and encrypted.
pub(super) fn credential_files(name: &str) -> [PathBuf; 2] {
    CREDENTIALS.map(|directory| Path::new(directory).join(credential(name)))
}

fn decrypted(name: &str, file: &Path) -> io::Result<Vec<u8>> {
    let told =
        Command::new("systemd-creds").arg("decrypt").arg(format!("--name={name}")).arg(file).arg("-").stdin(Stdio::null()).output()?;
    if told.status.success() { Ok(told.stdout) } else { Err(io::Error::other("systemd-creds cannot decrypt it")) }
}

/// A secret that only this computer can read.
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
