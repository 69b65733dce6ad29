//! One binary for all, so that it is linked once.

mod bad_input;
mod directory;
mod every_route;
mod failures;
mod feeds;
mod home;
mod hostile_files;
mod idempotency;
mod jobs;
mod journal;
mod openapi;
mod pages;
mod sessions;
mod tenancy;
mod timetable;
mod world;
