//! A driver of a few lines, and how a panel takes its answers.

use super::*;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex};

/// The visible state of the driver, and its answers.
struct Answers {
    var: VarScreenInfo,
    fix: FixScreenInfo,
    inode: u64,
    /// How many pans still work; further ones are refused.
    pans_left: u32,
    /// The offset of each pan, and the first visible byte at that moment.
    pans: Vec<(u32, u8)>,
    gone: bool,
    begun: bool,
    lent: bool,
}

#[derive(Clone)]
struct Fake {
    answers: Arc<Mutex<Answers>>,
    memory: Arc<File>,
}

impl Fake {
    /// 240×240 with this much padding in pixels, and memory for this many rows.
    fn new(pixels: Pixels, padding: u32, rows: u32) -> Self {
        let field = |channel: Channel| Bitfield { offset: channel.offset, length: channel.length, _msb_right: 0 };
        let var = VarScreenInfo {
            xres: 240,
            yres: 240,
            yres_virtual: rows,
            bits_per_pixel: pixels.bits,
            red: field(pixels.red),
            green: field(pixels.green),
            blue: field(pixels.blue),
            transp: field(pixels.alpha),
            ..VarScreenInfo::default()
        };
        let line_length = (240 + padding) * pixels.bits / 8;
        let fix = FixScreenInfo { visual: FB_VISUAL_TRUECOLOR, smem_len: line_length * rows, line_length, ..FixScreenInfo::default() };
        let memory = tempfile::tempfile().expect("a file");
        memory.set_len(u64::from(fix.smem_len) + 4096).expect("memory");
        let answers = Answers { var, fix, inode: 1, pans_left: 0, pans: Vec::new(), gone: false, begun: false, lent: false };
        Self { answers: Arc::new(Mutex::new(answers)), memory: Arc::new(memory) }
    }

    /// A driver that offers two frames. This many turns work.
    fn panning(pixels: Pixels, turns: u32) -> Self {
        let fake = Self::new(pixels, 0, 480);
        fake.change(|answers| {
            answers.fix.ypanstep = 1;
            answers.fix.smem_start = 0xe000_0000;
            // One more, for the trial when it is opened.
            answers.pans_left = turns + 1;
        });
        fake
    }

    fn change(&self, change: impl FnOnce(&mut Answers)) {
        change(&mut self.answers.lock().expect("one thread"));
    }

    fn open(&self) -> Result<Panel<Self>, SurfaceError> {
        Panel::new(Path::new("/dev/fb7"), self.clone())
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.memory.metadata().expect("there").len() as usize];
        self.memory.read_exact_at(&mut bytes, 0).expect("readable");
        bytes
    }

    fn pans(&self) -> Vec<(u32, u8)> {
        std::mem::take(&mut self.answers.lock().expect("one thread").pans)
    }
}

