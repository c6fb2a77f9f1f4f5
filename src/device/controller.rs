//! Controllers: the sources of requests, which also hear the results. Each is a file below `controller/`.
//! `docs/developing/add-a-controller.md` tells how to add one.
//!
//! A controller turns the words of its medium into a [`Request`], and asks by its [`Requests`]. The machine answers each
//! question once, with a [`Reply`]. A controller whose medium also carries news is a [`Listener`]. The machine knows only the
//! [`ControllerKind`] of a controller.

pub mod buttons;
pub mod dbus;
pub mod file;
pub mod mqtt;
pub mod shutdown;

use super::config::Config;
use super::inbox::Inbox;
use super::words::{Asker, ControllerKind, Input, Reply, Request, View};
use qris_core::order::ids::{ItemId, RequestId};
use qris_core::order::request::{Payment, VendRequest};
use qris_core::wire::vend::VendEvent;
use qris_host::mqtt::Mqtt;
use qris_screen::Camera;
use ring::rand::{SecureRandom as _, SystemRandom};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Hears the news of every order, whichever controller asked for it. It is called between two effects of the machine, so it
/// must not wait. News that its medium cannot take at once is missed.
pub trait Listener: Send {
    /// An order has gone into another state, or a request was refused.
    fn order_changed(&mut self, _event: &VendEvent) {}

    /// Another order holds the machine, or the order went on; or the machine's faults changed.
    fn view_changed(&mut self, _view: &View) {}
}

/// All controllers, as the machine's side sees them.
pub struct Controllers {
    inbox: Inbox,
    questions: Arc<Mutex<Questions>>,
    listeners: Vec<Box<dyn Listener>>,
}

/// The controllers that get their input from a connection of another part.
pub struct Fed {
    /// Hears the messages of the broker; `None` without one.
    pub mqtt: Option<mqtt::Reader>,
    /// Hears the relay's signals.
    pub buttons: buttons::Buttons,
    /// Reboots the computer; `None` without the system's bus.
    pub logind: Option<shutdown::Logind>,
}

impl Controllers {
    /// Without any controller yet.
    #[must_use]
    pub fn new(inbox: Inbox) -> Self {
        Self { inbox, questions: Arc::default(), listeners: Vec::new() }
    }

    /// Starts every controller of this machine.
    #[must_use]
    pub fn start(config: &Config, inbox: Inbox, mqtt: Option<&Mqtt>, camera: &Camera) -> (Self, Fed) {
        let mut all = Self::new(inbox);
        let mqtt = mqtt.map(|mqtt| mqtt::Reader::start(&all, config.machine.device.clone(), mqtt.clone(), camera.clone()));
        let buttons = buttons::Buttons::start(&all);
        file::start(&mut all);
        let mut logind = None;
        if let Some(address) = &config.controller {
            dbus::start(&mut all, address, camera);
            logind = Some(shutdown::start(&all, address));
        }
        (all, Fed { mqtt, buttons, logind })
    }

    /// A further controller. It asks by the value that it gets here.
    #[must_use]
    pub fn requests(&self, kind: ControllerKind) -> Requests {
        Requests { kind, inbox: self.inbox.clone(), questions: Arc::clone(&self.questions) }
    }

    /// From now on the listener hears the news.
    pub fn listen(&mut self, listener: impl Listener + 'static) {
        self.listeners.push(Box::new(listener));
    }

    /// Answers the asker.
    pub fn reply(&self, asker: Asker, reply: Reply) {
        let answer = lock(&self.questions).open.remove(&asker.question);
        if let Some(answer) = answer {
            answer(reply);
        }
    }

    /// Tells all listeners.
    pub fn order_changed(&mut self, event: &VendEvent) {
        self.listeners.iter_mut().for_each(|listener| listener.order_changed(event));
    }

    /// Tells all listeners.
    pub fn view_changed(&mut self, view: &View) {
        self.listeners.iter_mut().for_each(|listener| listener.view_changed(view));
    }
}

/// The questions that are not answered yet.
#[derive(Default)]
struct Questions {
    last: u64,
    open: HashMap<u64, Respond>,
}

type Respond = Box<dyn FnOnce(Reply) + Send>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code under these locks can panic half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The way of one controller's requests into the machine. Clones share it.
#[derive(Clone)]
pub struct Requests {
    kind: ControllerKind,
    inbox: Inbox,
    questions: Arc<Mutex<Questions>>,
}

impl Requests {
    /// Asks, and goes on as soon as the machine's queue has room. `answer` is called once, between two effects of the machine,
    /// so it must not wait.
    pub async fn put(&self, request: Request, answer: impl FnOnce(Reply) + Send + 'static) {
        let question = {
            let mut questions = lock(&self.questions);
            questions.last += 1;
            let question = questions.last;
            questions.open.insert(question, Box::new(answer));
            question
        };
        self.inbox.send_foreign(Input::Requested(request, Asker { question, kind: self.kind })).await;
    }

    /// Asks, and waits for the answer; `None`: the program is stopping.
    pub async fn ask(&self, request: Request) -> Option<Reply> {
        let (answer, answer_rx) = oneshot::channel();
        let answer = move |reply| {
            // The asker may be gone.
            let _ = answer.send(reply);
        };
        self.put(request, answer).await;
        answer_rx.await.ok()
    }
}

/// A request for an item at the machine's price, for a medium on which requests have no name. It gets a new name. `None`:
/// the system gives no randomness.
fn request_for(item: ItemId) -> Option<VendRequest> {
    let mut bits = [0; 16];
    SystemRandom::new().fill(&mut bits).ok()?;
    let request_id = RequestId::new(&qris_core::hex(&bits)).expect("32 hexadecimal digits");
    Some(VendRequest { request_id, item, amount: None, description: None, payment: Payment::Gopay, timeout_s: None })
}
