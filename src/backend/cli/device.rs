//! `qris-backend device`: the machines that are let in.

mod bundle;

use super::machines;
use super::print::{Column, Out, heading, left, row};
use crate::backend::config::Config;
use crate::backend::devices::{self, Device, Listed};
use crate::host::events::{Event as Journal, emit};
use crate::host::{Failure, clock, random};
use crate::order::ids::DeviceId;
use base64::Engine as _;
use clap::Subcommand;
use serde_json::json;

/// The machines that are let in.
#[derive(Debug, Subcommand)]
pub enum Devices {
    /// Let a machine in; its new token is written to standard output, once
    Add {
        /// Its name
        id: String,
        /// Replace the token of a machine that has one, which is good no more; also to let a revoked one in again
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        bundle: Box<bundle::Bundle>,
    },
    /// List machines
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Let a machine in no more
    Revoke {
        /// Its name
        id: String,
    },
}

const COLUMNS: [Column; 3] = [left("MACHINE", 40), left("ADDED (+07:00)", 19), left("REVOKED (+07:00)", 19)];

/// Runs the command.
pub async fn run(config: &Config, command: Devices) -> Result<(), Failure> {
    let now = clock::now().wall;
    let mut out = Out::default();
    match command {
        Devices::Add { id, replace, bundle } => {
            let device = DeviceId::new(&id).map_err(Failure::usage)?;
            let mut bits = [0; 32];
            random::fill(&mut bits);
            let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bits);
            // All that can be wrong is found before the machine is let in: the token is told once.
            let draft = bundle.draft(config, &device)?;
            let remarks = draft.as_ref().map(bundle::Draft::remarks).unwrap_or_default();
            let written = draft.map(|draft| draft.with(&token)).transpose()?;
            let store = machines(config, true)?;
            let (hash, wanted) = (devices::hash(&token), device.clone());
            if !store.run(move |tx| devices::add(tx, &wanted, &hash, replace, now)).await.map_err(Failure::failed)? {
                let why = format!("{device} has a token already: with --replace it gets a new one, and the old one is good no more");
                return Err(Failure::failed(why));
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
        Devices::List { json } => {
            let Listed { machines: list, damaged } = machines(config, false)?.read(devices::list).await.map_err(Failure::failed)?;
            if json {
                list.iter().try_for_each(|device| out.line(&as_json(device)))?;
                return readable(&damaged);
            }
            out.line(&heading(&COLUMNS))?;
            let cells = |device: &Device| {
                [device.id.to_string(), device.added.to_midtrans(), device.revoked.map_or("-".into(), |at| at.to_midtrans())]
            };
            list.iter().try_for_each(|device| out.line(&row(&COLUMNS, &cells(device))))?;
            readable(&damaged)
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

/// A row that cannot be read is no machine of the list, and must not be missed in it.
fn readable(damaged: &[Box<str>]) -> Result<(), Failure> {
    if damaged.is_empty() {
        return Ok(());
    }
    let names = damaged.join(", ");
    Err(Failure::failed(format!("damaged, and not let in: {names}. `device add ID --replace` gives one a new token; look at the disk")))
}

fn as_json(device: &Device) -> String {
    let Device { id, added, revoked, .. } = device;
    json!({ "device": id, "added": added.to_rfc3339_wib(), "revoked": revoked.map(|at| at.to_rfc3339_wib()) }).to_string()
}
