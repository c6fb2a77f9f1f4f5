//! A socket at a path that somebody has written into a configuration. Nothing but a socket is ever removed there.

use crate::texts;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use tokio::net::{UnixListener, UnixStream};

texts! {
    no_socket: "di sana sudah ada yang bukan soket: sebutkan path lain, atau pindahkan itu", "what is there is no socket: name another path, or move it away";
}

#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Something else has the path. It was not touched.
    #[error("{}", texts().no_socket)]
    NoSocket,
    #[error("another process answers there. It may be a second copy of this program: find it and stop it")]
    Taken,
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Looks whether a path is free, or has a socket. Nothing is touched.
pub fn look(path: &Path) -> Result<(), SocketError> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => Err(SocketError::NoSocket),
        // What cannot be looked at is refused by the system, when the socket is made.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Listens at a path, where an earlier process may have left its socket.
pub async fn listen(path: &Path, mode: u32) -> Result<UnixListener, SocketError> {
    look(path)?;
    match UnixStream::connect(path).await {
        Ok(_) => return Err(SocketError::Taken),
        Err(why) => match why.kind() {
            ErrorKind::NotFound => {}
            // Nobody listens at it any more.
            ErrorKind::ConnectionRefused => {
                look(path)?;
                fs::remove_file(path)?;
            }
            _ => return Err(why.into()),
        },
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok(listener)
}

pub fn remove(path: &Path) {
    if look(path).is_ok() {
        // It may be gone already. The next start removes one that stays.
        drop(fs::remove_file(path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_socket_stays() {
        let folder = tempfile::tempdir().expect("a directory");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "mine").expect("written");
        fs::create_dir(at("folder")).expect("made");
        drop(std::os::unix::net::UnixListener::bind(at("left")).expect("bound"));
        for (name, to) in [("link", "file"), ("link to a socket", "left"), ("link to nothing", "nothing")] {
            std::os::unix::fs::symlink(at(to), at(name)).expect("made");
        }
        for name in ["file", "folder", "link", "link to a socket", "link to nothing"] {
            let refused = listen(&at(name), 0o600).await.expect_err(name);
            assert!(matches!(refused, SocketError::NoSocket), "{name}: {refused}");
            remove(&at(name));
            assert!(fs::symlink_metadata(at(name)).is_ok(), "{name}");
        }
        assert_eq!(fs::read_to_string(at("link")).expect("there"), "mine");
        // A process that was killed has left this one.
        let listener = listen(&at("left"), 0o600).await.expect("nobody listens there");
        assert!(matches!(listen(&at("left"), 0o600).await, Err(SocketError::Taken)));
        drop(listener);
        remove(&at("left"));
        assert!(listen(&at("left"), 0o600).await.is_ok(), "a path that is free");
    }
}
