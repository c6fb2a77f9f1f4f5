//! What ends a pulse when no program of ours can? The hardware watchdog, if the kernel hangs; the kernel, if a program dies.
//! Without them the pulse does not end.

use super::text::{fill, texts};
use crate::site::Site;
use qris_host::finding::Finding;
use qris_host::setup::services;
use qris_relay::chip::ChipName;
use qris_relay::config::LineSettings;
use qris_relay::pin::Chip;
use std::fs;

/// The first hardware watchdog. systemd takes this one.
const DEVICE: &str = "/dev/watchdog0";
/// The chips of Raspberry Pi, with the kernel's module for each. The module keeps an output that nobody holds any more as it
/// was, unless it is told otherwise. Raspberry Pi's own kernels do not tell it otherwise; most other kernels do.
const KEEPERS: [(&str, &str); 3] =
    [("pinctrl-bcm2835", "pinctrl_bcm2835"), ("pinctrl-bcm2711", "pinctrl_bcm2835"), ("pinctrl-rp1", "pinctrl_rp1")];
/// The parameter that tells the module; `dtparam=strict_gpiod` only sets this parameter.
/// <https://github.com/raspberrypi/linux/pull/6117>
const PARAMETER: &str = "persist_gpio_outputs";

/// Is a kernel that hangs reset? Ask this only where systemd runs.
pub(super) fn watchdog(site: &Site) -> Option<Finding> {
    if !services::are_there(site) {
        return None;
    }
    let is_there = site.at(DEVICE).exists();
    let asked = || services::systemctl(&["show", "-p", "RuntimeWatchdogUSec", "--value"]);
    Some(fed(is_there.then(asked)))
}

/// `told`: the longest wait that systemd allows, in its words, if there is a watchdog.
fn fed(told: Option<Result<String, String>>) -> Finding {
    const CHECK: &str = "watchdog";
    match told.map(|told| told.map(|text| text.trim().to_owned())) {
        None => Finding::ok(CHECK, fill(texts().no_watchdog, &[&DEVICE])),
        Some(Err(why)) => Finding::warn(CHECK, why, texts().is_whole),
        Some(Ok(time)) if time.is_empty() || time == "0" => Finding::warn(CHECK, texts().unfed, texts().unfed_do),
        // Here the driver's own time counts.
        Some(Ok(time)) if time == "infinity" => Finding::ok(CHECK, texts().fed),
        Some(Ok(time)) => Finding::ok(CHECK, fill(texts().fed_in, &[&time])),
    }
}

/// A warning for each kind of chip that has a line which stays driven when the service dies. `label`: the kernel's name for a
/// chip, where the kernel can be asked.
pub(super) fn lines(site: &Site, lines: &[LineSettings], label: impl Fn(&ChipName) -> Option<String>) -> Vec<Finding> {
    let mut modules: Vec<&str> = Vec::new();
    for line in lines {
        let Some(Chip::Gpio { name, .. }) = line.outlet.line().map(|outlet| &outlet.pin.chip) else { continue };
        let Some(label) = label(name) else { continue };
        let module = KEEPERS.iter().find(|(name, _)| *name == label).map(|(_, module)| *module);
        modules.extend(module.filter(|module| !modules.contains(module)));
    }
    let warning = |module: &str| Finding::warn("gpio", texts().keeps, fill(texts().keeps_do, &[&format_args!("{module}.{PARAMETER}")]));
    modules.into_iter().filter(|module| !lets_go(site, module)).map(warning).collect()
}

/// Does this kernel make a line an input when nobody holds the line?
fn lets_go(site: &Site, module: &str) -> bool {
    match fs::read_to_string(site.at(format!("/sys/module/{module}/parameters/{PARAMETER}"))) {
        Ok(keeps) => keeps.trim() == "N",
        // This kernel does not tell its setting. Some of them keep outputs all the same. So only the kernel's command line can
        // be asked.
        Err(_) => told(&fs::read_to_string(site.at("/proc/cmdline")).unwrap_or_default(), module),
    }
}

/// Does a kernel's command line say so? The last word counts, and a dash is the same as an underscore.
fn told(line: &str, module: &str) -> bool {
    let wanted = format!("{module}.{PARAMETER}");
    let mut values = line.split_ascii_whitespace().filter_map(|word| {
        let (name, value) = word.split_once('=')?;
        (name.replace('-', "_") == wanted).then_some(value)
    });
    values.next_back().is_some_and(|value| ["n", "N", "0", "off"].contains(&value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idle_level::tests::line;
    use crate::site::put;
    use qris_host::finding::Level;

    #[test]
    fn a_watchdog_that_nobody_feeds_is_a_warning() {
        let told = |text: &str| Some(Ok(format!("{text}\n")));
        for (asked, level, said) in [
            (None, Level::Ok, "has none"),
            (told("30s"), Level::Ok, "hangs for 30s is reset"),
            (told("1min 30s"), Level::Ok, "1min 30s"),
            (told("infinity"), Level::Ok, "systemd feeds it"),
            (told("0"), Level::Warn, "no program feeds"),
            (told(""), Level::Warn, "no program feeds"),
            (Some(Err("systemctl: gone".into())), Level::Warn, "systemctl: gone"),
        ] {
            let found = fed(asked);
            assert_eq!((found.level, found.said.contains(said)), (level, true), "{found:?}");
            assert_eq!(found.to_do.is_some(), level == Level::Warn, "{found:?}");
        }
    }

    #[test]
    fn a_kernel_that_keeps_outputs_is_a_warning_on_a_raspberry_pi() {
        let root = tempfile::tempdir().expect("a directory");
        let site = Site::below(root.path()).expect("there");
        let gpio = |offset| line("a", Chip::Gpio { name: ChipName::new("a").expect("a label"), offset });
        let three = [gpio(5), gpio(6), line("a", Chip::Sim("/tmp/x".into()))];
        let found = |label: &str| lines(&site, &three, |_| Some(label.into()));
        // A row: what the kernel says of itself, what its command line says, and whether a line might stay driven.
        let cmdline = "console=tty1 pinctrl-bcm2835.persist_gpio_outputs=n";
        for (says, told, stays) in [
            (None, "console=tty1", true),
            (None, cmdline, false),
            (None, "pinctrl_bcm2835.persist_gpio_outputs=n pinctrl_bcm2835.persist_gpio_outputs=y", true),
            (Some("Y\n"), cmdline, true),
            (Some("N\n"), "console=tty1", false),
        ] {
            put(root.path(), "proc/cmdline", told);
            match says {
                Some(text) => put(root.path(), "sys/module/pinctrl_bcm2835/parameters/persist_gpio_outputs", text),
                None => drop(fs::remove_dir_all(root.path().join("sys"))),
            }
            for label in ["pinctrl-bcm2835", "pinctrl-bcm2711"] {
                let found = found(label);
                assert_eq!(found.len(), usize::from(stays), "{label}, {says:?}, {told}: once for all lines of a chip");
                let is_told = |found: &Finding| {
                    found.level == Level::Warn && found.to_do.as_ref().is_some_and(|to_do| to_do.contains("dtparam=strict_gpiod"))
                };
                assert!(found.iter().all(is_told), "{found:?}");
            }
            // The module of the fifth has another name, and other chips do not keep outputs.
            assert_eq!((found("pinctrl-rp1").len(), found("pl061").len()), (1, 0));
        }
        assert_eq!(lines(&site, &three, |_| None), []);
    }
}
