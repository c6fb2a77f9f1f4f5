//! `qris-backend doctor`: whether everything works that selling needs, each with what to do about it.

pub mod network;
mod text;

use super::print::Out;
use crate::config::Config;
use crate::gateway::CHARGES_FAIL;
use crate::keeping::databases::{Behind, StoreLocation};
use crate::keeping::overtaken;
use crate::keys::{Ring, RingError};
use crate::machines::devices;
use crate::machines::reported::{self, Noted};
use crate::sale::books::{self as ledger, BooksError, Cursor, Older, OrderFilter};
use crate::store::postgres::{CONNECTIONS, Looked, Reached, Role, Server};
use crate::store::{self, BOOKS, ENTRIES, Row, Store};
use clap::Args;
use qris_core::order::merchant::ChargeFailure;
use qris_core::order::request::Payment;
use qris_core::order::time::{Told, Wall};
use qris_host::config::Source;
use qris_host::finding::{self, CONFIG, Finding, Level};
use qris_host::mark::Mark;
use qris_host::setup::site::is_root;
use qris_host::{Failure, clock, disk, tls};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use text::{fill, texts};

/// How.
#[derive(Debug, Args)]
pub struct Doctor {
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
    /// Make a charge at the gateway, read all of it, and cancel it: for GoPay and QRIS, or for a counter (alfamart, indomaret). Nobody
    /// pays. Do this before the first customer
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, value_parser = way_to_pay)]
    charge: Option<Option<Payment>>,
}

fn way_to_pay(word: &str) -> Result<Payment, String> {
    let all = [Payment::Gopay, Payment::Alfamart, Payment::Indomaret];
    let known = all.into_iter().find(|payment| payment.as_str() == word);
    known.ok_or_else(|| format!("not one of {}", all.map(Payment::as_str).join(", ")))
}

/// With less free room than the first there is a warning: it is enough for some hundred thousand orders. Less than the second
/// counts as no room.
/// So many machines are named at most.
const MACHINES_TOLD: usize = 10;
const ROOM: [u64; 2] = [1 << 30, 64 << 20];

pub async fn run(config: &Config, source: &Source, wanted: Doctor) -> Result<(), Failure> {
    tls::install_provider();
    let mut findings = vec![Finding::ok(CONFIG, fill(texts().well_formed, &[&source.path().display()]))];
    findings.extend(root(config));
    findings.extend(keys(config));
    findings.extend(books(config, wanted.charge.is_some()).await);
    findings.extend(machines(config).await);
    findings.push(alerts(config));
    findings.extend(config.remark().map(|why| Finding::warn("contact", why, texts().contact_do)));
    findings.extend(network::check(config, source, wanted.charge.map(Option::unwrap_or_default)).await);
    let mut out = Out::default();
    finding::end(&findings, wanted.json, |line| out.line(line))
}

/// Root may read every file, also one that the service may not.
fn root(config: &Config) -> Option<Finding> {
    let owner = config.signing_key_file.parent()?.metadata().ok()?.uid();
    (is_root() && owner != 0).then(|| Finding::warn("user", texts().as_root, "runuser -u qris-backend -- qris-backend doctor"))
}

/// The files that hold secrets, and the content of the signing key's file.
fn keys(config: &Config) -> Vec<Finding> {
    let mut findings =
        vec![secret(config.gateway.secret().title, config.gateway.secret().path), secret("signing key", &config.signing_key_file)];
    findings.extend(config.mqtt_password_file.iter().map(|path| secret("mqtt password", path)));
    let webhook_secret = config.tellers.as_ref().and_then(|tellers| tellers.webhook_secret_file.as_ref());
    findings.extend(webhook_secret.map(|path| secret("webhook key", path)));
    findings.push(match Ring::read(&config.signing_key_file) {
        Ok(ring) => {
            let keys = ring.into_keys();
            Finding::ok("receipts", fill(texts().signed_with, &[keys[0].kid(), &keys.len()]))
        }
        Err(error) => {
            let to_do = match &error {
                RingError::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied => texts().as_the_service,
                _ => texts().make_a_key,
            };
            Finding::bad("receipts", error.to_string(), to_do)
        }
    });
    findings
}

