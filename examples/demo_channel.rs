//! Makes a channel out of a bare stream: adds SDT, EIT present/following and TDT.
//!
//!     ffmpeg … -f mpegts - | demo_channel [SECONDS] | tsrecv - udp://239.0.0.1:1234
//!
//! Reads a stream of one service from stdin and writes it to stdout with tables of its own. Two
//! programmes of SECONDS each (20) follow each other, then one that does not end soon; time runs
//! by the stream's PCR, from the wall clock's reading at the first one.

use std::io::{self, Read as _, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use headend::si::descriptor::{
    DescriptorSyntax as _, Descriptors, ServiceDescriptor, ServiceType, ShortEventDescriptor,
};
use headend::si::{
    DvbDuration, DvbTime, EitEvent, EitFields, EitKind, EventId, Language, OriginalNetworkId,
    RunningStatus, SdtFields, SdtService, ServiceId, Tdt, Text, TransportStreamId, encode_text,
};
use headend::stream::{Programs, SectionPacketizer};
use headend::ts::{PACKET_SIZE, Packet, Pcr, Pid, Put, SectionBuf, SectionSyntax, TableId};
use headend::units::{Ticks27M, WallTime};

/// How often SDT and EIT present/following are sent; TR 101 211 §4.4 asks for 2 s.
const TABLES_EVERY: Ticks27M = Ticks27M::SECOND;
/// How often TDT is sent; TR 101 211 §4.4 asks for 30 s.
const TIME_EVERY: Ticks27M = Ticks27M::from_millis(10_000);
/// Not registered: original_network_id for private use (TS 101 162).
const NETWORK: OriginalNetworkId = OriginalNetworkId(0xFF01);
const TITLES: [&str; 3] = ["Le café du matin", "Морские новости", "Test card"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => 20,
    };
    let mut channel = Channel::new(Ticks27M::SECOND * seconds);
    let mut input = io::stdin().lock();
    let mut output = io::BufWriter::new(io::stdout().lock());
    let mut bytes = [0; PACKET_SIZE];
    loop {
        match input.read_exact(&mut bytes) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => break,
            read => read?,
        }
        let mut packets = Vec::new();
        channel.push(&Packet::from_bytes(bytes), &mut packets)?;
        output.write_all(Packet::bytes_of(&packets))?;
        if channel.tables_due {
            output.flush()?;
        }
    }
    Ok(output.flush()?)
}

/// The channel so far.
struct Channel {
    /// How long each of the first two programmes lasts.
    length: Ticks27M,
    programs: Programs,
    sdt: SectionPacketizer,
    eit: SectionPacketizer,
    tdt: SectionPacketizer,
    /// The PCR that was read last.
    clock: Option<Pcr>,
    /// Time since the first PCR.
    elapsed: Ticks27M,
    start: WallTime,
    next_tables: Ticks27M,
    next_time: Ticks27M,
    tables_due: bool,
}

impl Channel {
    fn new(length: Ticks27M) -> Self {
        Self {
            length,
            programs: Programs::new(),
            sdt: SectionPacketizer::new(Pid::SDT),
            eit: SectionPacketizer::new(Pid::EIT),
            tdt: SectionPacketizer::new(Pid::TDT),
            clock: None,
            elapsed: Ticks27M::ZERO,
            start: WallTime::default(),
            next_tables: Ticks27M::ZERO,
            next_time: Ticks27M::ZERO,
            tables_due: false,
        }
    }

