//! GPIO chips, known by what stays. The kernel numbers them as they come: `/dev/gpiochip0` may be another chip after an update or the next
//! start, and a pulse on it would drive whatever hangs there.

use qris_core::text::steers;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// The kernel's path of hardware begins so.
const HARDWARE: &str = "/devices/";
/// The kernel's limit of a label.
const LABEL_BYTES_MAX: usize = 31;

/// The name of a chip: its label, or the kernel's path of its hardware (`/devices/…`) if several chips share a label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChipName(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAName {
    /// A device: its number may be another chip's.
    #[error("a name in /dev may be another chip's after the next start: write the chip's label, as `qrisctl setup --find` lists it")]
    Device,
    #[error(
        "must be the label of a GPIO chip such as \"pinctrl-bcm2711\", the kernel's path of its hardware (/devices/…), or sim: and a path"
    )]
    Form,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoChip {
    /// Nothing is driven: another chip may have its number now.
    #[error("there is no GPIO chip {0}; there is {1}")]
    Away(String, String),
    /// Nobody knows which one is meant.
    #[error("several GPIO chips are called {0}: name the right one by its hardware ({1})")]
    Several(String, String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// Its device at this moment: `/dev/gpiochip0`.
    pub device: PathBuf,
    /// The name that its driver gives it, or why it cannot be asked.
    pub label: Result<String, String>,
    /// The kernel's path of its hardware, if the kernel lists it.
    pub hardware: Option<String>,
}

impl ChipName {
    pub fn new(text: &str) -> Result<Self, NotAName> {
        let is_label = || !text.starts_with('/') && (1..=LABEL_BYTES_MAX).contains(&text.len());
        match text {
            _ if text.starts_with("/dev/") => Err(NotAName::Device),
            _ if text.contains(steers) => Err(NotAName::Form),
            _ if text.starts_with(HARDWARE) || is_label() => Ok(Self(text.into())),
            _ => Err(NotAName::Form),
        }
    }

    /// As `relay.toml` has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Is it the kernel's path of the hardware? Otherwise it is a label.
    #[must_use]
    pub fn is_of_hardware(&self) -> bool {
        self.0.starts_with(HARDWARE)
    }

    /// The chip's device at this moment.
    pub fn find(&self) -> Result<PathBuf, NoChip> {
        self.among(&present(Path::new("/"))).map(|chip| chip.device.clone())
    }

    /// The one of these chips that has this name.
    pub fn among<'a>(&self, chips: &'a [Present]) -> Result<&'a Present, NoChip> {
        let name = || format!("{:?}", self.0);
        let mut called = chips.iter().filter(|chip| self.is_of(chip));
        match (called.next(), called.next()) {
            (Some(chip), None) => Ok(chip),
            (None, _) if chips.is_empty() => Err(NoChip::Away(name(), "none".into())),
            (None, _) => Err(NoChip::Away(name(), listed(chips.iter().map(Present::to_string)))),
            (Some(_), Some(_)) => {
                let hardware = chips.iter().filter(|chip| self.is_of(chip)).filter_map(|chip| chip.hardware.clone());
                Err(NoChip::Several(name(), listed(hardware)))
            }
        }
    }

    #[must_use]
    pub fn is_of(&self, chip: &Present) -> bool {
        if self.is_of_hardware() { chip.hardware.as_ref() == Some(&self.0) } else { chip.label.as_ref() == Ok(&self.0) }
    }
}

impl std::fmt::Display for ChipName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The chip now: its device, and its label or the reason why it cannot be asked.
impl std::fmt::Display for Present {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Ok(said) | Err(said)) = &self.label;
        write!(f, "{} ({said})", self.device.display())
    }
}

