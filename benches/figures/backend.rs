//! A backend that answers at once, so that what is seen is the machine: the order resource of the design in memory, and
//! receipts signed with the package's own key. One thread a connection, plain blocking sockets.

use qris::order::ids::{DeviceId, OrderId, TransactionId};
use qris::order::keys::SigningKey;
use qris::order::receipt::Claims;
use qris::order::state::Status;
use qris::order::tries::{Try, TryNumber};
use qris::sim::qris::Merchant;
use qris::wire::orders::{NewOrder, OpenOrders, OrderResource, OutcomeReport};
use qris::wire::payment::PaymentUpdate;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Whose receipts they are.
pub const ISSUER: &str = "pay.example";

/// The backend, for as long as the process runs.
pub struct StandIn {
    pub port: u16,
    shared: Arc<Shared>,
    /// Orders whose outcome was told.
    pub reported: Receiver<OrderId>,
}

struct Shared {
    device: DeviceId,
    key: SigningKey,
    orders: Mutex<BTreeMap<OrderId, OrderResource>>,
    told: Sender<OrderId>,
    tls: Option<Arc<rustls::ServerConfig>>,
}

impl StandIn {
    /// Listens on loopback.
    pub fn start(device: &str, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (told, receiver) = channel();
        let shared = Arc::new(Shared {
            device: DeviceId::new(device).expect("an id"),
            key: SigningKey::from_seed([7; 32]),
            orders: Mutex::default(),
            told,
            tls,
        });
        let server = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&server);
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Self { port, shared, reported: receiver }
    }

    /// The key that signs receipts.
    pub fn key(&self) -> &SigningKey {
        &self.shared.key
    }

    /// The order that was made last, and the text of its QR.
    pub fn last(&self) -> (OrderId, String) {
        let orders = self.shared.lock();
        let (id, order) = orders.last_key_value().expect("an order was made");
        (id.clone(), order.qr_payload.as_deref().unwrap_or_default().to_owned())
    }

    /// Settles an order; the `payment/update` that tells it.
    pub fn settle(&self, id: &OrderId) -> Vec<u8> {
        let mut orders = self.shared.lock();
        let order = orders.get_mut(id).expect("the order was made here");
        let receipt = self.shared.key.sign(Claims {
            iss: ISSUER.into(),
            aud: order.device.clone(),
            sub: order.order_id.clone(),
            jti: order.request_id.clone(),
            ticket: order.ticket.clone(),
            nth: Try::First,
            item: order.item.clone(),
            amount: order.amount,
            gross_amount: order.amount,
            cur: "IDR".into(),
            payment_type: "gopay".into(),
            transaction_id: TransactionId::new(&format!("t-{id}")).expect("an id"),
            settled_at: "2026-11-20T15:00:00+07:00".into(),
            iat: 1_795_161_600,
        });
        order.status = Status::Settlement;
        order.rev += 1;
        order.receipt = Some(receipt.jws().into());
        order.settled_ago_s = Some(0);
        let update = PaymentUpdate { order_id: id.clone(), rev: order.rev, status: order.status, receipt: order.receipt.clone() };
        serde_json::to_vec(&update).expect("plain data")
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<OrderId, OrderResource>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) {
        drop(stream.set_nodelay(true));
        match &self.tls {
            None => self.talk(stream),
            Some(config) => {
                let session = rustls::ServerConnection::new(Arc::clone(config)).expect("a good configuration");
                self.talk(rustls::StreamOwned::new(session, stream));
            }
        }
    }

    fn talk(&self, stream: impl Read + Write) {
        let mut reader = BufReader::new(stream);
        while let Some((request, body)) = read_request(&mut reader) {
            let (status, answer) = self.answer(&request, &body);
            let length = answer.len();
            let mut bytes = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n").into_bytes();
            bytes.extend(answer);
            if reader.get_mut().write_all(&bytes).and_then(|()| reader.get_mut().flush()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, request: &str, body: &[u8]) -> (&'static str, Vec<u8>) {
        let mut words = request.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let order = match (method, path.strip_prefix("/v1/orders").unwrap_or(path)) {
            ("POST", "") => self.create(&serde_json::from_slice(body).expect("the machine posts an order")),
            ("GET", "") => {
                let open = |order: &&OrderResource| order.outcome.is_none() && order.status != Status::Cancel;
                let orders = self.lock().values().filter(open).cloned().collect();
                let open = OpenOrders { amounts: Default::default(), orders, taken_out: Vec::new() };
                return ("200 OK", serde_json::to_vec(&open).expect("plain data"));
            }
            (_, rest) => {
                let mut parts = rest.trim_start_matches('/').split('/');
                let id = parts.next().and_then(|id| OrderId::new(id).ok());
                let Some(id) = id.filter(|id| self.lock().contains_key(id)) else { return ("404 Not Found", Vec::new()) };
                if query.contains("wait=25") {
                    // Nothing here changes but by what the bench publishes.
                    std::thread::sleep(Duration::from_secs(25));
                }
                self.change(&id, parts.next().unwrap_or_default(), body)
            }
        };
        let status = if method == "POST" && path == "/v1/orders" { "201 Created" } else { "200 OK" };
        (status, serde_json::to_vec(&order).expect("plain data"))
    }

    fn create(&self, new: &NewOrder) -> OrderResource {
        let mut orders = self.lock();
        if let Some(order) = orders.values().find(|order| order.request_id == new.purchase.request_id) {
            return order.clone();
        }
        let number = orders.len();
        let order_id = OrderId::new(&format!("bench-{number:08}-0123456789abcdef")).expect("an id");
        let reference = format!("{number:08x}-70ab-4449-9778-61b8ffe43fd2");
        let order = OrderResource {
            order_id: order_id.clone(),
            rev: 1,
            request_id: new.purchase.request_id.clone(),
            device: self.device.clone(),
            ticket: new.purchase.ticket.clone(),
            nth_try: TryNumber::FIRST,
            try_again_s: None,
            try_wanted_s: None,
            item: new.purchase.item.clone(),
            asked: None,
            amount: new.purchase.amount,
            gross_amount: Some(new.purchase.amount),
            payment: new.purchase.payment,
            status: Status::Pending,
            over: false,
            qr_payload: Some(Merchant::default().payload(new.purchase.amount.get(), &reference).into()),
            deeplink_url: None,
            pay_url: None,
            payment_code: None,
            store: None,
            expires_in_s: Some(900),
            settled_ago_s: None,
            kid: Some(self.key.kid().clone()),
            receipt: None,
            outcome: None,
            refund: None,
            sandbox: false,
            collect_within_s: None,
            unconfirmed: false,
            try_number: None,
            try_confirmed_s: None,
        };
        orders.insert(order_id, order.clone());
        order
    }

    fn change(&self, id: &OrderId, what: &str, body: &[u8]) -> OrderResource {
        let mut orders = self.lock();
        let order = orders.get_mut(id).expect("looked up by the caller");
        match what {
            "cancel" if order.status == Status::Pending => {
                (order.status, order.over) = (Status::Cancel, true);
                order.rev += 1;
            }
            "outcome" => {
                let report: OutcomeReport = serde_json::from_slice(body).expect("the machine posts an outcome");
                order.outcome = Some(report);
                order.rev += 1;
                drop(self.told.send(id.clone()));
            }
            _ => {}
        }
        order.clone()
    }
}

/// The first line and the body of a request; `None` at the end.
pub fn read_request(reader: &mut BufReader<impl Read>) -> Option<(String, Vec<u8>)> {
    let mut first = String::new();
    if reader.read_line(&mut first).ok()? == 0 {
        return None;
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first.trim_end().to_owned(), body))
}
