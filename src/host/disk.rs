//! How much room a disk has.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// How many bytes this program may still write on the file system of `path`.
///
/// # Errors
/// The system's reason.
#[allow(unsafe_code, reason = "statvfs has no safe face in the crates we use")]
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut found = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends with a NUL and the pointer is to memory of the right size; the call keeps neither.
    if unsafe { libc::statvfs(path.as_ptr(), found.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a call that succeeded has filled it.
    let found = unsafe { found.assume_init() };
    #[allow(clippy::useless_conversion, reason = "32-bit targets have narrower fields")]
    Ok(u64::from(found.f_bavail).saturating_mul(u64::from(found.f_frsize)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_tells_its_room() {
        assert!(free_bytes(Path::new("/tmp")).expect("a disk") > 0);
        assert_eq!(free_bytes(Path::new("/proc")).expect("a file system"), 0);
        assert!(free_bytes(Path::new("/nowhere/at/all")).is_err());
    }
}
