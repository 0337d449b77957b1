//! `--template`: the layout of the output is that of a file.

use std::fs;

use super::live::LiveFeed;
use super::sockets::Fallback;
use super::{backup, complaints, main_channel};
use crate::harness::{Run, ffmpeg_stream, in_own_network, judge, output_of};

const ONE: &str = "udp://239.9.0.1:5000";
const TWO: &str = "udp://239.9.0.2:5000";

/// What ffprobe finds: the program, where its PMT is, and the streams with their PIDs.
fn layout(file: &std::path::Path) -> serde_json::Value {
    let words = ["-v", "error", "-show_programs", "-of", "json"];
    let mut words: Vec<&std::ffi::OsStr> = words.iter().map(AsRef::as_ref).collect();
    words.push(file.as_os_str());
    let said: serde_json::Value = serde_json::from_str(&output_of("ffprobe", &words)).unwrap();
    let program = &said["programs"][0];
    let streams = program["streams"].as_array().unwrap().iter();
    let streams: Vec<_> = streams.map(|s| (&s["codec_name"], &s["id"])).collect();
    serde_json::json!([
        program["program_id"],
        program["pmt_pid"],
        program["pcr_pid"],
        streams
    ])
}

#[test]
fn the_output_is_laid_out_like_the_template_whatever_goes_on_air_first() {
    let template = ffmpeg_stream(
        "fallback-template",
        "-f lavfi -i testsrc=size=320x240:rate=25:duration=2 -f lavfi -i sine=duration=2 \
         -f lavfi -i sine=duration=2 -map 0 -map 1 -map 2 -metadata:s:a:0 language=fra \
         -metadata:s:a:1 language=eng -c:v libx264 -preset ultrafast -c:a mp2 \
         -mpegts_start_pid 0x200 -mpegts_pmt_start_pid 0x1200 -mpegts_service_id 77",
    );
    in_own_network(
        "tsfallback::template::the_output_is_laid_out_like_the_template_whatever_goes_on_air_first",
        || {
            let first = LiveFeed::start(&main_channel(), "239.9.0.1:5000");
            let _second = LiveFeed::start(&backup(), "239.9.0.2:5000");
            let more = [
                "--timeout",
                "300ms",
                "--template",
                template.to_str().unwrap(),
            ];
            let mut fallback = Fallback::start(&[ONE, TWO], &more);
            fallback.wait_for_input(1);
            fallback.wait_on_air(1, 1500);
            drop(first);
            fallback.wait_for_input(2);
            fallback.wait_on_air(2, 1500);
            let file = fallback.stop();
            let log = fallback.log();
            assert_eq!(fallback.switched(), [1, 2], "{log}");
            // One sound of the two is there, and both inputs have the same streams.
            assert_eq!(
                layout(&file),
                serde_json::json!([77, 0x1200, 0x200, [["h264", "0x200"], ["mp2", "0x201"]]])
            );
            assert!(!log.contains("output_pmt_changed"), "{log}");
            assert!(
                log.contains("layout_differs") && log.contains("lacks_streams=1"),
                "{log}"
            );
            assert_eq!(complaints(&file), "");
            judge(&file, &["--ignore", "tstd,pts_interval"]);
        },
    );
}

#[test]
fn a_template_without_a_service_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (noise, output) = (folder.path().join("noise.ts"), folder.path().join("out.ts"));
    let noisy: Vec<u8> = (0..100_000u32).map(|n| ((n * 7919) >> 5) as u8).collect();
    fs::write(&noise, noisy).unwrap();
    let gone = folder.path().join("gone.ts");
    for (template, words) in [
        (&noise, "has no service"),
        (&gone, "gone.ts' is no file"),
        (&folder.path().to_owned(), "is no file"),
    ] {
        Run::new("tsfallback")
            .args(["-i", ONE, "--template"])
            .args([template])
            .args(["-o".as_ref(), output.as_os_str()])
            .run()
            .expect(
                2,
                &[words, "hint: --template takes a transport stream file"],
            );
        assert!(!output.exists());
    }
}
