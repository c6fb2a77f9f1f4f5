//! `qris-demo conform`: checks any implementation of the backend's HTTP interface from outside, as a machine would use it,
//! and names each difference from `docs/using/openapi.json` and the words of `docs/using/protocol.md`.

mod again;
mod ask;
mod create;
mod ends;
mod gateway;
mod hand;
mod outside;
mod paid;
mod repaid;
mod report;
pub mod schema;
mod watch;

use ask::{Ask, CANCEL, CREATE, CallAnswer, SHOW};
use hand::Hand;
use qris_core::order::ids::{DeviceId, ItemId, KeyId, Ticket};
use qris_core::order::keys::{KeySet, SigningKey};
use qris_core::order::proof::RelayKey;
use qris_host::clock;
use qris_host::{Failure, exit, parse};
use report::{Conformance, Stop, different};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use schema::Schema;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// No check takes longer, except those in which a person pays.
const CHECK: Duration = Duration::from_secs(150);
/// A person needs longer.
const PERSON: Duration = Duration::from_secs(900);
/// An order that is refused with 429 or 503 is asked for again within this time.
const AGAIN: Duration = Duration::from_secs(100);
/// Paid money is reported within this time: it covers the first quick questions of a backend, and one of its polls.
const NEWS: Duration = Duration::from_secs(45);
/// The beginning of its requests' ids, and the text of its orders.
const REQUESTS: &str = "conform-";
const TEXT: &str = "qris-demo conform";
/// Two changes that should wake a long poll wake it within this time.
const SOON: Duration = Duration::from_secs(5);

/// Checks a backend from outside: every call that a machine makes, and what it must refuse. It orders and cancels, and
/// pays where it is given a hand; use a sandbox. Ends with 0 if nothing differs, 1 if something does, 2 for wrong use.
#[derive(clap::Parser, Debug)]
#[command(name = "conform", bin_name = "qris-demo conform")]
struct Arguments {
    /// The backend, as a machine's `backend.url`.
    #[arg(long, value_name = "URL")]
    backend: String,
    /// A private CA in front of it.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// A machine's token. Other users can read it in the list of processes, so a file is better.
    #[arg(long, value_name = "TOKEN", allow_hyphen_values = true, required_unless_present = "token_file", conflicts_with = "token_file")]
    token: Option<String>,
    /// A file with the machine's token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Another machine's token, to check that one machine does not see another's orders.
    #[arg(long, value_name = "TOKEN", allow_hyphen_values = true)]
    other_token: Option<String>,
    /// The JWK Set of the receipt keys, as machines have it. Without it nothing can be ordered.
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// The machine of the token; by default the first order tells it.
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// What is sold.
    #[arg(long, value_name = "ITEM", default_value = "A1")]
    item: String,
    /// The price, in whole rupiah.
    #[arg(long, value_name = "RUPIAH", default_value_t = 5000)]
    amount: u64,
    /// The backend's limit of orders; checks that the backend keeps it.
    #[arg(long, value_name = "N")]
    orders_per_minute: Option<usize>,
    /// The backend's limit of a fee that Midtrans lets customers pay, in whole rupiah; checks that such a fee is taken.
    #[arg(long, value_name = "RUPIAH")]
    max_imposed_fee: Option<u64>,
    /// The backend refunds by itself what a relay's proof shows; checks that it does so rightly. The machine of the token has no relay:
    /// this program signs in its place, with a key made of the token.
    #[arg(long)]
    refunds: bool,
    /// The backend offers a second try where a relay's proof shows that nothing came; checks that it does so rightly. This program signs as
    /// with `--refunds`.
    #[arg(long)]
    second_tries: bool,
    /// Runs only the checks whose names contain these words.
    #[arg(long, value_name = "WORDS")]
    only: Option<String>,
    /// Pays at a simulated Midtrans (`qris-demo midtrans`).
    #[arg(long, value_name = "URL", group = "hand")]
    simulator: Option<String>,
    /// Pays by a command of the shell, with ORDER_ID, QR, PAYMENT_CODE and AMOUNT in its environment; status 0: paid, else
    /// refused.
    #[arg(long, value_name = "COMMAND", group = "hand")]
    pay: Option<String>,
    /// Prints the QR's string, and waits for a person who pays it.
    #[arg(long, group = "hand")]
    interactive: bool,
}

/// Its arguments.
#[must_use]
pub fn definition() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs the command: arguments, checks, exit status.
pub fn main(definition: clap::Command, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match parse::<Arguments>(definition, arguments) {
        Ok(arguments) => exit("qris-demo conform", run(arguments)),
        Err(status) => status,
    }
}

