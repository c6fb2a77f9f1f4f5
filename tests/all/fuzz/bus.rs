//! Calls over D-Bus, to the programs as they run. Every method of `Device1` and `Relay1` that takes a text gets texts that
//! nobody expected. `Vend` gets options of every type, too.
//!
//! An input is one call. Its first line is the method, and each further line is an argument. For `Vend`, each line after
//! the arguments is an option, as `NAME TYPE VALUE`. In a line, `\n` stands for a line break.

use crate::rig::caller::Caller;
use crate::rig::fuzz::Target;
use crate::rig::shop::{DEVICE, Options, Shop};
use qris::order::ids::{ItemId, PaymentCode, RequestId};
use qris::order::money::Rupiah;
use qris::order::request::{DESCRIPTION_MAX, TIMEOUT_S};
use qris::wire::dbus::{DispenseAnswer, RelayError};
use std::cell::Cell;
use std::collections::HashMap;
use zbus::Variant;

const METHODS: [&str; 10] = ["Vend", "Cancel", "Collect", "Prepare", "Check", "Dispense", "Query", "Close", "Prove", "Clear"];

/// Each call is answered with a word or an error of the contract. A `Vend` that breaks a rule of the contract is refused as
/// malformed, and no other `Vend` is. The relay gives a ticket if the call names this machine, an item and a price that it
/// may have, and only then. The programs go on, and no call drives the line.
#[test]
fn calls_over_the_bus() {
    let words = r"Vend  Cancel  Collect  Prepare  Check  Dispense  Query  Close  Prove  Clear  amount x 5000  description s Tea
        payment s gopay  payment s alfamart  timeout_s u 60  x  u  v  as  a{sv}  vm-001  A1";
    let shop = Shop::open(Options { orders: "orders_per_minute = 0\n".into(), ..Options::default() });
    let caller = Caller::connect(&shop.bus.address);
    let (sold, malformed, tickets) = (Cell::new(0), Cell::new(0), Cell::new(0));
    Target { name: "dbus_call", words, longest: 70_000 }.run(|bytes| {
        let call = Call::read(bytes);
        let echo = call.make(&caller);
        match echo.as_str() {
            "Vend|requested|" => sold.set(sold.get() + 1),
            "Vend|refused|malformed" => malformed.set(malformed.get() + 1),
            "Prepare|a ticket" => tickets.set(tickets.get() + 1),
            _ => {}
        }
        format!("{echo}|{}", call.fault().unwrap_or_default())
    });
    let seen = (sold.get(), malformed.get(), tickets.get());
    assert!(seen.0 > 0 && seen.1 > 0 && seen.2 > 0, "sold, malformed, tickets: {seen:?}");
    for process in [&shop.qrisd, &shop.relayd] {
        let process = process.as_ref().expect("it runs");
        assert!(process.try_status().is_none() && !process.text().contains("panicked"), "{}", process.text());
    }
    assert_eq!(shop.pulses(), 0, "nothing was paid");
}

struct Call {
    method: &'static str,
    arguments: [String; 3],
    options: Vec<(String, String, String)>,
}

