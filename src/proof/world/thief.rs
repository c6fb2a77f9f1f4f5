//! A thief who has the machine's token, its bus and every receipt: a `qrisd` in foreign hands. He may do harm, so that orders
//! are listed for a person. He does not get goods and money for one payment.

use super::counts::Kind;
use super::events::relay::Arrival;
use super::losses::Given;
use super::{Event, World, device};
use crate::backend::Ask;
use qris_backend::sale::books;
use qris_core::order::ids::{OrderId, Ticket};
use qris_core::order::keys::SigningKey;
use qris_core::order::ledger::Again;
use qris_core::order::merchant::{Order, State};
use qris_core::order::outcome::Delivery;
use qris_core::order::proof::{self, Last, RelayKey, Statement};
use qris_core::order::tries::TryNumber;
use qris_core::wire::orders::OutcomeReport;
use qris_device::words::{HttpCall, Identity};
use std::collections::BTreeSet;

#[derive(Debug, Default)]
pub(super) struct Thief {
    pub(super) is_here: bool,
    /// He had his hand in these.
    pub(super) betrayed: BTreeSet<OrderId>,
    /// These may have been made while the backend knew the relay by his key. Their goods and money are his.
    pub(super) of_his_time: BTreeSet<OrderId>,
    /// For these a stranger on the bus began the pulse.
    pub(super) strange: BTreeSet<OrderId>,
}

impl World {
    /// A relay has signed the end of a ticket.
    pub(super) fn signed(&mut self, ticket: &Ticket, jws: &str) {
        let Some(statement) = self.relays.iter().find_map(|relay| proof::verify(jws, &relay.proof_key()?).ok()) else {
            return self.fail(format!("a relay signed something of {ticket} that is not believed"));
        };
        let said = self.words.first.entry(ticket.clone()).or_insert_with(|| (statement.outcome, jws.into()));
        if said.0 != statement.outcome && !self.losses.is_open_in_an_image(self.losses.tickets.get(ticket.as_str())) {
            let said = said.0;
            self.fail(format!("{ticket} was signed as {said:?} and as {:?}", statement.outcome));
        }
    }

    /// Has the relay signed that nothing came out for this order, as far as one card knows? A thief whose key was known when the order was
    /// made is its relay.
    pub(super) fn is_signed_as_not_delivered(&self, order: &Order) -> bool {
        let word = self.words.first.get(&order.goods().ticket).map(|(word, _)| *word);
        let by_relay = matches!(word, Some(Last::Closed | Last::Failed)) || self.thief.of_his_time.contains(&order.id);
        matches!(order.state, State::Withheld(_)) && !order.rebuilt || by_relay
    }

    pub(super) fn steal(&mut self, m: usize) {
        match self.below(9) {
            0 => return self.shows_a_key(m),
            1 => return self.cancels(m),
            2 => {
                self.uses_a_code();
                return self.shows_a_key(m);
            }
            _ => {}
        }
        let Some(id) = self.some_paid() else { return };
        let Ok(Some(stored)) = self.books(|tx, _| books::load(tx, &id)) else { return };
        let order = stored.order;
        self.count(Kind::Thief, "a thief with the machine's token and bus acts");
        self.thief.betrayed.insert(id.clone());
        match self.below(5) {
            0 => {
                let ticket = order.goods().ticket;
                if let Some(dispenser) = self.relays[m].dispenser()
                    && dispenser.close(ticket.as_str()).is_ok()
                {
                    self.losses.ended(ticket.as_str(), self.now);
                }
                self.relay_effects(m);
            }
            1 => {
                let Some(receipt) = order.receipt().map(|receipt| receipt.jws().to_owned()) else { return };
                self.after(1, Event::Relay(m, Arrival::Stranger { receipt }));
            }
            2 => self.tries_as_the_machine(m, &order),
            _ => self.tells_a_lie(m, &id, &order),
        }
    }

