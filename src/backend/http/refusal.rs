//! Refusals, as problems on the wire.

use crate::sale::books::BooksError;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::{NoTry, Refused};
use qris_core::order::reason::Reason;
use qris_core::wire::orders::{FieldError, PROBLEM_TYPE, Problem};

/// A refusal that will become `application/problem+json`.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    status: StatusCode,
    code: Option<Reason>,
    order_id: Option<OrderId>,
    detail: Option<String>,
    errors: Vec<FieldError>,
    retry_after_s: Option<u32>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode) -> Self {
        Self { status, code: None, order_id: None, detail: None, errors: Vec::new(), retry_after_s: None }
    }

    pub(super) fn code(self, code: Reason) -> Self {
        Self { code: Some(code), ..self }
    }

    /// The order that it is about. A machine believes nothing about an order that an answer does not name.
    pub(super) fn about(self, id: &OrderId) -> Self {
        Self { order_id: Some(id.clone()), ..self }
    }

    pub(super) fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    pub(super) fn errors(self, errors: Vec<FieldError>) -> Self {
        Self { errors, ..self }
    }

    pub(super) fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    pub(super) fn field(code: Reason, field: &str, detail: impl Into<Box<str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY).code(code).errors(vec![FieldError { field: field.into(), detail: detail.into() }])
    }

    /// The thing that was asked for is not there.
    pub(super) fn nothing(detail: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND).code(Reason::UnknownRequest).detail(detail)
    }

    /// The same answer for an order that does not exist and for one of another machine.
    pub(super) fn no_such_order() -> Self {
        Self::nothing("this machine has no such order")
    }

    /// A machine does too much at once.
    pub(super) fn too_many(detail: &str) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS).code(Reason::RateLimited).detail(detail).retry_after(5)
    }

    /// The books cannot be used now. Nothing that could happen to an order would be known.
    pub(super) fn store(detail: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE).code(Reason::Store).detail(detail).retry_after(2)
    }

    /// The gateway cannot be asked now.
    pub(super) fn gateway(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE).code(Reason::Gateway).detail(detail).retry_after(2)
    }
}

impl From<BooksError> for Refusal {
    fn from(error: BooksError) -> Self {
        match error {
            // The database's reason is for the journal.
            BooksError::Store(_) => Self::store("the books cannot be written or read now"),
            BooksError::Unknown => Self::no_such_order(),
            BooksError::ReusedId => Self::new(StatusCode::CONFLICT).code(Reason::ReusedId).detail(error.to_string()),
            BooksError::ReusedTicket => Self::new(StatusCode::CONFLICT)
                .code(Reason::ReusedId)
                .detail(error.to_string())
                .errors(vec![FieldError { field: "ticket".into(), detail: error.to_string().into() }]),
            BooksError::Full => Self::new(StatusCode::SERVICE_UNAVAILABLE).code(Reason::Store).detail(error.to_string()).retry_after(60),
            BooksError::RateLimited(_) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS).code(Reason::RateLimited).detail(error.to_string()).retry_after(10)
            }
            // A machine reports what a receipt allowed. If the books do not know the payment, they are older than it.
            BooksError::Refused(Refused::NotPaid) => Self::new(StatusCode::SERVICE_UNAVAILABLE)
                .code(Reason::Backend)
                .detail("the order is not known to be paid; the gateway is asked")
                .retry_after(10),
            BooksError::Refused(Refused::OutcomeStands) => Self::new(StatusCode::CONFLICT).code(Reason::ReusedId).detail(error.to_string()),
            BooksError::NoTry(why) => {
                let (status, code) = match why {
                    NoTry::Off
                    | NoTry::NotPaid
                    | NoTry::NotTold
                    | NoTry::Came
                    | NoTry::Uncertain
                    | NoTry::NotProven
                    | NoTry::Repaid
                    | NoTry::Doubtful
                    | NoTry::TooLate
                    | NoTry::NotOffered
                    // A person's requests, too.
                    | NoTry::NoNumber
                    | NoTry::WrongNumber
                    | NoTry::TooManyWrong => (StatusCode::CONFLICT, Reason::Late),
                    NoTry::OtherKey => (StatusCode::CONFLICT, Reason::UnknownKey),
                    NoTry::OtherPromise => (StatusCode::CONFLICT, Reason::Mismatch),
                    NoTry::TooDear => (StatusCode::CONFLICT, Reason::WrongAmount),
                    NoTry::TooMany => (StatusCode::TOO_MANY_REQUESTS, Reason::RateLimited),
                    NoTry::NotAsked => (StatusCode::SERVICE_UNAVAILABLE, Reason::Gateway),
                };
                Self::new(status).code(code).detail(error.to_string())
            }
            // The others are a person's requests, which no machine makes.
            BooksError::Refused(_) => Self::new(StatusCode::CONFLICT).detail(error.to_string()),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = Problem {
            kind: "about:blank".into(),
            title: self.status.canonical_reason().unwrap_or("").into(),
            status: self.status.as_u16(),
            code: self.code,
            order_id: self.order_id,
            detail: self.detail.map(Into::into),
            errors: self.errors,
        };
        let body = serde_json::to_vec(&problem).expect("plain data");
        let mut response = (self.status, Body::from(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_TYPE));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
