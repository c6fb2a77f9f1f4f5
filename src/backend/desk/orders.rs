//! Orders for the desk: one in a list, and one with all that happened to it.

use super::sessions::Asker;
use super::{deeds, judge, log};
use crate::sale::books::{self, Beginning, BooksError, Policy, Stored};
use crate::sale::view::{desk as view, people};
use crate::store::Tx;
use judge::Usual;
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::Order;
use qris_core::order::time::{Told, Wall, Zone};
use qris_core::wire::desk::{Deed, OrderPage, Possible, Problem};
use qris_core::wire::people::OrderLine;

/// What an order is told with.
#[derive(Debug)]
pub struct Teller<'a> {
    pub policy: &'a Policy,
    pub asker: &'a Asker,
    pub usual: Usual,
    pub now: Told,
}

impl Teller<'_> {
    fn zone(&self) -> Zone {
        self.usual.zone
    }

    pub(super) fn time(&self, at: Wall) -> Box<str> {
        at.to_rfc3339_in(self.zone()).into()
    }

    /// An order in a list. One that wants nobody has no deeds there.
    pub fn line(&self, tx: &mut dyn Tx, order: &Order) -> Result<OrderLine, BooksError> {
        let order = order.clone().as_of(self.now);
        let deeds = if order.attention().is_empty() { Vec::new() } else { self.deeds(tx, &order)? };
        Ok(OrderLine { deeds, ..people::line(&order, self.zone()) })
    }

    fn deeds(&self, tx: &mut dyn Tx, order: &Order) -> Result<Vec<Possible>, BooksError> {
        let left = judge::left(tx, &self.asker.person, Some(&order.id), self.usual, self.now.wall)?;
        deeds::possible(tx, self.policy, order, self.asker, left, self.now)
    }

    pub fn page(&self, tx: &mut dyn Tx, stored: &Stored) -> Result<OrderPage, BooksError> {
        let order = &stored.order;
        let (mut line, log) = (self.line(tx, order)?, log::of_order(tx, &order.id, self.zone())?);
        if line.deeds.is_empty() {
            line.deeds = self.deeds(tx, &order.clone().as_of(self.now))?;
        }
        let begun = books::tries_begun(tx, &order.id)?;
        // A person who could not press for it is told nothing of it.
        let may_offer = line.deeds.iter().any(|possible| possible.deed == Deed::Again && possible.denied.is_none());
        let offered = may_offer.then(|| books::would_be_offered_until(self.policy, order, &self.asker.person.name, self.now).ok());
        let again_until = books::try_offered_until(tx, self.policy, order, self.now)?;
        let page = view::page(stored, line, &begun, books::history(tx, &order.id)?, log, self.zone());
        let time = |until| self.time(until);
        Ok(OrderPage {
            number: order.number_stands(self.now),
            again_until: again_until.map(time),
            would_be_until: offered.flatten().map(time),
            ..page
        })
    }
}

/// The order of this number, or of its first letters.
///
/// # Errors
/// The database's; [`Problem::Unknown`], [`Problem::Several`], [`Problem::Archived`].
pub fn named(tx: &mut dyn Tx, beginning: &Beginning) -> Result<Result<Stored, Problem>, BooksError> {
    let mut found = books::beginning_with(tx, beginning)?;
    let (Some(id), true) = (found.pop(), found.is_empty()) else {
        return Ok(Err(if found.is_empty() { Problem::Unknown } else { Problem::Several }));
    };
    Ok(books::load(tx, &id)?.ok_or(Problem::Archived))
}

/// The page of an order that was just written.
///
/// # Errors
/// The database's; it is archived.
pub fn again(tx: &mut dyn Tx, teller: &Teller<'_>, id: &OrderId) -> Result<OrderPage, BooksError> {
    let stored = books::load(tx, id)?.ok_or(BooksError::Unknown)?;
    teller.page(tx, &stored)
}
