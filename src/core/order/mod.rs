//! The core: what an order is, who may change it, and what must be done about it now. It has no I/O, no clock and no
//! randomness.

#![warn(missing_docs)]

pub mod ids;
pub mod jws;
pub mod keys;
pub mod late_sign;
pub mod ledger;
#[allow(missing_docs, reason = "a comment stands where a name does not say it")]
pub mod machine;
#[allow(missing_docs, reason = "a comment stands where a name does not say it")]
pub mod merchant;
pub mod money;
pub mod operator;
pub mod outcome;
pub mod promise;
pub mod proof;
pub mod qris;
pub mod reason;
pub mod receipt;
pub mod request;
pub mod scheme;
pub mod state;
pub mod stock;
pub mod time;
pub mod tries;
pub mod word;
