//! One binary for all, so that it is linked once.

mod bad_input;
mod every_route;
mod failures;
mod feeds;
mod journal;
mod sessions;
mod tenancy;
mod world;
