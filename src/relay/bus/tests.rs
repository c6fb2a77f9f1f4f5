//! The interface as a caller sees it, over a socket without a bus.
