//! What there is to say about a stream, as one value with stable keys.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::si::{ElementaryStream, Language, Service, ServiceId, TransportStreamId};
use crate::ts::{PACKET_SIZE, Pid};
use crate::units::BitRate;

use super::clocks::ClockMeasures;
use super::content::{Measures, pids_of};
use super::network::NetworkMeasures;
use super::tables::TablesMeasures;
use super::tstd::BufferMeasures;
use super::{Check, Monitor, PidCount, Priority, Series, Verdict};

/// Why a check was not judged as a whole in a stream of which synchronisation was lost.
pub const UNSYNCED: &str = "while synchronisation was lost";

/// A stream, measured. Units stand in the keys; a key, once released, keeps its meaning.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Packets, damaged ones included.
    pub packets: u64,
    /// Bytes of these packets.
    pub bytes: u64,
    /// How often synchronisation was lost.
    pub sync_losses: u64,
    /// Packets with transport_error_indicator.
    pub transport_errors: u64,
    /// All packets over the duration; 0 where nothing tells the time.
    pub bitrate_bps: u64,
    /// From the first packet to the end of the last; 0 where nothing tells the time.
    pub duration_ms: i64,
    /// Packets of PID 0x1FFF.
    pub null_packets: u64,
    /// transport_stream_id, once a PAT came.
    pub transport_stream_id: Option<TransportStreamId>,
    /// The services of the PAT, by id.
    pub services: Vec<ServiceReport>,
    /// The PIDs that came, in order.
    pub pids: Vec<PidReport>,
    /// Every check, by priority and number.
    #[serde(serialize_with = "by_name")]
    pub checks: Vec<CheckReport>,
    /// Clocks and time stamps.
    pub clocks: ClockMeasures,
    /// The tables that came, and how often.
    pub tables: TablesMeasures,
    /// Arrivals; `None` where nothing tells when packets came.
    pub network: Option<NetworkMeasures>,
    /// What is in the stream, over time.
    pub content: Measures,
    /// How full the buffers of the system target decoder were.
    pub buffers: BufferMeasures,
}

/// A service.
#[derive(Clone, Debug, Serialize)]
pub struct ServiceReport {
    /// service_id.
    pub id: ServiceId,
    /// service_name; empty where no SDT tells.
    pub name: String,
    /// service_provider_name; empty where no SDT tells.
    pub provider: String,
    /// service_type; 0 where no SDT tells.
    #[serde(rename = "type")]
    pub service_type: u8,
    /// Where its PMT is.
    pub pmt_pid: u16,
    /// Where its clock is.
    pub pcr_pid: Option<u16>,
    /// What came on its PIDs.
    pub bitrate_bps: u64,
    /// A PID of its streams came scrambled, or a conditional access descriptor says so.
    pub scrambled: bool,
    /// PMT, clock, streams and ECMs, in order, whether or not they came.
    pub pids: Vec<u16>,
}

/// A PID that came.
#[derive(Clone, Debug, Serialize)]
pub struct PidReport {
    /// The PID.
    pub pid: u16,
    /// Packets, repeats included.
    pub packets: u64,
    /// These over the duration.
    pub bitrate_bps: u64,
    /// What it is: the table it is reserved for, `pmt`, `pcr`, `ecm`, the kind of the stream, `null`
    /// or `unreferenced`.
    pub kind: &'static str,
    /// ffmpeg's name of the codec.
    pub codec: Option<&'static str>,
    /// The first language a descriptor names.
    pub language: Option<Language>,
    /// The services that refer to it.
    pub services: Vec<ServiceId>,
    /// Breaks of the continuity counter.
    pub continuity_errors: u64,
    /// Packets that repeat the one before.
    pub duplicates: u64,
    /// Packets scrambled with one of the two keys.
    pub scrambled_packets: u64,
    /// Packets with a PCR.
    pub pcr_count: u64,
    /// PES packets with a PTS.
    pub pts_count: u64,
    /// When its first packet came.
    pub first_ms: i64,
    /// When its last packet came.
    pub last_ms: i64,
}

/// A check.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// Its name is the key.
    #[serde(skip)]
    pub check: Check,
    /// Its number in TR 101 290 V1.4.1 §5.2.
    pub number: &'static str,
    /// 1 to 3.
    pub priority: Priority,
    /// It could be judged on this input, or found something where it could only be judged in part.
    pub judged: bool,
    /// Why it could not, or not as a whole: where synchronisation was lost, see [`UNSYNCED`].
    pub reason: Option<&'static str>,
    /// How often it found something.
    pub count: u64,
    /// Seconds in which it did.
    pub error_seconds: u64,
    /// When first.
    pub first_ms: Option<i64>,
    /// When last.
    pub last_ms: Option<i64>,
    /// Packets before the first.
    pub first_packet: Option<u64>,
    /// Packets before the last.
    pub last_packet: Option<u64>,
    /// When: how many it found in each stretch of time is how many values a point has.
    #[serde(skip)]
    pub times: Option<Series>,
}

