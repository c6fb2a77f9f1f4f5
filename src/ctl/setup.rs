//! `setup`: makes this computer a machine that sells. It gathers what must be known, checks each of it by really connecting,
//! and only then writes: before that nothing changes. Run again, it shows what is there and changes what it is told.

mod answers;
mod ask;
mod compose;
mod dialogue;
mod edit;
mod specs;
mod write;

use super::machine::Service;
use super::screen::Card;
use super::site::{DEVICE_USER, QRISD_SERVICE, SERVICES, Site, is_root};
use super::staging::Staging;
use super::{Connection, hardware, look, print, services};
use crate::device::config::Config as DeviceConfig;
use crate::device::screen::SurfaceSettings;
use crate::host::Failure;
use crate::host::config::http_url;
use crate::host::finding::{self, Finding, Level};
use crate::host::terminal;
use crate::order::ids::DeviceId;
use crate::order::outcome::Outcome;
use crate::relay::config::{Chip, Config as RelayConfig, Line};
use crate::wire::dbus::{DEVICE_NAME, DEVICE_PATH};
use answers::Answers;
use compose::{Composed, Keep, Present, compose};
use dialogue::Dialogue;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::timeout;
use write::Change;

/// Makes this computer a machine that sells: asks what is not known, checks all of it by connecting, writes /etc/qrisd, and
/// starts the services.
#[derive(clap::Args, Debug)]
pub(super) struct Setup {
    /// What `qris-backend device add ID --bundle` wrote: the text itself, a file, or - for standard input. It is a secret
    #[arg(long, value_name = "TEXT|FILE|-")]
    from: Option<String>,
    /// The machine's name, the same at the backend and at the broker
    #[arg(long, value_name = "ID", value_parser = DeviceId::new)]
    device: Option<DeviceId>,
    /// What stands on its screen
    #[arg(long, value_name = "TEXT", value_parser = parse_words)]
    name: Option<String>,
    /// What the customer reads
    #[arg(long, value_name = "LANGUAGE", value_parser = ["id", "en", "both"])]
    language: Option<String>,
    /// Whom customers call about money
    #[arg(long, value_name = "TEXT", value_parser = parse_words)]
    contact: Option<String>,
    /// Speak to the broker without TLS, though it is another computer
    #[arg(long)]
    allow_plaintext: bool,
    /// The merchant's backend
    #[arg(long, value_name = "URL", value_parser = parse_http)]
    backend: Option<String>,
    /// The backend's private CA
    #[arg(long, value_name = "FILE")]
    backend_ca_file: Option<PathBuf>,
    /// A file that holds the machine's token at the backend
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The receipt keys: what `qris-backend keys public` wrote
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// What it sells: ID:PRICE[:NAME], or ID:MIN-MAX[:NAME] where the controller reckons the price; again for each
    #[arg(long, value_name = "ITEM", value_parser = specs::item)]
    item: Vec<specs::Item>,
    /// Which line hands it out: ITEM[,ITEM]=CHIP:OFFSET[:low][:500ms], or ITEM=sim:/path; again for each
    #[arg(long, value_name = "LINE", value_parser = specs::line)]
    line: Vec<specs::Line>,
    /// The panel: auto, none, a device, or virtual:/path[:WxH]
    #[arg(long, value_name = "PANEL", value_parser = specs::screen)]
    screen: Option<specs::Screen>,
    /// How it is mounted: 0, 90, 180 or 270
    #[arg(long, value_name = "N", value_parser = parse_degrees)]
    rotate: Option<u32>,
    /// Where secrets go, those that are there already too; where they are, or files, without it
    #[arg(long, value_name = "WHERE")]
    secrets: Option<Keep>,
    /// Put a test card on the panel for so long
    #[arg(long, value_name = "SECONDS")]
    test_card: Option<u64>,
    /// Pulse the line of this name, once: something moves. Again for each
    #[arg(long, value_name = "NAME")]
    pulse: Vec<String>,
    /// List panels and GPIO chips, and end
    #[arg(long)]
    find: bool,
    /// Set up the system below this directory: an image
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Check and show what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Connect to nobody; for images
    #[arg(long)]
    offline: bool,
    /// Neither enable nor start the services
    #[arg(long)]
    no_start: bool,
    /// Give a machine that has a name another one; write though a check fails
    #[arg(long)]
    force: bool,
    /// Ask nothing
    #[arg(long, short)]
    yes: bool,
    /// Ask, though standard input is no terminal
    #[arg(long, conflicts_with = "yes")]
    ask: bool,
}

