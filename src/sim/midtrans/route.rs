//! The routes: a method and a path.

use crate::qris::PictureStyle;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Charge,
    Status(&'a str),
    Cancel(&'a str),
    Refund(&'a str),
    Image(&'a str, PictureStyle),
    WrongMethod,
    Nowhere,
}

impl<'a> Route<'a> {
    pub fn find(method: &str, path: &'a str) -> Self {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let (wanted, route) = match segments[..] {
            ["v2", "charge"] => ("POST", Self::Charge),
            ["v2", id, "status"] => ("GET", Self::Status(id)),
            ["v2", id, "cancel"] => ("POST", Self::Cancel(id)),
            ["v2", id, "refund"] => ("POST", Self::Refund(id)),
            ["v2", "gopay" | "qris", name, "qr-code"] => ("GET", Self::Image(name, PictureStyle::Plain)),
            ["v4", "qris", "gopay", name, "qr-code"] => ("GET", Self::Image(name, PictureStyle::Framed)),
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
            Self::Cancel(_) => "cancel",
            Self::Refund(_) => "refund",
            Self::Image(..) => "qr_image",
            Self::WrongMethod | Self::Nowhere => "none",
        }
    }

    /// The order_id, transaction_id or other name in its path.
    pub const fn id(self) -> Option<&'a str> {
        match self {
            Self::Status(id) | Self::Cancel(id) | Self::Refund(id) | Self::Image(id, _) => Some(id),
            Self::Charge | Self::WrongMethod | Self::Nowhere => None,
        }
    }

    /// Does it need the Server Key? Everybody may have pictures.
    pub const fn needs_key(self) -> bool {
        !matches!(self, Self::Image(..))
    }

    /// Does it take an Idempotency-Key? All POST calls do.
    pub const fn is_idempotent(self) -> bool {
        match self {
            Self::Charge | Self::Cancel(_) | Self::Refund(_) => true,
            Self::Status(_) | Self::Image(..) | Self::WrongMethod | Self::Nowhere => false,
        }
    }
}

/// The characters that a path may have. Any other path leads to no call at all.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_~.".contains(c))
}
