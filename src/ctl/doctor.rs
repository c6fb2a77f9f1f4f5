//! `doctor`: does everything work that selling needs? Each fault is told with its remedy. It changes nothing, starts
//! nothing, and moves nothing.

mod files;
mod hangs;
mod here;

use super::broker::Connection;
use super::site::{QRISD_TOML, Site, is_root};
use super::staging::Staging;
use super::{chips, hardware, look, print};
use qris_core::order::time::Span;
use qris_core::wire::orders::{OpenOrders, Order, Status};
use qris_device::config::Config as DeviceConfig;
use qris_host::Failure;
use qris_host::config::{Faults, Source};
use qris_host::finding::{self, Finding};
use qris_relay::config::Config as RelayConfig;
use std::path::{Path, PathBuf};

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
}

/// The good parts of the configuration.
#[derive(Default)]
struct Configured {
    device: Option<DeviceConfig>,
    relay: Option<RelayConfig>,
}

impl Doctor {
    pub(super) async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        let site = Site::below(&self.root).map_err(|why| Failure::usage(format!("{}: {why}", self.root.display())))?;
        let qrisd_toml = connection.config.unwrap_or_else(|| QRISD_TOML.into());
        let staging = Staging::new()?;
        let mut findings = Vec::new();
        if !is_root() {
            findings.push(Finding::warn("doctor", "does not run as root, and cannot see everything", "sudo qrisctl doctor"));
        }
        let (configured, found) = configuration(&site, &staging, &qrisd_toml)?;
        let is_configured = finding::verdict(&found).is_none();
        findings.extend(found);
        findings.extend(files::users(&site));
        findings.extend(files::guarded(&site, &qrisd_toml));
        findings.extend(configured.device.as_ref().and_then(|device| files::policy(&site, &device.relay)));
        findings.extend(files::state(&site, configured.device.as_ref(), configured.relay.as_ref()));
        findings.extend(here::services(&site));
        findings.extend(here::versions(&site));
        findings.extend(hangs::watchdog(&site));
        if let (Some(device), Some(relay)) = (&configured.device, &configured.relay) {
            findings.extend(hardware::findings(&site, device, relay, !site.runs()));
            findings.extend(chips::findings(&site, relay));
            if site.runs() {
                findings.extend(here::pins(&site, relay));
                findings.extend(hangs::lines(&site, &relay.lines));
            }
        }
        if let Some(device) = &configured.device {
            findings.extend(contact(device));
            if site.runs() {
                findings.extend(here::relay(device).await);
                findings.extend(here::device(device).await);
            }
            if !self.offline {
                findings.extend(outside(device).await);
            }
        }
        tell(&findings, json)?;
        match finding::verdict(&findings) {
            None => Ok(()),
            Some(bad) if is_configured => Err(Failure::failed(bad)),
            Some(bad) => Err(Failure::usage(bad)),
        }
    }
}

fn tell(findings: &[Finding], json: bool) -> Result<(), Failure> {
    findings.iter().try_for_each(|finding| match json {
        true => print::line(&finding.json()),
        false => finding.words().iter().try_for_each(|line| print::line(line)),
    })
}

/// A finding if customers have nobody to call.
pub(super) fn contact(device: &DeviceConfig) -> Option<Finding> {
    device.remark().map(|why| Finding::warn("contact", why, "sudo qrisctl setup --contact TEXT"))
}

/// Both configurations, checked by the services' own code.
fn configuration(site: &Site, staging: &Staging, qrisd_toml: &Path) -> Result<(Configured, Vec<Finding>), Failure> {
    const CHECK: &str = "config";
    let mut places = site.places();
    staging.credentials(site, &mut places)?;
    let relay_toml = qrisd_toml.with_file_name("relay.toml");
    let (mut configured, mut findings) = (Configured::default(), Vec::new());
    let read = |path: &Path| {
        // Faults name the file by its path on that system.
        let source = Source::read(&site.at(path));
        source.map(|source| Source::from_text(path, source.text()).with_places(places.clone()))
    };
    let sources = [read(qrisd_toml), read(&relay_toml)];
    let faults = |faults: Faults| -> Vec<Finding> {
        let to_do = |why: &str| if why.contains("cannot be read: No such file") { "sudo qrisctl setup makes it" } else { "correct it" };
        faults.iter().map(|fault| fault.to_string()).map(|said| Finding::bad(CHECK, &*said, to_do(&said))).collect()
    };
    let [qrisd, relayd] = sources;
    match qrisd.as_ref().map_err(Clone::clone).and_then(DeviceConfig::from_source) {
        Ok(device) => configured.device = Some(device),
        Err(wrong) => findings.extend(faults(wrong)),
    }
    match relayd.as_ref().map_err(Clone::clone).and_then(RelayConfig::from_source) {
        Ok(relay) => configured.relay = Some(relay),
        Err(wrong) => findings.extend(faults(wrong)),
    }
    if let (Ok(qrisd), Ok(relayd), Some(device), Some(relay)) = (&qrisd, &relayd, &configured.device, &configured.relay) {
        // A fault that one of them finds, the other mostly finds too. So only the first tells it.
        let together = device.check_against(qrisd.path(), relayd).and_then(|()| relay.check_against(relayd.path(), qrisd));
        match together {
            Ok(()) => findings
                .push(Finding::ok(CHECK, format!("{} and {} are good, and fit together", qrisd_toml.display(), relay_toml.display()))),
            Err(wrong) => findings.extend(faults(wrong)),
        }
    }
    Ok((configured, findings))
}

/// Broker, backend, clock, keys, and the orders that are open at the backend.
async fn outside(device: &DeviceConfig) -> Vec<Finding> {
    let (broker, asked) = tokio::join!(look::broker(&device.mqtt, &device.machine.device), look::backend(&device.backend));
    let mut findings = vec![broker];
    let keys = look::keys(&device.machine.keys.receipt_kids(), &asked);
    findings.extend(asked.findings);
    findings.push(keys);
    findings.extend(asked.open.as_ref().map(orders));
    findings
}

/// The orders of this machine that are open at the backend.
fn orders(open: &OpenOrders) -> Finding {
    const CHECK: &str = "orders";
    let settled = |order: &&Order| order.status == Status::Settlement && order.outcome.is_none();
    let late = |order: &&Order| order.settled_ago_s.is_some_and(|ago| i64::try_from(ago).is_ok_and(|ago| ago > UNTOLD.0 / 1000));
    let counter = |order: &&Order| order.payment.is_over_the_counter();
    let untold: Vec<_> =
        open.orders.iter().filter(settled).filter(late).filter(|order| !counter(order)).map(|order| order.order_id.as_str()).collect();
    let said = format!("{} open at the backend, {} of them paid", open.orders.len(), open.orders.iter().filter(settled).count());
    if untold.is_empty() {
        return Finding::ok(CHECK, said);
    }
    let said = format!("{said}; paid more than {} minutes ago, and not reported as delivered: {}", UNTOLD.0 / 60_000, untold.join(", "));
    Finding::warn(CHECK, said, "journalctl ORDER_ID=… says why; then decide at the backend: refund or given")
}

#[cfg(test)]
mod tests;
