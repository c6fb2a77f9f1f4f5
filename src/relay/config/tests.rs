//! What is wrong with a `relay.toml` is told with line and key.