impl Call {
    fn read(bytes: &[u8]) -> Self {
        // D-Bus has no other texts: whole UTF-8 without zeros.
        let text = String::from_utf8_lossy(bytes).replace('\0', "");
        let mut lines = text.split('\n').map(|line| line.replace("\\n", "\n"));
        let name = lines.next().unwrap_or_default();
        let by_length = METHODS[bytes.len() % METHODS.len()];
        let method = METHODS.into_iter().find(|method| *method == name).unwrap_or(by_length);
        let wanted = match method {
            "Vend" => 2,
            "Prepare" => 3,
            _ => 1,
        };
        let mut arguments = <[String; 3]>::default();
        arguments.iter_mut().take(wanted).for_each(|argument| *argument = lines.next().unwrap_or_default());
        let option = |line: String| {
            let mut parts = line.splitn(3, ' ').map(str::to_owned);
            (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
        };
        Self { method, arguments, options: lines.map(option).collect() }
    }

    /// Makes the call; what came of it, held against what must.
    fn make(&self, caller: &Caller) -> String {
        let [first, second, third] = self.arguments.each_ref().map(String::as_str);
        match self.method {
            "Vend" => {
                let options: HashMap<&str, Variant<'_>> =
                    self.options.iter().map(|(name, kind, value)| (name.as_str(), value_of(kind, value))).collect();
                let (state, reason): (String, String) = caller.device("Vend", &(first, second, options)).expect("an answer");
                let is_malformed = (state.as_str(), reason.as_str()) == ("refused", "malformed");
                assert_eq!(is_malformed, self.fault().is_some(), "{state} {reason}, and {:?}", self.fault());
                if matches!(state.as_str(), "requested" | "awaiting_payment") {
                    let _: String = caller.device("Cancel", &(first,)).expect("an answer");
                }
                format!("Vend|{state}|{reason}")
            }
            "Cancel" => {
                let state: String = caller.device("Cancel", &(first,)).expect("an answer");
                assert!(state.is_empty() || RequestId::new(first).is_ok(), "{first:?} is {state}");
                format!("Cancel|{state}")
            }
            "Collect" => {
                let (state, reason): (String, String) = caller.device("Collect", &(first,)).expect("an answer");
                assert_eq!(state, "refused", "nobody paid at a store");
                assert_eq!(reason == "malformed", PaymentCode::typed(first).is_err(), "{first:?}: {reason}");
                format!("Collect|{reason}")
            }
            "Prepare" => {
                let amount = third.parse().unwrap_or(0_i64);
                let may = first == DEVICE && ItemId::new(second).is_ok() && u64::try_from(amount).is_ok_and(|rupiah| rupiah >= 2_000);
                match caller.relay::<_, String>("Prepare", &(first, second, amount)) {
                    Ok(ticket) => {
                        assert!(may, "a ticket for {first:?} {second:?} {amount}");
                        let closed = caller.relay::<_, (String, bool)>("Close", &(ticket.as_str(),)).expect("it is open");
                        assert_eq!(closed, ("closed".into(), false));
                        "Prepare|a ticket".into()
                    }
                    Err(refused) => {
                        assert!(!may || Rupiah::new(amount.unsigned_abs()).is_err(), "{first} {second} {amount}: {refused:?}");
                        format!("Prepare|{}", known(&refused.name))
                    }
                }
            }
            "Check" => match caller.relay::<_, (bool, String)>("Check", &(first,)) {
                Ok((deliverable, reason)) => {
                    assert!(!deliverable, "{first:?} is no ticket");
                    format!("Check|{reason}")
                }
                Err(refused) => format!("Check|{}", known(&refused.name)),
            },
            "Query" => match caller.relay::<_, (String, bool, String)>("Query", &(first, 1_u32)) {
                Ok((outcome, driven, _)) => {
                    assert_eq!(DispenseAnswer::read(&outcome, driven), Some(DispenseAnswer::Unknown), "of {first:?}");
                    "Query|unknown".into()
                }
                Err(refused) => format!("Query|{}", known(&refused.name)),
            },
            "Close" => match caller.relay::<_, (String, bool)>("Close", &(first,)) {
                Ok(answer) => panic!("{first:?} is no ticket, and is answered {answer:?}"),
                Err(refused) => format!("Close|{}", known(&refused.name)),
            },
            "Prove" => match caller.relay::<_, String>("Prove", &(first,)) {
                Ok(proof) => panic!("{first:?} is no ticket, and is proven by {proof:?}"),
                Err(refused) => format!("Prove|{}", known(&refused.name)),
            },
            "Clear" => match caller.relay::<_, ()>("Clear", &(first,)) {
                Ok(()) => {
                    assert!(ItemId::new(first).is_ok(), "{first:?} is no item, and was cleared");
                    "Clear|done".into()
                }
                Err(refused) => format!("Clear|{}", known(&refused.name)),
            },
            // Nobody signed any of it.
            method => {
                let refused = caller.relay::<_, ()>(method, &(first,)).expect_err("nobody signed it");
                assert!(refused.detail.len() <= super::DETAIL_MAX, "an error of {} bytes", refused.detail.len());
                let name = if method == "Dispense" { "InvalidReceipt" } else { "CommandRefused" };
                assert_eq!(refused.name, name, "{method}: {}", refused.detail);
                format!("{method}|{}", refused.detail)
            }
        }
    }

    /// The rule that a `Vend` breaks, read from the contract and not from the program.
    fn fault(&self) -> Option<&'static str> {
        if self.method != "Vend" {
            return None;
        }
        if RequestId::new(&self.arguments[0]).is_err() {
            return Some("request");
        }
        if ItemId::new(&self.arguments[1]).is_err() {
            return Some("item");
        }
        let options: HashMap<&str, (&str, &str)> =
            self.options.iter().map(|(name, kind, value)| (name.as_str(), (kind.as_str(), value.as_str()))).collect();
        let breaks = |name: &str, wanted: &str, rule: &dyn Fn(&str) -> bool| {
            options.get(name).is_some_and(|(kind, value)| *kind != wanted || !rule(value))
        };
        let number = |value: &str| value.parse::<i64>().unwrap_or(0);
        if breaks("amount", "x", &|value| u64::try_from(number(value)).is_ok_and(|rupiah| Rupiah::new(rupiah).is_ok())) {
            return Some("amount");
        }
        let is_plain = |value: &str| value.chars().count() <= DESCRIPTION_MAX && !value.contains(qris::text::steers);
        if options.get("description").is_some_and(|(kind, value)| !is_text(kind) || !is_plain(value)) {
            return Some("description");
        }
        let is_known = |value: &str| matches!(value, "gopay" | "alfamart" | "indomaret");
        if options.get("payment").is_some_and(|(kind, value)| !is_text(kind) || !is_known(value)) {
            return Some("payment");
        }
        let is_possible = |value: &str| u16::try_from(number(value)).is_ok_and(|seconds| TIMEOUT_S.contains(&seconds));
        breaks("timeout_s", "u", &is_possible).then_some("timeout")
    }
}

