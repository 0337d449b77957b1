//! Sources whose every picture says which input it is of and which number it has, and whose sound
//! has a tone of its own with a short pause in each second: what is decoded tells where it came from,
//! and how sound and picture lie to one another.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::stamps;
use crate::harness::ffmpeg_stream;

/// From picture to picture.
pub const FRAME_MS: f64 = 40.0;
/// How long a source is, in seconds.
const LENGTH: u32 = 24;
/// The picture is twenty by fifteen blocks, as it is decoded for reading.
const COLUMNS: usize = 20;
const ROWS: usize = 15;
/// The rows of blocks that carry the code, all of them the same: a picture that is only partly of
/// its number differs in one of them.
const CODED: [usize; 4] = [1, 5, 9, 13];
/// The blocks for the number of the input, and for that of the picture; the lowest bit first.
const INPUT: std::ops::Range<usize> = 1..3;
const NUMBER: std::ops::Range<usize> = 3..18;

/// Samples in a second, and in what is listened to at once: 20 ms.
const SAMPLE_RATE: usize = 48_000;
const WINDOW: usize = SAMPLE_RATE / 50;

/// In each second the sound pauses from here to there: in ms.
const PAUSE: (f64, f64) = (500.0, 540.0);

/// How a source's sound is coded.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Sound {
    Mp2,
    Aac,
}

/// The tone of an input, in hertz: whole periods fit in a window.
const fn tone(input: u8) -> usize {
    500 * input as usize
}

/// A source: input 1 to 3. Picture N of one is presented with picture N of every other; each is
/// encoded by itself, with PIDs of its own and a closed GOP each second.
pub fn source(input: u8, sound: Sound) -> PathBuf {
    // A white block, the input, the number, and black blocks.
    let bits = format!(
        "eq(X,0)+between(X,{},{})*mod(floor({input}/pow(2,X-{})),2)\
         +between(X,{},{})*mod(floor(N/pow(2,X-{})),2)",
        INPUT.start,
        INPUT.end - 1,
        INPUT.start,
        NUMBER.start,
        NUMBER.end - 1,
        NUMBER.start,
    );
    let picture = ["testsrc2", "testsrc2", "testsrc", "smptebars"][usize::from(input)];
    let codec = match sound {
        Sound::Mp2 => "mp2",
        Sound::Aac => "aac",
    };
    let frequency = tone(input);
    let (pause, over) = (PAUSE.0 / 1000.0, PAUSE.1 / 1000.0);
    let [a, b, c, d] = CODED.map(|row| row * 16);
    let pid = 0x100 * u32::from(input);
    ffmpeg_stream(
        &format!("numbered-{input}-{codec}"),
        &format!(
            "-f lavfi -i {picture}=size=320x240:rate=25:duration={LENGTH} \
             -f lavfi -i color=size=20x2:rate=25:duration={LENGTH} \
             -f lavfi -i aevalsrc=exprs='0.125*sin(2*PI*{frequency}*t)\
             *not(between(mod(t,1),{pause},{over}))':s={SAMPLE_RATE}:d={LENGTH} \
             -filter_complex [1]format=yuv420p,geq=lum='16+219*({bits})':cb=128:cr=128,\
             scale=320:16:flags=neighbor,split=4[a][b][c][d];\
             [0]format=yuv420p[p];[p][a]overlay=0:{a}[q];[q][b]overlay=0:{b}[r];\
             [r][c]overlay=0:{c}[s];[s][d]overlay=0:{d}[v] -map [v] -map 2:a \
             -c:v libx264 -preset ultrafast -g 25 -keyint_min 25 -sc_threshold 0 -bf 2 \
             -b:v 800k -maxrate 800k -bufsize 400k -c:a {codec} -b:a 128k -muxrate 1500k \
             -mpegts_start_pid {pid}"
        ),
    )
}

/// The PIDs of the picture and of the sound of a source.
pub fn pids(input: u8) -> (u16, u16) {
    (0x100 * u16::from(input), 0x100 * u16::from(input) + 1)
}

/// A picture as it was decoded.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Picture {
    /// Of this input, with this number.
    Whole(u8, i64),
    /// Its parts are not of one picture.
    Torn,
}

/// The pictures of a file, in the order in which they are presented.
pub fn pictures(file: &Path) -> Vec<Picture> {
    let raw = decoded(
        file,
        "-map 0:v -fps_mode passthrough -vf scale=20:15:flags=area -pix_fmt gray -f rawvideo -",
    );
    raw.chunks_exact(COLUMNS * ROWS).map(read).collect()
}

/// What a picture of twenty by fifteen says.
fn read(picture: &[u8]) -> Picture {
    let lines = CODED.map(|row| &picture[row * COLUMNS..][..COLUMNS]);
    let mut said = lines.iter().map(|line| {
        let bits: Option<Vec<i64>> = line.iter().map(|luma| bit(*luma)).collect();
        bits.filter(|bits| bits[0] == 1 && bits[NUMBER.end..].iter().all(|bit| *bit == 0))
    });
    let number = |bits: &[i64]| bits.iter().rev().fold(0, |value, bit| value * 2 + bit);
    match said.next().flatten() {
        Some(bits) if said.all(|other| other.as_ref() == Some(&bits)) => Picture::Whole(
            u8::try_from(number(&bits[INPUT])).unwrap(),
            number(&bits[NUMBER]),
        ),
        _ => Picture::Torn,
    }
}

