//! `qris-backend doctor`: whether everything works that selling needs, each with what to do about it.

mod network;

use super::print::Out;
use crate::books::{self as ledger, BooksError};
use crate::config::Config;
use crate::devices;
use crate::keys::Ring;
use crate::store::{self, BOOKS, MACHINES, Store, StoreError};
use clap::Args;
use qris_host::config::Source;
use qris_host::finding::{self, Finding, Level};
use qris_host::{Failure, disk, tls};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// How.
#[derive(Debug, Args)]
pub struct Doctor {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// With less free room than this there is a warning: it is enough for some hundred thousand orders.
const ROOM_WARN: u64 = 1 << 30;
/// Less than this counts as no room.
const ROOM_BAD: u64 = 64 << 20;

/// Runs the command.
pub async fn run(config: &Config, source: &Source, wanted: Doctor) -> Result<(), Failure> {
    tls::install_provider();
    let mut findings = vec![Finding::ok("config", format!("{} is well formed", source.path().display()))];
    findings.extend(keys(config));
    findings.extend(books(config).await);
    findings.extend(machines(config).await);
    findings.push(alerts(config));
    findings.extend(config.remark().map(|why| Finding::warn("contact", why, "set it: a telephone number becomes a button")));
    findings.extend(network::look(config, source).await);
    tell(&findings, wanted.json)
}

fn tell(findings: &[Finding], as_json: bool) -> Result<(), Failure> {
    let mut out = Out::default();
    for finding in findings {
        let lines = if as_json { vec![finding.json()] } else { finding.words() };
        lines.iter().try_for_each(|line| out.line(line))?;
    }
    finding::verdict(findings).map_or(Ok(()), |bad| Err(Failure::failed(bad)))
}

/// The files that hold secrets, and the content of the signing key's file.
fn keys(config: &Config) -> Vec<Finding> {
    let mut findings =
        vec![secret(config.gateway.secret().title, config.gateway.secret().path), secret("signing key", &config.signing_key_file)];
    findings.extend(config.mqtt_password_file.iter().map(|path| secret("broker's", path)));
    findings.push(match Ring::read(&config.signing_key_file) {
        Ok(ring) => {
            let keys = ring.into_keys();
            Finding::ok("receipts", format!("signed with {}, one of {} keys", keys[0].kid(), keys.len()))
        }
        Err(error) => {
            Finding::bad("receipts", error.to_string(), "make a key with `qris-backend keys new`, or correct receipts.signing_key_file")
        }
    });
    findings
}

/// Who may read a secret.
fn secret(check: &'static str, path: &Path) -> Finding {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        // A name without a slash is a credential of the service manager, which guards it.
        Err(_) if path.components().count() == 1 => {
            return Finding::ok(check, format!("{} is a credential of the service", path.display()));
        }
        Err(error) => {
            return Finding::bad(check, format!("{}: {error}", path.display()), "correct the path, or the rights of its directories");
        }
    };
    let mode = metadata.permissions().mode() & 0o777;
    let said = format!("{} has mode {mode:04o}", path.display());
    if mode & 0o007 != 0 {
        Finding::bad(check, format!("{said}: everybody on this computer may use it"), format!("chmod 600 {}", path.display()))
    } else if mode & 0o020 != 0 {
        Finding::warn(check, format!("{said}: its group may write it"), format!("chmod g-w {}", path.display()))
    } else {
        Finding::ok(check, said)
    }
}

/// The books: whole, writable, with room.
async fn books(config: &Config) -> Vec<Finding> {
    let path = &config.store;
    let mut findings = vec![room(path)];
    findings.extend(set_aside(path));
    let store = match Store::open_beside(path, &BOOKS, false) {
        Ok(store) => store,
        Err(error) => {
            findings.push(Finding::bad("database", error.to_string(), "`serve` makes one; run this as the user of the service"));
            return findings;
        }
    };
    findings.push(whole(&store).await);
    findings.extend(readable(&store).await);
    findings.push(writable(&store, path, "INSERT INTO history (order_id, at_ms, event) VALUES ('doctor', 0, '')").await);
    findings
}

/// The machines: the same checks, and which machines are let in.
async fn machines(config: &Config) -> Vec<Finding> {
    let path = store::machines_beside(&config.store);
    let mut findings: Vec<_> = set_aside(&path).into_iter().collect();
    let store = match Store::open_beside(&path, &MACHINES, false) {
        Ok(store) => store,
        Err(error) => {
            findings.push(Finding::bad("machines", error.to_string(), "`serve` makes one, and `device add ID` lets a machine in"));
            return findings;
        }
    };
    let tried = "INSERT INTO devices (id, token_hash, added_ms, sum) VALUES ('doctor', 'doctor', 0, '')";
    for finding in [whole(&store).await, writable(&store, &path, tried).await] {
        if finding.level == Level::Bad {
            findings.push(finding);
        }
    }
    findings.push(let_in(&store).await);
    findings
}

