//! The signs: line segments on a disc, drawn by their distances.

use super::canvas::{Canvas, flood, length, over, packed};
use super::{Colour, Rect, Sign};

impl<const N: usize> Canvas<N> {
    pub(super) fn sign(&mut self, area: Rect, part: Rect, sign: Sign, disc: Colour, stroke: Colour) {
        const RADIUS: f32 = 0.49;
        const THICKNESS: f32 = 0.045;
        let size = area.w.min(area.h) as f32;
        // One pixel of softness at each edge.
        let coverage = |distance: f32| ((0.5 - distance * size).clamp(0.0, 1.0) * 255.0) as u32;
        let centre = |i: i32| (i as f32 + 0.5) / size;
        // The columns between two places in the sign.
        let columns = |from: f32, to: f32| {
            let (start, end) = (area.x + (from * size).floor() as i32 - 1, area.x + (to * size).ceil() as i32 + 1);
            start.max(part.x)..end.min(part.x + part.w)
        };
        for y in part.y..part.y + part.h {
            let v = centre(y - area.y);
            // Half of a circle's width in this row.
            let chord = |radius: f32| (radius * radius - (v - 0.5) * (v - 0.5)).max(0.0).sqrt();
            let (outer, inner) = (chord(RADIUS + 0.5 / size), chord(RADIUS - 0.5 / size));
            let around = columns(0.5 - outer, 0.5 + outer);
            if around.is_empty() {
                continue;
            }
            let start = (area.x + ((0.5 - inner) * size).ceil() as i32).clamp(around.start, around.end);
            let end = (area.x + ((0.5 + inner) * size).floor() as i32).clamp(start, around.end);
            flood(self.row(start, y, end - start), packed(disc));
            for x in (around.start..start).chain(end..around.end) {
                let pixel = &mut self.row(x, y, 1)[0];
                *pixel = over(*pixel, disc, coverage(length(centre(x - area.x) - 0.5, v - 0.5) - RADIUS));
            }
            let reach = THICKNESS + 1.0 / size;
            let near = |(a, b): &&(Point, Point)| (a.1.min(b.1) - reach..=a.1.max(b.1) + reach).contains(&v);
            let strokes = sign.strokes().iter().filter(near);
            let extent = strokes.map(|(a, b)| (a.0.min(b.0) - reach, a.0.max(b.0) + reach)).reduce(|p, q| (p.0.min(q.0), p.1.max(q.1)));
            for x in extent.map_or(0..0, |(from, to)| columns(from, to)) {
                let at = (centre(x - area.x), v);
                let distance = sign.strokes().iter().map(|&(a, b)| distance_squared(at, a, b)).fold(f32::MAX, f32::min).sqrt();
                let pixel = &mut self.row(x, y, 1)[0];
                *pixel = over(*pixel, stroke, coverage(distance - THICKNESS));
            }
        }
    }
}

type Point = (f32, f32);

impl Sign {
    /// Line segments in a square of side 1.
    fn strokes(self) -> &'static [(Point, Point)] {
        match self {
            Self::Check => &[((0.29, 0.52), (0.44, 0.67)), ((0.44, 0.67), (0.72, 0.36))],
            Self::Cross => &[((0.34, 0.34), (0.66, 0.66)), ((0.66, 0.34), (0.34, 0.66))],
            Self::Exclamation => &[((0.5, 0.27), (0.5, 0.55)), ((0.5, 0.715), (0.5, 0.72))],
            Self::Clock => &[((0.5, 0.25), (0.5, 0.52)), ((0.5, 0.52), (0.66, 0.61))],
        }
    }
}

/// The distance from a point to a line segment, squared.
fn distance_squared(p: Point, a: Point, b: Point) -> f32 {
    let (ab, ap) = ((b.0 - a.0, b.1 - a.1), (p.0 - a.0, p.1 - a.1));
    let squared = ab.0 * ab.0 + ab.1 * ab.1;
    let t = ((ap.0 * ab.0 + ap.1 * ab.1) / squared).clamp(0.0, 1.0);
    let away = (ap.0 - t * ab.0, ap.1 - t * ab.1);
    away.0 * away.0 + away.1 * away.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_is_what_its_distances_say_whole_and_in_parts() {
        let (size, ground, disc, stroke) = (47, 0x10_2030, 0xff_0000, 0x00_ff00);
        let area = Rect::new(3, 2, size, size);
        for sign in [Sign::Check, Sign::Cross, Sign::Exclamation, Sign::Clock] {
            for part in [Rect::new(0, 0, 60, 60), Rect::new(20, 9, 11, 30), Rect::new(0, 40, 60, 20)] {
                let mut canvas = Canvas::<4>::new();
                (canvas.area, canvas.pixels) = (part, vec![packed(ground); part.pixels()]);
                canvas.sign(area, area.common(part).expect("some"), sign, disc, stroke);
                for (i, pixel) in (0..).zip(&canvas.pixels) {
                    let (x, y) = (part.x + i % part.w - area.x, part.y + i / part.w - area.y);
                    let at = ((x as f32 + 0.5) / size as f32, (y as f32 + 0.5) / size as f32);
                    let over =
                        |below, above, distance: f32| over(below, above, ((0.5 - distance * size as f32).clamp(0.0, 1.0) * 255.0) as u32);
                    let below = over(packed::<4>(ground), disc, length(at.0 - 0.5, at.1 - 0.5) - 0.49);
                    let line = sign.strokes().iter().map(|&(a, b)| distance_squared(at, a, b)).fold(f32::MAX, f32::min).sqrt();
                    assert_eq!(*pixel, over(below, stroke, line - 0.045), "{sign:?} {part:?} at {x},{y}");
                }
            }
        }
    }
}
