//! The words of the history.

use qris_core::order::late_sign::LateSign;
use qris_core::order::merchant::{Asker, DeliveryReport, Event, RefundAnswer, RefundEnding, StatusReport};
use qris_core::order::tries::TryNumber;
use qris_host::speech::{self, Language};

pub(super) fn describe(event: &Event) -> String {
    let said = |report: &StatusReport| format!("{:?}", report.said).to_lowercase();
    match event {
        Event::Charged(charge) => format!("charged {} as {}", charge.gross_amount, charge.transaction_id),
        Event::ChargedUnreadable(_, why) => format!("charged, but without a usable QR ({why})"),
        Event::NotCharged(why) => format!("not charged ({why:?})"),
        Event::Status(report) => format!("get-status says {}", said(report)),
        Event::StatusUnknown => "get-status knows no such transaction".into(),
        Event::StatusUnclear(why) => format!("get-status tells nothing of it ({why})"),
        Event::StatusUnanswered => "get-status was not answered".into(),
        Event::CancelDone(report) => format!("cancel answered {}", said(report)),
        Event::CancelRefused => "the gateway cannot cancel it any more".into(),
        Event::CancelUnknown => "the gateway has nothing to cancel".into(),
        Event::CancelUnanswered => "cancel was not answered".into(),
        Event::Notified(said) => format!("notified of {}", format!("{said:?}").to_lowercase()),
        Event::PaymentReported => "the machine says that it was paid".into(),
        Event::Abandoned => "the program that asked the gateway is gone".into(),
        Event::Restarted => "the backend was restarted".into(),
        Event::TimedOut => "nobody ended it in time".into(),
        Event::GaveUp => "the machine no longer waits for the charge".into(),
        Event::Awaited => "the machine asked again".into(),
        Event::StatusRequested => "the machine asks".into(),
        Event::CancelRequested => "the machine wants it ended".into(),
        Event::Delivered(told) => {
            let reason = told.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            format!("the machine told {}{reason}; proof {}", told.outcome, speech::orders::proof(&told.proof, Language::En))
        }
        Event::Contradicted { told, .. } => another_outcome(told),
        Event::CameLate { number, .. } => late_sign(LateSign::Came, *number),
        Event::TryAgain { promise, .. } => format!("the machine tries again (try {}, {})", promise.nth.number(), promise.item),
        Event::TryWanted { by: None, .. } => "its customer wants another try at the machine".into(),
        Event::NumberTold { by: None, .. } => "a number was told on its page".into(),
        Event::NumberTold { by, .. } => format!("{} told a number for its customer", person(by.as_deref())),
        Event::TryWanted { by, .. } => format!("{} wants another try for its customer", person(by.as_deref())),
        Event::TryWishEnds => "nobody has pressed for another try".into(),
        Event::TryOfferEnds => "no other try is offered any more".into(),
        Event::Unreported => "no outcome was told in time".into(),
        Event::Unconfirmed => "for five minutes get-status has not confirmed that it is paid".into(),
        Event::RefundRequested(wish) => {
            let by = match &wish.by {
                Asker::Automatic => "the backend itself".into(),
                Asker::Person(by) => person(by.as_deref()),
            };
            let unreported = if wish.no_report { ", without a report of the machine" } else { "" };
            let unproven = if wish.no_proof { ", without the relay's proof" } else { "" };
            format!("{by} wants it refunded{unreported}{unproven}{}", besides(wish.goods_and_money))
        }
        Event::RefundAnswered(answer) => match answer {
            RefundAnswer::Approved(_) => "the gateway refunded it".into(),
            RefundAnswer::Unsure(why) => format!("the refund was not answered ({why})"),
            RefundAnswer::Passing(why) => format!("the refund could not be asked for ({why})"),
            RefundAnswer::KeyUsed(_) => "the gateway has had this key of a refund before".into(),
            RefundAnswer::Refused(why) => format!("the refund was refused ({why})"),
        },
        Event::SettledByHand { note, by, no_report, goods_and_money } => {
            let unreported = if *no_report { ", without a report of the machine" } else { "" };
            format!("{} settled it by hand{unreported}{}: {note}", person(by.as_deref()), besides(*goods_and_money))
        }
        Event::Given { by, goods_and_money, from_slot: false } => format!("{by} handed the goods over{}", besides(*goods_and_money)),
        Event::Given { by, goods_and_money, from_slot: true } => {
            format!("{by} took the goods out of the machine, and handed them over{}", besides(*goods_and_money))
        }
        Event::RefundEnds(RefundEnding::Soon) => "the gateway refunds it for three days at most".into(),
        Event::RefundEnds(RefundEnding::LastDay) => "the gateway refunds it for one day at most".into(),
        Event::RefundEnds(RefundEnding::Over) => "the gateway does not refund it any more: only by hand".into(),
        Event::SeenBy(by) => format!("{by} has seen it"),
    }
}

/// The line that tells of goods after the end of their try was signed.
pub(super) fn late_sign(sign: LateSign, number: TryNumber) -> String {
    let number = number.get();
    match sign {
        LateSign::Passed => format!("something passed the sensor after the end of try {number} was signed: the goods, or a hand"),
        LateSign::Came => format!("the board says that the goods of try {number} came, after their end was signed"),
    }
}

/// The line that says that a machine told another outcome than before.
pub(super) fn another_outcome(told: &DeliveryReport) -> String {
    let reason = told.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("another outcome was told: {}{reason}", told.outcome)
}

const fn besides(goods_and_money: bool) -> &'static str {
    if goods_and_money { ", although goods of another try came" } else { "" }
}

fn person(name: Option<&str>) -> String {
    name.unwrap_or("a person").into()
}
