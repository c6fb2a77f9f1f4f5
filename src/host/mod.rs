//! What every program shares about the computer it runs on.
