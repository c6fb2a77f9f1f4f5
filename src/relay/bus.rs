//! The interface `io.qrisd.Relay1`. It stands between D-Bus and the [`Dispenser`].

use super::dispenser::{Dispensed, Dispenser, Effect, Refusal};
use super::outlet::Ending;
use super::outlet::{OutletCommand, STEP};
use super::threads::{ThreadReport, Trouble};
use qris_core::order::ids::{ItemId, OrderId, Ticket};
use qris_core::order::late_sign::LateNews;
use qris_core::order::ledger::{Again, Cause, LedgerRefusal};
use qris_core::order::outcome::Outcome;
use qris_core::order::tries::TryNumber;
use qris_core::wire::dbus::{DispenseAnswer, RELAY_NAME, RELAY_PATH, RelayError};
use qris_host::bus::{Served, serve};
use qris_host::config::BusAddress;
use qris_host::{clock, journal, service};
use ring::rand::{SecureRandom as _, SystemRandom};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{sleep, timeout};

/// `Dispense` answers within 20 s; one second is left for the way.
const ANSWER_WITHIN: Duration = Duration::from_secs(19);
/// `Prepare` answers within 2 s.
const READY_WITHIN: Duration = Duration::from_millis(1500);
/// A program that stands still while it drives a line holds the line active. The service manager ends the program after
/// this time.
const WATCHED_WITHIN: Duration = Duration::from_secs(5);
/// At most this many signals wait to be sent. They are news: a signal that does not fit is lost.
pub const SIGNALS_MAX: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// `Unseen(order_id, try)`
    Unseen(OrderId, TryNumber),
    /// `LateSign(order_id, try, sign)`
    LateSign(LateNews),
    /// `Finished(order_id, try, outcome, driven, detail)`
    Finished(OrderId, TryNumber, Outcome, String),
    Pressed(ItemId),
    Released(ItemId),
    /// `ClearPressed(is_held)`
    ClearPressed(bool),
    Switched,
    Cleared,
    LedgerBack,
    Tested,
}

/// The dispenser, shared by all connections, with the hands that carry out its effects. Everything runs on one thread:
/// nobody ever waits for the lock, and nobody holds it across an `await`.
pub struct Service {
    heart: Mutex<Heart>,
    lines: Vec<Sender<OutletCommand>>,
    buttons: Vec<ItemId>,
    signals: mpsc::Sender<Signal>,
    random: SystemRandom,
    acted: Notify,
    answer_within: Duration,
}

struct Heart {
    dispenser: Dispenser,
    /// Those that wait for the end of a pulse; one entry for each line that is driven.
    waiting: Vec<(Cause, oneshot::Sender<(DispenseAnswer, String)>)>,
    /// Lines that were told to drive and have not told the end yet.
    driven: usize,
}

impl Heart {
    fn at_rest(&mut self) {
        self.driven = self.driven.saturating_sub(1);
        if self.driven == 0 {
            service::watchdog_as_configured();
        }
    }
}

impl Service {
    /// `lines` are in the order of the configuration; `buttons` are the items that the buttons ask for.
    #[must_use]
    pub fn new(dispenser: Dispenser, lines: Vec<Sender<OutletCommand>>, buttons: Vec<ItemId>, signals: mpsc::Sender<Signal>) -> Self {
        let heart = Mutex::new(Heart { dispenser, waiting: Vec::new(), driven: 0 });
        Self { heart, lines, buttons, signals, random: SystemRandom::new(), acted: Notify::new(), answer_within: ANSWER_WITHIN }
    }

    /// Asks the dispenser, and carries out the effects before anybody hears the answer.
    pub fn with<T>(&self, ask: impl FnOnce(&mut Dispenser) -> T) -> T {
        self.with_heart(|heart| ask(&mut heart.dispenser))
    }

    fn with_heart<T>(&self, ask: impl FnOnce(&mut Heart) -> T) -> T {
        // A call that panicked has committed or has not. What it left in memory is read from the ledger again at the
        // next start. Until then the memory errs on the side of not driving.
        let mut heart = self.heart.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = ask(&mut heart);
        loop {
            let effects = heart.dispenser.take_effects();
            if effects.is_empty() {
                return answer;
            }
            self.acted.notify_one();
            for effect in effects {
                self.carry_out(effect, &mut heart);
            }
        }
    }

