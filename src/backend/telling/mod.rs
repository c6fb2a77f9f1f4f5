//! What people, monitoring and machines are told.

pub mod alerts;
pub mod broker;
pub mod daily;
pub mod listed;
pub mod metrics;
