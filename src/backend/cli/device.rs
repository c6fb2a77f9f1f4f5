//! `qris-backend device`: the machines that are let in.

mod bundle;
mod labels;
mod list;
mod listing;

use super::opening::machines;
use super::print::Out;
use crate::config::Config;
use crate::machines::accounts::{self, AccountError, is_anothers};
use crate::machines::devices::{self, Listed};
use crate::machines::invitations::{self, Terms};
use crate::machines::token;
use crate::sale::books::{BooksError, latest_beside};
use crate::telling::listed;
use base64::Engine as _;
use clap::Subcommand;
use qris_core::order::ids::DeviceId;
use qris_core::order::time::{Now, Span, Wall};
use qris_core::wire::invitation::{Claim, Code, Invitation, LETTERS_MAX};
use qris_host::config::{MqttSection, MqttSettings};
use qris_host::events::Event as Journal;
use qris_host::hint::meant;
use qris_host::journal::emit;
use qris_host::speech::{self, Language};
use qris_host::{Failure, clock, random, tls};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The machines that are let in.
#[derive(Debug, Subcommand)]
pub enum Devices {
    /// Let a machine in; its new token is written to standard output, once
    Add {
        /// Its name
        #[arg(value_parser = name, required_unless_present = "from")]
        id: Option<String>,
        /// Replace the machine's token; the old one stops working. This also lets a revoked machine in again
        #[arg(long)]
        replace: bool,
        /// A list of machines (CSV with the columns id,name): each gets a file with its text. Machines that are let in already stay
        /// as they are
        #[arg(long, value_name = "CSV", requires = "into", conflicts_with_all = ["id", "replace", "bundle"])]
        from: Option<PathBuf>,
        /// Where these files go, and labels.html, a page to print with a label for each
        #[arg(long, value_name = "DIR", requires = "from")]
        into: Option<PathBuf>,
        /// The language of the remarks: that of the conversation in which `init` lets the first machine in
        #[arg(long, value_name = "LANGUAGE", hide = true, value_parser = speech::language())]
        speak: Option<Language>,
        #[command(flatten)]
        bundle: Box<bundle::Bundle>,
    },
    /// Make a code that lets a machine in once: `qrisctl setup --code` uses it. A code that was made before is void then
    Invite {
        /// Its name
        #[arg(value_parser = name, required_unless_present = "from")]
        id: Option<String>,
        /// A list of machines (CSV with the columns id,name): each gets a file with its code. Machines that are let in already, or have
        /// a code, stay as they are
        #[arg(long, value_name = "CSV", requires = "into", conflicts_with_all = ["id", "replace", "qr"])]
        from: Option<PathBuf>,
        /// Where these files go, and labels.html, a page to print with a label for each
        #[arg(long, value_name = "DIR", requires = "from")]
        into: Option<PathBuf>,
        /// For how many days the code is good
        #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=365))]
        days: u16,
        /// Although the machine is let in already: its token is void as soon as the code is used
        #[arg(long)]
        replace: bool,
        /// Draw the invitation as a QR code on the terminal, too
        #[arg(long)]
        qr: bool,
        #[command(flatten)]
        places: Box<bundle::Places>,
    },
    /// Make the account of a machine's controller at the broker, or give it a new password. Standard output has it as the lines that
    /// `samples/` read
    Controller {
        /// The machine's name
        #[arg(value_parser = name)]
        id: String,
    },
    /// List machines
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Accept another key as the key of a machine's relay, after a look at the machine
    RelayKey {
        /// The machine's name
        #[arg(value_parser = name)]
        id: String,
        /// The key's fingerprint, as the machine showed it, and as `qrisctl relay lines` shows it there
        fingerprint: String,
        /// Who says so
        #[arg(long, value_name = "NAME", value_parser = super::refund::text)]
        by: String,
    },
    /// Stop letting a machine in
    Revoke {
        /// Its name
        #[arg(value_parser = name)]
        id: String,
    },
}

