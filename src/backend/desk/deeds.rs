//! What a person does about a paid order. The order is asked by the very code of `qris-backend refund`, `given`, `again` and `seen`. The
//! person is judged beside it. The deed, its judging and its line in the log are one transaction.

use super::judge::{self, Usual};
use super::log::{self, By, What};
use super::people::Person;
use super::sessions::{self, Asker, Shown};
use crate::sale::books::{self, BooksError, Decision, Done, Policy};
use crate::sale::counted;
use crate::sale::view::desk::MARK;
use crate::store::Tx;
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::{NumberStands, Order, RefundWish, Refused};
use qris_core::order::time::Told;
use qris_core::order::tries::TwoDigits;
use qris_core::text::steers;
use qris_core::wire::desk::{Deed, Denied, Do, NOTE_MAX, Possible, Problem, Sure};

fn in_history(person: &Person) -> Box<str> {
    format!("{}{MARK}", person.name).into()
}

/// What a person may have to say first.
const fn sures(deed: Deed) -> &'static [Sure] {
    match deed {
        Deed::Refund => &[Sure::NoReport, Sure::NoProof, Sure::GoodsAndMoney],
        Deed::ByHand => &[Sure::NoReport, Sure::NotRefunded, Sure::GoodsAndMoney],
        Deed::Given => &[Sure::GoodsAndMoney],
        Deed::Again | Deed::Number | Deed::Seen => &[],
    }
}

/// The decision of a deed. `by`: who answers for it, where the order asks for a name. `None`: there is no such decision.
/// That another try is wanted decides nothing about the money.
fn decision(deed: Deed, is_sure: Option<Sure>, (note, from_slot): (&str, bool), by: Option<&str>, name: &str) -> Option<Decision> {
    let by = by.map(Into::into);
    let wish = RefundWish::of_a_person(Some(name.into()));
    // Each tick is one of its own, but for a report: the person who looks answers for that by name.
    let settled = |by, no_report, goods_and_money| Decision::ByHand { note: note.into(), by, no_report, goods_and_money };
    Some(match (deed, is_sure) {
        (Deed::Refund, None) => Decision::Refund(wish),
        (Deed::Refund, Some(Sure::NoReport)) => Decision::Refund(RefundWish { no_report: true, ..wish }),
        (Deed::Refund, Some(Sure::NoProof)) => Decision::Refund(RefundWish { no_proof: true, ..wish }),
        (Deed::Refund, Some(Sure::GoodsAndMoney)) => Decision::Refund(RefundWish { goods_and_money: true, ..wish }),
        (Deed::ByHand, None) => settled(by, false, false),
        (Deed::ByHand, Some(Sure::NoReport)) => settled(by, true, false),
        // An earlier refund was asked for with a report, or by a person who has answered for the missing one.
        (Deed::ByHand, Some(Sure::NotRefunded)) => settled(Some(name.into()), true, false),
        (Deed::ByHand, Some(Sure::GoodsAndMoney)) => settled(Some(name.into()), false, true),
        (Deed::Given, None) => Decision::Given { by: name.into(), goods_and_money: false, from_slot },
        (Deed::Given, Some(Sure::GoodsAndMoney)) => Decision::Given { by: name.into(), goods_and_money: true, from_slot },
        (Deed::Seen, None) => Decision::Seen { by: name.into() },
        (Deed::Refund, Some(Sure::NotRefunded)) | (Deed::ByHand, Some(Sure::NoProof)) => return None,
        (Deed::Given, Some(Sure::NoReport | Sure::NoProof | Sure::NotRefunded)) | (Deed::Seen, Some(_)) => return None,
        (Deed::Again | Deed::Number, _) => return None,
    })
}

/// What must be said first, or why the order refuses. The outer error is the database's.
fn needs(
    tx: &mut dyn Tx,
    policy: &Policy,
    order: &Order,
    deed: Deed,
    name: &str,
    now: Told,
) -> Result<Result<Option<Sure>, Denied>, BooksError> {
    Ok(match deed {
        Deed::Again => match books::may_want_try(tx, policy, order, Some(name), now) {
            Ok(()) => Ok(None),
            Err(BooksError::NoTry(why)) => Err(Denied::Try(why)),
            Err(error) => return Err(error),
        },
        Deed::Number => order.may_tell_number(Some(name), now).map(|()| None).map_err(Denied::Try),
        Deed::Refund | Deed::ByHand | Deed::Given | Deed::Seen => needs_to_decide(policy, order, deed, name, now).map_err(Denied::Order),
    })
}

fn needs_to_decide(policy: &Policy, order: &Order, deed: Deed, name: &str, now: Told) -> Result<Option<Sure>, Refused> {
    // On the command line a name says that somebody has looked. At the desk everybody has one, so each is asked for itself.
    let may = |is_sure| {
        decision(deed, is_sure, ("-", false), None, name).map_or(Ok(()), |decision| books::may_decide(policy, order, decision, now))
    };
    let Err(plain) = may(None) else { return Ok(None) };
    if let Some(sure) = sures(deed).iter().find(|sure| may(Some(**sure)).is_ok()) {
        return Ok(Some(*sure));
    }
    // Where the report alone is missing, the next reason says more.
    let next = sures(deed).first().filter(|_| plain == Refused::NotReported);
    Err(next.and_then(|sure| may(Some(*sure)).err()).unwrap_or(plain))
}

/// The money that a deed moves, for the limit of a day.
fn moves(deed: Deed, order: &Order) -> Option<u64> {
    deed.is_about_money().then(|| counted::to_return(order))
}

