//! What a request is about.

use crate::sim::qris::Look;

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
    /// A path that is there, with another method.
    WrongMethod,
    /// A path that is not.
    Nowhere,
}

impl<'a> Route<'a> {
    pub fn find(method: &str, path: &'a str) -> Self {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let (wanted, route) = match segments[..] {
            ["v2", "charge"] => ("POST", Self::Charge),
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
            | Self::Image(id, _) => Some(id),
            Self::Charge | Self::WrongMethod | Self::Nowhere => None,
        }
    }

    /// Whether it is for the merchant alone. Pictures are for everybody.
    pub const fn needs_key(self) -> bool {
        !matches!(self, Self::Image(..))
    }

    /// Whether it takes an Idempotency-Key.
    pub const fn is_idempotent(self) -> bool {
        match self {
            Self::Charge
            | Self::Cancel(_)
            | Self::Expire(_)
            | Self::Approve(_)
            | Self::Deny(_)
            | Self::Refund(_)
            | Self::RefundDirect(_) => true,
            Self::Status(_) | Self::StatusB2b(_) | Self::Image(..) | Self::WrongMethod | Self::Nowhere => false,
        }
    }
}

/// What may stand in a path. Anything else leads to no call at all.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_~.".contains(c))
}
