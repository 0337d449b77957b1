//! `tsmon` beside those who ask it and whom it tells: a real Prometheus, net-snmp's snmpd and
//! snmptrapd, and the ring of a real recorder.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use headend::ts::Packet;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{
    Run, Running, command, ffmpeg_stream, in_own_network, output_of, tool, wait_for,
};

const GROUP: &str = "udp://239.255.21.1:5001";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Six seconds, of which a packet of video in the middle is missing.
fn damaged(folder: &Path) -> PathBuf {
    let whole = ffmpeg_stream(
        "six-seconds-3M",
        "-f lavfi -i testsrc2=size=320x240:rate=25:duration=6 \
         -f lavfi -i sine=frequency=440:duration=6 \
         -c:v libx264 -preset ultrafast -g 25 -bf 0 -c:a mp2 -muxrate 3M",
    );
    let bytes = fs::read(whole).unwrap();
    let half = bytes.len() / 188 / 2;
    // One with a payload: those with a PCR alone do not count.
    let video = |p: &[u8]| p[3] & 0x10 != 0 && u16::from_be_bytes([p[1], p[2]]) & 0x1FFF == 0x100;
    let after = bytes.chunks(188).skip(half).position(video).unwrap();
    let cut = (half + after) * 188;
    let path = folder.join("damaged.ts");
    fs::write(&path, [&bytes[..cut], &bytes[cut + 188..]].concat()).unwrap();
    path
}

/// A monitor of [`GROUP`] that has begun.
fn monitor(folder: &Path, options: &[&str]) -> Running {
    let mut tsmon = command("tsmon");
    let stats = folder.join("stats.json");
    tsmon
        .args([GROUP, "--clear-after", "1s", "--stats-json"])
        .arg(&stats)
        .arg("--report-file")
        .arg(folder.join("report.txt"))
        .args(options)
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.join("log")).unwrap());
    let running = Running::spawn(&mut tsmon);
    wait_for("the monitor", || stats.exists());
    running
}

/// Sends a file to [`GROUP`] again and again until it is dropped.
fn sender(file: &Path) -> Running {
    let mut tsrecv = command("tsrecv");
    tsrecv
        .arg("--loop")
        .arg(file)
        .arg(GROUP)
        .stderr(Stdio::null());
    Running::spawn(&mut tsrecv)
}

fn stop(mut running: Running, log: &Path) {
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait(), 0, "{}", read(log));
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// What a server at this address of our own network says to a GET.
fn get(at: &str, target: &str) -> Option<String> {
    let mut connection = TcpStream::connect(at).ok()?;
    let request = format!("GET {target} HTTP/1.0\r\nHost: {at}\r\n\r\n");
    connection.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some(body.to_owned())
}

/// The value of a query to Prometheus; `None` while it has none.
fn query(expression: &str) -> Option<f64> {
    let escaped: String = expression.bytes().map(|b| format!("%{b:02X}")).collect();
    let answer = get("127.0.0.1:9090", &format!("/api/v1/query?query={escaped}"))?;
    let answer: Value = serde_json::from_str(&answer).ok()?;
    assert_eq!(answer["status"], "success", "{expression}: {answer}");
    answer["data"]["result"][0]["value"][1]
        .as_str()?
        .parse()
        .ok()
}