const DAY_S: i64 = 24 * 60 * 60;

/// The time from which a code lasts.
async fn latest(config: &Config) -> Wall {
    let own = clock::now();
    let Ok(store) = config.store.books() else { return own.wall };
    let own = Now { wall: store.now(own.wall), ..own };
    store.read(move |tx| latest_beside(tx, own, clock::boot_id().ok())).await.unwrap_or(own.wall)
}

pub async fn run(config: &Config, command: Devices) -> Result<(), Failure> {
    let now = clock::now().wall;
    let mut out = Out::default();
    match command {
        Devices::Add { id, replace, from, into, speak, bundle } => {
            if speak.is_some() {
                speech::speak(speak);
            }
            if let (Some(from), Some(into)) = (from, into) {
                return add_all(config, &from, &into, &bundle).await;
            }
            add_one(config, &id.unwrap_or_default(), replace, &bundle, &mut out).await
        }
        Devices::Invite { id, from, into, days, replace, qr, places } => {
            let terms = checked_terms(config, &places)?;
            let until = latest(config).await + Span::secs(i64::from(days) * DAY_S);
            if let (Some(from), Some(into)) = (from, into) {
                remark(config, &terms);
                return invite_all(config, &from, &into, &terms, until).await;
            }
            let device = DeviceId::new(&id.unwrap_or_default()).map_err(Failure::usage)?;
            let mut code = None;
            let draws = |invitation: &str| {
                code = if qr { Some(bundle::draw(invitation)?) } else { None };
                Ok(())
            };
            let invitation = invite(config, device, &terms, until, replace, draws).await?;
            remark(config, &terms);
            eprintln!("good until {}, for one machine. On it: sudo qrisctl setup --code", until.to_local_named(config.zone));
            if let Some(code) = code {
                out.text(&code)?;
            }
            out.line(&invitation)
        }
        Devices::Controller { id } => {
            let device = DeviceId::new(&id).map_err(Failure::usage)?;
            out.text(&controller(config, &device).await?)
        }
        Devices::List { json } => listing::list(config, json, now).await,
        Devices::RelayKey { id, fingerprint, by } => {
            let device = DeviceId::new(&id).map_err(Failure::usage)?;
            let (wanted, said, name) = (device.clone(), fingerprint.clone(), by.clone());
            let taken = machines(config, false)?.run(move |tx| devices::take_key(tx, &wanted, &said, &name, now)).await;
            taken.map_err(Failure::failed)?.map_err(|why| Failure::failed(format!("{device}: {why}")))?;
            out.line(&format!("the relay of {device} is known by the key {fingerprint} from now on"))?;
            emit(&Journal::RelayKeyKnown { device, fingerprint: fingerprint.into(), by: by.into() });
            Ok(())
        }
        Devices::Revoke { id } => {
            let device = DeviceId::new(&id).map_err(Failure::usage)?;
            let wanted = device.clone();
            if !machines(config, false)?.run(move |tx| devices::revoke(tx, &wanted, now)).await.map_err(Failure::failed)? {
                return Err(Failure::failed(format!("there is no machine {device}{}", alike(config, &device).await?)));
            }
            emit(&Journal::DeviceRevoked { device });
            Ok(())
        }
    }
}

/// Lets one machine in, and shows its token, alone or with all else that it needs.
async fn add_one(config: &Config, id: &str, replace: bool, bundle: &bundle::Bundle, out: &mut Out) -> Result<(), Failure> {
    let device = DeviceId::new(id).map_err(Failure::usage)?;
    // Every fault is found before the machine is let in: the token is shown only once.
    let draft = bundle.draft(config, &device)?;
    let Added { token, remarks, written } = add(config, device, draft, replace, |_| Ok(())).await?;
    let Some(written) = written else { return out.line(&token) };
    for remark in remarks {
        eprintln!("{remark}");
    }
    if let Some(code) = &written.code {
        out.text(code)?;
    }
    out.line(&written.text)
}

