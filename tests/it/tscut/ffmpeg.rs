//! What ffmpeg sees in a stream.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use crate::harness::output_of;

/// A frame or packet: its stamp in ticks of 90 kHz, and a digest of its content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Frame {
    pub pts: i64,
    pub digest: String,
}

/// What `framemd5` prints for one stream of a file. `map` is ffmpeg's name of the stream.
fn digests(file: &Path, map: &str, copy: bool) -> Vec<Frame> {
    let mut args: Vec<&OsStr> = ["-v", "error", "-nostdin", "-copyts", "-i"]
        .map(OsStr::new)
        .to_vec();
    args.push(file.as_os_str());
    args.extend(["-map", map, "-enc_time_base", "1:90000"].map(OsStr::new));
    if copy {
        args.extend(["-c", "copy"].map(OsStr::new));
    } else {
        args.extend(["-vsync", "passthrough"].map(OsStr::new));
    }
    args.extend(["-f", "framemd5", "-"].map(OsStr::new));
    let text = output_of("ffmpeg", &args);
    let base = text
        .lines()
        .find_map(|line| line.strip_prefix("#tb 0: "))
        .and_then(|tb| tb.split_once('/'))
        .map(|(n, d)| 90_000 * n.parse::<i64>().unwrap() / d.trim().parse::<i64>().unwrap())
        .unwrap_or(1);
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let fields: Vec<_> = line.split(',').map(str::trim).collect();
            Frame {
                pts: fields[2].parse::<i64>().unwrap() * base.max(1),
                digest: fields[5].to_owned(),
            }
        })
        .collect()
}

/// The pictures that come out of the decoder, by their instant.
pub fn pictures(file: &Path) -> Vec<Frame> {
    let mut frames = digests(file, "0:v:0", false);
    frames.sort();
    frames
}

/// The coded pictures, in decoding order.
pub fn coded_pictures(file: &Path) -> Vec<Frame> {
    digests(file, "0:v:0", true)
}

/// The access units of a stream of sound.
pub fn sounds(file: &Path, number: usize) -> Vec<Frame> {
    digests(file, &format!("0:a:{number}"), true)
}

/// Decodes everything; gives what ffmpeg complains of, save what it always says of an H.264 open
/// group whose past is missing.
#[track_caller]
pub fn complaints(file: &Path, open: bool) -> String {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-xerror", "-nostdin", "-i"])
        .arg(file)
        .args(["-map", "0:v?", "-map", "0:a?", "-f", "null", "-"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut excused = false;
    let said: Vec<_> = said
        .lines()
        .filter(|line| {
            // "Last message repeated" repeats what stands before it.
            if !line.contains("Last message repeated") {
                excused = open && line.contains("mmco: unref short failure");
            }
            !excused
        })
        .collect();
    let said = said.join("\n");
    assert!(
        output.status.success() || !said.is_empty(),
        "ffmpeg failed without a word on {}",
        file.display()
    );
    said
}

/// The PES packets of a PID, by the clause: from each payload_unit_start_indicator to the next.
/// Here a picture is what the multiplexer put in a PES packet; ffmpeg's HEVC parser moves a zero
/// byte between pictures, depending on what follows.
pub fn pes_packets(file: &Path, pid: u16) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(file).unwrap();
    let mut found: Vec<Vec<u8>> = Vec::new();
    for p in bytes.chunks_exact(188) {
        let payload = match p[3] >> 4 & 3 {
            1 => &p[4..],
            3 => &p[5 + usize::from(p[4])..],
            _ => continue,
        };
        if u16::from(p[1] & 0x1F) << 8 | u16::from(p[2]) != pid {
            continue;
        }
        if p[1] & 0x40 != 0 {
            found.push(Vec::new());
        }
        found.last_mut().unwrap().extend_from_slice(payload);
    }
    found
}
