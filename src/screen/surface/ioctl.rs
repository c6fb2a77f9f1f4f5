//! Questions to the kernel's drivers.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

/// An ioctl that takes a structure, and may fill it.
pub(super) fn ask<T>(file: &File, request: u32, about: &mut T) -> io::Result<()> {
    ask_nothing(file, request, std::ptr::from_mut(about) as libc::c_ulong)
}

/// An ioctl that takes a number.
#[allow(
    unsafe_code,
    reason = "ioctl has no safe form; every request of this module comes with the structure that the kernel's headers name for it"
)]
pub(super) fn ask_nothing(file: &File, request: u32, number: libc::c_ulong) -> io::Result<()> {
    // SAFETY: a request that takes a number uses it as a number only. A structure lives through the call, is made of
    // plain numbers, and has the size that the kernel's headers give it; an assertion beside each structure checks
    // this.
    let answer = unsafe { libc::ioctl(file.as_raw_fd(), request as libc::Ioctl, number) };
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
