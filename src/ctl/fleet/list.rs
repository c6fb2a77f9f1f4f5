//! `fleet list` and `fleet watch`: every machine in one line, once or live.

use super::lacking::Lacking;
use super::retained::{LastWords, Words};
use super::which::Which;
use crate::broker::{Connection, News};
use crate::print;
use qris_core::order::ids::DeviceId;
use qris_core::order::time::Wall;
use qris_host::terminal::{Colour, is_coloured};
use qris_host::{Failure, service};
use serde_json::json;
use std::io::IsTerminal as _;
use std::time::Duration;
use tokio::time::{Instant, interval, sleep_until};

/// A live table is drawn this often at the most.
const DRAW_EVERY: Duration = Duration::from_millis(500);
/// Another command on this computer may change what machines lack, and no message says so.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Puts the cursor at the top left, and clears what is below.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

/// The least width of each column but the last.
const WIDTHS: [usize; 4] = [20, 8, 8, 12];

/// Shows the machines in a table, with what passed over them. With --json: device, status, offline_since, settings, lacks,
/// one object a line.
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
        let lacking = Lacking::read_or_say(&connection);
        let (broker, told) = LastWords::hear(connection, &self.who, Vec::new()).await?;
        broker.leave().await;
        table(&told, &self.who, &lacking, json)?.iter().try_for_each(|line| print::line(line))?;
        for (device, words) in told.meant(&self.who)?.into_iter().filter(|(_, words)| words.is_online()) {
            let lacks = lacking.of(device, words);
            if !lacks.is_empty() {
                let machine = print::machine(words.name(), device);
                print::remark(&format!(
                    "{machine} is there without {}: `qrisctl fleet price --due` sends prices, `fleet config set` a text",
                    lacks.join(", ")
                ));
            }
        }
        Ok(())
    }
}

impl Watch {
    pub(super) async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        let ended = service::terminated();
        let mut ended = std::pin::pin!(ended);
        let mut written_at = Lacking::written_at();
        let mut lacking = Lacking::read_or_say(&connection);
        let (mut broker, mut told) = LastWords::hear(connection.clone(), &self.who, Vec::new()).await?;
        let is_live = !json && std::io::stdout().is_terminal();
        let draw = |told: &LastWords, lacking: &Lacking| -> Result<(), Failure> {
            let lines = table(told, &self.who, lacking, json)?;
            if is_live { print::line(&format!("{CLEAR}{}", lines.join("\n"))) } else { lines.iter().try_for_each(|line| print::line(line)) }
        };
        draw(&told, &lacking)?;
        let mut draw_at: Option<Instant> = None;
        let mut look = interval(LOOK_EVERY);
        loop {
            let due = draw_at;
            let news = tokio::select! {
                _ = &mut ended => {
                    broker.leave().await;
                    return Ok(());
                }
                () = async move { sleep_until(due.unwrap_or_else(Instant::now)).await }, if due.is_some() => {
                    draw_at = None;
                    draw(&told, &lacking)?;
                    continue;
                }
                _ = look.tick() => {
                    let now = Lacking::written_at();
                    if now == written_at {
                        continue;
                    }
                    written_at = now;
                    let before = std::mem::replace(&mut lacking, Lacking::read_or_say(&connection));
                    if is_live {
                        draw_at.get_or_insert_with(|| Instant::now() + DRAW_EVERY);
                        continue;
                    }
                    let mut meant = told.meant(&self.who)?.into_iter();
                    meant.try_for_each(|(device, words)| match lacking.of(device, words) {
                        lacks if lacks == before.of(device, words) => Ok(()),
                        lacks => print_change(device, words, &lacks, json),
                    })?;
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
                        print_change(device, words, &lacking.of(device, words), json)?;
                    }
                }
                News::Lost(reason) => print::remark(&format!("connection lost: {reason}")),
                News::Back => {}
            }
        }
    }
}

fn print_change(device: &DeviceId, words: &Words, lacks: &[String], json: bool) -> Result<(), Failure> {
    print::line(&if json { object(device, words, lacks) } else { line(&row(device, words, lacks), WIDTHS, is_coloured()) })
}

