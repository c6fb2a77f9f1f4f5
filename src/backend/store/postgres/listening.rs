//! A connection that hears what the transactions of all processes tell (`NOTIFY qris`, by a trigger of the tables).

use super::hearing::ListenEvent;
use super::reaching::Opened;
use super::{PATIENCE, POOLER, Server, why};
use crate::store::StoreError;
use std::time::Duration;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{sleep, timeout};

/// A lost connection is made anew after this time.
const AGAIN: Duration = Duration::from_secs(1);
/// A connection without news is tested this often.
const TEST: Duration = Duration::from_secs(10);
/// News takes milliseconds. What did not come within this time does not come.
const NEWS_WITHIN: Duration = Duration::from_secs(5);

impl Server {
    /// Listens for ever.
    pub async fn listen(&self, heard: impl Fn(ListenEvent<'_>) + Clone + Send + 'static) {
        loop {
            // Who reads and writes tells why there is no connection.
            if let Ok(Ok(Opened { client, mut driver, timeline })) = timeout(PATIENCE, self.begin_to_listen("qris", heard.clone())).await {
                heard(ListenEvent::Begin);
                // Its end is seen at once, and that it hangs by the test.
                let hears = async {
                    while timeout(TEST, &mut driver).await.is_err() {
                        if !matches!(timeout(PATIENCE, client.check_connection()).await, Ok(Ok(()))) {
                            break;
                        }
                    }
                };
                tokio::select! {
                    () = hears => {}
                    () = self.overtaken(timeline) => {}
                }
                driver.abort();
                heard(ListenEvent::End);
            }
            sleep(AGAIN).await;
        }
    }

    /// Looks whether one connection hears what another one tells. It does not where a pooler gives one session to several connections.
    /// There a connection would not have its settings either, such as the limits of its waits.
    pub async fn prove_sessions(&self) -> Result<(), StoreError> {
        let (channel, word) = ("qris_test", qris_host::random::name());
        let wanted = word.clone();
        let (tell, mut told) = unbounded_channel();
        let looked = async {
            let heard = move |heard: ListenEvent<'_>| {
                if heard == ListenEvent::Notified(&wanted) {
                    // Nobody may wait for it any more.
                    let _ = tell.send(());
                }
            };
            let _hears = self.begin_to_listen(channel, heard).await?;
            let tells = self.begin_to_listen(channel, |_| {}).await?.client;
            tells.batch_execute(&format!("NOTIFY {channel}, '{word}'")).await.map_err(|error| self.failed(&why(&error)))?;
            let is_heard = timeout(NEWS_WITHIN, told.recv()).await.is_ok_and(|news| news.is_some());
            Ok(is_heard)
        };
        if timeout(PATIENCE, looked).await.unwrap_or_else(|_| Err(self.silent()))? {
            return Ok(());
        }
        Err(self.failed(&format!("what one connection tells (NOTIFY) is not heard by another one (LISTEN). {POOLER}")))
    }

    async fn begin_to_listen(&self, channel: &str, heard: impl Fn(ListenEvent<'_>) + Clone + Send + 'static) -> Result<Opened, StoreError> {
        let opened = self.open(heard).await?;
        opened.client.batch_execute(&format!("LISTEN {channel}")).await.map_err(|error| self.failed(&why(&error)))?;
        Ok(opened)
    }
}
