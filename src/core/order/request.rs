//! Requests: what may be sold, for how much, and which requests are refused.

use super::ids::{ItemId, RequestId, Ticket};
use super::money::Rupiah;
use super::reason::Reason;
use super::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The longest description, in characters. The gateway shows no more of an item's name.
pub const DESCRIPTION_MAX: usize = 50;
/// The shortest and longest time that a QR or payment code may be on the screen, in seconds. The gateway expires a
/// charge after 15 minutes.
pub const TIMEOUT_S: std::ops::RangeInclusive<u16> = 10..=840;

/// How the customer pays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Payment {
    /// A dynamic QR that GoPay and every QRIS app pays.
    #[default]
    Gopay,
    /// A payment code, paid over the counter of an Alfamart.
    Alfamart,
    /// A payment code, paid over the counter of an Indomaret.
    Indomaret,
}

impl Payment {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gopay => "gopay",
            Self::Alfamart => "alfamart",
            Self::Indomaret => "indomaret",
        }
    }

    /// The amounts that can be paid in this way, in whole rupiah: the acquirers' limits as the gateway lists them.
    #[must_use]
    pub const fn amounts(self) -> std::ops::RangeInclusive<u64> {
        match self {
            Self::Gopay => 1..=20_000_000,
            Self::Alfamart => 1..=5_000_000,
            Self::Indomaret => 10_000..=5_000_000,
        }
    }

    /// Whether the customer pays at a store with a payment code, and collects later.
    #[must_use]
    pub const fn is_over_the_counter(self) -> bool {
        match self {
            Self::Gopay => false,
            Self::Alfamart | Self::Indomaret => true,
        }
    }
}

/// What a controller asked for, in its own words. Two requests are the same if these are equal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VendRequest {
    /// The controller never uses it again.
    pub request_id: RequestId,
    /// The item that is to be sold.
    pub item: ItemId,
    /// It is required where the price comes from the request. Otherwise it must equal the price.
    pub amount: Option<Rupiah>,
    /// At most [`DESCRIPTION_MAX`] characters.
    pub description: Option<Box<str>>,
    /// How it is paid.
    pub payment: Payment,
    /// Seconds that the QR or payment code is shown; the machine's own setting if absent.
    pub timeout_s: Option<u16>,
}

/// The way a request came. An item may allow its price to come by one way only. Neither way can use up the other's tries of
/// a payment code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Way {
    /// From somebody who may be anywhere: everybody who may publish `vend/request`.
    Remote,
    /// From the machine itself: a controller on the same board, or a button.
    Board,
}

/// What an item costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Price {
    /// Always the same.
    Fixed(Rupiah),
    /// The controller works the price out, within bounds.
    FromRequest {
        /// The least that may be asked.
        min: Rupiah,
        /// The most that may be asked.
        max: Rupiah,
        /// Whether the price may also come with a `vend/request`.
        mqtt: bool,
    },
}

/// What may be sold.
#[derive(Clone, Debug, Default)]
pub struct PriceList(BTreeMap<ItemId, Price>);

/// A request that the price list allows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Offer {
    /// The request as it came.
    pub request: VendRequest,
    /// The item that is driven for it. If several slots have the goods, it is the one that was chosen. It never changes.
    pub item: ItemId,
    /// The price.
    pub amount: Rupiah,
    /// How long the QR is shown.
    pub timeout: Span,
}

/// A machine asks the backend to have this charged: a request that its price list allows, with the ticket of its relay. It is the same in
/// the machine's call, in the books and in the charge.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Purchase {
    /// The machine's request.
    pub request_id: RequestId,
    /// The relay's ticket. It is copied into the receipt and never interpreted.
    pub ticket: Ticket,
    /// What is driven for it.
    pub item: ItemId,
    /// What was asked for, if another slot with the same goods is driven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<ItemId>,
    /// The text that the customer reads in the app; at most [`DESCRIPTION_MAX`] characters.
    pub description: Option<Box<str>>,
    /// The machine's name for customers, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Box<str>>,
    /// The price.
    pub amount: Rupiah,
    /// How it is paid.
    pub payment: Payment,
    /// Seconds that the QR is shown: [`TIMEOUT_S`].
    pub timeout_s: u16,
}

