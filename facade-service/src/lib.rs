//! The HTTP edge: gives each message its id, delivers it, answers with a receipt. It keeps no
//! state; ending it can lose no message that was answered with success.
//!
//! In reading order:
//!
//! - [`router`]: what is served, one file in `routes/` for each resource
//! - `request/`: what a request may say, checked before anything is delivered
//! - [`Facade`]: what the routes work with: delivery, the other services, ids, limits
//! - `error`: every failure and its status, in one place
//! - `receipt`: what a client gets for a message that is stored
//! - `log`: reading the log, and the forms it is shown in
//! - [`serve`] and `edge/`: connections, their limits, and the drain
//! - [`settings`]: flags and environment

pub mod settings;

mod edge;
mod error;
mod facade;
mod log;
mod receipt;
mod request;
mod routes;

pub use self::{
    edge::{EdgeLimits, Listener, ServeError, serve},
    facade::{Facade, Options, Upstreams},
    routes::router,
};
