//! The panels and GPIO chips of this computer, as the kernel lists them.

use super::found::texts;
use super::site::{Site, is_root};
use super::{idle_level, print};
use qris_device::config::Config as DeviceConfig;
use qris_device::screen::SurfaceSettings;
use qris_host::finding::Finding;
use qris_host::interrupt;
use qris_host::speech::fill;
use qris_relay::chip::{self, ChipName};
use qris_relay::config::{Config as RelayConfig, LineSettings};
use qris_relay::outlet::Ending;
use qris_relay::pin::{Chip, HardwareError, Pin, let_go};
use qris_relay::threads::try_once;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
const LINES_MAX: u32 = 512;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Panel {
    /// `/dev/fb0`, `/dev/dri/card0`
    pub(super) device: PathBuf,
    pub(super) said: String,
    /// Would anybody see a picture on it?
    pub(super) is_connected: bool,
}

#[derive(Debug)]
pub(super) struct GpioChip {
    pub(super) device: PathBuf,
    /// The name that its driver gives it.
    pub(super) label: String,
    pub(super) lines: Vec<GpioLine>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GpioLine {
    pub(super) offset: u32,
    /// The name that the board gives it; mostly it has none.
    pub(super) name: String,
    pub(super) holder: Option<String>,
}

/// Framebuffers, then displays.
pub(super) fn panels(site: &Site) -> Vec<Panel> {
    let mut found: Vec<Panel> = entries(&site.at("/sys/class/graphics"))
        .into_iter()
        .filter(|(name, _)| name.strip_prefix("fb").is_some_and(|number| number.parse::<u32>().is_ok()))
        .map(|(name, path)| {
            let read = |file: &str| fs::read_to_string(path.join(file)).unwrap_or_default().trim().to_owned();
            let size = read("virtual_size").replace(',', "x");
            let said = fill(texts().panel_said, &[&read("name"), &size, &read("bits_per_pixel")]);
            Panel { device: Path::new("/dev").join(name), said, is_connected: true }
        })
        .collect();
    // Each connector of a card is an entry of its own: card0-HDMI-A-1.
    for (name, path) in entries(&site.at("/sys/class/drm")) {
        let Some((card, connector)) = name.split_once('-') else { continue };
        let read = |file: &str| fs::read_to_string(path.join(file)).unwrap_or_default();
        let is_connected = read("status").trim() == "connected";
        let mode = read("modes").lines().next().map(|mode| format!(", {mode}")).unwrap_or_default();
        let said = format!("{connector}{}", if is_connected { mode } else { texts().panel_away.into() });
        found.push(Panel { device: Path::new("/dev/dri").join(card), said, is_connected });
    }
    found
}

pub(super) fn chips(site: &Site) -> Vec<Result<GpioChip, String>> {
    let is_chip = |name: &str| name.strip_prefix("gpiochip").is_some_and(|number| number.parse::<u32>().is_ok());
    let found = entries(&site.at("/dev")).into_iter().filter(|(name, _)| is_chip(name));
    found.map(|(_, path)| chip(&path)).collect()
}

/// The label of a chip of that system; none if the chip cannot be asked.
pub(super) fn label(site: &Site, name: &ChipName) -> Option<String> {
    if !name.is_of_hardware() {
        return Some(name.to_string());
    }
    name.among(&chip::present(site.root())).ok()?.label.clone().ok()
}

/// The device of a chip of that system at this moment, as seen from here.
pub(super) fn device(site: &Site, name: &ChipName) -> Option<PathBuf> {
    name.among(&chip::present(site.root())).ok().map(|chip| site.at(&chip.device))
}

pub(super) fn chip(path: &Path) -> Result<GpioChip, String> {
    let failed = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let chip = gpiocdev::Chip::from_path(path).map_err(|why| failed(&why))?;
    let info = chip.info().map_err(|why| failed(&why))?;
    let line = |offset| {
        let line = chip.line_info(offset).map_err(|why| failed(&why))?;
        let holder = line.used.then(|| if line.consumer.is_empty() { texts().the_kernel.to_owned() } else { line.consumer });
        Ok(GpioLine { offset, name: line.name, holder })
    };
    let lines = (0..info.num_lines.min(LINES_MAX)).map(line).collect::<Result<_, String>>()?;
    Ok(GpioChip { device: path.into(), label: info.label, lines })
}

pub(super) fn as_json(site: &Site) -> Vec<Value> {
    let panel = |panel: Panel| json!({ "panel": panel.device, "said": panel.said, "connected": panel.is_connected });
    let line = |line: GpioLine| json!({ "offset": line.offset, "name": line.name, "holder": line.holder });
    let chip = |chip: Result<GpioChip, String>| match chip {
        Ok(chip) => json!({ "chip": chip.device, "label": chip.label, "lines": chip.lines.into_iter().map(line).collect::<Vec<_>>() }),
        Err(why) => json!({ "error": why }),
    };
    panels(site).into_iter().map(panel).chain(chips(site).into_iter().map(chip)).collect()
}

pub(super) fn words(site: &Site) -> Vec<String> {
    let mut told = vec![texts().panels.to_owned()];
    let panels = panels(site);
    told.extend(panels.iter().map(|panel| format!("  {:<16} {}", panel.device.display(), panel.said)));
    if panels.is_empty() {
        told.push(texts().panels_none.into());
    }
    told.extend(chip_words(site));
    told
}

pub(super) fn chip_words(site: &Site) -> Vec<String> {
    let mut told = vec![texts().chips.to_owned()];
    let chips = chips(site);
    if chips.is_empty() {
        told.push(texts().chips_none.into());
    }
    let present = chip::present(site.root());
    // Where several chips share a label, relay.toml has the path of the hardware.
    let hardware = |label: &str, device: &Path| {
        let is_shared = ChipName::new(label).is_ok_and(|name| name.among(&present).is_err());
        present.iter().find(|other| is_shared && site.at(&other.device) == device)?.hardware.clone()
    };
    for chip in chips {
        match chip {
            Ok(chip) => {
                told.push(format!("  {:<16} {}", chip.device.display(), fill(texts().chip_said, &[&chip.label, &chip.lines.len()])));
                told.extend(hardware(&chip.label, &chip.device).map(|hardware| format!("      {hardware}")));
                told.extend(wrapped(&chip.lines));
                told.extend(idle_level::advice(&chip.label).map(|advice| format!("      {advice}")));
            }
            Err(why) => told.push(format!("  {why}")),
        }
    }
    told
}

/// Lines that have a name or a holder, several in a row.
fn wrapped(lines: &[GpioLine]) -> Vec<String> {
    let worth: Vec<_> = lines.iter().filter(|line| !line.name.is_empty() || line.holder.is_some()).map(line_words).collect();
    let mut rows: Vec<String> = Vec::new();
    for word in worth {
        match rows.last_mut() {
            Some(row) if row.chars().count() + word.chars().count() < 100 => {
                row.push_str("   ");
                row.push_str(&word);
            }
            _ => rows.push(format!("      {word}")),
        }
    }
    rows
}

fn line_words(line: &GpioLine) -> String {
    let name = if line.name.is_empty() { String::new() } else { format!(" {}", line.name) };
    let holder = line.holder.as_ref().map(|holder| fill(texts().held, &[holder])).unwrap_or_default();
    format!("{}{name}{holder}", line.offset)
}

/// Is the hardware there that the configurations name? `elsewhere`: they are for another computer, and missing hardware is only
/// remarked.
pub(super) fn findings(site: &Site, device: &DeviceConfig, relay: &RelayConfig, elsewhere: bool) -> Vec<Finding> {
    let found = |check, there: bool, what: &str, to_do: &str| match (there, elsewhere) {
        (true, _) => Finding::ok(check, fill(texts().is_there, &[&what])),
        (false, true) => Finding::warn(check, fill(texts().not_here, &[&what]), texts().not_here_do),
        (false, false) => Finding::bad(check, fill(texts().not_there, &[&what]), to_do),
    };
    let mut findings = Vec::new();
    match &device.machine.appearance.surface {
        SurfaceSettings::Device(path) => {
            findings.push(found("screen", site.at(path).exists(), &path.display().to_string(), texts().not_there_do));
        }
        SurfaceSettings::Any if device.machine.screen_required => {
            let there = panels(site).iter().any(|panel| panel.is_connected);
            findings.push(found("screen", there, texts().a_panel, texts().a_panel_do));
        }
        SurfaceSettings::Any | SurfaceSettings::Virtual { .. } | SurfaceSettings::Memory { .. } => {}
    }
    findings.extend(
        relay.devices().into_iter().map(|path| found("gpio", site.at(path).exists(), &path.display().to_string(), texts().not_there_do)),
    );
    let present = chip::present(site.root());
    findings.extend(relay.chips().into_iter().map(|name| match name.among(&present) {
        Ok(chip) => found("gpio", true, &format!("{name} ({})", chip.device.display()), ""),
        Err(_) if elsewhere => found("gpio", false, name.as_str(), ""),
        // Where the right one is, only root may ask.
        Err(why) if !is_root() && present.iter().any(|chip| chip.label.is_err()) => {
            Finding::warn("gpio", why.to_string(), texts().not_there_do)
        }
        Err(why) => Finding::bad("gpio", why.to_string(), texts().not_there_do),
    }));
    // The chips of another computer cannot be asked.
    if site.runs() {
        findings.extend(idle_level::findings(&relay.lines, |name| label(site, name)));
    }
    findings
}

/// Delivers once from a line, for a person who stands in front of the machine. Afterwards a file that stands for a line must
/// belong to its service and not to us.
pub(super) fn pulse(line: &LineSettings) -> Result<Ending, HardwareError> {
    // A person who presses Ctrl-C at this moment wants the delivery to end.
    let ended = try_once(line, interrupt::came);
    if let Some(Chip::Sim(path)) = line.outlet.line().map(|outlet| &outlet.pin.chip) {
        give_to_its_directorys_owner(path);
    }
    ended
}

/// Makes a line that was pulsed an input, and lets go of it. Then nobody drives it, and the resistor decides its level. The
/// kernel would leave it an output.
pub(super) fn give_back(pin: &Pin) {
    if let Err(why) = let_go(&pin.chip) {
        print::remark(&fill(texts().stays_output, &[&why]));
    }
}

/// The service must be able to use a file that root made for a test.
pub(super) fn give_to_its_directorys_owner(path: &Path) {
    if let Some(Ok(directory)) = path.parent().map(fs::metadata) {
        // A user who is not root made it for himself.
        drop(chown(path, Some(directory.uid()), Some(directory.gid())));
    }
}

/// The entries of a directory by name; numbers sort by value.
fn entries(directory: &Path) -> Vec<(String, PathBuf)> {
    let read = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<_> = read.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path()))).collect();
    found.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
    found
}

