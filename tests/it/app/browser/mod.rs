//! The dashboard in a real browser: what strangers send stays text, people of every kind can use it, an incident is mended by clicks.
//!
//! The browser is Debian's `chromium`, which `tests/run` installs where it may. Where there is none, these cases say so and end.

mod accessible;
mod hostile;
mod incident;
mod payloads;
mod scene;
mod tab;