#[test]
fn prometheus_scrapes_a_monitor_and_alerts_by_its_rules() {
    in_own_network(
        "tsmon_outside::prometheus_scrapes_a_monitor_and_alerts_by_its_rules",
        || {
            let folder = tempfile::tempdir().unwrap();
            let at = "127.0.0.1:9470";
            let tsmon = monitor(folder.path(), &["--prometheus", at]);
            let _sender = sender(&damaged(folder.path()));
            let examples = root().join("examples/prometheus");
            let rules = examples.join("tsmon.rules.yml");
            let config = folder.path().join("prometheus.yml");
            let text = format!(
                "global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}\n\
                 rule_files: ['{}']\n\
                 scrape_configs: [{{job_name: tsmon, static_configs: [{{targets: ['{at}']}}]}}]\n",
                rules.display()
            );
            fs::write(&config, text).unwrap();
            let mut prometheus = Command::new("prometheus");
            prometheus
                .arg(format!("--config.file={}", config.display()))
                .arg(format!(
                    "--storage.tsdb.path={}",
                    folder.path().join("db").display()
                ))
                .arg("--web.listen-address=127.0.0.1:9090")
                .stdout(Stdio::null())
                .stderr(fs::File::create(folder.path().join("prometheus.log")).unwrap());
            let _prometheus = Running::spawn(&mut prometheus);
            let errors = "tsmon_check_errors_total{check=\"continuity_count_error\"}";
            wait_for("errors in Prometheus", || query(errors) > Some(0.0));
            wait_for("an alarm in Prometheus", || {
                query("ALERTS{alertname=\"Undecodable\"}") == Some(1.0)
            });
            assert_eq!(query("up"), Some(1.0));
            assert!(query("tsmon_packets_total") > Some(5000.0));
            assert!(query("tsmon_service_bytes_total{service=\"1\"}") > Some(1e6));
            // Each panel of the dashboard asks for something that is there.
            let dashboard = read(&examples.join("tsmon.dashboard.json"));
            let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
            for panel in dashboard["panels"].as_array().unwrap() {
                let expression = panel["targets"][0]["expr"].as_str().unwrap();
                let expression = expression.replace("=~\"$channel\"", "=~\".*\"");
                wait_for(&expression, || query(&expression).is_some());
            }
            let page = get(at, "/metrics").unwrap();
            let mut promtool = Command::new("promtool");
            let mut promtool = promtool
                .args(["check", "metrics"])
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            let mut pipe = promtool.stdin.take().unwrap();
            pipe.write_all(page.as_bytes()).unwrap();
            drop(pipe);
            assert!(promtool.wait().unwrap().success(), "{page}");
            assert!(!get(at, "/").unwrap().contains("tsmon_"));
            stop(tsmon, &folder.path().join("log"));
        },
    );
}

#[test]
fn what_the_kernel_drops_is_counted_as_that_everywhere() {
    in_own_network(
        "tsmon_outside::what_the_kernel_drops_is_counted_as_that_everywhere",
        || {
            const SENT: u64 = 1000;
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name);
            let at = "127.0.0.1:9470";
            let mut tsmon = command("tsmon");
            tsmon
                .args(["udp://127.0.0.1:5000?rcvbuf=100k", "--prometheus", at])
                .args(["--report", "json", "--report-file"])
                .arg(path("report"))
                .arg("--events")
                .arg(path("events"))
                .arg("--stats-json")
                .arg(path("stats"))
                .stderr(fs::File::create(path("log")).unwrap());
            let tsmon = Running::spawn(&mut tsmon);
            wait_for("the monitor", || get(at, "/metrics").is_some());
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let nulls = [*Packet::NULL.as_bytes(); 7].concat();
            tsmon.signal(Signal::SIGSTOP);
            for _ in 0..SENT {
                socket.send_to(&nulls, "127.0.0.1:5000").unwrap();
            }
            tsmon.signal(Signal::SIGCONT);
            let counter = |key: &str| {
                let stats: Value = serde_json::from_str(&read(&path("stats"))).unwrap_or_default();
                stats[key].as_u64().unwrap_or(0)
            };
            // What came and what the kernel lost is what was sent.
            wait_for("the counters", || {
                counter("kernel_drops_datagrams") + counter("in_datagrams") == SENT
            });
            let dropped = counter("kernel_drops_datagrams");
            assert!(dropped > 0);
            let sample = |name: &str| {
                let page = get(at, "/metrics").unwrap_or_default();
                let mut lines = page.lines();
                let line = lines.find(|l| l.starts_with(name))?;
                line.rsplit(' ').next()?.parse::<f64>().ok()
            };
            wait_for("the sample", || {
                sample("tsmon_input_kernel_drops_datagrams_total") == Some(dropped as f64)
            });
            let found = sample("tsmon_check_errors_total{check=\"kernel_drops\"");
            assert!(found.is_some_and(|n| n >= 1.0), "{found:?}");
            stop(tsmon, &path("log"));
            let report: Value = serde_json::from_str(&read(&path("report"))).unwrap();
            assert_eq!(report["network"]["kernel_drops_datagrams"], dropped);
            assert_eq!(report["packets"], (SENT - dropped) * 7);
            let check = &report["checks"]["kernel_drops"];
            assert_eq!(check["judged"], true);
            assert!(check["count"].as_u64().unwrap() >= 1);
            // The loss is ours, not the stream's.
            for innocent in ["rtp_loss", "continuity_count_error", "ts_sync_loss"] {
                assert_eq!(report["checks"][innocent]["count"], 0, "{innocent}");
            }
            let events = read(&path("events"));
            assert!(events.contains("\"check\":\"kernel_drops\""), "{events}");
        },
    );
}

