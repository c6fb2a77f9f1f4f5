//! What machines can be told to do.

use crate::stock::Done;
use crate::vend::Cancelled;
use clap::Subcommand;
use qris_core::order::ids::ItemId;
use qris_core::wire::command::{self, Action, Command, LogUnit, Logs, Query};
use qris_host::Failure;
use std::path::PathBuf;

/// What is done.
#[derive(Subcommand, Debug)]
pub(crate) enum What {
    /// Read: what the machine's status says
    Status,
    /// Read: the settings that came from afar, with their text
    ConfigGet,
    /// Read: disk, memory, temperature, how long it runs
    Vitals,
    /// Read: everything that a colleague would ask for, as one JSON object
    Diag,
    /// Read: what the screen shows now, as one PNG file for each machine: ID.png. This needs no key
    Screenshot {
        /// The directory for the files
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
    },
    /// Read: the newest requests
    Orders {
        /// How many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=i64::from(command::NEWEST_MAX)))]
        newest: u16,
    },
    /// Read: lines of the journal
    Logs {
        /// Whose: both, qrisd, qris-relayd or kernel
        #[arg(long, default_value = "both", value_parser = unit)]
        unit: LogUnit,
        /// Not older than this, as 2026-12-01T06:00:00+07:00
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// As important as this or more: 0 (emergency) to 7 (debug)
        #[arg(long, value_parser = clap::value_parser!(u8).range(..=7))]
        priority: Option<u8>,
        /// With this text
        #[arg(long)]
        text: Option<String>,
        /// The newest so many
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=i64::from(command::LINES_MAX)))]
        lines: u16,
        /// Go on with what comes, until Ctrl-C
        #[arg(long, short)]
        follow: bool,
    },
    /// Cancel a request (level manage)
    Cancel {
        #[command(flatten)]
        request: Cancelled,
    },
    /// Begin anew with the configuration as it is, once no customer is there (level manage)
    Restart,
    /// Restart the computer, once no customer is there (level service)
    Reboot,
    /// Install an image with RAUC, start it, and keep it once it has proven itself (level service)
    Update {
        /// An address that begins with https://, or a path on the machine
        #[arg(value_parser = bundle)]
        bundle: String,
    },
    /// Say what lies in a slot, or what you have put in (level manage)
    Stock {
        #[command(subcommand)]
        done: Done,
    },
    /// Take the block from the line of an item (level service)
    Clear {
        /// The item
        #[arg(value_parser = ItemId::new)]
        item: ItemId,
    },
    /// Drive the line of an item once, as a test, once no customer is there (level service)
    TestPulse {
        /// The item
        #[arg(value_parser = ItemId::new)]
        item: ItemId,
    },
}

fn bundle(place: &str) -> Result<String, String> {
    let is_good = place.starts_with("https://") || place.starts_with('/');
    if is_good { Ok(place.into()) } else { Err("must begin with https://, or be an absolute path on the machine".into()) }
}

fn unit(word: &str) -> Result<LogUnit, String> {
    serde_json::from_value(word.into()).map_err(|_| "must be both, qrisd, qris-relayd or kernel".into())
}

impl What {
    /// What is signed. `None`: a picture, which needs no signature.
    pub(super) fn command(self) -> Result<Option<Command>, Failure> {
        Ok(Some(match self {
            Self::Status => Query::Status {}.into(),
            Self::ConfigGet => Query::ConfigGet {}.into(),
            Self::Vitals => Query::Vitals {}.into(),
            Self::Diag => Query::Diag {}.into(),
            Self::Screenshot { out: _ } => return Ok(None),
            Self::Orders { newest } => Query::Orders { newest }.into(),
            Self::Logs { unit, since, priority, text, lines, follow: _ } => {
                Query::Logs(Logs { unit, since: since.map(Into::into), priority, text: text.map(Into::into), lines }).into()
            }
            Self::Cancel { request } => Action::Cancel { request_id: request.id() }.into(),
            Self::Restart => Action::Restart {}.into(),
            Self::Reboot => Action::Reboot {}.into(),
            Self::Update { bundle } => Action::Update { bundle: bundle.into() }.into(),
            Self::Stock { done } => {
                let (change, item, n) = done.parts();
                Action::Stock { change, item, n }.into()
            }
            Self::Clear { item } => Action::Clear { item }.into(),
            Self::TestPulse { item } => Action::TestPulse { item }.into(),
        }))
    }
}
