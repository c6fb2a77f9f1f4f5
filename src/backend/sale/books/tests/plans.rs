//! How SQLite finds what a command asks for. However many orders there are, it reads those of the answer.

use super::*;
use crate::store::{Row, Value};

/// Asks for the plan of each statement before it runs, and keeps each step once.
struct Planned<'a> {
    tx: &'a mut dyn Tx,
    steps: Vec<String>,
}

impl Tx for Planned<'_> {
    fn rows(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let plan = self.tx.rows(&format!("EXPLAIN QUERY PLAN {sql}"), values)?;
        for row in &plan {
            let step = row.text("detail")?.to_owned();
            if !self.steps.contains(&step) {
                self.steps.push(step);
            }
        }
        self.tx.rows(sql, values)
    }
}

const ALL: (Wall, Wall) = (Wall(i64::MIN), Wall(i64::MAX));
const SECOND_MINUTE: (Wall, Wall) = (Wall(T0.0 + 60_000), Wall(T0.0 + 120_000));

const BY_NAME: &str = "SEARCH orders USING INDEX sqlite_autoindex_orders_1 (order_id=?)";
const BY_TIME: &str = "SEARCH orders USING INDEX orders_created (created_ms>? AND (created_ms,order_id)<(?,?))";
const COUNTED_BY_TIME: &str = "SEARCH orders USING COVERING INDEX orders_created (created_ms>? AND created_ms<?)";
const DUE_SINCE: &str = "SEARCH orders USING INDEX orders_refund_due (created_ms>?)";
const URGENT: &str = "SEARCH orders USING INDEX orders_urgent (look_by_ms>?)";
/// Those that were found: they are few.
const SORTED: &str = "USE TEMP B-TREE FOR ORDER BY";

fn vm_001() -> DeviceId {
    DeviceId::new("vm-001").expect("an id")
}

fn of((from, until): (Wall, Wall), device: Option<DeviceId>, refund_due: bool, attention: bool) -> OrderFilter {
    OrderFilter { device, from, until, refund_due, attention }
}

/// The number of orders on the first page, if it is that of `count` too.
fn listed(tx: &mut dyn Tx, wanted: &OrderFilter) -> Result<usize, BooksError> {
    let page = page(tx, wanted, &Cursor::at(wanted.until))?.orders.len();
    assert_eq!((count(tx, wanted, 9)?, count(tx, wanted, 1)?), (page as u64, 1));
    Ok(page)
}

/// The number of orders that a person finds.
fn sought_by(tx: &mut dyn Tx, device: Option<DeviceId>, amount: Option<u64>) -> Result<usize, BooksError> {
    Ok(sought(tx, &Sought { device, amount, goods: Vec::new() }, (ALL.0, &Cursor::at(ALL.1)), 9)?.orders.len())
}