/// Who may read a secret.
fn secret(check: &'static str, path: &Path) -> Finding {
    let shown = path.display();
    let mode = match std::fs::metadata(path) {
        Ok(metadata) => metadata.permissions().mode() & 0o777,
        // A name without a slash is a credential of the service manager, which guards it.
        Err(_) if path.components().count() == 1 => return Finding::ok(check, fill(texts().credential, &[&shown])),
        Err(error) => return Finding::bad(check, format!("{shown}: {error}"), texts().correct_path),
    };
    let said = fill(texts().mode, &[&shown, &format_args!("{mode:04o}")]);
    if mode & 0o007 != 0 {
        Finding::bad(check, fill(texts().open_to_all, &[&said]), format!("chmod 600 {shown}"))
    } else if mode & 0o020 != 0 {
        Finding::warn(check, fill(texts().open_to_group, &[&said]), format!("chmod g-w {shown}"))
    } else {
        Finding::ok(check, said)
    }
}

/// The books: whole, writable, with room. `tries`: a charge is tried, too.
async fn books(config: &Config, tries: bool) -> Vec<Finding> {
    let file = file_of(config);
    let mut findings: Vec<_> = file.map(room).into_iter().chain(file.and_then(set_aside)).chain(file.and_then(long_log)).collect();
    if let StoreLocation::Server(server) = &config.store {
        findings.push(sessions(server).await);
        findings.extend(stuck(server).await);
        if server.has_standby() {
            findings.extend(servers(server).await);
        }
    }
    // It only looks: another command would take up books that came back.
    let opened = match &config.store {
        StoreLocation::File(path) => Store::open_beside(path, &BOOKS, false),
        StoreLocation::Server(_) => config.store.books(),
    };
    match opened {
        Ok(store) => {
            match &config.store {
                StoreLocation::File(path) => {
                    findings.push(whole(&store).await);
                    findings.extend(behind(&store, path).await);
                }
                StoreLocation::Server(server) => {
                    findings.extend(standby(&store, server).await);
                    findings.extend(places(&store).await);
                }
            }
            findings.extend(older(&store, config).await);
            findings.extend(readable(&store).await);
            findings.extend(charges(&store, tries).await);
            findings.extend(file.is_none().then(|| clock(&store)));
            findings.extend(right_keys(&store, config).await);
            findings.push(writable(&store, file, "INSERT INTO history (order_id, at_ms, event) VALUES ('doctor', 0, '')").await);
        }
        Err(error) => findings.push(Finding::bad("database", error.to_string(), texts().serve_makes_one)),
    }
    findings
}

/// The file of the books, if they are in one. What is wrong with a server's disks is for its own doctor.
fn file_of(config: &Config) -> Option<&Path> {
    match &config.store {
        StoreLocation::File(path) => Some(path),
        StoreLocation::Server(_) => None,
    }
}

/// Whether each connection to a server has a session of its own.
async fn sessions(server: &Server) -> Finding {
    match server.prove_sessions().await {
        Ok(()) => Finding::ok("database", texts().sessions),
        Err(error) => Finding::bad("database", error.to_string(), texts().sessions_do),
    }
}

/// While commits wait for a standby that is away, nothing is written. The error of a writer names only the lock.
async fn stuck(server: &Server) -> Option<Finding> {
    // If it cannot be asked, the other checks tell.
    server.waits_for_a_standby().await.ok()?.then(|| Finding::bad("database", texts().stuck, texts().stuck_do))
}

