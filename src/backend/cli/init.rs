//! `qris-backend init`: makes this computer a merchant's server. It asks for what only a person knows, looks whether Midtrans knows
//! the key, and only then writes. Run again, it changes nothing that is there, and asks for what is missing.

mod answers;
mod broker;
mod compose;
mod draft;
mod present;
mod service;
mod standing;
mod text;

use super::doctor::network;
use crate::config::Config;
use answers::{Answers, Dialogue, GatewayEnvironment, Said};
use clap::Args;
use compose::Composed;
use present::{BACKEND_TOML, Present, USER};
use qris_core::contact::telephone;
use qris_host::finding;
use qris_host::setup::ask;
use qris_host::setup::conversation::Conversation;
use qris_host::setup::services::{self, systemctl};
use qris_host::setup::site::{Site, is_root};
use qris_host::setup::staging::Staging;
use qris_host::setup::write::{self, Change, Placed};
use qris_host::speech::{self, Language};
use qris_host::{Failure, interrupt, terminal, tls};
use service::{as_service, machines};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use text::{fill, texts};

const SERVICE: &str = "qris-backend.service";
const BROKER_SERVICE: &str = "mosquitto.service";

/// Makes this computer a merchant's server: asks what is not known, writes /etc/qris-backend, the keys and, if wanted, a broker
/// with TLS, starts them, and writes what the first machine must know.
#[derive(Debug, Args)]
#[command(after_help = "Without flags it asks for all of it. What is there stays as it is: it can be run again. Standard output has the \
    first machine's enrolment text, which is a secret; the rest is on standard error.\n\nExit status: 0 done, 1 a check is bad or you \
    chose not to go on, 2 wrong use or configuration, 128 + signal where a signal (Ctrl-C) ended it.")]
pub struct Init {
    /// A file that holds the Midtrans Server Key, or - for standard input
    #[arg(long, value_name = "FILE|-")]
    server_key_file: Option<PathBuf>,
    /// The key is of the sandbox: no real money
    #[arg(long, conflicts_with = "production")]
    sandbox: bool,
    /// The key is of production: real money
    #[arg(long)]
    production: bool,
    /// A simulator or a proxy in the place of Midtrans
    #[arg(long, value_name = "URL", value_parser = ask::http, conflicts_with_all = ["sandbox", "production"])]
    midtrans: Option<String>,
    /// Where machines, customers and Midtrans reach this server, or `none`: then only machines on this computer do
    #[arg(long, value_name = "URL|none", value_parser = answers::public_url)]
    public_url: Option<Said<String>>,
    /// The name of the shop for customers, or `none`: then the one in the QR
    #[arg(long, value_name = "TEXT|none", value_parser = answers::contact)]
    merchant: Option<Said<String>>,
    /// Whom customers call about their money, or `none`
    #[arg(long, value_name = "TEXT|none", value_parser = answers::contact)]
    contact: Option<Said<String>>,
    /// What the gateway keeps of a QRIS payment, in percent, as 0.7, or `none` if it is not known
    #[arg(long, value_name = "PERCENT|none", value_parser = answers::fee)]
    qris_fee: Option<Said<u64>>,
    /// The owner's pages on a phone, at this public address, or `none`
    #[arg(long, value_name = "URL|none", value_parser = answers::public_url)]
    desk_url: Option<Said<String>>,
    /// The owner's pages in the local network, only to look, at this address such as 0.0.0.0:8480, or `none`
    #[arg(long, value_name = "ADDRESS:PORT|none", value_parser = answers::home)]
    desk_home: Option<Said<String>>,
    /// Where it listens
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Make a broker on this computer, which machines reach by this name, or `none`
    #[arg(long, value_name = "NAME|none", value_parser = answers::broker)]
    broker: Option<Said<String>>,
    /// The first machine, or `none`
    #[arg(long, value_name = "ID|none", value_parser = answers::device)]
    device: Option<Said<String>>,
    /// Set up the system below this directory, an image
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Check, and show what would be written and done, but do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask Midtrans whether it knows the key
    #[arg(long)]
    offline: bool,
    /// Neither enable nor start the services
    #[arg(long)]
    no_start: bool,
    #[command(flatten)]
    conversation: Conversation,
}

