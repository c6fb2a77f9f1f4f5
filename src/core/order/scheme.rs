//! The way on which a payment came.

use super::request::Payment;
use std::fmt;

/// The way on which money came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// By the GoPay app, without QRIS.
    Gopay,
    /// By the app of anybody who takes part in QRIS.
    Qris,
    /// Over the counter of an Alfamart.
    Alfamart,
    /// Over the counter of an Indomaret.
    Indomaret,
    /// The gateway has another word for it.
    Other(Box<str>),
}

impl From<Payment> for Scheme {
    /// As it is asked for: a charge for GoPay may be paid by any app of QRIS.
    fn from(payment: Payment) -> Self {
        match payment {
            Payment::Gopay => Self::Gopay,
            Payment::Alfamart => Self::Alfamart,
            Payment::Indomaret => Self::Indomaret,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gopay => "gopay",
            Self::Qris => "qris",
            Self::Alfamart => "alfamart",
            Self::Indomaret => "indomaret",
            Self::Other(word) => word,
        })
    }
}

impl Scheme {
    /// As the books have it, perhaps with a name behind it: `qris dana`.
    #[must_use]
    pub fn of_full(text: &str) -> Self {
        match text.split(' ').next().unwrap_or_default() {
            "gopay" => Self::Gopay,
            "qris" => Self::Qris,
            "alfamart" => Self::Alfamart,
            "indomaret" => Self::Indomaret,
            _ => Self::Other(text.into()),
        }
    }
}