/// What each server of a cluster is. Of a primary of before a fail-over, what it has alone.
async fn servers(server: &Server) -> Vec<Finding> {
    const CHECK: &str = "database";
    let looked = server.look().await;
    let primary = server.primary_of(&looked).and_then(|at| looked[at].said.as_ref().ok().map(|primary| (at, primary)));
    let mut findings = Vec::new();
    for (at, Looked { name, said }) in looked.iter().enumerate() {
        findings.push(match said {
            Ok(_) if primary.is_some_and(|(place, _)| place == at) => Finding::ok(CHECK, fill(texts().is_primary, &[name])),
            Ok(Reached { role: Role::Standby, .. }) => Finding::ok(CHECK, fill(texts().is_standby, &[name])),
            Ok(old) if old.role.is_overtaken(server.newest()) => {
                let what = match primary {
                    Some((_, primary)) => overtaken::alone(old, primary)
                        .await
                        .map_or_else(|why| overtaken::unread(&why.to_string()), |alone| alone.said(usize::MAX)),
                    None => texts().none_to_compare.into(),
                };
                Finding::bad(CHECK, fill(texts().overtaken, &[name, &what]), texts().overtaken_do)
            }
            Ok(Reached { role: Role::Primary { .. }, .. }) => Finding::bad(CHECK, fill(texts().read_only, &[name]), texts().read_only_do),
            Err(why) => Finding::warn(CHECK, fill(texts().no_server, &[name, why]), texts().no_server_do),
        });
    }
    findings
}

/// The machine of the newest order knows a key that we do not have: another server has it, or had it.
async fn right_keys(store: &Store, config: &Config) -> Option<Finding> {
    // That the file or the books cannot be read, others tell.
    let ours = Ring::read(&config.signing_key_file).ok()?.into_keys();
    let wanted = store.read(|tx| ledger::newest_key(tx)).await.ok()??;
    if ours.iter().any(|key| *key.kid() == wanted) {
        return None;
    }
    let said = fill(texts().other_key, &[&wanted, &config.signing_key_file.display()]);
    Some(Finding::bad("keys", said, texts().other_key_do))
}

/// Each transaction asks for the time of the server, and `serve` goes by it.
fn clock(store: &Store) -> Finding {
    let own = clock::now().wall;
    Finding::of_clock(store.now(own), texts().its_clock, own, own)
}

/// The books are older than they were, or may lack what the primary of before had answered last.
async fn older(store: &Store, config: &Config) -> Option<Finding> {
    let now = store.now(clock::now().wall);
    // If it cannot be read, the other checks tell.
    let (how, since) = store.read(move |tx| ledger::older_since(tx, Told::trusted(now))).await.ok()??;
    let (said, to_do) = match how {
        Older::Copy => (texts().older_books, texts().older_books_do),
        Older::AnotherPrimary => (texts().another_primary, texts().another_primary_do),
        // Whoever has put the copy there knows it.
        Older::Restored => return None,
    };
    Some(Finding::warn("database", fill(said, &[&since.to_local_named(config.zone)]), to_do))
}

/// What is answered may not be at a standby yet.
async fn standby(store: &Store, server: &Server) -> Option<Finding> {
    if !server.has_standby() {
        return None;
    }
    let asked = store.read(|tx| tx.rows("SELECT 1 WHERE current_setting('synchronous_standby_names') = ''", &[]));
    let rows = asked.await.ok()?;
    (!rows.is_empty()).then(|| Finding::warn("database", texts().no_standby, texts().no_standby_do))
}

/// How many more connections the server takes. Without a free place no command works, and a `serve` that has lost its connections
/// refuses orders.
async fn places(store: &Store) -> Option<Finding> {
    // PostgreSQL 16 can keep places for more users than its superusers.
    const FREE: &str = "SELECT CAST(current_setting('max_connections') AS BIGINT)
        - CAST(current_setting('superuser_reserved_connections') AS BIGINT)
        - CAST(coalesce(current_setting('reserved_connections', true), '0') AS BIGINT)
        - (SELECT count(datid) FROM pg_stat_activity) AS free";
    let asked = store.read(|tx| tx.rows(FREE, &[])?.first().map(|row| row.int("free")).transpose());
    let free = usize::try_from(asked.await.ok()??).unwrap_or(0);
    let said = fill(texts().places, &[&free]);
    if free >= CONNECTIONS {
        return Some(Finding::ok("database", said));
    }
    Some(Finding::warn("database", said, fill(texts().places_do, &[&CONNECTIONS])))
}

