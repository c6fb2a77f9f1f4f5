//! What every program shares about the computer it runs on.

pub mod backoff;
#[cfg(feature = "_bus")]
pub mod bus;
#[cfg(feature = "_http")]
pub mod http;
#[cfg(feature = "_mqtt")]
pub mod mqtt;
#[cfg(feature = "_tls")]
pub mod tls;
