//! The machines that are let in: their tokens, keys, invitations and accounts, and what is in them. Here is also known which of them are
//! there, and which are there twice.

pub mod accounts;
pub mod devices;
pub mod handle;
pub mod invitations;
pub mod presence;
pub mod reported;
pub mod revoked;
pub mod stock;
pub mod token;
pub mod topics;
pub mod twins;
