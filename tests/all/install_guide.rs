//! docs/using/install.md and by-hand.md, followed word by word to the first sale: the blocks with a label (```` ```sh broker ````) run as they
//! stand, on one computer that is broker, merchant's server, machine and operator's, with the programs of this build. What
//! is only said in words – a file to edit, a key to type, a customer who pays – is done by this test.
//!
//! The computer is this one's, in namespaces of its own: what is written lies in memory over `/etc`, `/usr` and `/var`, and
//! nobody outside sees it. Of its commands these are stand-ins: `systemctl`, which starts what the units say as whom they
//! say; `apt-get`, `udevadm`, `ssh` to this very computer, `sudo` and `systemd-ask-password`. Needs root.

use crate::rig::midtrans::SERVER_KEY;
use crate::rig::process::Process;
use crate::rig::screen::Screen;
use crate::rig::{command, output, source_text, succeed, tool, wait_for};
use qris::order::ids::OrderId;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;

const GUIDE: &str = "docs/using/install.md";
const BY_HAND: &str = "docs/using/by-hand.md";
const ALONE: &str = "docs/using/one-pi.md";
/// Answers the question of `init`, and keeps its remarks.
const ASKED: &str = "echo ya | 2> /root/init qris-backend";
/// The simulated Midtrans of the computer.
const MIDTRANS: &str = "127.0.0.1:9000";

#[test]
fn by_hand_to_the_first_sale() {
    let computer = Computer::new();
    let mut operator = String::new();
    for block in guide() {
        match block.label.as_str() {
            "build" => computer.build(&block.text),
            "merchant" if block.text.contains("device add") => {
                computer.tries_a_charge(GUIDE);
                computer.follow(&block);
            }
            "broker" | "merchant" | "machine" => computer.follow(&block),
            // In one shell: it goes into a directory and sets a variable.
            "operator" => operator += &block.text,
            // For other ways, and for the end; and "charge", which is run when the backend runs. tests/repository runs that of the packages.
            "" | "charge" | "init" | "bundle" | "setup" | "end" | "packages" => {}
            label => panic!("{GUIDE}: nobody runs the block {label:?}"),
        }
    }
    computer.pages_are_there();
    computer.sells(&operator, "/var/lib/qris-relay/line.log");
    computer.carried_nothing_away();
}

#[test]
fn by_qrisctl_setup_to_the_first_sale() {
    let computer = Computer::new();
    let (mut operator, mut bundle) = (String::new(), None);
    for block in guide() {
        // What a package brings comes by the machine's first block; the rest of them is what the set-up does.
        let brings = block.label == "machine" && block.text.contains("/usr/bin/");
        let lets_in = block.text.contains("device add");
        match block.label.as_str() {
            "build" => computer.build(&block.text),
            "broker" => computer.follow(&block),
            // The guide makes the merchant's server by hand below.
            "bundle" => bundle = Some(block),
            "merchant" if !lets_in => computer.follow(&block),
            "machine" if brings => computer.follow(&block),
            "operator" => operator += &block.text,
            _ => {}
        }
    }
    computer.tries_a_charge(GUIDE);
    computer.follow(&bundle.expect("a machine that is let in"));
    let setup = blocks(GUIDE).into_iter().find(|block| block.label == "setup").expect("a set-up by flags").text;
    // This computer has neither a pin nor a panel.
    let words = replaced(
        &setup,
        &[
            ("/dev/gpiochip0:5:low", "sim:/var/lib/qris-relay/line.log"),
            ("/dev/gpiochip0:6:low", "sim:/var/lib/qris-relay/other.log"),
            ("qrisctl setup", "qrisctl setup --screen virtual:/var/lib/qrisd/screen.raw"),
        ],
    );
    computer.run("mkdir -p /run/systemd/system");
    let told = computer.run(&words);
    assert!(told.contains("the services run"), "{told}");
    let key = told.split("the relay signs with the key ").nth(1).and_then(|rest| rest.split(':').next());
    let key = key.unwrap_or_else(|| panic!("the relay's key is not told: {told}"));
    wait_for("the backend to know the relay's key", || computer.run("qris-backend device list").contains(key).then_some(()));
    computer.sells(&operator, "/var/lib/qris-relay/line.log");
    computer.carried_nothing_away();
}

