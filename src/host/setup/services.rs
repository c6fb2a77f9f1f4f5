//! The services as systemd knows them. `systemctl` is asked.

use super::site::Site;
use std::process::{Command, Stdio};

/// systemd runs if this directory is there (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";
const PROPERTIES: &str = "--property=ActiveState,UnitFileState,LoadState,MainPID,NRestarts,Result,ConditionResult,ConditionTimestampMonotonic,StateChangeTimestampMonotonic";

/// The state of a unit, in systemd's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// `active`, `inactive`, `failed`, `activating`
    pub active: String,
    /// `enabled`, `disabled`, `masked`; empty if there is no such unit.
    pub enabled: String,
    /// `loaded`, `not-found`
    pub loaded: String,
    /// Its process; 0 if there is none.
    pub pid: u32,
    /// How often systemd has started it anew.
    pub restarts: u32,
    /// Why it is not active: `condition`, `exit-code`.
    pub result: String,
    /// When it was started or reloaded last, in microseconds since the boot (`CLOCK_MONOTONIC`); 0: not known.
    pub changed_us: u64,
}

/// Does systemd run this system?
pub fn are_there(site: &Site) -> bool {
    site.runs() && std::path::Path::new(BOOTED).exists()
}

pub fn unit(name: &str) -> Result<Unit, String> {
    let told = systemctl(&["show", PROPERTIES, name])?;
    Ok(read(&told))
}

/// Runs `systemctl`. The result is its standard output, or why it failed.
pub fn systemctl(arguments: &[&str]) -> Result<String, String> {
    let told = Command::new("systemctl").args(arguments).stdin(Stdio::null()).output().map_err(|why| format!("systemctl: {why}"))?;
    if told.status.success() {
        return Ok(String::from_utf8_lossy(&told.stdout).into_owned());
    }
    let why = String::from_utf8_lossy(&told.stderr).trim().replace('\n', "; ");
    Err(format!("systemctl {}: {}", arguments.join(" "), if why.is_empty() { told.status.to_string() } else { why }))
}

fn read(told: &str) -> Unit {
    let value = |key: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().to_owned()
    };
    // For a unit that nobody has tried to start, systemd says "no" too, with no time.
    let was_tried = value("ConditionTimestampMonotonic").parse::<u64>().is_ok_and(|at| at > 0);
    let result = if value("ConditionResult") == "no" && was_tried { "condition".to_owned() } else { value("Result") };
    Unit {
        active: value("ActiveState"),
        enabled: value("UnitFileState"),
        loaded: value("LoadState"),
        pid: value("MainPID").parse().unwrap_or(0),
        restarts: value("NRestarts").parse().unwrap_or(0),
        result,
        changed_us: value("StateChangeTimestampMonotonic").parse().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemds_words_are_read() {
        let told = "Result=success\nNRestarts=2\nMainPID=71\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\nConditionResult=yes\nStateChangeTimestampMonotonic=5\n";
        let unit = read(told);
        assert_eq!(
            (unit.active.as_str(), unit.enabled.as_str(), unit.pid, unit.restarts, unit.result.as_str(), unit.changed_us),
            ("active", "enabled", 71, 2, "success", 5)
        );
        let waiting = "ActiveState=inactive\nResult=success\nConditionResult=no\nConditionTimestampMonotonic=";
        assert_eq!(read(&format!("{waiting}77\n")).result, "condition");
        assert_eq!(read(&format!("{waiting}0\n")).result, "success", "nobody tried to start it");
        assert_eq!((read("").active.as_str(), read("").pid), ("", 0));
    }
}
