//! `vend/request`, `vend/cancel`, `vend/collect` and `vend/event`.

use super::strict::{Object, PAYLOAD_MAX};
use crate::order::ids::{ItemId, OrderId, PaymentCode, RequestId};
use crate::order::money::Rupiah;
use crate::order::reason::Reason;
use crate::order::request::{DESCRIPTION_MAX, Refusal, TIMEOUT_S, VendRequest};
use crate::order::tries::TryNumber;
use crate::text::steers;
use serde::{Deserialize, Serialize};

pub use crate::order::state::EventState;

/// A refusal, and the request that it is about as far as that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Absent if no well-formed request_id could be read.
    pub request_id: Option<RequestId>,
    /// Why.
    pub refusal: Refusal,
}

fn with_id<T>(bytes: &[u8], read: impl FnOnce(RequestId, Object) -> Result<T, Refusal>) -> Result<T, Rejected> {
    let anonymous = |refusal| Rejected { request_id: None, refusal };
    let mut object = Object::read(bytes, PAYLOAD_MAX).map_err(anonymous)?;
    let request_id: RequestId = object.required("request_id").map_err(anonymous)?;
    read(request_id.clone(), object).map_err(|refusal| Rejected { request_id: Some(request_id), refusal })
}

/// What `vend/request` asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Vend {
    /// To sell something.
    Sale(VendRequest),
    /// Another try at an order that was paid.
    TryAgain(TryRequest),
}

/// A customer wants the goods once more in place of the money.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TryRequest {
    /// The request whose order it is.
    pub request_id: RequestId,
    /// Which try this is to be: 2 and more.
    pub number: TryNumber,
    /// What the customer wants now.
    pub item: ItemId,
}

/// Reads `vend/request`.
pub fn read_request(bytes: &[u8]) -> Result<Vend, Rejected> {
    with_id(bytes, |request_id, mut object| {
        if let Some(number) = object.optional::<u32>("try")? {
            let number = later_try(number)?;
            return Ok(Vend::TryAgain(TryRequest { request_id, number, item: object.required("item")? }));
        }
        sale(request_id, object).map(Vend::Sale)
    })
}

/// The same for who only sells.
pub fn read_sale(bytes: &[u8]) -> Result<VendRequest, Rejected> {
    with_id(bytes, sale)
}

fn sale(request_id: RequestId, mut object: Object) -> Result<VendRequest, Refusal> {
    let request = VendRequest {
        request_id,
        item: object.required("item")?,
        amount: object.optional("amount")?,
        description: object.optional("description")?,
        payment: object.optional("payment")?.unwrap_or_default(),
        timeout_s: object.optional("timeout_s")?,
    };
    check_request(&request)?;
    Ok(request)
}

/// The number of a try after the first one.
pub fn later_try(number: u32) -> Result<TryNumber, Refusal> {
    let known = TryNumber::try_from(number).ok().filter(|number| *number > TryNumber::FIRST);
    known.ok_or_else(|| Refusal::field(Reason::Malformed, "try", "a later try is a number from 2 to 9"))
}

/// The rules of a request that its types do not hold. They are the same for every way a request can come.
pub fn check_request(request: &VendRequest) -> Result<(), Refusal> {
    if request.description.as_ref().is_some_and(|d| d.chars().count() > DESCRIPTION_MAX || d.contains(steers)) {
        let why = format!("description must be at most {DESCRIPTION_MAX} printable characters");
        return Err(Refusal::field(Reason::Malformed, "description", why));
    }
    if request.timeout_s.is_some_and(|s| !TIMEOUT_S.contains(&s)) {
        let why = format!("timeout_s must be {} to {}", TIMEOUT_S.start(), TIMEOUT_S.end());
        return Err(Refusal::field(Reason::Malformed, "timeout_s", why));
    }
    Ok(())
}

/// Reads `vend/cancel`.
pub fn read_cancel(bytes: &[u8]) -> Result<RequestId, Rejected> {
    with_id(bytes, |request_id, _| Ok(request_id))
}

/// Reads `vend/collect`.
pub fn read_collect(bytes: &[u8]) -> Result<PaymentCode, Refusal> {
    let text: String = Object::read(bytes, PAYLOAD_MAX)?.required("code")?;
    PaymentCode::typed(&text).map_err(|error| Refusal::field(Reason::Malformed, "code", format!("code: {error}")))
}

