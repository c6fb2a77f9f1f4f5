//! A sale with Midtrans' own sandbox: whether it takes the key, and how its simulator is told what to pay.

use super::process::{self, ProcessError};
use qris_core::order::ids::OrderId;
use qris_host::secret::Secret;
use reqwest::Url;
use serde_json::Value;
use std::path::Path;

/// Its address (docs: *Sandbox environment*).
pub const URL: &str = "https://api.sandbox.midtrans.com";

/// A merchant's account there.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// [`URL`], but for tests.
    pub url: Url,
    /// The account's Server Key.
    pub key: Secret,
}

#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// It does not take the key, or cannot be reached.
    #[error("the sandbox: {what}; {hint}")]
    Refused {
        /// What the backend's doctor found.
        what: String,
        hint: String,
    },
    /// The backend's books cannot be read.
    #[error(transparent)]
    Books(#[from] ProcessError),
}

/// Whether it can be reached and takes the key. Without that each press would fail, and the page could not say why.
pub fn examine(config: &Path) -> Result<(), SandboxError> {
    let found = match process::backend(config, &["doctor", "--json"]) {
        // Status 1: something is bad.
        Err(ProcessError::Command { found, .. }) if !found.is_empty() => found,
        other => return Ok(other.map(drop)?),
    };
    let findings = found.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let is_bad = |finding: &Value| finding["check"] == "midtrans" && finding["level"] == "bad";
    match findings.into_iter().find(is_bad) {
        Some(finding) => Err(SandboxError::Refused { what: text(&finding["said"]), hint: text(&finding["to_do"]) }),
        None => Ok(()),
    }
}

/// The address of an order's QR as a picture. Midtrans' simulator asks for it (docs: *Testing Payment on Sandbox*). `None`: it cannot be
/// paid now.
pub fn picture(config: &Path, order_id: &OrderId) -> Result<Option<String>, SandboxError> {
    let order = process::backend(config, &["orders", order_id.as_str(), "--json"])?;
    let order: Value = serde_json::from_slice(&order).unwrap_or_default();
    Ok(order["picture"].as_str().map(str::to_owned))
}
