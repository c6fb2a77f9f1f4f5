//! An order as its customer may know it: the page has no ticket, no receipt of the relay, no request_id, because nothing of that is here.

use super::{offered, refund};
use qris_core::order::ids::{ItemId, OrderId};
use qris_core::order::merchant::{NumberStands, Order, Standing};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Delivery;
use qris_core::order::qris;
use qris_core::order::request::Payment;
use qris_core::order::time::{Told, Wall};
use qris_core::order::tries::TryNumber;
use qris_core::wire::orders::{Refund, Status};

/// Anybody with the order's number may know this. Some of it is for the key of its page only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForCustomer {
    pub order_id: OrderId,
    pub payment: Payment,
    pub status: Status,
    pub standing: Standing,
    pub refund: Option<Refund>,
    pub outcome: Option<Delivery>,
    /// The present goods, and their price; the first ones stand in `name` and `price`.
    pub item: ItemId,
    pub amount: Rupiah,
    pub nth_try: TryNumber,
    pub price: Rupiah,
    pub gross_amount: Option<Rupiah>,
    /// What people call the goods; their slot if they have no name.
    pub name: Box<str>,
    /// What people call the machine; its id if it has no name.
    pub machine: Box<str>,
    /// Whom the QR pays.
    pub paid_to: Option<Box<str>>,
    pub store: Option<Box<str>>,
    pub qr_payload: Option<Box<str>>,
    /// The gateway's picture of the QR.
    pub qr_url: Option<Box<str>>,
    pub charged_at: Option<Wall>,
    /// When it was paid, and how much if the gateway said that. `None`: it is not, or was taken back.
    pub paid: Option<(Wall, Option<Rupiah>)>,
    /// The end of the time to pay it, or to collect it at the machine.
    pub until: Option<Wall>,
    /// With the key only: the app that pays. The link has the way back in it, and this the key.
    pub deeplink_url: Option<Box<str>>,
    /// With the key only.
    pub payment_code: Option<Box<str>>,
    /// With the key only: another try may begin until then.
    pub try_until: Option<Wall>,
    /// With the key only: the machine offers it now.
    pub is_try_wanted: bool,
    /// With the key only: how the number stands that the machine shows. `None`: the page asks for none.
    pub number: Option<NumberStands>,
}

#[must_use]
pub fn order(order: &Order, has_key: bool, now: Told) -> ForCustomer {
    let (purchase, goods) = (&order.sale.purchase, order.goods());
    let (charge, shown) = (order.charge(), offered(order));
    // The machine takes its QR off the screen before the backend ends the charge.
    let off_screen = charge.filter(|_| !purchase.payment.is_over_the_counter()).map(|charge| charge.charged_at + purchase.timeout());
    ForCustomer {
        order_id: order.id.clone(),
        payment: purchase.payment,
        status: order.status(),
        standing: order.standing(),
        refund: refund(order),
        outcome: order.delivery().map(|told| told.outcome),
        item: goods.item,
        amount: goods.amount,
        nth_try: order.number_of_try(),
        price: purchase.amount,
        gross_amount: shown.map(|charge| charge.gross_amount),
        name: purchase.description.clone().unwrap_or_else(|| purchase.item.as_str().into()),
        machine: purchase.machine.clone().unwrap_or_else(|| order.sale.device.as_str().into()),
        paid_to: charge.and_then(|charge| qris::merchant_name(charge.qr_payload.as_deref()?).map(Into::into)),
        store: shown.and_then(|charge| charge.store.clone()),
        qr_payload: shown.and_then(|charge| charge.qr_payload.clone()),
        qr_url: charge.and_then(|charge| charge.qr_url.clone()),
        charged_at: charge.map(|charge| charge.charged_at),
        paid: match order.status() {
            Status::Settlement | Status::Failure | Status::Refund => order.settlement().map(|by| (by.settled_at, by.gross_amount)),
            Status::Pending | Status::Expire | Status::Cancel | Status::Deny | Status::Other(_) => None,
        },
        until: order.ends_at().map(|at| off_screen.map_or(at, |off| off.min(at))),
        deeplink_url: shown.filter(|_| has_key).and_then(|charge| charge.deeplink_url.clone()),
        payment_code: shown.filter(|_| has_key).and_then(|charge| charge.payment_code.clone()),
        try_until: order.try_again_until(now).filter(|_| has_key),
        is_try_wanted: has_key && order.try_wanted_until(now).is_some(),
        number: order.number_stands(now).filter(|_| has_key && !order.has_guessed_too_often(now)),
    }
}
