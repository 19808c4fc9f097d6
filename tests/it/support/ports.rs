//! Addresses that cannot be lost to another test.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// An address on which every connection is refused for as long as this lives: the socket is bound and never listens,
/// so nobody else can be given the port in between.
#[derive(Debug)]
pub struct DeadAddress {
    address: SocketAddr,
    _bound: TcpSocket,
}

impl DeadAddress {
    pub fn reserve() -> Self {
        let bound = TcpSocket::new_v4().expect("a socket can be made");
        bound
            .bind((Ipv4Addr::LOCALHOST, 0).into())
            .expect("loopback has a free port");
        let address = bound.local_addr().expect("a bound socket has an address");
        Self {
            address,
            _bound: bound,
        }
    }

    pub fn addr(&self) -> SocketAddr {
        self.address
    }
}