/// One computer alone, by its own page. It is installed by the blocks for that, and here stands what `qris-backend init` makes.
#[test]
fn one_computer_alone_sells_by_its_page() {
    let computer = Computer::new();
    for block in guide() {
        match block.label.as_str() {
            "build" => computer.build(&block.text),
            "merchant" | "machine" if block.text.contains("/usr/bin/") => computer.follow(&block),
            _ => {}
        }
    }
    computer.start_midtrans();
    computer.run("mkdir -p /run/systemd/system");
    let page = blocks(ALONE);
    let block = |label: &str| page.iter().find(|block| block.label == label).unwrap_or_else(|| panic!("{ALONE}: no block {label}"));
    // A person types this. Midtrans is simulated.
    let answers = format!(
        "--ask --speak id --midtrans http://{MIDTRANS} --server-key-file /stand-in/server-key \
        --merchant Kios --contact 0812-0000-0000 --qris-fee 0.7 --desk-home 0.0.0.0:8480"
    );
    computer.run(&replaced(&block("init").text, &[("--sandbox", &answers), ("qris-backend", ASKED)]));
    // It lets the machine in by another process, which speaks as it does.
    let said = computer.run("cat /root/init");
    assert!(said.contains("teks ini memuat token mesin") && !said.contains("this text holds"), "{said}");
    let tried = computer.tries_a_charge(ALONE);
    assert!(tried.contains("charge_as = \"qris\""), "{tried}");
    let setup = replaced(
        &block("setup").text,
        &[
            ("/dev/gpiochip0:6:low:button=16", "sim:/var/lib/qris-relay/line.log"),
            ("qrisctl setup", "qrisctl setup --screen virtual:/var/lib/qrisd/screen.raw"),
        ],
    );
    let told = computer.run(&setup);
    assert!(told.contains("none is configured") && told.contains("the services run"), "{told}");
    assert!(computer.run(&block("sell").text).contains("requested"));
    computer.pays(|screen| {
        let payload = wait_for("a QR on the screen", || screen.payload());
        let (list, whole) = block("pay").text.trim_end().split_once('\n').expect("two commands");
        let list = computer.run(list);
        let order = list.split_whitespace().find(|word| OrderId::new(word).is_ok() && word.len() == 20);
        let whole = computer.run(&replaced(whole, &[("ORDER", &order.unwrap_or_else(|| panic!("no order in {list}"))[..5])]));
        assert!(whole.lines().any(|line| line.trim_start().starts_with("picture ") && line.ends_with("/qr-code")), "{whole}");
        payload
    });
    wait_for("the order to be dispensed", || computer.run(&block("sold").text).contains("dispensed").then_some(()));
    let edges = std::fs::read_to_string(computer.at("/var/lib/qris-relay/line.log")).expect("edges");
    assert_eq!(edges.lines().count(), 2, "{edges}");
    assert!(computer.run("busctl get-property io.qrisd.Device1 /io/qrisd/Device1 io.qrisd.Device1 Faults").contains("as 0"));
}

/// Each package says what to do next, and its program has that command.
#[test]
fn a_package_names_the_set_up_of_its_program() {
    for (package, program, words) in [
        ("qrisd", env!("CARGO_BIN_EXE_qrisctl"), "qrisctl setup"),
        ("qris-backend", env!("CARGO_BIN_EXE_qris-backend"), "qris-backend init"),
    ] {
        assert!(source_text(&format!("packaging/debian/{package}/postinst")).contains(&format!("sudo {words}")), "{package}: {words}");
        succeed(command(program).args([words.split(' ').next_back().expect("a word"), "--help"]));
    }
}