/// Both configurations, as the services would read them.
struct Checked {
    device: DeviceConfig,
    relay: RelayConfig,
}

impl Setup {
    pub(super) async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        let site = Site::below(&self.root).map_err(|why| Failure::usage(format!("{}: {why}", self.root.display())))?;
        if self.find {
            return hardware::words(&site).iter().try_for_each(|line| print::line(&print::plain(line)));
        }
        if site.runs() && !is_root() && !self.dry_run {
            return Err(Failure::usage("this writes /etc/qrisd and starts services: be root (sudo qrisctl setup), or look with --dry-run"));
        }
        let staging = Staging::new()?;
        let present = Present::read(&site)?;
        let mut answers = self.answers(connection)?;
        let asks = self.ask || (!self.yes && !json && self.from.as_deref() != Some("-") && terminal::is_there());
        let mut dialogue = asks.then(|| Dialogue::new(&site, &present));
        if let Some(dialogue) = &mut dialogue {
            dialogue.gather(&mut answers)?;
        }
        let told = Told { json };
        let (composed, checked) = loop {
            let composed = compose(&site, &staging, &present, &answers, self.secrets, self.force)?;
            let checked = check(&composed)?;
            let mut findings = hardware::findings(&site, &checked.device, &checked.relay, self.offline || !site.runs());
            findings.extend(if self.offline { Vec::new() } else { look_outside(&checked).await });
            for finding in &mut findings {
                finding.said = composed.qrisd.as_written(&finding.said);
            }
            told.findings(&findings)?;
            let Some(bad) = finding::verdict(&findings) else { break (composed, checked) };
            let all_the_same = match &mut dialogue {
                Some(dialogue) => {
                    if dialogue.again(&findings, &mut answers)? {
                        continue;
                    }
                    self.force || dialogue.write_all_the_same()?
                }
                None => self.force,
            };
            if all_the_same {
                break (composed, checked);
            }
            let advice = if self.offline { "" } else { ", or with --force, or --offline" };
            return Err(Failure::failed(format!("{bad}; nothing was changed. Set it up again when that is mended{advice}")));
        };
        told.files(&composed, &site, self.dry_run)?;
        if self.dry_run {
            return told.remark("nothing was changed");
        }
        self.try_hardware(&site, &checked, dialogue.as_mut()).await?;
        if let Some(dialogue) = &mut dialogue
            && !dialogue.write_it()?
        {
            return Err(Failure::failed("nothing was changed"));
        }
        let hands_over_anew = composed.hands_over_anew(&site);
        let kept = write::put(&site, &composed.files).map_err(Failure::failed)?;
        let left = write::remove(&site, &composed.obsolete);
        for remark in left.iter().chain(&composed.remarks) {
            told.remark(remark)?;
        }
        for before in kept {
            told.remark(&format!("what was there before is {}", before.display()))?;
        }
        if !is_root() {
            told.remark(&format!("not root: owners were left as they are; secrets should belong to root and the group {DEVICE_USER}"))?;
        }
        self.start(&site, &told, hands_over_anew)
    }

    /// What the flags say.
    fn answers(&self, connection: Connection) -> Result<Answers, Failure> {
        let mut answers = Answers::of_connection(connection)?;
        answers.device = self.device.clone();
        answers.name = self.name.clone();
        answers.language = self.language.clone();
        answers.contact = self.contact.clone();
        answers.allow_plaintext = self.allow_plaintext;
        answers.backend_url = self.backend.clone();
        answers.backend_ca = self.backend_ca_file.as_deref().map(answers::file).transpose()?;
        answers.token = self.token_file.as_deref().map(answers::secret).transpose()?;
        answers.keys = self.keys.as_deref().map(answers::keys).transpose()?;
        answers.items = self.item.clone();
        answers.lines = self.line.clone();
        answers.screen = self.screen.clone();
        answers.rotate = self.rotate;
        if let Some(from) = &self.from {
            answers.enrol(&answers::enrolment(from)?).map_err(Failure::usage)?;
        }
        Ok(answers)
    }

    /// The test card and the pulses that were asked for. In a conversation what goes wrong is told, and it goes on.
    async fn try_hardware(&self, site: &Site, checked: &Checked, mut dialogue: Option<&mut Dialogue<'_>>) -> Result<(), Failure> {
        let asked = match (&mut dialogue, self.test_card) {
            (_, Some(_)) => true,
            (Some(dialogue), None) if checked.device.machine.screen_required => dialogue.show_card()?,
            (Some(_) | None, None) => false,
        };
        if asked {
            let shown = self.card(site, checked, dialogue.as_deref_mut()).await;
            forgiven(shown, dialogue.is_some())?;
        }
        let lines = &checked.relay.lines;
        let named = self.pulse.iter().map(|name| {
            lines.iter().find(|line| line.name == *name).ok_or_else(|| {
                let names: Vec<_> = lines.iter().map(|line| line.name.as_str()).collect();
                Failure::usage(format!("there is no line {name:?}: {}", names.join(", ")))
            })
        });
        // All of them are known before the first one moves something.
        for line in named.collect::<Result<Vec<_>, _>>()? {
            pulse(site, line)?;
        }
        if let (Some(dialogue), true) = (dialogue, self.pulse.is_empty()) {
            for line in &checked.relay.lines {
                while dialogue.pulse(&line.name)? {
                    forgiven(pulse(site, line), true)?;
                }
            }
        }
        Ok(())
    }

    async fn card(&self, site: &Site, checked: &Checked, dialogue: Option<&mut Dialogue<'_>>) -> Result<(), Failure> {
        let device = &checked.device;
        let surface = &device.screen.surface;
        if !site.runs() && !matches!(surface, SurfaceSettings::Virtual { .. }) {
            return Err(Failure::usage("the panel of an image is not here: no test card with --root"));
        }
        // Without a bus there is nobody to ask, and nobody who answers to it.
        if let (true, Some(bus)) = (site.runs(), &device.controller)
            && let Ok(service) = Service::connect_at(bus, DEVICE_NAME, DEVICE_PATH).await
            && service.is_there().await
        {
            return Err(Failure::failed("qrisd runs and has the panel: systemctl stop qrisd, then set up again, for a test card"));
        }
        let card = Card::show(device.screen.clone()).await?;
        match (dialogue, self.test_card) {
            (Some(dialogue), None) => dialogue.seen_card()?,
            (_, seconds) => drop(timeout(Duration::from_secs(seconds.unwrap_or(0)), tokio::signal::ctrl_c()).await),
        }
        drop(card);
        if let SurfaceSettings::Virtual { path, .. } = surface {
            hardware::give_to_its_directorys_owner(path);
        }
        Ok(())
    }

    /// Enables and starts the services, or says what to do.
    fn start(&self, site: &Site, told: &Told, hands_over_anew: bool) -> Result<(), Failure> {
        let names = SERVICES.join(" ");
        if self.no_start {
            return told.remark(&format!("set up. To begin selling: systemctl enable --now {names}"));
        }
        if !site.runs() {
            let root = format!("--root={}", site.root().display());
            let enabled = services::systemctl(&[&[root.as_str(), "enable"][..], &SERVICES[..]].concat());
            return match enabled {
                Ok(_) => told.remark("set up, and the services enabled: that system sells when it boots"),
                Err(why) => told.remark(&format!("set up; enable {names} in that system yourself ({why})")),
            };
        }
        if !services::are_there(site) {
            return told.remark("set up. There is no systemd here: start qris-relayd, then qrisd, as their users");
        }
        let run = |arguments: &[&str]| services::systemctl(arguments).map(drop).map_err(Failure::failed);
        if hands_over_anew {
            run(&["daemon-reload"])?;
        }
        run(&[&["enable"][..], &SERVICES[..]].concat())?;
        for name in SERVICES {
            // One that failed too often has a rest otherwise. That it did not fail is no failure.
            drop(services::systemctl(&["reset-failed", name]));
            // Credentials are handed over at the start: a reload would not bring new ones. The relay service has none.
            let verb = if hands_over_anew && name == QRISD_SERVICE { "restart" } else { "reload-or-restart" };
            run(&[verb, name]).map_err(|failure| {
                let why = failure.told("").join(" ");
                Failure::failed(format!("{}; what it said: journalctl -x -n 20 -u {name}", why.trim_start_matches([':', ' '])))
            })?;
        }
        told.remark("set up, and the services run. Is all well? qrisctl doctor")
    }
}

