//! Everything that needs real processes, real sockets or real files: one binary, linked once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod corpus;
mod demo_channel;
mod docs;
mod events;
mod examples;
mod generated;
mod harness;
mod healthy;
mod inject;
mod layers;
mod multicast;
mod readme;
mod routes;
mod samples;
mod systemd;
mod tscut;
mod tsfallback;
mod tsmon;
mod tsmon_buffers;
mod tsmon_clocks;
mod tsmon_content;
mod tsmon_decode;
mod tsmon_defects;
mod tsmon_endurance;
mod tsmon_html;
mod tsmon_json;
mod tsmon_judged;
mod tsmon_live;
mod tsmon_outside;
mod tsmon_pieces;
mod tsmon_profile;
mod tsmon_tables;
mod tsrecv;
mod tsring;
mod tsring_kill;
mod tsring_play;
