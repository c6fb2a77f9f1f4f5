//! `qris-backend` without sockets, in virtual time and in the thread of a world. This is the program itself: its HTTP handlers, its
//! work for orders, its client of Midtrans, and its books on their own database. Requests and answers pass in their wire form
//! (status, headers and bytes), and the machine's own client writes and reads them. The program's output is an [`Effect`]. Each
//! world carries it, with the possible faults on the way.
//!
//! These parts are left out: the code that carries bytes (sockets, TLS, the broker's connection), the second connection of
//! [`Store`] with its thread, and the look for due work once a second. Instead [`Program::take_up`] is called when work is due.
//!
//! [`Store`]: qris_backend::store::Store

mod ask;
mod database;
mod output;
#[cfg(test)]
mod tests;

pub(super) use ask::Ask;
pub(super) use output::{Effect, MidtransCall, ReplyTo};

use super::midtrans::{self, Book};
use super::rng::Rng;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, Response};
use database::Database;
pub(crate) use database::run;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use output::{Output, Reader, ToMidtrans};
use qris_backend::http;
use qris_backend::keeping::databases::open_both;
use qris_backend::machines::devices;
use qris_backend::machines::handle::Machines;
use qris_backend::machines::token;
use qris_backend::midtrans::{ChargeAs, ChargeOptions, Midtrans, ServerKey, Settings};
use qris_backend::sale::books::{self, BooksError, Noted, Policy};
use qris_backend::sale::handle::{Bell, Books};
use qris_backend::sale::view::Shop;
use qris_backend::sale::work::Work;
use qris_backend::store::{Runner, Store, Tx, read_on};
use qris_core::order::ids::{DeviceId, OrderId};
use qris_core::order::keys::SigningKey;
use qris_core::order::merchant::{Rules, Said};
use qris_core::order::time::{Boot, Now, Span, Told, Wall, Zone};
use qris_host::events::Event as Journal;
use qris_host::http::{Limits, client as http_client};
use qris_host::reckoning::Reckoning;
use qris_host::secret::Secret;
use qris_host::surroundings::Surroundings;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

pub(super) const SERVER_KEY: &str = "SB-Mid-server-simulated";
pub(super) const PUBLIC_URL: &str = "https://pay.example";
pub(super) const ISSUER: &str = "pay.example";
pub(super) const TOKEN: &str = "vm-001";
const MIDTRANS_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 1 << 20;

pub(super) fn key() -> SigningKey {
    SigningKey::from_seed([11; 32])
}

pub(super) fn device() -> DeviceId {
    DeviceId::new("vm-001").expect("an id")
}

/// The merchant's decisions. `by_itself`: this many refunds a machine and day.
pub(super) fn policy(collect_within: Span, by_itself: u32) -> Policy {
    let rules = Rules {
        issuer: ISSUER.into(),
        keys: vec![key()],
        max_imposed_fee: 0,
        reversal_window: Span::secs(300),
        collect_within,
        second_tries: 0,
        try_again_within: Span::secs(24 * 3600),
    };
    Policy { rules, push: true, orders_per_minute: 0, auto_refund_per_day: by_itself, tries_per_day: 10 }
}

pub(super) fn place(collect_within: Span) -> Shop {
    Shop {
        public_url: Some(PUBLIC_URL.into()),
        sandbox: true,
        merchant: None,
        contact: None,
        collect_within,
        zone: Zone::Wib,
        desk_url: None,
    }
}

struct Around<C> {
    output: Arc<Output<C>>,
    began: Instant,
    wall: Wall,
    /// How far the clock of its computer is ahead.
    ahead: Arc<AtomicI64>,
    reckoning: Reckoning,
    rng: Mutex<Rng>,
}

impl<C: Send> Surroundings for Around<C> {
    fn clocks(&self) -> Now {
        let age = since(self.began);
        Now { boot: Boot(age), wall: self.wall + Span(age + self.ahead.load(Ordering::Relaxed)) }
    }

    fn reckoning(&self) -> &Reckoning {
        &self.reckoning
    }

    fn random(&self, bytes: &mut [u8]) {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.fill_with(|| rng.number().to_le_bytes()[0]);
    }

    fn emit(&self, event: &Journal) {
        self.output.put(Effect::Journal(Box::new(event.clone())));
    }
}

impl<C> std::fmt::Debug for Around<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Around")
    }
}

/// Milliseconds of the program's time.
fn since(began: Instant) -> i64 {
    i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX)
}

thread_local! {
    static PANICS: Cell<u64> = const { Cell::new(0) };
}

/// From now on panics are counted. A task that panics ends by itself, and nobody else would know.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.set(PANICS.get() + 1);
            usual(panic);
        }));
    });
}

