//! Makes files from the answers: composes them, checks them as the services do, and tries them by connecting. If a person
//! is there, wrong answers are asked for again.

use super::answers::Answers;
use super::compose::{ComposeError, Composed, compose};
use super::dialogue::Dialogue;
use super::goods::pin_objection;
use super::output::Output;
use super::part::Part;
use super::present::Present;
use super::text::{fill, texts};
use super::{Setup, operators};
use crate::doctor::contact;
use crate::found::texts as found_texts;
use crate::site::Site;
use crate::staging::Staging;
use crate::{connectivity, hardware, print};
use qris_device::config::Config as DeviceConfig;
use qris_host::Failure;
use qris_host::config::{Fault, Faults};
use qris_host::finding::{self, Finding};
use qris_relay::config::Config as RelayConfig;
use qris_relay::pin::Chip;
use std::collections::BTreeSet;

/// Both configurations, as the services would read them.
pub(super) struct Checked {
    pub(super) device: DeviceConfig,
    pub(super) relay: RelayConfig,
}

/// The values that stay the same from one try to the next.
pub(super) struct Settling<'a> {
    pub(super) setup: &'a Setup,
    pub(super) site: &'a Site,
    pub(super) staging: &'a Staging,
    pub(super) present: &'a Present,
    pub(super) output: &'a Output,
}

impl Settling<'_> {
    /// Tries until all of it is good, or until the person wants it all the same. `looks`: connects, too.
    pub(super) async fn settle(
        &self,
        mut dialogue: Option<&mut Dialogue<'_>>,
        answers: &mut Answers,
        looks: bool,
    ) -> Result<(Composed, Checked), Failure> {
        let Setup { secrets, force, offline, .. } = *self.setup;
        loop {
            let ask = |question: &str| dialogue.as_mut().map_or(Ok(false), |dialogue| dialogue.yes(question, false));
            for remark in operators::settle(self.site, self.present, &self.setup.operator, answers, ask)? {
                self.output.remark(&remark)?;
            }
            let composed = compose(self.site, self.staging, self.present, answers, secrets, force);
            let (composed, checked) = match composed.and_then(|composed| check(&composed).map(|checked| (composed, checked))) {
                Ok(both) => both,
                Err(failure) => {
                    let parts = parts_of(&failure);
                    let Some(dialogue) = &mut dialogue else {
                        self.name_flags(&parts);
                        return Err(failure);
                    };
                    refusals(&failure).iter().try_for_each(|line| print::line(&print::plain(line)))?;
                    if dialogue.again(&parts, answers).await? {
                        continue;
                    }
                    return Err(failure);
                }
            };
            let mut findings = hardware::findings(self.site, &checked.device, &checked.relay, offline || !self.site.runs());
            if self.site.runs() {
                findings.extend(unusable(self.site, &checked.relay));
            }
            findings.extend(contact(&checked.device));
            if looks {
                findings.extend(connectivity::outside(&checked.device, None, &connectivity::stored(self.site, &checked.device)).await.0);
            }
            for finding in &mut findings {
                finding.said = composed.qrisd.as_written(&finding.said);
            }
            finding::tell(&findings, self.output.json, print::line)?;
            let Some(bad) = finding::verdict(&findings) else { return Ok((composed, checked)) };
            let all_the_same = match &mut dialogue {
                Some(dialogue) => {
                    if dialogue.again(&findings.iter().filter_map(Part::of_finding).collect(), answers).await? {
                        continue;
                    }
                    force || dialogue.yes(texts().write_all_the_same, false)?
                }
                None => force,
            };
            if all_the_same {
                return Ok((composed, checked));
            }
            let advice = if offline { "" } else { texts().or_with_force };
            return Err(Failure::failed(fill(texts().mended, &[&bad, &advice])));
        }
    }

    /// Faults name lines of a file that nobody has seen yet. So the flags are named beside them.
    fn name_flags(&self, parts: &BTreeSet<Part>) {
        for part in parts.iter().filter(|part| self.setup.says(**part)) {
            let (words, flags) = part.name_and_flags();
            print::remark(&format!("{words} ({flags}):"));
        }
    }
}

/// The pins that the relay service will not get.
fn unusable(site: &Site, relay: &RelayConfig) -> Vec<Finding> {
    let pins = relay.pins().into_iter().filter_map(|(_, pin)| match &pin.chip {
        // Another check tells of a chip that is not there.
        Chip::Gpio { name, offset } => Some((hardware::device(site, name)?, *offset)),
        Chip::Sim(_) => None,
    });
    let why = pins.filter_map(|(path, offset)| hardware::chip(&path).map_or_else(Some, |chip| pin_objection(&chip, offset)));
    why.map(|why| Finding::bad("gpio", why, found_texts().not_there_do)).collect()
}

fn parts_of(failure: &Failure) -> BTreeSet<Part> {
    let error = failure.error();
    if let Some(faults) = error.downcast_ref::<Faults>() {
        return faults.iter().filter_map(Part::of_fault).collect();
    }
    error.downcast_ref::<ComposeError>().map(ComposeError::parts).into_iter().flatten().collect()
}

/// The refusals in words, without places in a file that nobody has seen.
fn refusals(failure: &Failure) -> Vec<String> {
    let error = failure.error();
    let Some(faults) = error.downcast_ref::<Faults>() else { return failure.lines(texts().cannot_be) };
    let words = |fault: &Fault| match Part::of_fault(fault) {
        Some(part) => {
            let key = fault.key.as_deref().and_then(|key| key.rsplit_once('.'));
            let key = key.map(|(_, key)| format!(" ({key})")).unwrap_or_default();
            format!("{}: {}{key}: {}", texts().cannot_be, part.name_and_flags().0, fault.why)
        }
        None => fill(texts().in_the_file, &[fault]),
    };
    faults.iter().map(words).collect()
}

/// Checks the files by the services' own code.
fn check(composed: &Composed) -> Result<Checked, Failure> {
    let Composed { qrisd, relay, .. } = composed;
    let both = (DeviceConfig::from_source(qrisd), RelayConfig::from_source(relay));
    let (device, relays) = match both {
        (Ok(device), Ok(relays)) => (device, relays),
        (Err(faults), Ok(_)) | (Ok(_), Err(faults)) => return Err(faults.into()),
        (Err(faults), Err(others)) => return Err(faults.and(others).into()),
    };
    device.check_against(qrisd.path(), relay)?;
    relays.check_against(relay.path(), qrisd)?;
    Ok(Checked { device, relay: relays })
}
