//! The routes: a method and a path.

use super::neighbours;
use crate::qris::Look;

/// A method and a path that mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Charge,
    Status(&'a str),
    StatusB2b(&'a str),
    Cancel(&'a str),
    Expire(&'a str),
    Approve(&'a str),
    Deny(&'a str),
    Refund(&'a str),
    RefundDirect(&'a str),
    Image(&'a str, Look),
    Capture,
    CardToken,
    CardRegister,
    PointInquiry(&'a str),
    LinkAccount,
    Account(&'a str),
    UnlinkAccount(&'a str),
    CreateSubscription,
    Subscription(&'a str),
    UpdateSubscription(&'a str),
    EnableSubscription(&'a str),
    DisableSubscription(&'a str),
    Snap,
    SnapPage(&'a str),
    /// The path after `/iris/api/v1/`.
    Iris(&'a str),
    /// The path after `/v1.0/`.
    BiSnap(&'a str),
    /// The path exists, but not with this method.
    WrongMethod,
    /// There is no such path.
    Nowhere,
}

impl<'a> Route<'a> {
    pub fn find(method: &str, path: &'a str) -> Self {
        if let Some(rest) = path.strip_prefix("/iris/api/v1/") {
            return Self::Iris(rest);
        }
        if let Some(rest) = path.strip_prefix("/v1.0/").filter(|rest| neighbours::bi_snap(rest).is_some()) {
            return if method == "POST" { Self::BiSnap(rest) } else { Self::WrongMethod };
        }
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let (wanted, route) = match segments[..] {
            ["v2", "charge"] => ("POST", Self::Charge),
            ["v2", "capture"] => ("POST", Self::Capture),
            ["v2", "token"] => ("GET", Self::CardToken),
            ["v2", "card", "register"] => ("GET", Self::CardRegister),
            ["v2", "point_inquiry", token] => ("GET", Self::PointInquiry(token)),
            ["v2", "pay", "account"] => ("POST", Self::LinkAccount),
            ["v2", "pay", "account", id] => ("GET", Self::Account(id)),
            ["v2", "pay", "account", id, "unbind"] => ("POST", Self::UnlinkAccount(id)),
            ["v2", id, "status"] => ("GET", Self::Status(id)),
            ["v2", id, "status", "b2b"] => ("GET", Self::StatusB2b(id)),
            ["v2", id, "cancel"] => ("POST", Self::Cancel(id)),
            ["v2", id, "expire"] => ("POST", Self::Expire(id)),
            ["v2", id, "approve"] => ("POST", Self::Approve(id)),
            ["v2", id, "deny"] => ("POST", Self::Deny(id)),
            ["v2", id, "refund"] => ("POST", Self::Refund(id)),
            ["v2", id, "refund", "online", "direct"] => ("POST", Self::RefundDirect(id)),
            ["v2", "gopay" | "qris", name, "qr-code"] => ("GET", Self::Image(name, Look::Plain)),
            ["v4", "qris", "gopay", name, "qr-code"] => ("GET", Self::Image(name, Look::Framed)),
            ["v1", "subscriptions"] => ("POST", Self::CreateSubscription),
            ["v1", "subscriptions", id] if method == "PATCH" => ("PATCH", Self::UpdateSubscription(id)),
            ["v1", "subscriptions", id] => ("GET", Self::Subscription(id)),
            ["v1", "subscriptions", id, "enable"] => ("POST", Self::EnableSubscription(id)),
            ["v1", "subscriptions", id, "disable"] => ("POST", Self::DisableSubscription(id)),
            ["snap", "v1", "transactions"] => ("POST", Self::Snap),
            ["snap", "v4", "redirection", token] => ("GET", Self::SnapPage(token)),
            _ => return Self::Nowhere,
        };
        if !route.id().is_none_or(is_id) {
            return Self::Nowhere;
        }
        if method == wanted { route } else { Self::WrongMethod }
    }

    /// Its name in faults and in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Status(_) => "status",
            Self::StatusB2b(_) => "status_b2b",
            Self::Cancel(_) => "cancel",
            Self::Expire(_) => "expire",
            Self::Approve(_) => "approve",
            Self::Deny(_) => "deny",
            Self::Refund(_) | Self::RefundDirect(_) => "refund",
            Self::Image(..) => "qr_image",
            Self::Capture => "capture",
            Self::CardToken => "token",
            Self::CardRegister => "card_register",
            Self::PointInquiry(_) => "point_inquiry",
            Self::LinkAccount | Self::Account(_) | Self::UnlinkAccount(_) => "pay_account",
            Self::CreateSubscription
            | Self::Subscription(_)
            | Self::UpdateSubscription(_)
            | Self::EnableSubscription(_)
            | Self::DisableSubscription(_) => "subscription",
            Self::Snap | Self::SnapPage(_) => "snap",
            Self::Iris(_) => "iris",
            Self::BiSnap(_) => "bi_snap",
            Self::WrongMethod | Self::Nowhere => "none",
        }
    }

    /// The order_id, transaction_id or other name in its path.
    pub const fn id(self) -> Option<&'a str> {
        match self {
            Self::Status(id)
            | Self::StatusB2b(id)
            | Self::Cancel(id)
            | Self::Expire(id)
            | Self::Approve(id)
            | Self::Deny(id)
            | Self::Refund(id)
            | Self::RefundDirect(id)
            | Self::Image(id, _)
            | Self::PointInquiry(id)
            | Self::Account(id)
            | Self::UnlinkAccount(id)
            | Self::Subscription(id)
            | Self::UpdateSubscription(id)
            | Self::EnableSubscription(id)
            | Self::DisableSubscription(id)
            | Self::SnapPage(id) => Some(id),
            Self::Charge
            | Self::Capture
            | Self::CardToken
            | Self::CardRegister
            | Self::LinkAccount
            | Self::CreateSubscription
            | Self::Snap
            | Self::Iris(_)
            | Self::BiSnap(_)
            | Self::WrongMethod
            | Self::Nowhere => None,
        }
    }

    /// Does it need the Server Key? Everybody may have pictures and pages, and a holder of the Client Key may have
    /// tokens of cards. Midtrans' other products have keys and refusals of their own.
    pub const fn needs_key(self) -> bool {
        !matches!(
            self,
            Self::Image(..) | Self::CardToken | Self::CardRegister | Self::Snap | Self::SnapPage(_) | Self::Iris(_) | Self::BiSnap(_)
        )
    }

    /// Does it take an Idempotency-Key? All POST calls do, except those for accounts.
    pub const fn is_idempotent(self) -> bool {
        match self {
            Self::Charge
            | Self::Capture
            | Self::Cancel(_)
            | Self::Expire(_)
            | Self::Approve(_)
            | Self::Deny(_)
            | Self::Refund(_)
            | Self::RefundDirect(_) => true,
            Self::Status(_)
            | Self::StatusB2b(_)
            | Self::Image(..)
            | Self::CardToken
            | Self::CardRegister
            | Self::PointInquiry(_)
            | Self::LinkAccount
            | Self::Account(_)
            | Self::UnlinkAccount(_)
            | Self::CreateSubscription
            | Self::Subscription(_)
            | Self::UpdateSubscription(_)
            | Self::EnableSubscription(_)
            | Self::DisableSubscription(_)
            | Self::Snap
            | Self::SnapPage(_)
            | Self::Iris(_)
            | Self::BiSnap(_)
            | Self::WrongMethod
            | Self::Nowhere => false,
        }
    }
}

/// The characters that a path may have. Any other path leads to no call at all.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_~.".contains(c))
}