    fn carry_out(&self, effect: Effect, heart: &mut Heart) {
        match effect {
            Effect::Deliver(line, job) => {
                service::watchdog_within(WATCHED_WITHIN);
                heart.driven += 1;
                // A thread ends with its sender, or by a fault of this program. After that nothing is driven by it.
                if self.lines[line].send(OutletCommand::Deliver(job)).is_err() {
                    heart.at_rest();
                    let ending = Ending::not_driven("the line's thread is gone");
                    heart.dispenser.ended(line, ending);
                    heart.dispenser.hardware(line, Err(Trouble::Hardware("the line's thread is gone: restart this service".into())));
                }
            }
            Effect::Unseen(Cause::Order { order, number, .. }) => self.signal(Signal::Unseen(order, number)),
            Effect::LateSign(Cause::Order { order, number, .. }, sign) => self.signal(Signal::LateSign(LateNews { order, number, sign })),
            // No customer waits for a test, and no books have it.
            Effect::Unseen(Cause::Test(_)) | Effect::LateSign(Cause::Test(_), _) => {}
            Effect::Finished { cause, outcome, detail } => {
                let (done, waiting) = std::mem::take(&mut heart.waiting).into_iter().partition(|(waits, _)| *waits == cause);
                heart.waiting = waiting;
                let done: Vec<(Cause, oneshot::Sender<_>)> = done;
                for (_, answer) in done {
                    // The caller may be gone.
                    drop(answer.send((DispenseAnswer::Ended(outcome), detail.clone())));
                }
                self.signal(match cause {
                    Cause::Order { order, number, .. } => Signal::Finished(order, number, outcome, detail),
                    // Whoever asked for it: it has taken one out of its slot.
                    Cause::Test(_) => Signal::Tested,
                });
            }
            Effect::Looked(line) => heart.dispenser.settings(line).outlet.looked(),
            Effect::Cleared => self.signal(Signal::Cleared),
            Effect::LedgerBack => self.signal(Signal::LedgerBack),
            Effect::Journal(event) => journal::emit(&event),
        }
    }

    /// Asks the hardware of an item's line whether it can be driven now.
    pub async fn ready(&self, item: &str, amount: i64) -> Result<(), Refusal> {
        let Some(line) = self.with(|dispenser| dispenser.to_ask(item)) else { return Ok(()) };
        let asked = async {
            loop {
                match line.outlet.ready() {
                    Some(answer) => return answer,
                    None => sleep(STEP.to_duration()).await,
                }
            }
        };
        let answer = timeout(READY_WITHIN, asked).await.unwrap_or_else(|_| Err("its board does not say whether it can be driven".into()));
        answer.map_err(|why| self.with(|dispenser| dispenser.not_ready(item, amount, why)))
    }

    /// Waits until something was done: a line was driven, or the journal heard of something.
    pub async fn acted(&self) {
        self.acted.notified().await;
    }

    pub fn report(&self, report: ThreadReport) {
        match report {
            ThreadReport::Hardware(line, state) => self.with(|dispenser| dispenser.hardware(line, state)),
            ThreadReport::Ended(line, ending) => self.with_heart(|heart| {
                // This comes before the ledger: a disk that takes seconds now does not keep a line active.
                heart.at_rest();
                heart.dispenser.ended(line, ending);
            }),
            ThreadReport::Unseen(line) => self.with(|dispenser| dispenser.unseen(line)),
            ThreadReport::Late(line, sign) => self.with(|dispenser| dispenser.came_late(line, sign)),
            ThreadReport::ClearPressed(line) => {
                self.with(|dispenser| dispenser.clear_pressed(line));
                self.signal(Signal::ClearPressed(false));
            }
            ThreadReport::ClearHeld => self.signal(Signal::ClearPressed(true)),
            ThreadReport::Button(name, state) => self.with(|dispenser| dispenser.button(name, state)),
            ThreadReport::Pressed(button) => self.signal(Signal::Pressed(self.buttons[button].clone())),
            ThreadReport::Released(button) => self.signal(Signal::Released(self.buttons[button].clone())),
            ThreadReport::Switched(is_on) => {
                self.with(|dispenser| dispenser.switched(is_on));
                self.signal(Signal::Switched);
            }
        }
    }

    fn signal(&self, signal: Signal) {
        drop(self.signals.try_send(signal));
    }

    /// Sets every line inactive, whatever the line is doing.
    pub fn stop_lines(&self) {
        for line in &self.lines {
            drop(line.send(OutletCommand::Stop));
        }
    }

