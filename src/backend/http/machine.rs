//! The machine that asks: who it is by its token, and what its call shows of its computer.

use super::handles::Handles;
use super::refusal::Refusal;
use crate::machines::devices::{self, Device};
use crate::machines::handle::Machines;
use crate::machines::token;
use crate::machines::twins::{self, Sight};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use qris_core::order::ids::DeviceId;
use qris_core::order::proof::RelayKey;
use qris_core::order::reason::Reason;
use qris_core::wire::orders::{BOOT, NEWEST_EVENT};
use qris_host::connections::Caller;
use qris_host::events::Event as Journal;
use qris_host::surroundings::Surroundings;
use std::sync::Arc;

/// The longest `boot_id` or `event_id`, in bytes. A `boot_id` of Linux has 36, an `event_id` at most 53.
const SHOWN_MAX: usize = 64;

/// From now on its connection counts as a machine's.
pub(super) struct Machine {
    pub(super) device: DeviceId,
    pub(super) sight: Sight,
    pub(super) token_hash: String,
    /// The key of its relay that was known when it was let in.
    pub(super) relay_key: Option<RelayKey>,
}

impl FromRequestParts<Handles> for Machine {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, handles: &Handles) -> Result<Self, Refusal> {
        let machines = &handles.machines;
        // Only what came over a connection has one.
        let caller = parts.extensions.get::<Arc<Caller>>().map(Arc::as_ref);
        let sight = sight(&parts.headers, caller);
        let KnownMachine { device, token_hash, relay_key, is_news } = device(&*handles.around, machines, &parts.headers, &sight).await?;
        if let Some(caller) = caller {
            caller.is(&device);
        }
        if is_news {
            machines.seen(&device, sight.clone()).await;
        }
        machines.called(&device);
        Ok(Self { device, sight, token_hash, relay_key })
    }
}

/// A header of another form is of a later release.
fn sight(headers: &HeaderMap, caller: Option<&Caller>) -> Sight {
    let shown = |name| headers.get(name).and_then(|value| value.to_str().ok()).filter(|value: &&str| value.len() <= SHOWN_MAX);
    let event = shown(NEWEST_EVENT).and_then(|event| event.rsplit_once('.'));
    Sight {
        boot: shown(BOOT).map(Box::from),
        event: event.and_then(|(stream, seq)| Some((stream.into(), seq.parse().ok()?))),
        is_ledger_old: false,
        address: caller.map_or_else(|| "an unknown address".into(), |caller| caller.address(headers).to_string().into()),
    }
}

struct KnownMachine {
    device: DeviceId,
    token_hash: String,
    relay_key: Option<RelayKey>,
    /// The call shows something new of its computer.
    is_news: bool,
}

async fn device(around: &dyn Surroundings, machines: &Machines, headers: &HeaderMap, sight: &Sight) -> Result<KnownMachine, Refusal> {
    let refused = |why: &'static str| {
        around.emit(&Journal::TokenRefused { device: None, why: why.into() });
        Refusal::new(StatusCode::UNAUTHORIZED).code(Reason::Backend).detail(why)
    };
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, token)) = token else { return Err(refused("no bearer token")) };
    let token_hash = token::hash(token.trim());
    let (wanted, sight, now) = (token_hash.clone(), sight.clone(), machines.now());
    let found = machines.read(move |tx| {
        let Some(device) = devices::by_token(tx, &wanted)? else { return Ok(None) };
        // A machine is let in also if this cannot be read.
        let is_news = twins::is_news(tx, &device.id, &sight, now).unwrap_or(false);
        Ok(Some((device, is_news)))
    });
    let (Device { id: device, relay_key, .. }, is_news) = found.await?.ok_or_else(|| refused("the token is unknown or revoked"))?;
    Ok(KnownMachine { device, token_hash, relay_key, is_news })
}
