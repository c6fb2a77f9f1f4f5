//! The one match that carries each [`Effect`] to its place. Answers come back as [`Input`]s.

use super::backend::Backend;
use super::broker;
use super::controller::Controllers;
use super::controller::mqtt::commands;
use super::controller::shutdown::Logind;
use super::diagnostics::{self, Files};
use super::inbox::Inbox;
use super::rauc::Rauc;
use super::relay::Relay;
use super::words::{
    Address, BackendAnswer, CallId, Effect, Input, Notice, Operated, Operation, PREPARE_WAIT, PrepareError, RelayAnswer, SystemAnswer,
    SystemCall,
};
use qris_core::order::ids::{CommandId, DeviceId};
use qris_core::wire::command::{Code, Problem, Query, Response, Stage};
use qris_core::wire::status::OFFLINE_KEPT_S;
use qris_host::config::BusAddress;
use qris_host::journal;
use qris_host::mqtt::{Mqtt, Outbound, PublishId};
use qris_host::service;
use qris_host::trust::ServerTime;
use qris_screen::Screen;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// After this time somebody who asks about the computer hears that the answer takes longer.
const LOOK_SOON: Duration = Duration::from_secs(2);

pub struct Ports {
    pub device: DeviceId,
    pub mqtt: Option<Mqtt>,
    pub backend: Backend,
    pub relay: Arc<RelaySlot>,
    pub controllers: Controllers,
    pub logind: Option<Logind>,
    /// The bus of the system, where RAUC may be.
    pub bus: Option<BusAddress>,
    /// Orders this program to begin anew.
    pub restarts: UnboundedSender<CommandId>,
    pub files: Arc<Files>,
    pub inbox: Inbox,
    /// The calls to the backend that may still be abandoned.
    pub calls: HashMap<CallId, AbortHandle>,
}

/// The present connection to the relay service.
#[derive(Debug)]
pub struct RelaySlot(watch::Sender<Option<Relay>>);

impl Default for RelaySlot {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl RelaySlot {
    /// Sets the connection; `None`: there is none any more.
    pub fn set(&self, relay: Option<Relay>) {
        self.0.send_replace(relay);
    }

    fn get(&self) -> Option<Relay> {
        self.0.borrow().clone()
    }

    fn wait(&self) -> impl Future<Output = Option<Relay>> + Send + 'static {
        let mut slot = self.0.subscribe();
        async move { slot.wait_for(Option::is_some).await.ok()?.clone() }
    }
}

async fn rauc_on(bus: Option<&BusAddress>) -> Result<Rauc, String> {
    Rauc::connect(bus.ok_or("this machine has no bus of the system")?).await
}

/// `None`: nobody knows.
async fn restart_computer(logind: Option<Logind>) -> Option<Result<(), String>> {
    match logind {
        Some(logind) => logind.reboot().await,
        None => Some(Err("this machine has no bus of the system".into())),
    }
}

fn rauc_refused(why: &str) -> Operated {
    Operated::Refused(Problem::new(Code::Refused, format!("RAUC: {why}")))
}

impl Ports {
    /// Carries effects out. A customer waits for the answers of relay and backend, and for the picture. So these leave
    /// first, then everything else that goes to others, and the journal last.
    pub async fn perform(&mut self, mut effects: Vec<Effect>, screen: &Screen) {
        // A call may need the time that is trusted since now.
        let is_call = |effect: &mut Effect| {
            let is_asked = matches!(effect, Effect::Prepare(..) | Effect::PrepareAgain(..) | Effect::Relay(..) | Effect::Backend(..));
            is_asked || matches!(effect, Effect::Trust(_))
        };
        let calls: Vec<Effect> = effects.extract_if(.., is_call).collect();
        self.send(calls).await;
        let is_here = |effect: &mut Effect| matches!(effect, Effect::Dress(_) | Effect::Show(_) | Effect::Journal(_));
        let (journal, seen): (Vec<Effect>, Vec<Effect>) =
            effects.extract_if(.., is_here).partition(|effect| matches!(effect, Effect::Journal(_)));
        for effect in seen {
            match effect {
                Effect::Dress(looks) => screen.dress(*looks),
                Effect::Show(picture) => screen.show(picture),
                _ => {}
            }
        }
        self.send(effects).await;
        for event in journal {
            if let Effect::Journal(event) = event {
                journal::emit(&event);
            }
        }
    }