fn pulse(site: &Site, line: &Line) -> Result<(), Failure> {
    if !site.runs() && matches!(line.pin.chip, Chip::Gpio { .. }) {
        return Err(Failure::usage("the lines of an image are not here: no pulse with --root"));
    }
    let ended = hardware::pulse(line)
        .map_err(|why| Failure::failed(format!("{}: {why}. Whoever holds it must let go: systemctl stop qrisd qris-relayd", line.name)))?;
    match ended.outcome {
        Outcome::Dispensed => print::line(&format!("line {:?}: {}", line.name, ended.detail)),
        Outcome::Failed | Outcome::Uncertain => Err(Failure::failed(format!("line {:?}: {}", line.name, ended.detail))),
    }
}

/// What went wrong is told and no more, where somebody sits there who can decide.
fn forgiven(result: Result<(), Failure>, told: bool) -> Result<(), Failure> {
    match result {
        Err(failure) if told => failure.told("qrisctl").iter().try_for_each(|line| print::line(&print::plain(line))),
        result => result,
    }
}

/// What the services would say of the files: by their own checks.
fn check(composed: &Composed) -> Result<Checked, Failure> {
    let Composed { qrisd, relay, .. } = composed;
    let both = (DeviceConfig::from_source(qrisd), RelayConfig::from_source(relay));
    let (device, relays) = match both {
        (Ok(device), Ok(relays)) => (device, relays),
        (Err(faults), Ok(_)) | (Ok(_), Err(faults)) => return Err(faults.into()),
        (Err(faults), Err(others)) => return Err(faults.and(others).into()),
    };
    device.check_against(qrisd.path(), relay)?;
    relays.check_against(relay.path(), qrisd)?;
    Ok(Checked { device, relay: relays })
}

