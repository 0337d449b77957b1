//! The least that a receiver can do, to measure the others by: wait for the socket, take what is
//! there in one call, write it in one call. It looks at no packet, no time and no sender.
//!
//! `bare_receiver GROUP:PORT FILE`, until SIGTERM.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsFd;

use anyhow::bail;
use headend::io::signal::Signals;
use headend::io::sys::{DATAGRAMS, Places, Receiver, set_option};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Bytes of a datagram of seven packets.
const PAYLOAD: usize = 1316;
/// What the tools ask for.
const BUFFER: i32 = 8 << 20;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [group, file] = args.as_slice() else {
        bail!("usage: bare_receiver GROUP:PORT FILE");
    };
    let group: SocketAddrV4 = group.parse()?;
    let signals = Signals::install()?;
    let socket = UdpSocket::bind(group)?;
    socket.join_multicast_v4(group.ip(), &Ipv4Addr::UNSPECIFIED)?;
    set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, BUFFER)?;
    let mut file = File::create(file)?;
    let mut receiver = Receiver::new();
    let mut place = vec![0; DATAGRAMS * PAYLOAD];
    let mut slots = vec![0; DATAGRAMS * 2048];
    while !signals.stop() {
        let mut ready = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ready, PollTimeout::from(100u8)).unwrap_or(0) == 0 {
            continue;
        }
        let places = Places {
            head: 0,
            place: &mut place,
            stride: PAYLOAD,
            slots: &mut slots,
            slot: 2048,
        };
        match receiver.receive(socket.as_fd(), places) {
            Ok(received) => {
                let bytes = received.len() * PAYLOAD;
                file.write_all(&place[..bytes])?;
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}
