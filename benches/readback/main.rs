//! How often a customer's phone reads the panel: frames of every size and format as they are and as a bad camera sees
//! them, read by zbar and by rqrr, beside the image that Midtrans hands out scaled to the same square.
//!
//! `cargo bench --profile dev --bench readback` prints the tables in markdown; `-- --write FILE` puts them between the
//! marks of a file as well.

#[path = "../../tests/all/readback/camera.rs"]
mod camera;
#[path = "../../tests/all/readback/panel.rs"]
mod panel;

use camera::{Grey, HARMS, Random, badly_held, harmed, rqrr, zbar};
use panel::{SIZES, payload, shown, with_midtrans_image};
use qris::device::screen::{PixelFormat, Rotation};
use std::fmt::Write as _;

const BEGIN: &str = "<!-- readback: begin -->";
const END: &str = "<!-- readback: end -->";
/// What customers pay, and how the panel is laid out.
const AMOUNTS: [u64; 2] = [5_000, 150_000];
const FORMATS: [PixelFormat; 2] = [PixelFormat::Rgb565, PixelFormat::Xrgb8888];

/// How many were read of how many, ours and Midtrans'.
#[derive(Clone, Copy, Default)]
struct Rate {
    ours: usize,
    theirs: usize,
    of: usize,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let file = arguments.iter().position(|argument| argument == "--write").and_then(|at| arguments.get(at + 1));
    let directory = tempfile::tempdir().expect("a directory");
    let mut random = Random(1);
    let (mut by_zbar, mut by_rqrr) = (Vec::new(), Vec::new());
    for size in SIZES {
        let (mut zbar_row, mut rqrr_row) = ([Rate::default(); HARMS.len()], [Rate::default(); HARMS.len()]);
        for (column, (name, harm)) in HARMS.into_iter().enumerate() {
            let (mut pictures, mut wanted): (Vec<Grey>, Vec<(String, bool)>) = Default::default();
            for (amount, format) in AMOUNTS.into_iter().flat_map(|amount| FORMATS.map(|format| (amount, format))) {
                let payload = payload(amount);
                let ours = shown(&payload, size, format, Rotation::None, directory.path());
                let theirs = with_midtrans_image(&ours, &payload);
                for (picture, is_ours) in [(ours, true), (theirs, false)] {
                    let last = column == HARMS.len() - 1;
                    pictures.push(if last { badly_held(&picture, &mut random) } else { harmed(&picture, harm, &mut random) });
                    wanted.push((payload.clone(), is_ours));
                }
            }
            let count = |rate: &mut Rate, read: &[String], (payload, is_ours): &(String, bool)| {
                let got = usize::from(read.contains(payload));
                *(if *is_ours { &mut rate.ours } else { &mut rate.theirs }) += got;
                rate.of += usize::from(*is_ours);
            };
            for ((read, picture), wanted) in zbar(&pictures, directory.path()).iter().zip(&pictures).zip(&wanted) {
                count(&mut zbar_row[column], read, wanted);
                count(&mut rqrr_row[column], &rqrr(picture), wanted);
            }
            let told = |rate: Rate| format!("{} / {} of {}", rate.ours, rate.theirs, rate.of);
            eprintln!("{size:?} {name}: zbar {}, rqrr {}", told(zbar_row[column]), told(rqrr_row[column]));
        }
        by_zbar.push(zbar_row);
        by_rqrr.push(rqrr_row);
    }
    let text = format!("{}\n{}", table("zbar", &by_zbar), table("rqrr", &by_rqrr));
    print!("{text}");
    if let Some(file) = file {
        let old = std::fs::read_to_string(file).expect("the file is there");
        let (before, rest) = old.split_once(BEGIN).expect("the first mark is there");
        let (_, after) = rest.split_once(END).expect("the second mark is there");
        std::fs::write(file, format!("{before}{BEGIN}\n{text}{END}{after}")).expect("written");
    }
}

/// Hundredths that were read, ours / Midtrans'.
fn table(reader: &str, rows: &[[Rate; HARMS.len()]]) -> String {
    let mut text = format!("| {reader} |");
    HARMS.iter().for_each(|(name, _)| write!(text, " {name} |").expect("memory"));
    text.push_str("\n| --- |");
    HARMS.iter().for_each(|_| text.push_str(" --- |"));
    text.push('\n');
    for ((width, height), row) in SIZES.into_iter().zip(rows) {
        write!(text, "| {width}×{height} |").expect("memory");
        for Rate { ours, theirs, of } in row {
            write!(text, " {} / {} |", ours * 100 / of, theirs * 100 / of).expect("memory");
        }
        text.push('\n');
    }
    text
}