/// Broker, backend, keys and clock, by really connecting.
async fn look_outside(checked: &Checked) -> Vec<Finding> {
    let device = &checked.device;
    let (broker, asked) = tokio::join!(look::broker(&device.mqtt, &device.machine.device), look::backend(&device.backend));
    let keys = look::keys(&device.machine.keys.receipt_kids(), &asked);
    let mut findings = vec![broker];
    findings.extend(asked.findings);
    if asked.open.is_some() {
        findings.push(keys);
    }
    findings
}

/// How it is told.
struct Told {
    json: bool,
}

impl Told {
    fn findings(&self, findings: &[Finding]) -> Result<(), Failure> {
        findings.iter().try_for_each(|finding| match self.json {
            true => print::line(&finding.json()),
            false => finding.words().iter().try_for_each(|line| print::line(line)),
        })
    }

    fn files(&self, composed: &Composed, site: &Site, with_difference: bool) -> Result<(), Failure> {
        for file in &composed.files {
            let change = file.change(site);
            if self.json {
                let change = match change {
                    Change::New => "new",
                    Change::Changed => "changed",
                    Change::Same => "same",
                };
                print::line(&serde_json::json!({ "file": file.path(), "change": change }).to_string())?;
                continue;
            }
            print::line(&file.words(site))?;
            if with_difference && change != Change::Same {
                file.difference(site).iter().try_for_each(|line| print::line(&format!("          {}", print::plain(line))))?;
            }
        }
        for path in &composed.obsolete {
            match self.json {
                true => print::line(&serde_json::json!({ "file": path, "change": "removed" }).to_string())?,
                false => print::line(&format!("{:<25}  {}", "removed", print::plain(&path.display().to_string())))?,
            }
        }
        Ok(())
    }

    fn remark(&self, text: &str) -> Result<(), Failure> {
        if self.json { print::line(&serde_json::json!({ "said": text }).to_string()) } else { print::line(&print::plain(text)) }
    }
}

/// Whether any of these checks is bad.
fn is_bad(findings: &[Finding], checks: &[&str]) -> bool {
    findings.iter().any(|finding| finding.level == Level::Bad && checks.contains(&finding.check))
}

fn parse_words(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err("must not be empty"),
        text if text.chars().any(char::is_control) => Err("must be printable text"),
        text => Ok(text.into()),
    }
}

fn parse_http(text: &str) -> Result<String, String> {
    http_url(text).map_err(|why| why.to_string())
}

fn parse_degrees(text: &str) -> Result<u32, &'static str> {
    text.parse().ok().filter(|degrees| [0, 90, 180, 270].contains(degrees)).ok_or("must be 0, 90, 180 or 270")
}
