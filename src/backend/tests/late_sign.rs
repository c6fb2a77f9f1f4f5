//! There is a sign of goods after the end of their try was signed.

use super::*;
use qris_core::wire::orders::LATE_SIGN;

#[tokio::test]
async fn a_late_sign_is_one_line_in_the_history_of_the_machines_own_order_and_decides_nothing() {
    let rig = Rig::new().await;
    let order = rig.order("r1").await;
    let told = async || {
        let id = order.order_id.clone();
        let history = rig.handles.books.read(move |tx| books::history(tx, &id)).await.expect("readable");
        history.into_iter().filter(|line| line.event.contains("passed the sensor after the end of try 1")).count()
    };
    let says = async |token: &str, said: &str| {
        let call = rig.http.get(format!("{}/v1/orders?state=open", rig.url)).bearer_auth(token).header(LATE_SIGN, said);
        assert_eq!(call.send().await.expect("an answer").status(), 200, "{said}");
        told().await
    };
    let (id, other, hash) = (order.order_id.to_string(), DeviceId::new("vm-002").expect("an id"), token::hash("vm-002"));
    rig.handles.machines.write(move |tx| devices::add(tx, &other, &hash, false, clock::now().wall)).await.expect("added");
    for said in ["", "1", &id, &format!("{id} 1"), &format!("{id} 0 passed"), &format!("{id} x passed"), "o-unknown 1 passed"] {
        assert_eq!(says("vm-001", said).await, 0, "{said}");
    }
    assert_eq!(says("vm-002", &format!("{id} 1 passed")).await, 0, "it is another machine's");
    let before: OrderResource =
        rig.call(Method::GET, &format!("/v1/orders/{id}")).send().await.expect("an answer").json().await.expect("an order");
    assert_eq!((says("vm-001", &format!("{id} 1 passed")).await, says("vm-001", &format!("{id} 1 passed")).await), (1, 1));
    let after: OrderResource =
        rig.call(Method::GET, &format!("/v1/orders/{id}")).send().await.expect("an answer").json().await.expect("an order");
    assert_eq!((after.status, after.rev), (before.status, before.rev));
}
