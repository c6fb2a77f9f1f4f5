//! The pages that say one thing: which words, sign and colours a scene has.

use super::paint::{Colour, Sign};
use super::picture::Scene;
use super::text::Texts;

/// The colours of all pages. Dark on light, for a panel in the sun.
pub(super) mod colours {
    use super::Colour;
    pub(in super::super) const HEADER: Colour = 0x0b_2545;
    pub(in super::super) const GROUND: Colour = 0xee_f2f7;
    pub(in super::super) const CARD: Colour = 0xff_ffff;
    pub(in super::super) const INK: Colour = 0x10_1f38;
    pub(in super::super) const MUTED: Colour = 0x4c_5a72;
    pub(in super::super) const WHITE: Colour = 0xff_ffff;
    pub(in super::super) const ACCENT: Colour = 0x00_6fb0;
    pub(in super::super) const ON_HEADER: Colour = 0x7f_d4f5;
    pub(in super::super) const GOOD: Colour = 0x0b_7a4b;
    pub(in super::super) const WARN: Colour = 0xb4_5309;
    pub(in super::super) const STOP: Colour = 0xb4_1c1c;
    pub(in super::super) const TEST: Colour = 0xff_c107;
}

/// A page without QR code and list.
pub(super) struct Message {
    pub(super) sign: Sign,
    pub(super) ground: Colour,
    pub(super) ink: Colour,
    pub(super) colour: Colour,
    pub(super) headline: String,
    pub(super) amount: Option<String>,
    pub(super) lines: Vec<String>,
    pub(super) order: Option<String>,
    pub(super) contact: bool,
}

impl Message {
    pub(super) fn new(sign: Sign, colour: Colour, headline: &str) -> Self {
        let (ground, ink) = (colours::GROUND, colours::INK);
        Self { sign, ground, ink, colour, headline: headline.into(), amount: None, lines: Vec::new(), order: None, contact: false }
    }

    /// White on a coloured page: to be understood from across the road.
    fn loud(self) -> Self {
        Self { ground: self.colour, ink: colours::WHITE, ..self }
    }

    pub(super) fn line(mut self, text: &str) -> Self {
        self.lines.push(text.into());
        self
    }

    pub(super) fn too_small(t: &Texts, item: &str) -> Self {
        Self::new(Sign::Exclamation, colours::WARN, t.too_small).line(item)
    }

    pub(super) fn of(scene: &Scene, t: &Texts) -> Self {
        use colours::{ACCENT, GOOD, STOP, WARN};
        match scene {
            Scene::Starting => Self::new(Sign::Clock, ACCENT, t.starting).line(t.starting_more),
            Scene::Idle { trouble } => {
                let code = trouble.as_deref().unwrap_or_default();
                Self { contact: true, ..Self::new(Sign::Exclamation, WARN, t.out_of_order) }
                    .line(&format!("{} ({code})", t.why(code)))
                    .line(t.out_of_order_more)
            }
            Scene::Preparing { item, amount } => {
                Self { amount: Some(amount.to_string()), ..Self::new(Sign::Clock, ACCENT, t.preparing) }.line(item)
            }
            Scene::Checking { item } => Self::new(Sign::Clock, ACCENT, t.checking).line(item),
            Scene::Collect { item } => Self::new(Sign::Check, GOOD, t.paid).line(item).line(t.collect_more),
            // The code goes on at the store.
            Scene::PayAtStore { item, .. } => Self::new(Sign::Clock, ACCENT, t.code_gone).line(item),
            // A payment that is laid out as a message is past its deadline.
            Scene::Pay { item, .. } | Scene::Cancelling { item } => {
                Self::new(Sign::Clock, WARN, t.cancelling).line(t.cancelling_more).line(item)
            }
            Scene::DoNotPay { order } => {
                let order = order.as_ref().map(ToString::to_string);
                Self { order, contact: true, ..Self::new(Sign::Cross, STOP, t.do_not_pay) }.loud().line(t.do_not_pay_more)
            }
            Scene::Dispensing { item } => Self::new(Sign::Check, GOOD, t.paid).loud().line(item).line(t.paid_more),
            Scene::Take { item } => Self::new(Sign::Check, GOOD, t.take).loud().line(item).line(t.take_more),
            Scene::Cancelled { timed_out } => {
                Self::new(Sign::Cross, ACCENT, if *timed_out { t.timed_out } else { t.cancelled }).line(t.nothing_paid)
            }
            Scene::Expired => Self::new(Sign::Cross, ACCENT, t.expired).line(t.nothing_paid),
            Scene::Denied => Self::new(Sign::Cross, STOP, t.denied).line(t.denied_more),
            Scene::Failed { reason } => Self::new(Sign::Exclamation, WARN, t.failed).line(&format!("{} ({reason})", t.why(reason))),
            Scene::RefundDue { order, amount } => {
                let (order, amount) = (Some(order.to_string()), Some(amount.to_string()));
                Self { order, amount, contact: true, ..Self::new(Sign::Exclamation, WARN, t.refund_due) }.line(t.refund_due_more)
            }
            Scene::Refunded { order, amount } => {
                let (order, amount) = (Some(order.to_string()), Some(amount.to_string()));
                Self { order, amount, contact: true, ..Self::new(Sign::Check, GOOD, t.refunded) }.line(t.refunded_more)
            }
        }
    }
}
