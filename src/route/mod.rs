//! Services of a multiplex, each as a stream of its own: the machine behind `--service`.
//!
//! A [`Router`] is fed the packets of a transport stream and hands over, for each *route*, what
//! belongs to its service: a PAT that names it alone, its PMT, the streams, clock and entitlement
//! messages (ECM) that the PMT names, and of service information what is about it. Tables follow
//! the input: what says the same goes on with its version, what says something else gets the next.
//! Streams pass byte for byte, but for a PID that was asked to be another.
//!
//! Orders say which services go where ([`Order`]) and may be replaced at any time; a route whose
//! order stays does not notice.

mod carriage;
mod clock;
mod event;
mod guide;
mod lane;
mod order;
mod router;
mod tables;

pub use event::RouteEvent;
pub use order::{MapError, Order, OrderId, PidMap, Selection, SiMode};
pub use router::{MOST_ROUTES, Out, Route, Router, Status};
