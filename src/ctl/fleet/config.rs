//! `fleet config`: the settings of machines, signed here and taken by each machine when no customer is there.

use super::which::Which;
use super::{diff, run};
use crate::broker::{Broker, Connection, News};
use crate::{keys, print};
use clap::Subcommand;
use qris_core::order::ids::DeviceId;
use qris_core::order::keys::SigningKey;
use qris_core::order::time::Wall;
use qris_core::wire::settings::{Desired, Reported, SETTINGS_MAX, next_version};
use qris_core::wire::topics::Topic;
use qris_host::mqtt::{Inbound, Outbound, Retained};
use qris_host::{Failure, clock};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A machine that is online has judged its settings by then.
const ANSWER_WAIT: Duration = Duration::from_secs(15);

const DAY_S: i64 = 24 * 60 * 60;

/// A refusal without a version may be that of a stranger's settings. A machine has judged these ones, too, by then.
const DOUBT: Duration = Duration::from_secs(3);

/// The settings of machines.
#[derive(Subcommand, Debug)]
pub(crate) enum Config {
    /// Show which settings are in force, which wait, and what was refused. With --json: device, settings
    Get {
        #[command(flatten)]
        who: Which,
    },
    /// Give machines other settings
    Set(Set),
    /// Compare a file with the settings that machines have from afar. Exit status 0: they have just these
    Diff(Diff),
    /// Show which settings came when, and who signed them, as far back as the machine's journal goes
    History {
        #[command(flatten)]
        who: Which,
        /// Your key; the default is ~/.config/qrisctl/operator.jwk
        #[arg(long, value_name = "FILE")]
        operator_key: Option<PathBuf>,
    },
}

/// Compares a file with the settings that machines have.
#[derive(clap::Args, Debug)]
pub(crate) struct Diff {
    /// As for `set`
    file: PathBuf,
    #[command(flatten)]
    who: Which,
    /// Your key; the default is ~/.config/qrisctl/operator.jwk
    #[arg(long, value_name = "FILE")]
    operator_key: Option<PathBuf>,
}

/// Gives machines other settings. Exit status 0 if all of them have them, or will have them at their time.
#[derive(clap::Args, Debug)]
pub(crate) struct Set {
    /// A part of a qrisd.toml: [[item]], [orders], and of [device] and [screen] the names, texts and looks
    file: PathBuf,
    #[command(flatten)]
    who: Which,
    /// In force from then on, as 2026-12-01T06:00:00+07:00; the default is at once
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Leave out what a machine of an earlier release does not know
    #[arg(long)]
    skip_unknown: bool,
    /// A machine that hears of it only after so many days does not take it any more
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=3650))]
    expires_in: u16,
    /// Your key; the default is ~/.config/qrisctl/operator.jwk
    #[arg(long, value_name = "FILE")]
    operator_key: Option<PathBuf>,
}

impl Config {
    pub(super) async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        match self {
            Self::Get { who } => get(who, connection, json).await,
            Self::Set(set) => set.run(connection, json).await,
            Self::History { who, operator_key } => run::history(who, operator_key, connection, json).await,
            Self::Diff(Diff { file, who, operator_key }) => {
                let named = |why: String| Failure::usage(format!("{}: {why}", file.display()));
                let text = std::fs::read_to_string(&file).map_err(|why| named(format!("{why}; name a file with settings")))?;
                let wanted = diff::flat(&text).map_err(|why| named(why.to_string()))?;
                run::compare(wanted, who, operator_key, connection, json).await
            }
        }
    }
}

async fn get(who: Which, connection: Connection, json: bool) -> Result<(), Failure> {
    let mut broker = Broker::connect(connection, who.filters(Topic::ConfigReported), Retained::Always).await?;
    let told = drained(&mut broker).await?;
    broker.leave().await;
    for (device, reported) in who.pick(told)? {
        print_report(&device, &reported, json)?;
    }
    Ok(())
}

impl Set {
    async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        let Self { file, who, at, skip_unknown, expires_in, operator_key } = self;
        who.must_be_named()?;
        if let Some(Err(error)) = at.as_deref().map(Wall::from_rfc3339) {
            return Err(Failure::usage(format!("--at: {error}: write it as 2026-12-01T06:00:00+07:00")));
        }
        let settings = std::fs::read_to_string(&file)
            .map_err(|why| Failure::usage(format!("{}: {why}; name a file with settings", file.display())))?;
        let key = keys::read_private(match operator_key {
            Some(file) => Some(file),
            None => connection.operator_key()?,
        })?;
        let mut broker = Broker::connect(connection, who.filters(Topic::ConfigReported), Retained::Always).await?;
        let told = who.pick(drained(&mut broker).await?)?;
        // Nothing is sent before it is clear that it can be sent to all.
        let mut wanted = BTreeMap::new();
        let exp = clock::now().wall.0.div_euclid(1000) + i64::from(expires_in) * DAY_S;
        for (device, has) in told {
            let from = has.waiting.as_ref().map_or(has.version, |waiting| waiting.version);
            let version = next_version(from).ok_or_else(|| unreachable(&device, from))?;
            let (effective_at, settings) = (at.clone().map(Into::into), settings.as_str().into());
            let desired = Desired { aud: device.clone(), version, from, exp, effective_at, skip_unknown, settings };
            wanted.insert(device, signed(&desired, &key)?);
        }
        for (device, (_, payload)) in &wanted {
            let message =
                Outbound { topic: Topic::ConfigDesired.of(device), payload: payload.clone(), retain: true, ..Outbound::default() };
            broker.publish(message).await.map_err(Failure::failed)?;
        }
        let all = wanted.len();
        let done = follow(&mut broker, wanted.into_iter().map(|(device, (version, _))| (device, version)).collect(), json).await;
        broker.leave().await;
        match done? {
            done if done == all => Ok(()),
            done => Err(Failure::failed(format!("{} of {all} machines did not take the settings", all - done))),
        }
    }
}

