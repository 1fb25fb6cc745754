//! The HTTP side over real sockets.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy knows tests, but not what they share"
)]

mod api;
mod descriptors;
mod fixture;
mod framing;
mod guard;
mod listener;
mod login;
mod page_work;
mod pages;
mod receive;
mod tokens;
mod view;
mod wire;
