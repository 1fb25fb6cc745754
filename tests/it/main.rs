//! The integration tests, in one binary: it links once.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking, in its helpers too"
)]

mod app;
mod cli;
mod config;
mod destination;
mod egress;
mod handler;
mod matrix;
mod packages;
mod pooler;
mod postgres;
mod senders;
mod shell;
mod store;
mod vectors;
mod web;
