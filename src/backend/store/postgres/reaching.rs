//! Asks the servers which of them is [the primary](primary). All are asked at once, so that one that is silent keeps nobody waiting.
//! Whoever connects asks, and so does [`Server::look`] now and then. If one connection learns of a newer timeline, all other connections
//! that are on an older one end ([`Server::overtaken`]).

use super::hearing::{ListenEvent, hear};
use super::primary::{NoPrimary, Role, primary};
use super::values::{query, read};
use super::{MakeTls, PATIENCE, Server, why};
use crate::store::{Row, StoreError, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};

/// Each server shows this name of its connections.
const NAME: &str = "qris-backend";
/// A server's computer that does not answer within this time is not there.
const CONNECTS_WITHIN: Duration = Duration::from_secs(3);
/// When one server can be written to, the others have this time to show a newer timeline.
const OTHERS: Duration = Duration::from_secs(1);
/// A look does not wait for longer, for each answer.
const LOOKS_WITHIN: Duration = Duration::from_secs(3);
/// Of a primary, its timeline: the beginning of the name of the file that is written, in hexadecimal. And whether it takes nothing.
const ROLE: &str = "SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END, \
    current_setting('transaction_read_only')";
/// A commit of this user that has waited for a standby for some time.
const WAITS: &str =
    "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND state_change < clock_timestamp() - interval '2 s' LIMIT 1";

#[derive(Debug)]
pub struct Looked {
    /// Where it is, for people.
    pub name: String,
    /// What it said, or why it did not.
    pub said: Result<Reached, String>,
}

#[derive(Debug)]
pub struct Reached {
    pub role: Role,
    client: Client,
    driver: JoinHandle<()>,
}

/// A connection to the primary.
pub(super) struct Opened {
    pub(super) client: Client,
    pub(super) driver: JoinHandle<()>,
    pub(super) timeline: u32,
}

impl Looked {
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        self.said.as_ref().ok().map(|reached| reached.role)
    }
}

impl Reached {
    /// Reads there.
    ///
    /// # Errors
    /// [`StoreError::Postgres`], also when the server is silent.
    pub async fn rows(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let asked = async {
            let statement = self.client.prepare(sql).await?;
            let rows = query(&self.client, &statement, values).await?;
            Ok((statement, rows))
        };
        let told: Result<_, Error> = timeout(LOOKS_WITHIN, asked).await.map_err(|_| StoreError::Postgres(silent_for(LOOKS_WITHIN)))?;
        let (statement, rows) = told.map_err(|error| StoreError::Postgres(why(&error)))?;
        read(&statement, &rows, sql)
    }
}

