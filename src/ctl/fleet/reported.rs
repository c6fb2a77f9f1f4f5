//! What a machine says of its settings, and how people read it.

use crate::print;
use qris_core::order::ids::DeviceId;
use qris_core::wire::settings::{Reported, WrongValue};
use qris_core::wire::topics::Topic;
use qris_host::Failure;
use qris_host::mqtt::Inbound;
use serde_json::json;

pub(super) fn read(message: &Inbound) -> Option<(DeviceId, Reported)> {
    let (device, Topic::ConfigReported) = Topic::parse(&message.topic)? else { return None };
    Some((device, serde_json::from_slice(&message.payload).ok()?))
}

pub(super) fn print_report(device: &DeviceId, reported: &Reported, json: bool) -> Result<(), Failure> {
    if json {
        return print::line(&json!({ "device": device, "settings": reported }).to_string());
    }
    print::line(&print::plain(&format!("{}{}", print::machine(reported.name.as_deref(), device), words(reported))))?;
    let wrong = reported.refused.iter().flat_map(|refused| &refused.faults).map(|fault| ("wrong", fault));
    for (what, fault) in wrong.chain(reported.left_out.iter().map(|fault| ("left out", fault))) {
        print::line(&print::plain(&format!("  {what}: {}", placed(fault))))?;
    }
    Ok(())
}

pub(super) fn placed(fault: &WrongValue) -> String {
    let at = fault.line.map_or_else(String::new, |line| format!("line {line}, "));
    format!("{at}{fault}")
}

pub(super) fn words(reported: &Reported) -> String {
    let since = reported.since.as_deref().map_or_else(String::new, |since| format!(" since {}", print::time(since)));
    let mut line = match (reported.version, reported.own_file) {
        (0, _) => ": the machine's own file is in force".to_owned(),
        (version, true) => format!(": the machine's own file is in force (version {version}){since}"),
        (version, false) => format!(": version {version} is in force{since}"),
    };
    if let Some(waiting) = &reported.waiting {
        let until = waiting.effective_at.as_deref().map_or_else(|| "no customer is there".into(), print::time);
        line += &format!("; version {} waits until {until}", waiting.version);
    }
    if let Some(refused) = &reported.refused {
        let version = refused.version.map_or_else(String::new, |version| format!(" version {version}"));
        line += &format!("; refused{version} ({}): {}", refused.code, refused.message);
    }
    line
}
