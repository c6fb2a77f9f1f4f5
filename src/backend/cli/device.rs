//! `qris-backend device`: the machines that are let in.

mod bundle;

use super::machines;
use super::print::{Column, Out, heading, left, row};
use crate::accounts::{self, Door};
use crate::books::BooksError;
use crate::config::Config;
use crate::devices::{self, Device, Listed};
use crate::invitations;
use base64::Engine as _;
use clap::Subcommand;
use qris_core::order::ids::DeviceId;
use qris_core::order::proof::RelayKey;
use qris_core::order::time::{Span, Wall};
use qris_core::wire::invitation::{Claim, Code, Invitation, LETTERS_MAX};
use qris_host::events::Event as Journal;
use qris_host::journal::emit;
use qris_host::{Failure, clock, random, tls};
use serde_json::json;

/// The machines that are let in.
#[derive(Debug, Subcommand)]
pub enum Devices {
    /// Let a machine in; its new token is written to standard output, once
    Add {
        /// Its name
        id: String,
        /// Replace the machine's token; the old one stops working. This also lets a revoked machine in again
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        bundle: Box<bundle::Bundle>,
    },
    /// Make a code that lets a machine in once: `qrisctl setup --code` uses it. A code that was made before is void then
    Invite {
        /// Its name
        id: String,
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
    /// List machines
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Accept another key as the key of a machine's relay, after a look at the machine
    RelayKey {
        /// The machine's name
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
        id: String,
    },
}

const DAY_S: i64 = 24 * 60 * 60;

const COLUMNS: [Column; 6] = [
    left("MACHINE", 40),
    left("ADDED (+07:00)", 19),
    left("REVOKED (+07:00)", 19),
    left("KEY OF ITS RELAY", 24),
    left("SHOWS ANOTHER KEY", 24),
    left("CODE GOOD UNTIL", 19),
];

/// Runs the command.
pub async fn run(config: &Config, command: Devices) -> Result<(), Failure> {
    let now = clock::now().wall;
    let mut out = Out::default();
    match command {
        Devices::Add { id, replace, bundle } => {
            let device = DeviceId::new(&id).map_err(Failure::usage)?;
            let token = drawn();
            // Every fault is found before the machine is let in: the token is shown only once.
            let mut draft = bundle.draft(config, &device)?;
            let mut account = None;
            if let Some(door) = &config.accounts
                && let Some(wanting) = draft.take_if(|draft| draft.wants_account())
            {
                tls::install_provider();
                refuse_taken_names(config, &device)?;
                door.look().await.map_err(Failure::failed)?;
                let password = drawn();
                draft = Some(wanting.with_password(&password));
                account = Some((door, password));
            }
            let remarks = draft.as_ref().map(bundle::Draft::remarks).unwrap_or_default();
            let written = draft.map(|draft| draft.with(&token)).transpose()?;
            let store = machines(config, true)?;
            let (hash, wanted, has_account) = (devices::hash(&token), device.clone(), account.is_some());
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
            if let Some((door, password)) = account {
                door.open(&device, &password).await.map_err(|why| {
                    Failure::failed(format!("{why}. {device} has a token and no account at the broker: try again with --replace"))
                })?;
            }
            emit(&Journal::DeviceAdded { device });
            let Some(written) = written else { return out.line(&token) };
            for remark in remarks {
                eprintln!("{remark}");
            }
            if let Some(code) = &written.code {
                out.text(code)?;
            }
            out.line(&written.text)
        }
        Devices::Invite { id, days, replace, qr, places } => {
            let device = DeviceId::new(&id).map_err(Failure::usage)?;
            refuse_taken_names(config, &device)?;
            let terms = places.terms(config)?;
            if config.accounts.is_some() && terms.broker.as_ref().is_some_and(|broker| broker.username.is_some()) {
                let why = "--broker-username: [accounts] of backend.toml makes the account, under the machine's own name";
                return Err(Failure::usage(why));
            }
            let remarks = bundle::remarks(&terms);
            let mut bits = [0; LETTERS_MAX];
            random::fill(&mut bits);
            let claim = Claim { device: device.clone(), code: Code::of(bits) };
            let until = now + Span::secs(i64::from(days) * DAY_S);
            let invitation = Invitation { url: terms.backend_url.clone(), claim: claim.clone() };
            let code = if qr { Some(bundle::draw(&invitation.to_string())?) } else { None };
            let store = machines(config, true)?;
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
            for remark in remarks {
                eprintln!("{remark}");
            }
            if config.accounts.is_none() {
                eprintln!(
                    "backend.toml has no [accounts]: make the machine's account at the broker yourself, and give its password to setup"
                );
            }
            eprintln!("good until {} (+07:00), for one machine. On it: sudo qrisctl setup --code", until.to_wib());
            if let Some(code) = code {
                out.text(&code)?;
            }
            out.line(&invitation.to_string())
        }
        Devices::List { json } => {
            let (Listed { machines: list, damaged }, mut codes) = machines(config, false)?
                .read(move |tx| Ok::<_, BooksError>((devices::list(tx)?, invitations::open(tx, now)?)))
                .await
                .map_err(Failure::failed)?;
            let known: Vec<_> = list.into_iter().map(|device| (codes.remove(&device.id), device)).collect();
            if json {
                known.iter().try_for_each(|(code, device)| out.line(&as_json(device, *code)))?;
                codes
                    .iter()
                    .try_for_each(|(id, until)| out.line(&json!({ "device": id, "code_until": until.to_rfc3339_wib() }).to_string()))?;
                return readable(&damaged);
            }
            out.line(&heading(&COLUMNS))?;
            let fingerprint = |key: &Option<RelayKey>| key.as_ref().map_or("-".into(), RelayKey::fingerprint);
            let time = |at: Option<Wall>| at.map_or("-".into(), Wall::to_wib);
            for (code, device) in &known {
                let [relay_key, other_key] = [&device.relay_key, &device.other_key].map(fingerprint);
                out.line(&row(
                    &COLUMNS,
                    &[device.id.to_string(), device.added.to_wib(), time(device.revoked), relay_key, other_key, time(*code)],
                ))?;
            }
            for (id, until) in codes {
                let none = || "-".to_owned();
                out.line(&row(&COLUMNS, &[id.to_string(), none(), none(), none(), none(), until.to_wib()]))?;
            }
            readable(&damaged)
        }
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
                return Err(Failure::failed(format!("there is no device {device}")));
            }
            emit(&Journal::DeviceRevoked { device });
            Ok(())
        }
    }
}

