//! The rules that hold at the end, when all is well again. Every order must be final, and the books of customer, Midtrans, backend, machine
//! and relay must agree.
//!
//! A lost memory (see [`super::losses`]) excuses only what nobody can know any more.

use super::counts::Kind;
use super::strike::Who;
use super::{LEDGER, STORE, World, device};
use crate::midtrans::Book;
use qris_backend::sale::books;
use qris_core::order::ids::OrderId;
use qris_core::order::machine::{self as core, Ended, LeftCharge, RefundDue, State as Machine, Undelivered, unfinished};
use qris_core::order::merchant::{Attention, Closed, Closing, NoReceipt, Order, Repayment, State, TakenBack, Withheld};
use qris_core::order::outcome::{Delivery, DispenseAnswer, Outcome};
use qris_core::order::state::EventState;
use qris_core::order::tries::TryNumber;
use qris_device::store::database::Database;

/// Midtrans' words for a refund whose key it takes no more.
const KEY_OVER: &str = "Duplicate refund ID";

impl World {
    pub(super) fn pulses(&self, order: &OrderId) -> u32 {
        self.ledgers.driven(order)
    }

    /// Midtrans' books. A charge that it denied frees its order_id, and then only the next charge counts.
    pub(super) fn charges(&self) -> Vec<Book> {
        let mut all = self.gateway.midtrans.transactions();
        all.retain(|book| self.gateway.midtrans.transaction(&book.order_id).is_none_or(|last| last.transaction_id == book.transaction_id));
        all
    }

    /// Midtrans never made this charge, and only lost books knew of it. Nobody can say that it is cancelled, and the machine asks
    /// for a day, which is longer than a seed runs. So is the time for which an order that was rebuilt may last: nobody knows its end.
    /// Of an order that a forged notification calls paid the backend knows no end before a person has looked. A payment that get-status
    /// never tells can be ended by nobody for a day: Midtrans does not cancel what is paid, and calls it pending. So it is where get-status
    /// tells another sum than the charge's for ever: no word of it counts.
    fn lasts(&self, order: &core::Order) -> bool {
        // What is left may be another attempt than the one that the machine showed.
        let left = match &order.state {
            Machine::Ended(Ended { left: LeftCharge::Lasting(id) | LeftCharge::ToCancel(id), .. }) => Some(id),
            _ => None,
        };
        let Some(id) = left.or(order.order_id()) else { return false };
        if self.gateway.says_nothing_of(id) {
            return true;
        }
        if self.gateway.misled.contains(id)
            && !self.people.ended.contains(id)
            && matches!(order.state, Machine::Ended(Ended { left: LeftCharge::Lasting(_), .. }))
        {
            return true;
        }
        let is_made = || self.gateway.midtrans.transactions().iter().any(|book| book.order_id == id.as_str());
        self.losses.books()
            && match &order.state {
                Machine::Ended(Ended { left: LeftCharge::Lasting(_), .. }) => true,
                Machine::Ended(Ended { left: LeftCharge::ToCancel(_), .. }) | Machine::Cancelling(_) => !is_made(),
                _ => false,
            }
    }

    /// The disagreement, if there is one.
    pub(super) fn audit(&mut self) -> Option<String> {
        let m = self.survivor();
        let Some(machine) = self.machine_store(m) else { return Some("the machine's database cannot be opened".into()) };
        match machine.live() {
            Ok(live) => {
                if let Some(stored) = live.iter().find(|stored| unfinished(&stored.order) && !self.lasts(&stored.order)) {
                    return Some(format!("the machine never ended {}: {:?}", stored.order.offer.request.request_id, stored.order.state));
                }
            }
            Err(error) => return Some(format!("the machine's database cannot be read: {error}")),
        }
        if let Some(why) = self.audit_stock(m, &machine) {
            return Some(why.into());
        }
        let open = match self.books(|tx, _| books::open_orders(tx, &device())) {
            Ok(open) => open,
            // A row is damaged, and a person who asks for damaged rows is told its name. Each order is looked at below.
            Err(error) if self.says_damaged(&error) => Vec::new(),
            Err(error) => return Some(format!("the books cannot be read: {error}")),
        };
        let is_listed = |order: &Order| self.gateway.altered.contains(&order.id) && order.attention().contains(&Attention::Unconfirmed);
        let may_last = |order: &Order| self.is_for_a_person(order) || self.gateway.never_confirmed.contains(&order.id) || is_listed(order);
        if let Some(stored) = open.iter().find(|stored| !may_last(&stored.order)) {
            return Some(format!("the backend never ended {}: {:?}", stored.order.id, stored.order.state));
        }
        if let Some(request) = self.request_without_end() {
            return Some(format!("nobody was told of an end of {request}"));
        }
        self.charges()
            .iter()
            .find_map(|book| self.audit_one(m, &machine, book))
            .or_else(|| self.audit_settings())
            .or_else(|| self.audit_commands())
            .or_else(|| self.audit_reports())
    }

