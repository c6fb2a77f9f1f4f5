//! Another text for machines: what it would change is shown machine by machine before anything is sent, and nothing wrong is sent.

use super::diff::Differences;
use super::lacking::{Lacking, What};
use super::reported::{placed, print_report, read};
use super::retained::LastWords;
use super::run::{self, NOT_CONNECTED};
use super::sold::{ChangePlan, Sold};
use super::which::Which;
use crate::broker::{Broker, Connection, News};
use crate::print;
use qris_core::order::ids::{DeviceId, ItemId, KeyId};
use qris_core::order::keys::SigningKey;
use qris_core::order::money::Rupiah;
use qris_core::order::time::Wall;
use qris_core::wire::command;
use qris_core::wire::settings::{Desired, Reported, SETTINGS_MAX, WrongValue, next_version};
use qris_core::wire::topics::Topic;
use qris_host::mqtt::{Outbound, Retained};
use qris_host::setup::ask::Asker;
use qris_host::setup::edit::tables_of;
use qris_host::{Failure, clock, terminal};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A machine that is online has judged its settings by then.
const ANSWER_WAIT: Duration = Duration::from_secs(15);

const DAY_S: i64 = 24 * 60 * 60;

const NOTHING: &str = "nothing was sent to any machine";

/// A refusal without a version may be that of a stranger's settings. A machine has judged these ones, too, by then.
const DOUBT: Duration = Duration::from_secs(3);

/// To whom a text is sent, and how.
#[derive(clap::Args, Debug)]
pub(crate) struct Sending {
    #[command(flatten)]
    pub(super) who: Which,
    /// In force from then on, as 2026-12-01T06:00:00+07:00; the default is at once
    #[arg(long, value_name = "TIME")]
    pub(super) at: Option<String>,
    /// Leave out what a machine of an earlier release does not know
    #[arg(long)]
    pub(super) skip_unknown: bool,
    /// A machine that hears of it only after so many days does not take it any more
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=3650))]
    expires_in: u16,
    /// Do not ask: items may go. Machines that could not be compared get the text of `config set`, too; `price` leaves them out
    #[arg(long)]
    yes: bool,
    /// Your key; the default is ~/.config/qrisctl/operator.jwk
    #[arg(long, value_name = "FILE")]
    pub(super) operator_key: Option<PathBuf>,
}

impl Sending {
    /// What can be seen before anything is asked.
    pub(super) fn check(&self) -> Result<(), Failure> {
        self.who.must_be_named()?;
        match self.at.as_deref().map(Wall::from_rfc3339) {
            Some(Err(error)) => Err(Failure::usage(format!("--at: {error}: write it as 2026-12-01T06:00:00+07:00"))),
            Some(Ok(_)) | None => Ok(()),
        }
    }
}

pub(super) enum SettingsChange {
    Text(String),
    /// Another price of one item, and nothing else.
    Price(ItemId, Rupiah),
}

impl SettingsChange {
    fn at(&self, sold: &Sold) -> ChangePlan {
        match self {
            Self::Text(text) => ChangePlan::Send(text.clone()),
            Self::Price(item, price) => sold.priced(item, *price),
        }
    }

    /// The text for a machine that said nothing. What is made of answers is for no other machine.
    fn blindly(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Price(..) => None,
        }
    }
}

struct Text {
    /// The version that it is made from.
    from: u64,
    text: String,
    /// The machine's word, if the text is made of that.
    made_of: Option<Box<str>>,
}

/// The answers of machines to what was sent.
#[derive(Default)]
struct Followed {
    taken: Vec<DeviceId>,
    /// Who said nothing of the text of this version.
    silent: Vec<(DeviceId, u64)>,
}

struct Sent {
    version: u64,
    /// What people call it, with its id.
    machine: String,
    payload: Vec<u8>,
}

/// What is to be sent, as far as it was found out. It counts machines.
#[derive(Default)]
struct Plan {
    all: usize,
    texts: BTreeMap<DeviceId, Text>,
    different: usize,
    /// Where items are no longer sold, or a text that waits is replaced.
    takes_away: usize,
    /// Where goods and prices that were set from afar go back to those of the machine's own file: the text names no items.
    falls_back: usize,
    unsold: usize,
    wrong: usize,
    /// Who needs nothing: it has this price, or does not sell the item.
    needless: Vec<DeviceId>,
    /// Who could not be compared.
    blind: usize,
    /// Whose lines nobody knows, and whose items change.
    unchecked: usize,
}

