//! `fleet run`: commands that are signed here, and carried out once by each machine.

use super::ends::Ends;
use super::progress::Progress;
use super::retained::LastWords;
use super::show;
use super::sold::Sold;
use super::what::What;
use super::which::Which;
use crate::broker::{Broker, Connection, News, random_hex};
use crate::{keys, print, screen};
use qris_core::order::ids::{CommandId, DeviceId};
use qris_core::order::keys::SigningKey;
use qris_core::order::time::Wall;
use qris_core::wire::command::{self, Code, Command, Joined, LogUnit, Logs, Problem, Query, Response, SCREENSHOT, SignedCommand, Stage};
use qris_core::wire::status::{Presence, Status};
use qris_core::wire::vend::VendEvent;
use qris_host::mqtt::{Inbound, Outbound};
use qris_host::{Failure, clock};
use serde::Deserialize as _;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A machine that is online has answered by then, if only that it takes longer.
const ANSWER_WAIT: Duration = Duration::from_secs(15);

const AT_ONCE: u16 = 20;
/// The machine's lines about its settings have this.
const OF_SETTINGS: &str = "settings version";
/// For so long a command is good.
const VALID: Duration = Duration::from_secs(60);
const VALID_AT_RELAY: Duration = Duration::from_secs(20 * 60);
/// A machine that says nothing is asked once more after this time.
const SILENT: Duration = Duration::from_secs(4);
/// One that has it under way is asked again after this time: its end may have been lost with a connection.
const UNDER_WAY: Duration = Duration::from_secs(10);
const NOT_CONNECTED: &str = "it is not connected to the broker";
/// A name that was mistyped, or a machine that was never here.
const NEVER_HEARD: &str =
    "this broker never heard of it: `qrisctl fleet list` has the names, and the broker's access list whom you may see";
/// A machine that had too many commands is asked again after this time.
const TOO_FAST: Duration = Duration::from_secs(2);
/// And so many times at the most.
const TRIES_MAX: u8 = 4;
/// Journals that are followed are read this often.
const FOLLOW_EVERY: Duration = Duration::from_secs(3);

/// Has machines do something. Each line of output is the end of one machine, and the last one counts them.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Exit status: 0 all of them did it, 1 one of them did not, 2 wrong use. With --json each machine's end is an object with \
    device, state, result and error; the last object has machines and ends, and counts them."
)]
pub(crate) struct Run {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    who: Which,
    /// Your key; the default is ~/.config/qrisctl/operator.jwk
    #[arg(long, global = true, value_name = "FILE")]
    operator_key: Option<PathBuf>,
    /// At most so many machines at a time
    #[arg(long, global = true, value_name = "NUMBER", default_value_t = AT_ONCE, value_parser = clap::value_parser!(u16).range(1..))]
    at_once: u16,
    /// How long to wait for a machine that serves a customer, reboots or takes its time
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 1200)]
    wait: u32,
}

impl Run {
    pub(super) async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        let Self { what, who, operator_key, at_once, wait } = self;
        who.must_be_named()?;
        let shows = match &what {
            What::Logs { follow: true, .. } => Shows::News { last: BTreeMap::new(), mark: random_hex()?.split_off(16) },
            What::Screenshot { out } => Shows::Pictures(out.clone()),
            _ => Shows::Ends,
        };
        let command = what.command()?;
        if let Some(Command::Query(Query::Logs(Logs { since: Some(since), .. }))) = &command
            && let Err(error) = Wall::from_rfc3339(since)
        {
            return Err(Failure::usage(format!("--since: {error}: write it as 2026-12-01T06:00:00+07:00")));
        }
        let mut round = Round::begin(command, Duration::from_secs(wait.into()), operator_key, &connection, json)?;
        round.shows = shows;
        round.go(who, connection, at_once.into(), None).await
    }
}

pub(super) async fn history(who: Which, operator_key: Option<PathBuf>, connection: Connection, json: bool) -> Result<(), Failure> {
    who.must_be_named()?;
    let wanted = Logs { unit: LogUnit::Qrisd, since: None, priority: None, text: Some(OF_SETTINGS.into()), lines: command::LINES_MAX };
    let round = Round::begin(Some(Query::Logs(wanted).into()), ANSWER_WAIT, operator_key, &connection, json)?;
    round.go(who, connection, AT_ONCE.into(), Some("did not say")).await
}

