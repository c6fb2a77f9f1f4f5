//! The pages that say one thing: the words, sign and colours of each scene.

use super::paint::{Colour, Sign};
use super::picture::{Content, Scene, TryStep};
use super::text::{Words, tail};
use super::theme::{Signal, Theme, WHITE};
use qris_core::order::ids::{ItemId, OrderId};
use qris_core::order::money::Rupiah;
use qris_core::order::reason::Reason;

pub(super) struct Message {
    pub(super) sign: Sign,
    /// In the place of the sign, larger than every other text.
    pub(super) number: Option<String>,
    pub(super) ground: Colour,
    pub(super) ink: Colour,
    pub(super) muted: Colour,
    pub(super) disc: Colour,
    pub(super) loud: bool,
    pub(super) headline: String,
    pub(super) amount: Option<String>,
    pub(super) lines: Vec<String>,
    /// For a person who repairs the machine.
    pub(super) code: Option<String>,
    pub(super) order: Option<Vec<String>>,
    pub(super) contact: bool,
    /// The customer's page, as a code.
    pub(super) page: Option<Box<str>>,
}

impl Message {
    pub(super) fn new(theme: &Theme, sign: Sign, disc: Colour, headline: &str) -> Self {
        Self {
            sign,
            number: None,
            ground: theme.ground,
            ink: theme.text,
            muted: theme.muted,
            disc,
            loud: false,
            headline: headline.into(),
            amount: None,
            lines: Vec::new(),
            code: None,
            order: None,
            contact: false,
            page: None,
        }
    }

    /// White on a coloured page, so that people understand it from across the road.
    fn loud(sign: Sign, signal: Signal, headline: &str) -> Self {
        let theme = Theme { ground: signal.dark(), text: WHITE, muted: WHITE, ..Theme::default() };
        Self { loud: true, ..Self::new(&theme, sign, WHITE, headline) }
    }

    pub(super) fn line(mut self, text: &str) -> Self {
        self.lines.push(text.into());
        self
    }

    fn more(mut self, line: Option<String>) -> Self {
        self.lines.extend(line);
        self
    }

    fn code(self, code: &str) -> Self {
        Self { code: Some(code.into()), ..self }
    }

    /// Whose money it is about, and whom to ask.
    fn money(self, order: &OrderId, amount: Rupiah, page: Option<&str>) -> Self {
        Self { order: Some(groups(order)), amount: Some(amount.to_string()), page: page.map(Into::into), contact: true, ..self }
    }

    pub(super) fn too_small(theme: &Theme, t: &Words, item: &str) -> Self {
        Self::new(theme, Sign::Exclamation, theme.warn(), t.too_small).line(item)
    }

