//! The calls that no library makes as this crate needs them: recvmmsg and sendmmsg with control
//! messages, socket options that socket2 lacks, and the state of the system's clock. The only
//! `unsafe` of the crate.

#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, c_void, cmsghdr, iovec, mmsghdr, sockaddr_storage, socklen_t};

/// Datagrams a call at most.
pub const DATAGRAMS: usize = 64;
/// Bytes of control messages a datagram: a time stamp and a segment size (56 bytes).
const CONTROL_BYTES: usize = 128;

/// Sets a socket option that is an `int`.
///
/// # Errors
/// Those of setsockopt(2).
pub fn set_option(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    set(fd, level, name, &value)
}

/// Sets a socket option of plain C type `T`.
fn set<T>(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: &T) -> io::Result<()> {
    // SAFETY: `value` is valid for its size, and the kernel only reads it.
    let r = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            (value as *const T).cast(),
            size_of::<T>() as socklen_t,
        )
    };
    if r == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Whether the kernel takes the system's clock for one that is kept by a better one (NTP, PTP).
pub fn clock_is_kept() -> bool {
    // SAFETY: zeros are a valid timex, which then asks for nothing to be changed.
    let mut state: libc::timex = unsafe { zeroed() };
    // SAFETY: the kernel reads and writes `state` only.
    let r = unsafe { libc::adjtimex(&raw mut state) };
    r >= 0 && r != libc::TIME_ERROR && state.status & libc::STA_UNSYNC == 0
}

