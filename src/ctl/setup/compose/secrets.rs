//! The places for the secrets of the device service: a file of its own, or a credential of systemd, plain or encrypted. A secret
//! that moves leaves nothing behind in its old place.

use super::{Draft, Keep};
use crate::guard::{self, FileRole, Guarded};
use crate::setup::text::{fill, texts};
use crate::site::{DEVICE_USER, ETC, SECRETS_DROP_IN, is_decrypted};
use crate::staging::{self, credential_files};
use qris_host::Failure;
use qris_host::secret::Secret;
use qris_host::setup::edit::Text;
use qris_host::setup::write::{Change, Planned};
use std::path::{Path, PathBuf};

/// The settings that name a secret. Each has the name of the secret where no path says otherwise.
const SETTINGS: [(&str, &str, &str); 2] = [("mqtt", "password_file", "mqtt-password"), ("backend", "token_file", "backend-token")];

impl Draft<'_> {
    /// Puts secrets, new and old, into the places that were asked for, and writes the settings that systemd needs for them.
    pub(super) fn secrets(&mut self, text: &mut Text, new: [Option<&Secret>; 2], keep: Option<Keep>) -> Result<(), Failure> {
        for ((section, key, name), new) in SETTINGS.into_iter().zip(new) {
            let before = text.value(section, key).map(PathBuf::from);
            let kept = before.as_deref().map(|before| self.kept(before, name));
            if let Some(secret) = new {
                self.secret(text, (section, key), name, secret, keep.or(kept).unwrap_or(Keep::File))?;
            } else if let (Some(before), Some(keep)) = (&before, keep)
                && kept != Some(keep)
            {
                let secret = Secret::read(&self.places.of(before))
                    .map_err(|why| Failure::usage(fill(texts().secret_unread, &[&section, &key, &why])))?;
                self.secret(text, (section, key), name, &secret, keep)?;
            }
            if keep.is_some() {
                self.leave(text.value(section, key).as_deref().map(Path::new), before.as_deref(), name);
            }
        }
        self.drop_in(text);
        Ok(())
    }

    /// The way to keep the secret to which a setting leads: the one that is planned, or the present one.
    fn kept(&self, setting: &Path, name: &str) -> Keep {
        let files = credential_files(name);
        let [is_plain, is_encrypted] = files.each_ref().map(|file| self.files.iter().any(|planned| planned.path() == file));
        let [plain, encrypted] = files.map(|file| self.site.at(file).exists());
        if setting.components().count() > 1 {
            Keep::File
        } else if is_encrypted || (!is_plain && encrypted && (is_decrypted(self.site, name) || !plain)) {
            Keep::Encrypted
        } else {
            Keep::Credential
        }
    }

    fn secret(&mut self, text: &mut Text, (section, key): (&str, &str), name: &str, secret: &Secret, keep: Keep) -> Result<(), Failure> {
        let before = text.value(section, key).map(PathBuf::from);
        let [plain, encrypted] = credential_files(name);
        let line = format!("{}\n", secret.expose());
        match keep {
            Keep::File => {
                let path = before.filter(|path| path.is_absolute()).unwrap_or_else(|| Path::new(ETC).join(name));
                text.set_text(section, key, &path.display().to_string())?;
                return self.stage(path, FileRole::Secret, &line);
            }
            Keep::Credential => self.stage(plain, FileRole::Credential, &line)?,
            Keep::Encrypted if self.site.runs() => {
                let content = staging::encrypted(name, &line)?;
                self.files.push(Planned::new(encrypted, FileRole::Credential, content));
            }
            Keep::Encrypted => {
                return Err(Failure::usage(texts().secret_elsewhere));
            }
        }
        self.places.put_for_now(name, self.staging.put(&format!("secret-{name}"), line.as_bytes())?);
        text.set_text(section, key, name)
    }

    /// Notes the files to remove: this secret in all places except its present one. A file that somebody put elsewhere stays.
    fn leave(&mut self, now: Option<&Path>, before: Option<&Path>, name: &str) {
        let [plain, encrypted] = credential_files(name);
        let here = now.map(|path| match self.kept(path, name) {
            Keep::File => path,
            Keep::Credential => &plain,
            Keep::Encrypted => &encrypted,
        });
        let own = Path::new(ETC).join(name);
        for place in [&own, &plain, &encrypted] {
            if Some(place.as_path()) != here {
                self.obsolete.extend(self.site.with_copies(place));
            }
        }
        if let Some(before) = before.filter(|before| before.is_absolute() && *before != own && Some(*before) != here) {
            self.remarks.push(fill(texts().secret_left, &[&before.display()]));
        }
    }

    /// Closes again the secrets that stay in their places, and copies of earlier ones, if somebody opened them to others. If
    /// everybody could read one until now, a remark says so.
    pub(super) fn guard_what_stays(&mut self, qrisd: &str) {
        let device = self.site.user(DEVICE_USER);
        for Guarded { path, kind, is_in_use } in guard::secrets(self.site, &qrisd.parse().unwrap_or_default()) {
            if self.files.iter().any(|file| file.path() == path) || self.obsolete.contains(&path) {
                continue;
            }
            let readers: Vec<_> = device.into_iter().filter(|_| is_in_use && kind == FileRole::Secret).collect();
            let place = self.site.at(&path);
            let objection = |metadata| guard::objection(self.site, &metadata, kind, &readers);
            // If it cannot be looked at or read, and is needed, the check of the whole tells that.
            let Ok(Some(why)) = std::fs::metadata(&place).map(objection) else { continue };
            if std::fs::symlink_metadata(&place).is_ok_and(|metadata| metadata.is_symlink()) {
                self.remarks.push(fill(texts().secret_linked, &[&path.display(), &why]));
                continue;
            }
            let Ok(content) = std::fs::read(&place) else { continue };
            let closed = Planned::new(path, kind, content);
            // A user who is not root leaves owners as they are.
            if closed.change(self.site) != Change::Same {
                self.files.push(closed);
            }
        }
        let links = self.files.iter().filter(|file| file.replaces_a_link(self.site));
        self.remarks.extend(links.map(|file| fill(texts().secret_was_linked, &[&file.path().display()])));
        let open = self.files.iter().filter(|file| file.change(self.site) == Change::Access && file.is_open(self.site));
        self.remarks.extend(open.map(|file| fill(texts().secret_was_open, &[&file.path().display()])));
    }

    /// systemd must be told which credentials are encrypted, and only those: it would not hand over a plain credential that is
    /// named so.
    fn drop_in(&mut self, text: &Text) {
        let is_encrypted = |(section, key, name): &&(&str, &str, &str)| {
            text.value(section, key).as_deref() == Some(name) && self.kept(Path::new(name), name) == Keep::Encrypted
        };
        let lines: Vec<_> = SETTINGS
            .iter()
            .filter(is_encrypted)
            .map(|(_, _, name)| format!("LoadCredentialEncrypted={name}:{}\n", staging::credential(name)))
            .collect();
        if !lines.is_empty() {
            let content = format!("{DROP_IN_HEAD}{}", lines.concat());
            self.files.push(Planned::new(SECRETS_DROP_IN, FileRole::Trusted, content));
        } else if self.site.at(SECRETS_DROP_IN).exists() {
            self.obsolete.push(SECRETS_DROP_IN.into());
        }
    }
}

const DROP_IN_HEAD: &str = "\
# Written by qrisctl setup --secrets encrypted: these are in /etc/credstore.encrypted. The key to them may be in the TPM, so
# systemd lets the service open /dev/tpmrm0; without one it is in /var/lib/systemd.
[Service]
";
