//! The simulated Midtrans on a port: the same paths as the real one, and under `/sim` what customers and tests do.
//!
//! | call | meaning |
//! | --- | --- |
//! | `POST /sim/pay/{name}?via=gopay\|qris&force=true` | a customer pays, by order_id or transaction_id: 200 `{order_id, amount}`, else 404 or 409 with `error` |
//! | `POST /sim/pay` with `{"qr": "…", "via": "…"}` | the same, by the text in the QR |
//! | `POST /sim/fail/{name}` | an attempt in the app fails |
//! | `POST /sim/notify/{name}` | the notification of what it is now, once more |
//! | `GET`, `POST`, `DELETE /sim/faults` | plans, one more ([`Plan`]), none |
//! | `POST /sim/release` | every held answer goes: `{"released": n}` |
//! | `GET /sim/held` | how many answers are held: `{"held": n}` |
//! | `POST /sim/clock` with `{"advance_ms": n}` | its own clock goes forward |
//! | `GET /sim/requests`, `GET /sim/transactions` | what was asked; the books |
//! | `GET /sim` | a page to pay on |

mod door;

use super::faults::Plan;
use super::midtrans::{Answer, Midtrans, Notice, Options, PayError, Reply, Request, Via};
use crate::host::{self, Failure, clock, service};
use crate::order::time::{Span, Wall};
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Json, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use door::{Door, Line};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Deserialize;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;

const BODY_BYTES_MAX: usize = 1 << 20;
/// How long Midtrans waits for a merchant.
const NOTIFICATION_TIMEOUT: Duration = Duration::from_secs(15);
/// How many notifications are under way at once.
const NOTIFICATIONS_AT_ONCE: usize = 256;
/// Redirects 307 and 308 are followed so often, others never.
const REDIRECTS_MAX: usize = 5;

/// A simulated Midtrans that runs; it ends when this is dropped or stopped.
pub struct SimulatorHandle {
    /// Where it listens.
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

/// What is between the port and the pure part.
struct Shared {
    state: Mutex<Running>,
    /// Something may be due.
    due: Notify,
    /// Something may have been released.
    released: watch::Sender<u64>,
}

struct Running {
    midtrans: Midtrans,
    ahead: Span,
}

/// Starts simulators.
pub struct Simulator;

impl Simulator {
    /// Serves on a listener that is bound already. `options.public_url` may be empty: then it is the listener's address.
    ///
    /// # Errors
    /// The listener has no address, or the notifications' HTTP client cannot be made.
    pub fn start(listener: TcpListener, mut options: Options) -> io::Result<SimulatorHandle> {
        let addr = listener.local_addr()?;
        if options.public_url.is_empty() {
            options.public_url = format!("http://{addr}");
        }
        let client = notifier().map_err(io::Error::other)?;
        let shared = Arc::new(Shared {
            state: Mutex::new(Running { midtrans: Midtrans::new(options), ahead: Span::ZERO }),
            due: Notify::new(),
            released: watch::Sender::new(0),
        });
        let (stop, mut stopped) = watch::channel(false);
        let app = router(Arc::clone(&shared)).into_make_service_with_connect_info::<Line>();
        let server = axum::serve(Door(listener), app).with_graceful_shutdown(async move {
            // An error means that the handle is gone, which ends it as well.
            let _ = stopped.wait_for(|stop| *stop).await;
        });
        let tasks = vec![
            tokio::spawn(async move {
                // It ends without an error only when it is stopped, and has no other.
                let _ = server.await;
            }),
            tokio::spawn(send_notifications(Arc::clone(&shared), client)),
        ];
        Ok(SimulatorHandle { addr, shared, tasks, stop })
    }
}

impl SimulatorHandle {
    /// Looks at it or changes it, with its own time. What became due is sent.
    pub fn with<T>(&self, work: impl FnOnce(&mut Midtrans, Wall) -> T) -> T {
        self.shared.with(work)
    }

    /// Lets every held answer go.
    pub fn release(&self) -> usize {
        self.shared.release()
    }

    /// Moves its clock forward.
    pub fn advance(&self, by: Span) {
        self.shared.advance(by);
    }

    /// What `base_url` must be to reach it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

impl Drop for SimulatorHandle {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Shared {
    /// A panic elsewhere leaves at most one transaction half told: good enough for a simulator to go on.
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Midtrans, Wall) -> T) -> T {
        let mut running = self.lock();
        let now = running.now();
        let done = work(&mut running.midtrans, now);
        drop(running);
        self.due.notify_one();
        done
    }

    fn release(&self) -> usize {
        let released = self.with(|midtrans, _| midtrans.release());
        self.released.send_modify(|times| *times += 1);
        released
    }