    /// `item`: the name of the scene's goods, if it has any.
    pub(super) fn of(scene: &Scene, theme: &Theme, t: &Words, item: &str) -> Self {
        let plain = |sign, disc, headline| Self::new(theme, sign, disc, headline);
        let wait = |headline| plain(Sign::Clock, theme.accent, headline);
        match scene {
            Scene::Starting | Scene::TestCard => wait(t.starting).line(t.starting_more),
            Scene::Idle { trouble: None, .. } => plain(Sign::Check, theme.good(), t.ready).line(t.choose_on_machine).line(t.pay_with_more),
            Scene::Offline { missing, .. } => plain(Sign::Clock, theme.warn(), t.offline).line(t.offline_more).code(missing.as_str()),
            // Somebody sees to it: nothing is broken.
            Scene::Idle { trouble: Some(Reason::SoldOut), .. } => wait(t.all_sold_out).line(t.all_sold_out_more),
            Scene::Idle { trouble: Some(Reason::Updating), .. } => {
                wait(t.starting_more).line(t.why(Reason::Updating)).line(t.out_of_order_more)
            }
            Scene::Idle { trouble: Some(reason), .. } => {
                let message = plain(Sign::Exclamation, theme.warn(), t.out_of_order).line(t.why(*reason)).line(t.out_of_order_more);
                Self { contact: true, ..message.code(reason.as_str()) }
            }
            Scene::Filling { slots, pressed, is_refused, .. } => {
                let (disc, headline) = if *is_refused { (theme.stop(), t.not_changed) } else { (theme.accent, t.filling) };
                plain(Sign::Clock, disc, headline).line(&pressed_of(slots, pressed.as_ref(), t))
            }
            Scene::Refused { reason: Reason::SoldOut, .. } => wait(t.sold_out).line(item).line(t.choose_other),
            Scene::Refused { reason: Reason::LineBlocked | Reason::WrongAmount, .. } => {
                plain(Sign::Exclamation, theme.warn(), t.not_sold_now).line(item).line(t.choose_other)
            }
            Scene::Refused { reason, .. } => {
                plain(Sign::Exclamation, theme.warn(), t.failed).line(item).line(t.why(*reason)).code(reason.as_str())
            }
            Scene::Preparing { amount, .. } => Self { amount: Some(amount.to_string()), ..wait(t.preparing) }.line(item),
            Scene::Checking { .. } => wait(t.checking).line(item),
            Scene::Collect { within, .. } => {
                plain(Sign::Check, theme.good(), t.paid).line(item).line(t.collect_more).more(t.collect_within(*within))
            }
            // The code goes on at the store.
            Scene::PayAtStore { .. } => wait(t.code_gone).line(item),
            // A payment that comes here is past its deadline.
            Scene::Pay { .. } | Scene::Cancelling { .. } => {
                plain(Sign::Clock, theme.warn(), t.cancelling).line(t.cancelling_more).line(item)
            }
            Scene::DoNotPay { order } => {
                let message = Self::loud(Sign::Cross, Signal::Stop, t.do_not_pay).line(t.do_not_pay_more);
                Self { order: order.as_ref().map(groups), contact: true, ..message }
            }
            Scene::Dispensing { is_again, .. } => {
                Self::loud(Sign::Check, Signal::Good, if *is_again { t.tried_again } else { t.paid }).line(item).line(t.paid_more)
            }
            Scene::NotSeen { .. } => wait(t.not_seen).line(item).line(t.not_seen_more),
            Scene::Take { .. } => Self::loud(Sign::Check, Signal::Good, t.take).line(item).line(t.take_more),
            Scene::Cancelled { timed_out } => {
                plain(Sign::Cross, theme.accent, if *timed_out { t.timed_out } else { t.cancelled }).line(t.nothing_paid)
            }
            Scene::Expired => plain(Sign::Cross, theme.accent, t.expired).line(t.nothing_paid),
            Scene::Denied => plain(Sign::Cross, theme.stop(), t.denied).line(t.denied_more),
            Scene::Failed { reason } => {
                let message = |why| plain(Sign::Exclamation, theme.warn(), t.failed).line(why).line(t.failed_more);
                reason.map_or_else(|| message(t.why_machine), |reason| message(t.why(reason)).code(reason.as_str()))
            }
            Scene::RefundDue { order, amount, page } => {
                plain(Sign::Exclamation, theme.warn(), t.refund_due).line(t.refund_due_more).money(order, *amount, page.as_deref())
            }
            Scene::TryAgain { .. } => Self::of_try(scene, theme, t, item),
            Scene::Uncertain { order, amount, page } => {
                plain(Sign::Exclamation, theme.warn(), t.uncertain).line(t.uncertain_more).money(order, *amount, page.as_deref())
            }
            Scene::Refunded { order, amount } => {
                plain(Sign::Check, theme.good(), t.refunded).line(t.refunded_more).money(order, *amount, None)
            }
        }
    }

    /// Another try, as far as its customer has come.
    fn of_try(scene: &Scene, theme: &Theme, t: &Words, item: &str) -> Self {
        let plain = |sign, disc, headline| Self::new(theme, sign, disc, headline);
        let wait = |headline| plain(Sign::Clock, theme.accent, headline);
        let first = |words: &str| format!("{item}: {words}");
        let Scene::TryAgain { same, up_to, is_later, order, page, step, .. } = scene else { return wait(t.starting) };
        let up_to = up_to.map(|up_to| t.try_up_to(*same, up_to));
        let message = match step {
            TryStep::Offered => {
                wait(if *same { t.try_same } else { t.try_other }).line(&first(if *is_later { t.try_later } else { t.try_now })).more(up_to)
            }
            TryStep::Pressed { paid_at, .. } => {
                let message = plain(Sign::Exclamation, theme.accent, t.try_yours).line(&t.try_of(item, paid_at.as_deref()));
                return Self { order: Some(vec![tail(order)]), ..message.line(t.try_free) };
            }
            // How dear another one may be is told when the number has been told: until then the digits need the room.
            TryStep::Number(digits) => {
                Self { number: Some(digits.to_string()), ..wait(t.try_tell) }.line(&t.try_tell_more(same.then_some(item)))
            }
            TryStep::Told => plain(Sign::Check, theme.good(), t.try_told).line(&first(t.try_told_more)).more(up_to),
        };
        Self { order: Some(groups(order)), page: page.clone(), ..message }
    }
}

/// An order's number in pieces, as people read it out.
fn groups(order: &OrderId) -> Vec<String> {
    order.groups().into_iter().map(Into::into).collect()
}

/// The slot whose button was pressed last, or what to do first: there is no room for a list.
fn pressed_of(slots: &[Content], pressed: Option<&ItemId>, t: &Words) -> String {
    let last = slots.iter().find(|slot| Some(&slot.item) == pressed);
    last.map_or_else(|| t.filling_how.into(), |slot| format!("{}: {}", slot.item, t.content(slot, false)))
}
