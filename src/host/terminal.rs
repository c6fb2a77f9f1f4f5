//! A person at a terminal who types a secret. The terminal does not show it.

use std::io::{self, IsTerminal as _};

/// Whether a person sits at standard input.
#[must_use]
pub fn is_there() -> bool {
    io::stdin().is_terminal()
}

/// Standard input as a terminal that does not show the typed text, until this is dropped. If it is not a terminal,
/// nothing changes.
pub struct Hidden {
    before: Option<libc::termios>,
}

impl Hidden {
    /// Begins to hide.
    #[must_use]
    pub fn begin() -> Self {
        // The end of the line is shown: the cursor moves on.
        Self::with(libc::ECHONL)
    }

    /// Begins to hide the ends of lines too, for a text of many lines.
    #[must_use]
    pub fn wholly() -> Self {
        Self::with(0)
    }

    #[allow(unsafe_code, reason = "tcgetattr and tcsetattr have no safe face in the crates we use")]
    fn with(shown: libc::tcflag_t) -> Self {
        let mut found = std::mem::MaybeUninit::<libc::termios>::uninit();
        // SAFETY: the pointer is to memory of the right size. The call does not keep it.
        if unsafe { libc::tcgetattr(libc::STDIN_FILENO, found.as_mut_ptr()) } != 0 {
            return Self { before: None };
        }
        // SAFETY: a call that succeeded has filled it.
        let before = unsafe { found.assume_init() };
        let mut hidden = before;
        hidden.c_lflag &= !(libc::ECHO | libc::ECHONL);
        hidden.c_lflag |= shown;
        set(&hidden);
        Self { before: Some(before) }
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            set(before);
        }
    }
}

#[allow(unsafe_code, reason = "tcgetattr and tcsetattr have no safe face in the crates we use")]
fn set(settings: &libc::termios) {
    // SAFETY: the pointer is to a live value, and the call does not keep it. A terminal that refuses stays as it is.
    unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSAFLUSH, settings) };
}
