//! The servers of a cluster, looked at now and then for as long as a process runs. A server that is written to after another one was promoted
//! has orders that the books do not have, or have otherwise: they are listed for a person.

use crate::store::postgres::{Looked, Reached, Role, Server};
use crate::store::{Row, StoreError};
use qris_host::events::Event as Journal;
use qris_host::journal::emit;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How often all servers are asked. With [the time of an answer](Server::look) and that of a new connection, the primary of before a
/// promotion is left within 15 s.
pub const EVERY: Duration = Duration::from_secs(10);
/// The most lines of the history that are compared, from the newest on.
const LINES_MAX: i64 = 10_000;
/// The most orders that an event names.
const NAMED: usize = 20;
/// Lines of the history, from the newest on. Both servers have the same ones until the promotion.
const LINES: &str = "SELECT seq, order_id, at_ms, event FROM history WHERE seq BETWEEN $1 AND $2 ORDER BY seq DESC LIMIT $3";
/// What an order has come to.
const STATE: &str =
    "state || coalesce(', ' || delivery, '') || CASE refund_due WHEN 1 THEN ', refund due' ELSE '' END AS state, order_id FROM orders";

/// What an old primary has alone.
#[derive(Debug)]
pub struct Alone {
    orders: Vec<AloneOrder>,
    /// Whether the last line that both servers have was found.
    is_all: bool,
}

/// An order that the books have otherwise or not at all.
#[derive(Debug)]
struct AloneOrder {
    order_id: String,
    there: String,
    here: Option<String>,
}

impl Alone {
    /// What people are told, with the names of at most so many orders.
    #[must_use]
    pub fn said(&self, most: usize) -> String {
        let named = |AloneOrder { order_id, there, here }: &AloneOrder| {
            format!("{order_id} ({there}; {} here)", here.as_deref().unwrap_or("missing"))
        };
        let mut said: Vec<_> = self.orders.iter().take(most).map(named).collect();
        if self.orders.len() > most {
            said.push(format!("and {} more, which `qris-backend doctor` lists", self.orders.len() - most));
        }
        if !self.is_all {
            said.push(format!("and perhaps more: only its last {LINES_MAX} entries were compared"));
        }
        if said.is_empty() {
            "nothing was written there that the books do not have".into()
        } else {
            format!("orders that are not so in the books: {}", said.join(", "))
        }
    }
}

/// The orders that an old primary alone has. Each has a line of the history there behind the last one that both servers have. An order that
/// has come to the same in the books is left out.
///
/// # Errors
/// [`StoreError`]; a server's silence, too.
pub async fn alone(old: &Reached, primary: &Reached) -> Result<Alone, StoreError> {
    let there = old.rows(LINES, &[0.into(), i64::MAX.into(), LINES_MAX.into()]).await?;
    let place = |row: Option<&Row>| row.map_or(Ok(0), |row| row.int("seq"));
    let (newest, oldest) = (place(there.first())?, place(there.last())?);
    let here = primary.rows(LINES, &[oldest.into(), newest.into(), LINES_MAX.into()]).await?;
    let here: HashMap<i64, &Row> = here.iter().map(|row| Ok((row.int("seq")?, row))).collect::<Result<_, StoreError>>()?;
    let (mut behind, mut is_all) = (Vec::new(), there.len() < usize::try_from(LINES_MAX).unwrap_or(usize::MAX));
    for row in &there {
        if here.get(&row.int("seq")?).is_some_and(|same| *same == row) {
            is_all = true;
            break;
        }
        behind.push(row.text("order_id")?);
    }
    let names = behind.join(" ");
    let sql = format!("SELECT {STATE} WHERE order_id = ANY(string_to_array($1, ' ')) ORDER BY created_ms, order_id");
    let (there, here) = (old.rows(&sql, &[names.as_str().into()]).await?, primary.rows(&sql, &[names.as_str().into()]).await?);
    let state = |row: &Row| Ok::<_, StoreError>((row.text("order_id")?.to_owned(), row.text("state")?.to_owned()));
    let mut here: HashMap<_, _> = here.iter().map(state).collect::<Result<_, _>>()?;
    let orders = there.iter().map(|row| state(row).map(|(order_id, there)| AloneOrder { here: here.remove(&order_id), order_id, there }));
    let mut orders = orders.collect::<Result<Vec<_>, _>>()?;
    orders.retain(|order| order.here.as_ref() != Some(&order.there));
    Ok(Alone { orders, is_all })
}

#[must_use]
pub fn unread(why: &str) -> String {
    format!("it cannot be read ({why}), so nobody knows what was written there last")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ServerNotice {
    /// Nothing: it follows another one, as far as anybody knows.
    Nothing,
    /// It is the primary, or was when it was seen last.
    Primary,
    /// It is not the primary any more, and cannot be read.
    Unread,
    /// What it has alone, up to this line of its history.
    Alone(i64),
}

/// Asks all servers, now and then, `first` after this time. If one has a newer timeline, all connections to the others end. What an old primary
/// has alone is told, and told again when there is more.
pub async fn follow(server: Server, first: Duration) {
    let mut told = HashMap::new();
    let mut tick = interval_at(Instant::now() + first, EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let looked = server.look().await;
        // While there is no primary, whoever writes tells why.
        let Some(at) = server.primary_of(&looked) else { continue };
        let Some(Ok(primary)) = looked.get(at).map(|looked| looked.said.as_ref()) else { continue };
        for (place, other) in looked.iter().enumerate() {
            let last = told.get(&place).copied().unwrap_or(ServerNotice::Nothing);
            let now = if place == at { ServerNotice::Primary } else { tell(other, primary, server.newest(), last).await };
            told.insert(place, now);
        }
    }
}

/// Tells what is to be told of a server that is not the primary.
async fn tell(other: &Looked, primary: &Reached, newest: u32, last: ServerNotice) -> ServerNotice {
    let event = |what: String| emit(&Journal::PrimaryOvertaken { server: other.name.clone().into(), what: what.into() });
    let cannot = |why: &str| {
        if last != ServerNotice::Unread {
            event(unread(why));
        }
        ServerNotice::Unread
    };
    let old = match (&other.said, last) {
        (Ok(reached), _) if reached.role.is_overtaken(newest) => reached,
        (Ok(Reached { role: Role::Standby | Role::Primary { .. }, .. }), _) => return ServerNotice::Nothing,
        (Err(why), ServerNotice::Primary) => return cannot(why),
        (Err(_), ServerNotice::Nothing | ServerNotice::Unread | ServerNotice::Alone(_)) => return last,
    };
    let read = async {
        let line = Row::number(&old.rows("SELECT coalesce(max(seq), 0) FROM history", &[]).await?)?;
        let is_known = last == ServerNotice::Alone(line);
        Ok::<_, StoreError>((line, if is_known { None } else { Some(alone(old, primary).await?) }))
    };
    match read.await {
        Ok((line, alone)) => {
            if let Some(alone) = alone {
                event(alone.said(NAMED));
            }
            ServerNotice::Alone(line)
        }
        Err(why) => cannot(&why.to_string()),
    }
}
