//! The customer's page on a phone. Who knows an order_id, which nobody can guess, sees amount, item and state; nothing
//! here changes an order, whatever the address says.

use super::Refusal;
use crate::backend::books;
use crate::backend::shop::Shop;
use crate::order::ids::OrderId;
use crate::order::merchant::{self, Closing, Order};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::fmt::Write as _;
use std::sync::Arc;

/// While something can change the page looks again so often, in seconds.
const REFRESH_S: u32 = 5;

/// `GET /pay/{order_id}`
pub async fn page(State(shop): State<Arc<Shop>>, headers: HeaderMap, Path(id): Path<String>) -> Result<Response, Refusal> {
    let stored = find(&shop, &id).await?;
    Ok(answer(&draw(&stored, words(&headers), shop.place.sandbox, true)))
}

/// `GET /pay/{order_id}/finish`: where GoPay sends the customer back to. What it says in its address is not believed.
pub async fn finish(State(shop): State<Arc<Shop>>, headers: HeaderMap, Path(id): Path<String>) -> Result<Response, Refusal> {
    let stored = find(&shop, &id).await?;
    Ok(answer(&draw(&stored, words(&headers), shop.place.sandbox, false)))
}

async fn find(shop: &Shop, id: &str) -> Result<Order, Refusal> {
    let none = || Refusal::new(StatusCode::NOT_FOUND).detail("no such order");
    let id = OrderId::new(id).map_err(|_| none())?;
    let stored = shop.read(move |tx| books::load(tx, &id)).await?;
    stored.map(|stored| stored.order).ok_or_else(none)
}

struct Words {
    language: &'static str,
    pay: &'static str,
    open: &'static str,
    paid: &'static str,
    delivered: &'static str,
    cancelled: &'static str,
    expired: &'static str,
    failed: &'static str,
    refund_due: &'static str,
    refunded: &'static str,
    test: &'static str,
}

const INDONESIAN: Words = Words {
    language: "id",
    pay: "Bayar dengan GoPay",
    open: "Menunggu pembayaran",
    paid: "Sudah dibayar",
    delivered: "Selesai. Terima kasih!",
    cancelled: "Dibatalkan. Jangan dibayar.",
    expired: "Kedaluwarsa. Jangan dibayar.",
    failed: "Gagal. Jangan dibayar.",
    refund_due: "Uang Anda akan dikembalikan. Hubungi nomor di mesin dan sebutkan kode di bawah.",
    refunded: "Uang sudah dikembalikan",
    test: "UJI COBA, bukan uang sungguhan",
};

const ENGLISH: Words = Words {
    language: "en",
    pay: "Pay with GoPay",
    open: "Waiting for your payment",
    paid: "Paid",
    delivered: "Done. Thank you!",
    cancelled: "Cancelled. Please do not pay.",
    expired: "Expired. Please do not pay.",
    failed: "Failed. Please do not pay.",
    refund_due: "Your money will be returned. Call the number on the machine and say the code below.",
    refunded: "Your money was returned",
    test: "TEST, not real money",
};

/// The first language that the phone names decides; Indonesian if it names none of ours.
fn words(headers: &HeaderMap) -> &'static Words {
    let wanted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let first =
        wanted.split(',').map(|part| part.trim().to_ascii_lowercase()).find(|part| part.starts_with("en") || part.starts_with("id"));
    if first.is_some_and(|part| part.starts_with("en")) { &ENGLISH } else { &INDONESIAN }
}

fn draw(order: &Order, words: &Words, sandbox: bool, with_qr: bool) -> String {
    use merchant::State;
    let dispensed = order.delivery.as_ref().is_some_and(|told| told.outcome == crate::order::outcome::Delivery::Dispensed);
    let (said, can_change) = match &order.state {
        State::Charging { .. } | State::Pending { .. } => (words.open, true),
        State::Cancelling { .. } => (words.cancelled, true),
        // Paid at the counter, which may still take it back.
        State::Held { .. } => (words.open, true),
        State::Closed { how, .. } => match how {
            Closing::Cancel => (words.cancelled, false),
            Closing::Expire => (words.expired, false),
            Closing::Deny | Closing::Failure => (words.failed, false),
        },
        State::Settled { .. } if order.is_refund_due() => (words.refund_due, true),
        State::Settled { .. } if dispensed => (words.delivered, false),
        State::Settled { .. } => (words.paid, true),
        State::Withheld { .. } => (words.refund_due, true),
        State::Refunded { .. } => (words.refunded, false),
    };
    let sale = &order.sale;
    let name = escape(sale.description.as_deref().unwrap_or(sale.item.as_str()));
    let amount = order.charge().map_or(sale.amount, |charge| charge.gross_amount);
    let mut html = format!(
        "<!doctype html><html lang={}><head><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <meta name=robots content=noindex><title>{amount}</title>{}<style>body{{font:18px sans-serif;margin:1em auto;max-width:26em;\
         padding:0 1em;text-align:center}}.b{{font-size:2em;font-weight:700;margin:.3em}}.t{{background:#c00;color:#fff;padding:.3em}}\
         a.p{{display:block;background:#00aa13;color:#fff;padding:.8em;border-radius:.5em;text-decoration:none;margin:1em 0}}\
         img{{width:100%;max-width:20em;image-rendering:pixelated}}code{{word-break:break-all}}</style></head><body>",
        words.language,
        if can_change { format!("<meta http-equiv=refresh content={REFRESH_S}>") } else { String::new() },
    );
    let mut add = |text: std::fmt::Arguments<'_>| html.write_fmt(text).expect("a string takes all");
    if sandbox {
        add(format_args!("<p class=t>{}</p>", words.test));
    }
    add(format_args!("<p>{name}</p><p class=b>{amount}</p><p>{said}</p>"));
    if let (State::Pending { charge, .. }, true) = (&order.state, with_qr) {
        if let Some(url) = charge.deeplink_url.as_deref().filter(|url| is_web(url)) {
            add(format_args!("<a class=p href=\"{}\">{}</a>", escape(url), words.pay));
        }
        if let Some(url) = charge.qr_url.as_deref().filter(|url| is_web(url)) {
            add(format_args!("<img alt=QRIS src=\"{}\">", escape(url)));
        }
    }
    add(format_args!("<p><code>{}</code></p></body></html>", order.id));
    html
}

/// What Midtrans says is an address, and no script.
fn is_web(url: &str) -> bool {
    ["https://", "http://", "gojek://"].iter().any(|scheme| url.starts_with(scheme))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

fn answer(html: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; img-src https: http:; style-src 'unsafe-inline'"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, html.to_owned()).into_response()
}