#[cfg(test)]
mod tests {
    use super::super::site::put;
    use super::*;

    #[test]
    fn panels_are_found_where_the_kernel_lists_them() {
        let root = tempfile::tempdir().expect("a directory");
        let file = |path: &str, text: &str| put(root.path(), path, text);
        let site = Site::below(root.path()).expect("there");
        assert_eq!(panels(&site), []);
        assert!(words(&site).iter().any(|line| line.contains("neither a framebuffer")), "{:?}", words(&site));
        for (name, text) in [("name", "vc4drmfb\n"), ("virtual_size", "480,800\n"), ("bits_per_pixel", "16\n")] {
            file(&format!("sys/class/graphics/fb0/{name}"), text);
        }
        file("sys/class/graphics/fbcon/cursor_blink", "");
        for (connector, status, modes) in [("card1-HDMI-A-1", "connected", "1920x1080\n800x600\n"), ("card1-DSI-1", "disconnected", "")] {
            file(&format!("sys/class/drm/{connector}/status"), status);
            file(&format!("sys/class/drm/{connector}/modes"), modes);
        }
        file("sys/class/drm/card1/dev", "226:1");
        let panel = |device: &str, said: &str, is_connected| Panel { device: device.into(), said: said.into(), is_connected };
        assert_eq!(
            panels(&site),
            [
                panel("/dev/fb0", "vc4drmfb, 480x800, 16 bits a pixel", true),
                panel("/dev/dri/card1", "DSI-1, no panel connected", false),
                panel("/dev/dri/card1", "HDMI-A-1, 1920x1080", true)
            ]
        );
        assert_eq!(as_json(&site)[0], json!({ "panel": "/dev/fb0", "said": "vc4drmfb, 480x800, 16 bits a pixel", "connected": true }));
        file("dev/gpiochip0", "");
        assert!(as_json(&site)[3]["error"].as_str().is_some_and(|why| why.contains("gpiochip0:")), "{:?}", as_json(&site));
        assert!(words(&site).iter().any(|line| line.contains("gpiochip0:")), "a file that is no chip: {:?}", words(&site));
    }

    #[test]
    fn lines_are_listed_if_something_can_be_said_of_them() {
        let line = |offset, name: &str, holder: Option<&str>| GpioLine { offset, name: name.into(), holder: holder.map(Into::into) };
        let lines = [line(0, "", None), line(3, "KEY", Some("power")), line(17, "GPIO17", None)];
        assert_eq!(wrapped(&lines), ["      3 KEY (held by power)   17 GPIO17"]);
        assert_eq!(wrapped(&vec![lines; 9].concat()).len(), 4, "they do not run over");
    }
}