fn table(told: &LastWords, who: &Which, lacking: &Lacking, json: bool) -> Result<Vec<String>, Failure> {
    let meant = told.meant(who)?;
    if json {
        return Ok(meant.into_iter().map(|(device, words)| object(device, words, &lacking.of(device, words))).collect());
    }
    let head = ["MACHINE", "STATE", "RELEASE", "SETTINGS", "FAULTS"].map(str::to_owned);
    let of = |(device, words)| row(device, words, &lacking.of(device, words));
    let rows: Vec<_> = std::iter::once(head).chain(meant.into_iter().map(of)).collect();
    let widths = std::array::from_fn(|at| rows.iter().map(|row| row[at].chars().count()).fold(WIDTHS[at], usize::max));
    Ok(rows.iter().enumerate().map(|(at, row)| line(row, widths, at > 0 && is_coloured())).collect())
}

fn object(device: &DeviceId, Words { status, offline_since, settings, .. }: &Words, lacks: &[String]) -> String {
    let offline_since = offline_since.map(Wall::to_rfc3339);
    json!({ "device": device, "status": status, "offline_since": offline_since, "settings": settings, "lacks": lacks }).to_string()
}

fn row(device: &DeviceId, words: &Words, lacks: &[String]) -> [String; 5] {
    let Words { status, settings, .. } = words;
    let version = match settings {
        None => "?".to_owned(),
        Some(settings) => {
            let now = match settings.version {
                0 => "own file".to_owned(),
                version if settings.own_file => format!("own file (version {version})"),
                version => version.to_string(),
            };
            let next = settings.waiting.as_ref().map_or_else(String::new, |next| format!(", then {}", next.version));
            let refused = settings.refused.as_ref().map_or("", |_| ", one refused");
            format!("{now}{next}{refused}")
        }
    };
    let version = if lacks.is_empty() { version } else { format!("{version}, lacks {}", lacks.join(", ")) };
    let faults: Vec<_> = status.iter().flat_map(|status| status.faults.iter().flatten()).map(|fault| fault.code.as_str()).collect();
    [print::machine(words.name(), device), words.state(), print::plain(words.release()), version, print::plain(&faults.join(", "))]
}

fn line([machine, state, release, settings, faults]: &[String; 5], [a, b, c, d]: [usize; 4], colours: bool) -> String {
    let before = format!("{machine:<a$} {state:<b$} {release:<c$} {settings:<d$} ");
    match faults.as_str() {
        "" => before.trim_end().to_owned(),
        faults if colours => before + &Colour::Red.put_on(faults),
        faults => before + faults,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qris_core::order::ids::KeyId;
    use qris_core::wire::settings::{Objection, RefusedSettings, Reported, Waiting};

    #[test]
    fn the_settings_of_a_machine_are_told_with_what_waits_and_what_was_refused() {
        let device = DeviceId::new("vm-001").expect("an id");
        let told = |settings: Option<Reported>| row(&device, &Words { settings, ..Words::default() }, &[])[3].clone();
        let of = |version| Reported { version, ..Reported::default() };
        let kid = KeyId::new("desk").expect("an id");
        let waiting = Some(Waiting { version: 8, kid, effective_at: None });
        let refused = Some(RefusedSettings { version: None, code: Objection::Conflict, message: "".into(), faults: Vec::new() });
        for (settings, wanted) in [
            (None, "?"),
            (Some(of(0)), "own file"),
            (Some(of(7)), "7"),
            (Some(Reported { own_file: true, ..of(7) }), "own file (version 7)"),
            (Some(Reported { waiting: waiting.clone(), ..of(7) }), "7, then 8"),
            (Some(Reported { refused: refused.clone(), ..of(7) }), "7, one refused"),
            (Some(Reported { waiting, refused, ..of(7) }), "7, then 8, one refused"),
        ] {
            assert_eq!(told(settings), wanted);
        }
        let lacks = ["A1 at Rp6.000".to_owned()];
        assert_eq!(row(&device, &Words { settings: Some(of(7)), ..Words::default() }, &lacks)[3], "7, lacks A1 at Rp6.000");
    }
}
