//! Rings whose settings are gone or damaged.

use std::fs;
use std::path::Path;

use super::{check, dir, file, json, numbers, stream, tsring};

#[test]
fn damaged_settings_stop_nobody_and_are_kept_aside() {
    let (_keep, ring) = dir();
    file(&ring, &stream(0, 20_000));
    let path = Path::new(&ring).join("ring.json");
    let sane = fs::read_to_string(&path).unwrap();
    let cases = [
        String::new(),
        sane[..sane.len() / 3].to_owned(),
        "noise".to_owned(),
        sane.replace("\"keep_ms\": 86400000", "\"keep_ms\": 0"),
        sane.replace("54000000", "-54000000"),
    ];
    let mut sent = 20_000;
    for text in cases {
        fs::write(&path, &text).unwrap();
        let words = ["ring_settings_damaged", "ring.json"];
        let read = tsring(&["read", &ring]).run().expect(0, &words);
        assert_eq!(numbers(&read.stdout), (0..sent).collect::<Vec<_>>());
        let info = tsring(&["info", &ring, "--json"]).run().expect(0, &words);
        let info: serde_json::Value = serde_json::from_slice(&info.stdout).unwrap();
        assert_eq!(info["segment_ms"], 2000);
        let (status, said) = check(&ring, &[]);
        assert!(
            status == 1 && said[0].starts_with("ring.json: "),
            "{said:?}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        tsring(&["record", &ring, "--clock", "pcr"])
            .stdin(stream(sent, 1_000))
            .run()
            .expect(0, &["ring_settings_damaged", "ring_settings_found"]);
        sent += 1_000;
        let aside = path.with_extension("json.damaged");
        assert_eq!(fs::read_to_string(aside).unwrap(), text);
        assert_eq!(json(&ring)["segment_ms"], 2000);
        assert_eq!(json(&ring)["epochs"], 0);
        assert_eq!(check(&ring, &[]).0, 0);
    }
}

#[test]
fn an_index_that_is_missing_or_torn_costs_nothing_that_older_ones_tell() {
    let (_keep, ring) = dir();
    // Two programmes after one another, with a break between.
    file(&ring, &stream(0, 20_000));
    let at = ["--clock", "pcr", "--at", "2026-11-20T00:01:00Z"];
    tsring(&["record", &ring])
        .args(at)
        .stdin(stream(20_000, 10_000))
        .run()
        .expect(0, &["ring_resumed"]);
    let whole = json(&ring);
    assert_eq!(whole["gaps"].as_array().unwrap().len(), 1);
    let last = super::files(&ring, "idx").pop().unwrap();
    let bytes = fs::read(&last).unwrap();
    let told = |info: &serde_json::Value| {
        [
            "gaps", "services", "events", "indexed", "bytes", "first", "last",
        ]
        .map(|key| info[key].clone())
    };
    for left in [None, Some(0), Some(30), Some(64), Some(bytes.len() - 17)] {
        match left {
            None => fs::remove_file(&last).unwrap(),
            Some(left) => fs::write(&last, &bytes[..left]).unwrap(),
        }
        assert_eq!(told(&json(&ring)), told(&whole), "{left:?}");
        // The next recorder makes it anew.
        tsring(&["record", &ring, "--clock", "pcr"])
            .run()
            .expect(0, &[]);
        assert_eq!(check(&ring, &[]).0, 0, "{left:?}");
        assert_eq!(told(&json(&ring)), told(&whole), "{left:?}");
    }
}
