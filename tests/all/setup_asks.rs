//! `qrisctl setup` as a conversation: what is wrong is told where it is typed and asked for again; who ends it, by whatever
//! way, finds everything as it was.

use crate::rig::certificates::Certificates;
use crate::rig::mosquitto::password;
use crate::rig::namespace::Namespace;
use crate::rig::process::{Process, await_end};
use crate::rig::shop::{DEVICE, Program, without_broker};
use crate::rig::{command, free_port, output, stderr, stdout, succeed, tool, wait_for};
use crate::setup::Site;
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Answers line by line, to their end; the set-up must succeed.
fn converse_well(site: &Site, lines: &[&str], more: &[&str]) -> Output {
    let done = converse(site, lines, more);
    assert_eq!(done.status.code(), Some(0), "{}", crate::rig::output_text(&done));
    done
}

/// The same, however it ends.
fn converse(site: &Site, lines: &[&str], more: &[&str]) -> Output {
    let file = site.shop.path().join("answers");
    std::fs::write(&file, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).expect("written");
    output(site.setup().args(["--ask", "--no-start"]).args(more).stdin(std::fs::File::open(&file).expect("there")))
}

fn told(output: &Output, words: &[&str]) {
    let shown = crate::rig::output_text(output);
    for words in words {
        assert!(shown.contains(words), "{words}:\n{shown}");
    }
}

#[test]
fn a_person_is_asked_for_what_nobody_said_and_again_for_what_is_wrong() {
    let site = Site::new();
    let text = site.enrolment();
    let here = site.shop.path().display();
    let run = |lines: &[&str], more: &[&str]| converse(&site, lines, more);
    let (item, line) = ("A1:5000:Teh", format!("A1=sim:{here}/relay.log:50ms"));
    // Text, name, language, contact, no panel and so no card, goods; pulse, seen right, not again; write.
    let good = [text.as_str(), "Lobi", "both", "0812-1", "none", "A 1:x", item, "", &line, "", "yes", "", "", "no"];
    let empty = site.tree();
    let left = run(&[&good[..], &["no"]].concat(), &[]);
    assert_eq!(left.status.code(), Some(1), "{}{}", stdout(&left), stderr(&left));
    assert_eq!(site.tree(), empty, "who says no at the end changes nothing");
    assert_eq!(site.shop.pulses(), 1, "yes was said once, then no");
    let silent = run(&good[..3], &[]);
    assert!(silent.status.code() == Some(1) && stderr(&silent).contains("there are no more answers"), "{}", stderr(&silent));
    assert_eq!(site.tree(), empty);

    // A wrong word is told at once. A text that was pasted in two lines, and a broker that is not there: told, asked again, and taken.
    let (first, second) = text.split_at(100);
    let closed = format!("mqtt://127.0.0.1:{}", free_port());
    let url = format!("mqtt://127.0.0.1:{}", site.shop.broker.port);
    let again = ["yes", &url, "", "", "no", "yes"];
    let done = converse_well(&site, &[&["a wrong word", first, second][..], &good[1..10], &again].concat(), &["--broker", &closed]);
    assert!(stdout(&done).contains("BAD   broker") && stdout(&done).contains("OK    broker"), "{}", stdout(&done));
    let written = std::fs::read_to_string(site.file("etc/qrisd/qrisd.toml")).expect("written");
    for words in ["language = \"both\"", "contact = \"0812-1\"", "required = false", url.as_str()] {
        assert!(written.contains(words), "{words}:\n{written}");
    }
    assert!(!stdout(&done).contains(&password(DEVICE)));

    // A text without a broker: Enter says that there is none.
    std::fs::remove_dir_all(site.file("etc/qrisd")).expect("there");
    site.shop.edit(Program::Backend, without_broker);
    let told = site.shop.merchant(&["device", "add", DEVICE, "--replace", "--bundle"]);
    let text = stdout(&told);
    let done = converse_well(&site, &[&[text.trim(), ""][..], &good[1..10], &["no", "yes"]].concat(), &[]);
    assert!(stdout(&done).contains("none is configured"), "{}", stdout(&done));
    assert!(!std::fs::read_to_string(site.file("etc/qrisd/qrisd.toml")).expect("written").contains("[mqtt]"));
}