fn checked_terms(config: &Config, places: &bundle::Places) -> Result<Terms, Failure> {
    let terms = places.terms(config)?;
    if config.accounts.is_some() && terms.broker.as_ref().is_some_and(|broker| broker.username.is_some()) {
        let why = "--broker-username: [accounts] of backend.toml makes the account, under the machine's own name";
        return Err(Failure::usage(why));
    }
    Ok(terms)
}

fn remark(config: &Config, terms: &Terms) {
    bundle::remarks(terms).iter().for_each(|remark| eprintln!("{remark}"));
    if config.accounts.is_none() && terms.broker.is_some() {
        eprintln!("backend.toml has no [accounts]: make the machine's account at the broker yourself, and give its password to setup");
    }
}

struct Added {
    token: String,
    remarks: Vec<String>,
    written: Option<bundle::BundleOutput>,
}

/// Lets a machine in. `keep` takes its text before that: a text that is void does less harm than one that is lost.
async fn add(
    config: &Config,
    device: DeviceId,
    mut draft: Option<bundle::Draft>,
    replace: bool,
    keep: impl FnOnce(&str) -> Result<(), Failure>,
) -> Result<Added, Failure> {
    refuse_taken_names(config, &device)?;
    let token = drawn();
    let mut account = None;
    if let Some(administrator) = &config.accounts
        && let Some(wanting) = draft.take_if(|draft| draft.wants_account())
    {
        tls::install_provider();
        administrator.check().await.map_err(Failure::failed)?;
        let password = drawn();
        draft = Some(wanting.with_password(&password));
        account = Some((administrator, password));
    }
    let remarks = draft.as_ref().map(bundle::Draft::remarks).unwrap_or_default();
    let written = draft.map(|draft| draft.with(&token)).transpose()?;
    let store = machines(config, true)?;
    written.as_ref().map_or(Ok(()), |written| keep(&written.text))?;
    let (hash, wanted, has_account) = (token::hash(&token), device.clone(), account.is_some());
    let now = store.now(clock::now().wall);
    let added = store.run(move |tx| {
        let added = devices::add(tx, &wanted, &hash, replace, now)?;
        // A code would bring in whoever has it, in place of this machine.
        if added {
            invitations::withdraw(tx, &wanted)?;
        }
        if added && has_account {
            accounts::note(tx, &wanted)?;
        }
        Ok::<_, BooksError>(added)
    });
    if !added.await.map_err(Failure::failed)? {
        let why = format!("{device} has a token already: --replace gives it a new one, and the old one stops working");
        return Err(Failure::failed(why));
    }
    if let Some((administrator, password)) = account {
        administrator.open(&device, &password).await.map_err(|why| {
            let again = format!("qris-backend device add {device} --replace --bundle");
            Failure::failed(format!("{why}. {device} has a token and no account at the broker: {again}"))
        })?;
    }
    emit(&Journal::DeviceAdded { device });
    Ok(Added { token, remarks, written })
}

/// Makes the account of a machine's controller, and tells what that must know.
async fn controller(config: &Config, device: &DeviceId) -> Result<String, Failure> {
    let (Some(administrator), Some(broker)) = (&config.accounts, &config.mqtt) else {
        let why = "backend.toml has no [accounts]: make the user NAME-controller at the broker yourself, with a block in its access list";
        return Err(Failure::usage(why));
    };
    let wanted = device.clone();
    let is_let_in = machines(config, false)?.read(move |tx| devices::is_let_in(tx, &wanted)).await.map_err(Failure::failed)?;
    if !is_let_in {
        return Err(Failure::failed(format!("there is no machine {device}{}", alike(config, device).await?)));
    }
    // As machines reach it. It was checked with the configuration.
    let section =
        config.broker_url.clone().map(|url| MqttSection { url: Some(url), allow_plaintext: Some(true), ..MqttSection::default() });
    let outside = section.and_then(|section| section.settle().ok());
    let MqttSettings { host, port, tls, .. } = outside.as_ref().unwrap_or(broker);
    qris_host::tls::install_provider();
    let password = drawn();
    let user = administrator.open_controller(device, &password).await.map_err(Failure::failed)?;
    if *tls {
        let ca = broker.ca_file.as_ref().map_or_else(|| "/etc/ssl/certs/ca-certificates.crt".into(), |file| file.display().to_string());
        eprintln!("the broker wants TLS: add QRISD_CA_FILE= with the place of a copy of {ca}");
    }
    Ok(format!("QRISD_DEVICE={device}\nQRISD_HOST={host}\nQRISD_PORT={port}\nQRISD_USER={user}\nQRISD_PASSWORD={password}\n"))
}

