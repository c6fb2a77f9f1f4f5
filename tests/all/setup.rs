//! `qrisctl setup`: from an enrolment text to a sale; what is wrong is found by connecting, and then nothing changes.

use crate::rig::mosquitto::{Mosquitto, password};
use crate::rig::process::Process;
use crate::rig::shop::{DEVICE, Program, Shop};
use crate::rig::{command, free_port, output, output_text, stderr, stdout, succeed, user};
use qris::order::keys::{SigningKey, jwk_set};
use qris::wire::enrolment::Enrolment;
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A merchant without a machine, and a computer that becomes one.
pub struct Site {
    pub shop: Shop,
    pub root: PathBuf,
}

impl Site {
    pub fn new() -> Self {
        let shop = Shop::merchants_side();
        let root = shop.path().join("root");
        let etc = root.join("etc");
        std::fs::create_dir_all(&etc).expect("made");
        // As the package makes them.
        std::fs::write(etc.join("passwd"), "root:x:0:0::/root:/bin/sh\nqrisd:x:991:991::/:/x\nqris-relay:x:992:992::/:/x\n")
            .expect("written");
        std::fs::write(
            etc.join("group"),
            "root:x:0:\nqrisd:x:991:\nqris-relay:x:992:\ngpio:x:993:qris-relay\nvideo:x:44:qrisd\ntty:x:5:\nqrisd-control:x:994:\n",
        )
        .expect("written");
        Self { shop, root }
    }

    /// The machine's enrolment text.
    pub fn enrolment(&self) -> String {
        let password = self.shop.path().join(format!("{DEVICE}-password"));
        let password = password.display().to_string();
        let told = self.shop.merchant(&["device", "add", DEVICE, "--replace", "--bundle", "--broker-password-file", &password]);
        assert!(told.status.success(), "{}", stderr(&told));
        assert!(stderr(&told).contains("like a password"), "{}", stderr(&told));
        String::from_utf8(told.stdout).expect("text").trim().to_owned()
    }

    pub fn setup(&self) -> Command {
        let mut setup = command(env!("CARGO_BIN_EXE_qrisctl"));
        setup.args(["setup", "--root"]).arg(&self.root).current_dir(self.shop.path());
        setup
    }

    /// The words of a set-up that brings a machine without hardware.
    pub fn goods(&self) -> Vec<String> {
        let here = self.shop.path().display();
        [
            "--item",
            "A1:5000:Teh botol",
            "--line",
            &format!("A1=sim:{here}/relay.log:50ms"),
            "--screen",
            &format!("virtual:{here}/screen.raw"),
            "--no-start",
        ]
        .map(str::to_owned)
        .into()
    }

    pub fn file(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The services take what was written, as it lies below the root, on this test's bus.
    pub fn take_over(&self) {
        for (program, name) in [(Program::Qrisd, "qrisd.toml"), (Program::Relayd, "relay.toml")] {
            let text = std::fs::read_to_string(self.file("etc/qrisd").join(name)).expect("written");
            let text = text.replace("/etc/qrisd/", &format!("{}/", self.file("etc/qrisd").display()));
            let here = format!("{}/", self.shop.path().display());
            let text = text.replace("/var/lib/qrisd/", &here).replace("/var/lib/qris-relay/", &here);
            let text = text.replace("bus = \"system\"", &format!("bus = \"{}\"", self.shop.bus.address));
            self.shop.edit(program, |_| text);
        }
    }

    /// Everything below /etc, with mode and content.
    pub fn tree(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.root.join("etc")];
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(&directory).expect("there").map(|entry| entry.expect("an entry").path()) {
                if entry.is_dir() {
                    open.push(entry);
                    continue;
                }
                let mode = std::fs::metadata(&entry).expect("there").permissions().mode() & 0o7777;
                found.insert(entry.clone(), (mode, std::fs::read(&entry).expect("there")));
            }
        }
        found
    }
}