pub(super) async fn compare(
    wanted: &SettingsChange,
    who: &Which,
    skip_unknown: bool,
    key: &Rc<SigningKey>,
    connection: Connection,
    json: bool,
) -> Result<(), Failure> {
    let plan = Plan::show(wanted, &ask(who, key, connection).await?, skip_unknown, json)?;
    match plan.different + plan.wrong + plan.blind {
        0 => Ok(()),
        other => Err(Failure::failed(format!("{other} of {} machines have other settings, or did not say", plan.all))),
    }
}

/// The one text of all machines that are meant and that answer. Those that do not are named, and left out.
pub(super) async fn text_of_all(who: &Which, key: &Rc<SigningKey>, connection: Connection) -> Result<String, Failure> {
    let all = ask(who, key, connection).await?;
    let (mut first, mut silent): (Option<(String, String)>, Option<String>) = (None, None);
    for (device, (reported, sold)) in &all {
        let machine = called(device, reported);
        let text = match sold {
            Ok(sold) => sold.text(),
            Err(why) => {
                let why = format!("{machine}: {why}");
                print::remark(&format!("{why}: it is left out"));
                silent.get_or_insert(why);
                continue;
            }
        };
        match &first {
            Some((other, has)) if *has != text => {
                return Err(Failure::failed(format!("{other} and {machine} have different settings: name machines that have the same")));
            }
            Some(_) => {}
            None => first = Some((machine, text)),
        }
    }
    first.map(|(_, text)| text).ok_or_else(|| Failure::failed(silent.unwrap_or_else(|| "no machine is meant".into())))
}

/// Shows what is different, asks where it should, and sends.
pub(super) async fn send(
    wanted: SettingsChange,
    sending: &Sending,
    key: &Rc<SigningKey>,
    connection: Connection,
    json: bool,
) -> Result<(), Failure> {
    let all = ask(&sending.who, key, connection.clone()).await?;
    let plan = Plan::show(&wanted, &all, sending.skip_unknown, json)?;
    if plan.wrong > 0 {
        return Err(Failure::failed(format!("{} of {} machines would not take it: {NOTHING}", plan.wrong, plan.all)));
    }
    let mut lacking = Lacking::read(&connection)?;
    if plan.unsold > 0 && plan.unsold == plan.all {
        plan.kept(&wanted, sending, &all, &Followed::default(), &mut lacking);
        return Err(Failure::failed(format!("no machine sells it: {NOTHING}")));
    }
    // Nothing is sent before it is clear that it can be sent to all.
    let exp = clock::now().wall.0.div_euclid(1000) + i64::from(sending.expires_in) * DAY_S;
    let mut signed = BTreeMap::new();
    for (device, Text { from, text, made_of }) in &plan.texts {
        let (from, made_of) = (*from, made_of.clone());
        let version = next_version(from).ok_or_else(|| unreachable(device, from))?;
        let (effective_at, settings) = (sending.at.clone().map(Into::into), text.as_str().into());
        let desired =
            Desired { aud: device.clone(), version, from, exp, effective_at, skip_unknown: sending.skip_unknown, made_of, settings };
        signed.insert(device.clone(), Sent { version, machine: called(device, &all[device].0), payload: payload(&desired, key)? });
    }
    plan.agreed(sending.yes, json)?;
    // A person may have thought for long.
    let mut broker = Broker::connect(connection, sending.who.filters(Topic::ConfigReported), Retained::Always).await?;
    broker.drain().await.map_err(Failure::failed)?;
    for (device, Sent { payload, .. }) in &signed {
        let message = Outbound { topic: Topic::ConfigDesired.of(device), payload: payload.clone(), retain: true, ..Outbound::default() };
        broker.publish(message).await.map_err(Failure::failed)?;
    }
    let meant = signed.len() + if wanted.blindly().is_some() { 0 } else { plan.blind };
    let followed = follow(&mut broker, signed, key.kid(), json).await;
    broker.leave().await;
    let followed = followed?;
    plan.kept(&wanted, sending, &all, &followed, &mut lacking);
    match followed.taken.len() {
        done if done == meant => Ok(()),
        done => Err(Failure::failed(format!("{} of {meant} machines did not take the settings", meant - done))),
    }
}

/// The machines that are meant, with their last word to the broker, and their word now.
type All = BTreeMap<DeviceId, (Reported, Result<Sold, String>)>;