impl Init {
    /// `config`: the path that a flag of all commands names.
    pub async fn run(self, config: &Path) -> Result<(), Failure> {
        let reads_input = self.server_key_file.as_deref() == Some(Path::new("-"));
        let asks = self.conversation.begin(!reads_input);
        if config != Path::new(BACKEND_TOML) {
            return Err(Failure::usage(fill(texts().no_config_flag, &[&BACKEND_TOML])));
        }
        tls::install_provider();
        let site = Site::below(&self.root).map_err(|why| Failure::usage(fill(texts().root_away, &[&self.root.display(), &why])))?;
        if site.runs() && !is_root() && !self.dry_run {
            return Err(Failure::usage(texts().as_root));
        }
        let staging = Staging::new()?;
        if site.user(USER).is_none() {
            // What would be written can be seen before the package is there.
            if !self.dry_run {
                return Err(Failure::usage(present::no_user()));
            }
            remark(&present::no_user());
        }
        let present = Present::read(&site)?;
        let mut answers = self.answers(&present)?;
        let mut dialogue = asks.then(|| Dialogue::new(&site, &present)).transpose()?;
        let mut asks_midtrans = !self.offline;
        if let Some(dialogue) = &mut dialogue {
            dialogue.key(&mut answers)?;
            // A wrong key is told before the other questions.
            if answers.server_key.is_some() {
                self.settle(&site, &staging, &present, &mut answers, asks_midtrans, Some(&mut *dialogue)).await?;
                asks_midtrans = false;
            }
            dialogue.gather(&mut answers)?;
        }
        let composed = self.settle(&site, &staging, &present, &mut answers, asks_midtrans, dialogue.as_mut()).await?;
        self.tell(&site, &composed);
        // Before anything is written: it may be a slip.
        if let Some(contact) = answers.contact.as_ref().and_then(Said::value).filter(|said| telephone(said).is_none()) {
            remark(&fill(texts().no_number, &[contact]));
        }
        let starts = site.runs() && !self.no_start;
        if self.dry_run {
            if composed.makes_broker && !broker::is_installed(&site) {
                remark(texts().no_mosquitto);
            }
            tell_steps(&steps(&composed, composed.changes(&site)), &answers, starts);
            return Ok(());
        }
        let question = if starts { texts().write_and_start } else { texts().write };
        if let Some(dialogue) = &mut dialogue
            && composed.changes(&site)
            && !dialogue.yes(question, true)?
        {
            return Err(Failure::failed(texts().unchanged));
        }
        let changes = composed.changes(&site);
        // From here on the work is finished whatever signal comes.
        interrupt::check().map_err(Failure::failed)?;
        let placed = write::put(&site, &composed.files).map_err(Failure::failed)?;
        let systemd = starts && services::are_there(&site);
        if systemd && composed.makes_broker {
            start_broker(&composed, placed).await?;
        }
        composed.remarks.iter().for_each(|told| remark(told));
        if systemd {
            start(&composed, changes)?;
        } else if starts {
            remark(texts().no_systemd);
        }
        first_machine(&site, &answers, starts)
    }

    fn answers(&self, present: &Present) -> Result<Answers, Failure> {
        let wanted = match (self.sandbox, self.production, &self.midtrans) {
            (true, ..) => Some(GatewayEnvironment::Sandbox),
            (_, true, _) => Some(GatewayEnvironment::Production),
            (_, _, Some(url)) => Some(GatewayEnvironment::Other(url.clone())),
            (false, false, None) => None,
        };
        // A key that is there stays, whatever a flag says.
        let file = self.server_key_file.as_deref().filter(|_| !present.has_server_key);
        let server_key = file.map(|file| {
            let key = answers::secret(file)?;
            let place =
                answers::placed(key.expose(), wanted.as_ref()).map_err(|why| Failure::usage(format!("--server-key-file: {why}")))?;
            let unknown = || Failure::usage(format!("--server-key-file: {}", texts().key_of_either));
            Ok::<_, Failure>((key, place.ok_or_else(unknown)?))
        });
        let Self { public_url, merchant, contact, qris_fee, desk_url, desk_home, listen, broker, device, .. } = self;
        Ok(Answers {
            server_key: server_key.transpose()?,
            public_url: public_url.clone(),
            merchant: merchant.clone(),
            contact: contact.clone(),
            fee: qris_fee.clone(),
            desk: desk_url.clone(),
            home: desk_home.clone(),
            listen: *listen,
            broker: broker.clone(),
            device: device.clone(),
            wanted,
        })
    }

    /// Composes the files until they are good, and until Midtrans knows the key or the person wants it all the same.
    async fn settle(
        &self,
        site: &Site,
        staging: &Staging,
        present: &Present,
        answers: &mut Answers,
        asks_midtrans: bool,
        mut dialogue: Option<&mut Dialogue<'_>>,
    ) -> Result<Composed, Failure> {
        loop {
            let composed = compose::compose(site, staging, present, answers, self.dry_run)?;
            let config = Config::from_source(&composed.source)?;
            // One that was set up before has its address itself.
            if site.runs()
                && present.backend.is_none()
                && let Err(why) = TcpListener::bind(config.listen)
            {
                return Err(Failure::failed(fill(texts().listen_taken, &[&config.listen, &why])));
            }
            // A key that was there has proved itself, or the doctor tells.
            if !asks_midtrans || answers.server_key.is_none() {
                return Ok(composed);
            }
            let findings = network::gateway(&config, &composed.source).await;
            finding::tell(&findings, false, |line| {
                remark(&composed.source.as_written(line));
                Ok(())
            })?;
            let Some(bad) = finding::verdict(&findings) else { return Ok(composed) };
            let Some(dialogue) = &mut dialogue else {
                return Err(Failure::failed(fill(texts().not_taken, &[&bad])));
            };
            if dialogue.yes(texts().all_the_same, false)? {
                return Ok(composed);
            }
            dialogue.server_key(answers)?;
        }
    }

