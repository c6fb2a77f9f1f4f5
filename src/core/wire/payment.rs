//! `payment/update`: the backend's push to a machine.

use super::orders::Status;
use super::strict::{Object, PAYLOAD_MAX};
use crate::order::ids::OrderId;
use crate::order::request::Refusal;
use serde::Serialize;

/// News of a payment. A machine believes only the receipt in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PaymentUpdate {
    /// The order.
    pub order_id: OrderId,
    /// Counts up with every change of the order at the backend.
    pub rev: u64,
    /// Its status, as the backend says.
    pub status: Status,
    /// A compact JWS, with `settlement`.
    pub receipt: Option<Box<str>>,
}

impl PaymentUpdate {
    /// Reads `payment/update`.
    pub fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut object = Object::read(bytes, PAYLOAD_MAX)?;
        Ok(Self {
            order_id: object.required("order_id")?,
            rev: object.required("rev")?,
            status: object.required("status")?,
            receipt: object.optional("receipt")?,
        })
    }
}