fn room(path: &Path) -> Finding {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let free = match disk::free_bytes(directory) {
        Ok(free) => free,
        Err(error) => {
            return Finding::bad("disk", format!("{}: {error}", directory.display()), "make the directory, owned by the service's user");
        }
    };
    let said = format!("{} MB free for {}", free >> 20, path.display());
    if free < ROOM_BAD {
        Finding::bad("disk", said, "make room: nothing is sold when the books cannot be written")
    } else if free < ROOM_WARN {
        Finding::warn("disk", said, "make room")
    } else {
        Finding::ok("disk", said)
    }
}

/// Damaged databases beside this one.
fn set_aside(path: &Path) -> Option<Finding> {
    let name = path.file_name()?.to_str()?;
    let entries = std::fs::read_dir(path.parent()?).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let aside: Vec<_> = names
        .filter(|other| other.starts_with(&format!("{name}.corrupt-")) && !other.ends_with("-wal") && !other.ends_with("-shm"))
        .collect();
    let newest = aside.iter().max()?;
    let said = format!("{} damaged databases were set aside, the last as {newest}", aside.len());
    Some(Finding::warn("database", said, "keep it until the damage is understood, look at the disk, then move it away"))
}

async fn whole(store: &Store) -> Finding {
    let checked =
        store.read(|tx| Ok::<_, StoreError>(tx.rows("PRAGMA quick_check(1)", &[])?.first().map(|row| row.text(0).map(String::from))));
    match checked.await {
        Ok(Some(Ok(said))) if said == "ok" => Finding::ok("database", "every page is whole"),
        Ok(Some(Ok(said))) => Finding::bad("database", format!("damaged: {said}"), "restore a backup; look at the disk"),
        Ok(Some(Err(error))) | Err(error) => Finding::bad("database", error.to_string(), "restore a backup; look at the disk"),
        Ok(None) => Finding::bad("database", "the check said nothing", "restore a backup; look at the disk"),
    }
}

/// Orders whose rows are damaged although their pages are not: SQLite does not see a flipped bit inside a value.
async fn readable(store: &Store) -> Option<Finding> {
    let to_do = "look for them in the gateway's dashboard; look at the disk, and restore a backup";
    let (mut damaged, mut behind) = (Vec::new(), String::new());
    loop {
        let from = behind.clone();
        match store.read(move |tx| ledger::damaged(tx, &from)).await {
            Err(error) => return Some(Finding::bad("database", error.to_string(), to_do)),
            Ok((found, last)) => {
                damaged.extend(found);
                match last {
                    Some(last) => behind = last,
                    None => break,
                }
            }
        }
    }
    (!damaged.is_empty()).then(|| Finding::bad("database", format!("damaged orders: {}", damaged.join(", ")), to_do))
}

/// Writes, and takes the write back.
async fn writable(store: &Store, path: &Path, sql: &'static str) -> Finding {
    let tried = store.run(|tx| {
        tx.rows(sql, &[])?;
        Err::<(), _>(BooksError::Unknown)
    });
    if let Err(error) = tried.await
        && !matches!(error, BooksError::Unknown)
    {
        return Finding::bad(
            "database",
            format!("cannot be written: {error}"),
            "look at its owner, at its disk, and at the program that uses it",
        );
    }
    let owner = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.uid()).ok();
    // The directory of a process in /proc belongs to the user that it runs as.
    if owner(path) != owner(Path::new("/proc/self")) {
        return Finding::warn(
            "database",
            "can be written, but belongs to another user than the one who runs this command",
            "run commands as the user of the service",
        );
    }
    Finding::ok("database", "can be written")
}

async fn let_in(store: &Store) -> Finding {
    match store.read(devices::list).await {
        Err(error) => Finding::bad("machines", error.to_string(), "restore a backup"),
        Ok(devices::Listed { damaged, .. }) if !damaged.is_empty() => {
            let said = format!("damaged entries of machines, which are not let in: {}", damaged.join(", "));
            Finding::bad("machines", said, "`qris-backend device add ID --replace` gives a machine a new token; look at the disk")
        }
        Ok(devices::Listed { machines: list, .. }) => {
            let (all, revoked) = (list.len(), list.iter().filter(|device| device.revoked.is_some()).count());
            let said = format!("{} are let in, {revoked} are revoked", all - revoked);
            if all == revoked {
                Finding::warn("machines", said, "`qris-backend device add ID` lets one in")
            } else {
                Finding::ok("machines", said)
            }
        }
    }
}

/// Who gets the alerts.
fn alerts(config: &Config) -> Finding {
    let Some(command) = &config.alerts_command else {
        return Finding::warn(
            "alerts",
            "nobody is alerted: there is no [alerts]",
            "set alerts.command, or look at `orders --attention` every day",
        );
    };
    let program = PathBuf::from(&command[0]);
    match std::fs::metadata(&program) {
        Err(error) => Finding::bad("alerts", format!("{}: {error}", program.display()), "correct alerts.command"),
        Ok(metadata) if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 => {
            Finding::bad("alerts", format!("{} cannot be executed", program.display()), format!("chmod +x {}", program.display()))
        }
        Ok(_) => Finding::ok("alerts", format!("{} is run for each alert", program.display())),
    }
}