#[test]
fn by_qris_backend_init_to_the_first_sale() {
    let computer = Computer::new();
    let mut operator = String::new();
    for block in guide() {
        let brings = block.text.contains("/usr/bin/");
        match block.label.as_str() {
            "build" => computer.build(&block.text),
            "merchant" | "machine" if brings => computer.follow(&block),
            "operator" => operator += &block.text,
            _ => {}
        }
    }
    computer.world();
    computer.run("mkdir -p /run/systemd/system");
    let init = blocks(GUIDE).into_iter().find(|block| block.label == "init").expect("an init by flags").text;
    // This computer has a simulated Midtrans.
    let init = replaced(&init, &[("qris-backend init", &format!("qris-backend init --midtrans http://{MIDTRANS}"))]);
    computer.run(&init);
    computer.tries_a_charge(GUIDE);
    let setup = "qrisctl setup --from /run/qris-secrets/vm-001.enrolment --item A1:5000:Teh --screen virtual:/var/lib/qrisd/screen.raw \
                 --line A1=sim:/var/lib/qris-relay/line.log";
    let told = computer.run(setup);
    assert!(told.contains("the services run"), "{told}");
    computer.sells(&operator, "/var/lib/qris-relay/line.log");
    let doctor = computer.run("runuser -u qris-backend -- qris-backend doctor || true");
    assert!(!doctor.contains("charges"), "{doctor}");
    for good in ["OK    broker", "OK    accounts", "OK    midtrans", "OK    receipts"] {
        assert!(doctor.contains(good), "{good}: {doctor}");
    }
}