    /// The last event of this request is not its end. A database that was lost begins a new stream of events.
    fn request_without_end(&self) -> Option<&str> {
        // Without a broker nobody keeps the events.
        if !self.network.has_broker || self.losses.card() || self.losses.store() {
            return None;
        }
        let asked_for_a_day = |state: &EventState| self.losses.books() && *state == EventState::Cancelling;
        let books = self.gateway.midtrans.transactions();
        let never = books.iter().filter(|book| OrderId::new(&book.order_id).is_ok_and(|id| self.gateway.says_nothing_of(&id)));
        let never: Vec<&str> = never.filter_map(|book| book.custom_fields[1].as_deref()).collect();
        let lasts = |request: &str, state: &EventState| asked_for_a_day(state) || never.contains(&request);
        let mut open = self.broker.last.iter().filter(|(_, state)| !state.is_end());
        open.find(|(request, state)| !lasts(request, state)).map(|(request, _)| &**request)
    }

    fn audit_one(&mut self, m: usize, machine: &Database, book: &Book) -> Option<String> {
        let Ok(id) = OrderId::new(&book.order_id) else { return None };
        let stored = match self.books(|tx, _| books::load(tx, &id)) {
            Ok(stored) => stored,
            Err(error) if self.lists_as_damaged(&id, &error) => return None,
            Err(error) => return Some(format!("{id} cannot be read: {error}")),
        };
        let times = self.pulses(&id);
        if let Some(stored) = &stored
            && let Some(why) = self.audit_unconfirmed(&stored.order)
        {
            return Some(format!("{id}: {why}; at Midtrans {}, at the backend {:?}", book.status, stored.order.state));
        }
        if let Some(why) = stored.as_ref().and_then(|stored| self.judge_name(&stored.order, book)) {
            return Some(why);
        }
        if self.gateway.never_confirmed.contains(&id) && book.settled_at_ms.is_some() {
            return None;
        }
        if book.settled_at_ms.is_none() {
            return match book.status {
                "pending" => Some(format!("{id} can still be paid")),
                _ if times > 0 => Some(format!("{id} was driven and is {}", book.status)),
                _ => None,
            };
        }
        let Some(stored) = stored else {
            // A store took it back, and the books from before do not know that it ever existed.
            let nothing_left = book.status == "deny" && self.losses.books();
            return (!nothing_left).then(|| format!("{id} is paid and the backend does not know it"));
        };
        let order = stored.order;
        // No word of get-status counts where its sum is another one for ever. People are told, and nothing is handed out. A person may have
        // ended it.
        let is_told = order.attention().contains(&Attention::Unconfirmed) || order.ended_by().is_some();
        if self.gateway.altered.contains(&id) && is_told && order.receipt().is_none() && times == 0 {
            return None;
        }
        if let Some(why) = self.audit_money(&order, book) {
            return Some(format!("{id}: {why}; at Midtrans {}, at the backend {:?}, {:?}", book.status, order.state, order.repayment()));
        }
        if let Some(why) = self.audit_told(&order, book).or_else(|| self.audit_refunded_try(&order)) {
            return Some(format!("{id}: {why}; {:?}, {:?}, told {:?}", order.attention(), order.state, order.delivery()));
        }
        let told = order.outcome();
        // A thief's word is not a fact. He gets no goods twice, and a person is told what he took from the customer.
        if self.thief.betrayed.contains(&id) {
            let listed = order.is_refund_due() || order.is_decided() || !order.attention().is_empty() || !order.seen.is_empty();
            let owed = machine.by_order(&id).is_ok_and(|own| own.is_some_and(|own| matches!(own.order.state, Machine::RefundDue(_))));
            // Books from before the machine's own word have only his, and his word is the relay's if his key was known.
            let is_lost = self.losses.books() || self.thief.of_his_time.contains(&id);
            let robbed = times == 0 && !listed && owed && matches!(order.state, State::Settled(_)) && !is_lost;
            let twice = self.came(&id) > 1 && !self.is_forgotten(&id);
            let why = if robbed { "nothing was handed out, and nobody is told" } else { "it was handed out twice" };
            return (robbed || twice).then(|| format!("{id}: {why}; told {told:?}, {:?}", order.state));
        }
        // All is well again, and Midtrans has answered.
        if order.is_unconfirmed() && !self.gateway.misled.contains(&id) {
            return Some(format!(
                "{id}: nobody confirms whether it is paid; at Midtrans {}, at the backend {:?}",
                book.status, order.state
            ));
        }
        if let Some(why) = self.audit_goods(m, &order, times).or_else(|| self.audit_machine(machine, &order)) {
            let ledger = self.relays[m].query(&id, order.number_of_try());
            return Some(format!("{id}: {why}; told {told:?}, the ledger says {ledger:?}, driven {times} times, {:?}", order.state));
        }
        None
    }