fn run(mut arguments: Arguments) -> Result<(), Failure> {
    qris_host::tls::install_provider();
    let only = arguments.only.take();
    let tester = Tester::new(arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(Failure::failed)?;
    let good = runtime.block_on(async {
        if only.is_none() {
            println!("this takes minutes: some seven at a backend that takes ten orders a minute, and less at one that takes more");
        }
        let mut report = Conformance::of(only);
        outside::strangers(&tester, &mut report).await;
        create::all(&tester, &mut report).await;
        watch::all(&tester, &mut report).await;
        ends::all(&tester, &mut report).await;
        paid::all(&tester, &mut report).await;
        gateway::all(&tester, &mut report).await;
        repaid::all(&tester, &mut report).await;
        again::all(&tester, &mut report).await;
        outside::all(&tester, &mut report).await;
        tester.clear_up().await;
        for (name, checked) in tester.ask.shapes() {
            report.tell(&name, checked);
        }
        let good = report.end();
        tester.last_words();
        good
    });
    if good { Ok(()) } else { Err(Failure::failed("the backend differs from the contract")) }
}

/// The common parts of all checks.
#[derive(Debug)]
struct Tester {
    ask: Ask,
    token: String,
    other_token: Option<String>,
    keys: Option<KeySet>,
    kids: Vec<KeyId>,
    device: Option<DeviceId>,
    item: ItemId,
    amount: u64,
    orders_per_minute: Option<usize>,
    max_imposed_fee: Option<u64>,
    /// The backend refunds by itself.
    refunds: bool,
    /// The backend offers second tries.
    second_tries: bool,
    /// The key of the relay, if proofs are shown.
    relay: Option<SigningKey>,
    /// The number of the next proof. It is a time: the next run goes on above it.
    closed: AtomicU64,
    hand: Hand,
    /// Orders that were made. At the end those that can still be paid are cancelled.
    made: Mutex<Vec<String>>,
    /// Refused requests. They must not be found among the orders.
    refused: Mutex<Vec<Value>>,
    random: SystemRandom,
}

impl Tester {
    fn new(arguments: Arguments) -> Result<Self, Failure> {
        let wrong = |what: &str, why: &dyn std::fmt::Display| Failure::usage(format!("{what}: {why}"));
        let backend = qris_host::config::http_url(&arguments.backend).map_err(|error| wrong("--backend", &error))?;
        let schema = Schema::read(qris_backend::http::OPENAPI).map_err(|error| wrong("openapi.json", &error))?;
        let ask = Ask::new(&backend, arguments.ca_file.as_deref(), schema).map_err(|error| wrong("--ca-file", &error))?;
        let token = match (arguments.token, arguments.token_file) {
            (Some(token), _) => token,
            (None, Some(file)) => std::fs::read_to_string(&file).map_err(|error| wrong("--token-file", &error))?,
            (None, None) => return Err(Failure::usage("--token or --token-file is missing")),
        };
        let keys = match arguments.keys {
            Some(file) => {
                let text = std::fs::read_to_string(&file).map_err(|error| wrong("--keys", &error))?;
                Some(KeySet::from_jwks(&text).map_err(|error| wrong("--keys", &error))?)
            }
            None => None,
        };
        let kids = keys.as_ref().map(KeySet::receipt_kids).unwrap_or_default();
        if keys.is_some() && kids.is_empty() {
            return Err(Failure::usage("--keys: the file holds no receipt key"));
        }
        let hand = match (arguments.simulator, arguments.pay) {
            (Some(url), _) => Hand::simulator(&url).map_err(|error| wrong("--simulator", &error))?,
            (None, Some(command)) => Hand::Command(command),
            (None, None) if arguments.interactive => Hand::Person,
            (None, None) => Hand::None,
        };
        let token = token.trim().to_owned();
        // Each run has the same key. A backend trusts the first one of a machine.
        let (refunds, second_tries) = (arguments.refunds, arguments.second_tries);
        let relay = (refunds || second_tries).then(|| {
            let digest = digest(&SHA256, format!("qris-demo conform {token}").as_bytes());
            SigningKey::from_seed(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
        });
        Ok(Self {
            ask,
            token,
            other_token: arguments.other_token,
            keys,
            kids,
            device: arguments.device.map(|id| DeviceId::new(&id).map_err(|error| wrong("--device", &error))).transpose()?,
            item: ItemId::new(&arguments.item).map_err(|error| wrong("--item", &error))?,
            amount: arguments.amount,
            orders_per_minute: arguments.orders_per_minute,
            max_imposed_fee: arguments.max_imposed_fee,
            refunds,
            second_tries,
            relay,
            closed: AtomicU64::new(now_s().unsigned_abs()),
            hand,
            made: Mutex::default(),
            refused: Mutex::default(),
            random: SystemRandom::new(),
        })
    }

    /// A check may take this long.
    fn within(&self) -> Duration {
        if matches!(self.hand, Hand::Person) { PERSON } else { CHECK }
    }

    fn bits(&self) -> [u8; 16] {
        let mut bits = [0; 16];
        self.random.fill(&mut bits).expect("the kernel has randomness");
        bits
    }

    fn new_request_id(&self) -> String {
        format!("{REQUESTS}{}", qris_core::hex(&self.bits()[..8]))
    }

    /// The body of a new sale.
    fn sale(&self) -> Result<Value, Stop> {
        if self.kids.is_empty() {
            return Err(Stop::NotRun("nothing can be ordered without --keys".into()));
        }
        let mut sale = json!({
            "request_id": self.new_request_id(), "ticket": Ticket::from_random(self.bits()), "kids": self.kids, "item": self.item,
            "description": TEXT, "amount": self.amount, "payment": "gopay", "timeout_s": 300
        });
        if let Some(relay) = &self.relay {
            sale["relay_key"] = json!(RelayKey::of(relay));
        }
        Ok(sale)
    }

    async fn post(&self, body: &Value) -> Result<CallAnswer, Stop> {
        let key = body["request_id"].as_str().unwrap_or_default();
        let answer = self.ask.call(CREATE, "").token(&self.token).key(key).json(body).send().await?;
        self.remember(&answer);
        Ok(answer)
    }

    fn remember(&self, answer: &CallAnswer) {
        let order: Option<Value> = serde_json::from_slice(&answer.body).ok();
        if let Some(id) = order.as_ref().and_then(|order| order["order_id"].as_str()) {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            if !made.iter().any(|known| known == id) {
                made.push(id.to_owned());
            }
        }
    }

    /// Posts a body. If the backend asks for a later try, it is asked again.
    async fn order(&self, body: &Value) -> Result<CallAnswer, Stop> {
        let end = Instant::now() + AGAIN;
        loop {
            let answer = self.post(body).await?;
            match (answer.status, answer.retry_after) {
                (429 | 503, Some(seconds)) if Instant::now() + Duration::from_secs(seconds) < end => {
                    wait_as_told(seconds).await;
                }
                _ => return Ok(answer),
            }
        }
    }

    /// A new order that can be paid: the request and the answer.
    async fn charged(&self) -> Result<(Value, Value), Stop> {
        let body = self.sale()?;
        let answer = self.order(&body).await?;
        answer.is(201)?;
        Ok((body, answer.json()?))
    }

    /// The present state of an order.
    async fn show(&self, id: &str) -> Result<Value, Stop> {
        let answer = self.ask.call(SHOW, id).token(&self.token).send().await?;
        answer.is(200)?;
        answer.json()
    }

    /// Cancels. If the backend asks for a later try, it is asked again.
    async fn cancel(&self, id: &str) -> Result<CallAnswer, Stop> {
        let end = Instant::now() + AGAIN;
        loop {
            let answer = self.ask.call(CANCEL, id).token(&self.token).send().await?;
            match (answer.status, answer.retry_after) {
                (503, Some(seconds)) if Instant::now() + Duration::from_secs(seconds) < end => {
                    wait_as_told(seconds).await;
                }
                _ => return Ok(answer),
            }
        }
    }

    /// Looks at an order until it satisfies `look`, by long polls.
    async fn until(&self, id: &str, what: &str, look: impl Fn(&Value) -> bool) -> Result<Value, Stop> {
        let within = if matches!(self.hand, Hand::Person) { PERSON } else { NEWS };
        let end = Instant::now() + within;
        let mut order = self.show(id).await?;
        while !look(&order) {
            if Instant::now() > end {
                return Err(different(format_args!("{what} within {} s", within.as_secs()), schema::short(&order)));
            }
            let query = format!("wait=10&since={}", order["rev"]);
            let answer = self.ask.call(SHOW, id).token(&self.token).query(query).send().await?;
            answer.is(200)?;
            order = answer.json()?;
        }
        Ok(order)
    }

    /// What a person must know at the end beside the count.
    fn last_words(&self) {
        let away = self.ask.away();
        if away > 0 {
            println!("the backend was away: {away} calls found nobody there, and what differs may come of that. Run it once more");
        }
        println!(
            "its orders stay in the books, with their refunds due: their requests begin with {REQUESTS}, and their text is \"{TEXT}\". Settle them \
             as others, or let it run on books that are thrown away"
        );
    }

    /// Leaves nothing that can be paid.
    async fn clear_up(&self) {
        let made = std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner));
        for id in made {
            if self.show(&id).await.is_ok_and(|order| order["status"] == "pending") {
                // Otherwise it expires by itself.
                drop(self.cancel(&id).await);
            }
        }
    }
}

/// Waits before the next try, and says so: it may take minutes in all.
async fn wait_as_told(seconds: u64) {
    println!("waits {seconds} s, as Retry-After says");
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// The text of a field, or a difference.
fn text<'a>(order: &'a Value, field: &str) -> Result<&'a str, Stop> {
    order[field].as_str().ok_or_else(|| different(format_args!("a text in {field}"), &order[field]))
}

/// Seconds since 1970.
fn now_s() -> i64 {
    clock::now().wall.0 / 1000
}