    fn advance(&self, by: Span) {
        let mut running = self.lock();
        running.ahead = Span(running.ahead.0.saturating_add(by.0.max(0)));
        drop(running);
        self.due.notify_one();
        self.released.send_modify(|times| *times += 1);
    }

    /// Until a held answer may go.
    async fn wait_for_release(&self, hold: u64) {
        let mut released = self.released.subscribe();
        loop {
            let (held, left) = self.with(|midtrans, now| (midtrans.is_held(hold, now), midtrans.held_until(hold).map(|until| until - now)));
            if !held {
                break;
            }
            let changed = released.changed();
            // The sender lives as long as `self`, so `changed` is news and never the end.
            let _ = match left {
                Some(left) => tokio::time::timeout(left.to_duration(), changed).await.is_ok(),
                None => changed.await.is_ok(),
            };
        }
        self.with(|midtrans, _| midtrans.let_go(hold));
    }
}

impl Running {
    fn now(&self) -> Wall {
        clock::now().wall + self.ahead
    }
}

fn router(shared: Arc<Shared>) -> axum::Router {
    axum::Router::new()
        .route("/sim", get(page))
        .route("/sim/pay", post(pay_qr))
        .route("/sim/pay/{name}", post(pay))
        .route("/sim/fail/{name}", post(fail))
        .route("/sim/notify/{name}", post(notify))
        .route("/sim/faults", get(plans).post(plan).delete(heal))
        .route("/sim/release", post(release))
        .route("/sim/held", get(held))
        .route("/sim/clock", post(advance))
        .route("/sim/requests", get(requests))
        .route("/sim/transactions", get(transactions))
        .route("/gopay/partner/app/payment-pin", get(deeplink))
        .fallback(api)
        .with_state(shared)
}

/// Everything that is not ours is Midtrans'.
async fn api(State(shared): State<Arc<Shared>>, ConnectInfo(line): ConnectInfo<Line>, request: axum::extract::Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let request = Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        authorization: text(&head.headers, "authorization"),
        idempotency_key: text(&head.headers, "idempotency-key"),
        override_notification: text(&head.headers, "x-override-notification"),
        append_notification: text(&head.headers, "x-append-notification"),
        body: body.to_vec(),
    };
    match shared.with(|midtrans, now| midtrans.handle(&request, now)) {
        Reply::Answer(answer) => response(answer),
        Reply::Hold(hold, answer) => {
            shared.wait_for_release(hold).await;
            response(answer)
        }
        Reply::Cut => {
            line.cut();
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned)
}

fn response(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, answer.content_type)], Body::from(answer.body)).into_response()
}

/// How a customer pays.
#[derive(Debug, Default, Deserialize)]
struct How {
    #[serde(default)]
    via: App,
    /// Even what was cancelled or has expired: the payment was under way.
    #[serde(default)]
    force: bool,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum App {
    #[default]
    Gopay,
    Qris,
}

#[derive(Debug, Deserialize)]
struct Scanned {
    qr: String,
    #[serde(flatten)]
    how: How,
}

async fn pay(State(shared): State<Arc<Shared>>, Path(name): Path<String>, Query(how): Query<How>) -> Response {
    paid(&shared, &name, &how)
}

async fn pay_qr(State(shared): State<Arc<Shared>>, Json(scanned): Json<Scanned>) -> Response {
    paid(&shared, &scanned.qr, &scanned.how)
}

fn paid(shared: &Shared, name: &str, how: &How) -> Response {
    let via = match how.via {
        App::Gopay => Via::Gopay,
        App::Qris => Via::Qris,
    };
    told(shared.with(|midtrans, now| midtrans.pay(name, via, how.force, now)))
}

async fn fail(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Response {
    told(shared.with(|midtrans, now| midtrans.fail(&name, now)))
}

async fn notify(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Response {
    told(shared.with(|midtrans, now| midtrans.notify_again(&name, now)))
}

fn told(result: Result<impl serde::Serialize, PayError>) -> Response {
    match result {
        Ok(done) => Json(json!(done)).into_response(),
        Err(error) => {
            let status = if error == PayError::Unknown { StatusCode::NOT_FOUND } else { StatusCode::CONFLICT };
            (status, Json(json!({ "error": error }))).into_response()
        }
    }
}

async fn plans(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(shared.with(|midtrans, _| json!(midtrans.plans())))
}

async fn plan(State(shared): State<Arc<Shared>>, Json(plan): Json<Plan>) -> Json<Value> {
    shared.with(|midtrans, _| midtrans.plan(plan));
    Json(json!({}))
}

async fn heal(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.with(|midtrans, _| midtrans.heal());
    Json(json!({}))
}

async fn release(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({ "released": shared.release() }))
}

async fn held(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({ "held": shared.with(|midtrans, _| midtrans.held()) }))
}

#[derive(Debug, Deserialize)]
struct Advance {
    advance_ms: i64,
}

async fn advance(State(shared): State<Arc<Shared>>, Json(advance): Json<Advance>) -> Json<Value> {
    shared.advance(Span::millis(advance.advance_ms));
    Json(json!({ "now_ms": shared.with(|_, now| now.0) }))
}

async fn requests(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(shared.with(|midtrans, _| json!(midtrans.requests())))
}

async fn transactions(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(shared.with(|midtrans, _| json!(midtrans.transactions())))
}

async fn page() -> Html<&'static str> {
    Html(include_str!("midtrans.html"))
}

