//! An answer to the desk, and why there is none.

use super::Desk;
use super::sessions::{self, Asker};
use crate::sale::books::{self, BooksError, Wanted};
use crate::store::{StoreError, Tx};
use axum::Json;
use axum::body::to_bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use qris_core::order::merchant::{NoTry, Refused};
use qris_core::order::time::{Span, Wall};
use qris_core::wire::desk::{Code, Denied, FROM, Me, Problem, Told};
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum No {
    /// The session is over, or never was.
    NotIn,
    /// The name or the password is wrong.
    WrongPassword,
    LinkOver,
    /// There were too many guesses.
    Wait(Span),
    /// Nobody may choose this password.
    Password,
    Denied(Denied),
    /// What the person has seen of the order is not so any more.
    Changed,
    Unknown,
    /// Several have these first letters.
    Several,
    Archived,
    /// Its row in the database is damaged.
    Damaged,
    Malformed(&'static str),
    /// The books cannot be used now.
    Away,
}

impl From<BooksError> for No {
    fn from(error: BooksError) -> Self {
        match error {
            BooksError::Unknown => Self::Unknown,
            BooksError::Refused(why) => Self::Denied(denied(why)),
            BooksError::NoTry(why) => Self::Denied(no_try(why)),
            // The journal has the database's reason. The others are reasons for a machine.
            BooksError::Store(StoreError::Damaged { .. }) => Self::Damaged,
            BooksError::Store(_) | BooksError::ReusedId | BooksError::ReusedTicket | BooksError::Full | BooksError::RateLimited(_) => {
                Self::Away
            }
        }
    }
}

#[must_use]
pub const fn denied(why: Refused) -> Denied {
    match why {
        Refused::OutcomeStands => Denied::OutcomeStands,
        Refused::NotPaid => Denied::NotPaid,
        Refused::NotEnded => Denied::NotEnded,
        Refused::Delivered => Denied::Delivered,
        Refused::NotReported => Denied::NotReported,
        Refused::TooEarly => Denied::TooEarly,
        Refused::RefundUnderWay => Denied::RefundUnderWay,
        Refused::RefundUnsure => Denied::RefundUnsure,
        Refused::RefundedAlready => Denied::RefundedAlready,
        Refused::Given => Denied::Given,
        Refused::TakenBack => Denied::TakenBack,
        Refused::NoProof => Denied::NoProof,
        Refused::NotByApi => Denied::NotByApi,
        Refused::OnlyByHand => Denied::OnlyByHand,
        Refused::NothingToSee => Denied::NothingToSee,
    }
}

#[must_use]
pub const fn no_try(why: NoTry) -> Denied {
    match why {
        NoTry::Off => Denied::TryOff,
        NoTry::NotPaid => Denied::NotPaid,
        NoTry::NotTold => Denied::NotReported,
        NoTry::Came => Denied::Delivered,
        NoTry::Uncertain => Denied::Uncertain,
        NoTry::NotProven => Denied::NoProof,
        NoTry::Repaid => Denied::Repaid,
        NoTry::Doubtful => Denied::Doubtful,
        NoTry::TooLate => Denied::TryTooLate,
        // The others are told to the machine that asks for the receipt.
        NoTry::NotOffered | NoTry::OtherKey | NoTry::OtherPromise | NoTry::TooDear | NoTry::NotAsked => Denied::NoMoreTries,
        NoTry::TooMany => Denied::TriesOfToday,
    }
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        let (mut why, mut wait_s) = (None, None);
        let (status, code, detail) = match self {
            Self::NotIn => (StatusCode::UNAUTHORIZED, Code::NotIn, "the session is over"),
            Self::WrongPassword => (StatusCode::FORBIDDEN, Code::WrongPassword, "the name or the password is wrong"),
            Self::LinkOver => (StatusCode::GONE, Code::LinkOver, "the link was used, or its time is over"),
            Self::Wait(wait) => {
                wait_s = Some(wait.as_secs_up().unsigned_abs());
                (StatusCode::TOO_MANY_REQUESTS, Code::Wait, "too many guesses")
            }
            Self::Password => (StatusCode::UNPROCESSABLE_ENTITY, Code::Password, "the password is too short or too long"),
            Self::Denied(denied) => {
                why = Some(denied);
                match denied {
                    Denied::Role => (StatusCode::FORBIDDEN, Code::Denied, "this person only sees"),
                    Denied::Limit => (StatusCode::FORBIDDEN, Code::Denied, "it is more than this person may do in a day"),
                    Denied::OutcomeStands
                    | Denied::NotPaid
                    | Denied::NotEnded
                    | Denied::Delivered
                    | Denied::NotReported
                    | Denied::TooEarly
                    | Denied::RefundUnderWay
                    | Denied::RefundUnsure
                    | Denied::RefundedAlready
                    | Denied::Given
                    | Denied::TakenBack
                    | Denied::NoProof
                    | Denied::NotByApi
                    | Denied::OnlyByHand
                    | Denied::NothingToSee
                    | Denied::TryOff
                    | Denied::Uncertain
                    | Denied::Repaid
                    | Denied::Doubtful
                    | Denied::TryTooLate
                    | Denied::NoMoreTries
                    | Denied::TriesOfToday => (StatusCode::CONFLICT, Code::Denied, "the order does not allow it"),
                }
            }
            Self::Changed => (StatusCode::CONFLICT, Code::Changed, "the order was written to meanwhile"),
            Self::Unknown => (StatusCode::NOT_FOUND, Code::Unknown, "there is no such thing"),
            Self::Several => (StatusCode::NOT_FOUND, Code::Unknown, "several have these first letters"),
            Self::Archived => (StatusCode::GONE, Code::Archived, "the order is archived"),
            Self::Damaged => (StatusCode::INTERNAL_SERVER_ERROR, Code::Damaged, "the row in the database is damaged"),
            Self::Malformed(why) => (StatusCode::UNPROCESSABLE_ENTITY, Code::Malformed, why),
            Self::Away => (StatusCode::SERVICE_UNAVAILABLE, Code::Away, "the books cannot be used now"),
        };
        let problem = Problem { code, denied: why, wait_s, several: self == Self::Several, detail: detail.into() };
        (status, Json(problem)).into_response()
    }
}