pub fn succeeded(command: &mut Command) -> Output {
    let done = output(command);
    assert_eq!(done.status.code(), Some(0), "{}", output_text(&done));
    done
}

#[test]
fn an_enrolment_text_makes_a_machine_that_sells() {
    let mut site = Site::new();
    let text = site.enrolment();
    let file = site.shop.path().join("enrolment");
    std::fs::write(&file, format!("{text}\n")).expect("written");
    let empty = site.tree();
    let dry = succeeded(site.setup().arg("--from").arg(&file).args(site.goods()).arg("--dry-run"));
    assert_eq!(site.tree(), empty, "a dry run writes nothing");
    let shown = stdout(&dry);
    for line in [
        "OK    broker",
        "OK    backend",
        "OK    keys",
        "OK    clock",
        "new       root:qrisd  0640  /etc/qrisd/backend-token",
        "+ id = \"vm-001\"",
    ] {
        assert!(shown.contains(line), "{line}:\n{shown}");
    }
    let enrolment = Enrolment::from_text(&text).expect("good");
    assert!(!shown.contains(&*enrolment.backend.token) && !shown.contains(&password(DEVICE)), "a secret is shown:\n{shown}");

    succeeded(site.setup().arg("--from").arg(&file).args(site.goods()));
    for (path, mode) in
        [("qrisd.toml", 0o644), ("relay.toml", 0o644), ("keys.json", 0o644), ("mqtt-password", 0o640), ("backend-token", 0o640)]
    {
        let metadata = std::fs::metadata(site.file("etc/qrisd").join(path)).expect("written");
        assert_eq!(metadata.permissions().mode() & 0o7777, mode, "{path}");
        if user() == "root" {
            assert_eq!((metadata.uid(), metadata.gid()), (0, if mode == 0o640 { 991 } else { 0 }), "{path}");
        }
    }
    let written = site.tree();
    let again = succeeded(site.setup().arg("--no-start"));
    assert_eq!(site.tree(), written, "a second time nothing changes");
    assert!(stdout(&again).contains("as it is"), "{}", stdout(&again));
    assert!(stdout(&again).contains("\nsells A1 for Rp5.000\n"), "{}", stdout(&again));

    // While one runs, another one does not begin.
    let directory = std::fs::File::open(site.file("etc/qrisd")).expect("there");
    directory.lock().expect("nobody has it");
    let beside = output(site.setup().args(["--no-start", "--item", "A1:50000"]));
    assert!(!beside.status.success() && output_text(&beside).contains("another set-up runs on this computer"), "{}", output_text(&beside));
    directory.unlock().expect("it was locked");
    let dropped = stdout(&succeeded(site.setup().args(["--dry-run", "--item", "A2:50000"]).args(["--line", "A2=sim:/tmp/a2"])));
    assert!(dropped.contains("\nsells A2 for Rp50.000\nno longer sells A1\n"), "{dropped}");
    assert_eq!(site.tree(), written);

    site.take_over();
    site.shop.start_machine();
    let sold = site.shop.sell("A1", crate::rig::midtrans::Via::Gopay);
    assert_eq!(sold.amount.map(|amount| amount.get()), Some(5000));
    assert_eq!(site.shop.pulses(), 1);
}