#[derive(Debug, Deserialize)]
struct Link {
    #[serde(default)]
    id: String,
}

/// What GoPay's link opens on a phone: the same page, for one transaction.
async fn deeplink(State(shared): State<Arc<Shared>>, Query(link): Query<Link>) -> Response {
    match shared.with(|midtrans, _| midtrans.transaction(&link.id)) {
        Some(_) => page().await.into_response(),
        None => (StatusCode::NOT_FOUND, Html("<h1>404</h1>")).into_response(),
    }
}

/// Sends what is due, each notification on its own, until the simulator ends.
async fn send_notifications(shared: Arc<Shared>, client: reqwest::Client) {
    let at_once = Arc::new(Semaphore::new(NOTIFICATIONS_AT_ONCE));
    loop {
        // Not `with`: it would wake this loop again at once.
        let (notices, wait) = {
            let mut running = shared.lock();
            let now = running.now();
            let notices = running.midtrans.due(now);
            (notices, running.midtrans.next_due().map(|due| due - now))
        };
        for notice in notices {
            let Ok(permit) = Arc::clone(&at_once).acquire_owned().await else { return };
            let (shared, client) = (Arc::clone(&shared), client.clone());
            tokio::spawn(async move {
                let http = send(&client, &notice).await;
                shared.with(|midtrans, now| midtrans.notified(notice, http, now));
                drop(permit);
            });
        }
        // A due time or a poke, whichever comes first; either way the loop looks again.
        let _ = tokio::time::timeout(wait.map_or(Duration::from_secs(3_600), Span::to_duration), shared.due.notified()).await;
    }
}

async fn send(client: &reqwest::Client, notice: &Notice) -> Option<u16> {
    let request = client.post(&notice.url).header(header::CONTENT_TYPE, "application/json").header(header::ACCEPT, "application/json");
    request.body(notice.body.clone()).send().await.ok().map(|response| response.status().as_u16())
}

fn notifier() -> reqwest::Result<reqwest::Client> {
    // Whoever came first has installed the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let follow = reqwest::redirect::Policy::custom(|attempt| match attempt.status().as_u16() {
        307 | 308 if attempt.previous().len() <= REDIRECTS_MAX => attempt.follow(),
        _ => attempt.stop(),
    });
    reqwest::Client::builder().user_agent("Veritrans").timeout(NOTIFICATION_TIMEOUT).redirect(follow).no_proxy().build()
}

/// A simulated Midtrans to pay on, without an account and without money.
#[derive(clap::Parser)]
#[command(name = "qris-demo midtrans")]
struct Arguments {
    /// Where it listens; port 0 takes a free one, which the first line on standard output tells.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The Server Key that it knows. It guards nothing here: an argument is good enough.
    #[arg(long)]
    server_key: String,
    /// Seconds between the runs of the batch that expires what is over.
    #[arg(long, default_value_t = 60)]
    batch_s: u32,
}

/// Runs the simulated Midtrans alone until SIGTERM or SIGINT. The first argument is the name it was called by.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match host::parse::<Arguments>(arguments) {
        Ok(arguments) => host::exit("qris-demo midtrans", run(&arguments)),
        Err(status) => status,
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(Failure::failed)?;
    runtime.block_on(async {
        let stopped = service::terminated();
        let listener = TcpListener::bind(arguments.listen)
            .await
            .map_err(|error| Failure::failed(format!("cannot listen on {}: {error}", arguments.listen)))?;
        // New ids at every start: a merchant's books outlive a simulator and hold each transaction_id once.
        let mut seed = [0; 8];
        SystemRandom::new().fill(&mut seed).map_err(|_| Failure::failed("the system has no random numbers"))?;
        let (seed, batch_every) = (u64::from_le_bytes(seed), Span::secs(arguments.batch_s.into()));
        let options = Options { seed, batch_every, ..Options::new(&arguments.server_key, "") };
        let simulator = Simulator::start(listener, options).map_err(Failure::failed)?;
        // Nobody needs to read it: a closed standard output ends nothing.
        let _ = writeln!(io::stdout(), "listening on {} (page: {}/sim)", simulator.url(), simulator.url());
        service::ready();
        stopped.await;
        Ok(())
    })
}

#[cfg(test)]
mod tests;
