//! PgBouncer between the backend and PostgreSQL: with a session for each connection everything works. Where connections share sessions, news and
//! settings would be lost: nothing is served there, and `doctor` says why.

use crate::rig::midtrans::Via;
use crate::rig::pooler::Pooler;
use crate::rig::postgres::Postgres;
use crate::rig::process::Process;
use crate::rig::shop::{Options, Program, Shop};
use crate::rig::stdout;
use qris::wire::vend::EventState;

#[test]
fn only_a_pooler_that_keeps_sessions_is_taken() {
    let server = Postgres::start(&[]);
    let mut pooler = Pooler::before(&server, "session");
    let store = |pooler: &Pooler| format!("url = \"{}\"", pooler.url());
    let mut shop = Shop::open(Options { store: Some(store(&pooler)), ..Options::default() });
    shop.sell("A1", Via::Gopay);
    // All connections are lost at once.
    let offered = shop.offer("A1");
    pooler.kill();
    shop.pay(Via::Gopay);
    pooler.resume();
    shop.wait_state(&offered, EventState::Dispensed);
    let doctor = stdout(&shop.merchant(&["doctor"]));
    assert!(doctor.contains("what one connection tells is heard by another one"), "{doctor}");
    shop.kill_backend();
    for mode in ["transaction", "statement"] {
        let shares = Pooler::before(&server, mode);
        shop.edit(Program::Backend, |text| text.replace(&store(&pooler), &store(&shares)));
        let doctor = stdout(&shop.merchant(&["doctor"]));
        let bad = doctor.lines().find(|line| line.starts_with("BAD   database")).unwrap_or_default();
        assert!(bad.contains("pool_mode = session"), "{mode}: {doctor}");
        let (status, why) = Process::start("backend", &mut shop.service(Program::Backend)).finish();
        assert!(!status.success() && why.contains("is not heard by another one") && why.contains("pool_mode = session"), "{mode}: {why}");
        shop.edit(Program::Backend, |text| text.replace(&store(&shares), &store(&pooler)));
    }
    shop.start_backend();
    shop.check_books();
}
