//! The ways to pay at the simulated merchant, and their differences.

use qris_core::order::time::Span;
use std::ops::RangeInclusive;

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    Alfamart,
    Indomaret,
}

impl Channel {
    pub const fn payment_type(self) -> &'static str {
        match self {
            Self::Gopay => "gopay",
            Self::Qris(_) => "qris",
            Self::Cstore(_) => "cstore",
        }
    }

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

    /// The least and the greatest amount of one payment, whole rupiah, as published in March 2026. That of Alfamart is without cash.
    pub const fn limits(self) -> RangeInclusive<u64> {
        match self {
            Self::Gopay => 1..=20_000_000,
            Self::Qris(_) => 1..=10_000_000,
            Self::Cstore(Store::Alfamart) => 1..=5_000_000,
            Self::Cstore(Store::Indomaret) => 10_000..=5_000_000,
        }
    }

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
