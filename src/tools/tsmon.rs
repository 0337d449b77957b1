//! Measures a transport stream, and says what is wrong with it.

mod capture;
mod choices;
mod content;
mod heard;
mod html;
mod later;
mod learn;
mod limits;
#[cfg_attr(not(feature = "live"), path = "tsmon/live_absent.rs")]
mod live;
mod measure;
mod notices;
mod outside;
mod page;
mod profile;
mod prometheus;
mod snmp;
mod tables;
mod text;
mod timing;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use self::capture::CaptureArgs;
use self::choices::{ClockChoice, Form, Least};
use self::learn::LearnArgs;
pub use self::measure::run;
use self::outside::OutsideArgs;
use crate::cli::{Common, ToolArgs};
use crate::io::Endpoint;
use crate::monitor::clocks::Demarcation;

/// Measure a transport stream, and say what is wrong with it
///
/// tsmon reads INPUT to its end, or until SIGINT or SIGTERM, and prints a report on stdout: the
/// services, the PIDs with their bit rates, and what each check of ETSI TR 101 290 V1.4.1 found.
/// A check that could not be judged on this input says so, and why: it has not been passed.
///
/// INPUT is `-` (stdin), a file, FIFO or device, `udp://[SOURCE@]ADDR:PORT`, `rtp://ADDR:PORT`,
/// `exec:COMMAND`, or multicat's own form. Packets of 188, 192 and 204 bytes are told apart by
/// themselves. Packets with transport_error_indicator or a bad sync byte are counted, and belong
/// to no PID.
///
/// Time is told by the arrivals on a socket, a device, and where packets carry theirs (192
/// bytes); elsewhere by the PCRs of one PID, the first service's where it has any, and between
/// two PCRs by the place in the stream. `--clock` decides otherwise.
///
/// With `--pass` stdin goes to stdout byte for byte, junk and odd framing included, and is measured
/// on its way; the report goes to stderr or `--report-file`. The stream never waits for the
/// measuring: where that falls behind by 16 MB it leaves out what comes, and says so with
/// `measuring_skipped`.
///
/// # CHECKS
///
/// Every place where a sync byte is due and is another is one `sync_byte_error`; two in a row are
/// also a `ts_sync_loss`, told at the second of them, which goes on until five good ones follow. So
/// is input in which no packets were ever found. Meanwhile nothing else is judged, and what is timed
/// begins anew behind it. Up to five packets with bad sync bytes in a row
/// are packets when others go on behind them where they are due; what else is passed over is junk.
/// One repeat of a packet that is the same, PCR apart, is legal; any other step of the continuity
/// counter that no discontinuity_indicator announces is a `continuity_count_error`.
///
/// `pcr_repetition_error` is more than 100 ms between the values of two PCRs of a PID that a PMT
/// names; on a live input also none for 150 ms. `pcr_discontinuity_indicator_error` is a step of
/// the value back, or of more than 100 ms, that no discontinuity_indicator announces.
/// `pcr_accuracy_error` is a PCR more than 500 ns from its place in a stream of constant rate
/// (PCR_AC), and not judged where the rate is not constant or packets are missing: the rate is
/// that of a window of a second or more, refined as it goes on, and what moves more slowly than
/// `--pcr-filter` is no error. Where PCRs jitter, one is an error only if no constant rate that
/// those before it (ten seconds of them at MGF2) keep to puts it within the limit, nor the line through them.
/// `pts_error` is more than 700 ms
/// between two PTS (by decoding order) of a video or audio stream that announces no still
/// pictures, or none for 1.7 s.
///
/// Overall jitter (PCR_OJ), frequency offset and drift of the PCRs are measured where arrivals
/// tell the time, and are as good as these. Whether 27 MHz is kept within 30 ppm is judged only
/// when the kernel says that this machine's clock is kept by NTP or PTP.
///
/// Beside the checks of TR 101 290 stand, as priority 4, what reception shows: `input_loss`
/// (nothing has come for 3 s, packets or not), `kernel_drops` (the receive buffer was full) and `rtp_loss`.
///
/// # TABLES
///
/// A section counts when it came whole, its CRC_32 is right, and its last byte is there. What is
/// missing is found when its time is over, and again each time as much has passed, each 5 s at the
/// latest. `--limit` sets the times. Without it they are those of TR 101 290 and TR 101 211 4.4,
/// and where these name none, of practice (`cat`, and 1.6):
///
/// ```text
/// pat, pmt                        0.5 s   1.3.a, 1.5.a
/// cat                              10 s   2.6, while packets are scrambled
/// nit                              10 s   3.1.a, 3.2
/// sdt, eit                          2 s   3.5.a, 3.6.a, 3.2
/// tdt                              30 s   3.8, 3.2
/// nit-other, sdt-other, eit-other  10 s   3.1.b, 3.5.b, 3.6.b, 3.2; terrestrial eit-other 20 s
/// bat                              10 s   3.2
/// tot                              30 s   3.2
/// eit-schedule                     10 s   3.2; 30 s beyond eight days
/// unreferenced                    0.5 s   3.4.a
/// video, audio, clock               5 s   1.6
/// subtitle, teletext, scte35, data, ecm   1.6, none: they are sparse
/// ```
///
/// NIT, SDT, EIT and TDT that never came are missed once any service information has; an EIT is not
/// where the SDT says that no service has one, and a stream without any is not judged by them.
/// `--expect-si` misses them all. For 3.2, and for what is said of others, each section of a table
/// has to come again in time; what stays away ten times as long has been withdrawn. Terrestrial
/// EIT schedules have advice instead (10 s and 30 s, of other streams 60 s and 300 s): what is slower
/// is counted as `late_total` and no error.
///
/// Between two sections of service information with the same PID, table_id and
/// table_id_extension lie 25 ms or more, from last to first byte, in streams of up to 100 Mb/s
/// (EN 300 468 5.1.4.1; 3.1.a, 3.5.a, 3.6.a, 3.7, 3.8, 3.2); where arrivals tell the time, a network
/// that bunches packets moves sections together, and in a file of varying rate the place between two
/// PCRs does. `crc_error` counts every section of a
/// PAT, CAT, PMT, NIT, SDT, BAT, EIT or TOT that came whole and is wrong. Of an EIT
/// present/following, `eit_pf_error` is one section without the other for twice its limit.
///
/// # BUFFERS
///
/// `buffer_error`, `empty_buffer_error` and `data_delay_error` come of the system target decoder of
/// ISO/IEC 13818-1 2.4.2: each program is followed byte by byte on its own PCRs, one PCR interval
/// behind. TB, MB, EB and B are those of the stream's own profile and level, HRD and
/// vbv_buffer_size; TBsys and Bsys hold PAT, CAT and the program's PMT. TB, MB, TBsys and Bsys may
/// overflow, EB underflow (not with low_delay), B both; a byte is tolerated. Data may wait for 1 s
/// in MPEG-2 video and sound, 10 s in AVC and HEVC, 60 s in still pictures, 40 ms in teletext.
///
/// MB passes to EB by the leak method; where a STD_descriptor has leak_valid_flag 0, by the
/// vbv_delay of each picture, unless that is 0xFFFF; where hrd_management_valid_flag is set, by the
/// NAL HRD of the parameter set and its buffering period SEI messages, of several schedules the
/// last. Then MB may underflow, and EB overflow, too; EB underflows with low_delay, too, by
/// vbv_delay. The report says what is not judged, and why: an HRD that is not in the stream,
/// vbv_delay that contradicts the decoding times, scrambled streams, codings without buffers.
/// After lost packets, a new clock or another PMT the buffers begin empty. A buffer is told each
/// time it runs over, and again in each second in which it stays so. In JSON, `buffers` has for
/// every PID the size and the highest and lowest fullness of each of its buffers.
///
/// # CONTENT
///
/// Nothing is decoded: pictures are what sequence headers and parameter sets say, sound what its
/// frame headers say, groups of pictures reach from one random-access point to the next. Bit rates
/// are those of packets of 188 bytes over whole seconds; a service's is that of its PMT, clock,
/// streams and ECMs, a table's that of the bytes of its sections. Splice information (SCTE 35) is
/// logged once a command, its repeats counted; its pre-roll is what the program's clock lacks to the
/// splice when the command arrives. The logs hold the newest 256 entries.
///
/// `--report html` is one page without references to anything outside, with plots over time of at
/// most 720 points, in the light or dark colours of the reader's browser.
///
/// # JSON
///
/// `--report json` prints one object. A key keeps its meaning; others may come to stand beside it.
/// The unit stands in its name; `_total` is a count; `_ms` of a place is since the first packet,
/// `_packet` so many packets before it. What is not known or not measured is null. PIDs and ids
/// are numbers. What is `over_time` has `stretch_ms` and `points`, each
/// [since when in ms, smallest, mean, largest].
///
/// ```text
/// packets, bytes              all, damaged packets included; of these null_packets and
///                             transport_errors; sync_losses
/// duration_ms, bitrate_bps    0 where nothing tells the time
/// transport_stream_id         of the PAT
/// services[]                  id, name, provider, type, pmt_pid, pcr_pid, pids (PMT, clock and
///                             streams), bitrate_bps of these, scrambled
/// pids[]                      pid, kind, codec, language, services; packets, bitrate_bps,
///                             duplicates, continuity_errors, scrambled_packets, pcr_count,
///                             pts_count, first_ms, last_ms
/// checks.NAME                 number, priority, judged, reason (why not, or not as a whole);
///                             count, error_seconds, first_ms, last_ms, first_packet, last_packet
/// clocks                      filter, arrival_resolution_ns (what is less says nothing)
/// clocks.pcrs[]               pid, service, pcrs_total, announced_discontinuities_total,
///                             transport_rate_bps, constant_rate
///   .interval                 min_us, mean_us, p50_us, p95_us, p99_us, max_us (quantiles within 3 %)
///   .accuracy                 PCR_AC: judged, reason, judged_pcrs_total, not_judged_pcrs_total;
///                             min_ns, max_ns, rms_ns
///   .overall_jitter           PCR_OJ: early_ns, late_ns
///   .frequency                offset_hz over 27 MHz, offset_ppm, uncertainty_ppm, drift_hz_per_s;
///                             within_limit (30 ppm), reason why that is not judged
/// clocks.stamps[]             pid, service, pts_total, pts_before_dts_total,
///                             dts_not_increasing_total, scrambled
///   .pts_pcr, .dts_pcr        min_ms, mean_ms, max_ms ahead of the program's clock
///   .av_offset                sound against picture: mean_ms, of ten seconds each first_ms,
///                             last_ms, min_ms, max_ms; trend_ms_per_hour
/// tables                      sections_total, crc_errors_total, untimed_sections_total
/// tables.tables[]             pid, table_id, table, table_id_extension, transport_stream_id,
///                             original_network_id, version, last_section, sections_total,
///                             bytes_total, rate_bps; of the same section interval_min_ms,
///                             interval_mean_ms, interval_max_ms; limit_ms, limit_is_advice,
///                             late_total, too_close_total, withdrawn
/// tables.rates[]              pid, table, sections_total, bytes_total, mean_bps, min_bps, max_bps
/// network                     arrivals_total, inter_arrival (keys as of an interval),
///                             inter_arrival_us_over_time, kernel_drops_datagrams
///   .mdi                      newest (DF:MLR), media_rate_bps, constant_rate, intervals_total,
///                             df_min_ms, df_mean_ms, df_p95_ms, df_max_ms, df_us_over_time
///   .mdi.mlr_by_rtp           newest_packets (of a second), worst_packets, packets_total;
///                             mlr_by_continuity likewise
///   .bursts                   least_packets (what counts), bursts_total, longest_packets,
///                             longest_us
///   .rtp                      lost_datagrams, reordered_datagrams, duplicate_datagrams,
///                             late_datagrams
/// content.total, .stuffing    packets, mean_bps, min_bps, max_bps (of a second)
/// content.services[]          id, rate (those keys; ECMs count here)
/// content.pids[]              pid, rate, scrambled, key_changes_total
///   .audio                    codec, sample_rate_hz, channels, layout, bit_rate_bps, changes_total
///   .loudness                 integrated_lufs, short_term_lufs, range_lu (--decode)
///   .video                    codec, profile, level, width, height, frame_rate, frame_rate_hz,
///                             sample_aspect, display_aspect, interlaced, chroma, bit_depth,
///                             changes_total
///   .gops                     random_access_total, whole_total, open_ms; of pictures and
///                             duration_ms each min, mean, max
/// content.splice_pids[]       pid, heartbeats_total, damaged_total
/// content.splices             entries_total; entries[]: at_ms, at_packet, pid, service, command,
///                             event_id, cancelled, out_of_network, immediate, splice_pts,
///                             pre_roll_ms, duration_ms, repeats_total, last_ms; segmentations[]:
///                             event_id, cancelled, type_id, type_name, duration_ms, upid
/// content.guide               entries[]: at_ms, at_packet, service, place, event_id, title, start,
///                             duration_ms
/// content.scrambling          entries[]: at_ms, at_packet, pid, scrambled
/// buffers.streams[]           pid, service, not_judged (why), access_units_total, resets_total,
///                             delay_highest_ms, delay_lowest_ms
///   .buffers[]                buffer, size_bytes, highest_bytes, lowest_bytes, leak_bps
/// buffers.systems[]           service, buffers[]
/// ```
///
/// # PROFILES
///
/// `--profile` names a YAML file that says what the stream should be; `tsmon learn` writes one.
/// What differs is found by checks of priority 4: `profile_missing` and `profile_unlisted`
/// (services, PIDs), `profile_bitrate`, `profile_scrambling`, `profile_description` (ids, names,
/// codecs by ffmpeg's names, languages); `--fail-on p4` counts them too. All keys may be left out;
/// unknown ones and doubled ones are errors, and so are unknown codecs and a min above its max.
///
/// ```text
/// $ cat one.yaml
///     transport_stream_id: 1
///     window: 5s                  # rates are means over it; what does not come in it is missing
///     bitrate: {min: 9M, max: 11M}
///     stuffing: {max: 3M}         # null packets
///     unlisted_services: forbidden  # or allowed
///     unlisted_pids: forbidden
///     limits: [sdt=2s, teletext=10s]  # as --limit has them; the command line's come after
///     services:
///       - {id: 101, name: "One", required: true, scrambling: clear, bitrate: {min: 2M}}
///     pids:                       # the first that holds a PID counts
///       - {pid: 0x100, codec: h264, bitrate: {min: 1M, max: 8M}}
///       - {pid: 0x101, codec: mp2, language: fra, scrambling: clear}
///       - {pid: 0x102, required: false}
///       - {pid: 0x0000-0x001F}    # of several, none is required
/// ```
///
/// # DECODING
///
/// With `--decode` one ffmpeg decodes the first picture and up to eight sounds of the first service
/// that has any, beside the measuring; when its PIDs become others, another ffmpeg takes over.
/// `video_black` and `video_frozen` are found after 2 s, `audio_silent` after 5 s below -60 dB; time
/// and packet are those of the picture or sound in the stream with which it began. How loud sound is
/// (EBU R 128) stands beside it, renewed each 2 s. At most 2 s or 16 MiB wait for ffmpeg: what a live
/// input, or `--pass`, brings beyond that is not decoded, and that is said (`queue_overflow`);
/// nothing waits for ffmpeg there. A file or a pipe without `--pass` is read no faster than ffmpeg
/// decodes, and who writes to the pipe waits, too: an INPUT of its own or `--pass` is for what goes
/// on by itself. When ffmpeg dies or is missing, that is said (`exec_died`) and it is started again,
/// after half a second at first and half a minute at last; what it had found goes on until the next
/// one could have found it, for 30 s at most; measuring goes on.
///
/// # ALARMS
///
/// The first finding of a check about a PID, a service or the stream raises an alarm; those that
/// follow are counted; it is cleared when none has come for `--clear-after`. What lasts (something
/// stays away, a buffer is too full, a profile is not met) is found again every second to every 5 s
/// (a profile: every window), and its alarm stands until `--clear-after` has passed from when it
/// would have been found again. Alarms go to `--events` and `--exec`, and to stderr where the input
/// is no file.
///
/// A line of `--events` is a JSON object with `time` (UTC), `event` (`raised` or `cleared`),
/// `check`, `number` (of TR 101 290), `priority`, `subject`, `pid` and `service` (or null),
/// `at_ms` and `at_packet` (where in the stream), `count`; one that is raised also what was found,
/// unit in the key; one that is cleared also `since_ms`, `last_ms` and `last_packet`.
///
/// A command of `--exec` runs through `sh -c` with TSMON_EVENT, TSMON_CHECK, TSMON_NUMBER,
/// TSMON_PRIORITY, TSMON_SUBJECT, TSMON_PID, TSMON_SERVICE, TSMON_AT_MS, TSMON_AT_PACKET,
/// TSMON_COUNT, TSMON_INPUT, TSMON_TIME and TSMON_JSON in its environment; what it prints goes to
/// stderr. It is never waited for: four run at a time, 256 wait, what is over is dropped and said;
/// one that runs for longer than a minute is killed, and at the end all are given 2 s.
///
/// # PROMETHEUS AND SNMP
///
/// `--prometheus 127.0.0.1:9470` serves `/metrics`, brought up to date once a second; `examples/`
/// has rules for alerts and a dashboard for Grafana. `--snmp-trap` sends headendAlarmRaised and
/// headendAlarmCleared of HEADEND-MIB (in `examples/` too). With `--snmp-pass-persist` stdin and
/// stdout belong to snmpd, which starts tsmon itself, and no report is printed; in snmpd.conf:
/// `pass_persist .1.3.6.1.4.1.32473.1 /usr/bin/tsmon --snmp-pass-persist udp://@239.0.0.1:1234`.
/// snmpd reads stderr too: nothing is said there, and alarms go to `--events FILE`.
/// The arc is the one that RFC 5612 sets aside for documentation; `--snmp-oid` moves it below an
/// enterprise number of one's own.
///
/// # EXTRACTS
///
/// `--capture RING --into DIR` copies, when an alarm is raised, what a `tsring record` of the same
/// stream has from `--before` the alarm to `--after` it, into a file that is named after the time
/// and the check, and the alarm beside it as JSON. Of one check there is one extract in
/// `--capture-every`; the oldest go when all together would pass `--capture-bytes`. At the end
/// what waits is copied as far as it is recorded; 64 wait at most, the others are left out.
///
/// # EVENTS
///
/// Beside alarms: `command_failed`, `command_killed` and `command_dropped` of `--exec`,
/// `measuring_skipped` of `--pass` (what was passed on without being measured), `extract_taken`,
/// `extract_failed`, `extract_left_out` and `extract_removed` of `--capture`, and `file_unwritten`:
/// a file of `--events`, or of `--report-file` with `--interval`, took no more (a full disk);
/// measuring and passing go on, the next one is tried again. Those of INPUT are tsrecv's.
///
/// # EXIT STATUS
///
/// 0, or 1 when a check that `--fail-on` names found something, or nothing came that could be
/// judged: no packet, or neither a PAT nor a clock by which one is missed; 2 for wrong usage; 3
/// when the input fails or ends without one packet in its bytes (with `--pass` that is 0, with
/// `--fail-on` 1), or a file did not take the report or all alarms.
///
/// # MEMORY
///
/// 1024 alarms at a time: what is found about more subjects is told as one of the stream. 4,096
/// sub-tables with 524,288 sections are timed, in 5 MB: sections beyond are counted as
/// `untimed_sections_total`, and `si_repetition_error` says so. 16 MiB between the passing and the
/// measuring of `--pass`, twice.
/// 64 extracts wait for their time at most. A page for Prometheus has samples of the first 64
/// services and of the 256 PIDs with most packets; `tsmon_left_out` counts the others.
///
/// # NETWORK
///
/// Where arrivals tell the time, the report has the time from one arrival to the next (packets of a
/// datagram, or of a read of a pipe, come at once), bursts (28 packets or more at over twice the
/// media rate), and each second the media delivery index of RFC 4445, `DF:MLR`: by how many
/// milliseconds a buffer would have to smooth the arrivals, and how many media packets were lost or
/// out of order. The media rate is that of the PCRs; where it is not constant the report says so,
/// and DF tells of the encoder too. Losses are counted by RTP sequence numbers and, apart, by
/// continuity counters.
///
/// # EXAMPLES
///
/// What is in a recording, and what is wrong with it:
///
/// ```text
/// $ tsmon recording.ts
/// ```
///
/// The bit rate of each PID of a recording, for a script:
///
/// ```text
/// $ tsmon --report json recording.ts | jq '.pids[] | {pid, bitrate_bps}'
/// ```
///
/// Watch a channel, alarms as JSON lines, a report each minute in a file:
///
/// ```text
/// $ tsmon udp://eth1@239.0.0.1:1234 --events - --interval 1m --report-file /run/one.txt
/// ```
///
/// Look at what goes into a ring on its way there:
///
/// ```text
/// $ tsrecv udp://eth1@239.0.0.1:1234 | tsmon --pass --events one.jsonl | tsring record /ring/one
/// ```
///
/// Serve metrics, and keep the minute around each fault that viewers would see:
///
/// ```text
/// $ tsmon udp://eth1@239.0.0.1:1234 --prometheus 127.0.0.1:9470 --capture /var/lib/ring/one --into /var/lib/faults/one
/// ```
///
/// Look at a channel, on a screen that refreshes:
///
/// ```text
/// $ tsmon --live udp://eth1@239.0.0.1:1234
/// ```
///
/// Look at a channel for half a minute; status 1 when it has errors of priority 1:
///
/// ```text
/// $ tsmon udp://eth1@239.0.0.1:1234 --for 30s --fail-on p1 --quiet > /dev/null
/// ```
///
/// Learn what a channel is in ten minutes, and find what differs from that from now on:
///
/// ```text
/// $ tsmon learn udp://eth1@239.0.0.1:1234 --for 10m -o one.yaml
/// $ tsmon udp://eth1@239.0.0.1:1234 --profile one.yaml --events one.jsonl
/// ```
#[derive(Debug, Parser)]
#[command(
    name = "tsmon",
    version,
    verbatim_doc_comment,
    args_conflicts_with_subcommands = true
)]
pub struct Args {
    #[command(subcommand)]
    work: Option<Work>,