    /// Nobody knows whether it is paid: get-status never tells it, or a forged notification tells it. People are told until one of them
    /// ends it, and nothing is handed out.
    fn audit_unconfirmed(&self, order: &Order) -> Option<&'static str> {
        let id = &order.id;
        let is_paid = match &order.state {
            State::Charging(_) | State::Pending(_) | State::Cancelling(_) | State::Held(_) | State::Closed(_) => false,
            State::Settled(_) | State::Void(_) | State::Withheld(_) | State::Refunded(_) => true,
        };
        if self.gateway.never_confirmed.contains(id) && (order.receipt().is_some() || self.pulses(id) > 0) {
            return Some("get-status never told its payment, and it has a receipt");
        }
        let listed = order.attention();
        let is_listed = listed.contains(&Attention::Unconfirmed) || listed.contains(&Attention::Suspect);
        // A counter may deny what it has told as settled. That is how such a payment ends.
        let is_denied = order.is_over_the_counter() && matches!(order.state, State::Closed(Closed { how: Closing::Deny, .. }));
        let is_to_be_listed = self.gateway.doubted.contains(id) && !is_denied || self.is_never_confirmed(id);
        (is_to_be_listed && !is_paid && !is_listed && order.ended_by().is_none() && !order.is_decided())
            .then_some("somebody told that it is paid, nobody confirms it, and nobody is told")
    }

    fn is_never_confirmed(&self, id: &OrderId) -> bool {
        let is_paid = || self.gateway.midtrans.transaction(id.as_str()).is_some_and(|book| book.settled_at_ms.is_some());
        self.gateway.never_confirmed.contains(id) && is_paid() && !self.gateway.outside.contains_key(id) && !self.losses.books()
    }

    /// The money: the books must have the same as Midtrans.
    fn audit_money(&self, order: &Order, book: &Book) -> Option<&'static str> {
        let reversed = book.status == "deny";
        match &order.state {
            State::Settled(_) | State::Withheld(_) | State::Refunded(_) => {}
            // A bank may take it besides.
            State::Void(_) if !matches!(book.status, "deny" | "chargeback" | "partial_chargeback") => {
                return Some("it is void, and no counter took it back");
            }
            State::Void(_) => {}
            // Taken back before there was a receipt: this counts as never paid.
            State::Closed(_) if reversed => return None,
            State::Charging(_) | State::Pending(_) | State::Cancelling(_) | State::Held(_) | State::Closed(_) => {
                return Some("it is paid, and the books do not say so");
            }
        }
        if self.gateway.altered.contains(&order.id) && order.receipt().is_some() {
            return Some("it does not match its charge, and has a receipt");
        }
        let whole = book.refunded == book.gross_amount;
        // The bank refused it after Midtrans had approved it, and a person is told. Later more may go back.
        let is_told = order.is_money_late() || order.taken_back == Some(TakenBack::Chargeback);
        let is_bounced = is_told && self.gateway.bounced.contains(&order.id);
        match order.repayment() {
            Some(Repayment::Requested { .. }) => return Some("nobody knows what became of its refund"),
            Some(Repayment::Done { .. }) if !whole && !is_bounced => return Some("the books say refunded, and Midtrans does not"),
            Some(Repayment::Refused { why, .. }) if why.contains(KEY_OVER) => return Some("its refund was refused only for its key"),
            // A copy came back while it ran: it waits for a person, who is told.
            Some(Repayment::Refused { unsure: true, .. }) if self.copies.stopped.contains(&order.id) => {}
            Some(Repayment::Refused { unsure: true, .. }) => return Some("its refund is unsure, and nobody looks"),
            Some(Repayment::Done { .. } | Repayment::Refused { .. } | Repayment::ByHand { .. } | Repayment::Given { .. }) | None => {}
        }
        // All that the customer paid is a part of the sum that get-status tells.
        let is_of_more = self.gateway.altered.contains(&order.id) && matches!(order.taken_back, Some(TakenBack::Partly { .. }));
        if whole && !matches!(order.state, State::Refunded(_)) && !is_of_more {
            return Some("Midtrans gave it back, and the books do not know it");
        }
        if whole
            && !order.is_money_late()
            && !is_of_more
            && matches!(order.repayment(), Some(Repayment::ByHand { .. } | Repayment::Given { .. }))
        {
            return Some("Midtrans gave it back, and a person settled it besides, and nobody is told");
        }
        // Each refund that the backend asked for was judged at that moment.
        if book.refunded > 0 && !(self.gateway.outside.contains_key(&order.id) || self.gateway.refund_requested.contains(&order.id)) {
            return Some("money went back, and nobody wanted it");
        }
        let listed = |how: &TakenBack| order.taken_back.as_ref() == Some(how);
        let chargeback = matches!(book.status, "chargeback" | "partial_chargeback");
        if chargeback && !listed(&TakenBack::Chargeback) {
            return Some("the bank took it back, and the books do not know it");
        }
        let part = matches!(order.taken_back, Some(TakenBack::Partly { .. } | TakenBack::Chargeback));
        if book.status == "partial_refund" && !part && !(matches!(order.repayment(), Some(Repayment::Done { .. })) && is_bounced) {
            return Some("a part went back, and the books do not know it");
        }
        // After a chargeback the money is gone, and a person was told.
        let known = listed(&TakenBack::Reversal) || listed(&TakenBack::Chargeback);
        (reversed && !known).then_some("the counter took it back, and the books do not know it")
    }

    /// The goods: each paid order is handed out once, or its money is owed or back, or a person is told.
    fn audit_goods(&mut self, m: usize, order: &Order, times: u32) -> Option<&'static str> {
        let id = &order.id;
        let forgotten = self.is_forgotten(id);
        let told = order.outcome();
        if self.came(id) > 1 && !forgotten {
            return Some("it was handed out by two ledgers, and no card was copied while it was open");
        }
        match (&order.state, told) {
            // It was taken back before there was a receipt, or books that were set back know of none. The machine is done with it,
            // and Midtrans says the same as for a payment that never came.
            (State::Closed(_), None) if times == 0 || self.losses.books() => return None,
            // No receipt was given, so nothing could be handed out.
            (State::Withheld(Withheld { why: NoReceipt::Mismatch, .. }), None) if times > 0 && !self.losses.books() => {
                return Some("it does not match its charge, and was handed out");
            }
            // It was paid twice, and the books that knew which payment has the receipt were set back.
            (State::Withheld(_), None) if times > 0 && !self.losses.books() => return Some("it is withheld, and was handed out"),
            (State::Withheld(_), None) => return None,
            // It was given back before the machine had told.
            (State::Refunded(_), None) if self.gateway.outside.contains_key(id) || times == 0 || forgotten || self.losses.books() => {
                return None;
            }
            (State::Settled(_), None) if self.is_for_a_person(order) => return None,
            // The money is gone, and a person was told. The machine's work on it was told too, or never began, or is forgotten.
            (State::Settled(_), None) if order.taken_back.is_some() && (times == 0 || self.touched(id)) => return None,
            (State::Void(_), None) if times == 0 || self.touched(id) => return None,
            (State::Void(_), Some(_)) => return Some("its machine told what became of it, and it is void"),
            (_, None) => return Some("the machine never told what became of it"),
            (_, Some(_)) => {}
        }
        let told = told?;
        let agrees = match told {
            Delivery::Dispensed | Delivery::Failed => times >= 1,
            Delivery::Uncertain | Delivery::Other(_) => true,
            Delivery::Undelivered => self.came(id) == 0 && (times == 0 || order.number_of_try() > TryNumber::FIRST),
        };
        if self.is_tried_and_forgotten(order) {
            return None;
        }
        // Two machines, or one that forgot, may tell two different outcomes. Then a person is told of that.
        let second_word = !order.late.is_empty() && self.losses.card();
        // Books that were lost know of no second try, and its machine tells of it.
        let is_of_lost_try = order.delivery().is_some_and(|told| told.nth_try > order.number_of_try()) && self.losses.books();
        let conflict = order.has_conflict() && (is_of_lost_try || self.losses.touch_machine(self.ticket_of(id).as_ref()));
        if order.has_conflict() && !conflict {
            return Some("two things were told of it, and nothing was forgotten");
        }
        let is_unknown = self.is_pulse_unheard(id) || self.is_pulse_forgotten_by_all(order);
        if !agrees && !forgotten && !conflict && !second_word && !is_unknown {
            return Some("what was told is not what was done");
        }
        if self.holds_the_ticket(m, order) && !forgotten && !conflict {
            return (!self.ledger_agrees(m, order, told, times)).then_some("the ledger says something else than was told");
        }
        None
    }

    fn ledger_agrees(&mut self, m: usize, order: &Order, told: Delivery, times: u32) -> bool {
        let id = &order.id;
        let ledger = self.relays[m].query(id, order.number_of_try());
        match told {
            // A damaged page hides the order from a ledger. It refused to drive it, and closed its ticket.
            Delivery::Undelivered if ledger.is_none() && self.flips(Who::Relay) => true,
            // An outcome that the ledger could not keep is uncertain for the ledger, and known to the others.
            Delivery::Dispensed | Delivery::Failed if ledger == Some(DispenseAnswer::Ended(Outcome::Uncertain)) => {
                self.losses.was_harmed_before_report(LEDGER, id)
            }
            Delivery::Dispensed => ledger == Some(DispenseAnswer::Ended(Outcome::Dispensed)),
            Delivery::Failed => matches!(ledger, Some(DispenseAnswer::Ended(Outcome::Failed | Outcome::NotDriven))),
            // A database that does not know whether the relay was ever asked must assume that it was: a person looks. The same
            // is true if the relay's disk lost a ticket, for example by a failed sync that SQLite did not report.
            Delivery::Uncertain if ledger == Some(DispenseAnswer::Unknown) => {
                let harmed = self.losses.was_harmed_before_report(LEDGER, id);
                times == 0 && (self.losses.store() || self.losses.card() || harmed)
            }
            // It could not keep its first word and said so. Then it was killed before it had written the second.
            Delivery::Uncertain if self.losses.was_harmed_before_report(LEDGER, id) => matches!(ledger, Some(DispenseAnswer::Ended(_))),
            // Lost books forgot what one of two machines with one card had told. The other one's ledger does not know it.
            Delivery::Uncertain if self.losses.cloned && self.losses.books() => matches!(ledger, Some(DispenseAnswer::Ended(_))),
            Delivery::Uncertain => ledger == Some(DispenseAnswer::Ended(Outcome::Uncertain)),
            Delivery::Other(_) => {
                matches!(ledger, Some(DispenseAnswer::Ended(Outcome::Failed | Outcome::NotDriven | Outcome::Uncertain)))
            }
            Delivery::Undelivered => ledger == Some(DispenseAnswer::Unknown),
        }
    }

    /// The machine's database and its messages on the broker must agree with its reports to the backend.
    fn audit_machine(&self, machine: &Database, order: &Order) -> Option<&'static str> {
        let told = order.outcome()?;
        // It forgot, or could not keep, the outcome that it told.
        if self.losses.touch_machine(self.ticket_of(&order.id).as_ref())
            || self.losses.is_harmed(STORE)
            || self.is_tried_and_forgotten(order)
        {
            return None;
        }
        let Ok(Some(stored)) = machine.by_order(&order.id) else {
            return Some("the machine does not know it");
        };
        let own = match &stored.order.state {
            Machine::Dispensed(_) => Some(Delivery::Dispensed),
            Machine::RefundDue(RefundDue { why, .. }) => Some(match why {
                Undelivered::Failed | Undelivered::NotDriven => Delivery::Failed,
                // Or a later relay's word for it, as it came.
                Undelivered::Uncertain => Some(told).filter(|told| matches!(told, Delivery::Other(_))).unwrap_or(Delivery::Uncertain),
                Undelivered::Late
                | Undelivered::RelayRefused
                | Undelivered::Mismatch
                | Undelivered::NotCollected
                | Undelivered::SoldOut => Delivery::Undelivered,
            }),
            // It has heard that the money is back.
            Machine::Refunded(_) => Some(told).filter(|told| *told != Delivery::Dispensed),
            Machine::Requested(_)
            | Machine::AwaitingPayment(_)
            | Machine::AtCounter(_)
            | Machine::AwaitingCollection(_)
            | Machine::TakenBack(_)
            | Machine::Cancelling(_)
            | Machine::Ended(_)
            | Machine::Paid(_)
            | Machine::TryingAgain(_)
            | Machine::Dispensing(_) => None,
        };
        // A try of which the backend never signed a receipt: nothing came of it either.
        let is_unsigned = stored.order.number_of_try() > order.number_of_try()
            && own == Some(Delivery::Undelivered)
            && matches!(told, Delivery::Undelivered | Delivery::Failed);
        if own != Some(told) && !is_unsigned {
            return Some("the machine's own word is another one than it told");
        }
        // A newer stream of events exists, and the last event of the old one is no end. Without a broker nobody keeps the events.
        if !self.network.has_broker || self.losses.card() || self.losses.store() {
            return None;
        }
        let event = self.broker.last.get(order.sale.purchase.request_id.as_str());
        let agrees = match told {
            Delivery::Dispensed => event == Some(&EventState::Dispensed),
            Delivery::Failed | Delivery::Uncertain | Delivery::Undelivered | Delivery::Other(_) => {
                matches!(event, Some(EventState::RefundDue | EventState::Refunded))
            }
        };
        (!agrees).then_some("its last event is another one than was told")
    }

    /// Is the ledger that gave the order's ticket still there?
    fn holds_the_ticket(&self, m: usize, order: &Order) -> bool {
        let given = self.losses.tickets.get(order.goods().ticket.as_str());
        given.is_some_and(|ticket| ticket.life == self.relays[m].life())
    }

    /// Was a memory lost that can have held something about it?
    fn touched(&self, id: &OrderId) -> bool {
        self.losses.touch(self.ticket_of(id).as_ref())
    }

    /// Was it never reported, after a memory of it was lost or after its charge had ended? The merchant is told so, or has settled it since.
    fn is_for_a_person(&self, order: &Order) -> bool {
        let settled = matches!(order.repayment(), Some(Repayment::ByHand { .. } | Repayment::Given { .. }));
        // Money that comes long after Midtrans had ended the charge finds no machine that still asks.
        let is_late = self.gateway.paid_late.contains(&order.id);
        (self.touched(&order.id) || is_late) && (settled || order.attention().contains(&Attention::Unreported))
    }

    pub(super) fn count_ends(&mut self) {
        for book in self.charges() {
            let stored = OrderId::new(&book.order_id).ok().and_then(|id| self.books(|tx, _| books::load(tx, &id)).ok().flatten());
            let Some(order) = stored.map(|stored| stored.order) else { continue };
            let listed = order.attention();
            let what = match (&order.state, order.outcome()) {
                (_, Some(Delivery::Dispensed)) => Kind::Sales,
                (State::Refunded(_), _) => Kind::Refunded,
                (_, Some(Delivery::Uncertain)) => Kind::Uncertain,
                _ if listed.contains(&Attention::Mismatch) => Kind::Mismatches,
                _ if order.is_refund_due() => Kind::RefundsDue,
                _ if listed.contains(&Attention::Unreported) => Kind::Unreported,
                _ => Kind::Unpaid,
            };
            self.counts.note(what);
        }
    }
}
