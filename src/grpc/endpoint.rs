//! The connection to another service.

use http::Uri;
use tonic::transport::{Channel, Endpoint};

use crate::limits;

/// How services connect to each other, for callers that bring a connector of their own.
pub fn endpoint(url: Uri) -> Endpoint {
    Channel::builder(url)
        // Without it one lost SYN holds every call for as long as the kernel repeats it.
        .connect_timeout(limits::CONNECT_TIMEOUT)
        // A peer that is stopped or cut off sends no reset. Only an unanswered PING shows it.
        .http2_keep_alive_interval(limits::KEEPALIVE_INTERVAL)
        .keep_alive_timeout(limits::KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        // A small call must not wait for more bytes to share its packet with.
        .tcp_nodelay(true)
}

/// A channel to `url` that connects with the first call and again after each loss, so that services
/// may start in any order. It sets no timeout on calls: the caller does.
///
/// # Panics
/// Outside of a tokio runtime, which runs the connection.
pub fn channel(url: Uri) -> Channel {
    endpoint(url).connect_lazy()
}
