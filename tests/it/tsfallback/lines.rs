//! Lines from a sender to the tool: a cable with a namespace at its far end, a relay that does
//! damage, and a tap that notes what came when.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use socket2::{Domain, Socket, Type};

use crate::harness::{Random, Running, output_of, tool, wait_for};

const SIZE: usize = 188;
/// The near end of the cable, and its address.
pub const NEAR: &str = "near0";
const NEAR_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 9, 1, 1);

fn ip(words: &str) {
    output_of(
        "ip",
        &words.split(' ').map(AsRef::as_ref).collect::<Vec<_>>(),
    );
}

/// A namespace at the far end of a cable.
pub struct Far(Running);

impl Far {
    pub fn new() -> Self {
        let mut holder = Command::new("unshare");
        holder.args(["-n", "sleep", "1000"]);
        let far = Self(Running::spawn(&mut holder));
        let inside = format!("/proc/{}/ns/net", far.0.0.id());
        let ours = std::fs::read_link("/proc/self/ns/net").unwrap();
        wait_for("the namespace", || {
            std::fs::read_link(&inside).is_ok_and(|theirs| theirs != ours)
        });
        ip("link add near0 type veth peer name far0");
        ip(&format!("link set far0 netns {}", far.0.0.id()));
        ip("addr add 10.9.1.1/24 dev near0");
        ip("link set near0 up");
        // Else what stays here is sent from the address of the cable, and is a martian on lo.
        ip("route replace 224.0.0.0/4 dev lo src 127.0.0.1");
        for words in [
            "addr add 10.9.1.2/24 dev far0",
            "link set far0 up",
            "route add 224.0.0.0/4 dev far0",
        ] {
            let status = far.command("ip").args(words.split(' ')).status().unwrap();
            assert!(status.success(), "ip {words}");
        }
        far
    }

    /// A command at the far end; `nsenter` becomes it.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-n", "-t", &self.0.0.id().to_string()]);
        command.arg(program);
        command
    }

    /// Pulls the cable.
    pub fn unplug() {
        ip("link set near0 down");
    }
}

impl Drop for Far {
    /// A namespace goes some time after its last process: the cable must be gone for the next run.
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "del", NEAR]).status();
    }
}

/// A process that sends a file at its own pace, from when it is let.
pub struct Sender {
    running: Running,
    file: Vec<u8>,
}

impl Sender {
    /// In this namespace, or at the far end of a cable.
    pub fn new(far: Option<&Far>, file: &Path, to: &str) -> Self {
        let mut command = match far {
            Some(far) => far.command(tool("tsrecv")),
            None => Command::new(tool("tsrecv")),
        };
        command.args(["--pace", "-q", "-", to]);
        command.stdin(Stdio::piped()).stderr(Stdio::null());
        Self {
            running: Running::spawn(&mut command),
            file: std::fs::read(file).unwrap(),
        }
    }

    /// Lets it begin: it reads what it sends from a pipe.
    pub fn begin(&mut self) {
        use std::io::Write as _;
        let mut pipe = self.running.0.stdin.take().unwrap();
        let file = std::mem::take(&mut self.file);
        // It ends when the sender does.
        std::thread::spawn(move || pipe.write_all(&file));
    }

    pub fn signal(&self, signal: Signal) {
        self.running.signal(signal);
    }
}

/// A thread that receives datagrams of a group until it is dropped.
struct Listener {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    fn start(
        group: Ipv4Addr,
        port: u16,
        near: bool,
        mut take: impl FnMut(&[u8]) + Send + 'static,
    ) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        // The tool listens at the same address.
        socket.set_reuse_address(true).unwrap();
        socket.set_recv_buffer_size(4 << 20).unwrap();
        let address = SocketAddrV4::new(group, port);
        socket.bind(&address.into()).unwrap();
        let socket = UdpSocket::from(socket);
        let interface = if near {
            NEAR_ADDRESS
        } else {
            Ipv4Addr::LOCALHOST
        };
        socket.join_multicast_v4(&group, &interface).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok(size) = socket.recv(&mut buffer) {
                    take(&buffer[..size]);
                }
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Datagrams, and when they came.
pub type Taken = Vec<(Instant, Vec<u8>)>;

/// Notes each datagram of a group and when it came.
pub struct Tap {
    listener: Listener,
    taken: Arc<Mutex<Taken>>,
}

impl Tap {
    pub fn new(group: Ipv4Addr, port: u16, near: bool) -> Self {
        let taken = Arc::new(Mutex::new(Taken::new()));
        let theirs = Arc::clone(&taken);
        let listener = Listener::start(group, port, near, move |datagram| {
            let now = Instant::now();
            theirs.lock().unwrap().push((now, datagram.to_vec()));
        });
        Self { listener, taken }
    }