/// The owner's pages: `init` with an address for them, nginx with both files of the guide, and the link, opened from elsewhere.
#[test]
fn the_owner_s_pages_by_init_and_nginx() {
    let computer = Computer::new();
    for block in guide() {
        match block.label.as_str() {
            "build" => computer.build(&block.text),
            "merchant" if block.text.contains("/usr/bin/") => computer.follow(&block),
            _ => {}
        }
    }
    computer.start_midtrans();
    computer.run("mkdir -p /run/systemd/system");
    computer.run(&format!(
        "qris-backend init --yes --midtrans http://{MIDTRANS} --server-key-file /stand-in/server-key --public-url https://pay.example \
         --desk-url https://desk.pay.example --contact none --broker none --device none"
    ));
    // What certbot brings, and whom this computer believes.
    for name in ["pay.example", "desk.pay.example"] {
        computer.run(&format!(
            "mkdir -p /etc/letsencrypt/live/{name}; cd /etc/letsencrypt/live/{name}; openssl req -x509 -newkey rsa:2048 -nodes -days 2 \
             -subj /CN={name} -addext subjectAltName=DNS:{name} -keyout privkey.pem -out fullchain.pem 2> made; cat fullchain.pem >> /root/believed"
        ));
    }
    let text = source_text(GUIDE);
    let mut files = text.split("```nginx\n").skip(1).map(|part| part.split("```").next().expect("a file"));
    for name in ["qris-backend.conf", "qris-desk.conf"] {
        assert!(text.contains(&format!("as `/etc/nginx/conf.d/{name}`")), "{GUIDE} names {name}");
        computer.write(&format!("/etc/nginx/conf.d/{name}"), files.next().expect("a file for nginx"));
    }
    computer
        .run("mkdir -p /var/www/html/.well-known/acme-challenge; echo proof > /var/www/html/.well-known/acme-challenge/x; nginx -t; nginx");

    // A phone at another address. Whoever is refused before all is sent ends with an error.
    let ask = |method: &str, address: &str, more: &str, body: &str| {
        let head = format!(
            "{method} {address} HTTP/1.1\\r\\nHost: desk.pay.example\\r\\nAccept-Language: en\\r\\n{more}Connection: close\\r\\n\\r\\n"
        );
        computer.run(&format!(
            "printf '{head}%s' '{body}' | openssl s_client -quiet -verify_return_error -verify_hostname desk.pay.example -CAfile /root/believed \
             -servername desk.pay.example -bind 127.0.0.5:0 -connect 127.0.0.1:443 2> /dev/null || true"
        ))
    };
    let plain = |address: &str| {
        computer.run(&format!(
            "printf 'GET {address} HTTP/1.1\\r\\nHost: desk.pay.example\\r\\nConnection: close\\r\\n\\r\\n' | socat -t 5 - TCP:127.0.0.1:80"
        ))
    };
    let led = plain("/orders/4ts65");
    assert!(led.contains(" 301 ") && led.contains("Location: https://desk.pay.example/orders/4ts65\r\n"), "{led}");
    assert!(plain("/.well-known/acme-challenge/x").ends_with("proof\n"), "certbot renews by it");

    let add = blocks(GUIDE).into_iter().find(|block| block.text.contains("desk add")).expect("how a person is let in").text;
    let told = computer.run(&add);
    let link = told.lines().find_map(|line| line.strip_prefix("https://desk.pay.example")).unwrap_or_else(|| panic!("no link in {told}"));
    let led = plain(link);
    assert!(led.contains(&format!("Location: https://desk.pay.example{link}\r\n")), "{led}");
    let page = ask("GET", link, "", "");
    // A browser fetches the style, and says on which page, as far as the page lets it.
    let style = page.split("href=\"").find(|rest| rest.starts_with("/desk.")).and_then(|rest| rest.split('"').next()).expect("a style");
    let site = "https://desk.pay.example";
    let referer = if page.contains("referrer-policy: strict-origin\r\n") { format!("{site}/") } else { format!("{site}{link}") };
    let styled = ask("GET", style, &format!("Referer: {referer}\\r\\n"), "");
    assert!(styled.starts_with("HTTP/1.1 200 "), "{styled}");
    // What the web server refuses by itself it writes into its other log.
    let refused = ask("POST", link, "Content-Length: 20000\\r\\n", "");
    assert!(refused.starts_with("HTTP/1.1 413 "), "{refused}");
    assert!(page.contains("Welcome, Sari") && page.contains("Strict-Transport-Security: max-age=31536000"), "{page}");
    let visit = page.split("set-cookie: ").nth(1).and_then(|rest| rest.split(';').next()).unwrap_or_else(|| panic!("no cookie in {page}"));
    let token = page.split(&format!("action=\"{link}\"")).nth(1).and_then(|form| form.split("name=\"token\" value=\"").nth(1));
    let token = token.and_then(|rest| rest.split('"').next()).unwrap_or_else(|| panic!("no form in {page}"));
    let body = format!("token={token}&password=sapi+makan+rumput&again=sapi+makan+rumput");
    let more = format!(
        "Cookie: {visit}\\r\\nOrigin: https://desk.pay.example\\r\\nContent-Type: application/x-www-form-urlencoded\\r\\nContent-Length: {}\\r\\n",
        body.len()
    );
    let joined = ask("POST", link, &more, &body);
    let session = joined.split("set-cookie: ").find(|cookie| cookie.starts_with("__Host-desk=")).unwrap_or_else(|| panic!("{joined}"));
    let session = session.split(';').next().expect("a pair");
    let devices = ask("GET", "/sessions", &format!("Cookie: {session}\\r\\n"), "");
    assert!(devices.contains("You are logged in as Sari (owner).") && devices.contains("from 127.0.0.5"), "{devices}");
    let log = computer.run("cat /var/log/nginx/access.log /var/log/nginx/error.log");
    assert!(log.contains("/sessions") && log.contains(style) && !log.contains("/join/"), "a link is in the log of the web server: {log}");
}

/// A block of a document that a reader runs.
struct Block {
    /// What follows ```` ```sh ````.
    label: String,
    text: String,
}

/// The blocks of both pages, in the order in which they are run.
fn guide() -> impl Iterator<Item = Block> {
    [BY_HAND, GUIDE].into_iter().flat_map(blocks)
}

/// The blocks of a document that are commands.
fn blocks(document: &str) -> Vec<Block> {
    let text = source_text(document);
    // Every second part is within fences.
    let within = text.split("\n```").skip(1).step_by(2);
    let found: Vec<_> = within
        .filter_map(|part| {
            let (first, text) = part.split_once('\n')?;
            Some(Block { label: first.strip_prefix("sh")?.trim().to_owned(), text: format!("{text}\n") })
        })
        .collect();
    assert!(!found.is_empty(), "{document} has no blocks");
    found
}

