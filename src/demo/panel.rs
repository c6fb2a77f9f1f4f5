//! The machine's panel as the demo sees it: the file that stands for `/dev/fb0`, pixel for pixel.

use std::io;
use std::path::PathBuf;

/// The panel's width, in pixels.
pub const WIDTH: usize = 480;
/// The panel's height, in pixels.
pub const HEIGHT: usize = 800;
/// RGB565, little-endian, rows without padding.
const BYTES: usize = WIDTH * HEIGHT * 2;

#[derive(Debug, Clone)]
pub struct Panel(PathBuf);

/// All pixels at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame(Vec<u8>);

#[derive(Debug, thiserror::Error)]
#[error("cannot make a PNG of the panel")]
pub struct PictureError(#[from] png::EncodingError);

impl Panel {
    /// The panel whose pixels are in `file`. The file need not be there yet.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self(file.into())
    }

    /// Its present picture; dark if there is no file yet.
    pub fn frame(&self) -> io::Result<Frame> {
        match std::fs::read(&self.0) {
            Ok(mut bytes) => {
                bytes.resize(BYTES, 0);
                Ok(Frame(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Frame::dark()),
            Err(error) => Err(error),
        }
    }

    /// Without power a panel shows nothing, but the file would keep its pixels.
    pub fn go_dark(&self) -> io::Result<()> {
        std::fs::write(&self.0, vec![0; BYTES])
    }
}

impl Frame {
    #[must_use]
    pub fn dark() -> Self {
        Self(vec![0; BYTES])
    }

    /// How bright a pixel is, 0 to 255.
    #[must_use]
    pub fn grey(&self, x: usize, y: usize) -> u8 {
        let [red, green, blue] = self.rgb(x, y).map(u32::from);
        u8::try_from((red * 299 + green * 587 + blue * 114) / 1000).unwrap_or(u8::MAX)
    }

    /// The frame as a PNG, without loss.
    pub fn png(&self) -> Result<Vec<u8>, PictureError> {
        let mut file = Vec::new();
        let (width, height) = (u32::try_from(WIDTH).expect("480"), u32::try_from(HEIGHT).expect("800"));
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fast);
        let pixels: Vec<u8> = (0..HEIGHT).flat_map(|y| (0..WIDTH).flat_map(move |x| self.rgb(x, y))).collect();
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&pixels)?;
        writer.finish()?;
        Ok(file)
    }

    /// Five and six bits are spread over eight, so that white is 255.
    fn rgb(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * WIDTH + x) * 2;
        let [low, high] = [self.0[at], self.0[at + 1]];
        let red = high >> 3;
        let green = (high & 7) << 3 | low >> 5;
        let blue = low & 31;
        [red << 3 | red >> 2, green << 2 | green >> 4, blue << 3 | blue >> 2]
    }

    #[cfg(test)]
    pub(super) fn set(&mut self, x: usize, y: usize, pixel: u16) {
        let at = (y * WIDTH + x) * 2;
        self.0[at..at + 2].copy_from_slice(&pixel.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_the_panel() {
        let mut frame = Frame::dark();
        for (x, pixel, wanted) in
            [(0, 0xffff, [255, 255, 255]), (1, 0xf800, [255, 0, 0]), (2, 0x07e0, [0, 255, 0]), (3, 0x001f, [0, 0, 255]), (4, 0, [0, 0, 0])]
        {
            frame.set(x, 1, pixel);
            assert_eq!(frame.rgb(x, 1), wanted, "{pixel:04x}");
        }
        let png = frame.png().expect("a picture");
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
        reader.next_frame(&mut pixels).expect("pixels");
        assert_eq!(pixels[WIDTH * 3..WIDTH * 3 + 6], [255, 255, 255, 255, 0, 0]);
    }

    #[test]
    fn a_panel_without_a_file_or_power_is_dark() {
        let directory = tempfile::tempdir().expect("a directory");
        let panel = Panel::new(directory.path().join("screen.raw"));
        assert_eq!(panel.frame().expect("dark"), Frame::dark());
        std::fs::write(&panel.0, vec![255; BYTES]).expect("white");
        assert_ne!(panel.frame().expect("white"), Frame::dark());
        panel.go_dark().expect("dark");
        assert_eq!(panel.frame().expect("dark"), Frame::dark());
    }
}
