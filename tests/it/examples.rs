//! The scripts of `examples/`, run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::harness::{Run, ffmpeg_stream, output_of, tool};

/// Where the script is told that it is: a zone with summer time, not the machine's.
const ZONE: &str = "Europe/Paris";

/// Runs `examples/cut-nightly` of a day.
fn cut_nightly(list: &Path, folder: &Path, day: &str) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/cut-nightly");
    let tools = tool("tscut").parent().unwrap().display().to_string();
    let path = std::env::var("PATH").unwrap();
    Command::new(script)
        .arg(list)
        .arg(folder)
        .arg(day)
        .env("PATH", format!("{tools}:{path}"))
        .env("TZ", ZONE)
        .output()
        .unwrap()
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("out")).unwrap();
    folder
}

/// Seconds of a film, as ffprobe reads them.
fn duration(path: &Path) -> f64 {
    let args = [
        "-v",
        "error",
        "-show_entries",
        "format=duration",
        "-of",
        "csv=p=0",
    ];
    let args: Vec<_> = args
        .iter()
        .map(|a| a.as_ref())
        .chain([path.as_os_str()])
        .collect();
    output_of("ffprobe", &args).trim().parse().unwrap()
}

#[test]
fn nightly_cutting_makes_what_is_listed_and_only_once() {
    let folder = folder("nightly");
    let ring = folder.join("one").display().to_string();
    let stream = ffmpeg_stream(
        "nightly",
        "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine=f=440 -t 150 \
         -c:v libx264 -preset ultrafast -b:v 200k -g 25 -c:a mp2",
    );
    // Two minutes and a half, round midnight of a winter's day.
    Run::new("tsring")
        .args(["record", &ring, "-q", "-i", &stream.display().to_string()])
        .args(["--clock", "pcr", "--at", "2026-01-14T23:58:30+01:00"])
        .run()
        .quiet_success();
    let list = folder.join("list");
    let lines =
        format!("# ring from to name\n\n{ring} 23:59 00:00 news\n{ring} 23:59:30 00:00:15 film\n");
    fs::write(&list, lines).unwrap();
    let out = folder.join("out");
    let ran = cut_nightly(&list, &out, "2026-01-14");
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let news = out.join("news-2026-01-14.mp4");
    let film = out.join("film-2026-01-14.mp4");
    // Random-access points are a second apart: at most that much more at either end.
    for (path, seconds) in [(&news, 60.0), (&film, 45.0)] {
        let is = duration(path);
        assert!(
            (seconds - 0.1..seconds + 2.1).contains(&is),
            "{}: {is} s",
            path.display()
        );
    }
    let made = fs::metadata(&news).unwrap().modified().unwrap();
    fs::remove_file(&film).unwrap();
    let ran = cut_nightly(&list, &out, "2026-01-14");
    assert!(
        ran.status.success() && film.exists(),
        "what is missing is made"
    );
    assert_eq!(
        fs::metadata(&news).unwrap().modified().unwrap(),
        made,
        "what is there is not"
    );
}

#[test]
fn nightly_cutting_goes_on_after_a_failure_and_tells() {
    let folder = folder("nightly-failing");
    let list = folder.join("bad");
    fs::write(&list, "/nowhere 20:00 20:01 a\n/nowhere 20:00 20:01 b\n").unwrap();
    let ran = cut_nightly(&list, &folder.join("out"), "2026-01-14");
    let words = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1), "{words}");
    assert_eq!(words.matches("tscut: error:").count(), 2, "{words}");
}