impl Report {
    pub(super) fn new(monitor: &Monitor) -> Self {
        let span = monitor.duration();
        let rate = |packets: u64| {
            let rate = BitRate::of(packets * PACKET_SIZE as u64, span);
            rate.map_or(0, BitRate::get)
        };
        let services = monitor.programs().services();
        Self {
            packets: monitor.packets(),
            bytes: monitor.bytes(),
            sync_losses: monitor.sync_losses(),
            transport_errors: monitor.transport_errors(),
            bitrate_bps: rate(monitor.packets()),
            duration_ms: span.as_millis(),
            null_packets: monitor.null_packets(),
            transport_stream_id: monitor.programs().transport_stream_id(),
            services: services
                .map(|s| ServiceReport::new(s, monitor, &rate))
                .collect(),
            pids: monitor
                .pids()
                .into_iter()
                .map(|count| PidReport::new(count, monitor, &rate))
                .collect(),
            checks: Check::ALL
                .iter()
                .map(|c| CheckReport::new(*c, monitor))
                .collect(),
            clocks: monitor.clocks(),
            tables: monitor.tables(),
            network: monitor.network(),
            content: monitor.content(),
            buffers: monitor.buffers(),
        }
    }
}

impl ServiceReport {
    fn new(service: &Service, monitor: &Monitor, rate: &impl Fn(u64) -> u64) -> Self {
        let pids = pids_of(service, monitor.programs());
        let counts = pids.iter().filter_map(|pid| monitor.pid(*pid));
        let scrambled = |s: &ElementaryStream| {
            let count = monitor.pid(s.pid);
            count.is_some_and(|count| count.scrambled_packets > 0)
        };
        Self {
            id: service.id,
            name: service.name.clone().unwrap_or_default(),
            provider: service.provider.clone().unwrap_or_default(),
            service_type: service.service_type.map_or(0, |t| t.0),
            pmt_pid: service.pmt_pid.get(),
            pcr_pid: service.pcr_pid.map(Pid::get),
            bitrate_bps: rate(counts.map(|count| count.packets).sum()),
            scrambled: service.scrambled || service.streams.iter().any(scrambled),
            pids: pids.into_iter().map(Pid::get).collect(),
        }
    }
}

impl PidReport {
    fn new(count: &PidCount, monitor: &Monitor, rate: &impl Fn(u64) -> u64) -> Self {
        let pid = count.pid;
        let services = || monitor.programs().services();
        let stream = services().flat_map(|s| &s.streams).find(|s| s.pid == pid);
        let kind = match stream {
            Some(stream) => stream.kind.name(),
            None => kind_of(pid, monitor),
        };
        Self {
            pid: pid.get(),
            packets: count.packets,
            bitrate_bps: rate(count.packets),
            kind,
            codec: stream.and_then(|s| s.codec).map(|codec| codec.name()),
            language: stream.and_then(|s| s.language),
            services: services()
                .filter(|s| pids_of(s, monitor.programs()).contains(&pid))
                .map(|s| s.id)
                .collect(),
            continuity_errors: count.continuity_errors,
            duplicates: count.duplicates,
            scrambled_packets: count.scrambled_packets,
            pcr_count: count.pcr_count,
            pts_count: count.pts_count,
            first_ms: count.first.time.as_millis(),
            last_ms: count.last.time.as_millis(),
        }
    }
}

/// What a PID is that carries no stream of a service.
fn kind_of(pid: Pid, monitor: &Monitor) -> &'static str {
    let programs = monitor.programs();
    let mut services = programs.services();
    match pid.get() {
        0x00 => "pat",
        0x01 => "cat",
        0x02 => "tsdt",
        0x10 => "nit",
        0x11 => "sdt",
        0x12 => "eit",
        0x13 => "rst",
        0x14 => "tdt",
        0x03..=0x1F => "si",
        0x1FFF => "null",
        _ if programs.services().any(|s| s.pmt_pid == pid) => "pmt",
        _ if programs.services().any(|s| s.pcr_pid == Some(pid)) => "pcr",
        _ if services.any(|s| pids_of(s, programs).contains(&pid)) => "ecm",
        _ => "unreferenced",
    }
}

impl CheckReport {
    fn new(check: Check, monitor: &Monitor) -> Self {
        let count = monitor.count(check);
        let verdict = monitor.verdict(check);
        Self {
            check,
            number: check.number(),
            priority: check.priority(),
            judged: verdict == Verdict::Judged || count.count > 0,
            reason: match verdict {
                Verdict::Judged if monitor.sync_losses() > 0 && check.needs_sync() => {
                    Some(UNSYNCED)
                }
                Verdict::Judged => None,
                Verdict::NotJudged(reason) => Some(reason),
            },
            count: count.count,
            error_seconds: count.seconds,
            first_ms: count.first.map(|at| at.time.as_millis()),
            last_ms: count.last.map(|at| at.time.as_millis()),
            first_packet: count.first.map(|at| at.position),
            last_packet: count.last.map(|at| at.position),
            times: monitor.times(check).cloned(),
        }
    }
}

fn by_name<S: Serializer>(checks: &[CheckReport], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(checks.len()))?;
    for check in checks {
        map.serialize_entry(check.check.name(), check)?;
    }
    map.end()
}
