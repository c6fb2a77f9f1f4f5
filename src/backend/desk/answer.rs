//! An answer to the desk, and why there is none.

use super::Desk;
use super::sessions::{self, Asker, Shown};
use crate::sale::books::{self, BooksError, OrderFilter};
use crate::store::{StoreError, Tx};
use axum::Json;
use axum::body::to_bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use qris_core::order::time::{Told, Wall};
use qris_core::wire::desk::{DOOR, Denied, Door, Envelope, FROM, Me, Problem};
use qris_host::reckoning::Standing;
use serde::de::DeserializeOwned;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// The largest body, in bytes.
const BODY_BYTES_MAX: usize = 16 << 10;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
const SECRET_MAX: usize = 64;
/// The page's head counts no further.
const WANTING_MAX: u64 = 999;

/// The state of each handler.
pub(super) type Of = State<Arc<Desk>>;

/// What stands behind the address of a question.
pub(super) type Asked<T> = Result<Query<T>, QueryRejection>;

/// Why a question is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct No(Problem);

impl<T: Into<Problem>> From<T> for No {
    fn from(problem: T) -> Self {
        Self(problem.into())
    }
}

impl From<BooksError> for Problem {
    fn from(error: BooksError) -> Self {
        match error {
            BooksError::Unknown => Self::Unknown,
            BooksError::Refused(why) => Denied::Order(why).into(),
            BooksError::NoTry(why) => Denied::Try(why).into(),
            // The journal has the database's reason. The others are reasons for a machine.
            BooksError::Store(StoreError::Damaged { .. }) => Self::Damaged,
            BooksError::Store(_) | BooksError::ReusedId | BooksError::ReusedTicket | BooksError::Full | BooksError::RateLimited(_) => {
                Self::Away
            }
        }
    }
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        let status = match &self.0 {
            Problem::NotIn => StatusCode::UNAUTHORIZED,
            Problem::WrongPassword | Problem::Unproven | Problem::Denied { why: Denied::Person(_) } => StatusCode::FORBIDDEN,
            Problem::LinkOver | Problem::Archived => StatusCode::GONE,
            Problem::Wait { .. } | Problem::Busy => StatusCode::TOO_MANY_REQUESTS,
            Problem::Password | Problem::CommonPassword | Problem::NotChanged { .. } | Problem::Malformed { .. } => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Problem::Denied { why: Denied::Order(_) | Denied::Try(_) } | Problem::Changed => StatusCode::CONFLICT,
            Problem::Unknown | Problem::Several => StatusCode::NOT_FOUND,
            Problem::Damaged => StatusCode::INTERNAL_SERVER_ERROR,
            Problem::Away => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, Json(self.0)).into_response()
    }
}

pub(super) fn asked<T>(query: Asked<T>) -> Result<T, No> {
    query.map(|Query(asked)| asked).map_err(|_| Problem::malformed("what stands behind the address is not understood").into())
}

pub async fn body<T: DeserializeOwned>(request: Request) -> Result<T, No> {
    let read = timeout(BODY_TIMEOUT, to_bytes(request.into_body(), BODY_BYTES_MAX)).await;
    let bytes = read.ok().and_then(Result::ok).ok_or_else(|| Problem::malformed("the body is too long, or did not come"))?;
    serde_json::from_slice(&bytes).map_err(|_| Problem::malformed("the body is not what this address takes").into())
}

/// From where a person asks.
pub fn from(headers: &HeaderMap) -> Result<IpAddr, No> {
    let told = headers.get(FROM).and_then(|value| value.to_str().ok()?.trim().parse::<IpAddr>().ok());
    told.map(|address| address.to_canonical()).ok_or_else(|| Problem::malformed("x-desk-from is missing, or is no address").into())
}

/// By which door a person came.
pub fn door(headers: &HeaderMap) -> Result<Door, No> {
    let Some(told) = headers.get(DOOR) else { return Ok(Door::Public) };
    let known = told.to_str().ok().and_then(Door::from_word);
    known.ok_or_else(|| Problem::malformed("x-desk-door is no door").into())
}

/// The session that asks.
pub fn shown(headers: &HeaderMap) -> Result<Shown, No> {
    let door = door(headers)?;
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let secret = bearer.filter(|secret| secret.len() <= SECRET_MAX).map(Into::into).ok_or(Problem::NotIn)?;
    Ok(Shown { secret, door })
}

impl Desk {
    /// Answers a person. Who asks is read in the same transaction as the answer.
    pub(super) async fn tell<T: Send + 'static>(
        &self,
        headers: &HeaderMap,
        job: impl FnOnce(&mut dyn Tx, &Asker, Told) -> Result<T, BooksError> + Send + 'static,
    ) -> Result<Envelope<T>, No> {
        let (shown, now, head) = (shown(headers)?, self.books.now(), self.head());
        let (boot, again) = (self.boot(), self.boot());
        let read = move |tx: &mut dyn Tx| {
            let Some(asker) = sessions::asker(tx, &shown, boot.as_deref(), now)? else { return Ok(None) };
            Ok(Some((job(tx, &asker, now)?, head.me(tx, &asker, now.wall)?, asker)))
        };
        let (told, me, asker) = self.books.read(read).await?.ok_or(Problem::NotIn)?;
        if asker.is_to_note(now.wall) {
            // The next question notes it, too.
            let _ = self.books.write(move |tx, _, now| sessions::used(tx, asker.session, again.as_deref(), now)).await;
        }
        Ok(Envelope { me, told })
    }

    pub(super) fn head(&self) -> Head {
        let hears = self.machines.is_hearing();
        let trusts_clock = self.work.clock() == Standing::Trusted;
        Head { merchant: self.place.merchant.clone(), sandbox: self.place.sandbox, hears, trusts_clock, usual: self.usual }
    }
}

/// What stands on every page.
#[derive(Debug, Clone)]
pub(super) struct Head {
    merchant: Option<Box<str>>,
    sandbox: bool,
    hears: bool,
    trusts_clock: bool,
    pub usual: super::judge::Usual,
}

impl Head {
    pub(super) fn me(&self, tx: &mut dyn Tx, asker: &Asker, now: Wall) -> Result<Me, BooksError> {
        Ok(Me {
            name: asker.person.name.clone(),
            role: asker.person.role,
            left_today: super::judge::left(tx, &asker.person, None, self.usual, now)?,
            merchant: self.merchant.clone(),
            zone: self.usual.zone,
            now: now.to_rfc3339_in(self.usual.zone).into(),
            sandbox: self.sandbox,
            hears: self.hears,
            trusts_clock: self.trusts_clock,
            proven: asker.is_proven(now),
            wanting: books::count(tx, &OrderFilter::ATTENTION, WANTING_MAX)?,
        })
    }
}
