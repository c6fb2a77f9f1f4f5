//! The machines that are let in, in a database of their own. A token is 256 random bits. Only its SHA-256 is kept, so a reader
//! of the database cannot log in with it.

use crate::machines::accounts;
use crate::machines::invitations::{self, NotLetIn, Terms};
use crate::sale::books::BooksError;
use crate::store::{self, Row, StoreError, Tx};
use qris_core::order::ids::DeviceId;
use qris_core::order::proof::RelayKey;
use qris_core::order::time::Wall;
use qris_core::wire::invitation::Claim;
use qris_host::checksum::checksum;
use std::collections::HashSet;
use subtle::ConstantTimeEq as _;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub id: DeviceId,
    /// The time at which its token was made.
    pub added: Wall,
    pub revoked: Option<Wall>,
    pub relay_key: Option<RelayKey>,
    pub relay_key_since: Option<Wall>,
    /// The person who said so; `None` for the first key.
    pub relay_key_by: Option<Box<str>>,
    /// Another key that it showed, and that nobody has taken for good.
    pub other_key: Option<RelayKey>,
    pub other_key_since: Option<Wall>,
}

/// The meaning of a key that a machine shows as its relay's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The machine is known by this key.
    Known,
    /// The machine is known by this key from now on.
    First,
    /// The machine is known by another key. A person must accept this one first.
    Another {
        /// The machine has not shown it before.
        news: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    #[error("there is no device of this name")]
    NoDevice,
    #[error("it has not shown another key")]
    NothingShown,
    #[error("it has shown another key, {0}: compare it with what `qrisctl relay lines` says at the machine")]
    Different(String),
}

/// Every machine, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The machines whose rows can be read.
    pub machines: Vec<Device>,
    /// The names of the other machines: they are not let in.
    pub damaged: Vec<Box<str>>,
}

/// Lets a machine in with a new token. Its old token is void then. Without `replace`, an old token stays, and the answer is
/// false. A damaged row is replaced as a whole.
///
/// # Errors
/// The database's; a damaged row, without `replace`.
pub fn add(tx: &mut dyn Tx, device: &DeviceId, token_hash: &str, replace: bool, now: Wall) -> Result<bool, BooksError> {
    let known = match load(tx, device) {
        Err(error) if replace && error.is_damage() => None,
        known => known?,
    };
    if known.is_some() && !replace {
        return Ok(false);
    }
    let device = match known {
        Some((known, _)) => Device { added: now, revoked: None, ..known },
        None => new(device.clone(), now),
    };
    save(tx, &device, token_hash)?;
    Ok(true)
}

/// Lets a machine in by its code, with the token of this hash. The token that it had before is void then.
pub fn claim(tx: &mut dyn Tx, claim: &Claim, token_hash: &str, now: Wall) -> Result<Result<Terms, NotLetIn>, BooksError> {
    let terms = match invitations::check(tx, claim, now)? {
        Ok(terms) => terms,
        refused => return Ok(refused),
    };
    add(tx, &claim.device, token_hash, true, now)?;
    invitations::claimed(tx, &claim.device, token_hash)?;
    Ok(Ok(terms))
}

/// Does not let a machine in any more, neither by its token nor by a code. False: there is no such machine.
///
/// # Errors
/// The database's; a damaged row, with which the machine is not let in either.
pub fn revoke(tx: &mut dyn Tx, device: &DeviceId, now: Wall) -> Result<bool, BooksError> {
    let was_invited = invitations::withdraw(tx, device)?;
    let (device, token_hash) = match load(tx, device) {
        Err(error) if error.is_damage() && was_invited => return Ok(true),
        known => match known? {
            Some(known) => known,
            None => return Ok(was_invited),
        },
    };
    accounts::end_again(tx, &device.id)?;
    if device.revoked.is_none() {
        save(tx, &Device { revoked: Some(now), ..device }, &token_hash)?;
    }
    Ok(true)
}

