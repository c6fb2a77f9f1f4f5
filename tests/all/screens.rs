//! The pictures of `docs/using/screens/`: what `qrisctl screen render` draws, pixel for pixel.

use crate::rig::shop::{DEVICE, Options, Shop};
use crate::rig::source;
use crate::rig::{output, stderr, wait_for, watched};
use qris::device::screen::samples;
use std::path::Path;
use std::process::Command;

const RENEW: &str = "if it should look like that now: run docs/using/screens/make, and look at the pictures";

/// Every picture and the arguments that make it, as in `docs/using/screens/make`.
fn pictures() -> Vec<(String, Vec<String>)> {
    let text = |text: &str| text.to_owned();
    let of = |state: &str, size: &str, lang: &str| [state, "--size", size, "--lang", lang].map(text).to_vec();
    let states = samples::states().flat_map(|state| ["id", "en"].map(|lang| (format!("{state}.{lang}.png"), of(state, "480x800", lang))));
    let sizes = ["240x240", "320x240", "480x320", "800x480", "1024x600"];
    let sizes = sizes.map(|size| (format!("pay.{size}.png"), of("pay", size, "id")));
    let tries = ["try-confirm", "pay-anew", "second-try", "try-again", "try-another", "second-try-press", "not-seen"];
    let tries = tries.into_iter().flat_map(|state| {
        [("240x240", "id"), ("240x240", "en"), ("800x480", "id"), ("800x480", "en")]
            .map(|(size, lang)| (format!("{state}.{size}.{lang}.png"), of(state, size, lang)))
    });
    let sandbox = ["pay", "--sandbox", "--lang", "en"].map(text);
    states.chain(sizes).chain(tries).chain([(text("pay.sandbox.png"), sandbox.into())]).collect()
}

fn render(arguments: &[String], out: &Path) {
    let output = Command::new(env!("CARGO_BIN_EXE_qrisctl")).args(["screen", "render"]).args(arguments).arg("--out").arg(out).output();
    let output = output.expect("qrisctl runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Width, height and the pixels as red, green and blue.
fn pixels(path: &Path) -> (u32, u32, Vec<u8>) {
    let file = std::fs::File::open(path).unwrap_or_else(|why| panic!("{}: {why}; {RENEW}", path.display()));
    let mut decoder = png::Decoder::new(std::io::BufReader::new(file));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().expect("a PNG");
    let mut rgb = vec![0; reader.output_buffer_size().expect("a size")];
    let frame = reader.next_frame(&mut rgb).expect("pixels");
    (frame.width, frame.height, rgb)
}

#[test]
fn every_state_looks_as_in_the_documents() {
    let directory = tempfile::tempdir().expect("a directory");
    let documents = source("docs/using/screens");
    let mut wrong = Vec::new();
    for (name, arguments) in pictures() {
        let drawn = directory.path().join(&name);
        render(&arguments, &drawn);
        let (known, now) = (pixels(&documents.join(&name)), pixels(&drawn));
        if (known.0, known.1) != (now.0, now.1) {
            wrong.push(format!("docs/using/screens/{name}: is {}×{}, not {}×{}", now.0, now.1, known.0, known.1));
        } else if known != now {
            let differing = known.2.chunks_exact(3).zip(now.2.chunks_exact(3)).filter(|(a, b)| a != b).count();
            wrong.push(format!("docs/using/screens/{name}: {differing} pixels differ"));
        }
    }
    assert!(wrong.is_empty(), "{}\n{RENEW}", wrong.join("\n"));
    let known: Vec<_> = pictures().into_iter().map(|(name, _)| name).collect();
    for entry in std::fs::read_dir(&documents).expect("there") {
        let name = entry.expect("an entry").file_name().into_string().expect("ASCII");
        assert!(!name.ends_with(".png") || known.contains(&name), "docs/using/screens/{name}: is drawn by nobody; {RENEW}");
    }
}

/// What a phone reads in a picture.
fn read(path: &Path) -> Vec<String> {
    let (width, height, rgb) = pixels(path);
    let at = |x: usize, y: usize| rgb[(y * width as usize + x) * 3 + 1];
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width as usize, height as usize, at);
    image.detect_grids().iter().filter_map(|grid| grid.decode().ok()).map(|(_, text)| text).collect()
}

#[test]
fn a_machine_shows_what_its_screen_shows_on_the_board_and_over_the_broker() {
    let shop = Shop::open(Options::default());
    shop.offer("A1");
    let payload = shop.screen.wait_payload();
    let out = shop.path().join("shot.png");
    let out_text = out.display().to_string();
    let here = output(Command::new(env!("CARGO_BIN_EXE_qrisctl")).args(["screen", "shot", "--bus", &shop.bus.address, "--out", &out_text]));
    assert!(here.status.success(), "{}", String::from_utf8_lossy(&here.stderr));
    assert_eq!(read(&out), std::slice::from_ref(&payload));
    std::fs::remove_file(&out).expect("removed");

    let shot = ["screen", "shot", "--device", DEVICE, "--out", &out_text];
    let afar = shop.qrisctl(&shot);
    assert!(afar.status.success(), "{}", String::from_utf8_lossy(&afar.stderr));
    assert_eq!(read(&out), std::slice::from_ref(&payload));
    assert!(std::fs::metadata(&out).expect("there").len() <= 64 * 1024);
    // A slow computer asks again only when the time between two pictures is over.
    let again = wait_for("a refusal", || Some(shop.qrisctl(&shot)).filter(|again| again.status.code() != Some(0)));
    assert!(again.status.code() == Some(1) && stderr(&again).contains("(rate_limited)"), "{again:?}");
    // Of many machines, each into a file of its own. One that has just been asked is asked again.
    let online = serde_json::json!({ "state": "online", "commands": ["status"] });
    shop.tap.publish_bytes("qrisd/v1/vm-009/status", online.to_string().as_bytes(), true);
    let directory = shop.path().join("shots");
    let many = shop.qrisctl(&["fleet", "run", "screenshot", "--all", "--json", "--out", &directory.display().to_string()]);
    let told = String::from_utf8(many.stdout).expect("text");
    let lines: Vec<serde_json::Value> = told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |device: &str| lines.iter().find(|line| line["device"] == device).unwrap_or_else(|| panic!("{device}: {told}"));
    let file = directory.join(format!("{DEVICE}.png"));
    assert_eq!((&of(DEVICE)["state"], &of(DEVICE)["result"]["file"]), (&"done".into(), &file.display().to_string().into()), "{told}");
    assert_eq!(read(&file), [payload]);
    assert!(of("vm-009")["error"]["message"].as_str().is_some_and(|why| why.contains("does not have this command")), "{told}");
    assert_eq!((many.status.code(), &lines[2]["ends"]["done"], &lines[2]["ends"]["not_asked"]), (Some(1), &1.into(), &1.into()), "{told}");
    // The panel belongs to qrisd while it runs.
    let test =
        output(Command::new(env!("CARGO_BIN_EXE_qrisctl")).args(["screen", "test", "--bus", &shop.bus.address, "--panel", "/nowhere"]));
    assert!(String::from_utf8_lossy(&test.stderr).contains("qrisd runs and has the panel"), "{test:?}");
}

#[test]
fn the_test_card_is_on_the_panel_and_goes() {
    let directory = tempfile::tempdir().expect("a directory");
    let panel = directory.path().join("panel.raw");
    let toml = directory.path().join("qrisd.toml");
    let text = format!("[device]\nid = \"vm-1\"\n[screen]\nvirtual = {{ path = {panel:?}, width = 480, height = 320 }}\n");
    std::fs::write(&toml, text).expect("written");
    let run = |seconds: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qrisctl"));
        command.args(["screen", "test", "--seconds", seconds, "--bus", "peer:/nowhere", "--like"]).arg(&toml);
        command
    };
    let child = crate::rig::process::Process::start("qrisctl", &mut run("60"));
    child.wait_line("The card stays");
    let bytes = std::fs::read(&panel).expect("the panel");
    assert_eq!(bytes.len(), 480 * 320 * 2);
    for corner in [0, 479, 319 * 480, 320 * 480 - 1] {
        assert_eq!(bytes[corner * 2..corner * 2 + 2], [0xff, 0xff], "the frame reaches pixel {corner}");
    }
    let has = |pixel: u16| bytes.chunks_exact(2).any(|bytes| bytes == pixel.to_le_bytes());
    assert!(has(0xf800) && has(0x07e0) && has(0x001f), "red, green and blue");
    child.signal("INT");
    assert!(child.finish().0.success());
    watched::until(&panel, "a black panel", || std::fs::read(&panel).expect("the panel").iter().all(|byte| *byte == 0).then_some(()));
    // A panel that is not there is an error.
    let gone = output(run("1").args(["--panel", "/nowhere/fb0"]));
    assert!(gone.status.code() == Some(1) && String::from_utf8_lossy(&gone.stderr).contains("/nowhere/fb0"), "{gone:?}");
}

