//! The demo's page in a real browser: what a visitor sees and presses, from the product to the pulse, and the power cut.

use crate::rig::Running;
use crate::rig::browser::Browser;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn a_visitor_buys_a_drink_and_cuts_the_power() {
    let temporary = tempfile::tempdir().expect("a directory");
    let (_demo, address) = start_demo(temporary.path());
    let browser = Browser::start(temporary.path());
    browser.open(&address);

    // The machine is there, and nothing is on the phone.
    browser.wait("the product buttons", "return [...document.querySelectorAll('#keys button:not(#cancel)')].some(key => !key.disabled)");
    browser.wait("the machine's screen", LIT);
    assert_eq!(browser.text("#pulses"), "0");
    assert_eq!(browser.count("#glass button"), 0);

    // A product: the phone reads the QR out of the screen's pixels.
    browser.click("#keys button");
    browser.wait("the phone's offer to pay", "return document.querySelector('#glass button.main')?.textContent === 'Pay with GoPay'");
    assert_eq!(browser.text("#glass .sum"), "Rp5.000");
    assert_eq!(browser.run(QR_DRAWN), true, "the visitor sees what the phone has read");
    assert_eq!(browser.text("#pulses"), "0", "nobody has paid");
    browser.keep("demo-page.png");

    // Paid: one pulse, told as dispensed, and the books agree.
    browser.click("#glass button.main");
    browser.wait("one pulse", "return document.querySelector('#pulses').textContent === '1'");
    browser.wait(
        "the event",
        "return [...document.querySelectorAll('#list li.machine-w .text')].some(text => /\\bdispensed\\b/.test(text.textContent))",
    );
    browser.wait("balanced books", "return document.querySelector('#verdict').textContent.startsWith('Balanced')");
    assert_eq!(["#b-paid", "#b-dispensed", "#b-refund", "#b-pulses"].map(|cell| browser.text(cell)), ["1", "1", "0", "1"]);

    // Without power the machine is dark and takes no press; with power it is as before, and drives nothing by itself.
    browser.click("#plug");
    browser.wait("the power cut", "return document.querySelector('#plug').textContent === 'Bring the power back'");
    browser.wait("a dark screen", &format!("return !(() => {{ {LIT} }})()"));
    assert_eq!(browser.count("#keys button:enabled"), 0);
    browser.click("#plug");
    browser.wait("the power", "return document.querySelector('#plug').textContent === 'Cut the power'");
    browser.wait("the screen again", LIT);
    browser.wait("the buttons again", "return document.querySelectorAll('#keys button:enabled').length > 0");
    assert_eq!(browser.text("#pulses"), "1");
    browser.keep("demo-page-after.png");
    assert_eq!(browser.errors(), [""; 0]);
}

/// Whether any pixel of the machine's screen is not black.
const LIT: &str = "const c = document.querySelector('#screen'); \
                   return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((value, i) => i % 4 < 3 && value > 0)";

/// Whether the machine's screen is black in many places: nothing but a QR is.
const QR_DRAWN: &str = "const c = document.querySelector('#screen'); const {data} = c.getContext('2d').getImageData(0, 0, c.width, c.height); \
                        let black = 0; for (let i = 0; i < data.length; i += 4) black += data[i] + data[i + 1] + data[i + 2] < 24; return black > 10000";

/// The demo's page with a temporary directory of its own; the address that it tells.
fn start_demo(temporary: &Path) -> (Running, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qris-demo"));
    let mut demo = Running(command.env("TMPDIR", temporary).stdout(Stdio::piped()).spawn().expect("the demo starts"));
    let stdout = demo.0.stdout.take().expect("it is a pipe");
    let line = BufReader::new(stdout).lines().next().and_then(Result::ok).unwrap_or_default();
    let address = line.strip_prefix("open ").and_then(|rest| rest.split_whitespace().next());
    let address = address.unwrap_or_else(|| panic!("{line:?}")).to_owned();
    (demo, address)
}
