//! Invitations: a code lets one machine in, once and for a time. It may be claimed again, with a new token each time, until the
//! machine that has the last token shows the key of its relay. So a set-up that is given up, or an answer that is lost, costs no
//! code, and nothing is kept at the machine meanwhile. Only the SHA-256 of a code is kept.

use crate::machines::token;
use crate::sale::books::BooksError;
use crate::store::{self, StoreError, Tx, Value};
use qris_core::order::ids::DeviceId;
use qris_core::order::merchant::Rules;
use qris_core::order::time::{Wall, Zone};
use qris_core::wire::enrolment::{Backend, Broker, Enrolment};
use qris_core::wire::invitation::{Claim, Code};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use subtle::ConstantTimeEq as _;

/// What a machine is told besides its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The machine's name for people, if somebody has said one.
    #[serde(default)]
    pub name: Option<Box<str>>,
    pub backend_url: Box<str>,
    /// The private CA of its certificate, in PEM.
    pub backend_ca: Option<Box<str>>,
    pub broker: Option<BrokerTerms>,
    /// The public keys of operators, as JWKs.
    pub operators: Vec<serde_json::Value>,
}

/// What a machine is told of the broker, besides its password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerTerms {
    pub url: Box<str>,
    /// The machine's name there, if that is not its id.
    pub username: Option<Box<str>>,
    /// The private CA of its certificate, in PEM.
    pub ca: Option<Box<str>>,
}

