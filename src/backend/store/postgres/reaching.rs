//! Finds the server that is written to. All servers are asked at once, so that one that is silent keeps nobody waiting. After a fail-over
//! the earlier primary may come back and let itself be written to: what is written there would be lost. Each promotion begins a new
//! timeline of the database (PostgreSQL's manual, "Timelines"), so the server with the newest one is right.

use super::listening::{ListenEvent, hear};
use super::{MakeTls, PATIENCE, Server, why};
use crate::store::StoreError;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_postgres::config::{Host, TargetSessionAttrs};
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};

/// What each server shows of its connections to whoever looks.
const NAME: &str = "qris-backend";
/// A server's computer that does not answer within this time is not there.
const CONNECTS_WITHIN: Duration = Duration::from_secs(3);
/// When one server can be written to, the others have this time to show a newer timeline.
const OTHERS: Duration = Duration::from_secs(1);
/// The timeline is the beginning of the name of the file that is written, in hexadecimal.
const TIMELINE: &str = "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)";
/// A commit of this user that has waited for a standby for some time.
const WAITS: &str =
    "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND state_change < clock_timestamp() - interval '2 s' LIMIT 1";

/// A connection to a server that can be written to.
struct Found {
    timeline: u32,
    client: Client,
    driver: JoinHandle<()>,
}

impl Server {
    /// Connects to the server that is written to.
    ///
    /// # Errors
    /// There is none, or only one of before a fail-over that this process has seen.
    pub(super) async fn open(
        &self,
        heard: impl Fn(ListenEvent<'_>) + Clone + Send + 'static,
    ) -> Result<(Client, JoinHandle<()>), StoreError> {
        let mut tries = JoinSet::new();
        for config in self.each() {
            tries.spawn(reach(config, self.tls.clone(), heard.clone()));
        }
        let (mut best, mut failed) = (None::<Found>, None);
        loop {
            let next = match best {
                Some(_) => timeout(OTHERS, tries.join_next()).await.unwrap_or(None),
                None => tries.join_next().await,
            };
            match next {
                None => break,
                Some(Ok(Ok(found))) if best.as_ref().is_none_or(|best| best.timeline < found.timeline) => best = Some(found),
                Some(Ok(Err(error))) => failed = Some(error),
                Some(_) => {}
            }
        }
        let Some(Found { timeline, client, driver }) = best else {
            return Err(failed.map_or_else(|| self.silent(), |error| self.failed(&why(&error))));
        };
        let newest = self.newest.fetch_max(timeline, Ordering::Relaxed);
        if timeline < newest {
            let why = format!(
                "it is the primary of before a fail-over (timeline {timeline}; the database is at {newest}): what is written there is \
                 lost. Stop it, and make it a standby. If the database was restored on purpose, start qris-backend anew"
            );
            return Err(self.failed(&why));
        }
        Ok((client, driver))
    }

    /// Whether commits wait for a synchronous standby that does not answer.
    ///
    /// # Errors
    /// [`StoreError::Postgres`]
    pub async fn waits_for_a_standby(&self) -> Result<bool, StoreError> {
        let asked = async {
            let (client, _) = self.open(|_| {}).await?;
            client.simple_query(WAITS).await.map_err(|error| self.failed(&why(&error)))
        };
        let told = timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(self.silent()))?;
        Ok(told.iter().any(|message| matches!(message, SimpleQueryMessage::Row(_))))
    }

    /// One configuration for each server. The library has none whose servers can be changed.
    fn each(&self) -> Vec<Config> {
        let all = &self.config;
        let one = |(at, host): (usize, &Host)| {
            let mut one = Config::new();
            match host {
                Host::Tcp(name) => one.host(name),
                Host::Unix(path) => one.host_path(path),
            };
            all.get_hostaddrs().get(at).map(|address| one.hostaddr(*address));
            all.get_ports().get(at).or(all.get_ports().last()).map(|port| one.port(*port));
            all.get_user().map(|user| one.user(user));
            all.get_password().map(|password| one.password(password));
            all.get_dbname().map(|name| one.dbname(name));
            all.get_options().map(|options| one.options(options));
            one.application_name(NAME).ssl_mode(all.get_ssl_mode()).ssl_negotiation(all.get_ssl_negotiation());
            one.channel_binding(all.get_channel_binding()).target_session_attrs(TargetSessionAttrs::ReadWrite);
            one.connect_timeout(CONNECTS_WITHIN).tcp_user_timeout(PATIENCE).keepalives_idle(PATIENCE);
            one
        };
        all.get_hosts().iter().enumerate().map(one).collect()
    }

    /// An error that names the servers.
    pub(super) fn failed(&self, reason: &str) -> StoreError {
        StoreError::Postgres(format!("{}: {reason}", self.name()))
    }

    pub(super) fn silent(&self) -> StoreError {
        self.failed(&format!("no answer for {} s", PATIENCE.as_secs()))
    }
}

/// Connects to one server, which must be one that can be written to.
async fn reach(config: Config, tls: Option<MakeTls>, heard: impl Fn(ListenEvent<'_>) + Send + 'static) -> Result<Found, Error> {
    let (client, driver) = match tls {
        None => {
            let (client, connection) = config.connect(NoTls).await?;
            (client, tokio::spawn(hear(connection, heard)))
        }
        Some(MakeTls(tls)) => {
            let (client, connection) = config.connect(tls).await?;
            (client, tokio::spawn(hear(connection, heard)))
        }
    };
    let told = client.simple_query(TIMELINE).await?;
    let timeline = told.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => u32::from_str_radix(row.get(0)?, 16).ok(),
        _ => None,
    });
    Ok(Found { timeline: timeline.unwrap_or(0), client, driver })
}
