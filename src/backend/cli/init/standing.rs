//! What stands in the broker's configuration already, with all that it includes. A broker that somebody configured is left alone. Beside
//! some settings Mosquitto would not start with our file, and others let people in past our list of users.

use super::text::{fill, texts};
use qris_host::Failure;
use qris_host::setup::site::Site;
use std::fs;
use std::path::{Path, PathBuf};

const MAIN_CONF: &str = "/etc/mosquitto/mosquitto.conf";
/// Mosquitto reads this key in its own configuration only.
const INCLUDE_DIR: &str = "include_dir";
/// Settings that let nobody in, and that Mosquitto takes beside our file.
const HARMLESS: [&str; 10] = [
    "connection_messages",
    "log_dest",
    "log_facility",
    "log_timestamp",
    "log_timestamp_format",
    "log_type",
    "persistence_file",
    "pid_file",
    "sys_interval",
    // Mosquitto takes it once: we leave ours out then.
    "persistence_location",
];
/// The same, with this value alone: messages must wait for a machine.
const PERSISTENCE: (&str, &str) = ("persistence", "true");

pub(super) struct Setting {
    pub(super) key: String,
    value: String,
    pub(super) place: String,
}

/// All settings of the broker, if our file `conf` with these `keys` can stand beside them.
pub(super) fn read(site: &Site, conf: &Path, keys: &[&str]) -> Result<Vec<Setting>, Failure> {
    let main = settings(site, Path::new(MAIN_CONF))?;
    let (includes, mut all): (Vec<_>, Vec<_>) = main.into_iter().partition(|setting| setting.key == INCLUDE_DIR);
    if !includes.iter().any(|setting| Some(Path::new(&setting.value)) == conf.parent()) {
        return Err(Failure::usage(fill(texts().broker_excludes, &[&MAIN_CONF, &conf.parent().unwrap_or(conf).display()])));
    }
    for directory in &includes {
        for file in included(site, Path::new(&directory.value))? {
            all.extend(settings(site, &file)?);
        }
    }
    let wrong: Vec<_> = all.iter().filter_map(|setting| setting.refused(keys)).collect();
    if wrong.is_empty() { Ok(all) } else { Err(Failure::usage(fill(texts().broker_configured, &[&wrong.join("; ")]))) }
}

impl Setting {
    /// Why ours cannot stand beside it. Only what is known to be harmless may stay: Mosquitto has more than a hundred settings.
    fn refused(&self, keys: &[&str]) -> Option<String> {
        let said = match &*self.key {
            _ if (&*self.key, &*self.value) == PERSISTENCE => return None,
            key if HARMLESS.contains(&key) => return None,
            key if keys.contains(&key) => texts().stands_twice,
            _ => texts().may_open,
        };
        Some(fill(said, &[&self.place, &self.key]))
    }
}

/// The files of a directory that Mosquitto includes. Each line of each of them counts, so the order changes nothing.
fn included(site: &Site, directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = fs::read_dir(site.at(directory)).map_err(|why| unread(directory, &why))?;
    let names = entries.map(|entry| entry.map(|entry| directory.join(entry.file_name())));
    let mut files = names.collect::<Result<Vec<_>, _>>().map_err(|why| unread(directory, &why))?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "conf"));
    files.sort();
    Ok(files)
}

/// The settings of a file, as Mosquitto reads them: words with spaces between them.
fn settings(site: &Site, file: &Path) -> Result<Vec<Setting>, Failure> {
    let text = fs::read(site.at(file)).map_err(|why| unread(file, &why))?;
    let lines = String::from_utf8_lossy(&text).into_owned();
    let setting = |(number, line): (usize, &str)| {
        let (key, value) = line.trim_start_matches(' ').split_once(' ').unwrap_or((line.trim_start_matches(' '), ""));
        let place = format!("{}:{}", file.display(), number + 1);
        (!line.starts_with('#') && !key.is_empty()).then(|| Setting { key: key.into(), value: value.trim_matches(' ').into(), place })
    };
    Ok(lines.lines().enumerate().filter_map(setting).collect())
}

fn unread(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::failed(fill(texts().broker_unread, &[&path.display(), why]))
}
