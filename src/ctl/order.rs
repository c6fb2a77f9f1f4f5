//! `order`: the order that holds this machine, as `qrisd` tells it over D-Bus.

use super::machine::{Bus, Properties, Service, ServiceError};
use super::print;
use qris_core::order::money::total;
use qris_core::wire::dbus::{DEVICE_NAME, DEVICE_PATH};
use qris_host::Failure;
use serde_json::{Value, json};

/// Shows the order that holds this machine.
#[derive(clap::Args, Debug)]
pub(super) struct CurrentOrder {
    #[command(flatten)]
    bus: Bus,
}

impl CurrentOrder {
    pub(super) fn is_of_a_machine(&self) -> bool {
        self.bus.is_of_a_machine()
    }

    pub(super) async fn run(self, json: bool) -> Result<(), Failure> {
        let service = Service::connect(&self.bus, DEVICE_NAME, DEVICE_PATH).await?;
        let mut properties = service.properties().await.map_err(Failure::failed)?;
        let order = read(&mut properties).map_err(Failure::failed)?;
        print::line(&if json { order.to_string() } else { words(&order) })
    }
}

/// The properties of `io.qrisd.Device1`, under their names on `vend/event`.
fn read(properties: &mut Properties) -> Result<Value, ServiceError> {
    Ok(json!({
        "state": properties.take::<String>("State")?,
        "request_id": properties.take::<String>("RequestId")?,
        "order_id": properties.take::<String>("OrderId")?,
        "item": properties.take::<String>("Item")?,
        "amount": properties.take::<i64>("Amount")?,
        "gross_amount": properties.take::<i64>("GrossAmount")?,
        "remaining_s": properties.take::<u32>("RemainingS")?,
        "faults": properties.take::<Vec<String>>("Faults")?,
        "fault_details": properties.take::<Vec<String>>("FaultDetails")?,
        "sold_out": properties.take::<Vec<String>>("SoldOut")?,
        "held_by": properties.take::<String>("Holder")?,
    }))
}

fn words(order: &Value) -> String {
    let text = |name: &str| order[name].as_str().unwrap_or_default();
    let mut words = vec![if text("state").is_empty() { "idle" } else { text("state") }.to_owned()];
    for (label, name) in [("request", "request_id"), ("order", "order_id"), ("item", "item")] {
        if !text(name).is_empty() {
            words.push(format!("{label} {}", text(name)));
        }
    }
    let number = |name: &str| order[name].as_u64().filter(|number| *number > 0);
    words.extend(number("amount").map(|amount| format!("amount {}", total(amount))));
    words.extend(number("gross_amount").map(|amount| format!("pays {}", total(amount))));
    words.extend(number("remaining_s").map(|seconds| format!("{seconds} s left")));
    if !text("held_by").is_empty() {
        words.push(format!("held by {}: nothing is sold meanwhile", text("held_by")));
    }
    let list = |name: &str| order[name].as_array().into_iter().flatten().filter_map(Value::as_str);
    let sold_out: Vec<_> = list("sold_out").collect();
    if !sold_out.is_empty() {
        words.push(format!("sold out: {}", sold_out.join(", ")));
    }
    let faults: Vec<_> = list("faults").zip(list("fault_details")).map(|(code, detail)| format!("{code} ({detail})")).collect();
    if !faults.is_empty() {
        words.push(format!("faults: {}", faults.join(", ")));
    }
    print::plain(&words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_told_in_words() {
        let mut order = json!({
            "state": "", "request_id": "", "order_id": "", "item": "", "amount": 0, "gross_amount": 0, "remaining_s": 0,
            "faults": ["screen", "relay"], "fault_details": ["no panel", "gone"], "sold_out": ["A1", "A3"]
        });
        assert_eq!(words(&order), "idle sold out: A1, A3 faults: screen (no panel), relay (gone)");
        order["held_by"] = "filling".into();
        assert!(words(&order).starts_with("idle held by filling: nothing is sold meanwhile sold out: A1"), "{}", words(&order));
        order["held_by"] = "".into();
        order["state"] = "awaiting_payment".into();
        order["request_id"] = "r-1".into();
        order["amount"] = 5000.into();
        order["gross_amount"] = 5036.into();
        order["remaining_s"] = 61.into();
        (order["faults"], order["fault_details"], order["sold_out"]) = (json!([]), json!([]), json!([]));
        assert_eq!(words(&order), "awaiting_payment request r-1 amount Rp5.000 pays Rp5.036 61 s left");
    }
}
