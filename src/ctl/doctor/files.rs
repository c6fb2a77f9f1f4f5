//! The disk: users, the rights to read and write each file, the policy of the bus, and room for orders.

use super::root::needs_root;
use super::text::{fill, texts};
use crate::broker::random_hex;
use crate::guard::{self, FileRole, Guarded};
use crate::site::{CONTROL_GROUP, DEVICE_USER, GPIO_GROUP, RELAY_USER, SCREEN_GROUP, SECRETS_DROP_IN, Site, User, is_decrypted, is_root};
use crate::staging::{SECRETS, credential_files};
use qris_core::order::time::{Span, Wall};
use qris_device::config::{Certificates, Config as DeviceConfig};
use qris_host::config::BusAddress;
use qris_host::disk;
use qris_host::finding::Finding;
use qris_host::tls::first_end;
use qris_host::zone::told;
use qris_relay::config::Config as RelayConfig;
use std::fs::{self, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The group of the console, which the unit names.
const CONSOLE_GROUP: &str = "tty";
/// Less free room than the first deserves a warning: it holds about ten thousand orders. Less than the second counts as no
/// room.
const ROOM: [u64; 2] = [128 << 20, 16 << 20];
const ENDS_SOON: Span = Span::secs(30 * 86_400);
/// The directories of the bus for policies: first of packages, then of people.
const POLICIES: [&str; 2] = ["/usr/share/dbus-1/system.d", "/etc/dbus-1/system.d"];

pub(super) fn certificates(files: &Certificates, now: Wall) -> Vec<Finding> {
    const CHECK: &str = "certificates";
    let own = files.own.iter().map(|path| (path, true));
    let all = own.chain(files.authorities.iter().map(|path| (path, false)));
    let ends = all.filter_map(|(path, is_own)| Some((path.display(), is_own, first_end(path)?)));
    ends.map(|(path, is_own, end)| match (is_own, now >= end, now + ENDS_SOON >= end) {
        (_, false, false) => Finding::ok(CHECK, fill(texts().good_until, &[&path, &told(end)])),
        (true, true, _) => Finding::bad(CHECK, fill(texts().ended, &[&path, &told(end)]), texts().own_ends),
        (true, false, true) => Finding::warn(CHECK, fill(texts().ends, &[&path, &told(end)]), texts().own_ends),
        // A machine does not look at this day. But whoever made the servers' certificates with it makes them anew then.
        (false, is_over, _) => {
            let said = fill(if is_over { texts().ca_ended } else { texts().ca_ends }, &[&path, &told(end)]);
            Finding::warn(CHECK, said, texts().ca_do)
        }
    })
    .collect()
}

/// The users and groups that the units name. A service does not start if one is missing.
pub(super) fn users(site: &Site) -> Finding {
    const CHECK: &str = "users";
    let users = [DEVICE_USER, RELAY_USER].into_iter().filter(|name| site.user(name).is_none()).map(|name| fill(texts().user, &[&name]));
    let groups = [SCREEN_GROUP, CONSOLE_GROUP, GPIO_GROUP, CONTROL_GROUP].into_iter().filter(|name| site.group(name).is_none());
    let missing: Vec<_> = users.chain(groups.map(|name| fill(texts().group, &[&name]))).collect();
    if missing.is_empty() {
        return Finding::ok(CHECK, fill(texts().users, &[&DEVICE_USER, &RELAY_USER]));
    }
    Finding::bad(CHECK, fill(texts().missing, &[&missing.join(", ")]), texts().sysusers)
}

pub(super) fn guarded(site: &Site, qrisd_toml: &Path) -> Vec<Finding> {
    let (device, relay) = (site.user(DEVICE_USER), site.user(RELAY_USER));
    let relay_toml = qrisd_toml.with_file_name("relay.toml");
    let mut wanted: Vec<(PathBuf, FileRole, Vec<&User>)> = vec![
        (qrisd_toml.into(), FileRole::Trusted, device.into_iter().collect()),
        (relay_toml.clone(), FileRole::Trusted, relay.into_iter().collect()),
    ];
    // The tables are read only for their paths. Another check has told their faults.
    let table = |path: &Path| fs::read_to_string(site.at(path)).ok().and_then(|text| text.parse::<toml::Table>().ok()).unwrap_or_default();
    let (qrisd, relayd) = (table(qrisd_toml), table(&relay_toml));
    let path = |table: &toml::Table, section: &str, key: &str| table.get(section)?.get(key)?.as_str().map(PathBuf::from);
    let mut keys: Vec<_> = [path(&qrisd, "receipts", "keys_file"), path(&relayd, "receipts", "keys_file")].into_iter().flatten().collect();
    keys.dedup();
    wanted.extend(keys.into_iter().map(|path| (path, FileRole::Trusted, device.into_iter().chain(relay).collect())));
    for (section, key) in [("mqtt", "ca_file"), ("mqtt", "cert_file"), ("backend", "ca_file")] {
        wanted.extend(path(&qrisd, section, key).map(|path| (path, FileRole::Trusted, device.into_iter().collect())));
    }
    let (in_use, left): (Vec<Guarded>, Vec<Guarded>) = guard::secrets(site, &qrisd).into_iter().partition(|secret| secret.is_in_use);
    for Guarded { path, kind, .. } in in_use {
        let readers = if kind == FileRole::Secret { device.into_iter().collect() } else { Vec::new() };
        wanted.push((path, kind, readers));
    }
    let mut findings: Vec<_> = wanted.iter().filter_map(|(path, kind, readers)| guarded_file(site, path, *kind, readers)).collect();
    findings.extend(left.iter().filter_map(|secret| left_open(site, secret)));
    // A user who cannot see their place would take one that is there for a missing one.
    if is_root() || !site.runs() {
        findings.extend(guard::credentials(&qrisd).into_iter().filter_map(|name| not_handed_over(site, name)));
    }
    if findings.is_empty() {
        let count = wanted.len() + left.len();
        findings.push(Finding::ok("files", fill(texts().whole, &[&count])));
    }
    findings
}

/// One of our credentials is there, but systemd has wrong settings for it. The service would not start, or would start
/// without it.
fn not_handed_over(site: &Site, name: &str) -> Option<Finding> {
    if !SECRETS.contains(&name) {
        return None;
    }
    let [plain, encrypted] = credential_files(name);
    let (is_plain, is_encrypted) = (site.at(&plain).exists(), site.at(&encrypted).exists());
    let said = match (is_decrypted(site, name), is_plain, is_encrypted) {
        (true, true, false) => fill(texts().plain, &[&plain.display(), &SECRETS_DROP_IN]),
        (false, false, true) => fill(texts().encrypted, &[&encrypted.display(), &SECRETS_DROP_IN]),
        (true, _, true) | (true, false, false) | (false, true, _) | (false, false, false) => return None,
    };
    Some(Finding::bad("secrets", said, texts().setup_rights))
}

fn guarded_file(site: &Site, path: &Path, kind: FileRole, readers: &[&User]) -> Option<Finding> {
    let (check, shown) = (check_of(kind), path.display());
    let metadata = match fs::metadata(site.at(path)) {
        Ok(metadata) => metadata,
        // The directories of credentials are root's.
        Err(why) if !is_root() && (kind == FileRole::Credential || why.kind() == ErrorKind::PermissionDenied) => {
            return Some(needs_root(check, shown));
        }
        Err(why) => return Some(Finding::bad(check, format!("{shown}: {why}"), texts().setup_or_path)),
    };
    let directory = path.parent().and_then(|directory| Some((directory, fs::metadata(site.at(directory)).ok()?)));
    if let Some((directory, metadata)) = directory.filter(|(_, metadata)| is_loose(metadata)) {
        let said = fill(texts().loose, &[&directory.display(), &format_args!("{:04o}", metadata.mode() & 0o7777), &shown]);
        return Some(Finding::bad(check, said, format!("chown root:root {0}; chmod 755 {0}", directory.display())));
    }
    let why = guard::objection(site, &metadata, kind, readers)?;
    Some(Finding::bad(check, format!("{}: {why}", rights_of(site, path, &metadata)), right(path, kind)))
}

/// The fault of a secret that nothing needs, if there is one. A copy that an earlier set-up kept is mostly as good as the
/// present secret.
fn left_open(site: &Site, secret: &Guarded) -> Option<Finding> {
    let Guarded { path, kind, .. } = secret;
    let metadata = fs::metadata(site.at(path)).ok()?;
    let why = guard::objection(site, &metadata, *kind, &[])?;
    let to_do = fill(texts().remove, &[&right(path, *kind)]);
    Some(Finding::bad(check_of(*kind), format!("{}: {why}", rights_of(site, path, &metadata)), to_do))
}

const fn check_of(kind: FileRole) -> &'static str {
    match kind {
        FileRole::Trusted => "files",
        FileRole::Secret | FileRole::Credential => "secrets",
    }
}

