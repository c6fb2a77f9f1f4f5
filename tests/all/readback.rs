//! What a customer's phone makes of the panel: frames are read back by zbar and by rqrr.

mod camera;
mod panel;

use camera::{Grey, Harm, Random, badly_held, harmed, rqrr, zbar};
use panel::{payload, shown};
use qris::device::screen::{PixelFormat, Rotation};

const FORMATS: [PixelFormat; 2] = [PixelFormat::Rgb565, PixelFormat::Xrgb8888];

/// Both readers read this and nothing else in every picture.
fn assert_read(pictures: &[(String, String, Grey)]) {
    let directory = tempfile::tempdir().expect("a directory");
    let frames: Vec<Grey> = pictures.iter().map(|(_, _, picture)| picture.clone()).collect();
    for ((what, payload, picture), by_zbar) in pictures.iter().zip(zbar(&frames, directory.path())) {
        assert_eq!(by_zbar, std::slice::from_ref(payload), "zbar, {what}");
        assert_eq!(rqrr(picture), std::slice::from_ref(payload), "rqrr, {what}");
    }
}

#[test]
fn two_readers_read_every_panel_as_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut pictures = Vec::new();
    for (size, format) in panel::SIZES.into_iter().flat_map(|size| FORMATS.map(|format| (size, format))) {
        let payload = payload(5_000);
        let picture = shown(&payload, size, format, Rotation::None, directory.path());
        pictures.push((format!("{size:?} {format:?}"), payload, picture));
    }
    for rotate in [Rotation::Quarter, Rotation::Half, Rotation::ThreeQuarters] {
        let payload = payload(12_500);
        let picture = shown(&payload, (320, 240), PixelFormat::Rgb565, rotate, directory.path());
        pictures.push((format!("{rotate:?}"), payload, picture));
    }
    // The longest that is ever shown.
    for size in [(480, 800), (480, 320), (800, 480)] {
        let payload = "00020101021226".to_owned() + &"A1b2".repeat(124) + "63";
        assert_eq!(payload.len(), 512);
        let picture = shown(&payload, size, PixelFormat::Rgb565, Rotation::None, directory.path());
        pictures.push((format!("512 characters, {size:?}"), payload, picture));
    }
    assert_read(&pictures);
}

#[test]
fn two_readers_read_the_usual_panel_through_a_bad_camera() {
    let directory = tempfile::tempdir().expect("a directory");
    let payload = payload(5_000);
    let picture = shown(&payload, (480, 800), PixelFormat::Rgb565, Rotation::None, directory.path());
    let mut random = Random(7);
    let harms =
        [Harm::Blur(1.2), Harm::Noise(15.0), Harm::Perspective(20.0), Harm::Brightness(40), Harm::Brightness(-40), Harm::Downscale(60)];
    assert_read(&harms.map(|harm| (format!("{harm:?}"), payload.clone(), harmed(&picture, harm, &mut random))));

    // rqrr cannot read some positions of the code among JPEG's blocks. A phone takes many frames, each a little elsewhere.
    let from_row = |row: usize| Grey::new(picture.width, picture.height - row, |x, y| picture.pixels[(y + row) * picture.width + x]);
    let good = |codes: &Vec<String>| *codes == std::slice::from_ref(&payload);
    let mut harm = |what: &str, harm: &mut dyn FnMut(&Grey, &mut Random) -> Grey| {
        let frames: Vec<Grey> = (0..8).map(|row| harm(&from_row(row), &mut random)).collect();
        let by_zbar = zbar(&frames, directory.path()).iter().filter(|codes| good(codes)).count();
        let by_rqrr = frames.iter().map(rqrr).filter(good).count();
        assert!(by_zbar == 8 && by_rqrr >= 4, "{what}: of 8 frames zbar reads {by_zbar}, and rqrr {by_rqrr}");
    };
    harm("JPEG", &mut |picture, random| harmed(picture, Harm::Jpeg(40), random));
    harm("all at once", &mut badly_held);
}

#[test]
fn the_readers_can_fail() {
    let directory = tempfile::tempdir().expect("a directory");
    let payload = payload(5_000);
    let picture = shown(&payload, (480, 800), PixelFormat::Rgb565, Rotation::None, directory.path());
    let blurred = harmed(&picture, Harm::Blur(6.0), &mut Random(1));
    assert!(rqrr(&blurred).is_empty() && zbar(&[blurred], directory.path())[0].is_empty(), "nobody reads that");
}
