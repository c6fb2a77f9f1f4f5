//! `setup`: makes this computer a machine that sells. It gathers the values that it needs, checks each of them by really
//! connecting, and only then writes. Nothing changes before that. Run again, it shows the present values and changes those
//! that it is told.

mod answers;
pub(super) mod card;
mod compose;
mod dialogue;
mod goods;
mod invited;
mod operators;
mod output;
mod part;
mod present;
mod settle;
mod specs;
mod text;
mod trial;

use super::broker::Connection;
use super::site::{DEVICE_USER, ETC, QRISD_SERVICE, SERVICES, Site, is_root};
use super::staging::Staging;
use super::{chips, hardware, print, relay};
use answers::{Answers, of_flag};
use compose::{Composed, Keep};
use dialogue::Dialogue;
use goods::{add_item, add_line, unserved};
use output::Output;
use part::Part;
use present::Present;
use qris_core::order::ids::DeviceId;
use qris_core::order::proof::RelayKey;
use qris_host::config::BusAddress;
use qris_host::setup::conversation::Conversation;
use qris_host::setup::{ask, services, write};
use qris_host::{Failure, interrupt};
use settle::{Checked, Settling};
use specs::{parse_degrees, parse_letters};
use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use text::{fill, texts};
use trial::{Next, Trial};

/// A relay service that was told to begin anew answers within this time.
const RELAY_COMES_WITHIN: Duration = Duration::from_secs(5);

/// Makes this computer a machine that sells: asks what is not known, checks all of it by connecting, writes /etc/qrisd, and
/// starts the services.
#[derive(clap::Args, Debug)]
#[command(after_help = "Without flags it asks for all of it. Exit status: 0 done, 1 a check is bad or you chose not to go on, 2 wrong \
    use or configuration, 128 + signal where a signal (Ctrl-C) ended it: then nothing was changed.")]
pub(super) struct Setup {
    /// What `qris-backend device add ID --bundle` wrote: the text itself, a file, or - for standard input. It is a secret
    #[arg(long, value_name = "TEXT|FILE|-")]
    from: Option<String>,
    /// What `qris-backend device invite ID` wrote: it is good once, and brings all that --from brings. The invitation or the code
    /// itself, a file, or - for standard input
    #[arg(long, value_name = "CODE|FILE|-", conflicts_with_all = ["from", "dry_run", "offline"])]
    code: Option<String>,
    /// An operator's key that comes with --code or --from, and that this machine shall believe: view, manage or service, and the name
    /// that `qrisctl keys new` gave it; once for each. Keys that nobody names are left out
    #[arg(long, value_name = "LEVEL:KEY", value_parser = operators::expected)]
    operator: Vec<operators::Expected>,
    /// The machine's name, the same at the backend and at the broker
    #[arg(long, value_name = "ID", value_parser = DeviceId::new)]
    device: Option<DeviceId>,
    /// The name that customers see on its screen and on their phones
    #[arg(long, value_name = "TEXT", value_parser = parse_letters)]
    name: Option<String>,
    /// The customer's language
    #[arg(long, value_name = "LANGUAGE", value_parser = ["id", "en", "both"])]
    language: Option<String>,
    /// The number that customers call about money
    #[arg(long, value_name = "TEXT", value_parser = parse_letters)]
    contact: Option<String>,
    /// Use no TLS for the broker, although it is another computer
    #[arg(long)]
    allow_plaintext: bool,
    /// The merchant's backend
    #[arg(long, value_name = "URL", value_parser = ask::http)]
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
    /// What it sells: ID:PRICE[:NAME], or ID:MIN-MAX[:NAME] if the controller reckons the price; once for each item
    #[arg(long, value_name = "ITEM", value_parser = specs::item)]
    item: Vec<specs::Item>,
    /// What it sells, with capacity and all else: the [[item]] tables of this file. It may be the qrisd.toml of another machine
    #[arg(long, value_name = "FILE", conflicts_with = "item")]
    items: Option<PathBuf>,
    /// Which line hands it out: ITEM[,ITEM]=CHIP:OFFSET[:low][:500ms], or ITEM=sim:/path; once for each line. With
    /// :button=OFFSET a button to ground, at another pin of that chip, asks for the item
    #[arg(long, value_name = "LINE", value_parser = specs::line)]
    line: Vec<specs::LineSpec>,
    /// The panel: auto, none, a device, or virtual:/path[:WxH]
    #[arg(long, value_name = "PANEL", value_parser = specs::screen)]
    screen: Option<specs::Screen>,
    /// How it is mounted: 0, 90, 180 or 270
    #[arg(long, value_name = "N", value_parser = parse_degrees)]
    rotate: Option<u32>,
    /// Where all secrets go, those that are there already, too; by default they stay where they are, and new ones go to files
    #[arg(long, value_name = "WHERE")]
    secrets: Option<Keep>,
    /// Put a test card on the panel for so long
    #[arg(long, value_name = "SECONDS")]
    test_card: Option<u64>,
    /// Pulse the line of this name, once: something moves. May be given for several lines
    #[arg(long, value_name = "NAME")]
    pulse: Vec<String>,
    /// List panels and GPIO chips, and end
    #[arg(long)]
    find: bool,
    /// Set up the system below this directory, an image
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Check, and show what would be written, but write nothing
    #[arg(long)]
    dry_run: bool,
    /// Connect to nobody; for images
    #[arg(long)]
    offline: bool,
    /// Neither enable nor start the services
    #[arg(long)]
    no_start: bool,
    /// Change the name of a machine that has one; write although a check fails
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    conversation: Conversation,
}

