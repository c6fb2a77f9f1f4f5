//! The names of things. Each is checked when it is made, so a value of one of these types is always well formed.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {lengths} of {letters}")]
pub struct IdError {
    what: &'static str,
    /// How many of them, as `1–64`.
    pub lengths: &'static str,
    /// Which characters, as `A-Za-z0-9_-`.
    pub letters: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $told:literal of $letters:literal, $lengths:expr, $extra:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Takes a text that keeps the rule.
            pub fn new(text: &str) -> Result<Self, IdError> {
                let ok = |b: u8| b.is_ascii_alphanumeric() || $extra.as_bytes().contains(&b);
                if $lengths.contains(&text.len()) && text.bytes().all(ok) {
                    Ok(Self(text.into()))
                } else {
                    Err(IdError { what: $what, lengths: $told, letters: $letters })
                }
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(&text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.into()
            }
        }
    };
}

id!(
    /// A machine: 1–64 of `A-Za-z0-9_-`. It is a level of an MQTT topic and the audience of its receipts.
    DeviceId, "a device id", "1–64" of "A-Za-z0-9_-", (1..=64), "_-"
);
id!(
    /// The name that a controller gives its request: 1–64 of `A-Za-z0-9_-`, never used twice (a UUID).
    RequestId, "a request_id", "1–64" of "A-Za-z0-9_-", (1..=64), "_-"
);
id!(
    /// The name that an operator gives a command: 1–64 of `A-Za-z0-9_-`, never used twice (a UUID).
    CommandId, "a jti", "1–64" of "A-Za-z0-9_-", (1..=64), "_-"
);
id!(
    /// The backend's and the gateway's name of an order: 1–50 of `A-Za-z0-9._~-`, unique over all machines for ever.
    OrderId, "an order_id", "1–50" of "A-Za-z0-9._~-", (1..=50), "._~-"
);
impl OrderId {
    /// Its letters in groups, as people read them out. A number with other characters than letters and digits is one group.
    #[must_use]
    pub fn groups(&self) -> Vec<&str> {
        const GROUP: usize = 5;
        match self.0.bytes().all(|letter| letter.is_ascii_alphanumeric()) {
            true => (0..self.0.len()).step_by(GROUP).map(|at| &self.0[at..self.0.len().min(at + GROUP)]).collect(),
            false => vec![&self.0],
        }
    }
}
id!(
    /// What is sold: 1–32 of `A-Za-z0-9._-`. No `|`: a gateway may keep it beside others in one field of a charge.
    ItemId, "an item", "1–32" of "A-Za-z0-9._-", (1..=32), "._-"
);
id!(
    /// The gateway's name of a transaction, a UUID in every sample seen: 1–64 of `A-Za-z0-9_-`.
    TransactionId, "a transaction_id", "1–64" of "A-Za-z0-9_-", (1..=64), "_-"
);
id!(
    /// The relay's promise that it could deliver: 128 random bits, base64url without padding.
    Ticket, "a ticket", "22" of "A-Za-z0-9_-", (22..=22), "_-"
);
id!(
    /// The name of a signing key: 1–64 of `A-Za-z0-9_-`; ours are RFC 7638 thumbprints.
    KeyId, "a kid", "1–64" of "A-Za-z0-9_-", (1..=64), "_-"
);
id!(
    /// The code that the customer tells the cashier of an Alfamart or Indomaret, and types in at the machine: 1–32 of
    /// `A-Za-z0-9`.
    PaymentCode, "a payment code", "1–32" of "A-Za-z0-9", (1..=32), ""
);

impl PaymentCode {
    /// Takes a code as people type it: the spaces and hyphens between its groups do not count.
    pub fn typed(text: &str) -> Result<Self, IdError> {
        Self::new(&text.replace([' ', '-'], ""))
    }

    /// Whether both are the same. The time that this takes does not tell how many of their characters are equal.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        let differ = self.0.bytes().zip(other.0.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b));
        self.0.len() == other.0.len() && differ == 0
    }
}

impl Ticket {
    /// A ticket of 128 bits drawn by the caller, who owns the source of randomness.
    #[must_use]
    pub fn from_random(bits: [u8; 16]) -> Self {
        use base64::Engine as _;
        Self(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bits).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_their_rules() {
        assert!(RequestId::new("f3b0c1d2-0001").is_ok());
        for bad in ["", "a b", "ä", "a/b", "a.b", &"x".repeat(65)] {
            assert!(RequestId::new(bad).is_err(), "{bad:?}");
        }
        assert!(OrderId::new("a.b~c-2").is_ok());
        assert!(OrderId::new(&"x".repeat(51)).is_err());
        assert!(ItemId::new("A1|B").is_err());
        assert_eq!(Ticket::from_random([0xff; 16]).as_str().len(), 22);
        assert!(Ticket::new("short").is_err());
    }

    #[test]
    fn an_order_is_read_out_in_groups() {
        let groups = |id: &str| OrderId::new(id).expect("an id").groups().join(" ");
        assert_eq!(groups("mrbwt0fehv1vfdtzqgdn"), "mrbwt 0fehv 1vfdt zqgdn");
        assert_eq!(groups("mrbwt0f"), "mrbwt 0f");
        assert_eq!(groups("vm-001_0192f3c4"), "vm-001_0192f3c4");
    }

    #[test]
    fn a_payment_code_is_taken_as_it_is_typed() {
        let code = PaymentCode::new("8127740588870520").expect("a code");
        assert_eq!(PaymentCode::typed("8127 7405-8887 0520"), Ok(code.clone()));
        for (other, same) in [
            ("8127740588870520", true),
            ("8127740588870521", false),
            ("1827740588870520", false),
            ("812774058887052", false),
            ("81277405888705200", false),
        ] {
            assert_eq!(code.is(&PaymentCode::new(other).expect("a code")), same, "{other}");
        }
        for bad in ["", " - ", "8127/7405", "ä", &"1".repeat(33), &"1 ".repeat(33)] {
            assert!(PaymentCode::typed(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_wrong_id_in_json_is_an_error_that_says_the_rule() {
        let error = serde_json::from_str::<DeviceId>("\"vm 1\"").expect_err("a space");
        assert!(error.to_string().contains("1–64 of A-Za-z0-9_-"), "{error}");
    }
}
