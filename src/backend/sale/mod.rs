//! The sale: the books decide and write, `work` asks the gateway, waiters and views tell.

pub mod books;
pub mod claims;
pub mod counted;
pub mod handle;
pub mod view;
pub mod waiters;
pub mod work;