/// Whether a machine of this name has a token that is good. One whose row is damaged is not let in.
pub fn is_let_in(tx: &mut dyn Tx, device: &DeviceId) -> Result<bool, BooksError> {
    match load(tx, device) {
        Err(error) if error.is_damage() => Ok(false),
        known => Ok(known?.is_some_and(|(device, _)| device.revoked.is_none())),
    }
}

pub fn list(tx: &mut dyn Tx) -> Result<Listed, BooksError> {
    let rows = tx.rows("SELECT * FROM devices ORDER BY id", &[])?;
    let mut listed = Listed { machines: Vec::new(), damaged: Vec::new() };
    for row in &rows {
        match read(row) {
            Ok((device, _)) => listed.machines.push(device),
            Err(_) => listed.damaged.push(row.text("id").unwrap_or("?").into()),
        }
    }
    Ok(listed)
}

/// The names of all machines that were not revoked. Sums are not looked at: this lets nobody in.
pub fn let_in(tx: &mut dyn Tx) -> Result<HashSet<DeviceId>, BooksError> {
    let rows = tx.rows("SELECT id FROM devices WHERE revoked_ms IS NULL", &[])?;
    // A name that is damaged is no machine's.
    Ok(rows.iter().filter_map(|row| DeviceId::new(row.text("id").ok()?).ok()).collect())
}

/// The machine of a token, if the token is good.
pub fn by_token(tx: &mut dyn Tx, token_hash: &str) -> Result<Option<Device>, BooksError> {
    // It is found by the hash of 256 random bits. The time of this look-up says nothing that helps to guess them. The
    // comparison that decides takes the same time for every hash.
    let rows = tx.rows("SELECT * FROM devices WHERE token_hash = $1", &[token_hash.into()])?;
    let Some((device, known)) = rows.first().map(read).transpose()? else { return Ok(None) };
    let same: bool = known.as_bytes().ct_eq(token_hash.as_bytes()).into();
    Ok((same && device.revoked.is_none()).then_some(device))
}

/// Whether there is nothing to note when the machine shows this key: it is known by it, and no code waits for its key.
pub fn is_known_by(tx: &mut dyn Tx, device: &DeviceId, key: &RelayKey) -> Result<bool, BooksError> {
    Ok(relay_key(tx, device)?.as_ref() == Some(key) && !invitations::is_open(tx, device)?)
}

/// The key with which a machine's relay signs its proofs.
pub fn relay_key(tx: &mut dyn Tx, device: &DeviceId) -> Result<Option<RelayKey>, BooksError> {
    Ok(load(tx, device)?.and_then(|(device, _)| device.relay_key))
}

/// A machine shows the key with which its relay signs its proofs. The first key of a new machine is kept, and so is the first one
/// after a code has let the machine in, which is used up by that. A machine that has sold already is different: anybody with its
/// token could show a key of his own. Any other key is only noted. `shows`: the hash of the token by which it was let in just now.
pub fn shown(tx: &mut dyn Tx, device: &DeviceId, shows: &str, key: &RelayKey, is_new: bool, now: Wall) -> Result<Shown, BooksError> {
    // An earlier token does not speak for this machine any more.
    let known = load(tx, device)?.filter(|(_, token_hash)| token_hash == shows);
    let Some((device, token_hash)) = known else { return Ok(Shown::Known) };
    if invitations::is_open(tx, &device.id)? {
        invitations::use_up(tx, &device.id, now)?;
        let (relay_key, relay_key_since, relay_key_by) = (Some(key.clone()), Some(now), None);
        let device = Device { relay_key, relay_key_since, relay_key_by, other_key: None, other_key_since: None, ..device };
        save(tx, &device, &token_hash)?;
        return Ok(Shown::First);
    }
    let (device, shown) = match (&device.relay_key, &device.other_key) {
        (Some(known), _) if known == key => return Ok(Shown::Known),
        (_, Some(other)) if other == key => return Ok(Shown::Another { news: false }),
        (None, None) if is_new => (Device { relay_key: Some(key.clone()), relay_key_since: Some(now), ..device }, Shown::First),
        (_, _) => (Device { other_key: Some(key.clone()), other_key_since: Some(now), ..device }, Shown::Another { news: true }),
    };
    save(tx, &device, &token_hash)?;
    Ok(shown)
}

