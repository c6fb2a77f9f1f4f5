//! A file for scripts: it is there exactly as long as a customer is. Its line names the request, and tells since when.
//!
//! It lies in the directory that systemd makes for this service (`RuntimeDirectory=`). Without one there is no file. systemd keeps it
//! while it starts a service that died: a customer who was there is there still. The next start makes it true again.

use super::requests::{Controllers, Listener};
use crate::words::View;
use qris_core::order::ids::RequestId;
use qris_host::clock;
use qris_host::events::Event;
use qris_host::journal::emit;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tokio::sync::watch;

const NAME: &str = "customer";

pub fn start(controllers: &mut Controllers) {
    let directories = std::env::var_os("RUNTIME_DIRECTORY").unwrap_or_default();
    if let Some(directory) = std::env::split_paths(&directories).next().filter(|path| path.is_absolute()) {
        let (news, news_rx) = watch::channel(None);
        controllers.listen(Feed(news));
        tokio::spawn(tell(directory.join(NAME), news_rx));
    }
}

/// Of two news the later one counts, however long the file takes.
struct Feed(watch::Sender<Option<RequestId>>);

impl Listener for Feed {
    fn view_changed(&mut self, view: &View) {
        self.0.send_replace(view.customer.clone());
    }
}

async fn tell(path: PathBuf, mut news: watch::Receiver<Option<RequestId>>) {
    let mut works = true;
    while news.changed().await.is_ok() {
        let (place, customer) = (path.clone(), news.borrow_and_update().clone());
        let is_there = customer.is_some();
        // Nobody who sells waits for this disk.
        let told = tokio::task::spawn_blocking(move || put(&place, customer.as_ref())).await;
        match told.unwrap_or_else(|why| Err(std::io::Error::other(why))) {
            // That there is nothing to take away says nothing.
            Ok(()) => works |= is_there,
            Err(why) => {
                if works {
                    emit(&Event::CustomerUntold { path: path.display().to_string().into(), why: why.to_string().into() });
                }
                works = false;
            }
        }
    }
}

fn put(path: &Path, customer: Option<&RequestId>) -> std::io::Result<()> {
    let Some(request) = customer else {
        return std::fs::remove_file(path).or_else(|why| if why.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(why) });
    };
    // The same customer is there since then, also if this program was started anew.
    if std::fs::read_to_string(path).is_ok_and(|line| line.split(' ').next() == Some(request.as_str())) {
        return Ok(());
    }
    // Whoever finds the file finds the line in it.
    let new = path.with_extension("new");
    let mut file = std::fs::File::create(&new)?;
    // The service has a umask of 077.
    file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
    writeln!(file, "{request} since {}", clock::now().wall)?;
    std::fs::rename(new, path)
}
