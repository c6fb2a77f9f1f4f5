//! The pages: one to pay on, and the one that GoPay's link opens on a phone.

use super::Shared;
use crate::midtrans::{Book, Via};
use crate::qris::{PictureStyle, png};
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use std::sync::Arc;

/// With this PIN an attempt fails; with any other it does not.
const WRONG_PIN: &str = "000000";

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/sim", get(page))
        .route("/sim/qr/{name}", get(picture))
        .route("/gopay/partner/app/payment-pin", get(deeplink).post(deeplink_pressed))
        .route("/gopay/ui/checkout", get(deeplink))
}

async fn page() -> Html<&'static str> {
    Html(include_str!("../midtrans.html"))
}

/// The QR of a transaction for the page. It is no call of a merchant: no planned fault strikes it, and no log has it.
async fn picture(State(sim): State<Arc<Shared>>, Path(name): Path<String>) -> Response {
    let book = sim.with(|midtrans, _| midtrans.transaction(&name)).filter(|book| !book.qr_payload.is_empty());
    match book.and_then(|book| png(&book.qr_payload, PictureStyle::Plain)) {
        Some(picture) => ([(header::CONTENT_TYPE, "image/png")], picture).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The values in the link, and the button that was pressed.
#[derive(Debug, Deserialize)]
struct Link {
    #[serde(default, alias = "referenceid")]
    id: String,
    #[serde(default)]
    press: String,
}

/// The page behind GoPay's link: the amount, a PIN, two buttons.
async fn deeplink(State(sim): State<Arc<Shared>>, Query(link): Query<Link>) -> Response {
    match sim.with(|midtrans, _| midtrans.transaction(&link.id)) {
        Some(book) => gopay_page(&book, "").into_response(),
        None => (StatusCode::NOT_FOUND, Html("<h1>404</h1>")).into_response(),
    }
}

/// A customer has pressed a button in GoPay. Afterwards GoPay sends its customer to the address in the charge.
async fn deeplink_pressed(State(sim): State<Arc<Shared>>, Query(link): Query<Link>, form: String) -> Response {
    let Some(book) = sim.with(|midtrans, _| midtrans.transaction(&link.id)) else {
        return (StatusCode::NOT_FOUND, Html("<h1>404</h1>")).into_response();
    };
    let pin = form.split('&').find_map(|pair| pair.strip_prefix("pin="));
    let is_paid = match link.press.as_str() {
        "pay" if pin == Some(WRONG_PIN) => {
            // It may be over by now. The page says so.
            let failed = sim.with(|midtrans, now| midtrans.fail(&book.transaction_id, now));
            let why = failed.map_or_else(|error| error.to_string(), |_| "wrong PIN".into());
            return gopay_page(&book, &why).into_response();
        }
        "pay" => match sim.with(|midtrans, now| midtrans.pay(&book.transaction_id, Via::Gopay, false, now)) {
            Ok(_) => true,
            Err(error) if book.callback_url.is_none() => return gopay_page(&book, &error.to_string()).into_response(),
            Err(_) => false,
        },
        _ => {
            // Nobody is told of this, and it changes nothing.
            let _ = sim.with(|midtrans, now| midtrans.fail(&book.transaction_id, now));
            false
        }
    };
    let result = if is_paid { "success" } else { "failure" };
    match &book.callback_url {
        Some(url) => {
            let join = if url.contains('?') { '&' } else { '?' };
            let to = format!("{url}{join}order_id={}&result={result}", book.order_id);
            (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
        }
        None => Html(shell(&format!("<h1>GoPay</h1><p id=result>{result}</p><p>Go back to the merchant.</p>"))).into_response(),
    }
}

fn gopay_page(book: &Book, trouble: &str) -> Html<String> {
    let Book { order_id, gross_amount, status, deeplink_id, .. } = book;
    let action = format!("/gopay/partner/app/payment-pin?id={deeplink_id}");
    let trouble = if trouble.is_empty() { String::new() } else { format!("<p id=trouble>{}</p>", escape(trouble)) };
    let form = if *status == "pending" {
        format!(
            "<form method=post><p><label>PIN <input name=pin value=123456 inputmode=numeric autocomplete=off></label> ({WRONG_PIN} is the \
             wrong one)</p><p><button id=pay formaction=\"{action}&amp;press=pay\">Pay</button> \
             <button id=cancel formaction=\"{action}&amp;press=cancel\">Cancel</button></p></form>"
        )
    } else {
        String::new()
    };
    Html(shell(&format!("<h1>GoPay (simulated)</h1>{trouble}<p>Rp{gross_amount} – {} – {status}</p>{form}", escape(order_id))))
}

fn shell(body: &str) -> String {
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <link rel=icon href=\"data:,\"><title>GoPay (simulated)</title><style>body{{font:18px system-ui,sans-serif;margin:1rem}}button,input{{font:inherit;\
         padding:.6rem 1.2rem}}</style>{body}</html>"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
