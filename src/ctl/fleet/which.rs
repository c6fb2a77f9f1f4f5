use crate::complete;
use qris_core::order::ids::DeviceId;
use qris_core::wire::settings::Reported;
use qris_core::wire::topics::Topic;
use qris_host::Failure;
use std::collections::{BTreeMap, BTreeSet};

/// The machines that are meant.
#[derive(clap::Args, Debug)]
pub(crate) struct Which {
    /// A machine; several may be named
    #[arg(long, global = true, value_name = "ID", value_parser = DeviceId::new, add = complete::machines())]
    pub(super) device: Vec<DeviceId>,
    /// The machines whose settings have this label
    #[arg(long, global = true, value_name = "WORD", conflicts_with = "device")]
    label: Option<String>,
    /// Every machine
    #[arg(long, global = true, conflicts_with_all = ["device", "label"])]
    all: bool,
}

impl Which {
    pub(super) fn one(device: DeviceId) -> Self {
        Self { device: vec![device], label: None, all: false }
    }

    /// Whether a machine is named, or none is.
    pub(super) fn may_be(&self, device: &DeviceId) -> bool {
        self.device.is_empty() || self.device.contains(device)
    }

    /// A command that changes machines, or asks them, needs to be told which.
    pub(super) fn must_be_named(&self) -> Result<(), Failure> {
        match self.device.is_empty() && self.label.is_none() && !self.all {
            true => Err(Failure::usage("name the machines: --device ID, --label WORD or --all")),
            false => Ok(()),
        }
    }

    /// The filters for what these machines say on a topic. Labels are known only when all have told.
    pub(super) fn filters(&self, topic: Topic) -> Vec<String> {
        if self.device.is_empty() { vec![topic.of_all()] } else { self.device.iter().map(|device| topic.of(device)).collect() }
    }

    /// Those who are meant, of all that have told their settings. Without a word all are meant.
    pub(super) fn pick(&self, mut told: BTreeMap<DeviceId, Reported>) -> Result<BTreeMap<DeviceId, Reported>, Failure> {
        if self.all && told.is_empty() {
            return Err(Failure::failed(
                "no machine ever spoke to this broker: see in the broker's access list whether this user may read the machines' topics",
            ));
        }
        if let Some(silent) = self.device.iter().find(|device| !told.contains_key(device)) {
            return Err(Failure::failed(format!(
                "{silent} never told its settings to this broker. See with `qrisctl status` whether it is online and of a release that can \
                 be set from afar, and in the broker's access list whether this user may read its topics"
            )));
        }
        if let Some(label) = &self.label {
            let known: BTreeSet<_> = told.values().flat_map(|reported| reported.labels.iter().map(|label| label.to_string())).collect();
            told.retain(|_, reported| reported.labels.iter().any(|known| **known == **label));
            if told.is_empty() {
                let known: Vec<_> = known.into_iter().collect();
                let there = match &*known {
                    [] => "no machine has any: they stand in its settings, as `[device] labels`".into(),
                    known => format!("there are: {}", known.join(", ")),
                };
                return Err(Failure::failed(format!("no machine has the label {label}; {there}")));
            }
        }
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_none_is_no_success() {
        let which = |all| Which { device: Vec::new(), label: None, all };
        assert!(which(true).pick(BTreeMap::new()).is_err(), "nothing was changed, and a script is told so");
        assert!(which(false).pick(BTreeMap::new()).is_ok_and(|told| told.is_empty()), "an empty list");
    }

    #[test]
    fn a_label_picks_its_machines_and_a_wrong_one_names_those_that_there_are() {
        let device = |id| DeviceId::new(id).expect("an id");
        let told = [("vm-001", &["jakarta", "drinks"][..]), ("vm-002", &["jakarta"]), ("vm-003", &[])];
        let told: BTreeMap<_, _> = told
            .into_iter()
            .map(|(id, labels)| {
                (device(id), Reported { labels: labels.iter().map(|label| (*label).into()).collect(), ..Reported::default() })
            })
            .collect();
        let pick = |label: &str| Which { device: Vec::new(), label: Some(label.into()), all: false }.pick(told.clone());
        for (label, wanted) in [("jakarta", &["vm-001", "vm-002"][..]), ("drinks", &["vm-001"])] {
            let picked = pick(label).expect("some have it");
            assert_eq!(picked.keys().map(DeviceId::as_str).collect::<Vec<_>>(), wanted, "{label}");
        }
        let why = pick("jakart").expect_err("nobody has it").reason();
        assert_eq!(why, "no machine has the label jakart; there are: drinks, jakarta");
        let bare = BTreeMap::from([(device("vm-001"), Reported::default())]);
        let why = Which { device: Vec::new(), label: Some("jakarta".into()), all: false }.pick(bare).expect_err("none has one").reason();
        assert_eq!(why, "no machine has the label jakarta; no machine has any: they stand in its settings, as `[device] labels`");
    }
}
