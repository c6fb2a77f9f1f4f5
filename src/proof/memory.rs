//! The stores of the product's programs in memory. They refuse what the databases' schemas refuse, and a copy of one is a copy of
//! all that is on the disk.

pub mod device;
pub mod relay;
