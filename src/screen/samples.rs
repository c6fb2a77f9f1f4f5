//! One picture of every state, by name. They are drawn without a machine, for documents, for tests, and for people who
//! try colours.

use super::picture::{Content, Goods, Level, Missing, Picture, Scene, TryStep};
use super::{Item, Settings};
use qris_core::order::ids::{ItemId, OrderId};
use qris_core::order::money::Rupiah;
use qris_core::order::qris::crc;
use qris_core::order::reason::Reason;
use qris_core::order::stock::NotSold;
use qris_core::order::time::{Boot, Span};
use qris_core::order::tries::TwoDigits;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub struct Sample {
    /// The content of the QR. By default it has the usual length for the amount, and its merchant does not exist.
    pub payload: Option<Box<str>>,
    /// The sum, with an imposed fee.
    pub amount: Rupiah,
    pub goods: Goods,
    pub order: OrderId,
    pub page: Box<str>,
    pub sandbox: bool,
}

impl Sample {
    #[must_use]
    pub fn new(item: ItemId, amount: Rupiah) -> Self {
        let order = OrderId::new("mrbwt0fehv1vfdtzqgdn").expect("an order id");
        let page = format!("https://pay.example.co.id/pay/{order}").into();
        let goods = Goods { item, description: None };
        Self { payload: None, amount, goods, order, page, sandbox: false }
    }
}

type Make = fn(&Sample) -> Scene;

const LEFT: Span = Span::secs(118);
const PAYMENT_CODE: &str = "8127740588870520";

/// The states by name, in the order in which a sale passes them.
const STATES: [(&str, Make); 37] = [
    ("connecting", |_| Scene::Starting),
    ("idle", |_| Scene::Idle { trouble: None, not_sold: BTreeMap::new() }),
    ("sold-out", |sample| Scene::Idle { trouble: None, not_sold: BTreeMap::from([(sample.goods.item.clone(), NotSold::SoldOut)]) }),
    ("blocked", |sample| Scene::Idle { trouble: None, not_sold: BTreeMap::from([(sample.goods.item.clone(), NotSold::Blocked)]) }),
    ("not-sold", |sample| Scene::Refused { goods: sample.goods.clone(), reason: Reason::LineBlocked }),
    ("empty", |_| Scene::Idle { trouble: Some(Reason::SoldOut), not_sold: BTreeMap::new() }),
    ("offline", |_| Scene::Offline { missing: Missing::Backend, not_sold: BTreeMap::new() }),
    ("out-of-order", |_| Scene::Idle { trouble: Some(Reason::Relay), not_sold: BTreeMap::new() }),
    ("updating", |_| Scene::Idle { trouble: Some(Reason::Updating), not_sold: BTreeMap::new() }),
    ("filling", |sample| filling(sample, None)),
    ("counting", |sample| filling(sample, Some(Level::Counting(5)))),
    ("preparing", |sample| Scene::Preparing { goods: sample.goods.clone(), amount: sample.amount }),
    ("pay", pay),
    ("pay-at-store", |sample| Scene::PayAtStore {
        code: PAYMENT_CODE.into(),
        store: "Alfamart",
        goods: sample.goods.clone(),
        amount: sample.amount,
        fee: None,
        within: Some(Span::secs(24 * 3600)),
        collect: Some(Span::secs(72 * 3600)),
        page: Some(sample.page.clone()),
        until: Boot(0) + LEFT,
    }),
    ("paid", |sample| Scene::Dispensing { goods: sample.goods.clone(), is_again: false }),
    ("not-seen", |sample| Scene::NotSeen { goods: sample.goods.clone() }),
    ("take", |sample| Scene::Take { goods: sample.goods.clone() }),
    ("collect", |sample| Scene::Collect { goods: sample.goods.clone(), within: Some(Span::secs(72 * 3600)) }),
    ("checking", |sample| Scene::Checking { goods: sample.goods.clone() }),
    ("cancelling", |sample| Scene::Cancelling { goods: sample.goods.clone() }),
    ("not-finished", |sample| Scene::DoNotPay { order: Some(sample.order.clone()) }),
    ("cancelled", |_| Scene::Cancelled { timed_out: false }),
    ("timed-out", |_| Scene::Cancelled { timed_out: true }),
    ("expired", |_| Scene::Expired),
    ("refused", |_| Scene::Denied),
    ("failed", |_| Scene::Failed { reason: Some(Reason::Backend) }),
    ("refund-due", |sample| Scene::RefundDue { order: sample.order.clone(), amount: sample.amount, page: Some(sample.page.clone()) }),
    ("try-again", |sample| try_again(sample, true, false, TryStep::Offered)),
    ("try-another", |sample| try_again(sample, false, false, TryStep::Offered)),
    ("try-confirm", |sample| {
        let item = sample.goods.clone();
        try_again(sample, true, false, TryStep::Pressed { item, paid_at: Some("15:02 WIB".into()) })
    }),
    ("pay-anew", |sample| pay(sample).before(Some(sample.order.clone()))),
    ("second-try", |sample| try_again(sample, true, true, TryStep::Number(TwoDigits::of(7)))),
    ("second-try-press", |sample| try_again(sample, true, true, TryStep::Told)),
    ("uncertain", |sample| Scene::Uncertain { order: sample.order.clone(), amount: sample.amount, page: Some(sample.page.clone()) }),
    ("refunded", |sample| Scene::Refunded { order: sample.order.clone(), amount: sample.amount }),
    ("code-gone", |sample| Scene::PayAtStore {
        code: PAYMENT_CODE.into(),
        store: "Alfamart",
        goods: sample.goods.clone(),
        amount: sample.amount,
        fee: None,
        within: None,
        collect: None,
        page: None,
        until: Boot(-1),
    }),
    ("test-card", |_| Scene::TestCard),
];

