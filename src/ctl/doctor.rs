//! `doctor`: does everything work that selling needs? Each fault is told with its remedy. It changes nothing, starts
//! nothing, and moves nothing.

mod field_report;
mod files;
mod hangs;
mod here;
mod root;
mod text;

use super::broker::Connection;
use super::found::texts;
use super::site::{QRISD_TOML, Site, is_root};
use super::staging::{Staging, credentials};
use super::{chips, connectivity, hardware, print};
use qris_core::order::time::Span;
use qris_core::wire::orders::{OpenOrders, OrderResource, Status};
use qris_device::config::Config as DeviceConfig;
use qris_host::config::{About, Fault, Faults, Source};
use qris_host::finding::{self, CONFIG, Finding};
use qris_host::speech::{self, Language, fill};
use qris_host::trust::certificate_time;
use qris_host::{Failure, clock};
use qris_relay::config::Config as RelayConfig;
use root::{AS_ROOT, needs_root};
use std::path::{Path, PathBuf};
use text::texts as words;

/// A paid order is delivered, or ends otherwise, within this time. After it the machine should have told the outcome.
const UNTOLD: Span = Span::secs(900);

/// Looks whether everything works that selling needs, and says what to do where it does not. It changes nothing.
#[derive(clap::Args, Debug)]
#[command(after_help = "Exit status: 0 nothing is bad, 1 something is bad, 2 wrong use, or the configuration is bad and not \
    everything could be checked, 128 + signal where a signal (Ctrl-C) ended it.")]
pub(super) struct Doctor {
    /// Check the system below this directory, which does not run
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Connect to nobody
    #[arg(long)]
    offline: bool,
    /// Also write what helps the makers of these programs into this new file, in English, to read it and to send it
    #[arg(long, value_name = "FILE")]
    field_report: Option<PathBuf>,
    /// The language of what a person reads; by default that of your locale (LANG=id_ID.UTF-8), else English
    #[arg(long, value_name = "LANGUAGE", value_parser = speech::language())]
    speak: Option<Language>,
}

impl Doctor {
    pub(super) async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        // Programs read English, and so does whoever gets a report.
        if !json && self.field_report.is_none() {
            speech::speak(self.speak);
        }
        let site = Site::below(&self.root).map_err(|why| Failure::usage(fill(words().no_root, &[&self.root.display(), &why])))?;
        let fleet = connection.fleet()?;
        let qrisd_toml = connection.config.unwrap_or_else(|| QRISD_TOML.into());
        let staging = Staging::new()?;
        let mut findings = Vec::new();
        if !is_root() {
            findings.push(Finding::warn("doctor", words().not_root, AS_ROOT));
        }
        let (device, relay) = configuration(&site, &staging, &qrisd_toml, &mut findings)?;
        findings.push(files::users(&site));
        findings.extend(files::guarded(&site, &qrisd_toml));
        findings.extend(device.as_ref().and_then(|device| files::policy(&site, &device.relay)));
        findings.extend(files::state(&site, device.as_ref(), relay.as_ref()));
        if site.runs() {
            findings.extend(here::services(&site, [&qrisd_toml.with_file_name("relay.toml"), &qrisd_toml]));
            findings.push(here::versions());
            findings.extend(hangs::watchdog(&site));
        }
        if let (Some(device), Some(relay)) = (&device, &relay) {
            findings.extend(hardware::findings(&site, device, relay, !site.runs()));
            findings.extend(chips::findings(&site, device, relay));
            if site.runs() {
                findings.extend(here::pins(&site, relay));
                findings.extend(hangs::lines(&site, &relay.lines, |name| hardware::label(&site, name)));
            }
        }
        if let Some(device) = &device {
            findings.extend(contact(device));
            let (trusted, clock) = (connectivity::stored(&site, device), clock::now().wall);
            findings.extend(connectivity::stands_in_the_way(trusted.get(), clock));
            // A clock that was reset to 1970 would call every certificate good.
            findings.extend(files::certificates(&device.certificates(), certificate_time(clock, trusted.get())));
            if site.runs() {
                findings.extend(here::relay(device).await);
                findings.extend(here::device(device).await);
            }
            if !self.offline {
                let (found, open) = connectivity::outside(device, fleet.as_ref(), &trusted).await;
                findings.extend(found);
                findings.push(open.as_ref().map_or_else(connectivity::no_keys, orders));
            }
        }
        if let Some(file) = &self.field_report {
            field_report::write(file, &site, relay.as_ref(), &findings)?;
        }
        finding::end(&findings, json, print::line)
    }
}