impl Driver for Fake {
    fn ask(&self) -> io::Result<(VarScreenInfo, FixScreenInfo, Node)> {
        let answers = self.answers.lock().expect("one thread");
        if answers.gone {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        Ok((answers.var.clone(), answers.fix.clone(), Node { inode: answers.inode, ..Node::default() }))
    }

    fn begin(&mut self) {
        self.change(|answers| answers.begun = true);
    }

    fn was_lent(&self) -> bool {
        self.answers.lock().expect("one thread").lent
    }

    fn map(&self, length: usize) -> io::Result<MmapMut> {
        map(&self.memory, 0, length)
    }

    fn pan(&self, to: &VarScreenInfo) -> io::Result<()> {
        let mut answers = self.answers.lock().expect("one thread");
        if answers.pans_left == 0 {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        answers.pans_left -= 1;
        answers.var.yoffset = to.yoffset;
        let mut first = [0];
        self.memory.read_exact_at(&mut first, u64::from(to.yoffset * answers.fix.line_length)).expect("readable");
        answers.pans.push((to.yoffset, first[0]));
        Ok(())
    }

    fn wait_for_turn(&self) -> io::Result<()> {
        Ok(())
    }
}

const BGR888: Pixels = Pixels::new(24, [(0, 8), (8, 8), (16, 8)], (0, 0));

#[test]
fn pixels_lie_where_the_drivers_stride_offsets_and_address_put_them() {
    for (what, pixels, padding, (xoffset, yoffset), smem_start) in [
        ("plain", Pixels::RGB565, 0, (0, 0), 0),
        ("padded rows", Pixels::RGB565, 16, (0, 0), 0),
        ("shifted", Pixels::RGB565, 16, (8, 3), 0),
        ("wide, padded, shifted", Pixels::XRGB8888, 9, (9, 10), 0),
        ("memory that begins within a page", Pixels::XRGB8888, 0, (0, 0), 0xe000_0100),
        ("three bytes, padded", BGR888, 5, (2, 1), 0xe000_0010),
    ] {
        let fake = Fake::new(pixels, padding, 250);
        fake.change(|answers| {
            (answers.var.xoffset, answers.var.yoffset) = (xoffset, yoffset);
            answers.fix.smem_start = smem_start;
        });
        let mut panel = fake.open().expect(what);
        // The last byte of the driver's pixel differs from that of the drawn pixel, in each format.
        let (drawn, made): (&[u8], &[u8]) = match pixels.bits {
            16 => (&[1, 2], &[1, 2]),
            24 => (&[1, 2, 3, 0], &[3, 2, 1]),
            _ => (&[1, 2, 3, 0], &[1, 2, 3, 0]),
        };
        let at = |x: usize, y: usize| {
            let stride = (240 + padding as usize) * pixels.bytes();
            (smem_start as usize & 4095) + (y + yoffset as usize) * stride + (x + xoffset as usize) * pixels.bytes()
        };
        let mut wanted = fake.bytes();
        panel.put(Rect::new(7, 200, 2, 3), &drawn.repeat(6)).expect(what);
        for y in 200..203 {
            wanted[at(7, y)..][..made.len() * 2].copy_from_slice(&made.repeat(2));
        }
        assert!(fake.bytes() == wanted, "{what}: a part");
        let (row, black) = (drawn.repeat(240), vec![0; drawn.len() * 240]);
        panel.put_rows(237, &[&row, &black, &row]).expect(what);
        for y in [237, 239] {
            wanted[at(0, y)..][..made.len() * 240].copy_from_slice(&made.repeat(240));
        }
        assert!(fake.bytes() == wanted, "{what}: rows");
        assert!(!panel.turns_pages() && fake.pans().is_empty(), "{what}");
        panel.check().expect(what);
    }
}

#[test]
fn with_two_frames_rows_are_written_where_nobody_sees_them_and_then_turned_to() {
    let fake = Fake::panning(Pixels::RGB565, 9);
    let mut panel = fake.open().expect("open");
    assert!(panel.turns_pages());
    fake.pans();
    let (ones, twos) = ([1; 480], [2; 480]);
    panel.put_rows(0, &[&ones[..]; 240]).expect("put");
    assert_eq!(fake.pans(), [(240, 1)], "it was there before it was seen");
    panel.put_rows(0, &[&twos]).expect("put");
    assert_eq!(fake.pans(), [(0, 2)]);
    panel.put(Rect::new(0, 239, 1, 1), &[9, 9]).expect("put");
    assert_eq!(fake.pans(), [], "what is small is seen at once");
    let frame = [&[2; 480][..], &[1; 480 * 238], &[9; 2], &[1; 478]].concat();
    assert!(fake.bytes()[..480 * 480] == [frame.as_slice(), &frame].concat(), "both are alike");
    panel.check().expect("the panel that was opened");
    panel.put_rows(0, &[&ones]).expect("put");
    fake.pans();
    drop(panel);
    assert_eq!(fake.pans(), [(0, 1)], "the first rows of its memory are shown again");
}

#[test]
fn a_console_that_scrolled_is_moved_back_and_found_again_where_it_was() {
    let fake = Fake::panning(Pixels::RGB565, 9);
    fake.change(|answers| answers.var.yoffset = 100);
    let mut panel = fake.open().expect("open");
    assert!(panel.turns_pages());
    assert_eq!(fake.pans(), [(0, 0)]);
    panel.put_rows(0, &[&[1; 480][..]; 240]).expect("put");
    panel.check().expect("the panel that was opened");
    fake.pans();
    drop(panel);
    assert_eq!(fake.pans(), [(100, 1)]);
}

#[test]
fn a_driver_that_offers_to_pan_and_does_not_is_written_to_where_it_is_seen() {
    let row = [7; 480];
    // A turn is refused at once; or after one turn, which leaves the second frame shown.
    for (turns, offset) in [(None, 0), (Some(0), 0), (Some(1), 240)] {
        let fake = Fake::panning(Pixels::RGB565, turns.unwrap_or(0));
        if turns.is_none() {
            fake.change(|answers| answers.pans_left = 0);
        }
        let mut panel = fake.open().expect("open");
        assert_eq!(panel.turns_pages(), turns.is_some());
        for y in 0..3 {
            panel.put_rows(y, &[&row]).expect("put");
            assert!(fake.bytes()[(offset + y) as usize * 480..][..480] == row, "{turns:?}: row {y}");
        }
        assert!(!panel.turns_pages());
        panel.check().expect("the panel that was opened");
    }
}

#[test]
fn one_frame_is_used_where_two_would_not_fit_or_could_not_be_turned_to() {
    type Case = (&'static str, fn(&mut Answers));
    let cases: [Case; 5] = [
        ("its memory is a copy", |a| a.fix.smem_start = 0),
        ("no second frame", |a| a.var.yres_virtual = 479),
        ("less memory than it says", |a| a.fix.smem_len = 480 * 479),
        ("it does not pan", |a| a.fix.ypanstep = 0),
        ("in steps that do not hit it", |a| a.fix.ypanstep = 7),
    ];
    for (what, change) in cases {
        let fake = Fake::panning(Pixels::RGB565, 9);
        fake.change(change);
        assert!(!fake.open().expect(what).turns_pages(), "{what}");
        assert_eq!(fake.pans(), [], "{what}");
    }
}

#[test]
fn answers_that_are_no_panel_are_refused_with_the_reason() {
    type Case = (&'static str, fn(&mut Answers), &'static str);
    let cases: [Case; 7] = [
        ("too small", |a| a.var.xres = 64, "64×240"),
        ("no rows", |a| a.var.yres = 0, "240×0"),
        ("a palette", |a| a.fix.visual = 3, "pixels of 16 bits"),
        ("grey", |a| a.var.grayscale = 1, "pixels of 16 bits"),
        ("rows shorter than the picture", |a| a.fix.line_length = 479, "smaller than its picture"),
        ("memory shorter than the picture", |a| a.fix.smem_len = 480 * 240 - 1, "smaller than its picture"),
        ("an offset beyond it", |a| a.var.yoffset = u32::MAX, "smaller than its picture"),
    ];
    for (what, change, wanted) in cases {
        let fake = Fake::new(Pixels::RGB565, 0, 240);
        fake.change(change);
        let told = fake.open().err().expect(what).to_string();
        assert!(told.contains(wanted) && told.contains("/dev/fb7"), "{what}: {told}");
        assert!(!fake.answers.lock().expect("one thread").begun, "{what}: its console is left alone");
    }
}

#[test]
fn another_panel_at_the_same_place_is_noticed() {
    type Case = (&'static str, fn(&mut Answers));
    let cases: [Case; 9] = [
        ("its node was made anew", |a| a.inode = 2),
        ("another driver", |a| a.fix.id = *b"vc4drmfb\0\0\0\0\0\0\0\0"),
        ("its memory is elsewhere", |a| a.fix.smem_start = 4096),
        ("another size", |a| a.var.xres = 320),
        ("another depth", |a| a.var.bits_per_pixel = 32),
        ("red and blue changed places", |a| std::mem::swap(&mut a.var.red, &mut a.var.blue)),
        ("somebody else moved it", |a| a.var.yoffset = 8),
        ("it is gone", |a| a.gone = true),
        ("somebody worked at another console of it", |a| a.lent = true),
    ];
    for (what, change) in cases {
        let fake = Fake::new(Pixels::RGB565, 0, 250);
        let panel = fake.open().expect(what);
        panel.check().expect(what);
        fake.change(change);
        assert!(panel.check().is_err(), "{what}");
    }
}
