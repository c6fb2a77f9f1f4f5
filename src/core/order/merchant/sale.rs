use crate::order::ids::{DeviceId, ItemId, KeyId, RequestId, Ticket};
use crate::order::money::Rupiah;
use crate::order::proof::RelayKey;
use crate::order::request::Purchase;
use serde::{Deserialize, Serialize};

/// The sale. It is the same for every attempt at charging it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sale {
    /// The machine.
    pub device: DeviceId,
    /// What it asked for.
    #[serde(flatten)]
    pub purchase: Purchase,
    /// The key that will sign the receipt.
    pub kid: KeyId,
    /// The key of the machine's relay that was known when the order was made. No other key proves the order's end. A key that came later
    /// may belong to somebody who wants goods and money. `None`: none was known, or the books had lost the order. Then nothing proves it.
    pub relay_key: Option<RelayKey>,
}

/// The note in a charge that the gateway repeats: it says whose sale it is. A backend that lost its books knows the order again by
/// it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metadata {
    /// The machine.
    pub device: DeviceId,
    pub request_id: RequestId,
    pub item: ItemId,
    /// The price.
    pub amount: Rupiah,
    /// The relay's ticket.
    pub ticket: Ticket,
}

impl Metadata {
    /// As three texts: the machine; the request; `item|amount|ticket`.
    #[must_use]
    pub fn to_texts(&self) -> [String; 3] {
        let third = format!("{}|{}|{}", self.item, self.amount.get(), self.ticket);
        [self.device.to_string(), self.request_id.to_string(), third]
    }

    /// Reads them back; `None` if [`Metadata::to_texts`] did not write them.
    #[must_use]
    pub fn from_texts(device: &str, request_id: &str, third: &str) -> Option<Self> {
        let mut parts = third.split('|');
        let (item, amount, ticket) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let metadata = Self {
            device: DeviceId::new(device).ok()?,
            request_id: RequestId::new(request_id).ok()?,
            item: ItemId::new(item).ok()?,
            amount: Rupiah::new(amount.parse().ok()?).ok()?,
            ticket: Ticket::new(ticket).ok()?,
        };
        // `+5` and `05` parse as numbers, but we never write them.
        (metadata.to_texts()[2] == third).then_some(metadata)
    }
}

#[cfg(any(test, feature = "testing"))]
impl Sale {
    /// The same sale, paid in another way.
    #[must_use]
    pub fn paid_by(mut self, payment: crate::order::request::Payment) -> Self {
        self.purchase.payment = payment;
        self
    }
}

impl Sale {
    /// The metadata in a charge of it.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        let Purchase { request_id, item, amount, ticket, .. } = self.purchase.clone();
        Metadata { device: self.device.clone(), request_id, item, amount, ticket }
    }
}