/// What machines sell, as each has told it; else why it is not known.
pub(super) type AllSold = BTreeMap<DeviceId, Result<Sold, String>>;

/// Asks machines what they sell. Those that are off are not waited for.
pub(super) async fn sold(
    broker: &mut Broker,
    machines: impl IntoIterator<Item = (DeviceId, Option<Status>)>,
    key: &Rc<SigningKey>,
) -> Result<AllSold, Failure> {
    let (open, ends, mut sold) = (BTreeMap::new(), Ends::default(), AllSold::new());
    let is_off = |status: &Option<Status>| status.as_ref().is_some_and(|status| status.state == Presence::Offline);
    let (off, there): (VecDeque<_>, VecDeque<_>) = machines.into_iter().partition(|(_, status)| is_off(status));
    sold.extend(off.into_iter().map(|(device, _)| (device, Err(NOT_CONNECTED.into()))));
    let signed = Some((Query::ConfigGet {}.into(), Rc::clone(key)));
    let progress = Progress::of(there.len());
    let called = BTreeMap::new();
    let mut round = Round { signed, json: false, wait: ANSWER_WAIT, called, open, ends, shows: Shows::Nothing, sold, progress };
    round.all(broker, there, AT_ONCE.into()).await?;
    Ok(round.sold)
}

struct Round {
    /// `None`: for a picture, which needs no signature.
    signed: Option<(Command, Rc<SigningKey>)>,
    json: bool,
    wait: Duration,
    /// What people call the machines, with their ids.
    called: BTreeMap<DeviceId, String>,
    open: BTreeMap<DeviceId, Open>,
    ends: Ends,
    shows: Shows,
    sold: AllSold,
    progress: Progress,
}

enum Shows {
    Ends,
    /// None: somebody else makes something of what they sell.
    Nothing,
    /// Lines of journals as they come, again and again.
    News {
        last: BTreeMap<DeviceId, String>,
        /// The machine writes a line about each question. These have this in their id, and are left out.
        mark: String,
    },
    Pictures(PathBuf),
}

/// A machine that has no end yet.
struct Open {
    id: CommandId,
    tries: u8,
    /// As it went out. It goes out again then, if no answer came: a machine that hears too much answers nobody.
    request: Outbound,
    again_at: Instant,
    /// It has said that it does it. If it rejects it after that, it has forgotten it.
    is_accepted: bool,
    joined: Joined,
    until: Instant,
}

impl Round {
    fn begin(command: Option<Command>, wait: Duration, key: Option<PathBuf>, connection: &Connection, json: bool) -> Result<Self, Failure> {
        let signed = match (command, key) {
            (None, _) => None,
            (Some(command), file) => Some((command, Rc::new(keys::read_operators(file, connection)?))),
        };
        let (called, open, ends, sold, progress) = Default::default();
        Ok(Self { signed, json, wait, called, open, ends, shows: Shows::Ends, sold, progress })
    }