    /// Where packets come from [default: -]
    #[arg(value_name = "INPUT")]
    input_operand: Option<Endpoint>,

    /// Where packets come from, as an option
    #[arg(short, long, value_name = "ENDPOINT", conflicts_with = "input_operand")]
    input: Option<Endpoint>,

    /// Pass stdin to stdout, byte for byte, while measuring
    #[arg(long)]
    pass: bool,

    /// What tells the time
    #[arg(long, value_name = "SOURCE", value_enum, default_value_t)]
    clock: ClockChoice,

    /// What separates jitter of PCRs from drift: mgf1 (10 mHz), mgf2 (100 mHz), mgf3 (1 Hz), or
    /// any frequency from 10mHz to 10Hz
    #[arg(long, value_name = "FREQUENCY", default_value = "mgf2")]
    pcr_filter: Demarcation,

    /// Look at so much of the stream
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    span: Option<Duration>,

    /// End with status 1 when a check of this priority or a higher one found something
    #[arg(long, value_name = "PRIORITY", value_enum)]
    fail_on: Option<Least>,

    /// Print the report in this form
    #[arg(
        long,
        value_name = "FORM",
        value_enum,
        default_value_t,
        help_heading = "Report"
    )]
    report: Form,

    /// Write the report to this file, replaced as a whole, and not to stdout
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    report_file: Option<PathBuf>,

    /// Show the report on the terminal while it changes; q quits
    #[arg(long, conflicts_with_all = ["interval", "pass", "snmp_pass_persist"],
          help_heading = "Report")]
    live: bool,

    /// Report so often, and not at the end only; JSON is one object a line then
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration,
          help_heading = "Report")]
    interval: Option<Duration>,

    /// Append a JSON line for each alarm raised or cleared; -: to stdout, the report to stderr
    #[arg(long, value_name = "FILE", help_heading = "Alarms")]
    events: Option<PathBuf>,

    /// Run a command for each alarm raised or cleared
    #[arg(long, value_name = "COMMAND", help_heading = "Alarms")]
    exec: Option<String>,

    /// Clear an alarm when so long nothing was found
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration,
          default_value = "10s", help_heading = "Alarms")]
    clear_after: Duration,

    /// Decode the first service through ffmpeg: black and frozen pictures, silence, loudness
    #[arg(long)]
    decode: bool,

    /// Compare the stream with this profile
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,

    #[command(flatten)]
    limits: limits::LimitArgs,

    #[command(flatten)]
    capture: CaptureArgs,

    #[command(flatten)]
    outside: OutsideArgs,

    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Debug, Subcommand)]
enum Work {
    Learn(LearnArgs),
}

impl ToolArgs for Args {
    fn common(&self) -> &Common {
        match &self.work {
            Some(Work::Learn(learn)) => &learn.common,
            None => &self.common,
        }
    }
}
