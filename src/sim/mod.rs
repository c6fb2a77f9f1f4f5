//! Siblings of what cannot be had on a laptop: a simulated Midtrans and its customers.