#[test]
fn the_text_may_come_by_any_way_and_flags_go_before_it() {
    let site = Site::new();
    let text = site.enrolment();
    succeeded(site.setup().args(["--from", &text, "--name", "Lobi"]).args(site.goods()));
    assert!(std::fs::read_to_string(site.file("etc/qrisd/qrisd.toml")).expect("written").contains("name = \"Lobi\""));
    // On standard input, wrapped as a mail wraps it. The new token takes the place of the old one, which is kept.
    let text = site.enrolment();
    let wrapped: String = text.as_bytes().chunks(76).map(|line| format!("{}\r\n", String::from_utf8_lossy(line))).collect();
    let file = site.shop.path().join("wrapped");
    std::fs::write(&file, wrapped).expect("written");
    let before = std::fs::read(site.file("etc/qrisd/backend-token")).expect("there");
    let done = succeeded(site.setup().args(["--from", "-", "--no-start"]).stdin(std::fs::File::open(&file).expect("there")));
    let kept = site.tree().into_iter().find(|(path, _)| path.to_string_lossy().contains("backend-token.before-")).expect("kept");
    assert_eq!(kept.1, (0o640, before));
    assert!(stdout(&done).contains("the file that was there before is now"), "{}", stdout(&done));

    // Another broker, at which nobody listens to everything. Nothing of the set-up stays there that looks like a machine.
    let lone = site.shop.path().join("lone");
    std::fs::create_dir(&lone).expect("made");
    let broker = Mosquitto::start(&lone, None, false);
    succeeded(site.setup().args(["--broker", &format!("mqtt://127.0.0.1:{}", broker.port), "--no-start"]));
    let nobody = output(broker.qrisctl("fleet", &lone).args(["vend", "--device", DEVICE, "--item", "A1"]));
    assert!(stderr(&nobody).contains("is not at this broker"), "{}", stderr(&nobody));
}

/// The thirtieth machine has what the first one has, with what `--item` cannot say.
#[test]
fn the_items_of_one_machine_are_those_of_the_next() {
    let (first, next) = (Site::new(), Site::new());
    succeeded(first.setup().args(["--from", &first.enrolment()]).args(first.goods()));
    let path = first.file("etc/qrisd/qrisd.toml");
    let text = std::fs::read_to_string(&path).expect("written");
    let counted =
        text.replace("price = 5000\n", "price = 5000\ncapacity = 8\nlow = 2\n\n[item.name]\nid = \"Teh botol\"\nen = \"Bottled tea\"\n");
    std::fs::write(&path, counted.replace("name = \"Teh botol\"\n", "")).expect("written");
    let goods: Vec<_> = next.goods().into_iter().skip(2).collect();
    let items = path.display().to_string();
    succeeded(next.setup().args(["--from", &next.enrolment(), "--items", &items]).args(&goods));
    let taken: toml::Table = std::fs::read_to_string(next.file("etc/qrisd/qrisd.toml")).expect("written").parse().expect("TOML");
    let wanted: toml::Table = std::fs::read_to_string(&path).expect("there").parse().expect("TOML");
    assert_eq!(taken["item"], wanted["item"]);
    assert_eq!(taken["item"][0]["capacity"].as_integer(), Some(8));
    let nothing = next.shop.path().join("nothing.toml");
    std::fs::write(&nothing, "[device]\nid = \"x\"\n").expect("written");
    let refused = output(next.setup().args(["--no-start", "--items"]).arg(&nothing));
    assert_eq!(refused.status.code(), Some(2), "{}", output_text(&refused));
    assert!(stderr(&refused).contains("has no [[item]]"), "{}", stderr(&refused));
}

/// By QRIS ten million rupiah can be charged at the most. Only the backend knows how it charges.
#[test]
fn a_price_that_the_backend_cannot_charge_is_refused_with_its_bound() {
    let mut site = Site::new();
    let text = site.enrolment();
    site.shop.kill_backend();
    site.shop.edit(Program::Backend, |text| text.replace("charge_as = \"gopay\"", "charge_as = \"qris\""));
    site.shop.start_backend();
    let before = site.tree();
    let goods: Vec<_> = site.goods().into_iter().map(|word| word.replace("A1:5000:", "A1:15000000:")).collect();
    let refused = output(site.setup().args(["--from", &text]).args(&goods));
    assert_eq!(refused.status.code(), Some(1), "{}", output_text(&refused));
    assert!(stdout(&refused).contains("A1: Rp15.000.000: payments take Rp1 to Rp10.000.000"), "{}", stdout(&refused));
    assert_eq!(site.tree(), before, "nothing was written");
    succeeded(site.setup().args(["--from", &text]).args(site.goods()));
}