impl Offer {
    /// What was asked for, if another slot with the same goods is driven.
    #[must_use]
    pub fn asked(&self) -> Option<&ItemId> {
        Some(&self.request.item).filter(|asked| **asked != self.item)
    }
}

impl Purchase {
    /// How long the QR is shown.
    #[must_use]
    pub fn timeout(&self) -> Span {
        Span::secs(self.timeout_s.into())
    }
}

/// Why a request is refused. The refusal changed nothing. It is sent as an answer and written down, so it stays short
/// even if it quotes a long request.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{reason}{}: {detail}", .field.as_ref().map(|f| format!(" ({f})")).unwrap_or_default())]
pub struct Refusal {
    /// The word for it.
    pub reason: Reason,
    /// The wrong field, if there is one: at most [`FIELD_CHARS_MAX`] characters of its name.
    pub field: Option<Box<str>>,
    /// For people: at most [`DETAIL_CHARS_MAX`] characters.
    pub detail: Box<str>,
}

/// The most characters of a refusal's field. Our own fields are shorter; a key that somebody made up is cut.
pub const FIELD_CHARS_MAX: usize = 64;
/// The most characters of a refusal's detail.
pub const DETAIL_CHARS_MAX: usize = 400;

impl Refusal {
    /// A refusal without a wrong field.
    pub fn new(reason: Reason, detail: impl Into<Box<str>>) -> Self {
        Self { reason, field: None, detail: cut(detail.into(), DETAIL_CHARS_MAX) }
    }

    /// A refusal that names the wrong field.
    pub fn field(reason: Reason, field: impl Into<Box<str>>, detail: impl Into<Box<str>>) -> Self {
        Self { field: Some(cut(field.into(), FIELD_CHARS_MAX)), ..Self::new(reason, detail) }
    }
}

/// A text of at most `chars` characters. A longer one is cut, and an ellipsis ends it.
#[must_use]
pub fn cut(text: Box<str>, chars: usize) -> Box<str> {
    if text.chars().nth(chars).is_none() {
        return text;
    }
    text.chars().take(chars - 1).chain(['…']).collect()
}

impl PriceList {
    /// The price list of a machine. Later entries of an item replace earlier ones.
    pub fn new(items: impl IntoIterator<Item = (ItemId, Price)>) -> Self {
        Self(items.into_iter().collect())
    }

    /// The items and their prices, in order.
    pub fn items(&self) -> impl Iterator<Item = (&ItemId, &Price)> {
        self.0.iter()
    }

    /// The price of an item that is sold.
    #[must_use]
    pub fn of(&self, item: &ItemId) -> Option<Price> {
        self.0.get(item).copied()
    }