/// A person says that the key with this fingerprint is the relay's from now on. The machine must have shown it.
pub fn take_key(tx: &mut dyn Tx, device: &DeviceId, fingerprint: &str, by: &str, now: Wall) -> Result<Result<(), NotTaken>, BooksError> {
    let Some((device, token_hash)) = load(tx, device)? else { return Ok(Err(NotTaken::NoDevice)) };
    let Some(key) = &device.other_key else { return Ok(Err(NotTaken::NothingShown)) };
    if key.fingerprint() != fingerprint {
        return Ok(Err(NotTaken::Different(key.fingerprint())));
    }
    let (relay_key, relay_key_since, relay_key_by) = (device.other_key.clone(), Some(now), Some(by.into()));
    let device = Device { relay_key, relay_key_since, relay_key_by, other_key: None, other_key_since: None, ..device };
    save(tx, &device, &token_hash)?;
    Ok(Ok(()))
}

const fn new(id: DeviceId, added: Wall) -> Device {
    Device { id, added, revoked: None, relay_key: None, relay_key_since: None, relay_key_by: None, other_key: None, other_key_since: None }
}

/// A machine, and the hash of its token.
fn load(tx: &mut dyn Tx, id: &DeviceId) -> Result<Option<(Device, String)>, BooksError> {
    let rows = tx.rows("SELECT * FROM devices WHERE id = $1", &[id.as_str().into()])?;
    rows.first().map(read).transpose()
}

fn save(tx: &mut dyn Tx, device: &Device, token_hash: &str) -> Result<(), StoreError> {
    let row = vec![
        ("id", device.id.as_str().into()),
        ("token_hash", token_hash.into()),
        ("added_ms", device.added.into()),
        ("revoked_ms", device.revoked.into()),
        ("relay_key", text(&device.relay_key).into()),
        ("relay_key_ms", device.relay_key_since.into()),
        ("relay_key_by", device.relay_key_by.as_deref().into()),
        ("other_key", text(&device.other_key).into()),
        ("other_key_ms", device.other_key_since.into()),
        ("sum", sum(device, token_hash).into()),
    ];
    store::put(tx, "devices", "id", row)
}

fn read(row: &Row) -> Result<(Device, String), BooksError> {
    let id = row.text("id")?;
    let damaged = |why: String| StoreError::Damaged { what: id.into(), why };
    let key = |column| row.maybe_text(column)?.map(|key: &str| key.parse().map_err(|_| damaged("a key is none".into()))).transpose();
    let device = Device {
        id: DeviceId::new(id).map_err(|error| damaged(error.to_string()))?,
        added: Wall(row.int("added_ms")?),
        revoked: row.maybe_int("revoked_ms")?.map(Wall),
        relay_key: key("relay_key")?,
        relay_key_since: row.maybe_int("relay_key_ms")?.map(Wall),
        relay_key_by: row.maybe_text("relay_key_by")?.map(Into::into),
        other_key: key("other_key")?,
        other_key_since: row.maybe_int("other_key_ms")?.map(Wall),
    };
    let token_hash = row.text("token_hash")?;
    if sum(&device, token_hash) != row.text("sum")? {
        return Err(damaged("its checksum is wrong".into()).into());
    }
    Ok((device, token_hash.into()))
}

fn text(key: &Option<RelayKey>) -> Option<String> {
    key.as_ref().map(ToString::to_string)
}

