//! Panels as files: what the screen's thread put there, as grey pictures.

use super::camera::Grey;
use qris::device::screen::picture::{Picture, Scene};
use qris::device::screen::samples::{self, Sample};
use qris::device::screen::{Language, Languages, PixelFormat, Rotation, Screen, ScreenState, SurfaceSettings};
use qris::order::ids::ItemId;
use qris::order::money::Rupiah;
use qris::order::time::Boot;
use qris::sim::qris::Merchant;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

/// The panels that are read.
pub const SIZES: [(u32, u32); 9] =
    [(240, 240), (320, 240), (240, 320), (480, 320), (320, 480), (480, 800), (800, 480), (1024, 600), (1920, 1080)];

/// A payload as Midtrans and GoPay make it, for this many rupiah.
pub fn payload(rupiah: u64) -> String {
    Merchant::default().payload(rupiah, &format!("b1855b6c-70ab-4449-9778-{rupiah:012}"))
}

/// What a panel of this kind holds while this is to be paid: the bytes of its file.
pub fn shown(payload: &str, (width, height): (u32, u32), format: PixelFormat, rotate: Rotation, directory: &Path) -> Grey {
    let path = directory.join("panel");
    let surface = SurfaceSettings::Virtual { path: path.clone(), width, height, format };
    let mut settings = samples::settings(surface, Languages::Only(Language::Id));
    settings.rotate = rotate;
    let mut sample = Sample::new(ItemId::new("A1").expect("an id"), Rupiah::new(5_000).expect("an amount"));
    sample.payload = Some(payload.into());
    let picture: Picture = samples::picture("pay", &sample).expect("a state");
    assert!(matches!(picture.scene, Scene::Pay { .. }));
    let (sender, reports) = channel();
    let screen = Screen::start(settings, picture, || Boot(0), move |state| drop(sender.send(state)));
    assert_eq!(reports.recv_timeout(Duration::from_secs(60)), Ok(ScreenState::Working));
    let bytes = std::fs::read(&path).expect("the panel's file");
    drop(screen);
    let grey = |x: usize, y: usize| {
        let at = y * width as usize + x;
        let (red, green, blue) = match format {
            PixelFormat::Rgb565 => {
                let pixel = u32::from(u16::from_le_bytes([bytes[at * 2], bytes[at * 2 + 1]]));
                ((pixel >> 11) * 255 / 31, (pixel >> 5 & 63) * 255 / 63, (pixel & 31) * 255 / 31)
            }
            PixelFormat::Xrgb8888 => (u32::from(bytes[at * 4 + 2]), u32::from(bytes[at * 4 + 1]), u32::from(bytes[at * 4])),
        };
        ((red * 299 + green * 587 + blue * 114) / 1000) as u8
    };
    Grey::new(width as usize, height as usize, grey)
}