    async fn deliver(&self, begin: impl FnOnce(&mut Dispenser) -> Result<Dispensed, Refusal>) -> Result<(DispenseAnswer, String), Refusal> {
        let begun = self.with_heart(|heart| -> Result<_, Refusal> {
            Ok(match begin(&mut heart.dispenser)? {
                Dispensed::Known(answer, detail) => Err((answer, detail)),
                Dispensed::Begun(cause) => {
                    let (answer, answer_rx) = oneshot::channel();
                    heart.waiting.push((cause, answer));
                    Ok(answer_rx)
                }
            })
        })?;
        match begun {
            Err(known) => Ok(known),
            Ok(answer) => match timeout(self.answer_within, answer).await {
                Ok(Ok(ended)) => Ok(ended),
                Ok(Err(_)) | Err(_) => Ok((DispenseAnswer::Dispensing, String::new())),
            },
        }
    }
}

/// Serves the interface until the answer is dropped. The service is safe before it takes the name: the lines are
/// inactive, and the ledger is open or known to be unavailable.
#[must_use]
pub fn start(address: &BusAddress, service: &Arc<Service>) -> Served {
    let service = Arc::clone(service);
    serve(address, RELAY_NAME, move |builder| builder.serve_at(RELAY_PATH, Relay1(Arc::clone(&service))))
}

pub async fn emit(served: &Served, signal: Signal) {
    match signal {
        Signal::Unseen(order, number) => served.emit(RELAY_PATH, RELAY_NAME, "Unseen", &(order.as_str(), number.get())).await,
        Signal::LateSign(LateNews { order, number, sign }) => {
            served.emit(RELAY_PATH, RELAY_NAME, "LateSign", &(order.as_str(), number.get(), sign.as_str())).await;
        }
        Signal::Finished(order, number, outcome, detail) => {
            let body = (order.as_str(), number.get(), outcome.as_str(), outcome.driven(), detail.as_str());
            served.emit(RELAY_PATH, RELAY_NAME, "Finished", &body).await;
        }
        Signal::Pressed(item) => served.emit(RELAY_PATH, RELAY_NAME, "Pressed", &(item.as_str(),)).await,
        Signal::Released(item) => served.emit(RELAY_PATH, RELAY_NAME, "Released", &(item.as_str(),)).await,
        Signal::ClearPressed(is_held) => served.emit(RELAY_PATH, RELAY_NAME, "ClearPressed", &(is_held,)).await,
        Signal::Switched => served.emit(RELAY_PATH, RELAY_NAME, "Switched", &()).await,
        Signal::Cleared => served.emit(RELAY_PATH, RELAY_NAME, "Cleared", &()).await,
        Signal::LedgerBack => served.emit(RELAY_PATH, RELAY_NAME, "LedgerBack", &()).await,
        Signal::Tested => served.emit(RELAY_PATH, RELAY_NAME, "Tested", &()).await,
    }
}

struct Relay1(Arc<Service>);

impl Relay1 {
    /// Those of a ticket.
    fn bits(&self) -> Result<[u8; 16], Fault> {
        let mut bits = [0; 16];
        self.0.random.fill(&mut bits).map_err(|_| Fault::Ledger("the system has no random numbers".into()))?;
        Ok(bits)
    }
}

#[zbus::interface(name = "io.qrisd.Relay1")]
impl Relay1 {
    #[zbus(out_args("ticket"))]
    async fn prepare(&self, device: &str, item: &str, amount: i64) -> Result<String, Fault> {
        let bits = self.bits()?;
        self.0.ready(item, amount).await?;
        Ok(self.0.with(|dispenser| dispenser.prepare(device, item, amount, bits))?.to_string())
    }

    /// Promises another try at an order, of which nothing came before.
    #[zbus(out_args("ticket", "promise"))]
    async fn prepare_again(
        &self,
        device: &str,
        item: &str,
        amount: i64,
        order_id: &str,
        nth_try: u32,
        after: &str,
    ) -> Result<(String, String), Fault> {
        let again = match (OrderId::new(order_id), TryNumber::try_from(nth_try), Ticket::new(after)) {
            (Ok(order), Ok(number), Ok(after)) if number > TryNumber::FIRST => Again { order, number, after },
            _ => return Err(Fault::NoTry(LedgerRefusal::NoTry.to_string())),
        };
        let bits = self.bits()?;
        self.0.ready(item, amount).await?;
        let (ticket, promise) = self.0.with(|dispenser| dispenser.prepare_again(device, item, amount, again, bits))?;
        Ok((ticket.to_string(), promise))
    }

    #[zbus(out_args("deliverable", "reason"))]
    async fn check(&self, ticket: &str) -> (bool, String) {
        match self.0.with(|dispenser| dispenser.check(ticket)) {
            Ok(()) => (true, String::new()),
            Err(refusal) => (false, refusal.error.reason().to_string()),
        }
    }

    #[zbus(out_args("outcome", "driven", "detail"))]
    async fn dispense(&self, receipt: &str) -> Result<(String, bool, String), Fault> {
        let (answer, detail) = self.0.deliver(|dispenser| dispenser.dispense(receipt)).await?;
        Ok((answer.as_str().into(), answer.driven(), detail))
    }

