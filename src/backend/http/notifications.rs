//! Notifications from the gateway. A notification proves only that the gateway has made it. It is written down and
//! answered, and then the gateway is asked.

use super::{Refusal, body};
use crate::gateway::{NoNotice, Notice};
use crate::sale::books::{self, BooksError, Noted, Policy};
use crate::sale::work;
use crate::shop::Shop;
use crate::store::{StoreError, Tx};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use qris_core::order::merchant::Said;
use qris_core::order::reason::Reason;
use qris_core::order::time::Wall;
use qris_host::events::Event as Journal;
use std::sync::Arc;

/// `POST /NAME/notifications`, with the gateway's name.
pub async fn take(State(shop): State<Arc<Shop>>, request: Request) -> Result<StatusCode, Refusal> {
    let answer = read_and_note(&shop, request).await;
    let counter = if answer.is_ok() { &shop.metrics.notifications } else { &shop.metrics.notifications_refused };
    counter.inc();
    answer
}

async fn read_and_note(shop: &Arc<Shop>, request: Request) -> Result<StatusCode, Refusal> {
    let headers = request.headers().clone();
    let bytes = body(request).await?;
    let notice = shop.gateway.notification(&headers, &bytes).map_err(|why| refusal(shop, &why))?;
    if let Some(word) = &notice.unknown {
        shop.note_word(word);
    }
    let Notice { order: Some(id), said, .. } = notice else {
        shop.emit(&Journal::NotificationForeign { order: None, why: "no order of ours has such a name".into() });
        return Ok(StatusCode::OK);
    };
    let (shop, about) = (Arc::clone(shop), id.clone());
    // It runs in a task of its own: a sender that hangs up does not stop the work of its message.
    let noted = tokio::spawn(async move {
        let place = Arc::clone(&shop.asking).try_acquire_owned().ok();
        let note = if place.is_some() { books::notified } else { books::notified_in_a_flood };
        let write = move |tx: &mut dyn Tx, policy: &Policy, now: Wall| {
            let noted = note(tx, policy, &id, said, now)?;
            // Once it is answered, it is not sent again.
            if noted == Noted::Forgotten && may_be_money(said) {
                books::remember(tx, &id, now)?;
            }
            Ok(noted)
        };
        match shop.write(write).await? {
            Noted::News(done) => {
                tokio::spawn(async move {
                    work::carry_on(shop, *done).await;
                    drop(place);
                });
            }
            Noted::Forgotten => shop.due.notify_one(),
            // The payment may be no news.
            Noted::Archived { was_paid } if may_be_money(said) && !(was_paid && said == Said::Settled) => {
                let why = format!("the gateway says {}", format!("{said:?}").to_lowercase());
                shop.emit(&Journal::ArchivedOrderNews { order: about, why: why.into() });
            }
            Noted::Archived { .. } | Noted::Known => {}
        }
        Ok::<_, BooksError>(())
    });
    noted.await.unwrap_or(Err(BooksError::Store(StoreError::Gone)))?;
    Ok(StatusCode::OK)
}

fn refusal(shop: &Shop, why: &NoNotice) -> Refusal {
    let refusal = match why {
        NoNotice::Malformed(_) => Refusal::new(StatusCode::BAD_REQUEST).code(Reason::Malformed),
        NoNotice::Forged(order) => {
            shop.emit(&Journal::NotificationRefused { order: order.clone(), why: "its signature is wrong".into() });
            Refusal::new(StatusCode::FORBIDDEN).code(Reason::Mismatch)
        }
    };
    refusal.detail(why.to_string())
}

/// Whether an order that the books do not have is worth a question: somebody paid, or may have paid.
const fn may_be_money(said: Said) -> bool {
    match said {
        Said::Settled | Said::Suspect | Said::Refunded | Said::PartlyRefunded | Said::ChargedBack | Said::Other => true,
        // If the order can still be paid, the payment is told by itself.
        Said::Pending | Said::Expired | Said::Cancelled | Said::Denied | Said::Failed => false,
    }
}