/// What [`value_of`] makes a text of.
fn is_text(kind: &str) -> bool {
    !matches!(kind, "x" | "u" | "t" | "i" | "n" | "q" | "y" | "b" | "d" | "as" | "a{sv}" | "(sx)" | "v")
}

/// An option of a type. A number that cannot be read, or does not fit, is 0; an unknown type is a text.
fn value_of<'a>(kind: &str, value: &'a str) -> Variant<'a> {
    let number: i64 = value.parse().unwrap_or(0);
    match kind {
        "x" => number.into(),
        "u" => u32::try_from(number).unwrap_or(0).into(),
        "t" => u64::try_from(number).unwrap_or(0).into(),
        "i" => i32::try_from(number).unwrap_or(0).into(),
        "n" => i16::try_from(number).unwrap_or(0).into(),
        "q" => u16::try_from(number).unwrap_or(0).into(),
        "y" => u8::try_from(number).unwrap_or(0).into(),
        "b" => (number != 0).into(),
        "d" => value.parse().unwrap_or(0.0_f64).into(),
        "as" => vec![value; value.len() % 100].into(),
        "a{sv}" => HashMap::from([(value, Variant::from(number))]).into(),
        "(sx)" => (value, number).into(),
        // One in another, so deep as D-Bus allows and no deeper.
        "v" => (0..number.clamp(1, 40)).fold(Variant::from(vec![value]), |inner, _| Variant::Variant(Box::new(inner))),
        _ => value.into(),
    }
}

/// An error of the contract.
fn known(name: &str) -> &str {
    let whole = format!("io.qrisd.Relay1.Error.{name}");
    assert!(RelayError::from_name(&whole).is_some(), "{name} is no error of the contract");
    name
}