#[test]
fn each_ill_is_found_by_connecting_and_nothing_is_changed() {
    let site = Site::new();
    let text = site.enrolment();
    let here = |name: &str, content: &str| {
        let path = site.shop.path().join(name);
        std::fs::write(&path, content).expect("written");
        path.display().to_string()
    };
    let stranger = here("stranger.json", &jwk_set(&[SigningKey::from_seed([9; 32]).to_public_jwk("pay.example")]));
    let (bad_password, bad_token) = (here("bad-password", "wrong\n"), here("bad-token", "wrong\n"));
    let fleet = here("fleet-password", &password("fleet"));
    let damaged = here("damaged", &text[..text.len() - 20]);
    let no_keys = here("no-keys", "{}");
    let (closed, closed_http) = (format!("mqtt://127.0.0.1:{}", free_port()), format!("http://127.0.0.1:{}", free_port()));
    let nowhere = format!("{}/nowhere", site.shop.backend_url);
    let from = ["--from", text.as_str()];
    // What is said more, the exit status, and what is told.
    let table: [(&[&str], i32, &[&str]); 16] = [
        (
            &["--password-file", &bad_password],
            1,
            &["BAD   broker", "refuses vm-001 or the password", "mosquitto_passwd", "nothing was changed"],
        ),
        (&["--broker", &closed], 1, &["BAD   broker", "whether the broker runs"]),
        (&["--username", "fleet", "--password-file", &fleet], 1, &["BAD   broker", "but not publish as vm-001", "access list"]),
        (&["--token-file", &bad_token], 1, &["BAD   backend", "does not take the token", "device add ID --replace"]),
        (&["--backend", &closed_http], 1, &["BAD   backend", "cannot be reached"]),
        (&["--backend", &nowhere], 1, &["BAD   backend", "404"]),
        (&["--keys", &stranger], 1, &["BAD   keys", "no key of the backend is here", "qris-backend keys public"]),
        (&["--keys", &no_keys], 2, &["no-keys", "JWK Set"]),
        (&["--item", "A2:9000"], 2, &["--item: no line hands out A2", "--line A2=CHIP:OFFSET"]),
        (&["--item", "A2:9000:茶"], 2, &["the screen has no '茶'"]),
        (&["--broker", "mqtt://broker.example"], 2, &["the broker (--broker", "mqtt.url", "loopback only"]),
        (&["--config", "/etc/qrisd/qrisd.toml"], 2, &["'--config' is of no use to 'qrisctl setup'"]),
        (&["--device", "vm-009", "--offline"], 2, &["for vm-001", "names vm-009", "device add vm-009 --bundle"]),
        (&["--line", "*,A1=sim:/tmp/z"], 2, &["\"*\" must stand alone"]),
        (&["--pulse", "nothing"], 2, &["there is no line \"nothing\": A1"]),
        (&["--rotate", "45"], 2, &["0, 90, 180 or 270"]),
    ];
    let empty = site.tree();
    for (more, status, told) in table {
        let done = output(site.setup().args(from).args(site.goods()).args(more));
        let all = format!("{}{}", stdout(&done), stderr(&done));
        assert_eq!(done.status.code(), Some(status), "{more:?}: {all}");
        for words in told {
            assert!(all.contains(words), "{more:?} does not tell {words:?}: {all}");
        }
        assert_eq!(site.tree(), empty, "{more:?} changed something");
    }
    for (from, told) in [(damaged.as_str(), "damaged"), ("/nowhere/at/all", "/nowhere/at/all"), ("qris-enrol7.x.y", "version 7")] {
        let done = output(site.setup().args(["--from", from]).args(site.goods()));
        assert_eq!((done.status.code(), stderr(&done).contains(told)), (Some(2), true), "{from}: {}", stderr(&done));
    }
    assert_eq!(site.tree(), empty);
    // An image is built where nobody can be reached; and whoever knows better may insist.
    let bad = ["--password-file", bad_password.as_str()];
    for more in [&["--offline"][..], &["--force"]] {
        let done = output(site.setup().args(from).args(site.goods()).args(bad).args(more));
        assert_eq!(done.status.code(), Some(0), "{more:?}: {}{}", stdout(&done), stderr(&done));
    }
}