impl Server {
    /// Connects to the primary.
    ///
    /// # Errors
    /// There is none, or only one of before a fail-over that this process has seen.
    pub(super) async fn open(&self, heard: impl Fn(ListenEvent<'_>) + Clone + Send + 'static) -> Result<Opened, StoreError> {
        let each = self.each();
        let mut said: Vec<_> = each.iter().map(|_| Err("no answer".to_owned())).collect();
        let mut tries = JoinSet::new();
        for (at, config) in each.into_iter().enumerate() {
            let trying = reach(config, self.tls.clone(), Arc::clone(&self.newest), heard.clone());
            tries.spawn(async move { (at, trying.await) });
        }
        let found = loop {
            let roles: Vec<_> = said.iter().map(|said: &Result<Reached, _>| said.as_ref().ok().map(|reached| reached.role)).collect();
            let found = primary(&roles, self.newest());
            let next = match found {
                Ok(_) => timeout(OTHERS, tries.join_next()).await.unwrap_or(None),
                Err(_) => tries.join_next().await,
            };
            match next {
                None => break found,
                Some(Ok((at, told))) => said[at] = told.map_err(|error| why(&error)),
                Some(Err(_)) => {}
            }
        };
        match found {
            Ok(at) => {
                let Reached { role, client, driver } = said.swap_remove(at).map_err(|why| self.failed(&why))?;
                let Role::Primary { timeline, .. } = role else { return Err(self.failed("it became a standby")) };
                Ok(Opened { client, driver, timeline })
            }
            Err(NoPrimary::Overtaken { timeline, newest }) => {
                let why = format!(
                    "it is the primary of before a fail-over (timeline {timeline}; the database is at {newest}): what is written there is \
                     lost. Stop it, and make it a standby. If the database was restored on purpose, start qris-backend anew"
                );
                Err(self.failed(&why))
            }
            Err(NoPrimary::ReadOnly) => {
                let told = said.iter().zip(self.names()).map(|(said, name)| match said {
                    Ok(Reached { role: Role::Standby, .. }) => format!("{name} is a standby"),
                    Ok(Reached { role: Role::Primary { .. }, .. }) => format!("{name} is read only"),
                    Err(why) => format!("{name}: {why}"),
                });
                Err(self.failed(&format!("no server can be written to ({})", told.collect::<Vec<_>>().join("; "))))
            }
        }
    }

    /// Asks all servers, on connections of its own. All that are on an older timeline than one of them are left then.
    pub async fn look(&self) -> Vec<Looked> {
        let mut tries = JoinSet::new();
        for (at, config) in self.each().into_iter().enumerate() {
            let trying = timeout(LOOKS_WITHIN, reach(config, self.tls.clone(), Arc::clone(&self.newest), |_| {}));
            tries.spawn(async move { (at, trying.await) });
        }
        let unsaid = |name| Looked { name, said: Err(silent_for(LOOKS_WITHIN)) };
        let mut looked: Vec<_> = self.names().map(unsaid).collect();
        while let Some(told) = tries.join_next().await {
            if let Ok((at, Ok(said))) = told {
                looked[at].said = said.map_err(|error| why(&error));
            }
        }
        looked
    }

    /// Which of these servers is the primary, by its place.
    #[must_use]
    pub fn primary_of(&self, looked: &[Looked]) -> Option<usize> {
        primary(&looked.iter().map(Looked::role).collect::<Vec<_>>(), self.newest()).ok()
    }

    /// The newest timeline that this process has seen; 0: none yet.
    #[must_use]
    pub fn newest(&self) -> u32 {
        *self.newest.borrow()
    }

    /// Ends when a server was seen that has a newer timeline than this one.
    pub(super) async fn overtaken(&self, timeline: u32) {
        // It has an end only with the last `Server`.
        let _ = self.newest.subscribe().wait_for(|newest| *newest > timeline).await;
    }

    /// Whether commits wait for a synchronous standby that does not answer.
    pub async fn waits_for_a_standby(&self) -> Result<bool, StoreError> {
        let asked = async {
            let Opened { client, .. } = self.open(|_| {}).await?;
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
            self.port(at).map(|port| one.port(port));
            all.get_user().map(|user| one.user(user));
            all.get_password().map(|password| one.password(password));
            all.get_dbname().map(|name| one.dbname(name));
            all.get_options().map(|options| one.options(options));
            one.application_name(NAME).ssl_mode(all.get_ssl_mode()).ssl_negotiation(all.get_ssl_negotiation());
            one.channel_binding(all.get_channel_binding());
            one.connect_timeout(CONNECTS_WITHIN).tcp_user_timeout(PATIENCE).keepalives_idle(PATIENCE);
            one
        };
        all.get_hosts().iter().enumerate().map(one).collect()
    }

    fn port(&self, at: usize) -> Option<u16> {
        let ports = self.config.get_ports();
        ports.get(at).or(ports.last()).copied()
    }

    fn names(&self) -> impl Iterator<Item = String> {
        self.config.get_hosts().iter().enumerate().map(|(at, host)| match (host, self.port(at)) {
            (Host::Tcp(name), Some(port)) => format!("{name}:{port}"),
            (Host::Tcp(name), None) => name.clone(),
            (Host::Unix(path), _) => path.display().to_string(),
        })
    }

    /// An error that names the servers.
    pub(super) fn failed(&self, reason: &str) -> StoreError {
        StoreError::Postgres(format!("{}: {reason}", self.name()))
    }

    pub(super) fn silent(&self) -> StoreError {
        self.failed(&silent_for(PATIENCE))
    }
}

pub(super) fn silent_for(time: Duration) -> String {
    format!("no answer for {} s", time.as_secs())
}

/// Connects to one server, and asks what it is. Whoever is on an older timeline hears of a newer one.
async fn reach(
    config: Config,
    tls: Option<MakeTls>,
    newest: Arc<watch::Sender<u32>>,
    heard: impl Fn(ListenEvent<'_>) + Send + 'static,
) -> Result<Reached, Error> {
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
    let told = client.simple_query(ROLE).await?;
    let row = told.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((row.get(0), row.get(1) != Some("off"))),
        _ => None,
    });
    let role = match row {
        Some((Some(timeline), read_only)) => Role::Primary { timeline: u32::from_str_radix(timeline, 16).unwrap_or(0), read_only },
        Some((None, _)) | None => Role::Standby,
    };
    if let Role::Primary { timeline, .. } = role {
        newest.send_if_modified(|newest| {
            let is_newer = timeline > *newest;
            *newest = timeline.max(*newest);
            is_newer
        });
    }
    Ok(Reached { role, client, driver })
}
