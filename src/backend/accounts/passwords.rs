//! A file in the form of Mosquitto's `password_file`: a line a machine, `NAME:$7$ITERATIONS$SALT$HASH` (PBKDF2 with
//! HMAC-SHA-512, base64). Other lines stay as they are. It is written anew as a whole, and has the mode that it had before.

use super::AccountError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use qris_core::order::ids::DeviceId;
use qris_host::config::MqttSettings;
use qris_host::mqtt::{LinkSettings, Mqtt, MqttEvent};
use qris_host::secret::Secret;
use qris_host::tls::LastTrusted;
use qris_host::{owner, random};
use ring::pbkdf2;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// The iterations that Mosquitto uses itself. A machine's password has 256 random bits: more would protect nothing.
pub(super) const ITERATIONS: NonZeroU32 = NonZeroU32::new(101).expect("not zero");
const SALT_BYTES: usize = 12;
const HASH_BYTES: usize = 64;
/// The broker has this time to take a new line.
const TAKEN_WAIT: Duration = Duration::from_secs(20);
/// The most events of the connection that may wait.
const EVENTS: usize = 16;
/// The mode of a new file: its group may take it to the broker.
const MODE: u32 = 0o640;

/// Waits until the broker lets the machine in with this password. The machine would find out at once that it does not.
/// Nothing is wrong if that never happens here: the file may have a longer way.
pub(super) async fn taken(broker: &MqttSettings, device: &DeviceId, password: &str) -> Result<(), AccountError> {
    let (username, password) = (Some(device.to_string()), Some(Secret::new(password)));
    let as_machine = MqttSettings { username, password, ..broker.clone() };
    let mut bits = [0; 8];
    random::fill(&mut bits);
    let mut settings = LinkSettings::new(as_machine, format!("qris-accounts-{}", qris_core::hex(&bits)), &LastTrusted::default())?;
    settings.session_expiry_s = 0;
    let (mqtt, mut events) = Mqtt::start(settings, EVENTS);
    let let_in = async {
        // While it refuses, the connection tries again and again by itself.
        while matches!(events.recv().await, Some(MqttEvent::Down { refused: true, .. })) {}
    };
    drop(timeout(TAKEN_WAIT, let_in).await);
    mqtt.stop(None);
    Ok(())
}

/// Whether the file can be read and written anew.
pub(super) fn check_file(path: &Path) -> Result<(), AccountError> {
    let new = path.with_extension("new");
    let tried = fs::read_to_string(path).map(drop).or_else(|why| if why.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(why) });
    let tried = tried.and_then(|()| begun(&new, MODE, path));
    tried.and_then(|_| fs::remove_file(&new)).map_err(|source| AccountError::File { path: path.to_path_buf(), source })
}

/// Gives a machine this password, or takes its line out.
pub(super) fn put(path: &Path, device: &DeviceId, password: Option<&str>) -> Result<(), AccountError> {
    let line = password.map(|password| line(device.as_str(), password));
    change(path, device, line.as_deref()).map_err(|source| AccountError::File { path: path.to_path_buf(), source })
}

/// The line of a user.
pub fn line(user: &str, password: &str) -> String {
    let [salt, hash] = hashed(password);
    format!("{user}:$7${ITERATIONS}${salt}${hash}\n")
}

/// A new salt, and the password's hash with it, as Mosquitto and its plugin write them.
pub(super) fn hashed(password: &str) -> [String; 2] {
    let (mut salt, mut hash) = ([0; SALT_BYTES], [0; HASH_BYTES]);
    random::fill(&mut salt);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, ITERATIONS, &salt, password.as_bytes(), &mut hash);
    [BASE64.encode(salt), BASE64.encode(hash)]
}

fn change(path: &Path, device: &DeviceId, line: Option<&str>) -> io::Result<()> {
    let (before, mode) = match fs::read_to_string(path) {
        Ok(text) => (text, fs::metadata(path)?.permissions().mode() & 0o777),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (String::new(), MODE),
        Err(error) => return Err(error),
    };
    let is_its = |known: &&str| known.split(':').next() == Some(device.as_str());
    let others = before.lines().filter(|known| !is_its(known)).map(|known| format!("{known}\n"));
    let after: String = others.chain(line.map(str::to_owned)).collect();
    let directory = path.parent().unwrap_or(Path::new("/"));
    let new = path.with_extension("new");
    let mut file = begun(&new, mode, path)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(after.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(directory)?.sync_all()
}

/// A new file that will take the place of `path`. One that a crash left behind goes.
fn begun(new: &Path, mode: u32, path: &Path) -> io::Result<File> {
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => owner::create(new, mode, path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_one_line_and_the_others_stay() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("machines.passwd");
        let (one, two) = (DeviceId::new("vm-1").expect("an id"), DeviceId::new("vm-10").expect("an id"));
        put(&path, &one, Some("a")).expect("written");
        put(&path, &two, Some("b")).expect("written");
        let read = || fs::read_to_string(&path).expect("read");
        let lines = |text: &str, name: &str| text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect::<Vec<_>>();
        let (first, other) = (lines(&read(), "vm-1:"), lines(&read(), "vm-10:"));
        assert_eq!((first.len(), other.len(), fs::metadata(&path).expect("there").permissions().mode() & 0o777), (1, 1, 0o640));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
        put(&path, &one, Some("a")).expect("written");
        assert!(lines(&read(), "vm-1:") != first && lines(&read(), "vm-10:") == other, "another salt");
        put(&path, &one, None).expect("written");
        assert_eq!(read().lines().collect::<Vec<_>>(), other);
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        check_file(&path).expect("it can be written");
        assert_eq!((read().lines().count(), fs::read_dir(directory.path()).expect("there").count()), (1, 1));
        for nowhere in [Path::new("/nowhere/at/all"), directory.path()] {
            assert!(put(nowhere, &one, None).is_err_and(|why| why.to_string().contains(&*nowhere.to_string_lossy())));
            assert!(check_file(nowhere).is_err());
        }
    }
}
