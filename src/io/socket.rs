//! Sockets of UDP and RTP endpoints, opened and set up.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6, ToSocketAddrs, UdpSocket};
use std::os::fd::AsFd;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{SockaddrLike, SockaddrStorage};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::error::Fault;
use super::sys;
use super::{EndpointError, Host, Interface, SocketEndpoint};
use crate::stream::event::{Event, Severity, Value};

/// The receive buffer asked for where `rcvbuf=` says nothing: 8 MiB hold 40 ms of 1 Gb/s, or
/// seconds of a channel.
pub(super) const RECEIVE_BUFFER: usize = 8 << 20;

/// What opening a socket observes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketEvent {
    /// The kernel gave a smaller receive buffer than was asked for.
    ReceiveBufferClamped {
        /// Which input.
        endpoint: String,
        /// Bytes asked for.
        asked: u64,
        /// Bytes granted: half of what `SO_RCVBUF` reports, which doubles what it is given.
        effective: u64,
    },
}

impl Event for SocketEvent {
    fn name(&self) -> &'static str {
        "receive_buffer_clamped"
    }

    fn severity(&self) -> Severity {
        Severity::Warning
    }

    fn fields(&self, field: &mut dyn FnMut(&'static str, Value)) {
        let Self::ReceiveBufferClamped {
            endpoint,
            asked,
            effective,
        } = self;
        field("endpoint", Value::from(endpoint.as_str()));
        field("asked_bytes", Value::from(*asked));
        field("effective_bytes", Value::from(*effective));
        field(
            "remedy",
            Value::from(format!("sysctl -w net.core.rmem_max={asked}")),
        );
    }
}

/// An input socket and what came of its buffer.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) socket: UdpSocket,
    /// The buffer as `SO_RCVBUF` reports it.
    pub(super) receive_buffer: usize,
    pub(super) event: Option<SocketEvent>,
}

/// Opens a socket to receive on: bound to the group or the local address, joined.
pub(super) fn open_receiver(endpoint: &SocketEndpoint) -> Result<Opened, EndpointError> {
    let address = resolve(endpoint)?;
    let index = interface_index(endpoint, address)?;
    let fail = |what| EndpointError::system(endpoint, what);
    let socket = new_socket(address).map_err(fail("open"))?;
    // Any number of receivers a group on one host.
    socket.set_reuse_address(true).map_err(fail("open"))?;
    let multicast = address.is_multicast();
    if multicast {
        // Without this the socket hears every group that anyone on this host has joined.
        match address {
            IpAddr::V4(_) => socket.set_multicast_all_v4(false),
            IpAddr::V6(_) => socket.set_multicast_all_v6(false),
        }
        .map_err(fail("open"))?;
    }
    // Bound to the group: another group on the same port is another socket's.
    let bound = match address {
        IpAddr::V6(v6) => SocketAddrV6::new(v6, endpoint.port, 0, index).into(),
        IpAddr::V4(_) => SocketAddr::new(address, endpoint.port),
    };
    socket.bind(&bound.into()).map_err(fail("listen on"))?;
    let fd = socket.as_fd();
    if multicast {
        sys::join(fd, address, endpoint.source, index).map_err(fail("join"))?;
    }
    sys::set_option(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1).map_err(fail("open"))?;
    // Kernels before 5.0 have none; they deliver each datagram by itself.
    let _ = sys::set_option(fd, libc::SOL_UDP, libc::UDP_GRO, 1);
    let asked = endpoint
        .options
        .rcvbuf
        .map_or(RECEIVE_BUFFER, |n| n.get() as usize);
    let receive_buffer = grow_receive_buffer(&socket, asked).map_err(fail("open"))?;
    // The kernel reports twice what it grants.
    let event = (receive_buffer < 2 * asked).then(|| SocketEvent::ReceiveBufferClamped {
        endpoint: endpoint.to_string(),
        asked: asked as u64,
        effective: receive_buffer as u64 / 2,
    });
    socket.set_nonblocking(true).map_err(fail("open"))?;
    Ok(Opened {
        socket: socket.into(),
        receive_buffer,
        event,
    })
}

/// Asks for a buffer of `bytes`; returns what `SO_RCVBUF` then reports.
fn grow_receive_buffer(socket: &Socket, bytes: usize) -> io::Result<usize> {
    let value = i32::try_from(bytes).unwrap_or(i32::MAX);
    sys::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, value)?;
    if socket.recv_buffer_size()? < 2 * bytes {
        // For those with CAP_NET_ADMIN, over net.core.rmem_max.
        let _ = sys::set_option(
            socket.as_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            value,
        );
    }
    socket.recv_buffer_size()
}