    fn tell(&self, site: &Site, composed: &Composed) {
        for file in &composed.files {
            let change = match file.change(site) {
                Change::New => texts().file_new,
                Change::Changed | Change::Access => texts().file_changed,
                Change::Same => texts().as_it_is,
            };
            remark(&file.words(change));
            // What was made by chance says nothing.
            if self.dry_run && file.path() == Path::new(BACKEND_TOML) {
                file.difference(site).iter().for_each(|line| remark(&format!("          {line}")));
            }
        }
        composed.kept.iter().for_each(|kept| remark(&format!("{:<8}  {kept}", texts().as_it_is)));
    }
}

/// Lets the first machine in, as the user of the service: it cannot read files that root made.
fn first_machine(site: &Site, answers: &Answers, starts: bool) -> Result<(), Failure> {
    let Some(device) = answers.device.as_ref().and_then(Said::value) else { return Ok(()) };
    if !starts {
        remark(&fill(texts().let_in_then, &[&by_hand(device)]));
        return Ok(());
    }
    if machines(site)?.iter().any(|known| known == device) {
        remark(&fill(texts().let_in_already, &[device, &by_hand(device)]));
        return Ok(());
    }
    remark(&fill(texts().let_in_now, &[device]));
    // Its remarks are a part of this conversation.
    let speak = if speech::spoken() == Language::Id { &["--speak", "id"][..] } else { &[] };
    let told = as_service(site, &[&let_in(device)[1..], speak].concat())?.stderr(Stdio::inherit()).output().map_err(Failure::failed)?;
    if !told.status.success() {
        return Err(Failure::failed(fill(texts().not_let_in, &[device, &by_hand(device)])));
    }
    std::io::stdout().write_all(&told.stdout).map_err(Failure::failed)
}

fn tell_steps(steps: &[Vec<&str>], answers: &Answers, starts: bool) {
    if starts {
        steps.iter().for_each(|words| remark(&fill(texts().then, &[&format!("systemctl {}", words.join(" "))])));
    }
    if let (Some(device), true) = (answers.device.as_ref().and_then(Said::value), starts) {
        remark(&fill(texts().then, &[&by_hand(device)]));
    }
    remark(texts().unchanged);
}

fn let_in(device: &str) -> [&str; 5] {
    ["qris-backend", "device", "add", device, "--bundle"]
}

fn by_hand(device: &str) -> String {
    format!("runuser -u {USER} -- {}", let_in(device).join(" "))
}

/// A line for the person. Nobody misses it if nobody reads.
fn remark(text: &str) {
    drop(writeln!(std::io::stderr(), "{}", terminal::plain(text)));
}

/// What systemd is told.
fn steps(composed: &Composed, changes: bool) -> Vec<Vec<&'static str>> {
    let broker = [vec!["restart", BROKER_SERVICE], vec!["enable", BROKER_SERVICE]];
    let own = [vec!["enable", SERVICE], vec![if changes { "reload-or-restart" } else { "start" }, SERVICE]];
    // It waits for nobody: the backend answers it as soon as it can.
    let desks = composed.desks.iter().flat_map(|desk| [vec!["enable", desk], vec!["start", desk]]);
    broker.into_iter().filter(|_| composed.makes_broker).chain(own).chain(desks).collect()
}

/// Starts the broker with its new files, and looks whether it answers as it should. If it does not, every file and the broker are as
/// they were.
async fn start_broker(composed: &Composed, placed: Placed) -> Result<(), Failure> {
    let config = Config::from_source(&composed.source)?;
    let ran = services::unit(BROKER_SERVICE).is_ok_and(|unit| unit.active == "active");
    let restarted = systemctl(&["daemon-reload"]).and_then(|_| systemctl(&["restart", BROKER_SERVICE]));
    let answers = match restarted {
        Ok(_) => network::broker_as_made(&config).await,
        Err(why) => Err(why),
    };
    let Err(why) = answers else { return Ok(()) };
    placed.take_back();
    drop(systemctl(&["daemon-reload"]));
    // It failed, and systemd would let it wait.
    drop(systemctl(&["reset-failed", BROKER_SERVICE]));
    let back = systemctl(&[if ran { "restart" } else { "stop" }, BROKER_SERVICE]).err().map(|why| format!("; {why}"));
    Err(Failure::failed(fill(texts().broker_taken_away, &[&why, &BROKER_SERVICE]) + &back.unwrap_or_default()))
}

/// Each service is ready when its step is done.
fn start(composed: &Composed, changes: bool) -> Result<(), Failure> {
    // A service that failed too often must otherwise wait. If it did not fail, the command's error does not matter.
    drop(systemctl(&["reset-failed", SERVICE]));
    let is_done = ["restart", BROKER_SERVICE];
    for words in steps(composed, changes).into_iter().filter(|words| words[..] != is_done) {
        systemctl(&words).map_err(|why| {
            let unit = words.last().copied().unwrap_or_default();
            Failure::failed(fill(texts().not_started, &[&why, &unit]))
        })?;
    }
    remark(texts().done);
    Ok(())
}