    /// Hands effects to the tasks that carry them, and lets these tasks work.
    async fn send(&mut self, effects: Vec<Effect>) {
        if !effects.is_empty() {
            effects.into_iter().for_each(|effect| self.perform_one(effect));
            self.calls.retain(|_, call| !call.is_finished());
            tokio::task::yield_now().await;
        }
    }

    /// Sends this as the last status, and nothing after it.
    pub fn stop(self, payload: Vec<u8>) {
        if let Some(mqtt) = self.mqtt {
            let farewell = broker::outbound(&self.device, Notice::Status, payload);
            mqtt.stop(Some(Outbound { expiry_s: Some(OFFLINE_KEPT_S), ..farewell }));
        }
    }

    fn perform_one(&mut self, effect: Effect) {
        match effect {
            Effect::Ack(ack) => self.at_broker(|mqtt| mqtt.ack(ack)),
            Effect::DropBroker => self.at_broker(Mqtt::drop_connection),
            Effect::Publish { id, notice: Notice::Telemetry, payload } => self.report(id, payload),
            Effect::Publish { id, notice, payload } => {
                self.at_broker(|mqtt| mqtt.publish(id, broker::outbound(&self.device, notice, payload)));
            }
            Effect::Prepare(call, item, amount) => {
                let device = self.device.clone();
                let asked = async move |relay: Relay| relay.prepare(&device, &item, amount).await;
                self.promised(asked, move |answer| Input::Prepared(call, answer));
            }
            Effect::PrepareAgain(call, item, amount, again) => {
                let device = self.device.clone();
                let asked = async move |relay: Relay| relay.prepare_again(&device, &item, amount, &again).await;
                self.promised(asked, move |answer| Input::PreparedAgain(call, answer));
            }
            Effect::Relay(id, request, call) => self.with_relay(move |relay| async move {
                let answer = match relay {
                    Some(relay) => relay.ask(call).await,
                    None => RelayAnswer::NoAnswer("the relay service is gone".into()),
                };
                Some(Input::Relay(id, request, answer))
            }),
            Effect::CloseTicket(ticket) => self.with_relay(move |relay| async move {
                // While the relay is away, nobody looks for tickets. When it comes back, it tells which are open.
                let answer = relay?.close(&ticket).await;
                matches!(answer, RelayAnswer::NoAnswer(_)).then_some(Input::TicketLeft)
            }),
            Effect::ReadRelay => self.with_relay(|relay| async move {
                let facts = relay?.facts().await.ok()?;
                Some(Input::RelayReported(facts))
            }),
            Effect::Backend(id, request, call) => {
                self.call(id, async move |backend| backend.call(call).await, move |answer| Input::Backend(id, request, answer));
            }
            Effect::AskOpen(id, identity) => {
                self.call(id, async move |backend| backend.open(&identity).await, move |answer| Input::Open(id, answer));
            }
            Effect::Trust(time) => self.backend.trust(time),
            Effect::AskTime => {
                let (backend, inbox) = (self.backend.clone(), self.inbox.clone());
                tokio::spawn(async move { backend.ask_time().await.into_iter().for_each(|told| inbox.send(Input::Time(told))) });
            }
            Effect::Abandon(id) => {
                if let Some(call) = self.calls.remove(&id) {
                    call.abort();
                }
            }
            Effect::View(view) => {
                service::status(&view.to_string());
                self.controllers.view_changed(&view);
            }
            Effect::OrderChanged(event) => self.controllers.order_changed(&event),
            Effect::Reply(asker, reply) => self.controllers.reply(asker, reply),
            Effect::AnswerCommand(to, answer) => self.at_broker(|mqtt| commands::answer(mqtt, &to, *answer)),
            Effect::Read(to, id, command, known) => self.answer_from_files(to, id, command, known),
            Effect::Operate(id, operation) => self.operate(id, operation),
            Effect::System(call) => self.system(call),
            // These need no one else.
            Effect::Dress(_) | Effect::Show(_) | Effect::Journal(_) => {}
        }
    }