/// A checksum over all of a row.
fn sum(device: &Device, token_hash: &str) -> String {
    let Device { id, added, revoked, relay_key, relay_key_since, relay_key_by, other_key, other_key_since } = device;
    let ms = |at: &Option<Wall>| at.map(|at| at.0);
    let (relay, other) = ((relay_key, ms(relay_key_since), relay_key_by), (other_key, ms(other_key_since)));
    qris_core::hex(&checksum(&(id.as_str(), token_hash, added.0, ms(revoked), relay, other)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeping::databases::open_both;
    use crate::machines::token::hash;
    use crate::store::read_on;
    use qris_core::order::keys::SigningKey;
    use qris_host::sqlite::testing::damage;
    use rusqlite::Connection;
    use std::path::PathBuf;

    struct Machines(Connection);

    impl Machines {
        fn run<T, E: From<StoreError>>(&self, job: impl FnOnce(&mut dyn Tx) -> Result<T, E>) -> Result<T, E> {
            let transaction = self.0.unchecked_transaction().map_err(StoreError::from)?;
            let value = read_on(&transaction, job)?;
            transaction.commit().map_err(StoreError::from)?;
            Ok(value)
        }

        fn look<T, E: From<StoreError>>(&self, job: impl FnOnce(&mut dyn Tx) -> Result<T, E>) -> Result<T, E> {
            read_on(&self.0, job)
        }
    }

    struct Rig {
        _directory: tempfile::TempDir,
        path: PathBuf,
        machines: Machines,
    }

    /// vm-001 and vm-002. Each has its name as its token. The first has the keys of a relay.
    fn rig() -> Rig {
        let directory = tempfile::tempdir().expect("a directory");
        let both = open_both(&directory.path().join("orders.db"), true, true).expect("opens");
        let machines = Machines(both.machines);
        for name in ["vm-001", "vm-002"] {
            assert!(machines.run(|tx| add(tx, &id(name), &hash(name), false, Wall(7))).expect("added"));
        }
        let rig = Rig { path: directory.path().join("devices.db"), machines, _directory: directory };
        let keys = |tx: &mut dyn Tx| {
            let (device, token) = load(tx, &id("vm-001"))?.expect("there");
            let (relay, other) = (Some(key(1)), Some(key(2)));
            let (since, by) = (Some(Wall(8)), Some("Sari".into()));
            let device =
                Device { relay_key: relay, relay_key_since: since, relay_key_by: by, other_key: other, other_key_since: since, ..device };
            Ok::<_, BooksError>(save(tx, &device, &token)?)
        };
        rig.machines.run(keys).expect("written");
        rig
    }

    fn id(name: &str) -> DeviceId {
        DeviceId::new(name).expect("an id")
    }

    fn key(seed: u8) -> RelayKey {
        RelayKey::of(&SigningKey::from_seed([seed; 32]))
    }

    #[test]
    fn the_first_key_of_a_relay_is_kept_and_another_one_needs_a_persons_word() {
        // This machine has sold before anybody knew a key. Anybody may be showing it.
        let sold = rig();
        let first = sold.machines.run(|tx| shown(tx, &id("vm-002"), &hash("vm-002"), &key(3), false, Wall(9))).expect("written");
        assert_eq!(first, Shown::Another { news: true });
        assert_eq!(sold.machines.look(|tx| relay_key(tx, &id("vm-002"))).expect("read"), None);
        let rig = rig();
        let show = |seed| rig.machines.run(|tx| shown(tx, &id("vm-002"), &hash("vm-002"), &key(seed), true, Wall(9))).expect("written");
        let known = || rig.machines.look(|tx| relay_key(tx, &id("vm-002"))).expect("read");
        let take = |name: &str, seed| {
            let fingerprint = key(seed).fingerprint();
            rig.machines.run(|tx| take_key(tx, &id(name), &fingerprint, "Sari", Wall(10))).expect("read")
        };
        assert_eq!(known(), None);
        assert_eq!((show(3), show(3), known()), (Shown::First, Shown::Known, Some(key(3))));
        assert_eq!(take("vm-002", 4), Err(NotTaken::NothingShown));
        // Anybody with the token may show any key. It changes nothing, and is news once.
        assert_eq!((show(4), show(4), show(3)), (Shown::Another { news: true }, Shown::Another { news: false }, Shown::Known));
        assert_eq!(known(), Some(key(3)));
        assert_eq!(take("vm-002", 5), Err(NotTaken::Different(key(4).fingerprint())), "not what the person compared");
        assert_eq!(take("vm-003", 4), Err(NotTaken::NoDevice));
        assert_eq!((take("vm-002", 4), known()), (Ok(()), Some(key(4))));
        assert_eq!((show(4), show(3)), (Shown::Known, Shown::Another { news: true }), "the board from before is a stranger now");
        let listed = listed(&rig).machines.swap_remove(1);
        assert_eq!((listed.relay_key_by.as_deref(), listed.relay_key_since), (Some("Sari"), Some(Wall(10))));
    }

    fn of(rig: &Rig, token: &str) -> Result<Option<DeviceId>, BooksError> {
        let token = hash(token);
        Ok(rig.machines.look(|tx| by_token(tx, &token))?.map(|device| device.id))
    }

    fn listed(rig: &Rig) -> Listed {
        rig.machines.look(list).expect("read")
    }

    #[test]
    fn a_machine_is_let_in_by_its_last_token_until_it_is_revoked() {
        let rig = rig();
        assert_eq!((of(&rig, "vm-001").expect("read"), of(&rig, "vm-003").expect("read")), (Some(id("vm-001")), None));
        assert!(!rig.machines.run(|tx| add(tx, &id("vm-001"), &hash("new"), false, Wall(9))).expect("read"), "it has one");
        assert!(rig.machines.run(|tx| add(tx, &id("vm-001"), &hash("new"), true, Wall(9))).expect("added"));
        assert_eq!((of(&rig, "vm-001").expect("read"), of(&rig, "new").expect("read")), (None, Some(id("vm-001"))));
        let known = &listed(&rig).machines[0];
        assert_eq!((known.added, &known.relay_key), (Wall(9), &Some(key(1))), "its relay is the same");
        assert!(rig.machines.run(|tx| revoke(tx, &id("vm-001"), Wall(10))).expect("written"));
        assert!(rig.machines.run(|tx| revoke(tx, &id("vm-001"), Wall(11))).expect("read"));
        assert!(!rig.machines.run(|tx| revoke(tx, &id("vm-003"), Wall(11))).expect("read"), "nobody");
        assert_eq!((of(&rig, "new").expect("read"), listed(&rig).machines[0].revoked), (None, Some(Wall(10))));
    }

    #[test]
    fn a_bit_that_flipped_in_any_value_of_a_row_lets_nobody_in_and_others_go_on() {
        for (column, value) in [
            ("token_hash", "'x'"),
            ("added_ms", "8"),
            ("revoked_ms", "8"),
            ("relay_key", "'rulay'"),
            ("relay_key_ms", "9"),
            ("relay_key_by", "NULL"),
            ("other_key", "'othur'"),
            ("other_key_ms", "9"),
            ("sum", "'0'"),
        ] {
            let rig = rig();
            let sql = format!("UPDATE devices SET {column} = {value} WHERE id = 'vm-001'");
            assert_eq!(damage(&Connection::open(&rig.path).expect("opens"), &sql), 1, "{column}");
            if column == "token_hash" {
                assert_eq!(of(&rig, "vm-001").expect("read"), None);
            } else {
                assert!(of(&rig, "vm-001").expect_err("damaged").is_damage(), "{column}");
            }
            assert_eq!(of(&rig, "vm-002").expect("read"), Some(id("vm-002")), "{column}");
            let Listed { machines, damaged } = listed(&rig);
            assert_eq!((machines.len(), damaged), (1, vec!["vm-001".into()]), "{column}");
            assert!(rig.machines.run(|tx| add(tx, &id("vm-001"), &hash("new"), false, Wall(9))).expect_err("damaged").is_damage());
            assert!(rig.machines.run(|tx| add(tx, &id("vm-001"), &hash("new"), true, Wall(9))).expect("added"));
            assert_eq!(of(&rig, "new").expect("read"), Some(id("vm-001")), "{column}");
            assert_eq!(listed(&rig).machines[0].relay_key, None, "nothing of a damaged row is believed");
        }
    }
}