impl Setup {
    pub(super) async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        let reads_input = [&self.from, &self.code].into_iter().any(|from| from.as_deref() == Some("-"));
        if self.find && !json {
            self.conversation.speak();
        }
        let asks = self.conversation.begin(!json && !reads_input);
        let site = Site::below(&self.root).map_err(|why| Failure::usage(fill(texts().root_away, &[&self.root.display(), &why])))?;
        if self.find {
            return match json {
                true => hardware::as_json(&site).iter().try_for_each(|found| print::line(&found.to_string())),
                false => hardware::words(&site).iter().try_for_each(|line| print::line(&print::plain(line))),
            };
        }
        if site.runs() && !is_root() && !self.dry_run {
            return Err(Failure::usage(texts().as_root));
        }
        // Two at once would mix their files.
        let directory = File::open(site.at(ETC)).ok().filter(|_| !self.dry_run);
        if directory.as_ref().is_some_and(|directory| matches!(directory.try_lock(), Err(TryLockError::WouldBlock))) {
            return Err(Failure::failed(texts().another_runs));
        }
        let staging = Staging::new()?;
        let present = Present::read(&site)?;
        let mut answers = self.answers(connection, &present)?;
        if let Some(code) = &self.code {
            self.enrol(code, &present, &mut answers).await?;
        }
        let is_here = site.runs() && !self.offline;
        let ca_file = self.backend_ca_file.as_deref();
        let mut dialogue = asks.then(|| Dialogue::new(&site, &present, is_here, self.force, ca_file)).transpose()?;
        if let Some(dialogue) = &mut dialogue {
            dialogue.gather(&mut answers).await?;
        }
        let output = Output { json };
        let settling = Settling { setup: &self, site: &site, staging: &staging, present: &present, output: &output };
        let (mut composed, mut checked) = settling.settle(dialogue.as_mut(), &mut answers, !self.offline).await?;
        if self.dry_run {
            output.files(&composed, &site, true)?;
            output.goods(&present, &checked.device.machine.prices)?;
            return output.remark(texts().unchanged);
        }
        // Until all files are written, this gives back the pins that it drives.
        let mut trial = Trial::new(&site, &present);
        loop {
            let next = trial.run(&self, &mut checked, dialogue.as_mut(), &mut answers).await?;
            if let (Next::LinesAgain, Some(dialogue)) = (next, &mut dialogue) {
                dialogue.lines(&mut answers)?;
            }
            if next != Next::Done {
                (composed, checked) = settling.settle(dialogue.as_mut(), &mut answers, false).await?;
            }
            if next != Next::LinesAgain {
                break;
            }
        }
        output.files(&composed, &site, false)?;
        output.goods(&present, &checked.device.machine.prices)?;
        let starts = site.runs() && !self.no_start;
        let question = if starts { texts().write_and_start } else { texts().write };
        if let Some(dialogue) = &mut dialogue
            && !dialogue.yes(question, true)?
        {
            return Err(Failure::failed(texts().unchanged));
        }
        self.put(&site, &output, &composed, &checked, &mut trial).await
    }

    /// Makes this machine the one that the code is for.
    async fn enrol(&self, code: &str, present: &Present, answers: &mut Answers) -> Result<(), Failure> {
        let invitation = invited::read(code, self.device.as_ref(), self.backend.as_deref())?;
        // Another machine's token would be void, and this one would not become that machine.
        if let Some(why) = dialogue::renamed(present, self.force, &invitation.claim.device) {
            return Err(Failure::usage(why));
        }
        let enrolment = invited::claim(&invitation, self.backend_ca_file.as_deref()).await?;
        answers.enrol(&enrolment, false).map_err(Failure::usage)
    }

    /// Writes the files, and starts the services with them.
    async fn put(
        &self,
        site: &Site,
        output: &Output,
        composed: &Composed,
        checked: &Checked,
        trial: &mut Trial<'_>,
    ) -> Result<(), Failure> {
        let hands_over_anew = composed.hands_over_anew(site);
        // From here on the work is finished whatever signal comes.
        interrupt::check().map_err(Failure::failed)?;
        let kept = write::put(site, &composed.files).map_err(Failure::failed)?.kept();
        trial.written(&checked.relay);
        let left = write::remove(site, &composed.obsolete);
        if site.runs()
            && composed.has_rules()
            && let Err(why) = chips::apply()
        {
            output.remark(&fill(texts().restart, &[&why]))?;
        }
        for remark in left.iter().chain(&composed.remarks) {
            output.remark(remark)?;
        }
        for before in kept {
            output.remark(&fill(texts().before, &[&before.display()]))?;
        }
        if !is_root() {
            output.remark(&fill(texts().not_root, &[&DEVICE_USER]))?;
        }
        self.start(site, output, hands_over_anew, &checked.relay.bus).await
    }

    fn answers(&self, connection: Connection, present: &Present) -> Result<Answers, Failure> {
        let mut answers = Answers::of_connection(connection)?;
        answers.device = self.device.clone();
        answers.name = self.name.clone();
        answers.language = self.language.clone();
        answers.contact = self.contact.clone();
        answers.allow_plaintext = self.allow_plaintext;
        answers.backend_url = self.backend.clone();
        answers.backend_ca = of_flag("--backend-ca-file", self.backend_ca_file.as_deref().map(answers::file).transpose())?;
        answers.token = of_flag("--token-file", self.token_file.as_deref().map(answers::secret).transpose())?;
        answers.keys = of_flag("--keys", self.keys.as_deref().map(answers::keys).transpose())?;
        for item in &self.item {
            add_item(&mut answers.items, item.clone()).map_err(|why| Failure::usage(format!("--item {item}: {why}")))?;
        }
        answers.listed = of_flag("--items", self.items.as_deref().map(answers::items).transpose())?;
        let sold = answers.sold(present);
        for line in &self.line {
            add_line(&sold, &mut answers.lines, line.clone()).map_err(|why| Failure::usage(format!("--line {line}: {why}")))?;
        }
        let served = answers.served(present);
        if let (unserved @ [_, ..], false) = (&*unserved(&sold, &served), served.is_empty()) {
            let flag = if !self.item.is_empty() {
                "--item"
            } else if self.items.is_some() {
                "--items"
            } else {
                "--line"
            };
            return Err(Failure::usage(fill(texts().unserved_by_flags, &[&flag, &unserved.join(", "), &unserved.join(",")])));
        }
        answers.screen = self.screen.clone();
        answers.rotate = self.rotate;
        if let Some(from) = &self.from {
            answers.enrol(&of_flag("--from", answers::enrolment(from))?, false).map_err(Failure::usage)?;
        }
        Ok(answers)
    }

    /// Does the merchant's server say the rest?
    const fn is_enrolled(&self) -> bool {
        self.from.is_some() || self.code.is_some()
    }

    const fn says(&self, part: Part) -> bool {
        match part {
            Part::Device => self.device.is_some(),
            // These flags belong to all commands.
            Part::Broker => true,
            Part::Keys => self.keys.is_some() || self.is_enrolled(),
            Part::Backend => self.backend.is_some() || self.token_file.is_some() || self.backend_ca_file.is_some() || self.is_enrolled(),
            Part::Appearance => self.name.is_some() || self.language.is_some() || self.contact.is_some(),
            Part::Panel => self.screen.is_some() || self.rotate.is_some(),
            Part::Items => !self.item.is_empty() || self.items.is_some(),
            Part::Lines => !self.line.is_empty(),
        }
    }

    /// Enables and starts the services, or says what to do.
    async fn start(&self, site: &Site, output: &Output, hands_over_anew: bool, bus: &BusAddress) -> Result<(), Failure> {
        let names = SERVICES.join(" ");
        if self.no_start {
            return output.remark(&fill(texts().to_begin, &[&names]));
        }
        if !site.runs() {
            let root = format!("--root={}", site.root().display());
            let enabled = services::systemctl(&[&[root.as_str(), "enable"][..], &SERVICES[..]].concat());
            return match enabled {
                Ok(_) => output.remark(texts().at_boot),
                Err(why) => output.remark(&fill(texts().enable_there, &[&names, &why])),
            };
        }
        if !services::are_there(site) {
            return output.remark(texts().no_systemd);
        }
        let run = |arguments: &[&str]| services::systemctl(arguments).map(drop).map_err(Failure::failed);
        if hands_over_anew {
            run(&["daemon-reload"])?;
        }
        run(&[&["enable"][..], &SERVICES[..]].concat())?;
        for name in SERVICES {
            // A service that failed too often must otherwise wait. If it did not fail, the command's error does not matter.
            drop(services::systemctl(&["reset-failed", name]));
            // Credentials are handed over only at the start: a reload would not bring new ones. The relay service has no
            // credentials.
            let verb = if hands_over_anew && name == QRISD_SERVICE { "restart" } else { "reload-or-restart" };
            services::systemctl(&[verb, name]).map_err(|why| Failure::failed(fill(texts().not_started, &[&why, &name])))?;
        }
        output.remark(&match proof_key(bus).await {
            Ok(key) => fill(texts().relay_key, &[&key.fingerprint()]),
            Err(why) => fill(texts().relay_key_unknown, &[&why.reason()]),
        })?;
        output.remark(texts().done)
    }
}

/// The key of the relay service. After a reload it is away for a moment.
async fn proof_key(bus: &BusAddress) -> Result<RelayKey, Failure> {
    let until = Instant::now() + RELAY_COMES_WITHIN;
    loop {
        match relay::proof_key(bus).await {
            Err(_) if Instant::now() < until => tokio::time::sleep(Duration::from_millis(200)).await,
            told => return told,
        }
    }
}