    /// Does something at the broker, if there is one. The machine asks for nothing there without one.
    fn at_broker(&self, work: impl FnOnce(&Mqtt)) {
        if let Some(mqtt) = &self.mqtt {
            work(mqtt);
        }
    }

    /// Publishes a report, with the condition of the computer in it. That is read from files, so it is not waited for.
    fn report(&self, id: PublishId, payload: Vec<u8>) {
        let Some(mqtt) = self.mqtt.clone() else { return };
        let (files, device) = (Arc::clone(&self.files), self.device.clone());
        tokio::task::spawn_blocking(move || {
            let payload = diagnostics::with_vitals(payload, &files);
            mqtt.publish(id, broker::outbound(&device, Notice::Telemetry, payload));
        });
    }

    /// Reads what the computer knows, beside everything else.
    fn answer_from_files(&self, to: Address, id: CommandId, query: Query, known: Value) {
        // A command comes from the broker, and its answer goes there.
        let Some(mqtt) = self.mqtt.clone() else { return };
        let (files, inbox) = (Arc::clone(&self.files), self.inbox.clone());
        let relay = self.relay.get();
        let asks_relay = matches!(query, Query::Diag {});
        let read = async move {
            let relay = match relay {
                Some(relay) if asks_relay => relay.facts().await.map(|facts| json!(facts)),
                _ => Err("the relay service is gone".into()),
            };
            let read = tokio::task::spawn_blocking(move || match query {
                Query::Logs(wanted) => diagnostics::logs(&wanted),
                Query::Diag {} => Ok(diagnostics::diag(known, relay.unwrap_or_else(|why| json!(why)), &files)),
                _ => Ok(diagnostics::vitals(&files, &known["vitals"])),
            });
            read.await.unwrap_or_else(|why| Err(Problem::new(Code::Refused, why.to_string())))
        };
        tokio::spawn(async move {
            let mut read = pin!(read);
            let read = match timeout(LOOK_SOON, &mut read).await {
                Ok(read) => read,
                Err(_) => {
                    // Else the asker would ask again, and hear that another question is answered.
                    commands::answer(&mqtt, &to, Response::accepted(id.clone()));
                    read.await
                }
            };
            let end = match read {
                Ok(result) => Response::done(Some(id.clone()), result),
                Err(problem) => Response::ended(Some(id.clone()), Stage::Failed, problem),
            };
            inbox.send(Input::Read(id, Box::new(end)));
        });
    }

    fn operate(&self, id: CommandId, operation: Operation) {
        match operation {
            Operation::Restart => drop(self.restarts.send(id)),
            Operation::Reboot => self.reboot(id),
            Operation::Install { bundle, may_join } => self.install(id, bundle, may_join),
            Operation::TellSlot { may_be_late } => self.tell_slot(id, may_be_late),
            Operation::Test(jws) => self.by_relay(id, |relay| async move { relay.test(&jws).await }),
            Operation::Clear(jws) => self.by_relay(id, |relay| async move { relay.clear_by(&jws).await }),
        }
    }

