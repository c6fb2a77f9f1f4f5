//! The layer itself: a VFS of SQLite over the one of the operating system. It becomes the default of this process. It passes
//! on every file that is not in a directory of a [`super::Disk`], so the product need not know of it.
#![allow(unsafe_code)]
#![allow(clippy::missing_safety_doc)]

use super::{Inner, Op, Trouble, Verdict};
use rusqlite::ffi;
use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

static DISKS: Mutex<BTreeMap<PathBuf, Weak<Inner>>> = Mutex::new(BTreeMap::new());
/// The operating system's layer, below ours; or SQLite's reason why ours is not there.
static BELOW: OnceLock<Result<Below, c_int>> = OnceLock::new();

struct Below(*mut ffi::sqlite3_vfs);

// SAFETY: SQLite itself calls this layer from every thread, and never changes or frees it: it is a static of its C code.
unsafe impl Send for Below {}
// SAFETY: as above.
unsafe impl Sync for Below {}

/// An open file of ours. The operating system's own stands behind it in the same piece of memory.
#[repr(C)]
struct Handle {
    base: ffi::sqlite3_file,
    watched: *mut Watched,
}

struct Watched {
    disk: Arc<Inner>,
    file: String,
    /// The first sync of a new log syncs its directory too.
    syncs_directory: bool,
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // 2: shared memory, but no mapped pages, since nobody would see writes to them.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// From now on the files in this directory are the disk's.
pub(super) fn watch(disk: &Arc<Inner>) -> Result<(), c_int> {
    if let Err(code) = BELOW.get_or_init(install) {
        return Err(*code);
    }
    disks().insert(disk.directory.clone(), Arc::downgrade(disk));
    Ok(())
}

/// No more, unless another disk has taken its place.
pub(super) fn forget(disk: &Arc<Inner>) {
    let mut disks = disks();
    if disks.get(&disk.directory).is_some_and(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(disk))) {
        disks.remove(&disk.directory);
    }
}

fn disks() -> MutexGuard<'static, BTreeMap<PathBuf, Weak<Inner>>> {
    DISKS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn install() -> Result<Below, c_int> {
    // SAFETY: both functions may be called at any time. The first initialises SQLite and answers a layer that lives for ever. A copy of it
    // is such a layer, too: its functions look at `pAppData` and `mxPathname` only, and the copy has both. The copy is leaked, so that it
    // lives as long as SQLite may use it.
    unsafe {
        let below = ffi::sqlite3_vfs_find(std::ptr::null());
        if below.is_null() {
            return Err(ffi::SQLITE_ERROR);
        }
        let ours = Box::leak(Box::new(*below));
        ours.zName = c"qris-simulated-disk".as_ptr();
        ours.pNext = std::ptr::null_mut();
        ours.szOsFile += c_int::try_from(size_of::<Handle>()).map_err(|_| ffi::SQLITE_ERROR)?;
        ours.xOpen = Some(open);
        ours.xDelete = Some(delete);
        match ffi::sqlite3_vfs_register(ours, 1) {
            ffi::SQLITE_OK => Ok(Below(below)),
            code => Err(code),
        }
    }
}

fn below() -> Option<*mut ffi::sqlite3_vfs> {
    BELOW.get().and_then(|below| below.as_ref().ok()).map(|below| below.0)
}

/// The disk of this file, and the file's name there.
fn place(path: &Path) -> Option<(Arc<Inner>, String)> {
    let disk = disks().get(path.parent()?)?.upgrade()?;
    Some((disk, path.file_name()?.to_str()?.to_owned()))
}

/// The path behind a name of SQLite.
///
/// # Safety
/// `name` is null or ends with a zero.
unsafe fn path(name: *const c_char) -> Option<PathBuf> {
    // SAFETY: as the caller says.
    (!name.is_null()).then(|| OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes()).into())
}

/// The operating system's file behind ours.
///
/// # Safety
/// `file` was opened by [`open`] as a [`Handle`].
unsafe fn behind(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: `szOsFile` asked for as many bytes more than the operating system's file has.
    unsafe { file.cast::<Handle>().add(1).cast() }
}

