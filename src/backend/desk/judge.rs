//! Whether a person may do it: the role, and the money of the day. It is judged in the transaction of the deed. So two phones at once do
//! not pass the limit together, and whoever has the desk's program in his hands does not pass it at all.

use super::people::Person;
use super::sessions::Asker;
use crate::sale::books::BooksError;
use crate::store::{Row, Tx};
use qris_core::order::ids::OrderId;
use qris_core::order::time::{Span, Wall, Zone};
use qris_core::wire::desk::{Barred, Denied, Door, Role};

const DAY_MS: i64 = 24 * 3600 * 1000;

/// The merchant's rule for a person of whom nothing else was said.
#[derive(Debug, Clone, Copy)]
pub struct Usual {
    /// How much money a person may move in a day, in rupiah.
    pub limit_per_day: u64,
    pub zone: Zone,
}

#[must_use]
pub fn midnight(at: Wall, zone: Zone) -> Wall {
    let local = (at + zone.ahead()).0;
    Wall(local - local.rem_euclid(DAY_MS)) - zone.ahead()
}

/// The beginning of the day so many days before.
#[must_use]
pub fn days_before(midnight: Wall, days: i64) -> Wall {
    midnight - Span(days * DAY_MS)
}

/// How much money this person may still move today. The money of an order moves once. So one that is done again, as after a refund that
/// was refused, counts once, and `but` that one does not count.
pub fn left(tx: &mut dyn Tx, person: &Person, but: Option<&OrderId>, usual: Usual, now: Wall) -> Result<u64, BooksError> {
    match person.role {
        Role::Viewer => Ok(0),
        Role::Owner | Role::Settler => {
            let sql = "SELECT CAST(coalesce(sum(amount), 0) AS BIGINT) FROM (
                SELECT max(amount) AS amount FROM desk_log
                WHERE person = $1 AND at_ms >= $2 AND amount IS NOT NULL AND order_id <> $3 GROUP BY order_id) AS orders";
            let since = midnight(now, usual.zone);
            let moved = Row::number(&tx.rows(sql, &[person.number.into(), since.into(), but.map_or("", OrderId::as_str).into()])?)?;
            let limit = person.limit_per_day.unwrap_or(usual.limit_per_day);
            Ok(limit.saturating_sub(u64::try_from(moved).unwrap_or(0)))
        }
    }
}

/// Whether the role allows deeds.
pub const fn role(person: &Person) -> Result<(), Denied> {
    match person.role {
        Role::Owner | Role::Settler => Ok(()),
        Role::Viewer => Err(Denied::Person(Barred::Role)),
    }
}

/// Whether the door allows more than to see. In the local network everybody reads what passes, and may have the session, too.
pub const fn door(door: Door) -> Result<(), Denied> {
    match door {
        Door::Public => Ok(()),
        Door::Home => Err(Denied::Person(Barred::Home)),
    }
}

/// Whether this person may settle orders in this session.
pub fn settles(asker: &Asker) -> Result<(), Denied> {
    role(&asker.person)?;
    door(asker.door)
}

#[must_use]
pub fn may_settle(person: &Person) -> bool {
    role(person).is_ok()
}

/// Whether the role says who the people are, and reads what they did.
pub const fn owner(person: &Person) -> Result<(), Denied> {
    match person.role {
        Role::Owner => Ok(()),
        Role::Settler | Role::Viewer => Err(Denied::Person(Barred::Role)),
    }
}

/// Whether the money of the day allows this one.
pub fn limit(left: u64, amount: Option<u64>) -> Result<(), Denied> {
    if amount.is_some_and(|amount| amount > left) { Err(Denied::Person(Barred::Limit)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_of_the_merchant() {
        let at = |text: &str| Wall::from_rfc3339(text).expect("a time");
        for (now, zone, began) in [
            ("2026-11-27T16:59:59Z", Zone::Wib, "2026-11-26T17:00:00Z"),
            ("2026-11-27T17:00:00Z", Zone::Wib, "2026-11-27T17:00:00Z"),
            ("2026-11-27T16:00:00Z", Zone::Wita, "2026-11-27T16:00:00Z"),
            ("2026-11-27T14:59:59Z", Zone::Wit, "2026-11-26T15:00:00Z"),
        ] {
            assert_eq!(midnight(at(now), zone), at(began), "{now} {zone:?}");
        }
        assert_eq!(days_before(at("2026-11-27T17:00:00Z"), 7), at("2026-11-20T17:00:00Z"));
    }
}