/// Somebody has invented the number. Nothing is signed that would follow it.
fn unreachable(device: &DeviceId, from: u64) -> Failure {
    Failure::failed(format!(
        "{device} is said to have settings version {from}, which no operator can have reached: somebody else speaks in its name at the broker. \
         Nothing was sent to any machine. Give {device} another password there (qris-backend device revoke, then device invite); it says the \
         right version when it connects"
    ))
}

/// The version and the payload.
fn signed(desired: &Desired, key: &SigningKey) -> Result<(u64, Vec<u8>), Failure> {
    let payload = desired.signed(key);
    if payload.len() > SETTINGS_MAX {
        return Err(Failure::usage(format!(
            "the settings are too large: {} bytes with their signature, at most {SETTINGS_MAX}",
            payload.len()
        )));
    }
    Ok((desired.version, payload))
}

/// Shows what becomes of the settings. Answers with how many machines took them.
async fn follow(broker: &mut Broker, mut open: BTreeMap<DeviceId, u64>, json: bool) -> Result<usize, Failure> {
    let deadline = Instant::now() + ANSWER_WAIT;
    let (mut done, mut doubtful) = (0, BTreeMap::<DeviceId, (Instant, Reported)>::new());
    while !open.is_empty() {
        let until = doubtful.values().map(|(until, _)| *until).min().unwrap_or(deadline);
        let Ok(news) = timeout_at(until, broker.next()).await else {
            let over: Vec<_> = doubtful.iter().filter(|(_, (at, _))| *at <= until).map(|(device, _)| device.clone()).collect();
            if over.is_empty() {
                break;
            }
            for device in over {
                open.remove(&device);
                doubtful.remove(&device).map_or(Ok(()), |(_, reported)| print_report(&device, &reported, json))?;
            }
            continue;
        };
        let message = match news {
            News::Message(message) => message,
            News::Lost(reason) => {
                print::remark(&format!("connection lost: {reason}"));
                continue;
            }
            News::Back => continue,
        };
        let Some((device, reported)) = read(&message) else { continue };
        let Some(version) = open.get(&device) else { continue };
        let is_taken = reported.version == *version || reported.waiting.as_ref().is_some_and(|waiting| waiting.version == *version);
        let refused = reported.refused.as_ref().map(|refused| refused.version);
        if is_taken || refused == Some(Some(*version)) {
            print_report(&device, &reported, json)?;
            done += usize::from(is_taken);
            (_, _) = (open.remove(&device), doubtful.remove(&device));
        } else if refused == Some(None) {
            let until = doubtful.get(&device).map_or((Instant::now() + DOUBT).min(deadline), |(until, _)| *until);
            doubtful.insert(device, (until, reported));
        }
    }
    for device in open.keys() {
        print::remark(&format!(
            "{device} said nothing in {} s. The settings stay at the broker, and it judges them when it is back: see `qrisctl fleet config \
             get --device {device}`",
            ANSWER_WAIT.as_secs()
        ));
    }
    Ok(done)
}

/// What the machines said last.
async fn drained(broker: &mut Broker) -> Result<BTreeMap<DeviceId, Reported>, Failure> {
    let messages = broker.drain().await.map_err(Failure::failed)?;
    Ok(messages.iter().filter_map(read).collect())
}

pub(super) fn read(message: &Inbound) -> Option<(DeviceId, Reported)> {
    let (device, Topic::ConfigReported) = Topic::parse(&message.topic)? else { return None };
    Some((device, serde_json::from_slice(&message.payload).ok()?))
}

fn print_report(device: &DeviceId, reported: &Reported, json: bool) -> Result<(), Failure> {
    if json {
        return print::line(&json!({ "device": device, "settings": reported }).to_string());
    }
    print::line(&print::plain(&format!("{device}{}", words(reported))))?;
    let wrong = reported.refused.iter().flat_map(|refused| &refused.faults).map(|fault| ("wrong", fault));
    for (what, fault) in wrong.chain(reported.left_out.iter().map(|fault| ("left out", fault))) {
        let at = fault.line.map_or_else(String::new, |line| format!("line {line}, "));
        print::line(&print::plain(&format!("  {what}: {at}{fault}")))?;
    }
    Ok(())
}

/// What is in force, what waits, and what was refused.
pub(super) fn words(reported: &Reported) -> String {
    let mut line = match (reported.version, &reported.since) {
        (0, _) => ": the machine's own file is in force".to_owned(),
        (version, None) => format!(": version {version} is in force"),
        (version, Some(since)) => format!(": version {version} is in force since {since}"),
    };
    if let Some(waiting) = &reported.waiting {
        let until = waiting.effective_at.as_deref().unwrap_or("no customer is there");
        line += &format!("; version {} waits until {until}", waiting.version);
    }
    if let Some(refused) = &reported.refused {
        let version = refused.version.map_or_else(String::new, |version| format!(" version {version}"));
        line += &format!("; refused{version} ({}): {}", refused.code, refused.message);
    }
    line
}
