//! Notifications from the gateway. A notification proves only that the gateway has made it. It is written down and
//! answered, and then the gateway is asked.

use super::refusal::Refusal;
use super::request::body;
use crate::counters::Counters;
use crate::gateway::{NoNotice, Notice, WatchedGateway};
use crate::sale::books::{self, BooksError, Noted, Policy};
use crate::sale::handle::Bell;
use crate::sale::work::Work;
use crate::store::{StoreError, Tx};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use qris_core::order::merchant::Said;
use qris_core::order::reason::Reason;
use qris_core::order::time::Told;
use qris_host::events::Event as Journal;
use qris_host::surroundings::Surroundings;
use std::sync::Arc;

/// `POST /NAME/notifications`, with the gateway's name.
pub async fn take(
    State(around): State<Arc<dyn Surroundings>>,
    State(gateway): State<Arc<WatchedGateway>>,
    State(work): State<Arc<Work>>,
    State(counters): State<Arc<Counters>>,
    request: Request,
) -> Result<StatusCode, Refusal> {
    let answer = read_and_note(around, &gateway, work, request).await;
    let counter = if answer.is_ok() { &counters.notifications } else { &counters.notifications_refused };
    counter.inc();
    answer
}

async fn read_and_note(
    around: Arc<dyn Surroundings>,
    gateway: &WatchedGateway,
    work: Arc<Work>,
    request: Request,
) -> Result<StatusCode, Refusal> {
    let headers = request.headers().clone();
    let bytes = body(request).await?;
    let notice = gateway.notification(&headers, &bytes).map_err(|why| refusal(&*around, &why))?;
    let Notice { order: Some(id), said, .. } = notice else {
        around.emit(&Journal::NotificationForeign { order: None, why: "no order of ours has such a name".into() });
        return Ok(StatusCode::OK);
    };
    let about = id.clone();
    // It runs in a task of its own: a sender that hangs up does not stop the work of its message.
    let noted = tokio::spawn(async move {
        let place = work.place();
        let note = if place.is_some() { books::notified } else { books::notified_in_a_flood };
        let write = move |tx: &mut dyn Tx, policy: &Policy, now: Told| {
            let noted = note(tx, policy, &id, said, now)?;
            // Once it is answered, it is not sent again.
            if noted == Noted::Forgotten && may_be_money(said) {
                books::remember(tx, &id, now)?;
            }
            Ok(noted)
        };
        match work.books().write(write).await? {
            Noted::News(done) => {
                tokio::spawn(async move {
                    work.carry_on(*done).await;
                    drop(place);
                });
            }
            Noted::Forgotten => work.books().ring(Bell::Due),
            // The payment may be no news.
            Noted::Archived { was_paid } if may_be_money(said) && !(was_paid && said == Said::Settled) => {
                let why = format!("the gateway says {}", format!("{said:?}").to_lowercase());
                around.emit(&Journal::ArchivedOrderNews { order: about, why: why.into() });
            }
            Noted::Archived { .. } | Noted::Known => {}
        }
        Ok::<_, BooksError>(())
    });
    noted.await.unwrap_or(Err(BooksError::Store(StoreError::Gone)))?;
    Ok(StatusCode::OK)
}

fn refusal(around: &dyn Surroundings, why: &NoNotice) -> Refusal {
    let refusal = match why {
        NoNotice::Malformed(_) => Refusal::new(StatusCode::BAD_REQUEST).code(Reason::Malformed),
        NoNotice::Forged(order) => {
            around.emit(&Journal::NotificationRefused { order: order.clone(), why: "its signature is wrong".into() });
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
