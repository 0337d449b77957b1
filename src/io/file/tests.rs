use super::*;
use crate::ts::{Packet, Pid};

fn numbered(count: u16) -> Vec<Packet> {
    (0..count)
        .map(|n| {
            let mut p = Packet::NULL;
            p.set_pid(Pid::from_field(n));
            p
        })
        .collect()
}

fn drain(source: &mut FileSource, capacity: usize) -> Vec<Packet> {
    let mut batch = Batch::with_capacity(capacity);
    let mut out = Vec::new();
    loop {
        batch.clear();
        match source
            .receive(&mut batch, Duration::from_millis(200))
            .unwrap()
        {
            Received::End => return out,
            Received::Packets | Received::Idle => out.extend_from_slice(batch.packets()),
        }
    }
}

#[test]
fn what_is_written_in_any_framing_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let packets = numbered(3000);
    for framing in Framing::ALL {
        let path = dir.path().join("x.ts");
        let options = OutputOptions {
            framing,
            ..OutputOptions::default()
        };
        let mut sink = FileSink::open(&path, &options).unwrap();
        for (n, piece) in packets.chunks(700).enumerate() {
            let mut batch = Batch::with_capacity(700);
            batch.extend(piece, Arrival::from_ticks(n as i64 * 27_000_000));
            sink.send(&batch).unwrap();
        }
        sink.flush().unwrap();
        let length = std::fs::metadata(&path).unwrap().len();
        assert_eq!(length, 3000 * framing.size() as u64);
        for capacity in [1, 7, 64, 5000] {
            let mut source = FileSource::open(&path).unwrap();
            assert_eq!(source.length(), Some(length));
            assert!(
                drain(&mut source, capacity) == packets,
                "{framing:?} {capacity}"
            );
        }
    }
}

#[test]
fn a_fifo_is_waited_for_in_both_directions() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut source = FileSource::open(&path).unwrap();
    let mut batch = Batch::with_capacity(64);
    let waited = source
        .receive(&mut batch, Duration::from_millis(5))
        .unwrap();
    assert_eq!(waited, Received::Idle);
    let writer = std::thread::spawn(move || {
        let mut sink = FileSink::open(&path, &OutputOptions::default()).unwrap();
        let mut batch = Batch::with_capacity(2000);
        batch.extend(&numbered(2000), Arrival::default());
        sink.send(&batch).unwrap();
    });
    assert!(drain(&mut source, 500) == numbered(2000));
    writer.join().unwrap();
}

#[test]
fn a_fifo_that_nobody_reads_is_given_up_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let options = OutputOptions::default();
    options.stop.store(true, Ordering::Relaxed);
    assert!(FileSink::open(&path, &options).is_err());
}

#[test]
fn a_directory_and_a_missing_file_are_errors_with_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let e = FileSource::open(dir.path()).unwrap_err();
    assert!(e.to_string().contains(&dir.path().display().to_string()));
    assert!(e.hint().unwrap().contains("tsring read"));
    let e = FileSource::open(&dir.path().join("none.ts")).unwrap_err();
    assert!(e.to_string().starts_with("cannot open '"), "{e}");
}

#[test]
fn a_reader_that_went_away_is_a_broken_pipe() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let file = File::from(std::os::fd::OwnedFd::from(writer));
    let mut sink = FileSink::of("pipe".into(), file, &OutputOptions::default());
    let mut batch = Batch::with_capacity(1);
    batch.push(&Packet::NULL, Arrival::default());
    let e = sink.send(&batch).unwrap_err();
    assert!(matches!(e.fault(), Fault::System(_, e) if e.kind() == ErrorKind::BrokenPipe));
}

#[test]
fn a_reader_that_stands_still_is_given_up_once_the_end_is_asked_for() {
    for way in [Way::NonBlocking, Way::Watched] {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let options = OutputOptions::default();
        let shared = File::from(std::os::fd::OwnedFd::from(writer));
        let mut sink = FileSink::of("pipe".into(), shared.try_clone().unwrap(), &options);
        assert_eq!(sink.way, Way::NonBlocking);
        if way == Way::Watched {
            sink.file = shared.try_clone().unwrap();
            sink.way = way;
        }
        let flags = OFlag::from_bits_retain(fcntl(&shared, FcntlArg::F_GETFL).unwrap());
        assert!(!flags.contains(OFlag::O_NONBLOCK), "others share it");
        let mut batch = Batch::with_capacity(8000);
        batch.extend(&numbered(8000), Arrival::default());
        options.stop.store(true, Ordering::Relaxed);
        let started = Instant::now();
        sink.send(&batch).unwrap();
        sink.send(&batch).unwrap();
        assert!(started.elapsed() >= DRAIN && started.elapsed() < DRAIN * 5);
        let mut left = Vec::new();
        sink.drain_events(&mut |e| e.fields(&mut |k, v| left.push((k, v))));
        drop((sink, shared));
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        let packets = read.len() as u64 / 188;
        assert!(packets > 100, "{packets}");
        assert_eq!(left, [("left_packets", Value::from(16_000 - packets))]);
    }
}

#[test]
fn a_slow_reader_gets_everything_however_the_pipe_is_written_to() {
    for way in [Way::NonBlocking, Way::Watched] {
        let (reader, writer) = std::io::pipe().unwrap();
        let shared = File::from(std::os::fd::OwnedFd::from(writer));
        let own = shared.try_clone().unwrap();
        let mut sink = FileSink::of("pipe".into(), own, &OutputOptions::default());
        if way == Way::Watched {
            sink.file = shared.try_clone().unwrap();
            sink.way = way;
        }
        drop(shared);
        let sender = std::thread::spawn(move || {
            let mut batch = Batch::with_capacity(8000);
            batch.extend(&numbered(8000), Arrival::default());
            (0..5).for_each(|_| sink.send(&batch).unwrap());
            sink.fates()
        });
        let file = File::from(std::os::fd::OwnedFd::from(reader));
        let mut source = FileSource::of("pipe".into(), file).unwrap();
        assert!(drain(&mut source, 300) == numbered(8000).repeat(5));
        assert_eq!(sender.join().unwrap(), (40_000, 0));
    }
}