/// Begins to write to the disk what `len` bytes of a file from `offset` on hold that is not there
/// yet, and does not wait for it. An error of the disk is not told here: fsync tells it.
///
/// # Errors
/// Those of sync_file_range(2): what is no file cannot.
pub fn begin_write_back(fd: BorrowedFd<'_>, offset: u64, len: u64) -> io::Result<()> {
    let offset = i64::try_from(offset).map_err(io::Error::other)?;
    let len = i64::try_from(len).map_err(io::Error::other)?;
    // SAFETY: the kernel is handed numbers only.
    let r =
        unsafe { libc::sync_file_range(fd.as_raw_fd(), offset, len, libc::SYNC_FILE_RANGE_WRITE) };
    match r {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Datagrams that the socket has lost since it was opened, for want of room in its receive buffer,
/// modulo 2^32. SO_RXQ_OVFL tells the same, but only with a next datagram, which may never come.
///
/// # Errors
/// Those of getsockopt(2); kernels before 4.12 have no SO_MEMINFO.
pub fn drops(fd: BorrowedFd<'_>) -> io::Result<u32> {
    const DROPS: usize = libc::SK_MEMINFO_DROPS as usize;
    let mut info = [0u32; DROPS + 1];
    let mut len = size_of_val(&info) as socklen_t;
    // SAFETY: the kernel writes `len` bytes at most into `info`, which has as many.
    let r = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if r == 0 {
        Ok(info[DROPS])
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The address as the kernel wants it, and its size.
fn to_storage(address: SocketAddr) -> (sockaddr_storage, socklen_t) {
    let address = socket2::SockAddr::from(address);
    // SAFETY: all zeros is a valid sockaddr_storage, and `address` is one of `len` bytes.
    unsafe {
        let mut storage: sockaddr_storage = zeroed();
        std::ptr::copy_nonoverlapping(
            address.as_ptr().cast::<u8>(),
            (&raw mut storage).cast::<u8>(),
            address.len() as usize,
        );
        (storage, address.len())
    }
}

fn from_storage(storage: &sockaddr_storage) -> Option<IpAddr> {
    match c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that this is what the storage holds, and it is larger.
            let v4 = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in>() };
            Some(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in6>() };
            Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

/// RFC 3678 §5.1.
#[repr(C)]
struct GroupRequest {
    interface: u32,
    group: sockaddr_storage,
}

/// RFC 3678 §5.1.
#[repr(C)]
struct GroupSourceRequest {
    interface: u32,
    group: sockaddr_storage,
    source: sockaddr_storage,
}

/// Joins `group` on the interface of that index (0: the kernel's choice), from `source` only
/// where there is one.
///
/// # Errors
/// Those of setsockopt(2): `ENODEV` where no route leads to the group.
pub fn join(
    fd: BorrowedFd<'_>,
    group: IpAddr,
    source: Option<IpAddr>,
    interface: u32,
) -> io::Result<()> {
    let level = if group.is_ipv4() {
        libc::IPPROTO_IP
    } else {
        libc::IPPROTO_IPV6
    };
    let (group, _) = to_storage(SocketAddr::new(group, 0));
    match source {
        None => set(
            fd,
            level,
            libc::MCAST_JOIN_GROUP,
            &GroupRequest { interface, group },
        ),
        Some(source) => {
            let (source, _) = to_storage(SocketAddr::new(source, 0));
            let request = GroupSourceRequest {
                interface,
                group,
                source,
            };
            set(fd, level, libc::MCAST_JOIN_SOURCE_GROUP, &request)
        }
    }
}

/// Makes multicasts in IPv4 leave by the interface of that index.
///
/// # Errors
/// Those of setsockopt(2).
pub fn set_multicast_interface_v4(fd: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    let any = libc::in_addr { s_addr: 0 };
    let request = libc::ip_mreqn {
        imr_multiaddr: any,
        imr_address: any,
        imr_ifindex: index as c_int,
    };
    set(fd, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &request)
}

/// What the kernel says of a datagram.
#[derive(Copy, Clone, Debug, Default)]
pub struct Received {
    /// Bytes of the datagram, header and tail included; of all of them where several were
    /// coalesced.
    pub len: usize,
    /// Who sent it.
    pub source: Option<IpAddr>,
    /// When it came, in nanoseconds of CLOCK_REALTIME.
    pub realtime: Option<i64>,
    /// The size of each where several were coalesced (UDP_GRO); the last may be shorter.
    pub segment: Option<usize>,
    /// It was longer than the memory for it.
    pub truncated: bool,
}

#[derive(Copy, Clone)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

/// Where the bytes of a call's datagrams go: `head` bytes of the nth to the start of its slot,
/// then `stride` bytes to the nth place, and what is longer to the rest of the slot.
pub struct Places<'a> {
    /// Bytes before the place: an RTP header, or none.
    pub head: usize,
    /// Memory for the payloads, one behind the other.
    pub place: &'a mut [u8],
    /// Bytes of a payload that go to its place.
    pub stride: usize,
    /// Memory for heads and tails.
    pub slots: &'a mut [u8],
    /// Bytes of a slot.
    pub slot: usize,
}

/// The arrays of recvmmsg, made once.
pub struct Receiver {
    headers: Box<[mmsghdr]>,
    vectors: Box<[[iovec; 3]]>,
    names: Box<[sockaddr_storage]>,
    controls: Box<[Control]>,
    received: Vec<Received>,
}

// SAFETY: the raw pointers in the arrays are written anew in each call from what the caller
// lends for it, and never used outside of it.
unsafe impl Send for Receiver {}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

impl Receiver {
    /// Arrays for [`DATAGRAMS`] datagrams.
    pub fn new() -> Self {
        // SAFETY: all of these are plain C types for which zeros are valid.
        unsafe {
            Self {
                headers: vec![zeroed(); DATAGRAMS].into(),
                vectors: vec![zeroed(); DATAGRAMS].into(),
                names: vec![zeroed(); DATAGRAMS].into(),
                controls: vec![Control([0; CONTROL_BYTES]); DATAGRAMS].into(),
                received: Vec::with_capacity(DATAGRAMS),
            }
        }
    }

    /// Receives what is there, without waiting.
    ///
    /// # Errors
    /// Those of recvmmsg(2); `WouldBlock` when nothing is there.
    pub fn receive(&mut self, fd: BorrowedFd<'_>, to: Places<'_>) -> io::Result<&[Received]> {
        self.received.clear();
        let places = to.place.chunks_exact_mut(to.stride.max(1));
        let slots = to.slots.chunks_exact_mut(to.slot.max(1));
        let mut count = 0;
        for (n, (place, slot)) in places.zip(slots).take(DATAGRAMS).enumerate() {
            let (head, rest) = slot.split_at_mut(to.head.min(slot.len()));
            let tail = rest.get_mut(place.len()..).unwrap_or_default();
            self.vectors[n] = [vector(head), vector(place), vector(tail)];
            let header = &mut self.headers[n].msg_hdr;
            header.msg_name = (&raw mut self.names[n]).cast();
            header.msg_namelen = size_of::<sockaddr_storage>() as socklen_t;
            header.msg_iov = self.vectors[n].as_mut_ptr();
            header.msg_iovlen = 3;
            header.msg_control = (&raw mut self.controls[n]).cast();
            header.msg_controllen = CONTROL_BYTES as _;
            header.msg_flags = 0;
            count = n + 1;
        }
        if count == 0 {
            return Ok(&[]);
        }
        // SAFETY: `count` headers are set up, each of which points to memory that is exclusively
        // ours or lent until this function returns.
        let r = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                self.headers.as_mut_ptr(),
                count as u32,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        let came = usize::try_from(r).map_err(|_| io::Error::last_os_error())?;
        for (header, name) in self.headers.iter().zip(&self.names).take(came) {
            let mut received = Received {
                len: header.msg_len as usize,
                source: from_storage(name),
                truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
                ..Received::default()
            };
            control(&header.msg_hdr, &mut received);
            self.received.push(received);
        }
        Ok(&self.received)
    }
}

fn vector(bytes: &mut [u8]) -> iovec {
    iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    }
}

/// Reads the control messages of a header that the kernel has filled.
fn control(header: &libc::msghdr, received: &mut Received) {
    // SAFETY: the kernel has set msg_control and msg_controllen to what it has written, and the
    // macros of cmsg(3) walk within that; each value is read unaligned and only where its message
    // is long enough.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while let Some(m) = message.as_ref() {
            let data = libc::CMSG_DATA(message);
            let len = m.cmsg_len - libc::CMSG_LEN(0) as usize;
            match (m.cmsg_level, m.cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) if len >= size_of::<libc::timespec>() => {
                    let t = data.cast::<libc::timespec>().read_unaligned();
                    received.realtime = Some(t.tv_sec * 1_000_000_000 + t.tv_nsec);
                }
                (libc::SOL_UDP, libc::UDP_GRO) if len >= 4 => {
                    let size = data.cast::<c_int>().read_unaligned();
                    received.segment = usize::try_from(size).ok().filter(|s| *s > 0);
                }
                _ => {}
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
}

/// Something to send: its bytes in two parts, and the size of each datagram where the kernel is
/// to cut it into several (UDP_SEGMENT).
#[derive(Copy, Clone, Debug)]
pub struct Outgoing<'a> {
    /// An RTP header, or nothing.
    pub head: &'a [u8],
    /// Packets.
    pub body: &'a [u8],
    /// Bytes of each datagram; `None` when this is one datagram.
    pub segment: Option<u16>,
}

/// The arrays of sendmmsg, made once.
pub struct Sender {
    headers: Box<[mmsghdr]>,
    vectors: Box<[[iovec; 2]]>,
    controls: Box<[Control]>,
}

// SAFETY: the raw pointers in the arrays are written anew in each call from what the caller
// lends for it, and never used outside of it.
unsafe impl Send for Sender {}

impl Default for Sender {
    fn default() -> Self {
        Self::new()
    }
}

impl Sender {
    /// Arrays for [`DATAGRAMS`] datagrams.
    pub fn new() -> Self {
        // SAFETY: all of these are plain C types for which zeros are valid.
        unsafe {
            Self {
                headers: vec![zeroed(); DATAGRAMS].into(),
                vectors: vec![zeroed(); DATAGRAMS].into(),
                controls: vec![Control([0; CONTROL_BYTES]); DATAGRAMS].into(),
            }
        }
    }

    /// Sends to where the socket is connected, waiting for room; returns how many of `outgoing`
    /// were sent, at least one of those there are, at most [`DATAGRAMS`].
    ///
    /// # Errors
    /// Those of sendmmsg(2), of the first of them.
    pub fn send<'a>(
        &mut self,
        fd: BorrowedFd<'_>,
        outgoing: impl Iterator<Item = Outgoing<'a>>,
    ) -> io::Result<usize> {
        let mut count = 0;
        for (n, out) in outgoing.take(DATAGRAMS).enumerate() {
            // sendmmsg never writes through these.
            self.vectors[n] = [out.head, out.body].map(|part| iovec {
                iov_base: part.as_ptr().cast::<c_void>().cast_mut(),
                iov_len: part.len(),
            });
            let header = &mut self.headers[n].msg_hdr;
            header.msg_iov = self.vectors[n].as_mut_ptr();
            header.msg_iovlen = 2;
            (header.msg_control, header.msg_controllen) = (std::ptr::null_mut(), 0);
            if let Some(segment) = out.segment {
                header.msg_control = (&raw mut self.controls[n]).cast();
                // SAFETY: the control buffer is aligned, initialised and longer than one message
                // of two bytes; CMSG_FIRSTHDR is its start.
                unsafe {
                    header.msg_controllen = libc::CMSG_SPACE(2) as _;
                    let message: *mut cmsghdr = libc::CMSG_FIRSTHDR(header);
                    (*message).cmsg_level = libc::SOL_UDP;
                    (*message).cmsg_type = libc::UDP_SEGMENT;
                    (*message).cmsg_len = libc::CMSG_LEN(2) as _;
                    libc::CMSG_DATA(message)
                        .cast::<u16>()
                        .write_unaligned(segment);
                }
            }
            count = n + 1;
        }
        // SAFETY: `count` headers are set up and point to memory that is ours or lives as long as
        // what the caller has lent, until the call is over.
        let r =
            unsafe { libc::sendmmsg(fd.as_raw_fd(), self.headers.as_mut_ptr(), count as u32, 0) };
        usize::try_from(r).map_err(|_| io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::time::Duration;

    fn pair() -> (UdpSocket, UdpSocket) {
        let to = UdpSocket::bind("127.0.0.1:0").unwrap();
        let from = UdpSocket::bind("127.0.0.1:0").unwrap();
        from.connect(to.local_addr().unwrap()).unwrap();
        (from, to)
    }

    /// Waits until a datagram is there, then receives all that are.
    fn receive(to: &UdpSocket, receiver: &mut Receiver, places: Places<'_>) -> Vec<Received> {
        to.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        to.peek(&mut [0; 1]).unwrap();
        receiver.receive(to.as_fd(), places).unwrap().to_vec()
    }

    #[test]
    fn heads_places_and_tails_are_split_and_nothing_is_lost() {
        let (from, to) = pair();
        set_option(to.as_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1).unwrap();
        let parts = [b"HEAD" as &[u8], b"payload!", b"tail"];
        from.send(&parts.concat()).unwrap();
        from.send(b"HEADpa").unwrap();
        let (mut place, mut slots) = ([0u8; 24], [0u8; 96]);
        let places = Places {
            head: 4,
            place: &mut place,
            stride: 8,
            slots: &mut slots,
            slot: 32,
        };
        let got = receive(&to, &mut Receiver::new(), places);
        assert_eq!(got.iter().map(|r| r.len).collect::<Vec<_>>(), [16, 6]);
        assert!(got.iter().all(|r| r.realtime.is_some() && !r.truncated));
        assert_eq!(got[0].source, Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(&place[..10], b"payload!pa");
        assert_eq!((&slots[..4], &slots[12..16]), (&b"HEAD"[..], &b"tail"[..]));
        let mut receiver = Receiver::new();
        let e = receiver.receive(
            to.as_fd(),
            Places {
                head: 0,
                place: &mut place,
                stride: 8,
                slots: &mut slots,
                slot: 8,
            },
        );
        assert_eq!(e.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn one_call_sends_many_and_cuts_one_into_many() {
        let (from, to) = pair();
        set_option(to.as_fd(), libc::SOL_UDP, libc::UDP_GRO, 1).unwrap();
        let whole = Outgoing {
            head: b"",
            body: b"aaaabbbbcc",
            segment: Some(4),
        };
        let plain = Outgoing {
            head: b"he",
            body: b"ad",
            segment: None,
        };
        let mut sender = Sender::new();
        // What a call has set is not left for the next.
        for _ in 0..2 {
            let both = [plain, whole].into_iter();
            assert_eq!(sender.send(from.as_fd(), both).unwrap(), 2);
        }
        let again = [whole, plain].into_iter();
        assert_eq!(sender.send(from.as_fd(), again).unwrap(), 2);
        let (mut place, mut slots) = ([0u8; 512], [0u8; 512]);
        let places = Places {
            head: 0,
            place: &mut place,
            stride: 64,
            slots: &mut slots,
            slot: 64,
        };
        let got = receive(&to, &mut Receiver::new(), places);
        assert_eq!(&place[..4], b"head");
        let sizes: Vec<_> = got.iter().map(|r| (r.len, r.segment)).collect();
        // loopback hands over what was sent as one, with the size of each
        let (one, cut) = ((4, None), (10, Some(4)));
        assert_eq!(sizes, [one, cut, one, cut, cut, one]);
        assert_eq!(&place[64..74], b"aaaabbbbcc");
    }
}