/// `vend/event`: news of one transition, or a refusal. Absent values are null.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VendEvent {
    /// Names this event; the same when it is published again.
    pub event_id: Box<str>,
    /// Names the life of the machine's database.
    pub stream: Box<str>,
    /// Counts up within the stream; null for a refusal.
    pub seq: Option<u64>,
    /// The request, where it could be read.
    pub request_id: Option<RequestId>,
    /// The order, once there is one.
    pub order_id: Option<OrderId>,
    /// Where the order is now.
    pub state: EventState,
    /// Which try at handing it out this is; absent for the first one.
    #[serde(default, rename = "try", skip_serializing_if = "Option::is_none")]
    pub number_of_try: Option<TryNumber>,
    /// Why, if there is a reason.
    pub reason: Option<Reason>,
    /// The item that is driven for it; in a refusal, the one that was asked for.
    pub item: Option<ItemId>,
    /// What was asked for, if another slot with the same goods is driven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<ItemId>,
    /// The price, whole rupiah.
    pub amount: Option<Rupiah>,
    /// What the customer pays, whole rupiah, once it is known.
    pub gross_amount: Option<Rupiah>,
    /// Over the counter: the code that the customer tells the cashier. In a refused `vend/collect`: the code that it named.
    pub payment_code: Option<Box<str>>,
    /// Over the counter: `alfamart` or `indomaret`.
    pub store: Option<Box<str>>,
    /// While it can be paid, and in no other event: the address of the customer's page, if there is one. The text of the QR is in no event: a
    /// QR that stays somewhere takes money for goods that do not come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pay_url: Option<Box<str>>,
    /// In a refusal: the wrong field.
    pub field: Option<Box<str>>,
    /// In a refusal or an end: for people.
    pub detail: Option<Box<str>>,
    /// RFC 3339; absent while the clock is not trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Box<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it_or_refused() {
        assert_eq!(read_collect(br#"{"code":"8127 7405-8887 0520","x":1}"#).expect("a code").as_str(), "8127740588870520");
        let cases = [r#"{"code":8127}"#, "{}", r#"{"code":""}"#, r#"{"code":"8127/7405"}"#, r#"{"code":"1","code":"1"}"#];
        for text in cases {
            let refusal = read_collect(text.as_bytes()).expect_err(text);
            assert_eq!((refusal.reason, refusal.field.as_deref()), (Reason::Malformed, Some("code")), "{text}");
        }
    }

    #[test]
    fn requests_are_read_or_the_field_is_named() {
        let good = br#"{"request_id":"r-1","item":"A1","amount":5000,"description":"Teh","payment":"gopay","timeout_s":60,"x":[1]}"#;
        let Ok(Vend::Sale(request)) = read_request(good) else { panic!("a request") };
        assert_eq!(request.amount.map(Rupiah::get), Some(5000));
        let cases: [(&str, Option<&str>, Option<&str>); 18] = [
            (r#"{"item":"A1"}"#, None, Some("request_id")),
            (r#"{"request_id":"a b","item":"A1"}"#, None, Some("request_id")),
            (r#"{"request_id":7,"item":"A1"}"#, None, Some("request_id")),
            (r#"{"request_id":"r"}"#, Some("r"), Some("item")),
            (r#"{"request_id":"r","item":"A|1"}"#, Some("r"), Some("item")),
            (r#"{"request_id":"r","item":"A1","amount":5000.5}"#, Some("r"), Some("amount")),
            (r#"{"request_id":"r","item":"A1","amount":"5000"}"#, Some("r"), Some("amount")),
            (r#"{"request_id":"r","item":"A1","amount":0}"#, Some("r"), Some("amount")),
            (r#"{"request_id":"r","item":"A1","amount":-1}"#, Some("r"), Some("amount")),
            (r#"{"request_id":"r","item":"A1","payment":"cash"}"#, Some("r"), Some("payment")),
            (r#"{"request_id":"r","item":"A1","timeout_s":9}"#, Some("r"), Some("timeout_s")),
            (r#"{"request_id":"r","item":"A1","timeout_s":841}"#, Some("r"), Some("timeout_s")),
            (
                r#"{"request_id":"r","item":"A1","description":"123456789012345678901234567890123456789012345678901"}"#,
                Some("r"),
                Some("description"),
            ),
            (r#"{"request_id":"r","item":"A1","item":"A1"}"#, None, Some("item")),
            (r#"{"request_id":"r","item":"A1","try":1}"#, Some("r"), Some("try")),
            (r#"{"request_id":"r","item":"A1","try":10}"#, Some("r"), Some("try")),
            (r#"{"request_id":"r","item":"A1","try":"2"}"#, Some("r"), Some("try")),
            (r#"{"request_id":"r","try":2}"#, Some("r"), Some("item")),
        ];
        for (text, id, field) in cases {
            let rejected = read_request(text.as_bytes()).expect_err("must be refused");
            assert_eq!(rejected.request_id.as_ref().map(RequestId::as_str), id, "{text}");
            assert_eq!(rejected.refusal.field.as_deref(), field, "{text}");
            assert_eq!(rejected.refusal.reason, Reason::Malformed, "{text}");
        }
        let again = read_request(br#"{"request_id":"r-1","item":"A2","try":2,"amount":"x"}"#);
        let Ok(Vend::TryAgain(TryRequest { number, item, .. })) = again else { panic!("another try") };
        assert_eq!((number.get(), item.as_str()), (2, "A2"), "its price is known");
    }
}
