//! `qris-relayd` in the model: `order::ledger` decides, the decision is committed, and then a line is driven in two
//! steps.

use super::{CHARGES, Ended, Flaw, Lab, Message, RelayAsk, RelaySay, TICKETS, World, item, order_id, price, spend};
use qris_core::order::ledger::{Admission, Condition, Entry, LineState, Refused, TicketEntry, admit, after_restart, prepare};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Outcome;
use qris_core::order::time::Span;

/// The ledger, the line, and the callers that wait.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Relay {
    pub(super) tickets: [Kept; TICKETS],
    pub(super) entries: [Option<Written>; CHARGES],
    line: Line,
    /// The line is driven for somebody else: see [`super::Scenario::others`].
    pub(super) others: bool,
    blocked: bool,
    /// Callers of `Dispense` that have no answer yet.
    pub(super) waits: [bool; CHARGES],
    /// Counts the runs of the program: each has another name on the bus.
    pub(super) run: u8,
    /// A ledger was lost.
    pub(super) reset: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kept {
    Unknown,
    Open,
    Used(u8),
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Written {
    Driving,
    Ended(Ended),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Line {
    Idle,
    /// Committed, not driven yet.
    Begun(u8),
    /// Driven, its end not committed yet.
    Driven(u8),
}

impl Relay {
    pub(super) fn new() -> Self {
        Self {
            tickets: [Kept::Unknown; TICKETS],
            entries: [None; CHARGES],
            line: Line::Idle,
            others: false,
            blocked: false,
            waits: [false; CHARGES],
            run: 1,
            reset: false,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.line == Line::Idle
    }

    /// The line is driven only for these charges.
    pub(super) fn leave(&mut self, mine: impl Fn(u8) -> bool) {
        if let Line::Begun(charge) | Line::Driven(charge) = self.line
            && !mine(charge)
        {
            self.line = Line::Idle;
        }
    }

    /// Is a drive committed, but not begun?
    pub(super) fn is_begun(&self) -> bool {
        matches!(self.line, Line::Begun(_))
    }

    fn line(&self) -> LineState {
        let condition = match (self.line, self.blocked) {
            (Line::Begun(_) | Line::Driven(_), _) => Condition::Busy,
            (Line::Idle, _) if self.others => Condition::Busy,
            (Line::Idle, true) => Condition::Blocked,
            (Line::Idle, false) => Condition::Ready,
        };
        LineState { min_amount: Rupiah::new(1_000).expect("an amount"), takes: Ok(Span::millis(500)), condition }
    }

    fn ticket(&self, number: u8) -> Option<TicketEntry> {
        match self.tickets[usize::from(number)] {
            Kept::Unknown => None,
            Kept::Open => Some(TicketEntry::Open { item: item(), amount: price() }),
            Kept::Used(charge) => Some(TicketEntry::Used(order_id(charge))),
            Kept::Closed => Some(TicketEntry::Closed),
        }
    }

    fn entry(&self, charge: u8) -> Option<Entry> {
        Some(match self.entries[usize::from(charge)]? {
            Written::Driving => Entry::Driving,
            Written::Ended(ended) => Entry::Ended(ended.into()),
        })
    }

    /// Would a receipt for this ticket be driven, now or when the present drive has ended?
    pub(super) fn will_deliver(&self, number: u8) -> bool {
        let waits = self.tickets[usize::from(number)] == Kept::Open && prepare(Some(&self.line()), price()) == Err(Refused::Busy);
        waits || self.could_deliver(number)
    }

    /// Would a receipt for this ticket be driven now?
    pub(super) fn could_deliver(&self, number: u8) -> bool {
        self.tickets[usize::from(number)] == Kept::Open && prepare(Some(&self.line()), price()).is_ok()
    }
}

fn refusal(refused: Refused) -> RelaySay {
    match refused {
        Refused::Busy => RelaySay::Busy,
        Refused::UnknownTicket => RelaySay::UnknownTicket,
        Refused::UnknownItem
        | Refused::TooLittle(_)
        | Refused::NotMultiple(_)
        | Refused::TooLong
        | Refused::Blocked
        | Refused::Hardware => RelaySay::Refused,
    }
}

impl World {
    /// A call of the machine. Gives the messages to send.
    pub(super) fn relay_takes(&mut self, lab: &Lab, message: Message) -> Vec<Message> {
        self.take(message);
        match message {
            Message::Prepare { order } => {
                let may = prepare(Some(&self.relay.line()), price()).is_ok();
                let given = if may { self.draw_ticket(lab, order) } else { None };
                if let Some(given) = given {
                    self.relay.tickets[usize::from(given)] = Kept::Open;
                }
                vec![Message::Prepared { order, ticket: given }]
            }
            Message::ToRelay { order, ask, live } => {
                let say = match ask {
                    RelayAsk::Check(_) => {
                        let number = self.ticket_of(lab, order);
                        let can = number.is_some_and(|number| self.relay.could_deliver(number));
                        let busy = self.relay.line().condition == Condition::Busy;
                        Some(match (can, busy) {
                            (true, _) => RelaySay::Deliverable,
                            (false, true) => RelaySay::Busy,
                            (false, false) => RelaySay::NotDeliverable,
                        })
                    }
                    RelayAsk::Dispense(charge) => self.dispense(lab, charge, live),
                    RelayAsk::Query(charge) => Some(match self.relay.entries[usize::from(charge)] {
                        None => RelaySay::Unknown,
                        Some(Written::Driving) => RelaySay::Driving,
                        Some(Written::Ended(ended)) => RelaySay::Ended(ended),
                    }),
                    RelayAsk::Close(number) => Some(match self.relay.tickets[usize::from(number)] {
                        Kept::Unknown => RelaySay::UnknownTicket,
                        Kept::Closed => RelaySay::Closed,
                        Kept::Open if lab.flaw == Some(Flaw::CloseForgets) => RelaySay::Closed,
                        Kept::Open => {
                            self.relay.tickets[usize::from(number)] = Kept::Closed;
                            RelaySay::Closed
                        }
                        Kept::Used(charge) => match self.relay.entries[usize::from(charge)] {
                            Some(Written::Driving) => RelaySay::Driving,
                            Some(Written::Ended(ended)) => RelaySay::Ended(ended),
                            None => RelaySay::UnknownTicket,
                        },
                    }),
                };
                // An answer that nobody waits for goes to nobody. The signal tells the outcome of a pulse too.
                say.filter(|_| live).map(|say| Message::FromRelay { order, ask, say, live }).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn dispense(&mut self, lab: &Lab, charge: u8, live: bool) -> Option<RelaySay> {
        let receipt = self.merchant(lab, charge).and_then(|order| order.receipt().cloned());
        let receipt = receipt.expect("only a machine with a receipt asks for it, and books forget none");
        let number = super::ticket_number(&receipt.claims().ticket);
        let (kept, found) = match lab.flaw {
            Some(Flaw::NoLedger) => (Some(TicketEntry::Open { item: item(), amount: price() }), None),
            _ => (self.relay.ticket(number), self.relay.entry(charge)),
        };
        match admit(kept.as_ref(), found, &receipt, Some(&self.relay.line())) {
            Ok(Admission::Drive) if lab.flaw == Some(Flaw::PulseBeforeCommit) => {
                self.pulses[usize::from(charge)] += 1;
                self.relay.line = Line::Begun(charge);
                self.relay.waits[usize::from(charge)] = live;
                None
            }
            Ok(Admission::Drive) => {
                self.relay.tickets[usize::from(number)] = Kept::Used(charge);
                self.relay.entries[usize::from(charge)] = Some(Written::Driving);
                self.relay.line = Line::Begun(charge);
                self.relay.waits[usize::from(charge)] = live;
                None
            }
            // The relay need not remember that somebody waits: the question may come again when the pulse has
            // ended.
            Ok(Admission::Driving) if lab.wild && live => Some(RelaySay::Driving),
            Ok(Admission::Driving) => {
                self.relay.waits[usize::from(charge)] |= live;
                None
            }
            Ok(Admission::Recorded(outcome)) => Some(RelaySay::Ended(outcome.into())),
            Err(refused) => Some(refusal(refused)),
        }
    }

    /// The line goes on. It is driven, or its end is committed, or the waiting caller is told that it still runs.
    pub(super) fn relay_drives(&self, lab: &Lab) -> Vec<(&'static str, World, Vec<Message>)> {
        let mut all = Vec::new();
        match self.relay.line {
            Line::Idle => {}
            Line::Begun(charge) => {
                let mut world = self.clone();
                world.relay.line = Line::Driven(charge);
                if lab.flaw == Some(Flaw::PulseBeforeCommit) {
                    world.relay.entries[usize::from(charge)] = Some(Written::Driving);
                } else {
                    world.pulses[usize::from(charge)] += 1;
                }
                world.stolen |= !world.midtrans.was_settled(charge);
                all.push(("the line is driven", world, Vec::new()));
            }
            Line::Driven(charge) => {
                let mut ends = vec![Outcome::Dispensed];
                if self.left.jams > 0 {
                    ends.push(Outcome::Failed);
                }
                for outcome in ends {
                    let mut world = self.clone();
                    if outcome == Outcome::Failed {
                        spend(&mut world.left.jams);
                        world.relay.blocked = true;
                    }
                    let ended = Ended::from(outcome);
                    world.relay.line = Line::Idle;
                    world.relay.entries[usize::from(charge)] = Some(Written::Ended(ended));
                    let waited = std::mem::take(&mut world.relay.waits[usize::from(charge)]);
                    let mut out = vec![Message::Finished { charge, ended }];
                    if waited {
                        let (order, ask) = (super::order_of(charge), RelayAsk::Dispense(charge));
                        out.push(Message::FromRelay { order, ask, say: RelaySay::Ended(ended), live: true });
                    }
                    all.push(("the pulse ends", world, out));
                }
            }
        }
        if let Line::Begun(charge) | Line::Driven(charge) = self.relay.line
            && self.relay.waits[usize::from(charge)]
        {
            let mut world = self.clone();
            world.relay.waits[usize::from(charge)] = false;
            let (order, ask) = (super::order_of(charge), RelayAsk::Dispense(charge));
            all.push(("20 s are over", world, vec![Message::FromRelay { order, ask, say: RelaySay::Driving, live: true }]));
        }
        all
    }

    /// The program starts again. Its ledger may be gone.
    pub(super) fn relay_restarts(&mut self, lost: bool) {
        for entry in &mut self.relay.entries {
            *entry = entry.map(|written| match written {
                Written::Driving => match after_restart(Entry::Driving) {
                    Entry::Ended(outcome) => Written::Ended(outcome.into()),
                    Entry::Driving => Written::Driving,
                },
                Written::Ended(ended) => Written::Ended(ended),
            });
        }
        if lost {
            self.relay.entries = [None; CHARGES];
            self.relay.tickets = [Kept::Unknown; TICKETS];
            self.relay.blocked = false;
            self.relay.reset = true;
        }
        self.relay.line = Line::Idle;
        self.relay.others = false;
        self.relay.waits = [false; CHARGES];
        self.relay.run += 1;
    }
}