async fn ask(who: &Which, key: &Rc<SigningKey>, connection: Connection) -> Result<All, Failure> {
    let (mut broker, told) = LastWords::hear(connection, who, vec![command::RESPONSES.into()]).await?;
    let meant = told.settable(who)?;
    let machines = meant.iter().map(|(device, (_, status))| (device.clone(), status.clone()));
    let mut sold = run::sold(&mut broker, machines, key).await?;
    broker.leave().await;
    let both = |(device, (reported, _))| sold.remove(&device).map(|sold| (device, (reported, sold)));
    Ok(meant.into_iter().filter_map(both).collect())
}

/// The version that another text is made from.
fn newest(reported: &Reported) -> u64 {
    reported.waiting.as_ref().map_or(reported.version, |waiting| waiting.version)
}

fn called(device: &DeviceId, reported: &Reported) -> String {
    print::machine(reported.name.as_deref(), device)
}

/// Tells something of a machine: an object for scripts, lines for people.
fn tell(device: &DeviceId, reported: &Reported, mut object: Value, lines: &[String], json: bool) -> Result<(), Failure> {
    if json {
        object["device"] = json!(device);
        return print::line(&object.to_string());
    }
    let machine = called(device, reported);
    lines.iter().try_for_each(|line| print::line(&print::plain(&format!("{machine}: {line}"))))
}

impl Plan {
    fn show(wanted: &SettingsChange, all: &All, skip_unknown: bool, json: bool) -> Result<Self, Failure> {
        let mut plan = Self { all: all.len(), ..Self::default() };
        for (device, (_, sold)) in all {
            if let Ok(sold) = sold {
                plan.compare(wanted, device, sold, skip_unknown, json)?;
            }
        }
        for (device, (reported, sold)) in all {
            let Err(why) = sold else { continue };
            if plan.blind == 0 && !json {
                print::line("not compared, so nobody here knows what they sell and what would go:")?;
            }
            plan.blind += 1;
            tell(device, reported, json!({ "not_compared": why }), std::slice::from_ref(why), json)?;
            if let Some(text) = wanted.blindly() {
                plan.texts.insert(device.clone(), Text { from: newest(reported), text: text.into(), made_of: None });
            }
        }
        Ok(plan)
    }

    fn compare(&mut self, wanted: &SettingsChange, device: &DeviceId, sold: &Sold, skip_unknown: bool, json: bool) -> Result<(), Failure> {
        let compared = match wanted.at(sold) {
            ChangePlan::Send(text) => sold.with(&text, skip_unknown).map(|differences| (text, differences)),
            ChangePlan::Wrong(why) => Err(vec![WrongValue { path: "".into(), line: None, why: why.into() }]),
            ChangePlan::Same(why) => {
                self.needless.push(device.clone());
                return tell(device, &sold.reported, json!({ "same": why }), &[why], json);
            }
            ChangePlan::Unsold(why) => {
                self.needless.push(device.clone());
                self.unsold += 1;
                return tell(device, &sold.reported, json!({ "unsold": why }), &[why], json);
            }
        };
        match compared {
            Ok((text, Differences { values, gone })) => {
                let waiting = sold.reported.waiting.as_ref().map(|waiting| waiting.version);
                let mut lines = values.clone();
                lines.extend(gone.iter().map(|item| format!("no longer sold: {item}")));
                self.different += usize::from(!lines.is_empty());
                lines.extend(waiting.map(|version| format!("version {version} waits, and is replaced")));
                self.takes_away += usize::from(!gone.is_empty() || waiting.is_some());
                let falls_back = tables_of(&text, "item").is_empty() && values.iter().any(|value| value.starts_with("item["));
                self.falls_back += usize::from(falls_back);
                if lines.is_empty() {
                    lines.push("the same".into());
                }
                if !sold.knows_lines {
                    self.unchecked += usize::from(values.iter().any(|value| value.starts_with("item[")));
                    lines.push("its relay service is away: which prices its lines take is not known".into());
                }
                let made_of = wanted.blindly().is_none().then(|| sold.seen());
                self.texts.insert(device.clone(), Text { from: newest(&sold.reported), text, made_of });
                tell(device, &sold.reported, json!({ "differences": values, "no_longer_sold": gone, "replaces": waiting }), &lines, json)
            }
            Err(faults) => {
                self.wrong += 1;
                let lines: Vec<_> = faults.iter().map(|fault| format!("wrong: {}", placed(fault))).collect();
                tell(device, &sold.reported, json!({ "wrong": faults }), &lines, json)
            }
        }
    }

