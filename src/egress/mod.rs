//! Guarded outgoing HTTP: the address that is dialled is the address that was checked; no redirects, and no proxy but the one
//! that the operator names, which then dials in our place.
//!
//! The only room that makes an HTTP client. `client` is the door, and `stream` that of what speaks something else; `guard` says which addresses may be dialled; `resolver`
//! asks it about every answer of the DNS, and `client` about every address that a URL spells out, because the client
//! below never asks a resolver about those.
//!
//! Imports: `base`.

pub mod client;
pub mod error;
pub mod guard;
pub mod pem;
pub mod resolver;
pub mod stream;
pub mod target;
pub mod tls;