#[test]
fn rules_and_configuration_are_what_promtool_accepts() {
    let file = |name: &str| root().join("examples/prometheus").join(name);
    for (command, name) in [("rules", "tsmon.rules.yml"), ("config", "prometheus.yml")] {
        let path = file(name);
        output_of(
            "promtool",
            &["check".as_ref(), command.as_ref(), path.as_ref()],
        );
    }
    let path = file("tsmon.rules.test.yml");
    output_of(
        "promtool",
        &["test".as_ref(), "rules".as_ref(), path.as_ref()],
    );
}

/// Where net-snmp finds our MIB and those it imports from; `None` where these could not be had.
fn mibs() -> Option<String> {
    let base = root().join("target/mibs");
    if !base.join("SNMPv2-SMI").exists() {
        eprintln!("SKIPPED: scripts/setup could not fetch the MIBs of SNMPv2");
        return None;
    }
    let ours = root().join("examples/snmp");
    Some(format!("{}:{}", base.display(), ours.display()))
}

/// A command of net-snmp that reads and writes nothing outside `folder`.
fn net_snmp(program: &str, folder: &Path, mibs: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env("MIBDIRS", mibs)
        .env("MIBS", "HEADEND-MIB")
        .env("SNMP_PERSISTENT_DIR", folder)
        .env("SNMPCONFPATH", folder)
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.join(format!("{program}.err"))).unwrap());
    command
}

#[test]
fn traps_tell_that_an_alarm_was_raised_and_cleared() {
    in_own_network(
        "tsmon_outside::traps_tell_that_an_alarm_was_raised_and_cleared",
        || {
            let Some(mibs) = mibs() else { return };
            let folder = tempfile::tempdir().unwrap();
            let log = folder.path().join("traps");
            let config = folder.path().join("trapd.conf");
            fs::write(&config, "authCommunity log secret\n").unwrap();
            let mut trapd = net_snmp("snmptrapd", folder.path(), &mibs);
            trapd
                .args(["-f", "-C", "-c"])
                .arg(&config)
                .arg("-Lf")
                .arg(&log);
            let _trapd = Running::spawn(trapd.arg("udp:127.0.0.1:1162"));
            wait_for("snmptrapd", || read(&log).contains("NET-SNMP version"));
            let options = ["--snmp-trap", "127.0.0.1:1162", "--community", "secret"];
            let tsmon = monitor(folder.path(), &options);
            let _sender = sender(&damaged(folder.path()));
            let told = |words: &[&str]| {
                let log = read(&log);
                log.lines()
                    .any(|line| words.iter().all(|w| line.contains(w)))
            };
            let about = "headendAlarmCheck.0 = STRING: continuity_count_error";
            for what in ["headendAlarmRaised", "headendAlarmCleared"] {
                let which = format!("OID: HEADEND-MIB::{what}");
                let input = format!("headendInput.0 = STRING: {GROUP}");
                wait_for(what, || {
                    told(&[&which, about, &input, "headendAlarmPriority.0 = INTEGER: 1"])
                });
            }
            stop(tsmon, &folder.path().join("log"));
        },
    );
}

