//! Tries the hardware before anything is written: a test card, and pulses of lines. A person says what each pulse moved.
//! Nothing of it stays if the set-up is given up.

use super::Setup;
use super::answers::Answers;
use super::dialogue::{Dialogue, Seen};
use super::present::Present;
use super::settle::Checked;
use super::text::{fill, texts};
use crate::machine::Service;
use crate::screen::Card;
use crate::site::Site;
use crate::{hardware, print};
use qris_core::order::outcome::Outcome;
use qris_core::wire::dbus::{DEVICE_NAME, DEVICE_PATH};
use qris_device::screen::SurfaceSettings;
use qris_host::Failure;
use qris_relay::config::{Config as RelayConfig, LineSettings};
use qris_relay::outlet::line::PulsedLine;
use qris_relay::pin::{Chip, Pin};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Done,
    Turned,
    /// A line moved something else: all lines are asked for again.
    LinesAgain,
}

pub(super) struct Trial<'a> {
    site: &'a Site,
    driven: Driven<fn(&Pin)>,
    is_card_over: bool,
    /// Lines whose trial is finished.
    settled: Vec<(String, Option<Chip>)>,
}

impl<'a> Trial<'a> {
    pub(super) fn new(site: &'a Site, present: &Present) -> Self {
        let ours = present.pins().into_iter().map(|(name, offset, active_low)| (Chip::Gpio { name, offset }, active_low)).collect();
        Self { site, driven: Driven { pins: Vec::new(), ours, give_back: hardware::give_back }, is_card_over: false, settled: Vec::new() }
    }

    /// Shows the test card and gives the pulses that were asked for. In a conversation a failure is told, and the
    /// conversation goes on.
    pub(super) async fn run(
        &mut self,
        setup: &Setup,
        checked: &mut Checked,
        mut dialogue: Option<&mut Dialogue<'_>>,
        answers: &mut Answers,
    ) -> Result<Next, Failure> {
        if !self.is_card_over {
            self.is_card_over = true;
            let asked = match (&mut dialogue, setup.test_card) {
                (_, Some(_)) => true,
                (Some(dialogue), None) if checked.device.machine.screen_required => dialogue.yes(texts().test_card, false)?,
                (Some(_) | None, None) => false,
            };
            if asked {
                let shown = self.card(setup, checked, dialogue.as_deref_mut()).await;
                forgiven(shown, dialogue.is_some())?;
            }
            self.named(&setup.pulse, &checked.relay.lines)?;
        }
        match dialogue {
            Some(dialogue) if setup.pulse.is_empty() => self.shown(&mut checked.relay.lines, dialogue, answers),
            Some(_) | None => Ok(Next::Done),
        }
    }

    /// Pulses the lines that flags name. All names are looked up before the first line moves something.
    fn named(&mut self, names: &[String], lines: &[LineSettings]) -> Result<(), Failure> {
        let named = names.iter().map(|name| {
            lines.iter().find(|line| line.name == *name).ok_or_else(|| {
                let names: Vec<_> = lines.iter().map(|line| line.name.as_str()).collect();
                Failure::usage(fill(texts().pulse_unknown, &[&format!("{name:?}"), &names.join(", ")]))
            })
        });
        for line in named.collect::<Result<Vec<_>, _>>()? {
            self.pulse(line)?;
        }
        Ok(())
    }

    fn shown(&mut self, lines: &mut [LineSettings], dialogue: &mut Dialogue<'_>, answers: &mut Answers) -> Result<Next, Failure> {
        let mut next = Next::Done;
        for line in lines {
            let this = (line.name.clone(), pin_of(line).map(|pin| pin.chip.clone()));
            // A trial that cannot be done is not offered.
            if self.settled.contains(&this) || self.is_elsewhere(line) {
                continue;
            }
            self.settled.push(this);
            let quoted = format!("{:?}", line.name);
            let once_more = fill(texts().once_more, &[&quoted]);
            let mut goes_on = dialogue.yes(&fill(texts().pulse, &[&quoted]), false)?;
            while goes_on {
                let pulsed = self.pulse(line);
                if pulsed.is_err() {
                    forgiven(pulsed, true)?;
                    goes_on = dialogue.yes(&once_more, false)?;
                    continue;
                }
                let turned = line.outlet.line().map(PulsedLine::turned_over);
                goes_on = match (dialogue.seen()?, turned) {
                    (Seen::Right, _) => dialogue.yes(&once_more, false)?,
                    (Seen::Inverted, Some(turned)) => {
                        let active_low = turned.pin.active_low;
                        line.outlet = Arc::new(turned);
                        answers.turn_over(&line.name, active_low);
                        if next == Next::Done {
                            next = Next::Turned;
                        }
                        print::line(&fill(texts().turned, &[&active_low]))?;
                        dialogue.yes(&once_more, true)?
                    }
                    // A line without a level cannot be turned over.
                    (Seen::Wrong, _) | (Seen::Inverted, None) => {
                        let again = dialogue.yes(&once_more, false)?;
                        if !again && dialogue.yes(texts().lines_again, true)? {
                            next = Next::LinesAgain;
                        }
                        again
                    }
                };
            }
        }
        Ok(next)
    }

    fn is_elsewhere(&self, line: &LineSettings) -> bool {
        let pin = line.outlet.line().and_then(|outlet| outlet.pin.chip.name());
        !self.site.runs() && (pin.is_some() || line.outlet.device().is_some())
    }

