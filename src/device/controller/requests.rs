//! How a controller asks the machine, and how it hears the news.

use crate::inbox::Inbox;
use crate::words::{Asker, ControllerKind, Input, Reply, Request, View};
use qris_core::order::ids::{ItemId, RequestId};
use qris_core::order::request::{Payment, VendRequest};
use qris_core::wire::vend::VendEvent;
use ring::rand::{SecureRandom as _, SystemRandom};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// All controllers, as the machine's side sees them.
pub struct Controllers {
    pub(super) inbox: Inbox,
    questions: Arc<Mutex<Questions>>,
    listeners: Vec<Box<dyn Listener>>,
}

impl Controllers {
    #[must_use]
    pub fn new(inbox: Inbox) -> Self {
        Self { inbox, questions: Arc::default(), listeners: Vec::new() }
    }

    /// A further controller. It asks by the value that it gets here.
    #[must_use]
    pub fn requests(&self, kind: ControllerKind) -> Requests {
        Requests { kind, inbox: self.inbox.clone(), questions: Arc::clone(&self.questions) }
    }

    pub fn listen(&mut self, listener: impl Listener + 'static) {
        self.listeners.push(Box::new(listener));
    }

    pub fn reply(&self, asker: Asker, reply: Reply) {
        let answer = lock(&self.questions).open.remove(&asker.question);
        if let Some(answer) = answer {
            answer(reply);
        }
    }

    pub fn order_changed(&mut self, event: &VendEvent) {
        self.listeners.iter_mut().for_each(|listener| listener.order_changed(event));
    }

    pub fn view_changed(&mut self, view: &View) {
        self.listeners.iter_mut().for_each(|listener| listener.view_changed(view));
    }
}

/// Hears the news of every order, whichever controller asked for it. It is called between two effects of the machine, so it
/// must not wait. News that its medium cannot take at once is missed.
pub trait Listener: Send {
    /// An order has gone into another state, or a request was refused.
    fn order_changed(&mut self, _event: &VendEvent) {}

    /// Another order holds the machine, or the order went on; or the machine's faults changed.
    fn view_changed(&mut self, _view: &View) {}
}

#[derive(Default)]
struct Questions {
    last: u64,
    open: HashMap<u64, Respond>,
}

type Respond = Box<dyn FnOnce(Reply) + Send>;

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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
pub(super) fn request_for(item: ItemId) -> Option<VendRequest> {
    let mut bits = [0; 16];
    SystemRandom::new().fill(&mut bits).ok()?;
    let request_id = RequestId::new(&qris_core::hex(&bits)).expect("32 hexadecimal digits");
    Some(VendRequest { request_id, item, amount: None, description: None, payment: Payment::Gopay, timeout_s: None })
}
