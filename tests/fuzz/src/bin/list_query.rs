#![no_main]

gatepost_fuzz::long_run!(list_query);