#[test]
fn snmpd_walks_the_figures_of_a_monitor_that_it_started() {
    in_own_network(
        "tsmon_outside::snmpd_walks_the_figures_of_a_monitor_that_it_started",
        || {
            let Some(mibs) = mibs() else { return };
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name);
            let config = format!(
                "rocommunity public 127.0.0.1\n\
                 pass_persist .1.3.6.1.4.1.32473.1 {} --snmp-pass-persist --quiet {GROUP}\n",
                tool("tsmon").display()
            );
            fs::write(path("snmpd.conf"), config).unwrap();
            let mut snmpd = net_snmp("snmpd", folder.path(), &mibs);
            snmpd.args(["-f", "-C", "-c"]).arg(path("snmpd.conf"));
            snmpd
                .arg("-Lf")
                .arg(path("snmpd.log"))
                .arg("-p")
                .arg(path("snmpd.pid"));
            let mut snmpd = Running::spawn(snmpd.arg("udp:127.0.0.1:1161"));
            let _sender = sender(&damaged(folder.path()));
            let walk = || {
                let mut walk = net_snmp("snmpwalk", folder.path(), &mibs);
                let walk = walk.args(["-v2c", "-c", "public", "-On", "127.0.0.1:1161"]);
                let walk = walk.arg(".1.3.6.1.4.1.32473.1").stdout(Stdio::piped());
                let output = walk.output().unwrap();
                String::from_utf8_lossy(&output.stdout).into_owned()
            };
            let mut seen = String::new();
            wait_for("errors in the walk", || {
                seen = walk();
                let row = seen
                    .lines()
                    .find(|line| line.ends_with(" continuity_count_error"));
                let Some((row, _)) = row.and_then(|line| line.split_once(" = ")) else {
                    return false;
                };
                let count = row.replace(".8.1.2.", ".8.1.6.");
                let count = seen.lines().find_map(|line| line.strip_prefix(&count));
                count.is_some_and(|line| !line.ends_with(": 0"))
            });
            assert!(seen.contains(&format!("STRING: {GROUP}")), "{seen}");
            assert!(seen.contains(".1.9.1.2.1 = STRING: Service01"), "{seen}");
            // It ends when snmpd does: nothing is left behind.
            snmpd.signal(Signal::SIGTERM);
            assert_eq!(snmpd.wait(), 0);
            wait_for("the end of the monitor", || {
                let igmp = read(Path::new("/proc/self/net/igmp"));
                !igmp.contains("0115FFEF")
            });
        },
    );
}

#[test]
fn the_mib_is_one_that_net_snmp_reads() {
    let Some(mibs) = mibs() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut translate = net_snmp("snmptranslate", folder.path(), &mibs);
    let translate = translate.args(["-IR", "-On", "-Pe", "headendAlarmCleared"]);
    let output = translate.stdout(Stdio::piped()).output().unwrap();
    let said = read(&folder.path().join("snmptranslate.err"));
    let mut complaints = said
        .lines()
        .filter(|line| !line.starts_with("Created directory"));
    let found = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        (found.trim(), complaints.next()),
        (".1.3.6.1.4.1.32473.1.0.2", None)
    );
}