#[test]
fn a_state_is_drawn_for_any_panel_and_with_the_looks_of_a_machine() {
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("out.png");
    let text = |arguments: &[&str]| arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>();
    let toml = directory.path().join("qrisd.toml");
    let looks = "[device]\nid = \"vm-1\"\n[screen]\n[screen.colours]\nground = \"#fff0f0\"\n[[item]]\nid = \"X\"\nprice = 1000\n";
    std::fs::write(&toml, looks).expect("written");
    render(&text(&["idle", "--like", &toml.display().to_string()]), &out);
    let (_, _, rgb) = pixels(&out);
    let pink = rgb.chunks_exact(3).filter(|pixel| pixel[0] == 255 && pixel[1..].iter().all(|value| (235..250).contains(value))).count();
    assert!(pink > 100_000, "{pink}");
    // As the machine's panel is mounted: its rows as they lie there.
    let upright = pixels(&out);
    std::fs::write(&toml, looks.replace("[screen]\n", "[screen]\nrotate = 90\n")).expect("written");
    render(&text(&["idle", "--like", &toml.display().to_string()]), &out);
    let mounted = pixels(&out);
    assert!((mounted.0, mounted.1) == (upright.0, upright.1) && mounted != upright);
    // A file has the panel's own size, whatever that takes.
    render(&text(&["pay", "--size", "1920x1080"]), &out);
    let (width, height, _) = pixels(&out);
    assert_eq!((width, height, read(&out).len()), (1920, 1080, 1));

    for (arguments, wanted) in [
        (&["nothing", "--out", "x.png"][..], "invalid value 'nothing'"),
        (&["pay", "--size", "10x10", "--out", "x.png"], "each side 96 to 4096"),
        (&["pay", "--lang", "de", "--out", "x.png"], "must be id or en"),
        (&["pay"], "--out"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_qrisctl")).args(["screen", "render"]).args(arguments).output().expect("qrisctl runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && told.contains(wanted), "{arguments:?}: {told}");
    }
}
