//! The outside world: endpoints, sockets, files, pipes, clocks, signals.

pub mod clock;
mod endpoint;
pub mod signal;

pub use endpoint::{
    DEFAULT_PORT, Endpoint, Host, Interface, ParseEndpointError, Protocol, SocketEndpoint,
    SocketOptions,
};
