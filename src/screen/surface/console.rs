//! The text console that shares a panel: its cursor, its letters and its darkness after ten minutes.
//!
//! A framebuffer belongs to nobody: the kernel, a login prompt or a blinking cursor writes over the picture. While a
//! panel is used, its console is told to draw nothing. This works as far as the permissions allow. Steps that are not
//! allowed are left out, and the panel is used all the same.

use super::ioctl::{ask, ask_nothing};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// The console that is seen.
const CONSOLE: &str = "/dev/tty0";
/// After this many seconds without a key the kernel darkens the console; 0: never.
const BLANK_AFTER: &str = "/sys/module/kernel/parameters/consoleblank";

/// A console that draws nothing. Dropping it puts everything back.
pub(super) struct Console {
    file: File,
    number: u16,
    /// Another console was in front at the last look.
    away: AtomicBool,
    blank_after_s: u32,
    draws_nothing: bool,
}

impl Console {
    /// Quiets the console in front on this framebuffer. `None`: there is none, or it may not be touched. The console of
    /// another panel is left alone, since somebody may be working there.
    pub(super) fn take(framebuffer: &File, path: &Path) -> Option<Self> {
        let number = libc::minor(std::fs::metadata(path).ok()?.rdev());
        // It must not become the controlling terminal: a hang-up there would end the program.
        let file = OpenOptions::new().write(true).custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK).open(CONSOLE).ok()?;
        let mut state = VtStat::default();
        ask(&file, VT_GETSTATE, &mut state).ok()?;
        let mut on = ConsoleToFramebuffer { console: state.active.into(), framebuffer: u32::MAX };
        ask(framebuffer, FBIOGET_CON2FBMAP, &mut on).ok()?;
        if on.framebuffer != number {
            return None;
        }
        let blank_after_s = std::fs::read_to_string(BLANK_AFTER).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let mut console = Self { file, number: state.active, away: AtomicBool::new(false), blank_after_s, draws_nothing: false };
        console.say("\x1b[?25l\x1b[9;0]\x1b[13]");
        if !console.belongs_to_a_desktop() {
            console.draws_nothing = ask_nothing(&console.file, KDSETMODE, KD_GRAPHICS).is_ok();
        }
        Some(console)
    }

    /// Whether this console is in front again after another one. The other one's drawing is still on the panel.
    pub(super) fn came_back(&self) -> bool {
        let mut state = VtStat::default();
        let away = ask(&self.file, VT_GETSTATE, &mut state).is_ok() && state.active != self.number;
        self.away.swap(away, Ordering::Relaxed) && !away
    }

    /// A console in graphics mode, and a program has taken over its switching. A console that is only in graphics mode was
    /// left so by a run of ours that was killed.
    fn belongs_to_a_desktop(&self) -> bool {
        let (mut mode, mut switching) = (0_i32, VtMode::default());
        let asked = ask(&self.file, KDGETMODE, &mut mode).and_then(|()| ask(&self.file, VT_GETMODE, &mut switching));
        asked.is_ok() && mode != KD_TEXT as i32 && switching.mode == VT_PROCESS
    }

    /// Writes an escape sequence (`console_codes(4)`). A console that refuses it stays as it was.
    fn say(&mut self, sequence: &str) {
        let _ = self.file.write_all(sequence.as_bytes());
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if self.draws_nothing {
            // The console draws its letters anew.
            let _ = ask_nothing(&self.file, KDSETMODE, KD_TEXT);
        }
        self.say(&format!("\x1b[?25h\x1b[9;{}]", self.blank_after_s.div_ceil(60)));
    }
}

/// `struct vt_stat`.
#[repr(C)]
#[derive(Default)]
struct VtStat {
    active: u16,
    _signal: u16,
    _state: u16,
}

/// `struct vt_mode`.
#[repr(C)]
#[derive(Default)]
struct VtMode {
    mode: u8,
    _waitv: u8,
    _signals: [u16; 3],
}

/// `struct fb_con2fbmap`.
#[repr(C)]
struct ConsoleToFramebuffer {
    console: u32,
    framebuffer: u32,
}

const _: () =
    assert!(size_of::<VtStat>() == 6 && size_of::<VtMode>() == 8 && size_of::<ConsoleToFramebuffer>() == 8, "as in linux/vt.h, linux/fb.h");

const VT_GETMODE: u32 = 0x5601;
const VT_GETSTATE: u32 = 0x5603;
const VT_PROCESS: u8 = 1;
const KDSETMODE: u32 = 0x4b3a;
const KDGETMODE: u32 = 0x4b3b;
const KD_TEXT: libc::c_ulong = 0;
const KD_GRAPHICS: libc::c_ulong = 1;
const FBIOGET_CON2FBMAP: u32 = 0x460f;