#[test]
fn an_alarm_takes_its_extract_of_the_ring() {
    in_own_network(
        "tsmon_outside::an_alarm_takes_its_extract_of_the_ring",
        || {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name);
            let mut tsring = command("tsring");
            tsring.arg("record").arg(path("ring")).args(["-i", GROUP]);
            let (ring, into) = (path("ring"), path("into"));
            fs::create_dir(&into).unwrap();
            // Not ours, however old: it stays.
            fs::write(into.join("0_film.ts"), vec![0x47; 3_000_000]).unwrap();
            let tsmon = monitor(
                folder.path(),
                &[
                    "--capture",
                    ring.to_str().unwrap(),
                    "--into",
                    into.to_str().unwrap(),
                    "--before",
                    "1s",
                    "--after",
                    "1s",
                    "--capture-every",
                    "1s",
                    "--capture-bytes",
                    "2MB",
                ],
            );
            // The recorder comes after its monitor.
            let log = folder.path().join("log");
            wait_for("what is missing to be said", || {
                read(&log).contains("extract_ring_missing")
            });
            let recorder = Running::spawn(tsring.stderr(Stdio::null()));
            wait_for("the ring", || path("ring").is_dir());
            let _sender = sender(&damaged(folder.path()));
            let extracts = |end: &str| {
                let mut names: Vec<_> = fs::read_dir(&into)
                    .unwrap()
                    .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                    .filter(|name| name.contains("continuity_count_error") && name.ends_with(end))
                    .collect();
                names.sort();
                names
            };
            wait_for("an extract", || !extracts(".json").is_empty());
            let first = extracts(".ts")[0].clone();
            let bytes = fs::read(into.join(&first)).unwrap();
            let whole = tool("tsring");
            let mut read_all = Command::new(whole);
            let all = read_all.arg("read").arg(&ring).output().unwrap().stdout;
            // 2 s at 3 Mb/s, to the block of 7 packets and a moment's tick at each end.
            assert!((700_000..800_000).contains(&bytes.len()), "{}", bytes.len());
            let head = &bytes[..188 * 7];
            let at = all.chunks(188).position(|p| p == &head[..188]);
            assert!(at.is_some(), "the extract does not begin in the ring");
            let note: Value =
                serde_json::from_str(&read(&into.join(first.replace(".ts", ".json")))).unwrap();
            assert_eq!(note["check"], "continuity_count_error");
            // The oldest go before all together pass the limit.
            wait_for("the first extract to go", || !into.join(&first).exists());
            let sizes: u64 = extracts(".ts")
                .iter()
                .filter_map(|name| fs::metadata(into.join(name)).ok())
                .map(|m| m.len())
                .sum();
            assert!(sizes <= 2_000_000, "{sizes}");
            assert!(into.join("0_film.ts").exists());
            assert!(read(&log).contains("extract_taken"), "{}", read(&log));
            stop(tsmon, &log);
            // For one that is larger than all together may be, none goes.
            let kept = extracts(".ts");
            let second = tempfile::tempdir().unwrap();
            let (ring, into) = (ring.to_str().unwrap(), into.to_str().unwrap());
            let options = [
                "--capture",
                ring,
                "--into",
                into,
                "--before",
                "1s",
                "--after",
                "1s",
            ];
            let options = [&options[..], &["--capture-bytes", "100kB"]].concat();
            let small = monitor(second.path(), &options);
            let log = second.path().join("log");
            wait_for("an extract that is too large", || {
                read(&log).contains("larger than --capture-bytes")
            });
            assert_eq!(extracts(".ts"), kept);
            stop(small, &log);
            drop(recorder);
        },
    );
}

#[test]
fn what_cannot_be_told_is_wrong_usage() {
    for (args, words) in [
        (&["--snmp-pass-persist"][..], "stdin belongs to snmpd"),
        (
            &["--snmp-pass-persist", "--events", "-", GROUP],
            "stdout belongs to snmpd",
        ),
        (&["--snmp-oid", "1.x", "-"], "object identifier"),
        (&["--capture", "/tmp"], "--into"),
        (&["--prometheus", "localhost", "-"], "--prometheus"),
        (
            &["--prometheus", "192.0.2.1:9470", "-"],
            "cannot serve metrics",
        ),
        (
            &["--snmp-trap", "no-such-host.invalid", "-"],
            "cannot send traps",
        ),
        (&["--community", "x", "-"], "--snmp-trap"),
        (
            &["--capture", "/nonexistent/one", "--into", "/tmp/x", "-"],
            "/nonexistent/one",
        ),
    ] {
        Run::new("tsmon").args(args).run().expect(2, &[words]);
    }
}