/// The machines: the same checks, and which machines are let in.
async fn machines(config: &Config) -> Vec<Finding> {
    let path = file_of(config).map(store::machines_beside);
    let mut findings: Vec<_> = path.as_deref().and_then(set_aside).into_iter().chain(path.as_deref().and_then(long_log)).collect();
    match config.store.machines(false) {
        Ok(store) => {
            let tried = "INSERT INTO devices (id, token_hash, added_ms, sum) VALUES ('doctor', 'doctor', 0, '')";
            let mut looked = vec![writable(&store, path.as_deref(), tried).await];
            if path.is_some() {
                looked.push(whole(&store).await);
            }
            findings.extend(looked.into_iter().filter(|finding| finding.level == Level::Bad));
            findings.push(let_in(&store).await);
            findings.extend(silent(&store).await);
        }
        Err(error) => findings.push(Finding::bad("machines", error.to_string(), texts().no_machines_do)),
    }
    findings
}

fn room(path: &Path) -> Finding {
    const CHECK: &str = "disk";
    let directory = path.parent().unwrap_or(Path::new("/"));
    match disk::free_bytes(directory) {
        Ok(free) => {
            let said = fill(texts().room, &[&(free >> 20), &path.display()]);
            Finding::of_room(CHECK, free, ROOM, said, texts().room_do)
        }
        Err(error) => Finding::bad(CHECK, format!("{}: {error}", directory.display()), texts().directory_do),
    }
}

/// Damaged databases beside this one.
fn set_aside(path: &Path) -> Option<Finding> {
    let (count, newest) = disk::set_aside(path)?;
    let said = fill(texts().set_aside, &[&count, &newest]);
    Some(Finding::warn("database", said, texts().set_aside_do))
}

/// Somebody has read it for a long time.
fn long_log(path: &Path) -> Option<Finding> {
    let mib = disk::long_log(path)?;
    Some(Finding::warn("database", fill(texts().long_log, &[&path.display(), &mib]), fill(texts().long_log_do, &[&path.display()])))
}

async fn whole(store: &Store) -> Finding {
    let checked =
        store.read(|tx| tx.rows("PRAGMA quick_check(1)", &[])?.first().map(|row| row.text("quick_check").map(String::from)).transpose());
    let said = match checked.await {
        Ok(Some(said)) if said == "ok" => return Finding::ok("database", texts().whole),
        Ok(Some(said)) => fill(texts().damaged, &[&said]),
        Ok(None) => texts().said_nothing.into(),
        Err(error) => error.to_string(),
    };
    Finding::bad("database", said, texts().whole_do)
}

/// Books that are older than they were, new where there were some, or not those that `serve` has open.
async fn behind(store: &Store, path: &Path) -> Option<Finding> {
    let had = Mark::beside(path);
    let has = store.read(|tx| Row::number(&tx.rows(ENTRIES, &[])?)).await;
    let Behind { has, had, .. } = Behind::found(path, has.unwrap_or(had), had)?;
    let said = fill(texts().behind, &[&has, &had]);
    Some(Finding::bad("database", said, texts().behind_do))
}

/// Orders whose rows are damaged although their pages are not: SQLite does not see a flipped bit inside a value.
async fn readable(store: &Store) -> Option<Finding> {
    let to_do = texts().unreadable_do;
    let (mut damaged, mut behind) = (Vec::new(), Some(String::new()));
    while let Some(from) = behind {
        let read = store.read(move |tx| ledger::damaged(tx, &from)).await;
        match read {
            Err(error) => return Some(Finding::bad("database", error.to_string(), to_do)),
            Ok((found, last)) => {
                damaged.extend(found);
                behind = last;
            }
        }
    }
    (!damaged.is_empty()).then(|| Finding::bad("database", fill(texts().unreadable, &[&damaged.join(", ")]), to_do))
}

