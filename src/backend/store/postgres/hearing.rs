//! What comes in on a connection while it is driven.

use std::future::poll_fn;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{AsyncMessage, Connection};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenEvent<'a> {
    /// From here on everything is heard. What was told before is not.
    Begin,
    /// A transaction that was committed has told this.
    Notified(&'a str),
    End,
}

/// Drives a connection to its end.
pub(super) async fn hear<S, T>(mut connection: Connection<S, T>, heard: impl Fn(ListenEvent<'_>))
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        if let AsyncMessage::Notification(told) = message {
            heard(ListenEvent::Notified(told.payload()));
        }
    }
}