    #[zbus(out_args("outcome", "driven", "detail"))]
    async fn query(&self, order_id: &str, nth_try: u32) -> Result<(String, bool, String), Fault> {
        let (answer, detail) = self.0.with(|dispenser| dispenser.query(order_id, nth_try))?;
        Ok((answer.as_str().into(), answer.driven(), detail))
    }

    #[zbus(out_args("outcome", "driven"))]
    async fn close(&self, ticket: &str) -> Result<(String, bool), Fault> {
        let answer = self.0.with(|dispenser| dispenser.close(ticket))?;
        Ok((answer.as_str().into(), answer.driven()))
    }

    #[zbus(out_args("proof"))]
    async fn prove(&self, ticket: &str) -> Result<String, Fault> {
        Ok(self.0.with(|dispenser| dispenser.prove(ticket))?.unwrap_or_default())
    }

    async fn clear(&self, item: &str) -> Result<(), Fault> {
        Ok(self.0.with(|dispenser| dispenser.clear(item))?)
    }

    /// Drives the line of an item once, for an operator who has signed that.
    #[zbus(out_args("outcome", "driven", "detail"))]
    async fn test(&self, jws: &str) -> Result<(String, bool, String), Fault> {
        let (answer, detail) = self.0.deliver(|dispenser| dispenser.test(jws, clock::trusted(clock::now().wall))).await?;
        Ok((answer.as_str().into(), answer.driven(), detail))
    }

    /// Unblocks the line of an item, for an operator who has signed that.
    async fn clear_by(&self, jws: &str) -> Result<(), Fault> {
        self.0.with(|dispenser| dispenser.clear_by(jws, clock::trusted(clock::now().wall)))?;
        Ok(())
    }

    /// [`RelayFacts`](qris_core::wire::relay::RelayFacts), in JSON.
    #[zbus(property(emits_changed_signal = "false"))]
    async fn facts(&self) -> String {
        serde_json::to_string(&self.0.with(|dispenser| dispenser.facts())).expect("facts are plain data")
    }

    /// Declared for introspection; it is sent to every connection by [`emit`].
    #[zbus(signal)]
    async fn finished(
        emitter: &zbus::object_server::SignalEmitter<'_>,
        order_id: &str,
        nth_try: u32,
        outcome: &str,
        driven: bool,
        detail: &str,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn unseen(emitter: &zbus::object_server::SignalEmitter<'_>, order_id: &str, nth_try: u32) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn late_sign(emitter: &zbus::object_server::SignalEmitter<'_>, order_id: &str, nth_try: u32, sign: &str) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn pressed(emitter: &zbus::object_server::SignalEmitter<'_>, item: &str) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn released(emitter: &zbus::object_server::SignalEmitter<'_>, item: &str) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn clear_pressed(emitter: &zbus::object_server::SignalEmitter<'_>, is_held: bool) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn switched(emitter: &zbus::object_server::SignalEmitter<'_>) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn cleared(emitter: &zbus::object_server::SignalEmitter<'_>) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn ledger_back(emitter: &zbus::object_server::SignalEmitter<'_>) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn tested(emitter: &zbus::object_server::SignalEmitter<'_>) -> zbus::Result<()>;
}

/// The errors by their D-Bus names, with a text for people.
#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "io.qrisd.Relay1.Error")]
enum Fault {
    InvalidReceipt(String),
    CommandRefused(String),
    WrongDevice(String),
    UnknownItem(String),
    UnknownTicket(String),
    Amount(String),
    Busy(String),
    Blocked(String),
    NoTry(String),
    Hardware(String),
    Ledger(String),
}

impl From<Refusal> for Fault {
    fn from(Refusal { error, detail }: Refusal) -> Self {
        match error {
            RelayError::InvalidReceipt => Self::InvalidReceipt(detail),
            RelayError::CommandRefused => Self::CommandRefused(detail),
            RelayError::WrongDevice => Self::WrongDevice(detail),
            RelayError::UnknownItem => Self::UnknownItem(detail),
            RelayError::UnknownTicket => Self::UnknownTicket(detail),
            RelayError::Amount => Self::Amount(detail),
            RelayError::Busy => Self::Busy(detail),
            RelayError::Blocked => Self::Blocked(detail),
            RelayError::NoTry => Self::NoTry(detail),
            RelayError::Hardware => Self::Hardware(detail),
            RelayError::Ledger => Self::Ledger(detail),
        }
    }
}

#[cfg(test)]
mod tests;