    /// Prices a request, or says why not.
    ///
    /// # Errors
    /// `unknown_item`, `wrong_amount`.
    pub fn price(&self, request: &VendRequest, way: Way, default_timeout: Span) -> Result<Offer, Refusal> {
        let price = self
            .0
            .get(&request.item)
            .ok_or_else(|| Refusal::field(Reason::UnknownItem, "item", format!("{} is not sold here", request.item)))?;
        let wrong = |detail: String| Refusal::field(Reason::WrongAmount, "amount", detail);
        let amount = match (*price, request.amount) {
            (Price::Fixed(price), None) => price,
            (Price::Fixed(price), Some(asked)) if asked == price => price,
            (Price::Fixed(price), Some(asked)) => return Err(wrong(format!("{} costs {price}, not {asked}", request.item))),
            (Price::FromRequest { mqtt: false, .. }, _) if way == Way::Remote => {
                return Err(wrong(format!("the price of {} is not taken from MQTT", request.item)));
            }
            (Price::FromRequest { .. }, None) => return Err(wrong(format!("{} needs an amount", request.item))),
            (Price::FromRequest { min, max, .. }, Some(asked)) if (min..=max).contains(&asked) => asked,
            (Price::FromRequest { min, max, .. }, Some(asked)) => {
                return Err(wrong(format!("{} costs {min} to {max}, not {asked}", request.item)));
            }
        };
        let timeout = request.timeout_s.map_or(default_timeout, |s| Span::secs(s.into()));
        Ok(Offer { request: request.clone(), item: request.item.clone(), amount, timeout })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rp(n: u64) -> Rupiah {
        Rupiah::new(n).expect("an amount")
    }

    fn item(id: &str) -> ItemId {
        ItemId::new(id).expect("an item")
    }

    #[test]
    fn the_price_list_decides() {
        let list = PriceList::new([
            (item("A1"), Price::Fixed(rp(5000))),
            (item("exit"), Price::FromRequest { min: rp(2000), max: rp(200_000), mqtt: false }),
            (item("wash"), Price::FromRequest { min: rp(1000), max: rp(9000), mqtt: true }),
        ]);
        let cases = [
            ("A1", None, Way::Remote, Ok(5000)),
            ("A1", Some(5000), Way::Remote, Ok(5000)),
            ("A1", Some(4999), Way::Board, Err(Reason::WrongAmount)),
            ("B9", None, Way::Remote, Err(Reason::UnknownItem)),
            ("exit", Some(2000), Way::Board, Ok(2000)),
            ("exit", Some(2000), Way::Remote, Err(Reason::WrongAmount)),
            ("exit", None, Way::Board, Err(Reason::WrongAmount)),
            ("exit", Some(1999), Way::Board, Err(Reason::WrongAmount)),
            ("exit", Some(200_001), Way::Board, Err(Reason::WrongAmount)),
            ("wash", Some(9000), Way::Remote, Ok(9000)),
        ];
        for (id, amount, way, want) in cases {
            let request = VendRequest {
                request_id: RequestId::new("r").expect("an id"),
                item: item(id),
                amount: amount.map(rp),
                description: None,
                payment: Payment::Gopay,
                timeout_s: None,
            };
            let got = list.price(&request, way, Span::secs(120)).map(|o| o.amount.get()).map_err(|r| r.reason);
            assert_eq!(got, want, "{id} {amount:?} {way:?}");
        }
    }

    #[test]
    fn the_list_says_what_is_sold() {
        let free = Price::FromRequest { min: rp(2000), max: rp(200_000), mqtt: false };
        let list = PriceList::new([(item("exit"), free), (item("A1"), Price::Fixed(rp(4000))), (item("A1"), Price::Fixed(rp(5000)))]);
        let all: Vec<_> = list.items().map(|(item, price)| (item.as_str(), *price)).collect();
        assert_eq!(all, [("A1", Price::Fixed(rp(5000))), ("exit", free)]);
        assert_eq!((list.of(&item("exit")), list.of(&item("B9"))), (Some(free), None));
    }

    #[test]
    fn a_payment_has_a_word_and_limits() {
        let table = [
            (Payment::Gopay, "gopay", 1, 20_000_000, false),
            (Payment::Alfamart, "alfamart", 1, 5_000_000, true),
            (Payment::Indomaret, "indomaret", 10_000, 5_000_000, true),
        ];
        for (payment, word, least, most, at_a_counter) in table {
            assert_eq!(serde_json::to_value(payment).expect("a word"), word);
            assert_eq!((payment.as_str(), payment.amounts(), payment.is_over_the_counter()), (word, least..=most, at_a_counter));
        }
    }

    #[test]
    fn a_refusal_names_its_field() {
        let refusal = Refusal::field(Reason::WrongAmount, "amount", "A1 costs Rp5.000");
        assert_eq!((refusal.to_string().as_str(), refusal.field.as_deref()), ("wrong_amount (amount): A1 costs Rp5.000", Some("amount")));
        assert_eq!(Refusal::new(Reason::Busy, "another order").to_string(), "busy: another order");
    }

    #[test]
    fn a_refusal_that_quotes_too_much_is_cut() {
        for (length, kept) in
            [(DETAIL_CHARS_MAX, "é".repeat(DETAIL_CHARS_MAX)), (DETAIL_CHARS_MAX + 1, "é".repeat(DETAIL_CHARS_MAX - 1) + "…")]
        {
            assert_eq!(*Refusal::new(Reason::Malformed, "é".repeat(length)).detail, *kept, "{length}");
        }
        let refusal = Refusal::field(Reason::Malformed, "x".repeat(FIELD_CHARS_MAX + 5), "");
        assert_eq!(refusal.field.map(|field| field.chars().count()), Some(FIELD_CHARS_MAX));
    }
}
