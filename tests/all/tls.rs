//! The sale over TLS: MQTT with certificates on both sides, HTTPS with a private CA.

use crate::rig::midtrans::Via;
use crate::rig::process::Process;
use crate::rig::shop::{Options, Program, Shop};
use crate::rig::wait_for;

#[test]
fn a_sale_over_mutual_tls_and_https() {
    let shop = Shop::open(Options { tls: true, ..Options::default() });
    shop.sell("A1", Via::Gopay);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}

#[test]
fn a_stranger_is_neither_believed_nor_let_in() {
    let mut shop = Shop::open(Options { tls: true, machine: false, ..Options::default() });
    shop.start_relayd();
    let tls = shop.tls.as_ref().expect("it is on");
    let own = |text: &std::path::Path| text.display().to_string();
    // A broker and a backend of a CA that is not ours; then a certificate that is not of the broker's CA.
    for (what, from, to) in [
        ("another authority", own(&tls.certificate("ca")), own(&tls.certificate("other-ca"))),
        ("a stranger's certificate", own(&tls.certificate("client")), own(&tls.certificate("stranger"))),
    ] {
        let good = std::fs::read_to_string(shop.config(Program::Qrisd)).expect("the configuration");
        let bad = match what {
            "another authority" => good.replace(&from, &to),
            _ => good.replace(&from, &to).replace(&own(&tls.key("client")), &own(&tls.key("stranger"))),
        };
        assert_ne!(good, bad);
        std::fs::write(shop.config(Program::Qrisd), bad).expect("written");
        let log = shop.broker.log().count();
        let qrisd = Process::start_service("qrisd", &mut shop.program_command(Program::Qrisd), shop.path());
        wait_for("the broker to notice", || {
            let lines = shop.broker.log().all();
            lines.iter().skip(log).any(|line| line.contains("OpenSSL Error") || line.contains("protocol error")).then_some(())
        });
        assert!(qrisd.try_status().is_none(), "the machine stays up");
        assert!(shop.last_status().is_none(), "{what} got in");
        std::fs::write(shop.config(Program::Qrisd), good).expect("written");
    }
    shop.start_qrisd();
    shop.wait_online();
    shop.sell("A1", Via::Qris);
}
