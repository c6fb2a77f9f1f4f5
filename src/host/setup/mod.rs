//! What the set-ups of programs share: they ask a person, edit configurations, look at a system on its disk, and put files
//! in their places. Nothing of it knows what is set up.

pub mod ask;
pub mod conversation;
pub mod edit;
pub mod services;
pub mod site;
pub mod staging;
pub mod write;