/// The newest charges failed for one reason: nothing is sold. Or there was none yet, and none is tried.
async fn charges(store: &Store, tries: bool) -> Option<Finding> {
    const CHECK: &str = "charges";
    let all = OrderFilter { device: None, from: Wall(i64::MIN), until: Wall(i64::MAX), refund_due: false, attention: false };
    let page = store.read(move |tx| ledger::page(tx, &all, &Cursor::at(all.until))).await.ok()?;
    if page.orders.is_empty() && !tries {
        return Some(Finding::warn(CHECK, texts().no_charge, texts().no_charge_do));
    }
    let mut failed = Vec::new();
    for end in page.orders.iter().filter_map(|stored| stored.order.charge_end()) {
        match end {
            Err(failure) if failed.first().is_none_or(|newest: &ChargeFailure| newest.kind == failure.kind) => failed.push(failure),
            Ok(()) | Err(_) => break,
        }
    }
    let newest = failed.first().filter(|_| failed.len() >= CHARGES_FAIL as usize)?;
    let said = fill(texts().charges_fail, &[&failed.len(), &newest.why]);
    Some(Finding::bad(CHECK, said, texts().charges_fail_do))
}

/// Writes, and takes the write back.
async fn writable(store: &Store, path: Option<&Path>, sql: &'static str) -> Finding {
    let tried = store.run(|tx| {
        tx.rows(sql, &[])?;
        Err::<(), _>(BooksError::Unknown)
    });
    if let Err(error) = tried.await
        && !matches!(error, BooksError::Unknown)
    {
        return Finding::bad("database", fill(texts().not_writable, &[&error]), texts().not_writable_do);
    }
    let owner = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.uid()).ok();
    // The directory of a process in /proc belongs to the user that it runs as.
    if path.is_none_or(|path| owner(path) == owner(Path::new("/proc/self"))) {
        return Finding::ok("database", texts().writable);
    }
    Finding::warn("database", texts().other_owner, texts().other_owner_do)
}

/// The topics that do not get through at the broker, as `serve` and the machines found.
async fn silent(store: &Store) -> Option<Finding> {
    let mut noted: Vec<_> = store.read(reported::noted).await.ok()?.into_iter().collect();
    noted.sort_by(|(one, _), (other, _)| one.cmp(other));
    let topics = |noted: &Noted| noted.silent.iter().flatten().map(|topic| topic.tail()).collect::<Vec<_>>();
    let all: Vec<_> = noted.iter().map(|(device, noted)| (device, topics(noted))).filter(|(_, topics)| !topics.is_empty()).collect();
    let first = all.iter().take(MACHINES_TOLD).map(|(device, topics)| format!("{device}: {}", topics.join(", ")));
    let named = first.collect::<Vec<_>>().join("; ");
    (!all.is_empty()).then(|| Finding::bad("broker", fill(texts().silent, &[&all.len(), &named]), texts().silent_do))
}

async fn let_in(store: &Store) -> Finding {
    match store.read(devices::list).await {
        Err(error) => Finding::bad("machines", error.to_string(), texts().restore),
        Ok(devices::Listed { damaged, .. }) if !damaged.is_empty() => {
            let said = fill(texts().damaged_machines, &[&damaged.join(", ")]);
            Finding::bad("machines", said, texts().damaged_machines_do)
        }
        Ok(devices::Listed { machines: list, .. }) => {
            let revoked = list.iter().filter(|device| device.revoked.is_some()).count();
            let said = fill(texts().let_in, &[&(list.len() - revoked), &revoked]);
            if list.len() > revoked {
                return Finding::ok("machines", said);
            }
            Finding::warn("machines", said, texts().let_in_do)
        }
    }
}

fn alerts(config: &Config) -> Finding {
    const CHECK: &str = "alerts";
    let Some(tellers) = &config.tellers else {
        return Finding::warn(CHECK, texts().no_alerts, texts().no_alerts_do);
    };
    let Some(program) = tellers.command.as_ref().map(|command| &command[0]) else {
        return Finding::ok(CHECK, texts().by_webhook);
    };
    match std::fs::metadata(program) {
        Err(error) => Finding::bad(CHECK, format!("{program}: {error}"), texts().correct_command),
        Ok(metadata) if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 => {
            Finding::bad(CHECK, fill(texts().no_program, &[program]), format!("chmod +x {program}"))
        }
        Ok(_) => Finding::ok(CHECK, fill(texts().by_program, &[program])),
    }
}