/// White or black; grey is neither.
fn bit(luma: u8) -> Option<i64> {
    match luma {
        0..=80 => Some(0),
        170.. => Some(1),
        _ => None,
    }
}

/// What is heard in 20 ms.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The tone of this input alone.
    Tone(u8),
    Silence,
    /// Neither one tone nor silence: where one ends and another begins.
    Mixed,
}

/// What is heard in a file, each 20 ms of sound; where there is none, nothing.
pub fn heard(file: &Path) -> Vec<Heard> {
    samples(file).chunks_exact(WINDOW).map(listen).collect()
}

fn samples(file: &Path) -> Vec<f64> {
    let raw = decoded(file, "-map 0:a -ac 1 -ar 48000 -f s16le -");
    let samples = raw.chunks_exact(2);
    samples
        .map(|s| f64::from(i16::from_le_bytes([s[0], s[1]])))
        .collect()
}

/// How much later the sound of an input comes than its picture, in ms, each time that its pause is
/// over; by the stamps of both, and what is burnt into one and heard in the other. The delay of the
/// coder of sound is in it, so it is to be compared with that of the source.
pub fn sound_behind_picture(file: &Path, input: u8) -> Vec<f64> {
    let pictures = pictures(file).into_iter().zip(stamps(file, "v"));
    let mut first = pictures.filter_map(|(picture, ms)| match picture {
        Picture::Whole(of, number) if of == input => Some(ms - number as f64 * FRAME_MS),
        _ => None,
    });
    // Where picture 0 would have been presented.
    let Some(zero) = first.next() else {
        return Vec::new();
    };
    let (frames, samples) = (stamps(file, "a"), samples(file));
    let frame = samples.len() / frames.len().max(1);
    assert_eq!(
        frame * frames.len(),
        samples.len(),
        "samples of {} frames",
        frames.len()
    );
    let instant = |sample: usize| {
        let (n, rest) = (sample / frame, sample % frame);
        frames[n] + rest as f64 * 1000.0 / SAMPLE_RATE as f64
    };
    // A millisecond is half a period of the lowest tone.
    let step = SAMPLE_RATE / 1000;
    let loud = |piece: &[f64]| piece.iter().map(|s| s * s).sum::<f64>() / step as f64 > 1_000_000.0;
    let louds: Vec<bool> = samples.chunks_exact(step).map(loud).collect();
    let mut found = Vec::new();
    for n in 60..louds.len().saturating_sub(40) {
        let pause = louds[n - 20..n].iter().all(|loud| !loud);
        let before = louds[n - 60..n - 30].iter().any(|loud| *loud);
        let heard = &samples[(n + 10) * step..];
        if !(pause && before && louds[n]) || listen(&heard[..WINDOW]) != Heard::Tone(input) {
            continue;
        }
        // Not where the stamps make a step: the pause is one of silence.
        if instant((n + 30) * step) - instant((n - 30) * step) > 60.5 {
            continue;
        }
        let second = (instant(n * step) - zero - PAUSE.1).rem_euclid(1000.0);
        found.push(if second > 500.0 {
            second - 1000.0
        } else {
            second
        });
    }
    found
}

fn listen(window: &[f64]) -> Heard {
    let energy: f64 = window.iter().map(|s| s * s).sum();
    if energy / (WINDOW as f64) < 100.0 * 100.0 {
        return Heard::Silence;
    }
    let share = |input: u8| {
        let turn = std::f64::consts::TAU * tone(input) as f64 / SAMPLE_RATE as f64;
        let parts = window.iter().enumerate().map(|(n, s)| {
            let (sin, cos) = (turn * n as f64).sin_cos();
            (s * cos, s * sin)
        });
        let (re, im) = parts.fold((0.0, 0.0), |(a, b), (c, d)| (a + c, b + d));
        (re * re + im * im) * 2.0 / WINDOW as f64 / energy
    };
    let found = (1..=3).find(|input| share(*input) > 0.9);
    found.map_or(Heard::Mixed, Heard::Tone)
}

fn decoded(file: &Path, how: &str) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "quiet", "-nostdin", "-i"])
        .arg(file)
        .args(how.split(' '))
        .output()
        .unwrap();
    output.stdout
}

#[test]
fn sources_say_which_picture_is_which() {
    for (input, sound) in [(1, Sound::Mp2), (2, Sound::Mp2), (1, Sound::Aac)] {
        let file = source(input, sound);
        let expected = (0..i64::from(LENGTH) * 25).map(|n| Picture::Whole(input, n));
        assert_eq!(pictures(&file), expected.collect::<Vec<_>>());
        let heard = heard(&file);
        let others = heard.iter().filter(|h| **h != Heard::Tone(input)).count();
        // The pause of each second, and the coder's run-in and run-out.
        assert!(others <= LENGTH as usize * 4 + 4, "{heard:?}");
        let behind = sound_behind_picture(&file, input);
        assert!(behind.len() >= LENGTH as usize - 2, "{behind:?}");
        // As far as a coder of sound delays it: some 30 ms.
        let near = |ms: &f64| (ms - behind[0]).abs() < 3.0 && ms.abs() < 60.0;
        assert!(behind.iter().all(near), "{behind:?}");
    }
}