impl Terms {
    /// All that the machine must know, with the keys of the day.
    #[must_use]
    pub fn enrol(self, device: DeviceId, token: &str, password: Option<Box<str>>, rules: &Rules) -> Enrolment {
        let Self { name, backend_url, backend_ca, broker, operators } = self;
        let receipts = rules.keys.iter().map(|key| key.to_public_jwk(&rules.issuer));
        let receipts = receipts.map(|key| serde_json::from_str::<serde_json::Value>(&key).expect("a JWK is JSON"));
        let keys = serde_json::json!({ "keys": receipts.chain(operators).collect::<Vec<_>>() });
        let broker = broker.map(|BrokerTerms { url, username, ca }| Broker { url, username, password, ca });
        Enrolment { device, name, backend: Backend { url: backend_url, token: token.into(), ca: backend_ca }, broker, keys }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotLetIn {
    #[error("this code has a typing error, or was not made for this machine, or another one was made after it")]
    Unknown,
    #[error("this code was used up at {}", .0.to_local_named(Zone::Wib))]
    Used(Wall),
    #[error("this code was good until {}", .0.to_local_named(Zone::Wib))]
    Late(Wall),
}

/// Writes an invitation down. An earlier one for the same machine is void then.
pub fn invite(tx: &mut dyn Tx, claim: &Claim, terms: &Terms, until: Wall) -> Result<(), BooksError> {
    let terms = serde_json::to_string(terms).expect("plain data");
    let device = claim.device.as_str();
    let row = vec![
        ("device", device.into()),
        ("code_hash", hash(&claim.code, device, until.0, &terms).into()),
        ("until_ms", until.into()),
        ("terms", terms.into()),
        ("token_hash", Value::Null),
        ("used_ms", Value::Null),
    ];
    Ok(store::put(tx, "invitations", "device", row)?)
}

/// What a code brings, if it is good now. Nothing is changed.
pub fn check(tx: &mut dyn Tx, claim: &Claim, now: Wall) -> Result<Result<Terms, NotLetIn>, BooksError> {
    let device = claim.device.as_str();
    let rows = tx.rows("SELECT code_hash, until_ms, terms, used_ms FROM invitations WHERE device = $1", &[device.into()])?;
    let Some(row) = rows.first() else { return Ok(Err(NotLetIn::Unknown)) };
    let (until, terms, used) = (Wall(row.int("until_ms")?), row.text("terms")?, row.maybe_int("used_ms")?.map(Wall));
    let is_the_code: bool = row.text("code_hash")?.as_bytes().ct_eq(hash(&claim.code, device, until.0, terms).as_bytes()).into();
    // Only who has the code hears what became of it.
    match used {
        _ if !is_the_code => return Ok(Err(NotLetIn::Unknown)),
        Some(at) => return Ok(Err(NotLetIn::Used(at))),
        None if until < now => return Ok(Err(NotLetIn::Late(until))),
        None => {}
    }
    let damaged = |why: serde_json::Error| StoreError::Damaged { what: format!("the invitation of {device}"), why: why.to_string() };
    Ok(Ok(serde_json::from_str(terms).map_err(damaged)?))
}

/// The machine has the token of this hash for its code.
pub fn claimed(tx: &mut dyn Tx, device: &DeviceId, token_hash: &str) -> Result<(), BooksError> {
    let sql = "UPDATE invitations SET token_hash = $1 WHERE device = $2";
    tx.rows(sql, &[token_hash.into(), device.as_str().into()])?;
    Ok(())
}

/// Whether the machine has its present token for a code that is not used up.
pub fn is_open(tx: &mut dyn Tx, device: &DeviceId) -> Result<bool, BooksError> {
    let sql = "SELECT 1 FROM invitations JOIN devices ON devices.id = invitations.device AND devices.token_hash = invitations.token_hash
        WHERE invitations.device = $1 AND invitations.used_ms IS NULL";
    Ok(!tx.rows(sql, &[device.as_str().into()])?.is_empty())
}

/// Every code that can still be used, by its machine, and until when.
pub fn open(tx: &mut dyn Tx, now: Wall) -> Result<BTreeMap<DeviceId, Wall>, BooksError> {
    let rows = tx.rows("SELECT device, until_ms FROM invitations WHERE used_ms IS NULL AND until_ms >= $1", &[now.into()])?;
    // A name that is none lets nobody in.
    rows.iter()
        .filter_map(|row| Some((DeviceId::new(row.text("device").ok()?).ok()?, row.int("until_ms").map(Wall))))
        .map(|(id, until)| Ok((id, until?)))
        .collect()
}

pub fn use_up(tx: &mut dyn Tx, device: &DeviceId, now: Wall) -> Result<(), BooksError> {
    tx.rows("UPDATE invitations SET used_ms = $1 WHERE device = $2", &[now.into(), device.as_str().into()])?;
    Ok(())
}

/// The machine's code is void. False: it has none.
pub fn withdraw(tx: &mut dyn Tx, device: &DeviceId) -> Result<bool, BooksError> {
    Ok(!tx.rows("DELETE FROM invitations WHERE device = $1 RETURNING device", &[device.as_str().into()])?.is_empty())
}

/// The hash of a code, with all that the code was made for.
fn hash(code: &Code, device: &str, until_ms: i64, terms: &str) -> String {
    let all = serde_json::to_string(&(code.expose(), device, until_ms, terms)).expect("plain data");
    token::hash(&all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeping::databases::open_both;
    use crate::machines::devices::{Shown, by_token, claim, list, relay_key, revoke, shown};
    use crate::store::read_on as in_store;
    use qris_core::order::keys::SigningKey;
    use qris_core::order::proof::RelayKey;
    use rusqlite::Connection;

    struct Rig {
        _directory: tempfile::TempDir,
        machines: Connection,
    }

    impl Rig {
        fn new() -> Self {
            let directory = tempfile::tempdir().expect("a directory");
            let machines = open_both(&directory.path().join("orders.db"), true, true).expect("opens").machines;
            Self { _directory: directory, machines }
        }

        fn run<T>(&self, job: impl FnOnce(&mut dyn Tx) -> Result<T, BooksError>) -> T {
            in_store(&self.machines, job).expect("works")
        }

        fn invite(&self, number: u8, until: Wall) {
            self.run(|tx| invite(tx, &of(number), &terms(), until));
        }

        /// The machine shows the code, and is given this token.
        fn claim(&self, number: u8, token: &str, now: i64) -> Result<Terms, NotLetIn> {
            self.run(|tx| claim(tx, &of(number), &token::hash(token), Wall(now)))
        }

        fn is_let_in(&self, token: &str) -> bool {
            self.run(|tx| by_token(tx, &token::hash(token))).is_some()
        }

        /// Whoever has this token shows the key of a relay.
        fn show(&self, token: &str, number: u8, now: i64) -> Shown {
            self.run(|tx| shown(tx, &device(), &token::hash(token), &key(number), false, Wall(now)))
        }
    }

    fn device() -> DeviceId {
        DeviceId::new("vm-003").expect("an id")
    }

    fn key(number: u8) -> RelayKey {
        RelayKey::of(&SigningKey::from_seed([number; 32]))
    }

    fn of(number: u8) -> Claim {
        Claim { device: device(), code: Code::of([number; 20]) }
    }

    fn terms() -> Terms {
        Terms { name: None, backend_url: "https://pay.example".into(), backend_ca: None, broker: None, operators: Vec::new() }
    }

    #[test]
    fn a_code_is_good_for_its_machine_until_it_was_used_or_its_time_is_over() {
        let rig = Rig::new();
        rig.invite(1, Wall(100));
        assert_eq!(rig.claim(2, "a", 9), Err(NotLetIn::Unknown));
        let other = Claim { device: DeviceId::new("vm-004").expect("an id"), ..of(1) };
        assert_eq!(rig.run(|tx| claim(tx, &other, "x", Wall(9))), Err(NotLetIn::Unknown));
        assert!(rig.run(list).machines.is_empty(), "nobody was let in");
        assert_eq!(rig.claim(1, "a", 101), Err(NotLetIn::Late(Wall(100))));
        // An answer that was lost: the code still works, and only the last token does.
        assert_eq!((rig.claim(1, "a", 9), rig.claim(1, "b", 10)), (Ok(terms()), Ok(terms())));
        assert_eq!((rig.is_let_in("a"), rig.is_let_in("b")), (false, true));
        assert_eq!(rig.show("a", 4, 11), Shown::Known, "who has the token of before is not heard");
        // The machine sells, and with its first word the code is used up.
        assert_eq!(rig.show("b", 5, 11), Shown::First);
        assert_eq!(rig.claim(1, "c", 12), Err(NotLetIn::Used(Wall(11))));
        assert_eq!(rig.claim(2, "c", 12), Err(NotLetIn::Unknown), "who does not have the code hears nothing");
        assert_eq!((rig.is_let_in("b"), rig.is_let_in("c")), (true, false));
        assert_eq!(rig.show("b", 5, 13), Shown::Known);
    }

    #[test]
    fn a_code_brings_the_key_of_another_relay_along_once() {
        let rig = Rig::new();
        rig.invite(1, Wall(100));
        rig.claim(1, "a", 9).expect("let in");
        assert_eq!((rig.show("a", 5, 10), rig.show("a", 6, 11)), (Shown::First, Shown::Another { news: true }));
        // The board was replaced, and the merchant made a code for the new one.
        rig.invite(2, Wall(100));
        assert_eq!(rig.show("a", 7, 12), Shown::Another { news: true }, "a code that nobody claimed yet changes nothing");
        rig.claim(2, "b", 13).expect("let in");
        assert_eq!((rig.is_let_in("a"), rig.show("b", 8, 14), rig.show("b", 9, 15)), (false, Shown::First, Shown::Another { news: true }));
        assert_eq!(rig.run(|tx| relay_key(tx, &device())), Some(key(8)));
        // The same board once more: its key is known, and the code is used up all the same.
        rig.invite(3, Wall(100));
        rig.claim(3, "c", 16).expect("let in");
        assert_eq!((rig.show("c", 8, 17), rig.claim(3, "d", 18)), (Shown::First, Err(NotLetIn::Used(Wall(17)))));
    }

    #[test]
    fn a_code_is_void_when_its_machine_is_revoked_or_a_bit_of_it_flipped() {
        let rig = Rig::new();
        rig.invite(1, Wall(100));
        rig.claim(1, "a", 9).expect("let in");
        assert!(rig.run(|tx| revoke(tx, &device(), Wall(10))));
        assert_eq!((rig.claim(1, "b", 11), rig.is_let_in("a")), (Err(NotLetIn::Unknown), false));
        for change in ["until_ms = 200", "terms = replace(terms, 'pay.', 'pax.')", "code_hash = upper(code_hash)"] {
            rig.invite(2, Wall(100));
            assert_eq!(rig.machines.execute(&format!("UPDATE invitations SET {change}"), []).expect("runs"), 1);
            assert_eq!(rig.claim(2, "c", 12), Err(NotLetIn::Unknown), "{change}");
        }
        rig.invite(3, Wall(100));
        rig.claim(3, "c", 12).expect("a new code lets a revoked machine in again");
        assert!(rig.is_let_in("c"));
        // A code that nobody used. Its machine is unknown, or its row cannot be read.
        rig.invite(4, Wall(100));
        assert_eq!(rig.machines.execute("UPDATE devices SET sum = 'x'", []).expect("runs"), 1);
        assert!(rig.run(|tx| revoke(tx, &device(), Wall(13))));
        assert_eq!(rig.claim(4, "d", 14), Err(NotLetIn::Unknown));
        let unknown = Rig::new();
        unknown.invite(5, Wall(100));
        let revoked = || unknown.run(|tx| revoke(tx, &device(), Wall(15)));
        assert_eq!((revoked(), revoked()), (true, false));
        assert_eq!(unknown.claim(5, "d", 16), Err(NotLetIn::Unknown));
    }
}
