#![no_main]

gatepost_fuzz::long_run!(filter);
