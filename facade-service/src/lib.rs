//! The HTTP edge: gives each message its id, delivers it, answers with a receipt. It keeps no
//! state; ending it can lose no message that was answered with success.
//!
//! In reading order:
//!
//! - [`router`]: what is served, one folder in `routes/` for each kind of resource
//! - `http/`: what a request may say, checked before anything is delivered; every failure and its status
//! - [`Facade`]: what the routes work with: delivery, the other services, ids, limits
//! - [`delivery`]: the only place that retries; brings a message to the logging service
//! - `reads`: reading the log, and the forms it is shown in
//! - [`serve`] and `edge/`: connections, their limits, and the drain
//! - [`settings`] and [`run`]: flags and environment, and the process

pub mod delivery;
pub mod settings;

mod app;
mod edge;
mod http;
mod reads;
mod routes;
mod run;

pub use self::{
    app::{Facade, Options, Upstreams},
    edge::{EdgeLimits, Listener, ServeError, serve},
    routes::router,
    run::run,
};
