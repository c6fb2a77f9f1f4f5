//! What lies between a panel and a payment app: a camera in somebody's hand, and two programs that read codes.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// A grey picture.
#[derive(Clone)]
pub struct Grey {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<u8>,
}

impl Grey {
    pub fn new(width: usize, height: usize, at: impl Fn(usize, usize) -> u8) -> Self {
        let pixels = (0..width * height).map(|i| at(i % width, i / width)).collect();
        Self { width, height, pixels }
    }

    fn at(&self, x: i64, y: i64) -> f32 {
        let inside = |v: i64, end: usize| v.clamp(0, end as i64 - 1) as usize;
        f32::from(self.pixels[inside(y, self.height) * self.width + inside(x, self.width)])
    }

    /// Between four pixels.
    fn between(&self, x: f32, y: f32) -> f32 {
        let (left, top) = (x.floor(), y.floor());
        let (right_share, low_share) = (x - left, y - top);
        let (x, y) = (left as i64, top as i64);
        let row = |y| self.at(x, y) * (1.0 - right_share) + self.at(x + 1, y) * right_share;
        row(y) * (1.0 - low_share) + row(y + 1) * low_share
    }

    fn map(&self, change: impl Fn(f32) -> f32) -> Self {
        let pixels = self.pixels.iter().map(|value| change(f32::from(*value)).round().clamp(0.0, 255.0) as u8).collect();
        Self { pixels, ..*self }
    }

    /// Scaled with the mean of what each pixel covers, or between pixels where it covers less than one.
    pub fn scaled(&self, width: usize, height: usize) -> Self {
        let (across, down) = (self.width as f32 / width as f32, self.height as f32 / height as f32);
        let samples = across.max(down).ceil().max(1.0) as usize;
        Self::new(width, height, |x, y| {
            let share = |i: usize| (i as f32 + 0.5) / samples as f32;
            let sum: f32 = (0..samples * samples)
                .map(|i| {
                    let (sx, sy) = (x as f32 + share(i % samples), y as f32 + share(i / samples));
                    self.between(sx * across - 0.5, sy * down - 0.5)
                })
                .sum();
            (sum / (samples * samples) as f32).round() as u8
        })
    }
}

/// What happens to a picture on its way.
#[derive(Clone, Copy, Debug)]
pub enum Harm {
    /// Out of focus: a Gauss of so many pixels.
    Blur(f32),
    /// Too little light: noise with so many steps of 255 as its standard deviation.
    Noise(f32),
    /// Saved as a JPEG of this quality.
    Jpeg(u8),
    /// Held at so many degrees to the panel.
    Perspective(f32),
    /// So many hundredths more light, or less.
    Brightness(i32),
    /// Seen from afar: so many hundredths of the size.
    Downscale(usize),
}

/// Numbers that are the same for the same seed (splitmix64).
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32
    }

    /// Nearly a Gauss: the sum of twelve has a variance of one.
    fn gauss(&mut self) -> f32 {
        (0..12).map(|_| self.next()).sum::<f32>() - 6.0
    }
}

/// A picture as a camera sees it after this: its black is not quite black, and its white not all there is.
pub fn harmed(picture: &Grey, harm: Harm, random: &mut Random) -> Grey {
    changed(&seen(picture), harm, random)
}

/// The range that video gives to black and white.
fn seen(picture: &Grey) -> Grey {
    picture.map(|value| 16.0 + value * 219.0 / 255.0)
}

fn changed(picture: &Grey, harm: Harm, random: &mut Random) -> Grey {
    match harm {
        Harm::Blur(sigma) => blurred(picture, sigma),
        Harm::Noise(steps) => {
            let mut picture = picture.clone();
            for value in &mut picture.pixels {
                *value = (f32::from(*value) + random.gauss() * steps).round().clamp(0.0, 255.0) as u8;
            }
            picture
        }
        Harm::Jpeg(quality) => jpeg(picture, quality),
        Harm::Perspective(degrees) => aslant(picture, degrees),
        Harm::Brightness(percent) => picture.map(|value| value * (100 + percent) as f32 / 100.0),
        Harm::Downscale(percent) => picture.scaled(picture.width * percent / 100, picture.height * percent / 100),
    }
}

/// A camera that is held badly in bad light, and saves little: all of it one after the other, each a little weaker.
pub fn badly_held(picture: &Grey, random: &mut Random) -> Grey {
    let harms = [Harm::Perspective(20.0), Harm::Blur(0.7), Harm::Brightness(-25), Harm::Noise(10.0), Harm::Jpeg(40)];
    harms.into_iter().fold(seen(picture), |picture, harm| changed(&picture, harm, random))
}

fn blurred(picture: &Grey, sigma: f32) -> Grey {
    let reach = (3.0 * sigma).ceil() as i64;
    let weights: Vec<f32> = (-reach..=reach).map(|d| (-((d * d) as f32) / (2.0 * sigma * sigma)).exp()).collect();
    let total: f32 = weights.iter().sum();
    let along = |picture: &Grey, step: (i64, i64)| {
        Grey::new(picture.width, picture.height, |x, y| {
            let taken = (-reach..=reach).zip(&weights).map(|(d, weight)| picture.at(x as i64 + d * step.0, y as i64 + d * step.1) * weight);
            (taken.sum::<f32>() / total).round() as u8
        })
    };
    along(&along(picture, (1, 0)), (0, 1))
}