fn rights_of(site: &Site, path: &Path, metadata: &Metadata) -> String {
    let (user, group) = (site.user_name(metadata.uid()), site.group_name(metadata.gid()));
    fill(texts().rights, &[&path.display(), &format_args!("{user}:{group}"), &format_args!("{:04o}", metadata.mode() & 0o7777)])
}

/// The command that makes it right.
fn right(path: &Path, kind: FileRole) -> String {
    let (group, mode) = kind.rights();
    format!("chown root:{group} {0}; chmod {mode:o} {0}", path.display())
}

/// May a user other than root put new files into this directory? The sticky bit protects only files that are there.
fn is_loose(metadata: &Metadata) -> bool {
    metadata.uid() != 0 || (metadata.mode() & 0o022 != 0 && metadata.mode() & 0o1000 == 0)
}

/// Does the system's bus let the services speak? Another bus is not ours to check.
pub(super) fn policy(site: &Site, bus: &BusAddress) -> Option<Finding> {
    const CHECK: &str = "policy";
    if *bus != BusAddress::System {
        return None;
    }
    let missing: Vec<_> = ["io.qrisd.Relay1.conf", "io.qrisd.Device1.conf"]
        .into_iter()
        .filter(|name| !POLICIES.iter().any(|directory| site.at(directory).join(name).exists()))
        .collect();
    if missing.is_empty() {
        return Some(Finding::ok(CHECK, texts().policies));
    }
    let said = fill(texts().no_policy, &[&missing.join(", ")]);
    Some(Finding::bad(CHECK, said, fill(texts().no_policy_do, &[&POLICIES[0]])))
}