/// Makes a code for a machine. `keep` takes the invitation before it is good.
async fn invite(
    config: &Config,
    device: DeviceId,
    terms: &Terms,
    until: Wall,
    replace: bool,
    keep: impl FnOnce(&str) -> Result<(), Failure>,
) -> Result<String, Failure> {
    refuse_taken_names(config, &device)?;
    let mut bits = [0; LETTERS_MAX];
    random::fill(&mut bits);
    let claim = Claim { device: device.clone(), code: Code::of(bits) };
    let invitation = Invitation { url: terms.backend_url.clone(), claim: claim.clone() }.to_string();
    keep(&invitation)?;
    let (store, terms) = (machines(config, true)?, terms.clone());
    let invited = store.run(move |tx| {
        let is_let_in = devices::is_let_in(tx, &claim.device)?;
        if !is_let_in || replace {
            invitations::invite(tx, &claim, &terms, until)?;
        }
        Ok::<_, BooksError>(!is_let_in || replace)
    });
    if !invited.await.map_err(Failure::failed)? {
        let why = format!("{device} is let in already: with --replace its token is void as soon as the code is used");
        return Err(Failure::failed(why));
    }
    emit(&Journal::DeviceInvited { device, until: until.to_rfc3339_wib().into() });
    Ok(invitation)
}

/// The machines that are known, each with whether it is let in, and those that have a code now. Without a database there are none.
async fn known(config: &Config) -> Result<(BTreeMap<DeviceId, bool>, BTreeSet<DeviceId>), Failure> {
    let now = clock::now().wall;
    let store = machines(config, true)?;
    let read = store.read(move |tx| Ok::<_, BooksError>((devices::list(tx)?, invitations::open(tx, now)?)));
    let (Listed { machines: list, damaged }, codes) = read.await.map_err(Failure::failed)?;
    readable(&damaged)?;
    Ok((list.into_iter().map(|device| (device.id, device.revoked.is_none())).collect(), codes.into_keys().collect()))
}

/// Lets all machines of a list in that are not in yet.
async fn add_all(config: &Config, from: &Path, into: &Path, bundle: &bundle::Bundle) -> Result<(), Failure> {
    let listed = list::read(from)?;
    let draft = |one: &listed::Listed| bundle.text(config, &one.id).map(|draft| draft.named(one.given()));
    let drafts = listed.iter().map(draft).collect::<Result<Vec<_>, _>>()?;
    let (there, _) = known(config).await?;
    let folder = list::Folder::open(into, "enrolment")?;
    let mut made = 0;
    for (one, draft) in listed.iter().zip(drafts) {
        if !there.contains_key(&one.id) {
            add(config, one.id.clone(), Some(draft), false, |text| folder.put(&one.id, &format!("{text}\n"))).await?;
            made += 1;
        } else if folder.text(&one.id).is_none() {
            eprintln!("{0} is known already, and its text was shown then: qris-backend device add {0} --replace --bundle", one.id);
        }
    }
    let on_it = "sudo qrisctl setup asks for this text".to_owned();
    end_of_list(&folder, &listed, made, &|one, _| vec![one.id.to_string(), on_it.clone()])
}