    fn by_relay<F>(&self, id: CommandId, ask: impl FnOnce(Relay) -> F + Send + 'static)
    where
        F: Future<Output = Operated> + Send + 'static,
    {
        self.with_relay(move |relay| async move {
            let answer = match relay {
                Some(relay) => ask(relay).await,
                None => Operated::NoAnswer,
            };
            Some(Input::Operated(id, answer))
        });
    }

    fn install(&self, id: CommandId, bundle: Box<str>, may_join: bool) {
        let (bus, inbox) = (self.bus.clone(), self.inbox.clone());
        tokio::spawn(async move {
            let percent = |percent| inbox.send(Input::Operated(id.clone(), Operated::Percent(percent)));
            let installed = async { rauc_on(bus.as_ref()).await?.install(&bundle, may_join, percent).await };
            let answer = installed.await.map_or_else(|why| rauc_refused(&why), |()| Operated::Installed);
            inbox.send(Input::Operated(id, answer));
        });
    }

    fn tell_slot(&self, id: CommandId, may_be_late: bool) {
        let (bus, inbox) = (self.bus.clone(), self.inbox.clone());
        tokio::spawn(async move {
            let booted = async { rauc_on(bus.as_ref()).await?.booted().await };
            let answer = match booted.await {
                Ok(slot) => Operated::Slot(slot.into()),
                Err(_) if may_be_late => Operated::NoAnswer,
                Err(why) => rauc_refused(&why),
            };
            inbox.send(Input::Operated(id, answer));
        });
    }

    fn reboot(&self, id: CommandId) {
        let (logind, inbox) = (self.logind.clone(), self.inbox.clone());
        tokio::spawn(async move {
            match restart_computer(logind).await {
                Some(Ok(())) => {}
                Some(Err(why)) => inbox.send(Input::Operated(id, Operated::Refused(Problem::new(Code::Refused, why)))),
                None => inbox.send(Input::Operated(id, Operated::NoAnswer)),
            }
        });
    }

    fn system(&self, call: SystemCall) {
        let (bus, logind, inbox) = (self.bus.clone(), self.logind.clone(), self.inbox.clone());
        tokio::spawn(async move {
            let rauc = async || rauc_on(bus.as_ref()).await;
            let answer = match call {
                SystemCall::GetRunning => async { rauc().await?.slot_status().await }.await,
                SystemCall::MarkGood => async { rauc().await?.mark_good().await }.await.map(|()| SystemAnswer::Good),
                SystemCall::AwaitIdle => {
                    if let Ok(rauc) = rauc().await {
                        rauc.becomes_idle(|| inbox.send(Input::System(SystemAnswer::GoesOn))).await;
                    }
                    Ok(SystemAnswer::Idle)
                }
                SystemCall::Reboot => match restart_computer(logind).await {
                    // A computer that goes down hears no more.
                    Some(Ok(())) | None => Ok(SystemAnswer::NoAnswer),
                    Some(Err(why)) => Err(why),
                },
            };
            inbox.send(Input::System(answer.unwrap_or(SystemAnswer::NoAnswer)));
        });
    }

    /// Asks the relay for a ticket. This is the time for the wait and the question together: a customer stands there.
    fn promised<T, F>(
        &self,
        ask: impl FnOnce(Relay) -> F + Send + 'static,
        input: impl FnOnce(Result<T, PrepareError>) -> Input + Send + 'static,
    ) where
        T: Send,
        F: Future<Output = Result<T, PrepareError>> + Send,
    {
        let (inbox, relay) = (self.inbox.clone(), self.relay.wait());
        tokio::spawn(async move {
            let asked = async { Some(ask(relay.await?).await) };
            let answer = timeout(PREPARE_WAIT.to_duration(), asked).await.ok().flatten();
            let answer = answer.unwrap_or_else(|| Err(PrepareError::NoAnswer("the relay service does not answer".into())));
            inbox.send(input(answer));
        });
    }

    fn with_relay<F>(&self, work: impl FnOnce(Option<Relay>) -> F)
    where
        F: Future<Output = Option<Input>> + Send + 'static,
    {
        let (work, inbox) = (work(self.relay.get()), self.inbox.clone());
        tokio::spawn(async move {
            if let Some(input) = work.await {
                inbox.send(input);
            }
        });
    }

    fn call<F>(&mut self, id: CallId, ask: impl FnOnce(Backend) -> F, input: impl FnOnce(BackendAnswer) -> Input + Send + 'static)
    where
        F: Future<Output = (BackendAnswer, Option<ServerTime>)> + Send + 'static,
    {
        let (asked, inbox) = (ask(self.backend.clone()), self.inbox.clone());
        let call = tokio::spawn(async move {
            let (answer, told) = asked.await;
            told.into_iter().map(Input::Time).chain([input(answer)]).for_each(|input| inbox.send(input));
        });
        self.calls.insert(id, call.abort_handle());
    }
}
