//! Linked GoPay accounts, as far as the official test suites use them.

use super::charge::object;
use super::{Answer, Midtrans, PayError};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// No more accounts than this are linked.
const ACCOUNTS_MAX: usize = 10_000;
/// The sandbox's numbers that have no account, and its blocked one.
const NOBODYS_NUMBER: &str = "123450001";
const BLOCKED_NUMBER: &str = "123450002";

/// Has a customer agreed?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Pending,
    Enabled,
    Disabled,
}

/// The accounts by their ids.
#[derive(Debug, Default)]
pub(super) struct Accounts(BTreeMap<String, Link>);

impl Midtrans {
    /// `POST /v2/pay/account`
    pub(super) fn link_account(&mut self, body: &[u8]) -> Answer {
        let body = match object(body) {
            Ok(body) => body,
            Err(refused) => return self.refused(refused),
        };
        if body.get("payment_type").and_then(Value::as_str) != Some("gopay") {
            return self.invalid(&["payment_type is not supported".into()]);
        }
        let number = body.get("gopay_partner").and_then(|partner| partner.get("phone_number")).and_then(Value::as_str).unwrap_or("");
        if number.is_empty() || number.starts_with('0') || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.invalid(&["gopay_partner.phone_number must be numeric digits and must not begin with 0".into()]);
        }
        if self.accounts.0.len() >= ACCOUNTS_MAX {
            return self.error(503, "The simulator has no room for more accounts: start it anew");
        }
        let refused = |code: &str, message: &str| {
            json!({ "status_code": "202", "payment_type": "gopay", "account_status": "PENDING", "channel_response_code": code,
                "channel_response_message": message })
        };
        match number {
            NOBODYS_NUMBER => return self.answer(&refused("105", "User Not Found")),
            BLOCKED_NUMBER => return self.answer(&refused("112", "Wallet is Blocked")),
            _ => {}
        }
        let id = self.rng.uuid();
        self.accounts.0.insert(id.clone(), Link::Pending);
        let url = format!("{}/v2/gopay/redirect/{id}/link", self.options.public_url);
        let action = |name: &str| json!({ "name": name, "method": "GET", "url": url });
        self.answer(&json!({
            "status_code": "201", "payment_type": "gopay", "account_id": id, "account_status": "PENDING",
            "channel_response_code": "0", "channel_response_message": "Process service request successfully.",
            "actions": [action("activation-deeplink"), action("activation-link-url"), action("activation-link-app")],
        }))
    }

    /// `GET /v2/pay/account/{id}`
    pub(super) fn account(&mut self, id: &str) -> Answer {
        let Some(link) = self.accounts.0.get(id).copied() else { return self.error(404, "Account doesn't exist.") };
        let (code, status) = match link {
            Link::Pending => ("201", "PENDING"),
            Link::Enabled => ("200", "ENABLED"),
            Link::Disabled => ("204", "DISABLED"),
        };
        let mut answer = json!({ "status_code": code, "payment_type": "gopay", "account_id": id, "account_status": status });
        if link == Link::Enabled {
            answer["metadata"] = json!({ "payment_options": [{
                "name": "GOPAY_WALLET", "active": true, "balance": { "value": "1000000.00", "currency": "IDR" }, "metadata": {},
                "token": "eyJ0eXBlIjogIkdPUEFZX1dBTExFVCIsICJpZCI6ICIifQ==",
            }] });
        }
        self.answer(&answer)
    }

    /// `POST /v2/pay/account/{id}/unbind`
    pub(super) fn unlink_account(&mut self, id: &str) -> Answer {
        match self.accounts.0.get_mut(id) {
            None => self.error(404, "Account doesn't exist."),
            Some(link @ Link::Enabled) => {
                *link = Link::Disabled;
                self.answer(&json!({
                    "status_code": "204", "payment_type": "gopay", "account_id": id, "account_status": "DISABLED",
                    "channel_response_code": "0", "channel_response_message": "Process service request successfully.",
                }))
            }
            Some(Link::Pending | Link::Disabled) => self.error(412, "Account status cannot be updated."),
        }
    }

    /// The customer agrees to be linked.
    ///
    /// # Errors
    /// [`PayError::Unknown`]
    pub fn agree_to_link(&mut self, id: &str) -> Result<(), PayError> {
        let link = self.accounts.0.get_mut(id).ok_or(PayError::Unknown)?;
        *link = Link::Enabled;
        Ok(())
    }
}
