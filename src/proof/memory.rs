//! The stores of the product's programs in memory. They refuse what the schemas of the databases refuse. A copy of a store is a
//! copy of the whole disk.

pub mod device;
pub mod relay;