#[test]
fn a_system_below_a_directory_is_never_left() {
    let site = Site::new();
    let outside = tempfile::tempdir().expect("a directory");
    // As an image has it whose state outlives its root; that of this computer is somebody else's.
    let place = outside.path().join("qrisd");
    let inside = site.file(&place.display().to_string());
    std::fs::create_dir_all(&inside).expect("made");
    std::os::unix::fs::symlink(&place, site.file("etc/qrisd")).expect("made");
    succeeded(site.setup().args(["--from", &site.enrolment(), "--offline"]).args(site.goods()));
    assert!(!place.exists() && inside.join("qrisd.toml").exists() && inside.join("backend-token").exists());
}

#[test]
fn a_pulse_that_is_broken_off_leaves_the_line_inactive() {
    for (signal, number) in [("INT", 2), ("TERM", 15), ("HUP", 1)] {
        let site = Site::new();
        let text = site.enrolment();
        let goods = site.goods().iter().map(|word| word.replace(":50ms", ":60000ms")).collect::<Vec<_>>();
        let setup = Process::start("qrisctl", site.setup().args(["--from", &text]).args(goods).args(["--pulse", "A1"]));
        site.shop.relay.wait_pulses(1);
        setup.signal(signal);
        // As the shell expects of a program that was ended so.
        assert_eq!(setup.wait().signal(), Some(number), "{signal}: {}", setup.text());
        assert!(!site.shop.relay.is_active(), "{signal}");
    }
}

#[test]
fn hardware_is_tried_when_it_is_asked_for_and_never_otherwise() {
    let site = Site::new();
    let (log, screen) = (site.shop.path().join("relay.log"), site.shop.path().join("screen.raw"));
    let text = site.enrolment();
    succeeded(site.setup().args(["--from", &text]).args(site.goods()));
    assert!(!log.exists() && !screen.exists(), "a set-up moved something without being asked");
    let done = succeeded(site.setup().args(["--no-start", "--pulse", "A1", "--test-card", "0"]));
    assert_eq!(site.shop.pulses(), 1);
    assert_eq!(std::fs::metadata(&screen).expect("there was a card").len(), 480 * 800 * 2);
    assert!(stdout(&done).contains("The test card is on the panel"), "{}", stdout(&done));
    let found = succeed(site.setup().arg("--find"));
    assert!(found.contains("Panels:") && found.contains("GPIO chips:"), "{found}");
    // It asks nothing, and a person reads it.
    let found = succeed(site.setup().arg("--find").env("LC_ALL", "id_ID.UTF-8"));
    assert!(found.contains("Panel:\n") && found.contains("Chip GPIO:\n"), "{found}");
}

#[test]
fn a_bundle_says_what_it_lacks_and_makes_no_token_in_vain() {
    let shop = Shop::merchants_side();
    let told = shop.merchant(&["device", "add", "vm-002", "--bundle", "--broker-password-file", "/nowhere/at/all"]);
    assert!(told.status.code() == Some(2) && stderr(&told).contains("/nowhere/at/all"), "{}", stderr(&told));
    let list = stdout(&shop.merchant(&["device", "list"]));
    assert!(!list.contains("vm-002"), "it was let in all the same: {list}");
    let told = shop.merchant(&["device", "add", "vm-002", "--bundle", "--qr", "--broker-url", "mqtts://broker.example:8883"]);
    assert_eq!(told.status.code(), Some(0), "{}", stderr(&told));
    assert!(
        stderr(&told).contains("no password for the broker") && stderr(&told).contains("only a machine on this very computer"),
        "{}",
        stderr(&told)
    );
    let text = stdout(&told);
    let (code, text) = text.split_at(text.find("qris-enrol1.").expect("a code, then the text"));
    assert!(code.lines().count() > 20 && code.contains('█'));
    let enrolment = Enrolment::from_text(text).expect("good");
    assert_eq!(enrolment.broker.as_ref().map(|broker| &*broker.url), Some("mqtts://broker.example:8883"));
    let bearer = format!("Bearer {}", enrolment.backend.token);
    let (taken, headers) = shop.http.get_with(&format!("{}/v1/orders?state=open", shop.backend_url), &[("authorization", &bearer)]);
    assert_eq!(taken.status, 200, "{}", taken.text());
    // Which keys it signs with, for whoever sets a machine up.
    let kids = enrolment.key_set().expect("keys").receipt_kids();
    assert_eq!(headers.get("receipt-keys").and_then(|kids| kids.to_str().ok()), Some(kids[0].as_str()));
    let told = shop.merchant(&["device", "add", "vm-002", "--bundle"]);
    assert!(told.status.code() == Some(1) && stderr(&told).contains("--replace"), "{}", stderr(&told));
}

