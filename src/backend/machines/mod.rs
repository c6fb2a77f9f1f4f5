//! The machines that are let in: their tokens, keys, invitations and accounts; who is there, and who is there twice; and what is in them.

pub mod accounts;
pub mod devices;
pub mod handle;
pub mod invitations;
pub mod presence;
pub mod reported;
pub mod revoked;
pub mod stock;
pub mod token;
pub mod twins;