pub(super) fn contact(device: &DeviceConfig) -> Option<Finding> {
    let is_there = !device.machine.appearance.contact.is_empty();
    let said = if is_there { texts().contact_numberless } else { texts().contact };
    device.remark().map(|_| Finding::warn("contact", said, texts().contact_do))
}

/// Both configurations, as far as they are good, checked by the services' own code.
fn configuration(
    site: &Site,
    staging: &Staging,
    qrisd_toml: &Path,
    findings: &mut Vec<Finding>,
) -> Result<(Option<DeviceConfig>, Option<RelayConfig>), Failure> {
    let mut places = site.places();
    credentials(staging, site, &mut places)?;
    let relay_toml = qrisd_toml.with_file_name("relay.toml");
    let read = |path: &Path| {
        // Faults name the file by its path on that system.
        let source = Source::read(&site.at(path));
        source.map(|source| Source::from_text(path, source.text()).with_places(places.clone()))
    };
    let mut tell = |faults: Faults| {
        findings.extend(faults.iter().map(|fault| finding_of(fault, is_root())));
    };
    let (qrisd, relayd) = (read(qrisd_toml), read(&relay_toml));
    let device = qrisd.as_ref().map_err(Clone::clone).and_then(DeviceConfig::from_source).map_err(&mut tell).ok();
    let relay = relayd.as_ref().map_err(Clone::clone).and_then(RelayConfig::from_source).map_err(&mut tell).ok();
    if let (Ok(qrisd), Ok(relayd), Some(device), Some(relay)) = (&qrisd, &relayd, &device, &relay) {
        // A fault that one of them finds, the other mostly finds too. So only the first tells it.
        match device.check_against(qrisd.path(), relayd).and_then(|()| relay.check_against(relayd.path(), qrisd)) {
            Ok(()) => findings.push(Finding::ok(CONFIG, fill(words().fit, &[&qrisd_toml.display(), &relay_toml.display()]))),
            Err(wrong) => tell(wrong),
        }
    }
    Ok((device, relay))
}

/// A file that others may not read, and a secret that only its service is given: only root can judge them.
fn finding_of(fault: &Fault, is_root: bool) -> Finding {
    match fault.about {
        About::Denied | About::Credential if !is_root => needs_root(CONFIG, fault),
        About::Missing if fault.key.is_none() => Finding::bad(CONFIG, fault.to_string(), words().setup_makes_it),
        About::Missing => Finding::bad(CONFIG, fault.to_string(), words().setup_or_path),
        About::UnknownKey | About::Denied | About::Credential | About::Value => Finding::bad(CONFIG, fault.to_string(), words().correct_it),
    }
}

fn orders(open: &OpenOrders) -> Finding {
    const CHECK: &str = "orders";
    let settled = |order: &&OrderResource| order.status == Status::Settlement && order.outcome.is_none();
    let late = |order: &&OrderResource| order.settled_ago_s.is_some_and(|ago| i64::try_from(ago).is_ok_and(|ago| ago > UNTOLD.0 / 1000));
    let counter = |order: &&OrderResource| order.payment.is_over_the_counter();
    let untold: Vec<_> =
        open.orders.iter().filter(settled).filter(late).filter(|order| !counter(order)).map(|order| order.order_id.as_str()).collect();
    let said = fill(words().open, &[&open.orders.len(), &open.orders.iter().filter(settled).count()]);
    if untold.is_empty() {
        return Finding::ok(CHECK, said);
    }
    let said = fill(words().untold, &[&said, &(UNTOLD.0 / 60_000), &untold.join(", ")]);
    Finding::warn(CHECK, said, words().untold_do)
}

#[cfg(test)]
mod tests;
