//! `POST /v1/enrolment`: a machine that has nothing but a code becomes one that is let in. Neither a token nor a password is
//! kept: who asks again with the same code gets others.

use super::{Refusal, json};
use crate::machines::accounts;
use crate::machines::devices;
use crate::machines::invitations;
use crate::machines::invitations::NotLetIn;
use crate::sale::books::BooksError;
use crate::shop::Shop;
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
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Machines are let in one after the other. A machine waits so long for its turn.
const TURN_WAIT: Duration = Duration::from_secs(30);

/// The whole answer.
pub async fn claim(State(shop): State<Arc<Shop>>, request: Request) -> Result<Response, Refusal> {
    let bytes = json(request).await?;
    let claim: Claim = serde_json::from_slice(&bytes).map_err(|_| {
        Refusal::new(StatusCode::UNPROCESSABLE_ENTITY).code(Reason::Malformed).detail("this is not a machine's name and its code")
    })?;
    // A machine that hangs up leaves nothing half done.
    let enrolment = tokio::spawn(enrol(shop, claim)).await.map_err(|_| BooksError::Store(StoreError::Gone))??;
    let mut response = Json(enrolment).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn enrol(shop: Arc<Shop>, claim: Claim) -> Result<Enrolment, Refusal> {
    // A caller without a good code holds nobody up.
    let (wanted, now) = (claim.clone(), shop.now());
    shop.machines(move |tx| invitations::check(tx, &wanted, now)).await?.map_err(|why| not_let_in(&shop, &claim.device, &why))?;
    // Two claims of one code must not leave the token of one and the password of the other.
    let busy =
        || Refusal::new(StatusCode::SERVICE_UNAVAILABLE).code(Reason::Backend).detail("too many machines are being let in").retry_after(10);
    let _one = timeout(TURN_WAIT, shop.enrolling.lock()).await.map_err(|_| busy())?;
    let no_account = |device: &DeviceId, why: String| {
        shop.emit(&Journal::AccountNotMade { device: device.clone(), why: why.into() });
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE)
            .code(Reason::Backend)
            .detail("its account at the broker could not be made now")
            .retry_after(5)
    };
    // Its earlier token stays good as long as there is nothing to give in its place.
    if let Some(administrator) = &shop.accounts {
        administrator.check().await.map_err(|why| no_account(&claim.device, why.to_string()))?;
    }
    let (device, now) = (claim.device.clone(), shop.now());
    let token = draw(&shop);
    let (hash, makes_account) = (devices::hash(&token), shop.accounts.is_some());
    let claimed = shop.machines.run(move |tx| {
        let claimed = invitations::claim(tx, &claim, &hash, now)?;
        if claimed.is_ok() && makes_account {
            accounts::note(tx, &claim.device)?;
        }
        Ok::<_, BooksError>(claimed)
    });
    let terms = claimed.await?.map_err(|why| not_let_in(&shop, &device, &why))?;
    let password = match (&shop.accounts, &terms.broker) {
        (Some(administrator), Some(_)) => {
            let password = draw(&shop);
            administrator.open(&device, &password).await.map_err(|why| no_account(&device, why.to_string()))?;
            is_still(&shop, &device, &devices::hash(&token)).await?.then_some(()).ok_or_else(busy)?;
            Some(password.into())
        }
        (None, _) | (_, None) => None,
    };
    shop.emit(&Journal::DeviceEnrolled { device: device.clone() });
    Ok(terms.enrol(device, &token, password, &shop.policy().rules))
}

/// Whether the machine still has this token: another process may have revoked it, or may have let it in once more. Then its account
/// ends if it is revoked.
async fn is_still(shop: &Shop, device: &DeviceId, hash: &str) -> Result<bool, BooksError> {
    let (device, hash) = (device.clone(), hash.to_owned());
    let checked = shop.machines.run(move |tx| {
        let is_still = devices::by_token(tx, &hash)?.is_some();
        if !is_still {
            accounts::note(tx, &device)?;
        }
        Ok(is_still)
    });
    checked.await
}

fn not_let_in(shop: &Shop, device: &DeviceId, why: &NotLetIn) -> Refusal {
    shop.emit(&Journal::EnrolmentRefused { device: device.clone(), why: why.to_string().into() });
    let detail = format!("{why}: ask the merchant for another one (qris-backend device invite {device})");
    Refusal::new(StatusCode::FORBIDDEN).code(Reason::Backend).detail(detail)
}

/// 256 random bits.
fn draw(shop: &Shop) -> String {
    let mut bits = [0; 32];
    shop.random(&mut bits);
    BASE64URL.encode(bits)
}
