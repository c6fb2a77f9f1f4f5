//! The sale over TLS: MQTT with certificates on both sides, HTTPS with a private CA.

use crate::rig::midtrans::Via;
use crate::rig::mosquitto::password;
use crate::rig::process::Process;
use crate::rig::shop::{Options, Program, Shop};
use crate::rig::{command, output, wait_for};

#[test]
fn a_sale_over_mutual_tls_and_https() {
    let shop = Shop::open(Options { tls: true, ..Options::default() });
    let sold = shop.sell("A1", Via::Gopay);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
    // The backend's news came through TLS as well: it knows no other way to the broker.
    let configuration = std::fs::read_to_string(shop.config(Program::Backend)).expect("the configuration");
    assert!(configuration.contains("mqtts://") && !configuration.contains("mqtt://"), "{configuration}");
    shop.tap.wait_from(0, "news of the payment", |message| {
        let is_news = message.topic == "qrisd/v1/vm-001/payment/update";
        let update = is_news.then(|| message.json())?;
        (update["order_id"] == sold.order_id.as_ref()?.as_str() && update["receipt"].is_string()).then_some(())
    });
}

#[test]
fn qrisctl_over_mutual_tls() {
    let shop = Shop::open(Options { tls: true, machine: false, ..Options::default() });
    let tls = shop.tls.as_ref().expect("it is on");
    shop.tap.publish_bytes("qrisd/v1/vm-001/status", br#"{"state":"online"}"#, true);
    let secret = shop.path().join("fleet-password");
    std::fs::write(&secret, password("fleet")).expect("written");
    let status = |authority: &str, certificate: &str| {
        let mut qrisctl = command(env!("CARGO_BIN_EXE_qrisctl"));
        qrisctl.args(["--broker", &format!("mqtts://127.0.0.1:{}", shop.broker.tls_port), "--username", "fleet", "--password-file"]);
        qrisctl.arg(&secret).arg("--ca-file").arg(tls.certificate(authority));
        qrisctl.arg("--cert-file").arg(tls.certificate(certificate)).arg("--key-file").arg(tls.key(certificate)).arg("status");
        let told = output(&mut qrisctl);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (told.status.code(), text(&told.stdout), text(&told.stderr))
    };
    let (code, told, errors) = status("ca", "client");
    assert_eq!((code, told.as_str()), (Some(0), "vm-001 online\n"), "{errors}");
    for (authority, certificate) in [("other-ca", "client"), ("ca", "stranger")] {
        let (code, told, errors) = status(authority, certificate);
        assert_eq!((code, told.as_str()), (Some(1), ""), "{authority}, {certificate}: {errors}");
        assert!(errors.contains("the broker"), "{errors}");
    }
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