pub(super) struct Start<'a> {
    pub(super) books: &'a Path,
    pub(super) policy: Policy,
    pub(super) place: Shop,
    pub(super) wall: Wall,
    /// How far the clock of its computer is ahead of that.
    pub(super) ahead: Arc<AtomicI64>,
    pub(super) seed: u64,
    /// Is it still alive, as far as its disk is concerned?
    pub(super) runs: Box<dyn Fn() -> bool + Send + Sync>,
}

/// The running program. A drop kills it.
pub(super) struct Program<C> {
    // The order matters: the tasks go first, the database last.
    runtime: Runtime,
    service: TowerToHyperService<Router>,
    handle: Arc<Books>,
    work: Arc<Work>,
    began: Instant,
    output: Arc<Output<C>>,
    /// Those that wait for its answers.
    calls: BTreeMap<C, AbortHandle>,
    books: Arc<Database>,
    machines: Arc<Database>,
}

impl<C: Copy + Ord + Send + 'static> Program<C> {
    /// Opens its books. Their contents are not worked on yet.
    pub(super) fn start(start: Start<'_>) -> Result<Self, BooksError> {
        count_panics();
        static HTTP: OnceLock<reqwest::Client> = OnceLock::new();
        let limits = Limits { total: MIDTRANS_TIMEOUT, read: MIDTRANS_TIMEOUT, idle_connections: 0 };
        let http = HTTP.get_or_init(|| http_client(None, limits).expect("a client")).clone();
        let output = Arc::new(Output::default());
        let line = Arc::new(Mutex::new(0));
        let reader = Reader { output: Arc::clone(&output), runs: start.runs, line: Arc::clone(&line) };
        let both = open_both(start.books, true, true)?;
        let books = Database::over(both.books, Box::new(reader));
        let machines = Database::over(both.machines, Box::new(()));
        *line.lock().unwrap_or_else(PoisonError::into_inner) = read_on(&books.connection(), books::newest_line)?;
        let settings = Settings {
            base_url: "https://midtrans.example".into(),
            server_key: ServerKey::new(&Secret::new(SERVER_KEY)),
            notification_url: Some(format!("{PUBLIC_URL}/midtrans/notifications")),
            charge: ChargeOptions { charge_as: ChargeAs::Qris, ..ChargeOptions::default() },
        };
        let midtrans = Midtrans::new(settings, http, Arc::new(ToMidtrans(Arc::clone(&output)))).expect("settings");
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let began = {
            let _here = runtime.enter();
            Instant::now()
        };
        let around = Around {
            output: Arc::clone(&output),
            began,
            wall: start.wall,
            ahead: start.ahead,
            reckoning: Reckoning::default(),
            rng: Mutex::new(Rng::new(start.seed)),
        };
        // The gateway tells the time at the start.
        let clocks = around.clocks();
        around.reckoning.heard(start.wall, clocks.wall, clocks);
        let around: Arc<dyn Surroundings> = Arc::new(around);
        let store = |database: &Arc<Database>| Store::with(Arc::clone(database) as Arc<dyn Runner>);
        let handle = Arc::new(Books::new(store(&books), start.policy, Arc::clone(&around)));
        let of = Machines::new(store(&machines), Arc::clone(&handle), Span::secs(600), None, Arc::clone(&around));
        let handles = http::Handles::new(around, Arc::clone(&handle), of, Arc::new(midtrans), start.place);
        let service = TowerToHyperService::new(http::router(&handles));
        let program = Self { runtime, service, handle, work: handles.work, began, output, calls: BTreeMap::new(), books, machines };
        program.listen();
        Ok(program)
    }

    /// Hands on the wake-ups for its other tasks: the one that publishes, and the one that looks for due work.
    fn listen(&self) {
        for (bell, effect) in [(Bell::Outbox, (|| Effect::HasNews) as fn() -> Effect<C>), (Bell::Due, || Effect::IsDue)] {
            let (books, output) = (Arc::clone(&self.handle), Arc::clone(&self.output));
            self.runtime.spawn(async move {
                loop {
                    books.rung(bell).await;
                    output.put(effect());
                }
            });
        }
    }

    /// Whether the books fail as a whole, and not one damaged row or page.
    pub(super) fn store_fails(&self) -> bool {
        self.handle.fail()
    }

    /// Milliseconds since it was started, in its own time.
    pub(super) fn age(&self) -> i64 {
        let _here = self.runtime.enter();
        since(self.began)
    }

    /// Lets it run until it acts on its surroundings, or reaches this age, in milliseconds. Takes its output so far.
    ///
    /// # Panics
    /// When one of its tasks does, even if something caught that.
    pub(super) fn run(&mut self, until: i64) -> Vec<Effect<C>> {
        let end = self.began + Duration::from_millis(u64::try_from(until).unwrap_or(0));
        let (output, runtime) = (&self.output, &self.runtime);
        let panics = PANICS.get();
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = output.bell.notified() => {}
                () = sleep_until(end) => {}
            }
        });
        assert_eq!(PANICS.get(), panics, "a task of the backend has panicked");
        let effects: Vec<_> = self.output.effects().drain(..).collect();
        for effect in &effects {
            if let Effect::Answers(from, _) = effect {
                self.calls.remove(from);
            }
        }
        effects
    }

    /// A machine asks that was started by this name.
    pub(super) fn ask(&mut self, ask: Ask, boot: &str, from: C) {
        let (call, output) = (self.service.call(ask.request(boot)), Arc::clone(&self.output));
        let task = self.runtime.spawn(async move {
            let answer = ask.read(whole(call.await).await);
            output.put(Effect::Answers(from, answer));
        });
        self.calls.insert(from, task.abort_handle());
    }

    /// The callers are gone, and their connections with them.
    pub(super) fn hang_up(&mut self, gone: impl Fn(&C) -> bool) {
        self.calls.retain(|from, task| {
            let gone = gone(from);
            if gone {
                task.abort();
            }
            !gone
        });
    }

    /// Somebody posts a notification; its answer has this number.
    pub(super) fn notify(&self, number: u64, body: Vec<u8>) {
        let request = Request::post("/midtrans/notifications").header("Content-Type", "application/json").body(Body::from(body));
        let (call, output) = (self.service.call(request.expect("a request")), Arc::clone(&self.output));
        self.runtime.spawn(async move {
            let (parts, _) = whole(call.await).await;
            output.put(Effect::Answered(number, parts.status.as_u16()));
        });
    }

    pub(super) fn take_up(&self) {
        let work = Arc::clone(&self.work);
        self.runtime.spawn(async move {
            // The journal was told of an error. The next look comes later.
            drop(work.take_up().await);
            drop(work.take_up_strangers().await);
        });
    }

    pub(super) fn next_due(&self) -> Result<Option<Wall>, BooksError> {
        let sql =
            "SELECT min(due_ms) AS due_ms FROM (SELECT max(due_ms, coalesce(claimed_until_ms, 0)) AS due_ms FROM orders WHERE due_ms IS NOT NULL
            UNION ALL SELECT due_ms FROM strangers
            UNION ALL SELECT 0 AS due_ms FROM orders WHERE goes_back = 1 AND EXISTS (SELECT 1 FROM auto_refund)
                AND NOT EXISTS (SELECT 1 FROM automatic_refunds AS a WHERE a.order_id = orders.order_id))";
        read_on(&self.books.connection(), |tx| {
            Ok(tx.rows(sql, &[])?.first().map(|row| row.maybe_int("due_ms")).transpose()?.flatten().map(Wall))
        })
    }

    /// The merchant reconciles. Differences from Midtrans are handed to the books, as `qris-backend reconcile` does, and the books
    /// ask Midtrans themselves. Orders that the books have forgotten are missing in the day's sum. The merchant lets Midtrans tell
    /// those once more. Denied charges are no part of that sum.
    pub(super) fn reconcile(&self, midtrans: &mut midtrans::Midtrans, now: Wall) {
        for (id, said) in midtrans.transactions().iter().filter_map(difference) {
            let noted = self.books(|tx, policy| books::notified(tx, policy, &id, said, Told::trusted(now)));
            if matches!(noted, Ok(Noted::Forgotten)) && said != Said::Denied {
                // Midtrans knows it.
                drop(midtrans.notify_again(id.as_str(), now));
            }
        }
    }

    /// Lets the only machine in, if this was not done yet.
    pub(super) fn let_in(&self, now: Wall) -> Result<bool, BooksError> {
        self.machines(|tx| devices::add(tx, &device(), &token::hash(TOKEN), false, now))
    }

    /// Works with the machines beside the program, as its commands do.
    pub(super) fn machines<T>(&self, job: impl FnOnce(&mut dyn Tx) -> Result<T, BooksError>) -> Result<T, BooksError> {
        run(&self.machines.connection(), job)
    }

    pub(super) fn books<T>(&self, job: impl FnOnce(&mut dyn Tx, &Policy) -> Result<T, BooksError>) -> Result<T, BooksError> {
        let policy = self.handle.policy();
        run(&self.books.connection(), |tx| job(tx, &policy))
    }
}

async fn whole<E: std::fmt::Debug>(answer: Result<Response<Body>, E>) -> (axum::http::response::Parts, Bytes) {
    let (parts, body) = answer.expect("a router answers").into_parts();
    (parts, to_bytes(body, ANSWER_BYTES_MAX).await.expect("it is not that long"))
}

/// The differences for `qris-backend reconcile`.
fn difference(book: &Book) -> Option<(OrderId, Said)> {
    let said = match book.status {
        "settlement" => Said::Settled,
        "refund" => Said::Refunded,
        "partial_refund" => Said::PartlyRefunded,
        "chargeback" | "partial_chargeback" => Said::ChargedBack,
        "deny" => Said::Denied,
        _ => return None,
    };
    Some((OrderId::new(&book.order_id).ok()?, said))
}