pub(super) fn asked<T>(query: Asked<T>) -> Result<T, No> {
    query.map(|Query(asked)| asked).map_err(|_| No::Malformed("what stands behind the address is not understood"))
}

pub async fn body<T: DeserializeOwned>(request: Request) -> Result<T, No> {
    let read = timeout(BODY_TIMEOUT, to_bytes(request.into_body(), BODY_BYTES_MAX)).await;
    let bytes = read.ok().and_then(Result::ok).ok_or(No::Malformed("the body is too long, or did not come"))?;
    serde_json::from_slice(&bytes).map_err(|_| No::Malformed("the body is not what this address takes"))
}

/// From where a person asks.
pub fn from(headers: &HeaderMap) -> Result<IpAddr, No> {
    let told = headers.get(FROM).and_then(|value| value.to_str().ok()?.trim().parse::<IpAddr>().ok());
    told.map(|address| address.to_canonical()).ok_or(No::Malformed("x-desk-from is missing, or is no address"))
}

/// The secret of the session that asks.
pub fn secret(headers: &HeaderMap) -> Result<Box<str>, No> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    bearer.filter(|secret| secret.len() <= SECRET_MAX).map(Into::into).ok_or(No::NotIn)
}

impl Desk {
    /// Answers a person. Who asks is read in the same transaction as the answer.
    pub(super) async fn tell<T: Send + 'static>(
        &self,
        headers: &HeaderMap,
        job: impl FnOnce(&mut dyn Tx, &Asker, Wall) -> Result<T, BooksError> + Send + 'static,
    ) -> Result<Told<T>, No> {
        let (secret, now, head) = (secret(headers)?, self.books.now(), self.head());
        let read = move |tx: &mut dyn Tx| {
            let Some(asker) = sessions::asker(tx, &secret, now)? else { return Ok(None) };
            Ok(Some((job(tx, &asker, now)?, head.me(tx, &asker, now)?, asker)))
        };
        let (told, me, asker) = self.books.read(read).await?.ok_or(No::NotIn)?;
        if asker.is_to_note(now) {
            // The next question notes it, too.
            let _ = self.books.write(move |tx, _, now| sessions::used(tx, asker.session, now)).await;
        }
        Ok(Told { me, told })
    }

    pub(super) fn head(&self) -> Head {
        let hears = self.machines.is_hearing();
        Head { merchant: self.place.merchant.clone(), sandbox: self.place.sandbox, hears, usual: self.usual }
    }
}

/// What stands on every page.
#[derive(Debug, Clone)]
pub(super) struct Head {
    merchant: Option<Box<str>>,
    sandbox: bool,
    hears: bool,
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
            wanting: books::count(tx, &Wanted::ATTENTION, WANTING_MAX)?,
        })
    }
}
