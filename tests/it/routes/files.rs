//! `tsrecv --service` and `--routes` with files and pipes.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use headend::si::Pmt;
use headend::ts::{Packet, Section};
use nix::sys::signal::Signal;

use super::mux::Mux;
use super::{of, plain, sections};
use crate::harness::{Run, Running, captures, command, ffmpeg_stream, judge, packets_of, wait_for};

/// Three services of picture and sound for six seconds, in 5 Mb/s.
fn three() -> PathBuf {
    let one = ffmpeg_stream(
        "route-one",
        "-f lavfi -i testsrc2=size=320x240:rate=25:duration=6 \
         -f lavfi -i sine=frequency=440:duration=6 \
         -map 0:v -map 1:a -c:v libx264 -preset ultrafast -g 25 -b:v 600k -c:a mp2 -b:a 128k",
    );
    let one = one.display();
    ffmpeg_stream(
        "route-three",
        &format!(
            "-i {one} -map 0:0 -map 0:1 -map 0:0 -map 0:1 -map 0:0 -map 0:1 \
             -program title=One:st=0:st=1 -program title=Two:st=2:st=3 \
             -program title=Three:st=4:st=5 -c copy -muxrate 5M -pat_period 0.4"
        ),
    )
}

fn read(path: &Path) -> Vec<Packet> {
    Packet::slice_of(&fs::read(path).unwrap()).0.to_vec()
}

/// Asserts that what the output's PMT names is in it as it is in the input; gives the PIDs.
#[track_caller]
fn same_streams(input: &[Packet], output: &[Packet]) -> Vec<u16> {
    let pat = &sections(output, 0)[0];
    assert_eq!(pat.len(), 16, "one service");
    let at = u16::from_be_bytes([pat[10] & 0x1F, pat[11]]);
    let pmt = sections(output, at).pop().unwrap();
    let pmt = Pmt::new(Section::new(&pmt).unwrap()).unwrap();
    let pids: Vec<u16> = pmt.streams().map(|s| s.pid.get()).collect();
    let (sent, came) = (of(output, &pids), of(input, &pids));
    assert!(came.ends_with(&sent), "streams differ");
    pids
}

#[test]
fn each_service_of_a_file_becomes_a_file_that_players_and_the_judge_like() {
    let file = three();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let route = |selection: &str, name: &str| format!("{selection}={}", path(name).display());
    for turn in ["first", "second"] {
        let each = format!("{turn}-{{sid}}.ts");
        let two = format!("{turn}-two.ts");
        let ran = Run::new("tsrecv").args([&file]).args([
            "--service",
            &route("*", &each),
            "--service",
            &route("two", &two),
        ]);
        let ran = ran.run().expect(0, &["route_begun service 3"]);
        assert!(ran.stdout.is_empty());
    }
    let input = read(&file);
    for (id, name) in [(1, "One"), (2, "Two"), (3, "Three")] {
        let out = path(&format!("first-{id}.ts"));
        let again = fs::read(path(&format!("second-{id}.ts"))).unwrap();
        assert!(fs::read(&out).unwrap() == again, "another one each time");
        assert_eq!(same_streams(&input, &read(&out)).len(), 2);
        judge(
            &out,
            &[
                "--only",
                "packet,psi,clock,pes",
                "--psi-interval",
                "101",
                "--require",
                "sdt",
            ],
        );
        let mut ffprobe = Command::new("ffprobe");
        ffprobe
            .args(["-v", "error", "-show_programs", "-of", "json"])
            .arg(&out);
        let said = ffprobe.output().unwrap();
        assert!(
            said.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&said.stderr)
        );
        let said: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
        let programs = said["programs"].as_array().unwrap();
        assert_eq!(programs.len(), 1);
        assert_eq!(programs[0]["program_id"], id);
        assert_eq!(programs[0]["tags"]["service_name"], name);
        assert_eq!(programs[0]["nb_streams"], 2);
    }
    assert!(!read(&path("first-two.ts")).is_empty());
}