/// Makes codes for all machines of a list that have neither a token nor a code.
async fn invite_all(config: &Config, from: &Path, into: &Path, terms: &Terms, until: Wall) -> Result<(), Failure> {
    let listed = list::read(from)?;
    listed.iter().try_for_each(|one| refuse_taken_names(config, &one.id))?;
    let (there, invited) = known(config).await?;
    let folder = list::Folder::open(into, "code")?;
    let mut made = 0;
    for one in &listed {
        let has_code = invited.contains(&one.id) && folder.text(&one.id).is_some();
        if there.get(&one.id) != Some(&true) && !has_code {
            let terms = Terms { name: one.given().map(Into::into), ..terms.clone() };
            invite(config, one.id.clone(), &terms, until, false, |code| folder.put(&one.id, &format!("{code}\n"))).await?;
            made += 1;
        }
    }
    end_of_list(&folder, &listed, made, &|one, code| vec![format!("{}: sudo qrisctl setup --code", one.id), code.to_owned()])
}

/// Writes the labels, and says what was made. `lines`: what stands on a label, by its machine and its secret.
fn end_of_list(
    folder: &list::Folder,
    listed: &[listed::Listed],
    made: usize,
    lines: &dyn Fn(&listed::Listed, &str) -> Vec<String>,
) -> Result<(), Failure> {
    let label = |one: &listed::Listed| {
        // A text comes folded.
        let code: String = folder.text(&one.id)?.split_whitespace().collect();
        Some(labels::Label { title: one.name.clone(), lines: lines(one, &code), code })
    };
    let labels: Vec<_> = listed.iter().filter_map(label).collect();
    let sheet = folder.print(&labels::sheet(&labels))?;
    eprintln!("{made} were made, {} of the list were there already; labels to print: {}", listed.len() - made, sheet.display());
    eprintln!("each file and each label is a secret: remove them when the machines have them");
    Ok(())
}

/// 256 random bits.
fn drawn() -> String {
    let mut bits = [0; 32];
    random::fill(&mut bits);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bits)
}

/// A machine's name, or its rule.
fn name(text: &str) -> Result<String, String> {
    DeviceId::new(text).map(|id| id.to_string()).map_err(|why| why.to_string())
}

/// The end of a message about a machine that is not known: the name that was probably meant.
async fn alike(config: &Config, wrong: &DeviceId) -> Result<String, Failure> {
    let known = machines(config, false)?.read(|tx| devices::list(tx).map(|listed| listed.machines)).await.map_err(Failure::failed)?;
    Ok(match meant(wrong.as_str(), known.iter().map(|device| device.id.as_str())) {
        Some(meant) => format!(": did you mean {meant}?"),
        None => ": qris-backend device list shows all".into(),
    })
}

/// A machine must not have the name of another user at the broker: its account would take that one's place. So it is, too, where a
/// person makes the account later.
fn refuse_taken_names(config: &Config, device: &DeviceId) -> Result<(), Failure> {
    let administrator = config.accounts.as_ref().and_then(|administrator| administrator.0.username.as_deref());
    let own = config.mqtt.as_ref().and_then(|mqtt| mqtt.username.as_deref());
    match is_anothers(device.as_str()) || [own, administrator].into_iter().flatten().any(|name| name == device.as_str()) {
        true => Err(Failure::usage(AccountError::Anothers(device.clone()))),
        false => Ok(()),
    }
}

/// A machine whose row cannot be read is not in the list, and a reader must be told that it is missing.
fn readable(damaged: &[Box<str>]) -> Result<(), Failure> {
    if damaged.is_empty() {
        return Ok(());
    }
    let names = damaged.join(", ");
    Err(Failure::failed(format!(
        "damaged entries of machines, which are not let in: {names}. Look at the disk; `device add ID --replace` gives a machine \
        a new token"
    )))
}
