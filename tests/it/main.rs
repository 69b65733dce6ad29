//! One binary for all, so that it is linked once.

mod sessions;