    fn name(&self) -> &'static str {
        self.signed.as_ref().map_or(SCREENSHOT, |(command, _)| command.name())
    }

    /// Asks all who are meant. `otherwise` says what those did whose end is not good. Without it the ends are counted.
    async fn go(mut self, who: Which, connection: Connection, at_once: usize, otherwise: Option<&str>) -> Result<(), Failure> {
        let (mut broker, told) = LastWords::hear(connection, &who, vec![command::RESPONSES.into()]).await?;
        let told = told.with_named(&who);
        let meant = told.meant(&who)?;
        self.called = meant.iter().map(|(device, words)| ((*device).clone(), print::machine(words.name(), device))).collect();
        let machines: VecDeque<_> = meant.into_iter().map(|(device, words)| (device.clone(), words.status.clone())).collect();
        let all = machines.len();
        loop {
            self.progress = Progress::of(all);
            let ended = self.all(&mut broker, machines.clone(), at_once).await;
            // A machine that was heard once may be away for a while: it restarts.
            let follows = matches!(&self.shows, Shows::News { last, .. } if !last.is_empty() || self.ends.bad() < all);
            if !follows || ended.is_err() {
                broker.leave().await;
                ended?;
                return self.told(otherwise);
            }
            self.ends = Ends::default();
            tokio::time::sleep(FOLLOW_EVERY).await;
        }
    }

    fn told(&self, otherwise: Option<&str>) -> Result<(), Failure> {
        let (all, bad) = (self.ends.all(), self.ends.bad());
        if self.json && otherwise.is_none() {
            print::line(&self.ends.as_json().to_string())?;
        }
        match otherwise {
            Some(otherwise) if bad > 0 => Err(Failure::failed(format!("{bad} of {all} machines {otherwise}"))),
            None if bad > 0 => Err(Failure::failed(self.ends.words())),
            // One that has done it has said so.
            None if all > 1 => {
                print::remark(&self.ends.words());
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn all(
        &mut self,
        broker: &mut Broker,
        mut machines: VecDeque<(DeviceId, Option<Status>)>,
        at_once: usize,
    ) -> Result<(), Failure> {
        loop {
            while self.open.len() < at_once
                && let Some((device, status)) = machines.pop_front()
            {
                self.ask(broker, device, status).await?;
            }
            let Some(until) = self.open.values().map(|open| open.again_at.min(open.until)).min() else { return Ok(()) };
            match timeout_at(until, broker.next()).await {
                Ok(News::Message(message)) => self.heard(&message)?,
                Ok(News::Lost(reason)) => print::remark(&format!("connection lost: {reason}")),
                Ok(News::Back) => {}
                Err(_) => {
                    self.send_again(broker).await?;
                    self.give_up(Instant::now())?;
                }
            }
        }
    }

    async fn ask(&mut self, broker: &mut Broker, device: DeviceId, status: Option<Status>) -> Result<(), Failure> {
        let name = self.name();
        if let Some(status) = &status {
            let knows = status.commands.as_ref().is_some_and(|commands| commands.iter().any(|known| **known == *name));
            if status.state == Presence::Online && !knows {
                self.ends.not_asked += 1;
                return self.fail(&device, "its release does not have this command");
            }
        }
        let mut id = random_hex()?;
        if let Shows::News { mark, .. } = &self.shows {
            id.replace_range(..mark.len(), mark);
        }
        let id = CommandId::new(&id).expect("32 hexadecimal digits");
        let (is_known, stream) = (status.is_some(), status.and_then(|status| status.stream));
        let request = Outbound {
            topic: command::request_topic(&device, name),
            payload: self.payload(&device, &id, stream),
            response_topic: Some(command::response_topic(&device)),
            correlation_data: Some(id.as_str().as_bytes().to_vec()),
            expiry_s: Some(u32::try_from(ANSWER_WAIT.as_secs()).unwrap_or(0)),
            ..Outbound::default()
        };
        if broker.publish(request.clone()).await.map_err(Failure::failed)? {
            let (again_at, until) = (Instant::now() + SILENT, Instant::now() + ANSWER_WAIT);
            self.open.insert(device, Open { id, tries: 1, request, again_at, is_accepted: false, joined: Joined::default(), until });
            Ok(())
        } else {
            self.ends.not_asked += 1;
            self.fail(&device, if is_known { NOT_CONNECTED } else { NEVER_HEARD })
        }
    }

    fn payload(&self, device: &DeviceId, id: &CommandId, stream: Option<Box<str>>) -> Vec<u8> {
        let Some((command, key)) = &self.signed else { return b"{}".to_vec() };
        let mut command = command.clone();
        if let (Shows::News { last, .. }, Command::Query(Query::Logs(logs))) = (&self.shows, &mut command) {
            logs.since = last.get(device).and_then(|line| second(line)).or_else(|| logs.since.take());
        }
        // What is on its way when its time is over is not begun any more. A pulse is judged by the relay service as well, after the
        // machine has waited for a customer.
        let valid = if matches!(&command, Command::Action(action) if action.is_at_relay()) { VALID_AT_RELAY } else { VALID };
        let exp = clock::now().wall.0.div_euclid(1000) + i64::try_from(valid.as_secs()).unwrap_or(0);
        SignedCommand::payload(&SignedCommand { aud: device.clone(), jti: id.clone(), exp, stream, command }.jws(key))
    }

    fn heard(&mut self, message: &Inbound) -> Result<(), Failure> {
        let mut levels = message.topic.split('/').skip(2);
        let device = levels.next().and_then(|device| DeviceId::new(device).ok());
        let Some((device, open)) = device.and_then(|device| self.open.get_mut(&device).map(|open| (device, open))) else { return Ok(()) };
        let Ok(answer) = serde_json::from_slice::<Response>(&message.payload) else { return Ok(()) };
        // An answer to what cannot be read, and a picture, have no id.
        let is_ours = answer.id.as_ref().is_none_or(|id| *id == open.id);
        if !is_ours || message.correlation_data.as_deref() != Some(open.id.as_str().as_bytes()) {
            return Ok(());
        }
        open.again_at = Instant::now() + UNDER_WAY;
        let is_too_fast = answer.error.as_ref().is_some_and(|why| why.code == Code::RateLimited);
        if open.is_accepted && answer.state == Stage::Rejected {
            if is_too_fast {
                return Ok(());
            }
            self.open.remove(&device);
            self.ends.no_answer += 1;
            return self.fail(&device, "it was accepted, and the machine has forgotten its end: its journal says so");
        }
        // The same word again is no news.
        if answer.state == Stage::Running || answer.state == Stage::Accepted && !open.is_accepted {
            open.until = Instant::now() + self.wait;
        }
        open.is_accepted |= answer.ok.is_none() && answer.piece.is_none();
        if let Some(waits) = &answer.message {
            print::remark(&print::plain(&format!("{}: {waits}", called(&self.called, &device))));
        }
        match open.joined.take(answer) {
            Ok(None) => Ok(()),
            Ok(Some(end)) => {
                if is_too_fast && open.tries < TRIES_MAX {
                    // Others ask, too. Answers are not signed, so the same command goes once more, and not another one: whoever has
                    // the broker and forges this answer does not get a second pulse.
                    let again_at = Instant::now() + TOO_FAST;
                    (open.tries, open.again_at, open.until) = (open.tries + 1, again_at, again_at + ANSWER_WAIT);
                    return Ok(());
                }
                self.open.remove(&device);
                let end = match &self.shows {
                    Shows::Pictures(directory) => screen::keep(directory, &device, end)?,
                    Shows::Ends | Shows::Nothing | Shows::News { .. } => end,
                };
                self.ended(&device, &end)
            }
            Err(torn) => {
                self.open.remove(&device);
                self.ends.no_answer += 1;
                self.fail(&device, &torn.to_string())
            }
        }
    }

    /// The same command again does no harm: it is carried out once.
    async fn send_again(&mut self, broker: &mut Broker) -> Result<(), Failure> {
        let now = Instant::now();
        for open in self.open.values_mut().filter(|open| open.again_at <= now) {
            open.again_at = now + if open.is_accepted { UNDER_WAY } else { SILENT };
            open.joined = Joined::default();
            broker.publish(open.request.clone()).await.map_err(Failure::failed)?;
        }
        Ok(())
    }

    fn give_up(&mut self, now: Instant) -> Result<(), Failure> {
        let silent: Vec<DeviceId> = self.open.iter().filter(|(_, open)| open.until <= now).map(|(device, _)| device.clone()).collect();
        silent.iter().try_for_each(|device| {
            self.open.remove(device);
            self.ends.no_answer += 1;
            let why = no_answer(&self.shows);
            self.fail(device, &why)
        })
    }

    fn fail(&mut self, device: &DeviceId, why: &str) -> Result<(), Failure> {
        if let Shows::Nothing = self.shows {
            self.sold.insert(device.clone(), Err(why.into()));
            return self.progress.past(&[]);
        }
        let told = if self.json {
            json!({ "device": device, "state": null, "result": null, "error": { "message": why } }).to_string()
        } else {
            print::plain(&format!("{}: {why}", called(&self.called, device)))
        };
        self.progress.past(&[told])
    }

    fn ended(&mut self, device: &DeviceId, end: &Response) -> Result<(), Failure> {
        let result = end.result.as_ref().filter(|_| end.error.is_none());
        let is_good = end.ok == Some(true);
        let machine = called(&self.called, device);
        let lines = match (&mut self.shows, result) {
            (Shows::Nothing, result) => {
                let sold = result.map_or_else(|| Err(ended_badly(end)), |result| Sold::read(device, result));
                self.sold.insert(device.clone(), sold);
                Vec::new()
            }
            (Shows::News { last, mark }, Some(result)) => {
                let lines = result.get("lines").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
                let lines: Vec<_> = lines.filter(|line| !line.contains(mark.as_str())).collect();
                let before = last.get(device);
                let known = before.and_then(|last| lines.iter().rposition(|line| line == last));
                let news = &lines[known.map_or(0, |at| at + 1)..];
                if before.is_some() && known.is_none() && !news.is_empty() {
                    print::remark(&format!("{machine}: more lines came than are read at once: some are missing here (--lines reads more)"));
                }
                if let Some(newest) = news.last() {
                    last.insert(device.clone(), (*newest).to_owned());
                }
                match self.json {
                    true => news.iter().map(|line| json!({ "device": device, "line": line }).to_string()).collect(),
                    false => news.iter().map(|line| print::plain(&format!("{machine}: {line}"))).collect(),
                }
            }
            (_, _) if self.json => {
                vec![json!({ "device": device, "state": end.state, "result": end.result, "error": end.error }).to_string()]
            }
            (_, _) => in_words(machine, end),
        };
        self.ends.count(end, is_good);
        self.progress.past(&lines)
    }
}

fn no_answer(shows: &Shows) -> String {
    let what = match shows {
        Shows::Nothing => "it gave no answer in time",
        Shows::Ends | Shows::News { .. } | Shows::Pictures(_) => "no answer in time: nobody knows whether it does it; its journal says so",
    };
    format!(
        "{what}. If it is online, see in the broker's access list whether it may read cmd/+/request and write cmd/response, and whether this \
         user may read cmd/response"
    )
}

fn called<'a>(called: &'a BTreeMap<DeviceId, String>, device: &'a DeviceId) -> &'a str {
    called.get(device).map_or(device.as_str(), String::as_str)
}

fn in_words(machine: &str, end: &Response) -> Vec<String> {
    if end.error.is_some() {
        return vec![print::plain(&format!("{machine}: {}", ended_badly(end)))];
    }
    let result = end.result.as_ref().unwrap_or(&Value::Null);
    // The answer of `config-get` has `lines`, too: those of the relay.
    if let Some(own) = result.get("own").and_then(Value::as_str) {
        let afar = result.get("settings").and_then(Value::as_str).filter(|text| !text.is_empty());
        let whose = if afar.is_some() { "settings from afar" } else { "no settings from afar; its own file says" };
        let first = format!("{machine}: {}; {whose}:", end.state);
        let lines = afar.unwrap_or(own).lines().map(|line| print::plain(&format!("{machine}:   {line}")));
        return [print::plain(&first)].into_iter().chain(lines).collect();
    }
    match result.get("lines").or(result.get("orders")).and_then(Value::as_array) {
        Some(lines) if lines.is_empty() => vec![print::plain(&format!("{machine}: {}; there are none", end.state))],
        Some(lines) => {
            let told = |line: &Value| match VendEvent::deserialize(line) {
                Ok(event) => print::event(machine, &event),
                Err(_) => print::plain(&format!("{machine}: {}", line.as_str().map_or_else(|| line.to_string(), str::to_owned))),
            };
            lines.iter().map(told).collect()
        }
        None if result.get("configuration").is_some() => vec![result.to_string()],
        None if result.get("uptime_s").is_some() => vec![print::plain(&format!("{machine}: {}; {}", end.state, show::computer(result)))],
        None => vec![print::plain(&format!("{machine}: {}{}", end.state, words(result)))],
    }
}

fn ended_badly(end: &Response) -> String {
    match &end.error {
        Some(Problem { code, message }) => format!("{} ({code}): {message}", end.state),
        None => end.state.to_string(),
    }
}

/// The second of a line of the journal, `2026-12-01T06:00:00+0700 …` or `+07:00`, as RFC 3339.
fn second(line: &str) -> Option<Box<str>> {
    let word = line.split(' ').next()?;
    let (time, minutes) = word.split_at_checked(word.len().checked_sub(2)?)?;
    let time = format!("{}:{minutes}", time.trim_end_matches(':'));
    Wall::from_rfc3339(&time).is_ok().then(|| time.into())
}

fn words(result: &Value) -> String {
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pairs = result.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    pairs.map(|(name, value)| format!("; {name} {}", text(on_this_clock(value)))).collect()
}

/// The same, with each time in it as a person at this computer reads it.
fn on_this_clock(value: &Value) -> Value {
    match value {
        Value::String(text) => print::time(text).into(),
        Value::Array(values) => values.iter().map(on_this_clock).collect(),
        Value::Object(values) => values.iter().map(|(name, value)| (name.clone(), on_this_clock(value))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_has_nothing_to_tell_has_a_line_too() {
        for result in [json!({ "lines": [] }), json!({ "orders": [] })] {
            assert_eq!(in_words("vm-001", &Response::done(None, result)), ["vm-001: done; there are none"]);
        }
        assert_eq!(in_words("vm-001", &Response::done(None, json!({ "lines": ["a", "b"] }))), ["vm-001: a", "vm-001: b"]);
        let event =
            json!({ "event_id": "e", "stream": "s", "seq": 1, "request_id": "r-1", "state": "dispensed", "at": "2026-12-01T06:00:00Z" });
        let told = format!("vm-001 {} r-1 dispensed", print::time("2026-12-01T06:00:00Z"));
        assert_eq!(in_words("vm-001", &Response::done(None, json!({ "orders": [event] }))), [told]);
    }

    #[test]
    fn the_settings_of_a_machine_are_shown_and_not_the_lines_of_its_relay() {
        let told = |settings: Value| {
            let lines = json!([{ "name": "tray 1", "items": ["*"] }]);
            let result = json!({ "reported": null, "settings": settings, "own": "[device]\nname = \"Lobi\"\n", "lines": lines });
            in_words("vm-001", &Response::done(None, result))
        };
        let own = ["vm-001: done; no settings from afar; its own file says:", "vm-001:   [device]", "vm-001:   name = \"Lobi\""];
        assert_eq!([told(Value::Null), told("".into())], [own, own]);
        assert_eq!(told("[orders]\n".into()), ["vm-001: done; settings from afar:", "vm-001:   [orders]"]);
    }

    #[test]
    fn each_time_in_a_result_is_that_of_this_computer() {
        let (at, since) = ("2026-12-01T06:00:00Z", "2026-12-01T05:00:00Z");
        let status = json!({ "at": at, "faults": [{ "code": "relay", "since": since }], "name": null, "version": "0.1.0" });
        let faults = json!([{ "code": "relay", "since": print::time(since) }]);
        let told = format!("Lobi (vm-001): done; at {}; faults {faults}; version 0.1.0", print::time(at));
        assert_eq!(in_words("Lobi (vm-001)", &Response::done(None, status)), [told]);
    }

    #[test]
    fn who_gets_no_answer_is_told_whose_rights_may_be_missing() {
        for shows in [Shows::Nothing, Shows::Ends] {
            let told = no_answer(&shows);
            for right in ["it may read cmd/+/request", "write cmd/response", "this user may read cmd/response"] {
                assert!(told.contains(right), "{told}");
            }
        }
    }

    #[test]
    fn a_line_of_the_journal_begins_with_its_second() {
        for line in ["2026-12-01T06:00:00+0700 vm-001 qrisd[7]: x", "2026-12-01T06:00:00+07:00 vm-001 qrisd[7]: x"] {
            assert_eq!(second(line).as_deref(), Some("2026-12-01T06:00:00+07:00"));
        }
        for line in ["", "x", "-- Boot 7 --", "é0 x", "four"] {
            assert_eq!(second(line), None);
        }
    }
}
