//! One binary for all, so that it is linked once.

mod accounts;
mod bad_input;
mod clients;
mod directory;
mod every_client;
mod every_route;
mod failures;
mod federation;
mod feeds;
mod home;
mod hostile_files;
mod idempotency;
mod jobs;
mod journal;
mod openapi;
mod pages;
mod second_factor;
mod real_desk;
mod sessions;
mod smtp;
mod tenancy;
mod timetable;
mod world;
