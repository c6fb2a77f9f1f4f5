//! The log of a database at its opening.

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, ffi};
use std::ffi::c_int;
use std::ptr::null_mut;

/// Copies the log into the database, and makes the log empty. A sync that failed has lost data, but the kernel still shows
/// this data and counts it as written. So a program that starts later finds a commit in the log that was reported as failed,
/// and appends to it. If the power goes later, the log ends at the gap, and all later commits are lost with it: in a ledger,
/// a pulse. The copying itself needs a log without a gap, for the power may go in the middle of it.
/// After an error each commit is still in the log or in the database.
pub(super) fn empty(connection: &Connection) -> rusqlite::Result<()> {
    use ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull, ReadOnly};
    let code = |result: &rusqlite::Result<()>| result.as_ref().err().and_then(rusqlite::Error::sqlite_error_code);
    let whole = write_again(connection);
    match code(&whole) {
        // Others are writing. The first of them did this.
        Some(DatabaseBusy | DatabaseLocked | ReadOnly) => return Ok(()),
        Some(_) | None => whole?,
    }
    let copied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    match code(&copied) {
        // Others may be reading, or the disk may be full. The log stays, and the next opening tries again.
        Some(DatabaseBusy | DatabaseLocked | DiskFull | ReadOnly) => Ok(()),
        Some(_) | None => copied,
    }
}

/// Writes the bytes of the log over themselves, and syncs them: the kernel passes over what it counts as written. An existing
/// file needs no room for this. Nobody else writes meanwhile.
fn write_again(connection: &Connection) -> rusqlite::Result<()> {
    let alone = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    // SAFETY: the connection is open, and only this thread has it. It is in a transaction, so its log stays open.
    #[allow(unsafe_code, reason = "see there")]
    let code = unsafe { overwrite(connection.handle()) };
    match code {
        ffi::SQLITE_OK => alone.rollback(),
        code => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some("the log could not be written again".into()))),
    }
}

/// Goes by SQLite's own layer of files, which knows where the log is. Answers SQLite's code.
///
/// # Safety
/// `database` is open and in a transaction, and nobody else uses it.
#[allow(unsafe_code, reason = "rusqlite has no face for a database's file")]
unsafe fn overwrite(database: *mut ffi::sqlite3) -> c_int {
    let mut log: *mut ffi::sqlite3_file = null_mut();
    // SAFETY: SQLite answers with a pointer to its log, which is open during a transaction. Each method gets this pointer, and
    // a buffer as long as it is told.
    unsafe {
        let asked = ffi::SQLITE_FCNTL_JOURNAL_POINTER;
        let code = ffi::sqlite3_file_control(database, c"main".as_ptr(), asked, (&raw mut log).cast());
        let Some(methods) = log.as_ref().and_then(|log| log.pMethods.as_ref()) else { return code };
        let (Some(size), Some(read), Some(write), Some(sync)) = (methods.xFileSize, methods.xRead, methods.xWrite, methods.xSync) else {
            return ffi::SQLITE_IOERR;
        };
        let mut buffer = [0_u8; PIECE as usize];
        let mut length = 0;
        let mut code = size(log, &raw mut length);
        let mut at = 0;
        while code == ffi::SQLITE_OK && at < length {
            let piece = c_int::try_from(length - at).unwrap_or(PIECE).min(PIECE);
            code = read(log, buffer.as_mut_ptr().cast(), piece, at);
            if code == ffi::SQLITE_OK {
                code = write(log, buffer.as_ptr().cast(), piece, at);
            }
            at += i64::from(piece);
        }
        if code == ffi::SQLITE_OK && length > 0 { sync(log, ffi::SQLITE_SYNC_NORMAL) } else { code }
    }
}

/// The log is written in pieces of so many bytes.
const PIECE: c_int = 32 * 1024;
