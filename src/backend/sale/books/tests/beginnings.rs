//! An order by the first letters of its number.

use super::*;

#[tokio::test]
async fn orders_that_begin_alike_are_all_found_and_a_whole_number_alone() {
    let rig = Rig::new();
    let numbers = ["mrbwt0fehv1vfdtzqgdn", "mrbwt0fehv2vfdtzqgdn", "mrbwt1fehv1vfdtzqgdn", "mrbwz0fehv1vfdtzqgdn", "vm-001_0192"];
    for (ticket, number) in (0..).zip(numbers) {
        let (sale, fresh) = (sale(&format!("vm-{ticket}"), number, ticket), id(number));
        rig.run(move |tx, policy| create(tx, policy, sale, "d", &fresh, Told::trusted(T0))).await.expect("taken");
    }
    for (typed, found) in [
        ("mrbwt", &numbers[..3]),
        ("MRBWT OFEHV", &numbers[..2]),
        ("mrbwt-lfehv", &numbers[2..3]),
        ("mrbwt0fehv1vfdtzqgdn", &numbers[..1]),
        ("mrbwt0fehv1vfdtzqgdnx", &[]),
        ("mrbw", &[]),
        ("mrbwx", &[]),
        // A number of another kind, as it stands.
        ("vm-001_0192", &numbers[4..]),
        ("vm-001_01", &[]),
    ] {
        let beginning: Beginning = typed.parse().expect("a beginning");
        let ids = rig.run(move |tx, _| beginning_with(tx, &beginning)).await.expect("read");
        assert_eq!(ids.iter().map(OrderId::as_str).collect::<Vec<_>>(), found, "{typed}");
    }
}
