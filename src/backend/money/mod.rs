//! The money of the sales, what is left of it, and whether the gateway sees it as the books do.

pub mod daily;
pub mod days;
pub mod reconcile;
pub mod report;
pub mod sums;
pub mod takings;
