//! Midtrans' own clients drive the simulated Midtrans through the calls that this product makes, and cannot tell. They are ordinary
//! packages; `tests/clients/install` installs them.

use super::rig::midtrans::{Midtrans, SERVER_KEY};
use super::rig::{command, installed, output, source, tool};
use std::process::Command;

#[test]
fn the_python_client_sells() {
    let midtrans = Midtrans::start();
    let mut drive = command(installed("python/bin/python"));
    drive.arg(source("tests/clients/python/drive.py"));
    assert_drives(&midtrans, &mut drive, "midtransclient 1.4.2: all as wanted\n");
}

#[test]
fn the_node_client_sells() {
    let midtrans = Midtrans::start();
    let mut drive = command(tool("node"));
    drive.arg(source("tests/clients/node/drive.js")).env("NODE_PATH", installed("node/node_modules/midtrans-client").with_file_name(""));
    assert_drives(&midtrans, &mut drive, "midtrans-client 1.4.3: all as wanted\n");
}

fn assert_drives(midtrans: &Midtrans, drive: &mut Command, expected: &str) {
    let output = output(drive.arg(&midtrans.url).arg(SERVER_KEY));
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success(),
        "{stdout}{stderr}\nthe last requests: {:#?}",
        midtrans.requests().iter().rev().take(3).collect::<Vec<_>>()
    );
    assert_eq!(stdout, expected, "{stderr}");
    // It was this simulator that they talked to, and no call came to nothing there.
    let requests = midtrans.requests();
    assert!(requests.len() > 30, "{} requests", requests.len());
    let charges = requests.iter().filter(|request| request["call"] == "charge" && request["status_code"] == "201").count();
    assert!(charges >= 9, "{charges} charges");
}