/// 256 random bits.
fn drawn() -> String {
    let mut bits = [0; 32];
    random::fill(&mut bits);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bits)
}

/// A machine must not have the name of another user at the broker: its account would take that one's place.
fn refuse_taken_names(config: &Config, device: &DeviceId) -> Result<(), Failure> {
    let administrator = match &config.accounts {
        Some(Door::Plugin(broker)) => broker.username.as_deref(),
        Some(Door::Passwords(..)) | None => None,
    };
    let own = config.mqtt.as_ref().and_then(|mqtt| mqtt.username.as_deref());
    match [own, administrator].into_iter().flatten().any(|name| name == device.as_str()) {
        true => Err(Failure::usage(format!("{device} is the name of the backend itself at the broker: give the machine another name"))),
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

fn as_json(device: &Device, code_until: Option<Wall>) -> String {
    let Device { id, added, revoked, relay_key, relay_key_since, relay_key_by, other_key, other_key_since } = device;
    let at = |at: &Option<Wall>| at.map(|at| at.to_rfc3339_wib());
    json!({
        "device": id,
        "added": added.to_rfc3339_wib(),
        "revoked": at(revoked),
        "relay_key": relay_key.as_ref().map(RelayKey::fingerprint),
        "relay_key_since": at(relay_key_since),
        "relay_key_by": relay_key_by,
        "other_key": other_key.as_ref().map(RelayKey::fingerprint),
        "other_key_since": at(other_key_since),
        "code_until": at(&code_until),
    })
    .to_string()
}