/// Whoever can open a chip can fire a relay, and the default user of Raspberry Pi OS is in the group of all chips. Whoever can open a panel
/// can draw a QR of his own.
#[test]
fn the_chips_that_are_named_belong_to_the_relay_service_alone_and_panels_to_qrisd() {
    const RULES: &str = "etc/udev/rules.d/99-qrisd-devices.rules";
    let site = Site::new();
    let sh = |script: &str| succeed(command("/bin/sh").args(["-ec", script]).current_dir(&site.root));
    // The kernel gives the numbers.
    let numbered = |number: u32, hardware: &str| {
        sh(&format!(
            "touch dev/gpiochip{number}; mkdir -p sys/devices/{hardware}/gpiochip{number} sys/bus/gpio/devices; \
             ln -sfn ../../../devices/{hardware}/gpiochip{number} sys/bus/gpio/devices/gpiochip{number}"
        ));
    };
    sh("echo pi:x:1000:1000::/home/pi:/bin/sh >>etc/passwd; sed -i 's/^gpio:.*/gpio:x:993:qris-relay,pi/; /^video:/d' etc/group
        echo video:x:44:pi,qrisd >>etc/group; mkdir -p dev/dri; touch dev/fb0 dev/dri/card0 dev/dri/renderD128 dev/gpiomem");
    numbered(0, "platform/soc.gpio");
    numbered(1, "i2c-1/1-0020");
    numbered(2, "i2c-1/1-0021");
    sh("chgrp 993 dev/gpio*; chgrp 44 dev/fb0 dev/dri/*; chmod 660 dev/gpio* dev/fb0 dev/dri/*");
    let setup = |goods: &[&str]| {
        let mut setup = site.setup();
        setup.args(["--from", &site.enrolment(), "--offline", "--no-start", "--item", "A1:5000", "--item", "A2:5000"]).args(goods);
        setup
    };
    let set_up = |goods: &[&str]| stdout(&succeeded(&mut setup(goods)));
    // A number may be another chip's tomorrow, and here nobody can ask this one for its label.
    let refused = output(&mut setup(&["--screen", "none", "--line", "A1,A2=/dev/gpiochip0:5:low"]));
    assert!(refused.status.code() == Some(2) && stderr(&refused).contains("write that chip's label"), "{}", stderr(&refused));
    let (first, second) = ("A1=/devices/platform/soc.gpio:5:low", "A2=/devices/i2c-1/1-0020:6:low");
    let told = set_up(&["--screen", "none", "--line", first, "--line", second]);
    assert!(told.contains(&format!("/{RULES}")), "{told}");
    let rules = std::fs::read_to_string(site.file(RULES)).expect("rules of udev");
    let of = |device: &str, group: &str| format!("{device}, OWNER:=\"root\", GROUP:=\"{group}\", MODE:=\"0660\"\n");
    for hardware in ["/devices/platform/soc.gpio", "/devices/i2c-1/1-0020"] {
        let chip = format!("SUBSYSTEM==\"gpio\", KERNEL==\"gpiochip*\", DEVPATH==\"{hardware}/gpiochip*\"");
        assert!(rules.contains(&of(&chip, "qris-relay")), "{rules}");
    }
    let (framebuffers, cards) = ("SUBSYSTEM==\"graphics\", KERNEL==\"fb[0-9]*\"", "SUBSYSTEM==\"drm\", KERNEL==\"card[0-9]*\"");
    assert!([framebuffers, cards].iter().all(|panels| rules.contains(&of(panels, "qrisd"))), "{rules}");
    assert!(!rules.contains("1-0021") && rules.contains("gpiomem"), "{rules}");

    let doctor = || {
        let told = output(command(env!("CARGO_BIN_EXE_qrisctl")).args(["doctor", "--offline", "--root"]).arg(&site.root));
        stdout(&told).lines().filter(|line| line.contains("can be opened") || line.contains("opened by")).collect::<Vec<_>>().join("\n")
    };
    let told = doctor();
    for path in ["/dev/gpiochip0", "/dev/gpiochip1", "/dev/gpiomem"] {
        assert!(told.contains(&format!("BAD   gpio          {path} can be opened by pi (group gpio)")), "{told}");
    }
    for path in ["/dev/fb0", "/dev/dri/card0"] {
        assert!(told.contains(&format!("BAD   screen        {path} can be opened by pi (group video)")), "{told}");
    }
    assert!(!told.contains("gpiochip2") && !told.contains("renderD128"), "nothing hangs on it: {told}");
    // As the rules have it.
    let closed = "chgrp 992 dev/gpiochip0 dev/gpiochip1; chgrp 0 dev/gpiomem; chmod 600 dev/gpiomem; chgrp 991 dev/fb0 dev/dri/card0";
    sh(closed);
    let told = doctor();
    for path in ["/dev/gpiochip0", "/dev/gpiochip1"] {
        assert!(told.contains(&format!("OK    gpio          {path} is opened by root and qris-relay alone")), "{told}");
    }
    assert!(!told.contains("can be opened"), "{told}");
    // An update of the kernel gives the first chip another number. It is open again, and the doctor looks there.
    sh("mv dev/gpiochip0 dev/gpiochip11; rm -r sys/bus/gpio/devices/gpiochip0; chgrp 993 dev/gpiochip11");
    numbered(11, "platform/soc.gpio");
    assert!(doctor().contains("/dev/gpiochip11 can be opened by pi (group gpio)"), "{}", doctor());
    for (harm, who) in
        [("chmod 664 dev/gpiochip11", "everybody"), ("chmod 660 dev/gpiochip11; chown 1000 dev/gpiochip11", "pi (its owner)")]
    {
        sh(harm);
        assert!(doctor().contains(&format!("/dev/gpiochip11 can be opened by {who}")), "{harm}: {}", doctor());
    }
    sh("chown 0:0 dev/gpiochip11");
    assert!(doctor().is_empty() || !doctor().contains("OK    gpio          /dev/gpiochip11"), "the service itself cannot: {}", doctor());
    // Which chip has a label cannot be asked here: it may be each of them.
    set_up(&["--screen", "none", "--line", "A1,A2=pinctrl-rp1:5"]);
    let rules = std::fs::read_to_string(site.file(RULES)).expect("rules of udev");
    assert!(rules.contains("PROGRAM==\"/usr/bin/qrisctl chip-label $devnode\", RESULT==\"pinctrl-rp1\", OWNER:=\"root\""), "{rules}");
    assert!(doctor().contains("/dev/gpiochip2 can be opened by pi (group gpio)"), "{}", doctor());
    // A machine without chips and panels needs no rule.
    set_up(&["--screen", "virtual:/run/qrisd/screen", "--line", "A1,A2=sim:/var/lib/qris-relay/line.log"]);
    assert!(!site.file(RULES).exists());
}