pub(super) fn state(site: &Site, device: Option<&DeviceConfig>, relay: Option<&RelayConfig>) -> Vec<Finding> {
    let files = device.map(|device| (device.machine.store.as_path(), DEVICE_USER)).into_iter();
    let files = files.chain(relay.map(|relay| (relay.ledger.as_path(), RELAY_USER)));
    files.flat_map(|(path, user)| database(site, path, user)).collect()
}

fn database(site: &Site, path: &Path, user: &str) -> Vec<Finding> {
    const CHECK: &str = "state";
    let directory = path.parent().unwrap_or(Path::new("/"));
    let shown = directory.display();
    let Ok(metadata) = fs::metadata(site.at(directory)) else {
        // systemd makes it for its service.
        return vec![Finding::warn(CHECK, fill(texts().not_yet, &[&shown]), texts().not_yet_do)];
    };
    let mut findings = Vec::new();
    if let Some(user) = site.user(user)
        && !site.may(user, &metadata, 2)
    {
        let said = fill(texts().not_theirs, &[&shown, &site.user_name(metadata.uid()), &user.name]);
        findings.push(Finding::bad(CHECK, said, format!("chown -R {0}:{0} {shown}", user.name)));
    }
    for file in databases(&site.at(path)) {
        if let (Some(user), Ok(metadata)) = (site.user(user), fs::metadata(&file))
            && metadata.uid() != user.uid
        {
            let said = fill(texts().as_another, &[&file.display(), &site.user_name(metadata.uid())]);
            findings.push(Finding::bad(CHECK, said, fill(texts().as_another_do, &[&user.name, &shown])));
            break;
        }
    }
    findings.extend(disk::set_aside(&site.at(directory).join(path.file_name().unwrap_or_default())).map(|(count, newest)| {
        let said = fill(texts().set_aside, &[&count, &path.display(), &newest]);
        Finding::warn(CHECK, said, texts().set_aside_do)
    }));
    findings.extend(disk::long_log(&site.at(path)).map(|mib| {
        let said = fill(texts().long_log, &[&path.display(), &mib]);
        Finding::warn(CHECK, said, fill(texts().long_log_do, &[&path.display()]))
    }));
    findings.push(room(site, directory));
    findings
}

/// The database, and the files that SQLite and the services keep beside it, if they are there.
fn databases(path: &Path) -> Vec<PathBuf> {
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    ["", "-wal", "-shm", ".mark", ".lock"].map(beside).into_iter().filter(|path| path.exists()).collect()
}

/// Writes a file there, and removes it again.
fn room(site: &Site, directory: &Path) -> Finding {
    const CHECK: &str = "state";
    let shown = directory.display();
    let here = site.at(directory);
    let free = match disk::free_bytes(&here) {
        Ok(free) => free,
        Err(why) => return Finding::bad(CHECK, format!("{shown}: {why}"), texts().disk_do),
    };
    let said = fill(texts().room, &[&(free >> 20), &shown]);
    if let Ok(name) = random_hex() {
        let file = here.join(format!("doctor-{name}"));
        if let Err(why) = OpenOptions::new().write(true).create_new(true).open(&file).and_then(|file| file.sync_all()) {
            if !is_root() && why.kind() == ErrorKind::PermissionDenied {
                return needs_root(CHECK, fill(texts().room_root, &[&said]));
            }
            return Finding::bad(CHECK, fill(texts().no_file, &[&shown, &why]), texts().no_file_do);
        }
        // A file that was just made can be removed.
        drop(fs::remove_file(&file));
    }
    Finding::of_room(CHECK, free, ROOM, said, texts().room_do)
}