fn pay(sample: &Sample) -> Scene {
    Scene::Pay {
        payload: sample.payload.clone().unwrap_or_else(|| payload(sample.amount).into()),
        goods: sample.goods.clone(),
        amount: sample.amount,
        fee: None,
        page: Some(sample.page.clone()),
        before: None,
        until: Boot(0) + LEFT,
    }
}

/// A machine whose slots are in every condition. `counting`: the button of the sample's goods is held.
fn filling(sample: &Sample, counting: Option<Level>) -> Scene {
    let levels = [Level::Low(2), Level::Good(8), Level::Empty, Level::Suspect(3), Level::Unknown];
    let slot = |(item, level): (Item, Level)| {
        let is_held = item.id == sample.goods.item;
        Content { item: item.id, capacity: 8, level: counting.filter(|_| is_held).unwrap_or(level) }
    };
    let slots = items().into_iter().zip(levels).map(slot).collect();
    Scene::Filling { slots, pressed: counting.map(|_| sample.goods.item.clone()), is_refused: false, by_switch: true }
}

/// The goods did not come, and may be pressed again, or others in their place.
fn try_again(sample: &Sample, same: bool, is_later: bool, step: TryStep) -> Scene {
    let (order, page) = (sample.order.clone(), Some(sample.page.clone()));
    Scene::TryAgain { goods: sample.goods.clone(), same, up_to: Some(sample.amount), is_later, order, page, step }
}

pub fn states() -> impl Iterator<Item = &'static str> {
    STATES.iter().map(|(name, _)| *name)
}

/// The picture of a state; `None`: there is no state of that name.
#[must_use]
pub fn picture(state: &str, sample: &Sample) -> Option<Picture> {
    let (_, make) = STATES.iter().find(|(name, _)| *name == state)?;
    Some(Picture { scene: make(sample), sandbox: sample.sandbox })
}

/// The items of a machine without a configuration.
#[must_use]
pub fn items() -> Vec<Item> {
    let item = |id: &str, id_name: &str, en_name: &str, price: u64| Item {
        id: ItemId::new(id).expect("an item id"),
        id_name: id_name.into(),
        en_name: en_name.into(),
        price: Rupiah::new(price).ok(),
    };
    vec![
        item("A1", "Teh botol 350 ml", "Bottled tea 350 ml", 5_000),
        item("A2", "Air mineral 600 ml", "Mineral water 600 ml", 4_000),
        item("A3", "Kopi susu gula aren", "Palm sugar latte", 12_500),
        item("B1", "Keripik singkong balado 65 g", "Chilli cassava crisps 65 g", 8_000),
        item("B2", "Roti sobek cokelat", "Chocolate bread", 9_500),
    ]
}

/// The settings of a machine without a configuration.
#[must_use]
pub fn settings(surface: super::SurfaceSettings, languages: super::Languages) -> Settings {
    Settings {
        surface,
        rotate: super::Rotation::None,
        languages,
        name: "Lobby".into(),
        contact: "0812-3456-7890 (WhatsApp)".into(),
        greeting: String::new(),
        items: items(),
        theme: super::theme::Theme::default(),
        logo: None,
        page_beside: false,
    }
}

/// A QRIS payload as long as GoPay's own. The number of its merchant is all zeros: no app pays it.
#[must_use]
pub fn payload(amount: Rupiah) -> String {
    let tag = |tag: &str, value: &str| format!("{tag}{:02}{value}", value.len());
    let account = [tag("00", "COM.GO-JEK.WWW"), tag("01", "0000000000000000000"), tag("02", "G000000000"), tag("03", "UKE")].concat();
    let national = [tag("00", "ID.CO.QRIS.WWW"), tag("02", "AID000000000000"), tag("03", "UKE")].concat();
    let additional = [tag("50", "00000000-0000-0000-0000-000000000000"), tag("07", "A01")].concat();
    let mut payload = [
        tag("00", "01"),
        tag("01", "12"),
        tag("26", &account),
        tag("51", &national),
        tag("52", "5814"),
        tag("53", "360"),
        tag("58", "ID"),
        tag("59", "NOBODY"),
        tag("60", "JAKARTA"),
        tag("61", "10110"),
        tag("54", &format!("{}.00", amount.get())),
        tag("62", &additional),
        "6304".to_owned(),
    ]
    .concat();
    payload.push_str(&format!("{:04X}", crc(&payload)));
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_picture_and_a_payload_passes_the_check() {
        let amount = Rupiah::new(5_000).expect("in range");
        let sample = Sample::new(ItemId::new("A1").expect("an id"), amount);
        assert!(states().all(|state| picture(state, &sample).is_some()));
        assert!(picture("nothing", &sample).is_none());
        assert_eq!(qris_core::order::qris::check(&payload(amount), amount), Ok(()));
    }
}
