//! What Midtrans sends by itself. A notification proves nothing but that its sender knows the Server Key: it is written
//! down, answered, and then Midtrans is asked.

use super::orders::look_up;
use super::{Refusal, body};
use crate::backend::books::{self, Noted};
use crate::backend::midtrans::Notification;
use crate::backend::shop::Shop;
use crate::backend::work;
use crate::host::clock;
use crate::host::events::{Event as Journal, emit};
use crate::order::ids::OrderId;
use crate::order::reason::Reason;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// `POST /midtrans/notifications`
pub async fn take(State(shop): State<Arc<Shop>>, request: Request) -> Result<StatusCode, Refusal> {
    let answer = read_and_note(&shop, request).await;
    let counter = if answer.is_ok() { &shop.counts.notifications } else { &shop.counts.notifications_refused };
    counter.fetch_add(1, Ordering::Relaxed);
    answer
}

async fn read_and_note(shop: &Arc<Shop>, request: Request) -> Result<StatusCode, Refusal> {
    let bytes = body(request).await?;
    let notification = Notification::parse(&bytes)
        .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST).code(Reason::Malformed).detail(error.to_string()))?;
    let id = OrderId::new(&notification.order_id).ok();
    if !notification.is_signed_with(shop.midtrans.server_key()) {
        emit(&Journal::NotificationRefused { order: id, why: "its signature is wrong".into() });
        return Err(Refusal::new(StatusCode::FORBIDDEN).code(Reason::Mismatch).detail("the signature is wrong"));
    }
    // A static QR's payments carry ids of Midtrans' own making, which may have characters that ours never have.
    let Some(id) = id else { return Err(Refusal::nothing("no such order")) };
    let said = work::said(&notification.transaction_status, notification.fraud_status.as_ref());
    let noted = {
        let (shop, id) = (Arc::clone(shop), id.clone());
        // In a task of its own: a sender that hangs up does not stop what its message began.
        tokio::spawn(async move {
            let place = Arc::clone(&shop.asking).try_acquire_owned().ok();
            let note = if place.is_some() { books::notified } else { books::notified_in_a_flood };
            let noted = shop.write(move |tx, desk| note(tx, desk, &id, said, clock::now().wall)).await;
            match noted {
                Ok(Noted::News(done)) => {
                    tokio::spawn(async move {
                        work::carry_on(shop, *done).await;
                        drop(place);
                    });
                    Ok(true)
                }
                Ok(Noted::Known) => Ok(true),
                Ok(Noted::Forgotten) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    };
    let known = noted.unwrap_or(Err(books::BooksError::Store(crate::backend::store::StoreError::Gone)))?;
    if known {
        return Ok(StatusCode::OK);
    }
    match look_up(shop, &id, None).await? {
        Some(_) => Ok(StatusCode::OK),
        None => {
            emit(&Journal::NotificationRefused { order: Some(id), why: "there is no such order here".into() });
            Err(Refusal::nothing("no such order"))
        }
    }
}