    fn pulse(&mut self, line: &LineSettings) -> Result<(), Failure> {
        if self.is_elsewhere(line) {
            return Err(Failure::usage(texts().pulse_not_here));
        }
        let pulsed = hardware::pulse(line);
        // A line that could not be taken belongs to somebody else. If only its sensor refused, the line was taken.
        if let Some(outlet) = line.outlet.line().filter(|outlet| pulsed.is_ok() || outlet.sensor.is_some()) {
            self.driven.pins.push(outlet.pin.clone());
        }
        let ended = pulsed.map_err(|why| Failure::failed(fill(texts().pulse_taken, &[&line.name, &why])))?;
        let name = format!("{:?}", line.name);
        let is_seen = line.outlet.line().is_some_and(|outlet| outlet.sensor.is_some());
        match ended.outcome {
            Outcome::Dispensed => print::line(&fill(if is_seen { texts().driven_and_seen } else { texts().driven }, &[&name])),
            Outcome::Failed | Outcome::NotDriven => Err(Failure::failed(fill(texts().pulse_failed, &[&name, &ended.detail]))),
            Outcome::Uncertain => Err(Failure::failed(fill(texts().pulse_uncertain, &[&name, &ended.detail]))),
        }
    }

    async fn card(&self, setup: &Setup, checked: &Checked, dialogue: Option<&mut Dialogue<'_>>) -> Result<(), Failure> {
        let device = &checked.device;
        let surface = &device.machine.appearance.surface;
        if !self.site.runs() && !matches!(surface, SurfaceSettings::Virtual { .. }) {
            return Err(Failure::usage(texts().card_not_here));
        }
        // Without a bus there is nobody to ask, and nobody answers to the name.
        if let (true, Some(bus)) = (self.site.runs(), &device.controller)
            && let Ok(service) = Service::connect_at(bus, DEVICE_NAME, DEVICE_PATH).await
            && service.is_there().await
        {
            return Err(Failure::failed(texts().card_taken));
        }
        let card = Card::show(device.machine.appearance.clone()).await?;
        match (dialogue, setup.test_card) {
            (Some(dialogue), None) => dialogue.seen_card()?,
            (_, seconds) => tokio::time::sleep(Duration::from_secs(seconds.unwrap_or(0))).await,
        }
        drop(card);
        if let SurfaceSettings::Virtual { path, .. } = surface {
            hardware::give_to_its_directorys_owner(path);
        }
        Ok(())
    }

    /// All files are in their places: the lines belong to the service now.
    pub(super) fn written(&mut self, relay: &RelayConfig) {
        self.driven.ours = relay.lines.iter().filter_map(pin_of).map(|pin| (pin.chip.clone(), pin.active_low)).collect();
    }
}

fn pin_of(line: &LineSettings) -> Option<&Pin> {
    line.outlet.line().map(|outlet| &outlet.pin)
}

/// Pins that were driven. When this is dropped, it gives back those that no configuration has. So nothing stays driven after
/// a set-up that is given up, whatever ended it.
struct Driven<G: Fn(&Pin)> {
    pins: Vec<Pin>,
    /// The pins that stay as they are, inactive.
    ours: Vec<(Chip, bool)>,
    give_back: G,
}

impl<G: Fn(&Pin)> Drop for Driven<G> {
    fn drop(&mut self) {
        for (at, pin) in self.pins.iter().enumerate() {
            let is_ours = self.ours.iter().any(|(chip, active_low)| (chip, *active_low) == (&pin.chip, pin.active_low));
            // Only the last level that drove it counts.
            let is_last = self.pins[at + 1..].iter().all(|later| later.chip != pin.chip);
            if is_last && !is_ours {
                (self.give_back)(pin);
            }
        }
    }
}

/// Where a person can decide, a failure is told and does not end the set-up.
fn forgiven(result: Result<(), Failure>, told: bool) -> Result<(), Failure> {
    match result {
        Err(failure) if told => failure.lines("qrisctl").iter().try_for_each(|line| print::line(&print::plain(line))),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qris_relay::chip::ChipName;
    use std::cell::RefCell;

    fn chip(offset: u32) -> Chip {
        Chip::Gpio { name: ChipName::new("pl061").expect("a label"), offset }
    }

    fn pin(offset: u32, active_low: bool) -> Pin {
        Pin::of(chip(offset), active_low)
    }

    #[test]
    fn a_pin_that_was_driven_is_given_back_unless_it_is_a_line_now() {
        let given = RefCell::new(Vec::new());
        let note = |pin: &Pin| given.borrow_mut().push(pin.clone());
        let driven = |ours: Vec<(Chip, bool)>| Driven {
            pins: vec![pin(5, false), pin(5, true), pin(6, true), pin(7, false)],
            ours,
            give_back: note,
        };
        // Nothing was written: all pins are given back, each once.
        drop(driven(Vec::new()));
        assert_eq!(given.take(), [pin(5, true), pin(6, true), pin(7, false)]);
        // 7 was another choice, and was taken back.
        drop(driven(vec![(chip(5), true), (chip(6), true)]));
        assert_eq!(given.take(), [pin(7, false)]);
        // Now 5 is a line with the other level: the level at which the trial left it drives that line.
        drop(driven(vec![(chip(5), false), (chip(6), true), (chip(7), false)]));
        assert_eq!(given.take(), [pin(5, true)]);
    }
}