    /// He asks the relay for another try, and the backend for its receipt. He has that with the next answer.
    pub(super) fn tries_as_the_machine(&mut self, m: usize, order: &Order) {
        let Some(number) = order.number_of_try().next() else { return };
        let again = Again { order: order.id.clone(), number, after: order.goods().ticket };
        let (bits, amount) = (self.bits(), i64::try_from(order.goods().amount.get()).unwrap_or(i64::MAX));
        let Some(dispenser) = self.relays[m].dispenser() else { return };
        let given = dispenser.prepare_again(device().as_str(), order.goods().item.as_str(), amount, again, bits);
        self.relay_effects(m);
        let Ok((ticket, promise)) = given else { return };
        self.losses.tickets.insert(ticket.to_string(), Given { life: self.relays[m].life(), at: self.now, ended: None });
        let (ask, from) = (Ask::Order(HttpCall::TryAgain(order.id.clone(), promise.into())), self.caller(m));
        self.merchant_hears(ask, from, 1);
    }

    /// If the relay's key is replaced by his own, his proofs are as good, for orders that are made from then on.
    fn shows_a_key(&mut self, m: usize) {
        // The first key is believed: that of the machine itself, if somebody set it up.
        if self.some_paid().is_none() {
            return;
        }
        self.count(Kind::Thief, "a thief shows a relay's key of his own");
        let (ask, from) =
            (Ask::Open(Identity { relay_key: Some(RelayKey::of(&own_key())), newest_event: None, ..Identity::default() }), self.caller(m));
        self.merchant_hears(ask, from, 1);
    }

    fn cancels(&mut self, m: usize) {
        let Ok(open) = self.books(|tx, _| books::open_orders(tx, &device())) else { return };
        let at = self.below_usize(open.len());
        let Some(stored) = open.into_iter().nth(at) else { return };
        self.count(Kind::Thief, "a thief cancels an order");
        let (ask, from) = (Ask::Order(HttpCall::Cancel(stored.order.id)), self.caller(m));
        self.merchant_hears(ask, from, 1);
    }

    fn tells_a_lie(&mut self, m: usize, id: &OrderId, order: &Order) {
        let outcomes = [Delivery::Undelivered, Delivery::Failed, Delivery::Dispensed];
        let outcome = outcomes[self.below_usize(outcomes.len())];
        // Of an earlier try, sometimes.
        let (ticket, nth_try) = if self.below(4) == 0 {
            (order.sale.purchase.ticket.clone(), TryNumber::FIRST)
        } else {
            (order.goods().ticket, order.number_of_try())
        };
        let proof = match self.below(7) {
            0 => None,
            // One that he made himself.
            1 | 6 => {
                let statement = Statement {
                    device: device(),
                    ticket,
                    order_id: None,
                    number_of_try: nth_try,
                    outcome: Last::Closed,
                    driven: false,
                    number: self.rng.number(),
                };
                Some(proof::sign(&own_key(), &statement))
            }
            // One of another order.
            2 => {
                let at = self.below_usize(self.words.first.len());
                self.words.first.values().nth(at).map(|(_, jws)| jws.to_string())
            }
            // One that the relay has signed before, or signs now.
            3 => self.words.first.get(&ticket).map(|(_, jws)| jws.to_string()),
            _ => {
                let signed = self.relays[m].dispenser().and_then(|dispenser| dispenser.prove(ticket.as_str()).ok().flatten());
                if let Some(jws) = &signed {
                    self.signed(&ticket, jws);
                }
                self.relay_effects(m);
                signed
            }
        };
        let report = OutcomeReport { nth_try, outcome, reason: None, detail: None, proof: proof.map(Into::into) };
        let (ask, from) = (Ask::Order(HttpCall::Tell(id.clone(), report)), self.caller(m));
        self.merchant_hears(ask, from, 1);
    }
}

/// A key that is no relay's.
pub(super) fn own_key() -> SigningKey {
    SigningKey::from_seed([66; 32])
}