    /// Takes a packet of the bare stream; adds to `out` what the channel sends.
    fn push(&mut self, packet: &Packet, out: &mut Vec<Packet>) -> Result<(), TooLong> {
        self.programs.push(packet, &mut |_| {});
        if ![Pid::SDT, Pid::EIT, Pid::TDT].contains(&packet.pid()) {
            out.push(*packet);
        }
        let Some(pcr) = packet.pcr() else {
            return Ok(());
        };
        match self.clock.replace(pcr) {
            Some(last) => self.elapsed += pcr - last,
            // Whole seconds: an EIT has no finer ones.
            None => self.start = WallTime::from_unix_millis(unix_seconds() * 1000),
        }
        let service = self.programs.services().next().map(|s| s.id);
        self.tables_due = self.elapsed >= self.next_tables && service.is_some();
        if !self.tables_due {
            return Ok(());
        }
        let stream = self.programs.transport_stream_id();
        let (Some(service), Some(stream)) = (service, stream) else {
            return Ok(());
        };
        // On whole seconds, so that a new programme is told when it begins.
        self.next_tables += TABLES_EVERY;
        let sdt = sdt(stream, service).ok_or(TooLong)?;
        self.sdt.push([&sdt], |p| out.push(*p));
        let now = (self.elapsed.get() / self.length.get().max(1)).min(2);
        for (number, at) in [(0, now), (1, now + 1)] {
            let programme = self.programme(at);
            let eit = eit(stream, service, now, number, programme).ok_or(TooLong)?;
            self.eit.push([&eit], |p| out.push(*p));
        }
        if self.elapsed >= self.next_time {
            self.next_time += TIME_EVERY;
            let time = DvbTime::new(self.start + self.elapsed).ok_or(TooLong)?;
            let tdt = Tdt { time }.to_section().ok_or(TooLong)?;
            self.tdt.push([&tdt], |p| out.push(*p));
        }
        Ok(())
    }

    /// The `at`th programme: when, how long, which title; `None` after the last.
    fn programme(&self, at: i64) -> Option<(u16, WallTime, Ticks27M, &'static str)> {
        let at_title = usize::try_from(at).ok()?;
        let title = TITLES.get(at_title)?;
        let hour = Ticks27M::SECOND * 3600;
        let length = if at_title == 2 { hour } else { self.length };
        Some((
            100 + at as u16,
            self.start + self.length * at,
            length,
            title,
        ))
    }
}

fn syntax(extension: u16, version: i64, number: u8, last_number: u8) -> SectionSyntax {
    SectionSyntax {
        extension,
        version: (version & 0x1F) as u8,
        current: true,
        number,
        last_number,
    }
}

fn sdt(stream: TransportStreamId, service: ServiceId) -> Option<SectionBuf> {
    let mut room = [0; 128];
    let mut put = Put::new(&mut room);
    let (provider, name) = (encode_text("headend", 60), encode_text("Démo", 60));
    let descriptor = ServiceDescriptor {
        service_type: ServiceType::HD_TELEVISION,
        provider: Text::new(&provider),
        name: Text::new(&name),
    };
    descriptor.write(&mut put);
    let line = SdtService {
        service,
        eit_schedule: false,
        eit_present_following: true,
        running: RunningStatus::Running,
        scrambled: false,
        descriptors: Descriptors::new(put.written()?),
    };
    let fields = SdtFields {
        actual: true,
        syntax: syntax(stream.0, 0, 0, 0),
        original_network: NETWORK,
        services: &[line],
    };
    fields.to_section()
}

fn eit(
    stream: TransportStreamId,
    service: ServiceId,
    version: i64,
    number: u8,
    programme: Option<(u16, WallTime, Ticks27M, &str)>,
) -> Option<SectionBuf> {
    let mut room = [0; 258];
    let mut put = Put::new(&mut room);
    let mut events = Vec::new();
    if let Some((event, start, length, title)) = programme {
        let (name, text) = (encode_text(title, 100), encode_text("Demonstration", 100));
        let descriptor = ShortEventDescriptor {
            language: Language(*b"eng"),
            name: Text::new(&name),
            text: Text::new(&text),
        };
        descriptor.write(&mut put);
        events.push(EitEvent {
            event: EventId(event),
            start: DvbTime::new(start)?,
            duration: DvbDuration::new(length)?,
            running: [RunningStatus::Running, RunningStatus::NotRunning][usize::from(number & 1)],
            scrambled: false,
            descriptors: Descriptors::new(put.written()?),
        });
    }
    let fields = EitFields {
        kind: EitKind::PRESENT_FOLLOWING,
        syntax: syntax(service.0, version, number, 1),
        transport_stream: stream,
        original_network: NETWORK,
        segment_last_section: 1,
        last_table: TableId(0x4E),
        events: &events,
    };
    fields.to_section()
}

fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(0))
}

/// A table does not fit its section, or a time its field.
#[derive(Debug)]
struct TooLong;

impl std::fmt::Display for TooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a table does not fit its section")
    }
}

impl std::error::Error for TooLong {}