#[test]
fn services_of_captures_lose_nothing() {
    let mut services = 0;
    for capture in captures() {
        let folder = tempfile::tempdir().unwrap();
        let output = format!("*={}/{{sid}}.ts", folder.path().display());
        let ran = Run::new("tsrecv")
            .args([&capture])
            .args(["--service", &output])
            .run();
        assert!(ran.status <= 1, "{}: {}", capture.display(), ran.stderr);
        let bytes = packets_of(&capture);
        let input = Packet::slice_of(&bytes).0;
        for file in fs::read_dir(folder.path()).unwrap() {
            let output = read(&file.unwrap().path());
            let pids = same_streams(input, &output);
            // Captures begin anywhere: half a second until a PMT comes.
            let (sent, came) = (of(&output, &pids).len(), of(input, &pids).len());
            assert!(
                sent > 0 || came < 2_000,
                "{}: {sent} of {came}",
                capture.display()
            );
            services += 1;
        }
    }
    assert!(services > 5 || captures().is_empty(), "{services}");
}

#[test]
fn what_is_wrong_with_a_route_is_said_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let routes = folder.path().join("routes.yaml");
    let file = three();
    let service = |text: &str| {
        Run::new("tsrecv")
            .args([&file])
            .args(["--service", text])
            .run()
    };
    service("258").expect(2, &["write SEL=OUTPUT"]);
    service("*=all.ts").expect(2, &["one output for every service", "{sid}"]);
    service("7=udp://239.0.0.1").expect(2, &["the port is missing"]);
    let same = Run::new("tsrecv").args(["-", "--service", "1=x.ts", "--service", "2=x.ts"]);
    same.run().expect(2, &["two routes go to 'x.ts'", "hint: "]);
    let own = format!("1={}", file.display());
    service(&own).expect(2, &["is both input and output"]);
    fs::write(
        &routes,
        "routes:\n  - service: 1\n    output: a.ts\n    pid: 5\n",
    )
    .unwrap();
    let yaml = Run::new("tsrecv")
        .args([&file])
        .arg_path("--routes", &routes)
        .run();
    yaml.expect(
        2,
        &["routes.yaml' line 4, column 5: routes[0]: unknown field `pid`"],
    );
    let out = format!("9={}", folder.path().join("9.ts").display());
    let absent = service(&out).expect(1, &["has no service 9", "route_awaited", "hint: 'tsmon "]);
    assert!(
        absent.stderr.contains("the PAT does not name it"),
        "{}",
        absent.stderr
    );
}

#[test]
fn all_packets_go_to_an_output_beside_the_routes() {
    let folder = tempfile::tempdir().unwrap();
    let one = format!("1={}", folder.path().join("1.ts").display());
    let file = three();
    let ran = Run::new("tsrecv")
        .args([&file])
        .args(["-o", "-", "--service", &one])
        .run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(ran.stdout == fs::read(&file).unwrap());
    assert!(!read(&folder.path().join("1.ts")).is_empty());
}

#[test]
fn an_output_that_fails_or_stands_still_does_not_disturb_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let fifo = path("nobody.fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let one = format!("1={}", path("1.ts").display());
    let stalled = format!("2={}", fifo.display());
    let stats = path("stats");
    let ran = Run::new("tsrecv")
        .args([three()])
        .args(["--service", &one, "--service", &stalled])
        .args([
            "--service",
            "3=/dev/full",
            "--service",
            "*=exec:exit 3 # {sid}",
        ])
        .arg_path("--stats-json", &stats)
        .run();
    // What was to go there is lost.
    let ran = ran.expect(3, &["output_failed", "output=/dev/full"]);
    same_streams(&read(&three()), &read(&path("1.ts")));
    let whole = of(&read(&path("1.ts")), &[0x100, 0x101]).len();
    assert!(
        whole + 300 > of(&read(&three()), &[0x100, 0x101]).len(),
        "{}",
        ran.stderr
    );
    let stats: serde_json::Value = serde_json::from_slice(&fs::read(stats).unwrap()).unwrap();
    let routes: Vec<_> = (1..=6)
        .map(|n| stats[format!("route_{n}_output")].as_str())
        .collect();
    let full = routes
        .iter()
        .position(|output| *output == Some("/dev/full"))
        .unwrap()
        + 1;
    assert_eq!(stats[format!("route_{full}_service_id")], 3);
    assert_eq!(stats[format!("route_{full}_service_name")], "Three");
    assert_eq!(stats[format!("route_{full}_output_open")], 0);
    let lost = &stats[format!("route_{full}_unsent_packets")];
    assert!(lost.as_u64().unwrap() > 1_000, "{stats}");
    assert_eq!(stats["routes_on_total"], 6);
}

