//! A connection that hears what the transactions of all processes tell (`NOTIFY qris`, by a trigger of the tables).

use super::{MakeTls, PATIENCE, Server};
use std::future::poll_fn;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls};

/// A lost connection is made anew after this time.
const AGAIN: Duration = Duration::from_secs(1);
/// A connection without news is tested this often.
const TEST: Duration = Duration::from_secs(10);

/// What is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard<'a> {
    /// From here on everything is heard. What was told before is not.
    Begin,
    /// A transaction that was committed has told this.
    Told(&'a str),
    /// The connection is lost.
    End,
}

impl Server {
    /// Listens for ever.
    pub async fn listen(&self, heard: impl Fn(Heard<'_>) + Clone + Send + 'static) {
        loop {
            // Who reads and writes tells why there is no connection.
            if let Ok(Ok((client, mut driver))) = timeout(PATIENCE, self.begin_to_listen(heard.clone())).await {
                heard(Heard::Begin);
                // Its end is seen at once, and that it hangs by the test.
                while timeout(TEST, &mut driver).await.is_err() {
                    if !matches!(timeout(PATIENCE, client.check_connection()).await, Ok(Ok(()))) {
                        driver.abort();
                        break;
                    }
                }
                heard(Heard::End);
            }
            sleep(AGAIN).await;
        }
    }

    async fn begin_to_listen(&self, heard: impl Fn(Heard<'_>) + Send + 'static) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error> {
        let (client, driver) = match &self.tls {
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                (client, tokio::spawn(hear(connection, heard)))
            }
            Some(MakeTls(tls)) => {
                let (client, connection) = self.config.connect(tls.clone()).await?;
                (client, tokio::spawn(hear(connection, heard)))
            }
        };
        client.batch_execute("LISTEN qris").await?;
        Ok((client, driver))
    }
}

/// Drives a connection to its end.
async fn hear<S, T>(mut connection: Connection<S, T>, heard: impl Fn(Heard<'_>))
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        if let AsyncMessage::Notification(told) = message {
            heard(Heard::Told(told.payload()));
        }
    }
}
