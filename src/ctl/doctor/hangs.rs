//! Who looks after a line when no program of ours can: the hardware watchdog where the kernel hangs, the kernel where a program
//! dies. Without them a pulse does not end.

use crate::site::Site;
use crate::{hardware, services};
use qris_host::finding::Finding;
use qris_relay::config::Line;
use qris_relay::pin::Chip;
use std::fs;
use std::path::Path;

/// The first hardware watchdog, which is the one that systemd takes.
const DEVICE: &str = "/dev/watchdog0";
/// The chips of Raspberry Pi, and the kernel's module for them: it keeps an output that nobody holds any more as it was, unless
/// it is told otherwise. Its authors' kernels are not, and those of others mostly are.
const KEEPERS: [(&str, &str); 3] =
    [("pinctrl-bcm2835", "pinctrl_bcm2835"), ("pinctrl-bcm2711", "pinctrl_bcm2835"), ("pinctrl-rp1", "pinctrl_rp1")];
/// What tells it; `dtparam=strict_gpiod` is nothing else. <https://github.com/raspberrypi/linux/pull/6117>
const PARAMETER: &str = "persist_gpio_outputs";

/// Whether a kernel that hangs is reset. To be asked only where systemd runs.
pub(super) fn watchdog(site: &Site) -> Option<Finding> {
    if !services::are_there(site) {
        return None;
    }
    let is_there = site.at(DEVICE).exists();
    let asked = || services::systemctl(&["show", "-p", "RuntimeWatchdogUSec", "--value"]);
    Some(fed(is_there.then(asked)))
}

/// `told`: how long systemd would let it wait, in its words, where there is a watchdog.
fn fed(told: Option<Result<String, String>>) -> Finding {
    const CHECK: &str = "watchdog";
    match told.map(|told| told.map(|text| text.trim().to_owned())) {
        None => Finding::ok(CHECK, format!("this computer has none ({DEVICE}): a kernel that hangs stays so until somebody comes")),
        Some(Err(why)) => Finding::warn(CHECK, why, "is this system whole?"),
        Some(Ok(time)) if time.is_empty() || time == "0" => Finding::warn(
            CHECK,
            "nobody feeds the hardware watchdog: a kernel that hangs in a pulse leaves the line driven until somebody comes",
            "write [Manager] and RuntimeWatchdogSec=15 into /etc/systemd/system.conf.d/60-machine.conf; then systemctl daemon-reexec",
        ),
        // The driver's own time.
        Some(Ok(time)) if time == "infinity" => Finding::ok(CHECK, "systemd feeds it"),
        Some(Ok(time)) => Finding::ok(CHECK, format!("systemd feeds it: a kernel that hangs for {time} is reset")),
    }
}

/// A warning for each kind of chip with a line that stays driven when the service dies.
pub(super) fn lines(site: &Site, lines: &[Line]) -> Vec<Finding> {
    if !site.runs() {
        return Vec::new();
    }
    kept(site, lines, |path| hardware::label(site, path))
}

fn kept(site: &Site, lines: &[Line], label: impl Fn(&Path) -> Option<String>) -> Vec<Finding> {
    let mut modules: Vec<&str> = Vec::new();
    for line in lines {
        let Some(Chip::Gpio { path, .. }) = line.outlet.line().map(|outlet| &outlet.pin.chip) else { continue };
        let Some(label) = label(path) else { continue };
        let module = KEEPERS.iter().find(|(name, _)| *name == label).map(|(_, module)| *module);
        modules.extend(module.filter(|module| !modules.contains(module)));
    }
    let warning = |module: &str| {
        Finding::warn(
            "gpio",
            "the kernel may leave an output as it was: a line stays driven when qris-relayd dies in a pulse, until its unit has set it inactive",
            format!("write dtparam=strict_gpiod into config.txt, or {module}.{PARAMETER}=n on the kernel's command line; then restart"),
        )
    };
    modules.into_iter().filter(|module| !lets_go(site, module)).map(warning).collect()
}

/// Whether this kernel makes a line that nobody holds an input.
fn lets_go(site: &Site, module: &str) -> bool {
    match fs::read_to_string(site.at(format!("/sys/module/{module}/parameters/{PARAMETER}"))) {
        Ok(keeps) => keeps.trim() == "N",
        // A kernel that does not tell; some of them keep outputs all the same. What it was told is all that is known.
        Err(_) => told(&fs::read_to_string(site.at("/proc/cmdline")).unwrap_or_default(), module),
    }
}

/// Whether a kernel's command line says so; the last word counts, and dashes are as good as underscores.
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
    use qris_core::order::money::Rupiah;
    use qris_core::order::time::Span;
    use qris_host::finding::Level;
    use qris_relay::config::Items;
    use qris_relay::outlet::line::PulsedLine;
    use qris_relay::pin::Pin;
    use std::sync::Arc;

    #[test]
    fn a_watchdog_that_nobody_feeds_is_a_warning() {
        let told = |text: &str| Some(Ok(format!("{text}\n")));
        for (asked, level, said) in [
            (None, Level::Ok, "has none"),
            (told("30s"), Level::Ok, "hangs for 30s is reset"),
            (told("1min 30s"), Level::Ok, "1min 30s"),
            (told("infinity"), Level::Ok, "systemd feeds it"),
            (told("0"), Level::Warn, "nobody feeds"),
            (told(""), Level::Warn, "nobody feeds"),
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
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        };
        let site = Site::below(root.path()).expect("there");
        let line = |chip: Chip| Line {
            name: "a".into(),
            items: Items::Any,
            min_amount: Rupiah::new(1).expect("an amount"),
            outlet: Arc::new(PulsedLine::single(Pin::of(chip, false), Span::millis(500))),
            block_on_uncertain: false,
            clear_button: None,
        };
        let gpio = |offset| line(Chip::Gpio { path: "/dev/gpiochip0".into(), offset });
        let lines = [gpio(5), gpio(6), line(Chip::Sim("/tmp/x".into()))];
        let found = |label: &str| kept(&site, &lines, |_| Some(label.into()));
        // What the kernel says of itself, what it was told, and whether a line might stay driven.
        let cmdline = "console=tty1 pinctrl-bcm2835.persist_gpio_outputs=n";
        for (says, told, stays) in [
            (None, "console=tty1", true),
            (None, cmdline, false),
            (None, "pinctrl_bcm2835.persist_gpio_outputs=n pinctrl_bcm2835.persist_gpio_outputs=y", true),
            (Some("Y\n"), cmdline, true),
            (Some("N\n"), "console=tty1", false),
        ] {
            put("proc/cmdline", told);
            match says {
                Some(text) => put("sys/module/pinctrl_bcm2835/parameters/persist_gpio_outputs", text),
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
            // That of the fifth is another one, and others do not keep outputs.
            assert_eq!((found("pinctrl-rp1").len(), found("pl061").len()), (1, 0));
        }
        assert_eq!(kept(&site, &lines, |_| None), []);
    }
}