/// What this person can do about an order, and why not the rest. `left`: what they may still move today.
pub fn possible(tx: &mut dyn Tx, policy: &Policy, order: &Order, asker: &Asker, left: u64, now: Told) -> Result<Vec<Possible>, BooksError> {
    let name = in_history(&asker.person);
    let mut one = |deed| {
        let judged = match judge::settles(asker) {
            Ok(()) => needs(tx, policy, order, deed, &name, now)?,
            Err(why) => Err(why),
        };
        let judged = judged.and_then(|needs| judge::limit(left, moves(deed, order)).map(|()| needs));
        Ok(match judged {
            Ok(is_sure) => Possible { deed, is_sure, denied: None },
            Err(why) => Possible { deed, is_sure: None, denied: Some(why) },
        })
    };
    Deed::ALL.into_iter().map(&mut one).collect()
}

#[derive(Debug)]
pub struct Asked {
    /// The session.
    pub shown: Shown,
    /// The computer's boot.
    pub boot: Option<Box<str>>,
    pub from: String,
    pub order: OrderId,
    pub deed: Deed,
    pub with: Do,
    /// The number that the machine shows, if this is [`Deed::Again`].
    pub drawn: TwoDigits,
}

impl Asked {
    pub fn check(mut self) -> Result<Self, Problem> {
        let note = self.with.note.trim();
        let is_noted = !note.is_empty();
        if note.chars().count() > NOTE_MAX || note.contains(steers) || is_noted != (self.deed == Deed::ByHand) {
            return Err(Problem::malformed("by_hand wants a note of one line, and nothing else has one"));
        }
        if self.with.number.is_some() != (self.deed == Deed::Number) {
            return Err(Problem::malformed("number wants two digits, and nothing else has them"));
        }
        if self.with.from_slot.is_some() != (self.deed == Deed::Given) {
            return Err(Problem::malformed("given wants to know whether the goods came out of the slot, and nothing else does"));
        }
        self.with.note = note.into();
        Ok(self)
    }
}

/// Does it, if the session, the person, the order and the day allow it.
/// What is denied is `Ok(Err(…))`, because the log has a line of it.
pub fn carry_out(tx: &mut dyn Tx, policy: &Policy, asked: &Asked, usual: Usual, now: Told) -> Result<Result<Done, Problem>, BooksError> {
    let Asked { shown, from, order: id, deed, with, drawn, boot } = asked;
    let Some(asker) = sessions::asker(tx, shown, boot.as_deref(), now)? else { return Ok(Err(Problem::NotIn)) };
    let (person, deed) = (&asker.person, *deed);
    let Some(stored) = books::load(tx, id)? else {
        return Ok(Err(if books::archived(tx, id)?.is_some() { Problem::Archived } else { Problem::Unknown }));
    };
    let name = in_history(person);
    let judged = match judge::settles(&asker) {
        Err(why) => Err(why),
        Ok(()) if !asker.is_proven(now.wall) => return Ok(Err(Problem::Unproven)),
        Ok(()) if stored.seen_as() != with.version => return Ok(Err(Problem::Changed)),
        Ok(()) => match needs(tx, policy, &stored.order, deed, &name, now)? {
            Err(why) => Err(why),
            Ok(Some(sure)) if with.is_sure != Some(sure) => Err(unsaid(sure)),
            Ok(needs) => judge::limit(judge::left(tx, person, Some(id), usual, now.wall)?, moves(deed, &stored.order)).map(|()| needs),
        },
    };
    let by = By::Person(person, from);
    let is_sure = match judged {
        Ok(is_sure) => is_sure,
        Err(why) => {
            log::write(tx, by, What::Denied(deed, id), Some(why.as_str()), now.wall)?;
            return Ok(Err(why.into()));
        }
    };
    let done = match (deed, decision(deed, is_sure, (&with.note, with.from_slot == Some(true)), Some(&name), &name)) {
        (Deed::Again, _) => books::want_try(tx, policy, id, Some(name), *drawn, now)?,
        (Deed::Number, _) => {
            let Some(number) = with.number else { return Ok(Err(Problem::malformed("number wants two digits"))) };
            books::tell_number(tx, policy, id, Some(name), number, now)?
        }
        (Deed::Refund | Deed::ByHand | Deed::Given | Deed::Seen, Some(decision)) => books::decide(tx, policy, id, decision, now)?,
        (Deed::Refund | Deed::ByHand | Deed::Given | Deed::Seen, None) => {
            return Ok(Err(Problem::malformed("nobody is asked to be sure of that")));
        }
    };
    let number = (deed == Deed::Number).then(|| number_word(&done.now.order, now).to_owned());
    let said = [number, is_sure.map(|sure| sure.as_str().to_owned()), Some(with.note.to_string()).filter(|note| !note.is_empty())];
    let detail = said.into_iter().flatten().collect::<Vec<_>>().join(": ");
    log::write(tx, by, What::Done(deed, id, moves(deed, &stored.order)), Some(&*detail).filter(|detail| !detail.is_empty()), now.wall)?;
    Ok(Ok(done))
}

/// What the log has of a number that was told. The number itself is in no log.
fn number_word(order: &Order, now: Told) -> &'static str {
    match order.number_stands(now) {
        Some(NumberStands::Told) => "right",
        Some(NumberStands::Asked { .. } | NumberStands::Ended) | None => "wrong",
    }
}

/// What the order refuses as long as this was not said.
const fn unsaid(sure: Sure) -> Denied {
    Denied::Order(match sure {
        Sure::NoReport => Refused::NotReported,
        Sure::NoProof => Refused::NoProof,
        Sure::NotRefunded => Refused::RefundUnsure,
        Sure::GoodsAndMoney => Refused::GoodsAndMoney,
    })
}