/// Which indices it takes. A step that reads all orders would be `SCAN orders` without a word of an index of few, or `SEARCH` by
/// a time alone where few of that time are wanted.
#[tokio::test]
async fn no_statement_of_a_command_reads_all_orders() {
    type Job = fn(&mut dyn Tx) -> Result<usize, BooksError>;
    let table: [(&str, Job, usize, &[&str]); 20] = [
        ("orders", |tx| listed(tx, &of(ALL, None, false, false)), 4, &[BY_TIME, COUNTED_BY_TIME]),
        ("orders --date", |tx| listed(tx, &of(SECOND_MINUTE, None, false, false)), 1, &[BY_TIME, COUNTED_BY_TIME]),
        (
            "orders --device",
            |tx| listed(tx, &of(ALL, Some(vm_001()), false, false)),
            4,
            &[
                "SEARCH orders USING INDEX orders_recent (device=? AND created_ms>? AND created_ms<?)",
                // It sorts orders of the same millisecond.
                "USE TEMP B-TREE FOR LAST TERM OF ORDER BY",
                "SEARCH orders USING COVERING INDEX orders_recent (device=? AND created_ms>? AND created_ms<?)",
            ],
        ),
        (
            "orders --refund-due",
            |tx| listed(tx, &of(ALL, None, true, false)),
            2,
            &[BY_NAME, DUE_SINCE, SORTED, "SEARCH orders USING INDEX orders_refund_due (created_ms>? AND created_ms<?)"],
        ),
        ("orders --attention", |tx| listed(tx, &of(ALL, None, false, true)), 3, &[URGENT, SORTED]),
        ("orders ORDER", |tx| load(tx, &id("o-r1")).map(|found| found.iter().len()), 1, &[BY_NAME]),
        (
            "its history",
            |tx| history(tx, &id("o-r1")).map(|lines| lines.len()),
            2,
            &["SEARCH history USING INDEX history_order (order_id=?)"],
        ),
        (
            "its attempts",
            |tx| attempts(tx, &vm_001(), &RequestId::new("r1").expect("an id")).map(|ids| ids.len()),
            1,
            &["SEARCH orders USING INDEX sqlite_autoindex_orders_2 (device=? AND request_id=?)"],
        ),
        (
            "report, reconcile",
            |tx| listing::settled(tx, None, ALL.1, &Cursor::at(T0)).map(|page| page.orders.len()),
            3,
            &["SEARCH orders USING INDEX orders_settled ((settled_ms,order_id)>(?,?) AND settled_ms<?)"],
        ),
        (
            "the sums of a report",
            |tx| settled_totals(tx, None, ALL).map(|(orders, _)| orders as usize),
            3,
            &["SEARCH orders USING COVERING INDEX orders_sums (settled_ms>? AND settled_ms<?)"],
        ),
        (
            "the sums of a day by goods",
            |tx| sums(tx, None, ALL, Grouped::Goods).map(|sums| sums.iter().map(|sum| sum.orders as usize).sum()),
            3,
            &["SEARCH orders USING COVERING INDEX orders_sums (settled_ms>? AND settled_ms<?)", "USE TEMP B-TREE FOR GROUP BY"],
        ),
        (
            "the same with what a payout is reckoned from",
            |tx| alike(tx, ALL, Grouped::Goods).map(|all| all.iter().map(|alike| alike.orders as usize).sum()),
            3,
            &["SEARCH orders USING COVERING INDEX orders_sums (settled_ms>? AND settled_ms<?)", "USE TEMP B-TREE FOR GROUP BY"],
        ),
        (
            "the days that are kept",
            |tx| kept(tx, ALL, "goods", "").map(|days| days.len()),
            0,
            &["SEARCH day_sums USING INDEX sqlite_autoindex_day_sums_1 (until_ms>? AND until_ms<?)"],
        ),
        (
            "what a machine sold",
            |tx| sums(tx, Some(&vm_001()), ALL, Grouped::All).map(|sums| sums.iter().map(|sum| sum.orders as usize).sum()),
            3,
            &["SEARCH orders USING COVERING INDEX orders_sums (settled_ms>? AND settled_ms<?)", "USE TEMP B-TREE FOR GROUP BY"],
        ),
        (
            "so much",
            |tx| sought_by(tx, None, Some(5000)),
            4,
            &["SEARCH orders USING INDEX orders_amount (amount=? AND created_ms>? AND (created_ms,order_id)<(?,?))"],
        ),
        (
            "so much at a machine",
            |tx| sought_by(tx, Some(vm_001()), Some(5000)),
            4,
            &[
                "SEARCH orders USING INDEX orders_recent (device=? AND created_ms>? AND created_ms<?)",
                "USE TEMP B-TREE FOR LAST TERM OF ORDER BY",
            ],
        ),
        (
            "so much from then on",
            |tx| sought_from(tx, &Sought { amount: Some(5000), ..Sought::default() }, T0, 9).map(|page| page.orders.len()),
            4,
            &["SEARCH orders USING INDEX orders_amount (amount=? AND created_ms>?)"],
        ),
        (
            "these goods",
            |tx| {
                let goods = goods(tx, 9)?;
                Ok(sought(tx, &Sought { goods, ..Sought::default() }, (ALL.0, &Cursor::at(ALL.1)), 9)?.orders.len())
            },
            4,
            &[
                "SEARCH orders USING COVERING INDEX orders_goods",
                "SCAN named",
                "SEARCH o USING COVERING INDEX orders_goods (goods>?)",
                "SEARCH orders USING INDEX orders_goods (goods=? AND created_ms>? AND (created_ms,order_id)<(?,?))",
            ],
        ),
        ("what wants a person", |tx| wanting(tx, 9).map(|page| page.orders.len()), 3, &[URGENT]),
        (
            "its sweep",
            |tx| claim_due(tx, Told::trusted(T0)).map(|ids| ids.len()),
            0,
            &[
                "SEARCH orders USING INDEX orders_due (due_ms<?)",
                "SCAN auto_refund EXISTS",
                "SCAN orders USING INDEX orders_go_back",
                "SEARCH a USING COVERING INDEX sqlite_autoindex_automatic_refunds_1 (order_id=?)",
            ],
        ),
    ];
    let rig = Rig::new();
    rig.pending("r1", 1).await;
    for (request, ticket, outcome) in [("r2", 2, Delivery::Failed), ("r3", 3, Delivery::Uncertain), ("r4", 4, Delivery::Failed)] {
        let at = T0 + Span::secs(60 * (i64::from(ticket) - 1));
        rig.paid(request, ticket, at).await;
        rig.tell(&format!("o-{request}"), outcome, at).await;
    }
    // Two reasons to look at it, and one order.
    rig.tell("o-r4", Delivery::Dispensed, T0 + Span::secs(200)).await;
    for (what, job, number, expected) in table {
        let run = move |tx: &mut dyn Tx, _: &Policy| {
            let mut planned = Planned { tx, steps: Vec::new() };
            job(&mut planned).map(|found| (found, planned.steps))
        };
        let (found, mut steps) = rig.run(run).await.expect("read");
        steps.retain(|step| step != "SCAN o" && ["SCAN", "SEARCH", "USE"].iter().any(|word| step.starts_with(word)));
        assert_eq!((found, steps), (number, expected.iter().map(ToString::to_string).collect()), "{what}");
    }
}
