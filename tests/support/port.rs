//! Ports that a restarted service finds free again.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::Range,
};

/// Below the range the kernel takes client ports from. A port it chose itself (port 0) may go to
/// some client while the service is down, and a client that keeps connecting to a dead port of
/// that range can even end up connected to itself.
const PORTS: Range<u16> = 15_000..32_000;

/// A loopback address whose port is free now and stays free while its service is restarted.
pub(crate) fn free_address() -> SocketAddr {
    for _ in 0..1000 {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, fastrand::u16(PORTS)));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no free port in {PORTS:?}");
}