/// The watched facts of a file.
///
/// # Safety
/// `file` was opened by [`open`] as a [`Handle`] and is not closed.
unsafe fn watched<'a>(file: *mut ffi::sqlite3_file) -> &'a mut Watched {
    // SAFETY: `open` put a box there, and only `close` takes it away. SQLite uses a file from one thread at a time.
    unsafe { &mut *(*file.cast::<Handle>()).watched }
}

/// Calls the operating system's method.
macro_rules! pass {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        let file = behind($file);
        match (*(*file).pMethods).$method {
            Some(method) => method(file $(, $argument)*),
            None => ffi::SQLITE_IOERR,
        }
    }};
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives a name that it made or none, and memory of `szOsFile` bytes for the file.
    unsafe {
        (*file).pMethods = std::ptr::null();
        let Some(below) = below() else { return ffi::SQLITE_CANTOPEN };
        let Some(really) = (*below).xOpen else { return ffi::SQLITE_CANTOPEN };
        let path = path(name);
        let Some((disk, known)) = path.as_deref().and_then(place) else {
            // Not ours: the file is the operating system's own, methods and all.
            return really(below, name, file, flags, out);
        };
        let existed = path.is_some_and(|path| path.exists());
        let flags = match disk.judge(&known, Op::Open, None) {
            Verdict::Do => flags,
            Verdict::Fails(Trouble::ReadOnly) if existed => {
                flags & !(ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE) | ffi::SQLITE_OPEN_READONLY
            }
            Verdict::Fails(_) => return ffi::SQLITE_CANTOPEN,
        };
        let code = really(below, name, behind(file), flags, out);
        if code != ffi::SQLITE_OK {
            return code;
        }
        disk.opened(&known, existed);
        let log = ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL;
        let syncs_directory = flags & log != 0 && flags & ffi::SQLITE_OPEN_CREATE != 0;
        (*file.cast::<Handle>()).watched = Box::into_raw(Box::new(Watched { disk, file: known, syncs_directory }));
        (*file).pMethods = &METHODS;
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, directory: c_int) -> c_int {
    // SAFETY: SQLite gives a name that it made.
    unsafe {
        let Some(below) = below() else { return ffi::SQLITE_IOERR_DELETE };
        let Some(really) = (*below).xDelete else { return ffi::SQLITE_IOERR_DELETE };
        let Some((disk, known)) = path(name).as_deref().and_then(place) else { return really(below, name, directory) };
        if let Verdict::Fails(_) = disk.judge(&known, Op::Delete, None) {
            return ffi::SQLITE_IOERR_DELETE;
        }
        let code = really(below, name, 0);
        if code == ffi::SQLITE_OK {
            disk.deleted(&known, directory != 0);
        }
        code
    }
}