    /// Keeps what passed over machines, until they have it, and forgets what they have.
    fn kept(&self, wanted: &SettingsChange, sending: &Sending, all: &All, done: &Followed, lacking: &mut Lacking) {
        match wanted {
            SettingsChange::Text(_) => {
                done.taken.iter().chain(done.silent.iter().map(|(device, _)| device)).for_each(|device| lacking.has_text(device))
            }
            SettingsChange::Price(item, price) => {
                let sent = done.taken.iter().chain(done.silent.iter().map(|(device, _)| device));
                sent.chain(&self.needless).for_each(|device| lacking.has_price(device, item));
                for (device, (reported, sold)) in all {
                    let Err(why) = sold else { continue };
                    lacking.lacks(device, What::Price { item: item.clone(), price: *price, at: sending.at.clone() });
                    print::remark(&print::plain(&lacks_price(&called(device, reported), why)));
                }
            }
        }
        done.silent.iter().for_each(|(device, version)| lacking.lacks(device, What::Version(*version)));
        // What was sent is sent, and is told first.
        lacking.write().unwrap_or_else(|why| print::remark(&why.reason()));
    }

    /// A person agrees to what takes something away, and to what nobody could look at.
    fn agreed(&self, yes: bool, json: bool) -> Result<(), Failure> {
        if yes {
            return Ok(());
        }
        let Self { all, blind, takes_away, falls_back, unchecked, .. } = self;
        if *blind > 0 {
            let why = format!("{blind} of {all} machines were not compared: {NOTHING}. --yes goes on all the same; --device names others");
            return Err(Failure::failed(why));
        }
        let mut what = Vec::new();
        if *takes_away > 0 {
            what.push(format!("On {takes_away} of {all} machines something goes that is sold now, or that waits."));
        }
        if *falls_back > 0 {
            what.push(format!(
                "On {falls_back} of {all} machines goods and prices that were set from afar go back to those of the machine's own file: this text \
                 names no items. `config get --text` has a text that does."
            ));
        }
        if *unchecked > 0 {
            what.push(format!("On {unchecked} of {all} machines nobody knows whether the lines take these prices."));
        }
        if what.is_empty() {
            return Ok(());
        }
        let what = what.join(" ");
        if json || !terminal::is_there() {
            return Err(Failure::failed(format!("{what} --yes sends it all the same: {NOTHING}")));
        }
        match Asker::new(std::io::stdin().lock()).yes(&format!("{what} Send it?"), false)? {
            true => Ok(()),
            false => Err(Failure::failed(NOTHING)),
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

fn payload(desired: &Desired, key: &SigningKey) -> Result<Vec<u8>, Failure> {
    let payload = desired.signed(key);
    if payload.len() > SETTINGS_MAX {
        return Err(Failure::usage(format!(
            "the settings are too large: {} bytes with their signature, at most {SETTINGS_MAX}",
            payload.len()
        )));
    }
    Ok(payload)
}

#[derive(Debug, PartialEq, Eq)]
enum Judged {
    /// They are in force, or wait.
    Taken,
    Refused,
    /// Another text came first, with the same version and the key of somebody else: these are refused, or will be.
    Overtaken(KeyId),
    /// Something is refused that has no version: these, or a stranger's.
    Doubtful,
    Silent,
}

/// Judges a report of the machine to which settings of this version went, signed with the key `kid`.
fn judge(reported: &Reported, version: u64, kid: &KeyId) -> Judged {
    let waiting = reported.waiting.as_ref().filter(|waiting| waiting.version == version).map(|waiting| &waiting.kid);
    let in_force = reported.version == version;
    let by = if in_force { reported.kid.as_ref() } else { waiting };
    match (by, reported.refused.as_ref().map(|refused| refused.version)) {
        // Of two people at once, one is refused: a version of this number may be the other's.
        (Some(by), _) if by != kid => Judged::Overtaken(by.clone()),
        (_, Some(Some(refused))) if refused == version => Judged::Refused,
        _ if in_force || waiting.is_some() => Judged::Taken,
        (_, Some(None)) => Judged::Doubtful,
        (_, Some(Some(_)) | None) => Judged::Silent,
    }
}

/// Answers with which machines took them, and which said nothing.
async fn follow(broker: &mut Broker, mut open: BTreeMap<DeviceId, Sent>, kid: &KeyId, json: bool) -> Result<Followed, Failure> {
    let deadline = Instant::now() + ANSWER_WAIT;
    let (mut done, mut doubtful) = (Followed::default(), BTreeMap::<DeviceId, (Instant, Reported)>::new());
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
        let Some(Sent { version, machine, .. }) = open.get(&device) else { continue };
        match judge(&reported, *version, kid) {
            Judged::Taken => done.taken.push(device.clone()),
            Judged::Refused => {}
            Judged::Overtaken(by) => {
                print::remark(&format!("{machine} took another version {version} first, of the key {by}: yours is refused"));
            }
            Judged::Doubtful => {
                let until = doubtful.get(&device).map_or((Instant::now() + DOUBT).min(deadline), |(until, _)| *until);
                doubtful.insert(device, (until, reported));
                continue;
            }
            Judged::Silent => continue,
        }
        print_report(&device, &reported, json)?;
        (_, _) = (open.remove(&device), doubtful.remove(&device));
    }
    for (device, Sent { machine, version, .. }) in &open {
        done.silent.push((device.clone(), *version));
        print::remark(&said_nothing(machine, device));
    }
    Ok(done)
}

/// A machine that is there and does not believe the key is not off.
fn lacks_price(machine: &str, why: &str) -> String {
    if why == NOT_CONNECTED {
        return format!("{machine} lacks this price. When it is back: qrisctl fleet price --due");
    }
    format!("{machine} lacks this price: {why}. Once that is mended: qrisctl fleet price --due")
}

fn said_nothing(machine: &str, device: &DeviceId) -> String {
    format!(
        "{machine} said nothing in {} s. The settings stay at the broker, and it judges them when it is back: see `qrisctl fleet config get \
         --device {device}`. If it is online, see in the broker's access list whether it may read config/desired and write config/reported, \
         and whether this user may read config/reported",
        ANSWER_WAIT.as_secs()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use qris_core::wire::settings::{Objection, RefusedSettings, Waiting};

    #[test]
    fn of_a_machine_that_said_nothing_the_rights_of_both_are_named() {
        let told = said_nothing("Lobi (vm-001)", &DeviceId::new("vm-001").expect("an id"));
        for right in ["it may read config/desired", "write config/reported", "this user may read config/reported"] {
            assert!(told.contains(right), "{told}");
        }
    }

    #[test]
    fn a_machine_that_does_not_believe_the_key_is_not_told_as_off() {
        assert_eq!(lacks_price("vm-001", NOT_CONNECTED), "vm-001 lacks this price. When it is back: qrisctl fleet price --due");
        let why = "rejected (unknown_key): no operator's key here has the name desk";
        let told = lacks_price("vm-001", why);
        assert_eq!(told, format!("vm-001 lacks this price: {why}. Once that is mended: qrisctl fleet price --due"));
    }

    #[test]
    fn a_report_says_what_became_of_settings_and_whose_they_are() {
        let (mine, other) = (KeyId::new("mine").expect("an id"), KeyId::new("other").expect("an id"));
        let report = |version: u64, by: Option<&KeyId>, waits: Option<(u64, &KeyId)>, refused: Option<Option<u64>>| Reported {
            version,
            kid: by.cloned(),
            waiting: waits.map(|(version, kid)| Waiting { version, kid: kid.clone(), effective_at: None }),
            refused: refused.map(|version| RefusedSettings { version, code: Objection::Conflict, message: "".into(), faults: Vec::new() }),
            ..Reported::default()
        };
        // Version 3 went out, signed with `mine`.
        for (what, report, wanted) in [
            ("before it", report(2, Some(&mine), None, None), Judged::Silent),
            ("before it, of somebody else", report(2, Some(&other), None, None), Judged::Silent),
            ("an older one waits", report(1, None, Some((2, &other)), None), Judged::Silent),
            ("an older one was refused", report(2, Some(&mine), None, Some(Some(2))), Judged::Silent),
            ("in force", report(3, Some(&mine), None, None), Judged::Taken),
            ("it waits", report(2, Some(&other), Some((3, &mine)), None), Judged::Taken),
            ("in force, and another one was refused", report(3, Some(&mine), None, Some(Some(4))), Judged::Taken),
            ("in force, and something of a stranger was refused", report(3, Some(&mine), None, Some(None)), Judged::Taken),
            ("refused", report(2, Some(&mine), None, Some(Some(3))), Judged::Refused),
            ("another one of the same number is in force", report(3, Some(&other), None, None), Judged::Overtaken(other.clone())),
            ("another one waits", report(2, Some(&mine), Some((3, &other)), None), Judged::Overtaken(other.clone())),
            ("another one came first, and it is told", report(3, Some(&other), None, Some(Some(3))), Judged::Overtaken(other.clone())),
            ("two with one key: one of them was refused", report(3, Some(&mine), None, Some(Some(3))), Judged::Refused),
            ("something without a number was refused", report(2, Some(&mine), None, Some(None)), Judged::Doubtful),
        ] {
            assert_eq!(judge(&report, 3, &mine), wanted, "{what}");
        }
    }
}