/// Opens a socket to send from, connected to the destination.
pub(super) fn open_sender(endpoint: &SocketEndpoint) -> Result<UdpSocket, EndpointError> {
    let address = resolve(endpoint)?;
    let index = interface_index(endpoint, address)?;
    let fail = |what| EndpointError::system(endpoint, what);
    if address.is_unspecified() {
        return Err(EndpointError::new(
            endpoint,
            Fault::Unusable("packets need a destination"),
        ));
    }
    let socket = new_socket(address).map_err(fail("open"))?;
    let options = &endpoint.options;
    let sock = SockRef::from(&socket);
    let ttl = options.ttl.map(u32::from);
    let tos = options.tos.map(u32::from);
    let set = || -> io::Result<()> {
        if let Some(bytes) = options.sndbuf {
            sock.set_send_buffer_size(bytes.get() as usize)?;
        }
        match address {
            IpAddr::V4(_) => {
                tos.map_or(Ok(()), |t| sock.set_tos_v4(t))?;
                ttl.map_or(Ok(()), |t| {
                    sock.set_multicast_ttl_v4(t).and(sock.set_ttl_v4(t.max(1)))
                })?;
                options
                    .multicast_loop
                    .map_or(Ok(()), |on| sock.set_multicast_loop_v4(on))?;
                if index > 0 && address.is_multicast() {
                    sys::set_multicast_interface_v4(sock.as_fd(), index)?;
                }
            }
            IpAddr::V6(_) => {
                tos.map_or(Ok(()), |t| sock.set_tclass_v6(t))?;
                ttl.map_or(Ok(()), |t| {
                    sock.set_multicast_hops_v6(t)
                        .and(sock.set_unicast_hops_v6(t.max(1)))
                })?;
                options
                    .multicast_loop
                    .map_or(Ok(()), |on| sock.set_multicast_loop_v6(on))?;
                if index > 0 && address.is_multicast() {
                    sock.set_multicast_if_v6(index)?;
                }
            }
        }
        Ok(())
    };
    set().map_err(fail("open"))?;
    // The address datagrams come from: what the interface was named by, or the source.
    let local = match (&options.interface, endpoint.source) {
        (_, Some(source)) => Some(source),
        (Some(Interface::Address(local)), None) => Some(*local),
        _ => None,
    };
    if let Some(local) = local {
        let local = SocketAddr::new(local, 0);
        socket
            .bind(&local.into())
            .map_err(fail("send from the given address to"))?;
    } else if index > 0 && !address.is_multicast() {
        let index = std::num::NonZeroU32::new(index);
        match address {
            IpAddr::V4(_) => socket.bind_device_by_index_v4(index),
            IpAddr::V6(_) => socket.bind_device_by_index_v6(index),
        }
        .map_err(fail("send from the interface to"))?;
    }
    let destination = match address {
        IpAddr::V6(v6) => SocketAddrV6::new(v6, endpoint.port, 0, index).into(),
        IpAddr::V4(_) => SocketAddr::new(address, endpoint.port),
    };
    socket
        .connect(&destination.into())
        .map_err(fail("send to"))?;
    Ok(socket.into())
}

fn new_socket(address: IpAddr) -> io::Result<Socket> {
    let domain = if address.is_ipv4() {
        Domain::IPV4
    } else {
        Domain::IPV6
    };
    let socket = Socket::new(domain, Type::DGRAM.cloexec(), Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// The address, looked up where it is a name.
fn resolve(endpoint: &SocketEndpoint) -> Result<IpAddr, EndpointError> {
    let name = match &endpoint.host {
        Host::Address(address) => return Ok(*address),
        Host::Name(name) => name,
    };
    let mut found = (name.as_str(), endpoint.port)
        .to_socket_addrs()
        .map_err(EndpointError::system(endpoint, "look up the host of"))?;
    found
        .find(|a| endpoint.source.is_none_or(|s| s.is_ipv4() == a.is_ipv4()))
        .map(|a| a.ip())
        .ok_or_else(|| EndpointError::new(endpoint, Fault::Unusable("its host has no address")))
}

/// The index of the interface that `iface=` names; 0 where it names none.
fn interface_index(endpoint: &SocketEndpoint, address: IpAddr) -> Result<u32, EndpointError> {
    let Some(interface) = &endpoint.options.interface else {
        return Ok(0);
    };
    let none = || EndpointError::new(endpoint, Fault::NoInterface(interface.to_string()));
    match interface {
        Interface::Index(index) => Ok(*index),
        Interface::Name(name) => if_nametoindex(name.as_str()).map_err(|_| none()),
        Interface::Address(wanted) if wanted.is_ipv4() != address.is_ipv4() => {
            Err(EndpointError::new(
                endpoint,
                Fault::Unusable("its interface's address is of another family"),
            ))
        }
        Interface::Address(wanted) => {
            let all = getifaddrs().map_err(|e| {
                EndpointError::new(endpoint, Fault::System("list interfaces for", e.into()))
            })?;
            all.filter(|i| i.address.as_ref().and_then(ip_of) == Some(*wanted))
                .find_map(|i| if_nametoindex(i.interface_name.as_str()).ok())
                .ok_or_else(none)
        }
    }
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    match address.family()? {
        nix::sys::socket::AddressFamily::Inet => Some(address.as_sockaddr_in()?.ip().into()),
        nix::sys::socket::AddressFamily::Inet6 => Some(address.as_sockaddr_in6()?.ip().into()),
        _ => None,
    }
}