/// A text with other words in places that must be there.
fn replaced(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "there is no {from:?} in:\n{text}");
        text.replacen(from, to, 1)
    })
}

/// A computer in namespaces of its own.
struct Computer {
    holder: Process,
    directory: tempfile::TempDir,
}

impl Computer {
    fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("qris").tempdir().expect("a temporary directory");
        let script = MAKE.replace("SOURCE", env!("CARGO_MANIFEST_DIR")).replace("DIRECTORY", &directory.path().display().to_string());
        let mut start = command(tool("unshare"));
        start.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec", &script]);
        let holder = Process::start("computer", &mut start);
        holder.wait_line("made");
        let computer = Self { holder, directory };
        computer.take(Path::new(env!("CARGO_BIN_EXE_qris-demo")), "/stand-in/qris-demo");
        computer.take(Path::new(env!("CARGO_BIN_EXE_qris-tools")), "/stand-in/qris-tools");
        for (name, script) in STAND_INS {
            computer.write(&format!("/stand-in/{name}"), script);
        }
        computer.write("/stand-in/server-key", SERVER_KEY);
        computer.run("chmod 755 /stand-in/*; systemctl start dbus");
        computer
    }

    /// A shell on it, in the clone, as root.
    fn shell(&self, script: &str) -> Command {
        let id = self.holder.id();
        let mut enter = command(tool("nsenter"));
        // What was started there sees the processes of there, and `unshare` itself those of here.
        enter.args([&format!("--target={id}"), "--mount", "--net", &format!("--pid=/proc/{id}/ns/pid_for_children"), "--"]);
        enter.arg("chroot").arg(self.directory.path().join("root"));
        enter.args(["bash", "-euo", "pipefail", "-c", &format!("cd /root/qrisd\n{script}")]);
        enter.env("PATH", "/stand-in:/usr/sbin:/usr/bin").env("HOME", "/root").env("LANG", "C.UTF-8");
        enter
    }

    /// Runs a block as it stands. It must succeed, each line of it, and none may be at odds with what Debian has.
    fn run(&self, block: &str) -> String {
        let told = output(&mut self.shell(block));
        let (text, errors) = (String::from_utf8_lossy(&told.stdout).into_owned(), String::from_utf8_lossy(&told.stderr));
        assert!(told.status.success(), "{}: {text}{errors}\nof:\n{block}", told.status);
        assert!(!errors.contains("onflict"), "{errors}\nof:\n{block}");
        text
    }

    /// Does what the guide says: in words, and in a block.
    fn follow(&self, block: &Block) {
        self.prepare_for(&block.text);
        self.run(&block.text);
    }

    /// A path of there, for who is here.
    fn at(&self, path: &str) -> PathBuf {
        let root = self.directory.path().join("root").join(path.trim_start_matches('/'));
        PathBuf::from(format!("/proc/{}/root", self.holder.id())).join(root.strip_prefix("/").expect("absolute"))
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::write(self.at(path), text).unwrap_or_else(|why| panic!("{path}: {why}"));
    }

    fn edit(&self, path: &str, changes: &[(&str, &str)]) {
        let text = std::fs::read_to_string(self.at(path)).unwrap_or_else(|why| panic!("{path}: {why}"));
        self.write(path, &replaced(&text, changes));
    }

    /// A program of this build, without what a debugger wants: it all lies in memory.
    fn take(&self, program: &Path, to: &str) {
        let to = self.at(to);
        std::fs::create_dir_all(to.parent().expect("in a directory")).expect("made");
        succeed(command(tool("strip")).arg("-o").arg(to).arg(program));
    }

    /// Puts the programs of this build where the guide's calls of cargo leave theirs, by Cargo.toml: it takes long to link
    /// them so.
    fn build(&self, block: &str) {
        let cargo: toml::Table = source_text("Cargo.toml").parse().expect("Cargo.toml");
        let programs = [
            ("qrisd", env!("CARGO_BIN_EXE_qrisd")),
            ("qris-relayd", env!("CARGO_BIN_EXE_qris-relayd")),
            ("qrisctl", env!("CARGO_BIN_EXE_qrisctl")),
            ("qris-backend", env!("CARGO_BIN_EXE_qris-backend")),
            ("qris-desk", env!("CARGO_BIN_EXE_qris-desk")),
        ];
        for line in block.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            let ["cargo", "build", "--profile", profile, "--no-default-features", "--features", features] = words[..] else {
                panic!("{GUIDE}: this test does not know {line:?}")
            };
            assert!(cargo["profile"].get(profile).is_some(), "Cargo.toml has no profile {profile}");
            let features: Vec<_> = features.split(',').collect();
            assert!(features.iter().all(|feature| cargo["features"].get(feature).is_some()), "{features:?}");
            for (name, program) in programs {
                let mut binaries = cargo["bin"].as_array().expect("binaries").iter();
                let binary = binaries.find(|binary| binary["name"].as_str() == Some(name)).expect("a binary");
                let mut required = binary["required-features"].as_array().expect("a list").iter().filter_map(toml::Value::as_str);
                if required.all(|feature| features.contains(&feature)) {
                    self.take(Path::new(program), &format!("/root/qrisd/target/{profile}/{name}"));
                }
            }
        }
    }

    /// What the guide says in words before a block.
    fn prepare_for(&self, block: &str) {
        if block.contains("/etc/mosquitto/certs/") {
            let ca = blocks("config/README.md").into_iter().find(|block| block.label == "ca").expect("how to make a private CA").text;
            self.run(&ca);
            self.world();
        }
        if block.contains("qris-backend --check") {
            let base_url = format!("base_url = \"http://{MIDTRANS}\"\nallow_other_host = true");
            self.edit(
                "/etc/qris-backend/backend.toml",
                &[("base_url = \"https://api.sandbox.midtrans.com\"", &base_url), ("# ca_file", "ca_file")],
            );
        }
        if block.contains("qrisd --check") {
            // The first is the broker's.
            let panel = "virtual = { path = \"/var/lib/qrisd/screen.raw\" }";
            self.edit("/etc/qrisd/qrisd.toml", &[("# ca_file", "ca_file"), ("rotate = 0", &format!("{panel}\nrotate = 0"))]);
            self.edit("/etc/qrisd/relay.toml", &[("chip = \"pinctrl-bcm2711\"", "chip = \"sim:/var/lib/qris-relay/line.log\"")]);
        }
    }

    /// A web server in front of the backend, with the certificate of a CA that everybody trusts; and Midtrans.
    fn world(&self) {
        let ca = blocks("config/README.md").into_iter().find(|block| block.label == "ca").expect("how to make a private CA").text;
        let public = ca.replace("broker", "pay").replace("qrisd CA", "A public CA");
        self.run(&format!(
            "mkdir -p /root/web; cd /root/web; {public}cat ca.pem >> /etc/ssl/certs/ca-certificates.crt\n\
             socat OPENSSL-LISTEN:443,reuseaddr,fork,verify=0,cert=pay.pem,key=pay.key TCP:127.0.0.1:8080 > log 2>&1 &"
        ));
        self.start_midtrans();
    }

    /// The simulated Midtrans. Set-up asks it at once.
    fn start_midtrans(&self) {
        self.run(&format!(
            "mkfifo /root/says; qris-demo midtrans --listen {MIDTRANS} --server-key {SERVER_KEY} > /root/says 2> /root/midtrans &\n\
             grep -q listening /root/says"
        ));
    }

    /// The block for it. The doctor proposes it until the first order.
    fn tries_a_charge(&self, page: &str) -> String {
        let plain = self.run("runuser -u qris-backend -- qris-backend doctor || true");
        assert!(plain.contains("WARN  charges") && plain.contains("doctor --charge"), "{plain}");
        let told = self.run(&blocks(page).into_iter().find(|block| block.label == "charge").expect("a charge that is tried").text);
        assert!(told.contains("OK    charge") && !told.contains("WARN  charges"), "{told}");
        told
    }

    /// Each unit names a manual page that comes with it. Those of the machine are not at the merchant's server.
    fn pages_are_there(&self) {
        let machine = ["qrisd.service", "qris-relayd.service", "qris-again@qrisd.service.service", "qris-again@qrisd.service.target"];
        let merchant =
            ["qris-backend.service", "qris-backend-again@qris-backend.service.service", "qris-backend-again@qris-backend.service.target"];
        self.run(
            "qris-tools manuals /root/made; cd /root/made; mkdir -p m/man1 m/man8 b/man8; cp man/qris-backend*.8 b/man8; \
             cp man/qrisd*.8 man/qris-relayd*.8 m/man8; cp man/qrisctl*.1 m/man1",
        );
        for (pages, units) in [("m", &machine[..]), ("b", &merchant)] {
            let verify = format!("MANPATH=/root/made/{pages} systemd-analyze verify --recursive-errors=no {} 2>&1", units.join(" "));
            assert_eq!(self.run(&verify), "", "{units:?}");
        }
    }

    /// The operator's blocks, and a customer who pays: one pulse, and `qrisctl` ends well.
    fn sells(&self, operator: &str, log: &str) {
        // A person is slower than the machine, which has to find its broker and its relay first.
        let status = "qrisctl --broker mqtts://broker.example:8883 --username fleet --password-file /run/qris-secrets/mqtt-fleet \
                      --ca-file /etc/mosquitto/certs/ca.pem status";
        wait_for("the machine to be ready", || {
            let told = self.run(status);
            (told.contains(" online ") && !told.contains("faults")).then_some(())
        });
        let vend = Process::start("operator", &mut self.shell(operator));
        self.pays(|screen| {
            wait_for("a QR on the screen", || {
                assert!(vend.try_status().is_none(), "the operator's commands ended:\n{}", vend.text());
                screen.payload()
            })
        });
        let (status, told) = vend.finish();
        assert!(status.success() && told.contains("dispensed"), "{status}: {told}");
        let edges = std::fs::read_to_string(self.at(log)).expect("edges");
        assert_eq!(edges.lines().map(|edge| edge.rsplit(' ').next().unwrap_or_default()).collect::<Vec<_>>(), ["1", "0"], "{edges}");
    }

    /// The customer pays what the panel shows.
    fn pays(&self, scan: impl FnOnce(&Screen) -> String) {
        let payload = scan(&Screen::new(self.at("/var/lib/qrisd/screen.raw"), 480, 800));
        let body = json!({"qr": payload, "via": "gopay"}).to_string();
        let head =
            format!("POST /sim/pay HTTP/1.1\\r\\nHost: x\\r\\nContent-Type: application/json\\r\\nContent-Length: {}\\r\\n", body.len());
        // The server takes the end of what it hears for the end of who asks: that comes after its answer.
        let answer =
            self.run(&format!("printf '{head}Connection: close\\r\\n\\r\\n%s' '{body}' | socat -t 0.1 STDIO,ignoreeof TCP:{MIDTRANS}"));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// The last block; then each secret is where it is used, and nowhere else.
    fn carried_nothing_away(&self) {
        let used = [
            "/etc/qrisd/mqtt-password",
            "/etc/qrisd/backend-token",
            "/etc/qris-backend/mqtt-password",
            "/root/.config/qrisctl/fleet-password",
        ];
        let end = blocks(GUIDE).into_iter().find(|block| block.label == "end").expect("what removes secrets").text;
        self.run(&end);
        for file in used {
            let found = self.run(&format!("grep -rlFf {file} /etc /root /run /tmp /var/lib/qris* /var/tmp"));
            assert_eq!(found.lines().collect::<Vec<_>>(), [file]);
        }
    }
}

