//! Services of clouds as destinations, played by what emulates them.

mod aws;
mod moto;