/// A running `tsrecv` whose stdin is fed by the test and whose routes are in a file.
struct Fed {
    running: Running,
    folder: tempfile::TempDir,
}

impl Fed {
    fn start(routes: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fed_log = fs::File::create(folder.path().join("log")).unwrap();
        let mut tsrecv = command("tsrecv");
        tsrecv
            .current_dir(&folder)
            .args(["--routes", "routes.yaml", "--stats-json", "stats"])
            .stdin(Stdio::piped())
            .stderr(fed_log);
        fs::write(folder.path().join("routes.yaml"), routes).unwrap();
        let running = Running::spawn(&mut tsrecv);
        Self { running, folder }
    }

    fn feed(&mut self, packets: &[Packet]) {
        let stdin = self.running.0.stdin.as_mut().unwrap();
        stdin.write_all(Packet::bytes_of(packets)).unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Other routes; returns when that was said.
    fn reload(&mut self, routes: &str, word: &str) {
        let before = self.log().matches(word).count();
        fs::write(self.folder.path().join("routes.yaml"), routes).unwrap();
        self.running.signal(Signal::SIGHUP);
        wait_for(word, || self.log().matches(word).count() > before);
    }

    fn packets(&self, name: &str) -> Vec<Packet> {
        read(&self.folder.path().join(name))
    }

    /// Waits until so many packets of a PID are in a file.
    fn wait(&self, name: &str, pid: u16, count: usize) {
        wait_for("packets", || {
            self.folder.path().join(name).exists() && of(&self.packets(name), &[pid]).len() >= count
        });
    }
}

#[test]
fn routes_are_read_again_and_those_that_stay_lose_nothing() {
    let one = "  - {service: Eins, output: one.ts}\n";
    let two = "  - {service: 2, output: two.ts}\n";
    let mapped =
        "  - {service: 2, output: two.ts, drop_ca: true, pids: {0x201: 0x41, 0x200: 0x40}}\n";
    let more = "  - {service: \"*\", output: \"each-{sid}.ts\", si: none}\n";
    let routes = |parts: &[&str]| format!("routes:\n{}", parts.concat());
    let mut fed = Fed::start(&routes(&[one, two]));
    let mut mux = Mux::two();
    let mut input = Vec::new();
    let mut step = |fed: &mut Fed| {
        let run = plain(&mux.run(1_000));
        input.extend_from_slice(&run);
        fed.feed(&run);
        of(&input, &[0x111]).len() - 200
    };
    let count = step(&mut fed);
    fed.wait("one.ts", 0x111, count);
    fed.reload(&routes(&[one, mapped, more]), "routes_reloaded");
    assert!(
        fed.log().contains("kept=1 changed=1 added=1 removed=0"),
        "{}",
        fed.log()
    );
    let count = step(&mut fed);
    fed.wait("one.ts", 0x111, count);
    // What is wrong is refused, and nothing changes.
    let wrong = "routes:\n  - service: 1\n    output: nowhere\n    bad: 1\n";
    fed.reload(wrong, "routes_refused");
    assert!(
        fed.log()
            .contains("'routes.yaml' line 4, column 5: routes[0]: unknown field `bad`"),
        "{}",
        fed.log()
    );
    let count = step(&mut fed);
    fed.wait("one.ts", 0x111, count);
    fed.reload(&routes(&[one]), "removed=2");
    step(&mut fed);
    drop(fed.running.0.stdin.take());
    assert_eq!(fed.running.wait(), 0, "{}", fed.log());
    let (sent, came) = (
        of(&fed.packets("one.ts"), &[0x111, 0x112, 0x300]),
        of(&input, &[0x111, 0x112, 0x300]),
    );
    assert!(came.ends_with(&sent) && came.len() - sent.len() < 300);
    let one = fed.folder.path().join("one.ts");
    judge(&one, &["--only", "packet,psi", "--psi-interval", "101"]);
    let two = fed.packets("two.ts");
    let changed = two.iter().position(|p| p.pid().get() == 0x40).unwrap();
    assert!(!of(&two[..changed], &[0x2EC]).is_empty());
    assert_eq!(of(&two[changed..], &[0x2EC, 0x200, 0x201]), []);
    assert!(!of(&two[changed..], &[0x41]).is_empty());
    let each = fed.packets("each-257.ts");
    assert!(!each.is_empty() && of(&each, &[0x11, 0x12, 0x14]).is_empty());
}
