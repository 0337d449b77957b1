//! The page of `tsmon --report html`.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Run, ffmpeg_stream};

/// The report on a file in this form.
fn report(path: &Path, form: &str) -> String {
    let ran = Run::new("tsmon")
        .args(["--quiet", "--report", form])
        .args([path])
        .run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    String::from_utf8(ran.stdout).unwrap()
}

/// Two services of 6 s, the name of the first one full of markup, a packet of its video lost and
/// one marked as damaged.
fn damaged_stream() -> std::path::PathBuf {
    let whole = ffmpeg_stream(
        "html",
        "-f lavfi -i testsrc2=duration=6:size=320x240:rate=25 -f lavfi -i sine=duration=6 \
         -map 0 -map 1 -map 0 -c:v libx264 -preset ultrafast -g 25 -c:a mp2 \
         -program title=<b>\"A\"&co:program_num=11:st=0:st=1 -program \
         title=Zwei:program_num=12:st=2 -muxrate 3M",
    );
    let mut bytes = fs::read(&whole).unwrap();
    let count = bytes.len() / 188;
    let is_video = |n: &usize| bytes[n * 188 + 1] & 0x5F == 0x01 && bytes[n * 188 + 2] == 0;
    let middle: Vec<_> = (count / 2..count).filter(is_video).take(40).collect();
    bytes[middle[20] * 188 + 1] |= 0x80;
    bytes.drain(middle[0] * 188..(middle[0] + 1) * 188);
    let path = whole.with_extension(format!("damaged-{}.ts", std::process::id()));
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn the_page_is_well_formed_self_contained_and_has_the_figures() {
    let path = damaged_stream();
    let (page, json) = (report(&path, "html"), report(&path, "json"));
    let json: Value = serde_json::from_str(&json).unwrap();
    // Written so that it is well-formed for an XML parser too: no tag is left open, nothing of
    // the stream has become markup.
    let file = path.with_extension("html");
    fs::write(&file, &page).unwrap();
    let parse = "import sys, xml.etree.ElementTree as t; r = t.parse(sys.argv[1]).getroot(); \
                 print(len(r.findall('.//svg')), len(r.findall('.//section')), r.tag)";
    let parsed = Command::new("python3")
        .args(["-c", parse])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&parsed.stdout).into_owned();
    assert!(
        parsed.status.success(),
        "{}",
        String::from_utf8_lossy(&parsed.stderr)
    );
    let parts: Vec<_> = said.split_whitespace().collect();
    // Checks, two services, what belongs to none; errors, rates by PID and by service, and a
    // small line for each PID.
    let pids = json["pids"].as_array().unwrap();
    assert!(
        parts[0].parse::<usize>().unwrap() >= 3 + pids.len(),
        "{said}"
    );
    assert!(parts[1].parse::<usize>().unwrap() >= 4, "{said}");

    assert!(page.contains("PCR interval") && page.contains("PCR accuracy"));
    for outside in [
        "http:", "https:", "//", "url(", "src=", "href=", "@import", "<link",
    ] {
        let found = page
            .find(outside)
            .map(|at| &page[at.saturating_sub(60)..at + 20]);
        assert_eq!(found, None, "the page refers to something outside");
    }
    for scheme in ["prefers-color-scheme: dark", "color-scheme: light dark"] {
        assert!(page.contains(scheme), "{scheme}");
    }

    assert!(
        page.contains("&lt;b&gt;&quot;A&quot;&amp;co"),
        "the name, escaped"
    );
    for pid in pids {
        let id = format!("{:#06x}", pid["pid"].as_u64().unwrap());
        assert!(
            page.contains(&format!("<td class=\"id\">{id}</td>")),
            "{id}"
        );
    }
    for check in json["checks"].as_object().unwrap().keys() {
        assert!(page.contains(check), "{check}");
    }
    assert!(page.contains("320x240p25"));
    let errors = |name: &str| {
        let at = page.find(&format!("<td class=\"id\">{name}</td>")).unwrap();
        page[at..].lines().next().unwrap().to_owned()
    };
    let lost = json["checks"]["continuity_count_error"]["count"]
        .as_u64()
        .unwrap();
    assert!(lost >= 2, "one lost, one marked: {lost}");
    let row = errors("continuity_count_error");
    assert!(
        row.contains("priority 1") && row.contains(&format!(">{lost}</td>")),
        "{row}"
    );
    assert!(errors("transport_error").contains("priority 2"));
    assert!(errors("ts_sync_loss").contains(">ok<"));
}

#[test]
fn arrivals_have_plots_where_they_tell_the_time() {
    let bytes = fs::read(damaged_stream()).unwrap();
    let args = ["--quiet", "--report", "html", "--clock"];
    for (clock, plotted) in [("arrival", true), ("pcr", false)] {
        let run = Run::new("tsmon").args(args).args([clock, "-"]);
        let page = String::from_utf8(run.stdin(bytes.clone()).run().stdout).unwrap();
        assert_eq!(page.contains("Inter-arrival time"), plotted, "{clock}");
    }
}

#[test]
fn a_stream_of_nothing_is_a_page_too() {
    let ran = Run::new("tsmon")
        .args(["--quiet", "--report", "html", "-"])
        .run();
    let page = String::from_utf8(ran.stdout).unwrap();
    assert!(
        page.contains("less than one whole second was measured"),
        "{page}"
    );
    assert!(page.ends_with("</html>\n"));
}
