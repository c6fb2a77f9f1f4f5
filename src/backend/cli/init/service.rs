//! Commands of this program, as the user of the service.

use super::present::{USER, no_user};
use qris_host::Failure;
use qris_host::setup::site::{Site, is_root};
use serde::Deserialize;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

pub(super) fn as_service(site: &Site, words: &[&str]) -> Result<Command, Failure> {
    let user = site.user(USER).ok_or_else(|| Failure::usage(no_user()))?;
    let mut command = Command::new("/proc/self/exe");
    command.args(words).current_dir("/").stdin(Stdio::null());
    if is_root() {
        command.uid(user.uid).gid(user.gid);
    }
    Ok(command)
}

#[derive(Deserialize)]
struct ListedDevice {
    device: String,
}

/// Without a configuration or a database there are none.
pub(super) fn machines(site: &Site) -> Result<Vec<String>, Failure> {
    if !site.runs() {
        return Ok(Vec::new());
    }
    let told = as_service(site, &["device", "list", "--json"])?.output().map_err(Failure::failed)?;
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    Ok(text.lines().filter_map(|line| serde_json::from_str::<ListedDevice>(line).ok()).map(|known| known.device).collect())
}
