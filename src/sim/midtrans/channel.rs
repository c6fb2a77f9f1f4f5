//! The ways to pay at the simulated merchant, and their differences.

use qris_core::order::time::Span;
use serde::{Deserialize, Serialize};

/// How a charge is to be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    /// A QR or a link of GoPay.
    Gopay,
    /// A QR for any app.
    Qris(Acquirer),
    /// At the counter of a shop.
    Cstore(Store),
}

/// The company that takes the money of a QRIS payment for the merchant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acquirer {
    Gopay,
    AirpayShopee,
}

/// A chain of shops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    Alfamart,
    Indomaret,
}

impl Channel {
    /// The `payment_type` of its charges.
    pub const fn payment_type(self) -> &'static str {
        match self {
            Self::Gopay => "gopay",
            Self::Qris(_) => "qris",
            Self::Cstore(_) => "cstore",
        }
    }

    /// Whether there is a QR to scan.
    pub const fn has_qr(self) -> bool {
        match self {
            Self::Gopay | Self::Qris(_) => true,
            Self::Cstore(_) => false,
        }
    }

    /// Do its messages say `fraud_status`? Those of Indomaret do not.
    pub const fn has_fraud_status(self) -> bool {
        !matches!(self, Self::Cstore(Store::Indomaret))
    }

    /// Whether it can be refunded over the API.
    pub const fn is_refundable(self) -> bool {
        match self {
            Self::Gopay | Self::Qris(_) => true,
            Self::Cstore(_) => false,
        }
    }

    /// The longest time for which it may be payable.
    pub const fn expiry_max(self) -> Span {
        const DAY_S: i64 = 86_400;
        match self {
            Self::Gopay | Self::Qris(Acquirer::Gopay) => Span::secs(7 * DAY_S),
            Self::Qris(Acquirer::AirpayShopee) => Span::secs(5 * DAY_S),
            Self::Cstore(_) => Span::secs(180 * DAY_S),
        }
    }
}

impl Acquirer {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gopay => "gopay",
            Self::AirpayShopee => "airpay shopee",
        }
    }
}

impl Store {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alfamart => "alfamart",
            Self::Indomaret => "indomaret",
        }
    }
}

/// The least and the greatest amount of one payment, whole rupiah.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// At least.
    pub min: u64,
    /// At most.
    pub max: u64,
}

/// The acquirers' limits, as published in March 2026.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Of a verified user.
    pub gopay: Limit,
    /// Of every acquirer.
    pub qris: Limit,
    /// This is without cash; with cash it is half.
    pub alfamart: Limit,
    /// At its counter.
    pub indomaret: Limit,
}

impl Default for Limits {
    fn default() -> Self {
        let limit = |min, max| Limit { min, max };
        Self { gopay: limit(1, 20_000_000), qris: limit(1, 10_000_000), alfamart: limit(1, 5_000_000), indomaret: limit(10_000, 5_000_000) }
    }
}

impl Limits {
    pub(super) const fn of(&self, channel: Channel) -> Limit {
        match channel {
            Channel::Gopay => self.gopay,
            Channel::Qris(_) => self.qris,
            Channel::Cstore(Store::Alfamart) => self.alfamart,
            Channel::Cstore(Store::Indomaret) => self.indomaret,
        }
    }
}
