//! Sends notifications, each by itself, and follows the redirects that may be followed.

use super::Shared;
use crate::midtrans::Notice;
use axum::http::header;
use qris_core::order::time::Span;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How many notifications are under way at once.
const AT_ONCE: usize = 256;
/// Redirects 307 and 308 are followed this often, others never.
const REDIRECTS_MAX: usize = 5;
/// Another event wakes it sooner.
const IDLE: Duration = Duration::from_secs(3_600);

pub(super) async fn run(shared: Arc<Shared>, client: reqwest::Client) {
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        // This does not use `with`, which would wake this loop again at once.
        let (notices, wait, timeout) = {
            let mut running = shared.lock();
            let now = running.now();
            let notices = running.midtrans.due(now);
            let timeout = running.midtrans.options().notification_timeout.to_duration();
            (notices, running.midtrans.next_due().map(|due| due - now), timeout)
        };
        for notice in notices {
            let Ok(permit) = Arc::clone(&at_once).acquire_owned().await else { return };
            let (shared, client) = (Arc::clone(&shared), client.clone());
            tokio::spawn(async move {
                let http = send(&client, &notice, timeout).await;
                shared.with(|midtrans, now| midtrans.notified(notice, http, now));
                drop(permit);
            });
        }
        // A due time or a poke, whichever comes first. The loop looks again in both cases.
        let _ = tokio::time::timeout(wait.map_or(IDLE, Span::to_duration), shared.due.notified()).await;
    }
}

async fn send(client: &reqwest::Client, notice: &Notice, timeout: Duration) -> Option<u16> {
    let request = client.post(&notice.url).header(header::CONTENT_TYPE, "application/json").header(header::ACCEPT, "application/json");
    request.timeout(timeout).body(notice.body.clone()).send().await.ok().map(|response| response.status().as_u16())
}

pub(super) fn client() -> reqwest::Result<reqwest::Client> {
    // If another call was first, it has installed the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A computer without authorities has nobody to trust. Then a notification to an https address fails, and others are sent.
    builder().build().or_else(|_| builder().tls_certs_only([]).build())
}

fn builder() -> reqwest::ClientBuilder {
    let follow = reqwest::redirect::Policy::custom(|attempt| match attempt.status().as_u16() {
        307 | 308 if attempt.previous().len() <= REDIRECTS_MAX => attempt.follow(),
        _ => attempt.stop(),
    });
    reqwest::Client::builder().user_agent("Veritrans").redirect(follow).no_proxy()
}