// SAFETY of all that follow: SQLite calls them with a file that `open` made a `Handle`, from one thread at a time, and with
// memory that is as long as it says.

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: see above; SQLite does not use the file after this.
    unsafe {
        let watched = Box::from_raw((*file.cast::<Handle>()).watched);
        let code = pass!(file, xClose);
        watched.disk.closed(&watched.file);
        (*file).pMethods = std::ptr::null();
        code
    }
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, into: *mut c_void, count: c_int, at: ffi::sqlite3_int64) -> c_int {
    // SAFETY: see above.
    unsafe {
        let Watched { disk, file: name, .. } = watched(file);
        match disk.judge(name, Op::Read, None) {
            Verdict::Do => pass!(file, xRead, into, count, at),
            Verdict::Fails(_) => ffi::SQLITE_IOERR_READ,
        }
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, count: c_int, at: ffi::sqlite3_int64) -> c_int {
    // SAFETY: see above.
    unsafe {
        let Watched { disk, file: name, .. } = watched(file);
        let (Ok(length), Ok(place)) = (usize::try_from(count), usize::try_from(at)) else { return ffi::SQLITE_IOERR_WRITE };
        let bytes = std::slice::from_raw_parts(from.cast::<u8>(), length);
        let (length, failure) = match disk.judge(name, Op::Write, Some((place, bytes))) {
            Verdict::Do => (length, ffi::SQLITE_OK),
            Verdict::Fails(Trouble::Full) => (length / 2, ffi::SQLITE_FULL),
            Verdict::Fails(Trouble::Io) => (length / 2, ffi::SQLITE_IOERR_WRITE),
            Verdict::Fails(Trouble::ReadOnly | Trouble::Dies) => (0, ffi::SQLITE_IOERR_WRITE),
        };
        if length > 0 {
            let code = pass!(file, xWrite, from, c_int::try_from(length).unwrap_or(count), at);
            if code != ffi::SQLITE_OK {
                return code;
            }
            disk.wrote(name, place, &bytes[..length]);
        }
        failure
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: ffi::sqlite3_int64) -> c_int {
    // SAFETY: see above.
    unsafe {
        let Watched { disk, file: name, .. } = watched(file);
        if let Verdict::Fails(_) = disk.judge(name, Op::Truncate, None) {
            return ffi::SQLITE_IOERR_TRUNCATE;
        }
        let code = pass!(file, xTruncate, length);
        if code == ffi::SQLITE_OK {
            disk.truncated(name, usize::try_from(length).unwrap_or(0));
        }
        code
    }
}

/// The kernel need not be asked: the disk itself knows what is durable.
unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    // SAFETY: see above.
    let Watched { disk, file: name, syncs_directory } = unsafe { watched(file) };
    match disk.judge(name, Op::Sync, None) {
        Verdict::Do => {
            disk.synced(name, std::mem::take(syncs_directory), true);
            ffi::SQLITE_OK
        }
        // A dead program has asked for nothing.
        Verdict::Fails(Trouble::Dies) => ffi::SQLITE_IOERR_FSYNC,
        Verdict::Fails(Trouble::Io | Trouble::Full | Trouble::ReadOnly) => {
            disk.synced(name, false, false);
            ffi::SQLITE_IOERR_FSYNC
        }
    }
}

unsafe extern "C" fn shm_map(file: *mut ffi::sqlite3_file, page: c_int, size: c_int, extend: c_int, to: *mut *mut c_void) -> c_int {
    // SAFETY: see above.
    unsafe {
        let Watched { disk, file: name, .. } = watched(file);
        match disk.judge(name, Op::Share, None) {
            Verdict::Do => pass!(file, xShmMap, page, size, extend, to),
            Verdict::Fails(Trouble::Full) => ffi::SQLITE_IOERR_SHMSIZE,
            Verdict::Fails(_) => ffi::SQLITE_IOERR_SHMMAP,
        }
    }
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: see above.
    unsafe {
        let Watched { disk, file: name, .. } = watched(file);
        // A dead program deletes nothing.
        let is_dead = disk.state().dead.contains(super::database_of(name));
        pass!(file, xShmUnmap, if is_dead { 0 } else { delete })
    }
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    // SAFETY: see above.
    unsafe {
        let file = behind(file);
        if let Some(method) = (*(*file).pMethods).xShmBarrier {
            method(file);
        }
    }
}

/// The operating system does it as usual.
macro_rules! as_ever {
    ($($name:ident = $method:ident ( $($argument:ident: $kind:ty),* );)*) => {$(
        unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file $(, $argument: $kind)*) -> c_int {
            // SAFETY: see above.
            unsafe { pass!(file, $method $(, $argument)*) }
        }
    )*};
}

as_ever! {
    file_size = xFileSize(size: *mut ffi::sqlite3_int64);
    lock = xLock(level: c_int);
    unlock = xUnlock(level: c_int);
    check_reserved_lock = xCheckReservedLock(out: *mut c_int);
    file_control = xFileControl(op: c_int, argument: *mut c_void);
    sector_size = xSectorSize();
    device_characteristics = xDeviceCharacteristics();
    shm_lock = xShmLock(offset: c_int, count: c_int, flags: c_int);
}
