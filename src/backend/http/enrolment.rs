//! `POST /v1/enrolment`: a machine that has nothing but a code becomes one that is let in. Neither a token nor a password is
//! kept: who asks again with the same code gets others.

use super::refusal::Refusal;
use super::request::json;
use crate::machines::accounts;
use crate::machines::devices;
use crate::machines::handle::Machines;
use crate::machines::invitations;
use crate::machines::invitations::NotLetIn;
use crate::machines::token;
use crate::sale::books::BooksError;
use crate::sale::handle::Books;
use crate::store::StoreError;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use qris_core::order::ids::DeviceId;
use qris_core::order::reason::Reason;
use qris_core::wire::enrolment::Enrolment;
use qris_core::wire::invitation::Claim;
use qris_host::events::Event as Journal;
use qris_host::surroundings::Surroundings;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Machines are let in one after the other. A machine waits so long for its turn.
const TURN_WAIT: Duration = Duration::from_secs(30);

pub async fn claim(
    State(around): State<Arc<dyn Surroundings>>,
    State(books): State<Arc<Books>>,
    State(machines): State<Arc<Machines>>,
    request: Request,
) -> Result<Response, Refusal> {
    let bytes = json(request).await?;
    let claim: Claim = serde_json::from_slice(&bytes).map_err(|_| {
        Refusal::new(StatusCode::UNPROCESSABLE_ENTITY).code(Reason::Malformed).detail("this is not a machine's name and its code")
    })?;
    // A machine that hangs up leaves nothing half done.
    let enrolment = tokio::spawn(async move { enrol(&*around, &books, &machines, claim).await })
        .await
        .map_err(|_| BooksError::Store(StoreError::Gone))??;
    let mut response = Json(enrolment).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn enrol(around: &dyn Surroundings, books: &Books, machines: &Machines, claim: Claim) -> Result<Enrolment, Refusal> {
    // A caller without a good code holds nobody up.
    let (wanted, now) = (claim.clone(), machines.latest());
    machines.read(move |tx| invitations::check(tx, &wanted, now)).await?.map_err(|why| not_let_in(around, &claim.device, &why))?;
    // Two claims of one code must not leave the token of one and the password of the other.
    let busy =
        || Refusal::new(StatusCode::SERVICE_UNAVAILABLE).code(Reason::Backend).detail("too many machines are being let in").retry_after(10);
    let _one = timeout(TURN_WAIT, machines.turn()).await.map_err(|_| busy())?;
    let no_account = |device: &DeviceId, why: String| {
        around.emit(&Journal::AccountNotMade { device: device.clone(), why: why.into() });
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE)
            .code(Reason::Backend)
            .detail("its account at the broker could not be made now")
            .retry_after(5)
    };
    // Its earlier token stays good as long as there is nothing to give in its place.
    if let Some(administrator) = machines.accounts() {
        administrator.check().await.map_err(|why| no_account(&claim.device, why.to_string()))?;
    }
    let (device, now) = (claim.device.clone(), machines.latest());
    let token = draw(around);
    let (hash, makes_account) = (token::hash(&token), machines.accounts().is_some());
    let claimed = machines.write(move |tx| {
        let claimed = devices::claim(tx, &claim, &hash, now)?;
        if makes_account && claimed.as_ref().is_ok_and(|terms| terms.broker.is_some()) {
            accounts::note(tx, &claim.device)?;
        }
        Ok::<_, BooksError>(claimed)
    });
    let terms = claimed.await?.map_err(|why| not_let_in(around, &device, &why))?;
    let password = match (machines.accounts(), &terms.broker) {
        (Some(administrator), Some(_)) => {
            let password = draw(around);
            administrator.open(&device, &password).await.map_err(|why| no_account(&device, why.to_string()))?;
            is_still(machines, &device, &token::hash(&token)).await?.then_some(()).ok_or_else(busy)?;
            Some(password.into())
        }
        (None, _) | (_, None) => None,
    };
    around.emit(&Journal::DeviceEnrolled { device: device.clone() });
    Ok(terms.enrol(device, &token, password, &books.policy().rules))
}

/// Whether the machine still has this token: another process may have revoked it, or may have let it in once more. Then its account
/// ends if it is revoked.
async fn is_still(machines: &Machines, device: &DeviceId, hash: &str) -> Result<bool, BooksError> {
    let (device, hash) = (device.clone(), hash.to_owned());
    let checked = machines.write(move |tx| {
        let is_still = devices::by_token(tx, &hash)?.is_some();
        if !is_still {
            accounts::note(tx, &device)?;
        }
        Ok(is_still)
    });
    checked.await
}

fn not_let_in(around: &dyn Surroundings, device: &DeviceId, why: &NotLetIn) -> Refusal {
    around.emit(&Journal::EnrolmentRefused { device: device.clone(), why: why.to_string().into() });
    let detail = format!("{why}: ask the merchant for another one (qris-backend device invite {device})");
    Refusal::new(StatusCode::FORBIDDEN).code(Reason::Backend).detail(detail)
}

/// 256 random bits.
fn draw(around: &dyn Surroundings) -> String {
    let mut bits = [0; 32];
    around.random(&mut bits);
    BASE64URL.encode(bits)
}
