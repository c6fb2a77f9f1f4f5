//! Where the books and the machines are kept, and how they are copied, moved and put away.

pub mod archive;
pub mod copies;
pub mod databases;
pub mod moving;
pub mod overtaken;
pub mod restoring;