/// Makes the computer: memory over the directories of this one, and nothing of its devices, processes and networks.
const MAKE: &str = r#"
mount -t tmpfs -o mode=755 none DIRECTORY
cd DIRECTORY
for name in etc usr var; do
  mkdir -p "over/$name" "work/$name" "root/$name"
  mount -t overlay none -o "lowerdir=/$name,upperdir=over/$name,workdir=work/$name" "root/$name"
done
cd root
for name in bin sbin lib lib32 lib64 libx32; do
  [ ! -L "/$name" ] || ln -s "usr/$name" "$name"
done
mkdir -p -m755 proc dev sys run home stand-in root/qrisd
mkdir -m1777 tmp
mount -t proc none proc
for node in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9"; do
  set -- $node
  mknod -m666 "dev/$1" c "$2" "$3"
done
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin; ln -s fd/1 dev/stdout; ln -s fd/2 dev/stderr
ip link set lo up
echo "127.0.0.1 localhost broker.example pay.example" > etc/hosts
cp -r SOURCE/config SOURCE/systemd root/qrisd/
echo made
exec sleep infinity
"#;

/// What the computer has instead of a command of its own.
const STAND_INS: [(&str, &str); 6] = [
    // It starts what a unit says, waits until that is ready, and reloads the bus as its unit does.
    (
        "systemctl",
        r#"#!/bin/bash
set -e
start() {
  local unit=/usr/lib/systemd/system/$1.service needs user line
  needs=$(sed -n 's/^ConditionPathExists=//p' "$unit")
  [ -z "$needs" ] || [ -e "$needs" ] || return 0
  sed -n 's/^ExecStartPre=//p' "$unit" | while read -r line; do sh -c "$line"; done
  user=$(sed -n 's/^User=//p' "$unit")
  if [ "$1" = dbus ]; then
    mkdir -p /run/dbus
    dbus-daemon --system --nopidfile --fork
    return
  fi
  # A listener that a unit has on its standard input is opened by its socket.
  local before=() listen
  listen=$(sed -n 's/^ListenStream=//p' "${unit%.service}.socket" 2> /dev/null || true)
  [ -z "$listen" ] || before=(perl -MIO::Socket::INET -MPOSIX=dup2 -e '
    my $at = IO::Socket::INET->new(LocalAddr => shift, Listen => 64, ReuseAddr => 1) or die; dup2(fileno($at), 0); exec @ARGV' "$listen")
  socat -u "UNIX-RECV:/run/$1.notify,mode=666" "CREATE:/run/$1.told" > /dev/null 2>&1 < /dev/null &
  until [ -S "/run/$1.notify" ]; do sleep 0.01; done
  NOTIFY_SOCKET=/run/$1.notify "${before[@]}" setpriv --reuid "${user:-root}" --regid "${user:-root}" --init-groups \
    $(sed -n 's/^ExecStart=//p' "$unit") > "/run/$1.log" 2>&1 < /dev/null &
  until grep -q READY=1 "/run/$1.told" 2> /dev/null; do
    kill -0 $! || { cat "/run/$1.log" >&2; exit 1; }
    sleep 0.01
  done
}
case "$1" in
  daemon-reload) ;;
  reload) [ "$2" = dbus ]; busctl call org.freedesktop.DBus / org.freedesktop.DBus ReloadConfig ;;
  start | restart | reload-or-restart) start "${2%.service}" ;;
  enable)
    shift
    starts=no
    for name in "$@"; do
      [ "$name" != --now ] || { starts=yes; continue; }
      grep -q '^WantedBy=' "/usr/lib/systemd/system/${name%.service}.service"
      [ $starts = no ] || start "${name%.service}"
    done
    ;;
  reset-failed) exit 1 ;;
  show) echo "ActiveState=inactive" ;;
  *) echo "what is systemctl $*?" >&2; exit 1 ;;
esac
"#,
    ),
    // What it would install is here.
    ("apt-get", "#!/bin/sh\n[ \"$1 $2 $#\" = \"install -y 3\" ] && dpkg -s \"$3\" > /dev/null\n"),
    ("udevadm", "#!/bin/sh\n"),
    ("ssh", "#!/bin/sh\n[ $# -ge 2 ] || exit 1\nshift\nexec sh -c \"cd; $*\"\n"),
    ("sudo", "#!/bin/sh\nexec \"$@\"\n"),
    ("systemd-ask-password", "#!/bin/sh\nexec cat /stand-in/server-key\n"),
];
