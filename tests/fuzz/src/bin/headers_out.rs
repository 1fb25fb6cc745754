#![no_main]

gatepost_fuzz::long_run!(headers_out);
