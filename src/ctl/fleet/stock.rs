use super::retained::{LastWords, nothing_of};
use super::which::Which;
use crate::broker::Connection;
use crate::print;
use crate::stock::words;
use qris_core::wire::stock::Stock as Report;
use qris_core::wire::topics::Topic;
use qris_host::Failure;
use serde_json::json;

/// Shows what lies in the slots of machines, as each told last. With --json: device, stock, one object a machine
#[derive(clap::Args, Debug)]
pub(crate) struct Stock {
    #[command(flatten)]
    who: Which,
    /// Only what is low, sold out, suspect, not sold or not counted
    #[arg(long)]
    to_fill: bool,
}

impl Stock {
    pub(super) async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        let (broker, told) = LastWords::hear(connection, &self.who, self.who.filters(Topic::Stock)).await?;
        broker.leave().await;
        let meant = told.meant(&self.who)?;
        let silent: Vec<_> = meant.iter().copied().filter(|(_, words)| !words.has_told_stock).collect();
        for (device, words_of) in meant {
            if json {
                print::line(&json!({ "device": device, "stock": words_of.stock }).to_string())?;
                continue;
            }
            let Some(Report { at, slots, .. }) = &words_of.stock else { continue };
            let at = at.as_deref().map_or_else(String::new, |at| format!(", {}", print::time(at)));
            print::line(&format!("{}{at}", print::machine(words_of.name(), device)))?;
            let needed = |slot: &&qris_core::wire::stock::Slot| {
                !self.to_fill || slot.suspect || slot.barred().is_some() || slot.is_low() || slot.count.is_none()
            };
            slots.iter().filter(needed).try_for_each(|slot| print::line(&print::plain(&format!("  {}", words(slot)))))?;
        }
        nothing_of(&silent, Topic::Stock, "stock", "no slot is counted").iter().for_each(|said| print::remark(said));
        Ok(())
    }
}
