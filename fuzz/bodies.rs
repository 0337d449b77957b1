//! What each fuzz target does with its bytes.
//!
//! Ordinary functions on stable Rust: `tests/it/corpus.rs` includes this file and replays every
//! find. Nothing of the library is switched off for them; where a CRC_32 guards a parser, a body
//! makes it right. A body fails by a panic: of the library, or of an assertion here about what
//! holds for all bytes.

mod cut;
mod machines;
mod rings;
mod routes;
mod tables;

use std::hint::black_box;

use headend::ts::{Packet, Pcr, PesHeader, Pid, Pts};
use headend::units::{BitRate, ByteCount, Ticks27M};

pub use cut::cut;
pub use machines::{audio, fec, framing, monitor, programs, rap, sections, table_checks, video};
pub use rings::{ring, ring_index};
pub use routes::route;
pub use tables::{descriptor, section, splice, table, text};

/// What a target does with its bytes.
pub type Body = fn(&[u8]);

/// Every body by the name of its target.
pub const ALL: &[(&str, Body)] = &[
    ("packet", packet),
    ("pes", pes),
    ("section", section),
    ("table", table),
    ("splice", splice),
    ("descriptor", descriptor),
    ("text", text),
    ("sections", sections),
    ("programs", programs),
    ("route", route),
    ("table_checks", table_checks),
    ("monitor", monitor),
    ("framing", framing),
    ("fec", fec),
    ("audio", audio),
    ("rap", rap),
    ("video", video),
    ("ring_index", ring_index),
    ("ring", ring),
    ("cut", cut),
    ("endpoint", endpoint),
    ("units", units),
];

/// The bytes of a body as text, whatever they are.
fn lossy(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

/// Every packet in `data`, the last one filled up.
fn packets(data: &[u8]) -> impl Iterator<Item = Packet> {
    data.chunks(188).map(|chunk| {
        let mut packet = Packet::NULL;
        packet.as_bytes_mut()[..chunk.len()].copy_from_slice(chunk);
        packet
    })
}

/// Reads every field of a packet, and writes each as it was.
pub fn packet(data: &[u8]) {
    for before in packets(data) {
        let mut p = before;
        black_box(format!("{p:?}"));
        black_box((p.transport_error(), p.scrambling(), p.random_access()));
        black_box((p.discontinuity(), p.payload().len()));
        if let Some(a) = p.adaptation() {
            black_box((a.opcr(), a.splice_countdown(), a.private_data()));
        }
        p.set_pid(before.pid());
        p.set_continuity_counter(before.continuity_counter());
        p.set_payload_unit_start(before.payload_unit_start());
        p.set_adaptation_field_control(before.has_adaptation(), before.has_payload());
        if let Some(pcr) = before.pcr() {
            // An extension over 299 is no PCR that a writer could mean.
            if pcr.extension() < 300 && pcr.ticks() == pcr.base() * 300 + u64::from(pcr.extension())
            {
                assert!(p.set_pcr(pcr));
            }
        }
        assert_eq!(p.pcr(), before.pcr());
        assert_eq!(p.payload(), before.payload());
        let taken = p.fill_payload(data);
        assert_eq!(p.payload(), &data[..taken]);
    }
}

/// Reads a PES header, and writes its stamps as they were.
pub fn pes(data: &[u8]) {
    let Some(header) = PesHeader::new(data) else {
        return;
    };
    black_box((
        header.packet_length(),
        header.data_alignment(),
        header.decode_time(),
    ));
    assert!(header.header_len() >= 6);
    let mut copy = data.to_vec();
    if let Some(pts) = header.pts() {
        assert!(PesHeader::set_pts(&mut copy, pts));
    }
    if let Some(dts) = header.dts() {
        assert!(PesHeader::set_dts(&mut copy, dts));
    }
    assert_eq!(copy, data, "what was read is what was written");
}

/// Reads an endpoint, and reads what it prints as the same.
pub fn endpoint(data: &[u8]) {
    if let Ok(endpoint) = lossy(data).parse::<headend::io::Endpoint>() {
        let printed = endpoint.to_string();
        assert_eq!(printed.parse().as_ref(), Ok(&endpoint), "{printed}");
    }
}

/// Reads numbers with units, and reads what they print.
pub fn units(data: &[u8]) {
    let text = lossy(data);
    if let Ok(span) = text.parse::<Ticks27M>() {
        assert!(span.to_string().parse::<Ticks27M>().is_ok(), "{span}");
        black_box((
            Pcr::from_ticks(0).map(|p| p + span),
            Pts::wrapping(0) + span,
        ));
    }
    if let Ok(rate) = text.parse::<BitRate>() {
        black_box((rate.span_of(u64::MAX), rate.bytes_in(Ticks27M::MAX)));
        assert!(rate.to_string().parse::<BitRate>().is_ok(), "{rate}");
    }
    if let Ok(size) = text.parse::<ByteCount>() {
        black_box(size.to_string());
    }
    black_box(text.parse::<Pid>().ok());
}