    pub fn finish(self) -> Taken {
        drop(self.listener);
        Arc::into_inner(self.taken).unwrap().into_inner().unwrap()
    }
}

/// Notes how late a thread of this machine is woken up at worst: what is late by less says nothing
/// about the tool.
pub struct Vigil {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Duration>,
}

impl Vigil {
    pub fn begin() -> Self {
        const NAP: Duration = Duration::from_millis(2);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut worst = Duration::ZERO;
            while !stopped.load(Ordering::Relaxed) {
                let began = Instant::now();
                std::thread::sleep(NAP);
                worst = worst.max(began.elapsed().saturating_sub(NAP));
            }
            worst
        });
        Self { stop, thread }
    }

    pub fn end(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// What a relay does to a datagram; what it leaves is sent.
pub type Damage = fn(&mut Vec<u8>, &mut Random);

/// Passes a group that comes over the cable on to another group of this namespace.
pub struct Relay {
    _listener: Listener,
    damages: Arc<AtomicBool>,
}

impl Relay {
    pub fn new(from: Ipv4Addr, to: Ipv4Addr, port: u16, seed: u64, damage: Damage) -> Self {
        let out = UdpSocket::bind("127.0.0.1:0").unwrap();
        let damages = Arc::new(AtomicBool::new(false));
        let damaging = Arc::clone(&damages);
        let mut random = Random::new(seed);
        let listener = Listener::start(from, port, true, move |datagram| {
            let mut datagram = datagram.to_vec();
            if damaging.load(Ordering::Relaxed) {
                damage(&mut datagram, &mut random);
            }
            if !datagram.is_empty() {
                out.send_to(&datagram, (to, port)).unwrap();
            }
        });
        Self {
            _listener: listener,
            damages,
        }
    }

    /// Begins to do damage.
    pub fn damage(&self) {
        self.damages.store(true, Ordering::Relaxed);
    }
}

/// The PID of each packet of a datagram, with the packet.
pub fn packets(datagram: &mut [u8]) -> impl Iterator<Item = (u16, &mut [u8])> {
    datagram.chunks_exact_mut(SIZE).map(|packet| {
        let pid = u16::from_be_bytes([packet[1], packet[2]]) & 0x1FFF;
        (pid, packet)
    })
}

/// How much later than its own clock a stream comes, in ms: the median of the two seconds before
/// an instant.
pub fn delay_of(taken: &[(Instant, Vec<u8>)], until: Instant) -> f64 {
    let from = until - Duration::from_secs(2);
    let mut delays = Vec::new();
    for (at, datagram) in taken.iter().filter(|(at, _)| (from..until).contains(at)) {
        for packet in datagram.chunks_exact(SIZE) {
            // ISO/IEC 13818-1 §2.4.3.5: the PCR's 33 bits of 90 kHz stand behind the flags.
            if packet[3] & 0x20 != 0 && packet[4] >= 7 && packet[5] & 0x10 != 0 {
                let base = u32::from_be_bytes(packet[6..10].try_into().unwrap());
                let arrival = at.duration_since(from).as_secs_f64() * 1000.0;
                delays.push(arrival - f64::from(base) / 45.0);
            }
        }
    }
    delays.sort_by(f64::total_cmp);
    delays.get(delays.len() / 2).copied().unwrap_or(f64::NAN)
}
