//! `fleet list` and `fleet watch`: every machine in one line, once or live.

use super::retained::{LastWords, Words};
use super::which::Which;
use crate::broker::{Connection, News};
use crate::print;
use qris_core::order::ids::DeviceId;
use qris_host::terminal::{Colour, is_coloured};
use qris_host::{Failure, service};
use serde_json::json;
use std::io::IsTerminal as _;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// A live table is drawn this often at the most.
const DRAW_EVERY: Duration = Duration::from_millis(500);
/// Puts the cursor at the top left, and clears what is below.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

/// Shows the machines in a table. With --json: device, status, settings, one object a line.
#[derive(clap::Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    who: Which,
}

/// Shows the machines in a table that follows them, until it is interrupted. Where the output is no terminal, or with --json: a line
/// for each machine now, and one for each change.
#[derive(clap::Args, Debug)]
pub(crate) struct Watch {
    #[command(flatten)]
    who: Which,
}

impl List {
    pub(super) async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        let (broker, told) = LastWords::hear(connection, &self.who, Vec::new()).await?;
        broker.leave().await;
        table(&told, &self.who, json)?.iter().try_for_each(|line| print::line(line))
    }
}

impl Watch {
    pub(super) async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        let ended = service::terminated();
        let mut ended = std::pin::pin!(ended);
        let (mut broker, mut told) = LastWords::hear(connection, &self.who, Vec::new()).await?;
        let is_live = !json && std::io::stdout().is_terminal();
        let draw = |told: &LastWords| -> Result<(), Failure> {
            let lines = table(told, &self.who, json)?;
            if is_live { print::line(&format!("{CLEAR}{}", lines.join("\n"))) } else { lines.iter().try_for_each(|line| print::line(line)) }
        };
        draw(&told)?;
        let mut draw_at: Option<Instant> = None;
        loop {
            let due = draw_at;
            let news = tokio::select! {
                _ = &mut ended => {
                    broker.leave().await;
                    return Ok(());
                }
                () = async move { sleep_until(due.unwrap_or_else(Instant::now)).await }, if due.is_some() => {
                    draw_at = None;
                    draw(&told)?;
                    continue;
                }
                news = broker.next() => news,
            };
            match news {
                News::Message(message) => {
                    let Some(device) = told.take(&message) else { continue };
                    if is_live {
                        draw_at.get_or_insert_with(|| Instant::now() + DRAW_EVERY);
                    } else if let Some((device, words)) = told.meant(&self.who)?.into_iter().find(|(known, _)| **known == device) {
                        print::line(&row(device, words, json))?;
                    }
                }
                News::Lost(reason) => print::remark(&format!("connection lost: {reason}")),
                News::Back => {}
            }
        }
    }
}

fn table(told: &LastWords, who: &Which, json: bool) -> Result<Vec<String>, Failure> {
    let head = (!json).then(|| cells(["MACHINE", "STATE", "RELEASE", "SETTINGS", "FAULTS"]));
    let rows = told.meant(who)?.into_iter().map(|(device, words)| row(device, words, json));
    Ok(head.into_iter().chain(rows).collect())
}

fn row(device: &DeviceId, words: &Words, json: bool) -> String {
    let Words { status, settings, .. } = words;
    if json {
        return json!({ "device": device, "status": status, "settings": settings }).to_string();
    }
    let version = match settings {
        None => "?".to_owned(),
        Some(settings) => match (settings.version, &settings.waiting) {
            (version, Some(next)) => format!("{version}, then {}", next.version),
            (0, None) => "own file".to_owned(),
            (version, None) => version.to_string(),
        },
    };
    let faults: Vec<_> = status.iter().flat_map(|status| status.faults.iter().flatten()).map(|fault| fault.code.as_str()).collect();
    let faults = print::plain(&faults.join(", "));
    let line = print::plain(&cells([device.as_str(), words.state(), words.release(), &version, &faults]));
    match line.strip_suffix(&faults) {
        Some(before) if !faults.is_empty() && is_coloured() => before.to_owned() + &Colour::Red.put_on(&faults),
        Some(_) | None => line,
    }
}

fn cells([device, state, release, settings, faults]: [&str; 5]) -> String {
    format!("{device:<20} {state:<8} {release:<8} {settings:<12} {faults}").trim_end().to_owned()
}
