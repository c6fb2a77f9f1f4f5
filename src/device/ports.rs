//! The one match that carries an [`Effect`] to where it belongs; answers come back as [`Input`]s.

use super::backend::Backend;
use super::controller::Desk;
use super::inbox::Inbox;
use super::machine::{CallId, Effect, Input, PREPARE_WAIT, PrepareError, RelayAnswer};
use super::relay::Relay;
use super::screen::Screen;
use crate::host::events;
use crate::host::mqtt::{Mqtt, Outbound};
use crate::host::service;
use crate::order::ids::DeviceId;
use crate::wire::vend::VendEvent;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// Everything the machine can reach.
pub struct Ports {
    /// This machine's name.
    pub device: DeviceId,
    /// The panel.
    pub screen: Screen,
    /// The broker.
    pub mqtt: Mqtt,
    /// The backend.
    pub backend: Backend,
    /// The relay service, while it is there.
    pub relay: Arc<RelaySlot>,
    /// Controllers on the board.
    pub desk: Arc<Desk>,
    /// The way to their signal, in order.
    pub news: Sender<VendEvent>,
    /// Where answers go.
    pub inbox: Inbox,
    /// Where calls run.
    pub runtime: Handle,
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
    /// From now on, or not any more.
    pub fn set(&self, relay: Option<Relay>) {
        self.0.send_replace(relay);
    }

    fn get(&self) -> Option<Relay> {
        self.0.borrow().clone()
    }

    /// The connection, as soon as there is one.
    fn wait(&self) -> impl Future<Output = Option<Relay>> + Send + 'static {
        let mut slot = self.0.subscribe();
        async move { slot.wait_for(Option::is_some).await.ok()?.clone() }
    }
}

impl Ports {
    /// Carries effects out, in their order.
    pub fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.perform_one(effect);
        }
        self.calls.retain(|_, call| !call.is_finished());
    }

    fn perform_one(&mut self, effect: Effect) {
        match effect {
            Effect::Ack(ack) => self.mqtt.ack(ack),
            Effect::DropBroker => self.mqtt.drop_connection(),
            Effect::Publish { id, topic, payload, retain } => {
                self.mqtt.publish(id, Outbound { topic: topic.of(&self.device), payload, retain, ..Outbound::default() });
            }
            Effect::Prepare(call, item, amount) => {
                let (device, inbox, relay) = (self.device.clone(), self.inbox.clone(), self.relay.wait());
                self.runtime.spawn(async move {
                    let asked = async { Some(relay.await?.prepare(&device, &item, amount).await) };
                    // For waiting and asking together: a customer stands there.
                    let answer = timeout(PREPARE_WAIT.to_duration(), asked).await.ok().flatten();
                    let answer = answer.unwrap_or_else(|| Err(PrepareError::NoAnswer("the relay service does not answer".into())));
                    inbox.send(Input::Prepared(call, answer));
                });
            }
            Effect::Relay(id, request, call) => self.with_relay(move |relay| async move {
                let answer = match relay {
                    Some(relay) => relay.ask(call).await,
                    None => RelayAnswer::NoAnswer("the relay service is gone".into()),
                };
                Some(Input::Relay(id, request, answer))
            }),
            Effect::CloseTicket(ticket) => self.with_relay(move |relay| async move {
                // One that stays open is found again at the next connect.
                if let Some(relay) = relay {
                    relay.close(&ticket).await;
                }
                None
            }),
            Effect::ReadRelay => self.with_relay(|relay| async move {
                let facts = relay?.facts().await.ok()?;
                Some(Input::RelayTold(facts))
            }),
            Effect::Backend(id, request, call) => {
                let backend = self.backend.clone();
                self.call(id, async move { Input::Backend(id, request, backend.call(call).await) });
            }
            Effect::AskOpen(id) => {
                let backend = self.backend.clone();
                self.call(id, async move { Input::Open(id, backend.open().await) });
            }
            Effect::Abandon(id) => {
                if let Some(call) = self.calls.remove(&id) {
                    call.abort();
                }
            }
            Effect::Show(picture) => self.screen.show(picture),
            Effect::View(view) => {
                service::status(&view.to_string());
                self.desk.show(view);
            }
            // Nobody may listen, or too slowly.
            Effect::OrderChanged(event) => drop(self.news.try_send(event)),
            Effect::Reply(to, reply) => self.desk.reply(to, reply),
            Effect::Journal(event) => events::emit(&event),
        }
    }

    fn with_relay<F>(&self, work: impl FnOnce(Option<Relay>) -> F)
    where
        F: Future<Output = Option<Input>> + Send + 'static,
    {
        let (work, inbox) = (work(self.relay.get()), self.inbox.clone());
        self.runtime.spawn(async move {
            if let Some(input) = work.await {
                inbox.send(input);
            }
        });
    }

    fn call(&mut self, id: CallId, work: impl Future<Output = Input> + Send + 'static) {
        let inbox = self.inbox.clone();
        let call = self.runtime.spawn(async move { inbox.send(work.await) });
        self.calls.insert(id, call.abort_handle());
    }
}
