//! Services of clouds as destinations, played by what emulates them.

#[cfg(feature = "aws")]
mod aws;
mod config;
#[cfg(feature = "aws")]
mod moto;
mod pubsub;