/// A person at a terminal: what stands there, and what is typed or pasted.
pub struct Terminal {
    child: Child,
    shown: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    pub fn start(command: &Command) -> Self {
        let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
        let words: Vec<_> = words.iter().map(|word| format!("'{}'", word.to_string_lossy())).collect();
        let mut script = crate::rig::command(tool("script"));
        script.args(["-qefc", &format!("exec {}", words.join(" ")), "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = script.spawn().expect("script runs");
        let shown = Arc::new(Mutex::new(String::new()));
        let (mut out, sink) = (child.stdout.take().expect("piped"), Arc::clone(&shown));
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = out.read(&mut buffer) {
                sink.lock().expect("nobody fails with it").push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        });
        Self { child, shown, reader: Some(reader) }
    }

    pub fn shown(&self) -> String {
        self.shown.lock().expect("nobody fails with it").clone()
    }

    /// Waits until `question` stands there, then types.
    pub fn answer(&mut self, question: &str, typed: &str) {
        wait_for(question, || self.shown().contains(question).then_some(()));
        let input = self.child.stdin.as_mut().expect("piped");
        input.write_all(typed.as_bytes()).and_then(|()| input.flush()).expect("it listens");
    }

    pub fn end(&mut self) -> ExitStatus {
        await_end(self.child.id(), "the program at the terminal");
        let status = self.child.wait().expect("ours");
        // Its last words may still be on their way.
        self.reader.take().into_iter().for_each(|reader| reader.join().expect("it reads"));
        status
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_text_with_certificates_is_pasted_at_a_terminal() {
    let site = Site::new();
    let certificates = Certificates::make();
    let ca = std::fs::read_to_string(certificates.certificate("ca")).expect("made");
    let (long, other) = (site.shop.path().join("long.pem"), site.shop.path().join("other.pem"));
    std::fs::write(&long, ca.repeat(8)).expect("written");
    std::fs::write(&other, ca.repeat(7)).expect("written");
    let bundle = |broker_ca: &Path| {
        let paths = [&long, broker_ca].map(|path| path.display().to_string());
        let told = site.shop.merchant(
            &[
                &["device", "add", DEVICE, "--replace", "--bundle", "--backend-url", "https://pay.example", "--backend-ca-file", &paths[0]]
                    [..],
                &["--broker-url", "mqtts://broker.example", "--broker-ca-file", &paths[1]],
            ]
            .concat(),
        );
        assert_eq!(told.status.code(), Some(0), "{}", stderr(&told));
        stdout(&told)
    };
    // A CA of both once: not for ever longer than a terminal takes in one line.
    let (once, twice) = (bundle(&long), bundle(&other));
    assert!(twice.len() > 2 * 4096 && once.len() < twice.len() * 2 / 3, "{} and {}", once.len(), twice.len());
    let mut setup = site.setup();
    setup.args(["--offline", "--name", "Lobi", "--language", "id", "--contact", "0812"]).args(site.goods());
    let mut terminal = Terminal::start(&setup);
    terminal.answer("there is none): ", &twice);
    terminal.answer("The machine's password there (is not shown): ", "hunter2\n");
    terminal.answer("test card on the panel? [no]: ", "\n");
    terminal.answer("keep your hands away [no]: ", "\n");
    terminal.answer("Write these files? [yes]: ", "\n");
    assert!(terminal.end().success(), "{}", terminal.shown());
    assert_eq!(std::fs::read_to_string(site.file("etc/qrisd/backend-ca.pem")).expect("written"), ca.repeat(8));
    assert_eq!(std::fs::read_to_string(site.file("etc/qrisd/broker-ca.pem")).expect("written"), ca.repeat(7));
    assert_eq!(std::fs::read_to_string(site.file("etc/qrisd/mqtt-password")).expect("written"), "hunter2\n");
    let shown = terminal.shown();
    assert!(!shown.contains("qris-enrol1") && !shown.contains("hunter2") && !shown.contains("\n\r\n\r\n"), "{shown}");
}

#[test]
fn a_person_whose_locale_is_indonesian_is_asked_in_indonesian() {
    let site = Site::new();
    let (setup, text) = (site.setup(), site.enrolment());
    let mut here = command(tool("env"));
    here.arg("LC_ALL=id_ID.UTF-8").arg(setup.get_program()).args(setup.get_args()).args(["--no-start", "--screen", "none"]);
    let sim = format!("A1=sim:{}/relay.log:50ms\n", site.shop.path().display());
    let mut terminal = Terminal::start(&here);
    for (question, typed) in [
        ("Enter: tidak ada): ", "/run/vm-001\n"),
        ("  ini bukan teks pendaftaran dan bukan kode", format!("{text}\n").as_str()),
        ("Nama mesin bagi pelanggan [vm-001]: ", "茶\n"),
        ("  layar tidak punya '茶': tulis dengan huruf Latin", "Lobi\n"),
        ("Bahasa pelanggan: id, en atau both (keduanya) [id]: ", "\n"),
        ("(Enter: tidak ada): ", "0812-1\n"),
        ("  Barang: ", "A1:5.000\n"),
        ("  \"5.000\" harus rupiah bulat dengan angka saja: tulis 5000", "A1\n"),
        ("  harus berbentuk ID:HARGA[:NAMA]", "A 1:5000\n"),
        ("  ID barang harus 1–32 karakter", "A1:0\n"),
        ("  harga harus 1 sampai 20000000 rupiah", "A1:5000:Teh botol\n\n"),
        ("  Jalur: ", "\n"),
        ("  Belum ada jalur yang mengeluarkan A1.", &sim),
        ("Jalur \"A1\": aktifkan sekarang?", "mungkin\n"),
        ("  Jawab y (ya) atau t (tidak)", "t\n"),
        ("Tulis berkas ini? [ya]: ", "y\n"),
    ] {
        // The question about the line follows an empty answer.
        let typed = if typed == sim { format!("{sim}\n") } else { typed.to_owned() };
        terminal.answer(question, &typed);
    }
    assert!(terminal.end().success(), "{}", terminal.shown());
    let shown = terminal.shown();
    assert!(shown.contains("selesai disiapkan. Untuk mulai menjual: systemctl enable --now"), "{shown}");
    // What it found outside is told in the same language.
    for words in
        ["Chip GPIO:", " menerima tokennya", "1 kunci tanda terima", "daripada jam backend", "untuk mengirim di semua topik vm-001"]
    {
        assert!(shown.contains(words), "{words:?}: {shown}");
    }
    for english in
        ["[yes]", "[no]", "is not shown", "The machine", "Write ", "nothing was changed", "takes the", "must be", "GPIO chips", " here"]
    {
        assert!(!shown.contains(english), "{english:?}: {shown}");
    }
    assert!(site.file("etc/qrisd/qrisd.toml").exists());

    // A flag says it, too, and a script hears English whatever the locale is.
    let asked = converse(&site, &[], &["--speak", "id"]);
    told(&asked, &["Komputer ini akan menjadi mesin yang berjualan."]);
    assert!(stderr(&asked).contains("tidak ada jawaban lagi: tidak ada yang berubah"), "{}", stderr(&asked));
    let script = output(site.setup().env("LC_ALL", "id_ID.UTF-8").args(["--yes", "--offline", "--dry-run"]));
    told(&script, &["nothing was changed"]);
}

#[test]
fn what_is_refused_is_told_in_indonesian() {
    let site = Site::new();
    let run = |lines: &[&str], more: &[&str]| converse(&site, lines, &[&["--speak", "id"][..], more].concat());
    let backend = &site.shop.backend_url;
    let code = format!("{backend}#{DEVICE}.7QX2-9MKP-V4TD-0RHE-6ZNA");
    let empty = site.shop.path().join("empty.pem");
    std::fs::write(&empty, "no certificate\n").expect("written");
    let ca = empty.display().to_string();
    // A code that was never made, and then by hand: addresses without TLS, a CA without a certificate.
    let by_hand = ["", DEVICE, "mqtt://broker.example", "broker", "none", "http://pay.example", "https://pay.example", "token", &ca];
    let refused = run(&[&[code.as_str()][..], &by_hand].concat(), &[]);
    told(
        &refused,
        &[
            "kode ini tidak berlaku: minta kode baru kepada penjual (kata backend: ",
            "mqtt:// hanya untuk loopback: pakai mqtts://",
            "harus mqtts://HOST[:PORT] atau mqtt://HOST[:PORT], bukan \"broker\"",
            "http:// hanya untuk loopback: pakai https://",
            "empty.pem: tidak berisi sertifikat yang bisa dipakai",
        ],
    );
    let nowhere = ["setup", "--ask", "--speak", "id", "--root", "/nowhere"];
    told(&output(command(env!("CARGO_BIN_EXE_qrisctl")).args(nowhere)), &["sebutkan direktori yang ada"]);
    // By flags, while a person sits there.
    let (cut, nothing) = (&site.enrolment()[..100], site.shop.path().join("nothing"));
    std::fs::write(&nothing, "").expect("written");
    let nothing = nothing.display().to_string();
    for (flags, words) in [
        (&["--token-file", &nothing][..], "nothing kosong: tulis rahasianya di sana"),
        (&["--token-file", "/nowhere/token"], "rahasia di /nowhere/token tidak bisa dibaca"),
        (&["--from", &nothing], "nothing: kosong"),
        (&["--from", ""], "kosong: berikan teks pendaftaran"),
        (&["--from", &ca], "ini bukan teks pendaftaran: teksnya diawali qris-enrol1"),
        (&["--from", cut], "teks pendaftaran ini rusak"),
        (&["--from", &"x".repeat(2000)], "ini bukan teks pendaftaran, dan bukan path sebuah berkas"),
        (&["--code", &code, "--device", "vm-002"], "kode itu untuk vm-001, tetapi --device menyebut vm-002"),
        (&["--code", "7QX2-9MKP-V4TD-0RHE-6ZNA"], "kode saja perlu --device ID dan --backend URL"),
        (&["--code", "https://pay.example#"], "ini bukan undangan"),
        (&["--code", "http://pay.example#vm-001.7QX2-9MKP-V4TD-0RHE-6ZNA"], "alamat backend: http:// hanya untuk loopback"),
    ] {
        told(&run(&[], flags), &[words]);
    }
    // A machine with a panel, and nobody whom its customers can call.
    let (text, goods) = (site.enrolment(), site.goods());
    let goods = goods.iter().map(String::as_str).filter(|word| *word != "--no-start");
    let flags: Vec<_> = ["--offline", "--name", "Lobi", "--language", "id"].into_iter().chain(goods).collect();
    let silent = run(&[&text, "", "", "ya"], &flags);
    told(&silent, &["`screen.contact` belum diisi", "jalur \"A1\": sudah diaktifkan"]);
    let shown = crate::rig::output_text(&silent);
    assert!(!shown.contains("is missing") && !shown.contains("driven"), "{shown}");
}

#[test]
fn answers_that_do_not_fit_each_other_are_told_in_indonesian() {
    let site = Site::new();
    let text = site.enrolment();
    let (first, second) = ("A1=pl061:4:button=26", "A2=pl061:5:button=26");
    let answers = [&text, "Lobi", "", "", "none", "A1:5000", "A2:9000", "", first, second, ""];
    let again = ["", "-A2", "A2=pl061:5:button=27", "", "ya"];
    let done = converse_well(&site, &[&answers[..], &again].concat(), &["--speak", "id", "--offline"]);
    let cannot = "Ini tidak bisa dipakai: jalur yang mengeluarkannya (offset): jalur 26 di pl061 sudah dipakai button[0].offset";
    told(&done, &[cannot, "Jawab lagi bagian itu? [ya]: "]);
}

#[test]
fn each_wrong_answer_is_told_at_once_and_what_was_good_is_kept() {
    let site = Site::new();
    let text = site.enrolment();
    let sim = format!("A1=sim:{}/relay.log:50ms", site.shop.path().display());
    // Name, language, contact: letters that no screen has, and words that are no language.
    let looks = ["茶", "Lobi", "klingon", "EN", "茶", "", "none"];
    // Twice, more than the most, taken away again, one that is not there.
    let items = ["A1:5000:Teh", "A1:6000:Kopi", "A2:9000-100", "A2:9000", "A3:1000", "-A3", "-A9", ""];
    // Not sold; not all of them yet; a pin twice; an item twice; no such pulse.
    let lines = ["Z=sim:/tmp/z", "A2=pl061:4", "", "A1=pl061:4", "A2=pl061:5", "A1=pl061:5:0ms", &sim];
    let answers = [&[text.as_str()][..], &looks, &items, &lines, &["", "no", "yes"]].concat();
    let done = converse_well(&site, &answers, &["--offline"]);
    told(
        &done,
        &[
            "the screen has no '茶'",
            "id, en or both",
            "A1 is there already: A1:5000:Teh",
            "the least price, Rp9.000, is more than",
            "there is no A9 to take away",
            "it hands out Z, which is not sold. Sold: A1, A2",
            "No line hands out A1 yet.",
            "that pin is in use already: A2=pl061:4",
            "A2 has a line already",
            "a pulse takes 1 to 120000 ms",
        ],
    );
    assert!(!stdout(&done).contains("Line \"A2\": pulse"), "a pin of another computer can be tried here: {}", stdout(&done));
    let written = |name: &str| std::fs::read_to_string(site.file(name)).expect("written");
    let (qrisd, relay) = (written("etc/qrisd/qrisd.toml"), written("etc/qrisd/relay.toml"));
    assert!(qrisd.contains("id = \"A1\"\nname = \"Teh\"\nprice = 5000") && qrisd.contains("id = \"A2\"\nprice = 9000"), "{qrisd}");
    assert!(!qrisd.contains("A3") && qrisd.contains("language = \"en\""), "{qrisd}");
    assert!(relay.contains("items = [\"A2\"]") && relay.contains("offset = 4") && relay.contains("relay.log"), "{relay}");

    // What lies on the disk does not fit any more: told in words, and only that is asked for again.
    let cheaper = qrisd.replace("price = 5000", "price = 4000");
    std::fs::write(site.file("etc/qrisd/qrisd.toml"), cheaper).expect("written");
    let kept = ["", "", "", "", "", "", "", "", "", ""];
    let lines = ["yes", &sim, "A2=pl061:4", "", "no", "yes"];
    let done = converse_well(&site, &[&kept[..], &lines[..]].concat(), &["--offline"]);
    told(
        &done,
        &["This cannot be: the lines that hand them out (min_amount): is more than Rp4.000, the price of A1", "Answer that again? [yes]: "],
    );
    assert!(written("etc/qrisd/relay.toml").contains("min_amount = 4000"));
    // Nobody can give a machine another name by the way, nor take another's text.
    let before = site.tree();
    let done = converse(&site, &["vm-009"], &["--offline"]);
    told(&done, &["this machine is vm-001 already", "--force"]);
    assert_eq!((done.status.code(), site.tree()), (Some(1), before));
    std::fs::remove_dir_all(site.file("etc/qrisd")).expect("there");
    let done = converse(&site, &[&text], &["--device", "vm-009"]);
    told(&done, &["the enrolment text is for vm-001"]);
    assert!(done.status.code() == Some(1) && stderr(&done).contains("there are no more answers: nothing was changed"), "{}", stderr(&done));
    assert!(!site.file("etc/qrisd").exists());
}

#[test]
fn a_machine_is_set_up_without_a_text_and_a_token_that_is_not_taken_is_asked_for_again() {
    let site = Site::new();
    let told_keys = site.shop.merchant(&["keys", "public"]);
    let keys = site.shop.path().join("public.json");
    std::fs::write(&keys, &told_keys.stdout).expect("written");
    let text = site.enrolment();
    let broker = format!("mqtt://127.0.0.1:{}", site.shop.broker.port);
    let (own, keys, sim) = (password(DEVICE), keys.display().to_string(), format!("A1=sim:{}/r:50ms", site.shop.path().display()));
    let machine = ["", DEVICE, "mqtt://broker.example", &broker, "", &own, &site.shop.backend_url, "", "wrong", "/nowhere/keys", &keys];
    let goods = ["", "", "", "none", "A1:5000", "", &sim, ""];
    // The backend does not take the token: the new text says all of it.
    let done = converse_well(&site, &[&machine[..], &goods, &["yes", &text, "no", "yes"]].concat(), &[]);
    told(&done, &["loopback only", "An answer is needed; Ctrl-C ends.", "/nowhere/keys", "BAD   backend", "OK    backend"]);
}

#[test]
fn a_line_that_is_on_at_rest_is_turned_over_and_one_that_moves_something_else_is_said_again() {
    let site = Site::new();
    let text = site.enrolment();
    let here = site.shop.path().display();
    let (line, other) = (format!("A1=sim:{here}/relay.log:50ms"), format!("A1=sim:{here}/other.log:50ms"));
    let flags = ["--offline", "--name", "L", "--language", "id", "--contact", "0812", "--item", "A1:5000", "--screen", "none"];
    // Pulse; the right thing, but on at rest; turn it over; once more; right now; not again; write.
    let pulses = ["yes", "", "no", "", "", "", "", "no", "yes"];
    let done = converse_well(&site, &[&[text.as_str(), &line, ""], &pulses[..]].concat(), &flags);
    told(&done, &["Did the right thing move?", "Was it at rest before and after", "active_low = true from now on"]);
    assert_eq!(site.shop.pulses(), 2);
    let relay = || std::fs::read_to_string(site.file("etc/qrisd/relay.toml")).expect("written");
    let is_low = || relay().parse::<toml::Table>().expect("TOML")["line"][0].get("active_low").and_then(toml::Value::as_bool);
    assert_eq!(is_low(), Some(true), "{}", relay());
    // The same of a line that lies on the disk, whatever else stands there.
    std::fs::write(site.file("etc/qrisd/relay.toml"), relay().replace("\nactive_low = true\npulse_ms", "\n# mine\npulse_ms"))
        .expect("written");
    assert_eq!(is_low(), None, "{}", relay());
    let kept = ["", "", "", "", "", ""];
    converse_well(&site, &[&kept[..], &pulses[..]].concat(), &[&flags[..7], &flags[9..]].concat());
    assert!(is_low() == Some(true) && relay().contains("# mine"), "{}", relay());

    // Something else moved, and nothing is on: another line is said, and given its turn.
    std::fs::remove_dir_all(site.file("etc/qrisd")).expect("there");
    let wrong = [text.as_str(), &line, "", "yes", "no", "no", "no", "yes", "-A1", &other, "", "yes", "", "", "no", "yes"];
    converse_well(&site, &wrong, &flags);
    assert!(relay().contains("other.log") && !relay().contains("relay.log"), "{}", relay());
    assert!(site.shop.path().join("other.log").exists());
}

/// A system whose /run is its own, where nobody else's set-up leaves anything.
fn own_run() -> Namespace {
    Namespace::new("mount -t tmpfs none /run")
}

fn left(system: &Namespace) -> String {
    system.run("ls /run")
}

#[test]
fn ctrl_c_at_a_hidden_question_leaves_a_terminal_that_shows_and_nothing_else() {
    let site = Site::new();
    let (system, before) = (own_run(), site.tree());
    // The shell stays, as that of a person does, and says how its terminal is set before and after.
    let mut shell = command("/bin/sh");
    let script = "trap : INT; echo before $(stty -g) end; \"$@\"; echo ended $?; echo after $(stty -g) end";
    shell.args(["-c", script, "sh", env!("CARGO_BIN_EXE_qrisctl"), "setup", "--root"]).arg(&site.root);
    let mut terminal = Terminal::start(&system.command(&shell));
    wait_for("the question", || terminal.shown().contains("there is none): ").then_some(()));
    assert!(left(&system).contains("qrisctl-"), "it has no directory of its own: this test would not see one that is left");
    terminal.answer("there is none): ", "\u{3}");
    terminal.end();
    let shown = terminal.shown();
    let settings = |word: &str| {
        let from = shown.find(&format!("{word} ")).map(|at| at + word.len() + 1);
        from.and_then(|from| shown[from..].split(" end").next().map(str::to_owned)).unwrap_or_else(|| panic!("no {word}: {shown}"))
    };
    assert_eq!(settings("before"), settings("after"), "{shown}");
    assert!(shown.contains("ended 130") && shown.contains("ended by SIGINT: nothing was changed"), "{shown}");
    assert_eq!((left(&system).as_str(), site.tree()), ("", before));
}

#[test]
fn a_pipe_that_nobody_writes_to_is_waited_for_until_a_signal_ends_it() {
    let site = Site::new();
    let (system, before) = (own_run(), site.tree());
    let pipe = site.shop.path().join("pipe");
    succeed(command(tool("mkfifo")).arg(&pipe));
    let pipe_here = pipe.display().to_string();
    let flags = ["--token-file", "--keys", "--from", "--cert-file"];
    let signals = [("INT", 2), ("TERM", 15), ("HUP", 1), ("QUIT", 3)];
    for (flag, (signal, number)) in flags.into_iter().zip(signals.into_iter().cycle()) {
        let setup = Process::start("qrisctl", &mut system.command(site.setup().args([flag, &pipe_here])));
        wait_for("it to read the pipe", || reads(&setup, &pipe).then_some(()));
        assert!(left(&system).contains("qrisctl-"), "{flag}");
        setup.signal(signal);
        let (status, said) = setup.finish();
        assert_eq!(status.signal(), Some(number), "{flag}: {said}");
        assert!(said.contains(&format!("ended by SIG{signal}: nothing was changed")), "{flag}: {said}");
        assert_eq!((left(&system).as_str(), site.tree()), ("", before.clone()), "{flag}");
    }
    // What somebody writes at last is read to its end.
    let setup = Process::start("qrisctl", &mut system.command(site.setup().args(["--offline", "--yes", "--keys", &pipe_here])));
    let mut writer = std::fs::OpenOptions::new().write(true).open(&pipe).expect("it reads");
    for piece in ["{\"keys\":", "[]}"] {
        writer.write_all(piece.as_bytes()).expect("written");
    }
    drop(writer);
    let (status, said) = setup.finish();
    assert!(status.code() == Some(2) && said.contains("holds no receipt key"), "{status}: {said}");
}

/// Whether a program has a file open.
fn reads(process: &Process, file: &Path) -> bool {
    let open = std::fs::read_dir(format!("/proc/{}/fd", process.id())).into_iter().flatten().flatten();
    open.filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|path| path == file)
}

#[test]
fn what_ends_a_set_up_leaves_nothing_behind() {
    let site = Site::new();
    let (system, before) = (own_run(), site.tree());
    let start = || {
        let mut setup = system.command(site.setup().arg("--ask"));
        let setup = Process::start("qrisctl", setup.stdin(Stdio::piped()));
        setup.wait_line("qris-backend device add ID --bundle");
        assert!(left(&system).contains("qrisctl-"));
        setup
    };
    for (signal, number) in [("INT", 2), ("TERM", 15), ("HUP", 1), ("QUIT", 3)] {
        let setup = start();
        setup.signal(signal);
        let (status, said) = setup.finish();
        // As the shell expects of a program that was ended so: it says 128 + signal.
        assert_eq!(status.signal(), Some(number), "{signal}: {said}");
        assert!(said.contains(&format!("ended by SIG{signal}: nothing was changed")), "{said}");
        assert_eq!(left(&system), "", "{signal}");
    }
    // `nohup` starts a program so that it goes on when its terminal is closed.
    let mut ignoring = command("/bin/sh");
    let setup = site.setup();
    ignoring
        .args(["-c", "trap '' HUP; exec \"$@\"", "sh"])
        .arg(setup.get_program())
        .args(setup.get_args())
        .arg("--ask")
        .current_dir(site.shop.path());
    let setup = Process::start("qrisctl", system.command(&ignoring).stdin(Stdio::piped()));
    setup.wait_line("qris-backend device add ID --bundle");
    setup.signal("HUP");
    setup.signal("TERM");
    let (status, said) = setup.finish();
    assert!(status.signal() == Some(15) && said.contains("ended by SIGTERM") && !said.contains("SIGHUP"), "{status}: {said}");
    // Where it waits for the broker, too: here for one that never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("mqtt://127.0.0.1:{}", silent.local_addr().expect("bound").port());
    let mut setup = site.setup();
    setup.args(["--from", &site.enrolment(), "--broker", &url]).args(site.goods());
    let setup = Process::start("qrisctl", &mut system.command(&setup));
    let (_connection, _) = silent.accept().expect("it connects");
    setup.signal("TERM");
    assert_eq!((setup.wait().signal(), left(&system).as_str()), (Some(15), ""), "{}", setup.text());
    // While a test card stands there: it goes, and nothing is written.
    let mut setup = site.setup();
    setup.args(["--from", &site.enrolment(), "--test-card", "60"]).args(site.goods());
    let setup = Process::start("qrisctl", &mut system.command(&setup));
    setup.wait_line("The test card is on the panel");
    setup.signal("INT");
    assert_eq!((setup.wait().signal(), left(&system).as_str()), (Some(2), ""), "{}", setup.text());
    assert_eq!(site.tree(), before);
    // One that was killed leaves what the next one sweeps; the one that still runs keeps its own.
    start().kill();
    let (killed, living) = (left(&system), start());
    assert_eq!(left(&system).lines().count(), 1, "{killed}");
    let other = output(system.command(site.setup().args(["--from", "/nowhere"])).stdin(Stdio::null()));
    assert_eq!((other.status.code(), left(&system).lines().count()), (Some(2), 1));
    assert_ne!(left(&system), killed);
    drop(living);
    assert_eq!(site.tree(), before);
}