/// Turned about its upright axis, seen from one and a half times its width away.
fn aslant(picture: &Grey, degrees: f32) -> Grey {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (w, h) = (picture.width as f32, picture.height as f32);
    let away = 1.5 * w.max(h);
    Grey::new(picture.width, picture.height, |x, y| {
        // The ray through this pixel meets the turned picture here.
        let (u, v) = (x as f32 + 0.5 - w / 2.0, y as f32 + 0.5 - h / 2.0);
        let along = u * away / (away * cos - u * sin);
        let depth = (away + along * sin) / away;
        let (sx, sy) = (along + w / 2.0 - 0.5, v * depth + h / 2.0 - 0.5);
        if sx < -1.0 || sy < -1.0 || sx > w || sy > h { 40 } else { picture.between(sx, sy).round() as u8 }
    })
}

/// The luminance table of ITU-T T.81, annex K.
const QUANTA: [[u16; 8]; 8] = [
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
];

/// What JPEG loses: each square of eight by eight as cosines, and those rounded as libjpeg does for this quality.
fn jpeg(picture: &Grey, quality: u8) -> Grey {
    let quality = u32::from(quality);
    let scale = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    let quantum = |u: usize, v: usize| ((u32::from(QUANTA[v][u]) * scale + 50) / 100).clamp(1, 255) as f32;
    let mut cosines = [[0.0_f32; 8]; 8];
    for (u, row) in cosines.iter_mut().enumerate() {
        let weight = if u == 0 { (0.125_f32).sqrt() } else { 0.5 };
        for (x, cosine) in row.iter_mut().enumerate() {
            *cosine = weight * ((2 * x + 1) as f32 * u as f32 * std::f32::consts::PI / 16.0).cos();
        }
    }
    let mut out = picture.clone();
    for by in (0..picture.height).step_by(8) {
        for bx in (0..picture.width).step_by(8) {
            let mut block = [[0.0_f32; 8]; 8];
            for (y, row) in block.iter_mut().enumerate() {
                for (x, value) in row.iter_mut().enumerate() {
                    *value = picture.at((bx + x) as i64, (by + y) as i64) - 128.0;
                }
            }
            let mut waves = transformed(&block, &cosines, false);
            for (v, row) in waves.iter_mut().enumerate() {
                for (u, wave) in row.iter_mut().enumerate() {
                    *wave = (*wave / quantum(u, v)).round() * quantum(u, v);
                }
            }
            for (y, row) in transformed(&waves, &cosines, true).iter().enumerate().take(picture.height - by) {
                for (x, value) in row.iter().enumerate().take(picture.width - bx) {
                    out.pixels[(by + y) * picture.width + bx + x] = (value + 128.0).round().clamp(0.0, 255.0) as u8;
                }
            }
        }
    }
    out
}

/// The cosine transform in both directions of a square, or back.
fn transformed(block: &[[f32; 8]; 8], cosines: &[[f32; 8]; 8], back: bool) -> [[f32; 8]; 8] {
    let factor = |a: usize, b: usize| if back { cosines[b][a] } else { cosines[a][b] };
    let waves = |values: &[f32; 8]| std::array::from_fn(|u| (0..8).map(|x| values[x] * factor(u, x)).sum());
    let turned = |square: [[f32; 8]; 8]| std::array::from_fn(|y| std::array::from_fn(|x| square[x][y]));
    let columns: [[f32; 8]; 8] = turned(block.each_ref().map(waves));
    turned(columns.each_ref().map(waves))
}

/// What rqrr reads.
pub fn rqrr(picture: &Grey) -> Vec<String> {
    let mut image =
        rqrr::PreparedImage::prepare_from_greyscale(picture.width, picture.height, |x, y| picture.pixels[y * picture.width + x]);
    image.detect_grids().iter().filter_map(|grid| grid.decode().ok().map(|(_, text)| text)).collect()
}

/// What zbar reads of each picture; all of them in one call, since its start takes longer than its work.
pub fn zbar(pictures: &[Grey], directory: &Path) -> Vec<Vec<String>> {
    let name = |n: usize| directory.join(format!("{n:05}.pgm"));
    for (n, picture) in pictures.iter().enumerate() {
        let mut file = std::io::BufWriter::new(std::fs::File::create(name(n)).expect("a new file"));
        writeln!(file, "P5 {} {} 255", picture.width, picture.height).expect("written");
        file.write_all(&picture.pixels).expect("written");
        file.flush().expect("written");
    }
    let mut read = vec![Vec::new(); pictures.len()];
    for (first, chunk) in (0..).step_by(100).zip((0..pictures.len()).collect::<Vec<_>>().chunks(100)) {
        let files = chunk.iter().map(|n| name(*n));
        // Status 4: nothing was found in some of them.
        let output = Command::new("zbarimg").args(["--quiet", "--xml", "-Sdisable", "-Sqrcode.enable"]).args(files).output();
        let output = output.expect("zbarimg: install zbar-tools");
        assert!(matches!(output.status.code(), Some(0 | 4)), "{}", String::from_utf8_lossy(&output.stderr));
        let xml = String::from_utf8_lossy(&output.stdout).into_owned();
        for source in xml.split("<source href='").skip(1) {
            let (file, rest) = source.split_once('\'').expect("a name");
            let n: usize = Path::new(file).file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok()).expect("ours");
            assert!(n >= first);
            let texts = rest.split("<![CDATA[").skip(1).filter_map(|text| Some(text.split_once("]]>")?.0.to_owned()));
            read[n] = texts.collect();
        }
    }
    (0..pictures.len()).for_each(|n| std::fs::remove_file(name(n)).expect("removed"));
    read
}