fn listed(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

/// The chips below `root`, by their numbers.
#[must_use]
pub fn present(root: &Path) -> Vec<Present> {
    let entries = fs::read_dir(root.join("dev")).into_iter().flatten().flatten();
    let number = |name: &str| name.strip_prefix("gpiochip")?.parse::<u32>().ok();
    let mut numbers: Vec<_> = entries.filter_map(|entry| number(entry.file_name().to_str()?)).collect();
    numbers.sort_unstable();
    let of = |number| {
        let name = format!("gpiochip{number}");
        let label = gpiocdev::Chip::from_path(root.join("dev").join(&name)).and_then(|chip| chip.info());
        // Each chip is a device below that of its hardware.
        let chip = fs::canonicalize(root.join("sys/bus/gpio/devices").join(&name)).ok();
        let hardware = chip.as_ref().and_then(|chip| chip.strip_prefix(root.join("sys")).ok()?.parent());
        Present {
            device: Path::new("/dev").join(name),
            label: label.map(|info| info.label).map_err(|why| why.to_string()),
            hardware: hardware.map(|hardware| format!("/{}", hardware.display())),
        }
    };
    numbers.into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chip(number: u32, label: &str, hardware: &str) -> Present {
        Present { device: format!("/dev/gpiochip{number}").into(), label: Ok(label.into()), hardware: Some(hardware.into()) }
    }

    #[test]
    fn a_name_is_what_stays() {
        for good in ["pinctrl-rp1", "INT34C5:00", "gpio sim", "/devices/platform/soc/fe200000.gpio"] {
            assert_eq!(ChipName::new(good).map(|name| name.to_string()), Ok(good.into()));
        }
        for (bad, why) in [
            ("/dev/gpiochip0", NotAName::Device),
            ("/dev/gpiochip-header", NotAName::Device),
            ("", NotAName::Form),
            ("/run/chip", NotAName::Form),
            ("a\nb", NotAName::Form),
            ("a-label-that-no-kernel-has-so-long", NotAName::Form),
        ] {
            assert_eq!(ChipName::new(bad), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn a_chip_is_found_wherever_it_is_and_never_another_one() {
        let name = |text: &str| ChipName::new(text).expect("a name");
        let device = |text: &str, chips: &[Present]| name(text).among(chips).map(|chip| chip.device.display().to_string());
        let (soc, first, second) = ("/devices/platform/soc/fe200000.gpio", "/devices/i2c-1/1-0020", "/devices/i2c-1/1-0021");
        let before = [chip(0, "pinctrl-rp1", soc), chip(1, "pca9555", first)];
        // A kernel gives out other numbers, and another chip has the first one.
        let after = [chip(0, "pca9555", first), chip(11, "pinctrl-rp1", soc)];
        for by in ["pinctrl-rp1", soc] {
            assert_eq!(device(by, &before).as_deref(), Ok("/dev/gpiochip0"));
            assert_eq!(device(by, &after).as_deref(), Ok("/dev/gpiochip11"));
        }
        let gone = device("pinctrl-rp1", &after[..1]).expect_err("it is another one").to_string();
        assert_eq!(gone, "there is no GPIO chip \"pinctrl-rp1\"; there is /dev/gpiochip0 (pca9555)");
        assert_eq!(device(soc, &[]), Err(NoChip::Away(format!("{soc:?}"), "none".into())));
        // A label that several have is nobody's.
        let twins = [chip(3, "pca9555", first), chip(4, "pca9555", second)];
        assert_eq!(device("pca9555", &twins), Err(NoChip::Several("\"pca9555\"".into(), format!("{first}, {second}"))));
        assert_eq!(device(second, &twins).as_deref(), Ok("/dev/gpiochip4"));
        // One that cannot be asked is not taken for the right one.
        let silent = Present { label: Err("Permission denied".into()), ..chip(0, "", soc) };
        assert!(device("pinctrl-rp1", &[silent]).expect_err("nobody knows").to_string().ends_with("/dev/gpiochip0 (Permission denied)"));
    }

    #[test]
    fn the_kernel_lists_chips_with_their_hardware() {
        let root = tempfile::tempdir().expect("a directory");
        let root = root.path().canonicalize().expect("there");
        for (number, hardware) in [(0, "devices/platform/a.gpio"), (10, "devices/i2c-1/1-0020"), (2, "devices/b")] {
            fs::create_dir_all(root.join("dev")).expect("made");
            fs::write(root.join(format!("dev/gpiochip{number}")), "").expect("written");
            let chip = root.join("sys").join(hardware).join(format!("gpiochip{number}"));
            fs::create_dir_all(&chip).expect("made");
            fs::create_dir_all(root.join("sys/bus/gpio/devices")).expect("made");
            std::os::unix::fs::symlink(chip, root.join(format!("sys/bus/gpio/devices/gpiochip{number}"))).expect("made");
        }
        std::os::unix::fs::symlink("gpiochip0", root.join("dev/gpiochip-header")).expect("made");
        let found = present(&root);
        let said: Vec<_> = found.iter().map(|chip| (chip.device.to_str().expect("text"), chip.hardware.as_deref())).collect();
        assert_eq!(
            said,
            [
                ("/dev/gpiochip0", Some("/devices/platform/a.gpio")),
                ("/dev/gpiochip2", Some("/devices/b")),
                ("/dev/gpiochip10", Some("/devices/i2c-1/1-0020"))
            ]
        );
        assert!(found.iter().all(|chip| chip.label.is_err()), "files are no chips");
    }
}
