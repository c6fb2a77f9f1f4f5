//! When all is well two more customers come, one over the broker and one on the machine's own board. They pay, and get what they
//! paid for. Otherwise a machine that refuses everybody for ever after a fault would keep all other promises.

use super::counts::Kind;
use super::strike::Strike;
use super::{Event, World};
use crate::midtrans::Book;
use qris_backend::sale::books;
use qris_core::order::ids::OrderId;
use qris_core::order::outcome::Delivery;
use qris_core::wire::topics::Topic;
use qris_core::wire::vend::read_sale;
use qris_device::screen::picture::Scene;
use qris_device::words::Request;

/// The first of them asks this long after all is well, in milliseconds. By then a machine whose power was off is back, earlier
/// payments are handed out or given up, and a person has looked at its line.
pub(super) const FROM: i64 = 900_000;
/// They pay this long after the QR is there.
pub(super) const PAYS_AFTER: i64 = 2_000;
/// All is over this long after the request. This includes the machine's time for a QR.
const WITHIN: i64 = 30_000;
/// Both together wait this long for the customer who collects an order that was paid at a store.
const QUEUES: i64 = 60_000;
/// Both together wait this long for what operators have ordered. An update takes up to a quarter of an hour, and one waits for the other.
/// They have bought long before RAUC may hang (`LATE`).
const COMMANDS: i64 = 7_200_000;
/// Their requests have this name, with a number behind it.
const NAME: &str = "again-";
const CUSTOMERS: u32 = 2;

impl World {
    /// One of them asks, once the one before has the item.
    pub(super) fn buys_again(&mut self, number: u32) {
        let m = self.survivor();
        let is_free = matches!(self.machines[m].scene, Some(Scene::Idle { .. } | Scene::Offline { .. }));
        if self.is_planned() {
            // A machine that is free sells. That is shown once, in the play without a disturbance.
            // A program that refuses its database waits for a person.
            if !is_free && !matches!(self.strike(), Some(Strike::Flip { .. })) {
                self.fail("all is well, and the machine is not free".into());
            }
            return;
        }
        let is_commanded = self.commands.is_any_open();
        let patience = if is_commanded { COMMANDS } else { QUEUES };
        if (!is_free || is_commanded) && self.now < self.heals_at + FROM + i64::from(number) * WITHIN + patience {
            // A customer is there with a code, or an operator.
            return self.after(1_000, Event::BuysAgain(number));
        }
        if number > 0 {
            if !self.has_bought(number - 1) {
                // Another controller may have asked in the same moment, for what the machine refuses. The customer presses once more.
                if self.charge_for(number - 1).is_none() && self.now < self.heals_at + FROM + COMMANDS {
                    return self.after(1_000, Event::BuysAgain(number - 1));
                }
                return self.fail(format!("all is well, and {NAME}{} got nothing", number - 1));
            }
            self.counts.note(Kind::Again);
        }
        if number == CUSTOMERS {
            return;
        }
        self.fills_all(m);
        let item = if self.one_in(2) { "A1" } else { "B1" };
        let body = format!(r#"{{"request_id":"{NAME}{number}","item":"{item}"}}"#);
        self.note(|| format!("all is well, and a controller asks: {body}"));
        match read_sale(body.as_bytes()) {
            Ok(request) if number == 1 || !self.network.has_broker => self.ask_on_board(m, Request::Vend(request)),
            Ok(_) | Err(_) => self.broker_takes(Topic::VendRequest, body.into_bytes()),
        }
        self.after(WITHIN, Event::BuysAgain(number + 1));
    }

    /// Is this a charge of one of them?
    pub(super) fn is_again(book: &Book) -> bool {
        book.custom_fields[1].as_ref().is_some_and(|request| request.starts_with(NAME))
    }

    fn has_bought(&mut self, number: u32) -> bool {
        let Some(book) = self.charge_for(number) else { return false };
        let Ok(id) = OrderId::new(&book.order_id) else { return false };
        let told = self.books(|tx, _| books::load(tx, &id)).ok().flatten().and_then(|stored| stored.order.outcome());
        self.came(&id) == 1 && told == Some(Delivery::Dispensed)
    }

    fn charge_for(&self, number: u32) -> Option<Book> {
        let name = format!("{NAME}{number}");
        self.gateway.midtrans.transactions().into_iter().find(|book| book.custom_fields[1].as_ref() == Some(&name))
    }
}
