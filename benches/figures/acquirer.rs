//! A Midtrans that answers at once, from memory: the simulator would be the slower part of what is measured. It knows a
//! charge and a get-status; what was charged is settled as soon as anybody asks.

use crate::backend::read_request;
use qris::sim::qris::Merchant;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// What every order costs.
pub const AMOUNT: u64 = 5000;

/// For as long as the process runs; the port.
pub fn start() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let merchant = Merchant::default().payload(AMOUNT, "6b1855b6-70ab-4449-9778-61b8ffe43fd2");
    let shared = Arc::new(Acquirer { payload: merchant, charged: Mutex::default() });
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let shared = Arc::clone(&shared);
            let serve = move || shared.serve(stream);
            std::thread::Builder::new().stack_size(256 << 10).spawn(serve).expect("a thread for a connection");
        }
    });
    port
}

struct Acquirer {
    payload: String,
    /// The settlement that a get-status answers, by order.
    charged: Mutex<HashMap<String, Box<str>>>,
}

impl Acquirer {
    fn serve(&self, stream: TcpStream) {
        drop(stream.set_nodelay(true));
        let mut reader = BufReader::new(stream);
        while let Some((request, body)) = read_request(&mut reader) {
            let answer = self.answer(&request, &body);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", answer.len());
            if reader.get_mut().write_all(&[head.as_bytes(), answer.as_bytes()].concat()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, request: &str, body: &[u8]) -> String {
        let path = request.split(' ').nth(1).unwrap_or_default();
        let mut charged = self.charged.lock().unwrap_or_else(PoisonError::into_inner);
        if path == "/v2/charge" {
            let charge: Value = serde_json::from_slice(body).expect("a charge is JSON");
            let id = charge["transaction_details"]["order_id"].as_str().expect("a charge names its order").to_owned();
            let transaction = json!({
                "status_code": "201", "status_message": "GoPay transaction is created", "transaction_id": format!("t-{}", charged.len()),
                "order_id": id, "merchant_id": "G0", "gross_amount": format!("{AMOUNT}.00"), "currency": "IDR", "payment_type": "gopay",
                "transaction_time": "2026-11-20 19:00:00", "expiry_time": "2026-11-20 19:15:00", "transaction_status": "pending",
                "fraud_status": "accept", "qr_string": self.payload, "actions": [],
                "custom_field1": charge["custom_field1"], "custom_field2": charge["custom_field2"], "custom_field3": charge["custom_field3"],
            });
            let mut settled = transaction.clone();
            for (name, value) in [("status_code", "200"), ("transaction_status", "settlement"), ("settlement_time", "2026-11-20 19:00:10")]
            {
                settled[name] = value.into();
            }
            charged.insert(id, settled.to_string().into());
            return transaction.to_string();
        }
        let id = path.strip_prefix("/v2/").and_then(|rest| rest.strip_suffix("/status")).unwrap_or_default();
        charged.get(id).map_or_else(|| r#"{"status_code":"404"}"#.into(), ToString::to_string)
    }
}
