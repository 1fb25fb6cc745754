//! gatepost: a self-hosted webhook receiver gateway.
//!
//! The map, from the ground up; a room imports only rooms further up in this list:
//! `base` · `event`, `egress` · `provider`, `store`, `route`, `destination`, `telemetry` · `source` · `registry` · `ingest`, `delivery`,
//! `maintenance` · `alert`, `bulk` · `web` · `config` · `app` · `cli`. `ARCHITECTURE.md` says what each never does.

pub mod alert;
pub mod app;
pub mod base;
pub mod bulk;
pub mod cli;
pub mod config;
pub mod delivery;
pub mod destination;
pub mod egress;
pub mod event;
pub mod ingest;
pub mod maintenance;
pub mod provider;
pub mod registry;
pub mod route;
pub mod source;
pub mod store;
pub mod telemetry;
pub mod web;
