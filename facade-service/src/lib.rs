//! The HTTP edge: gives each message its id, delivers it, answers with a receipt. It keeps no
//! state; ending it can lose no message that was answered with success.
//!
//! In reading order:
//!
//! - `stack`: the layers around every route
//! - `routes/`: what is served, one folder for each kind of resource
//! - `http/`: what a request may say, checked before anything is delivered; every failure and its code
//! - [`Facade`]: the state of the handlers: delivery, the other services, ids, limits
//! - [`delivery`]: the only place that retries; brings a message to the logging service
//! - `reads/`: reading the log, and the forms it is shown in
//! - [`serve`] and `edge/`: connections and the drain
//! - [`Limits`]: what clients can fill
//! - [`settings`] and [`run`]: flags and environment, and the process

pub mod delivery;
pub mod settings;

mod app;
mod edge;
mod http;
mod limits;
mod reads;
mod routes;
mod run;
mod stack;

pub use self::{
    app::{Facade, Options, Upstreams},
    edge::{Listener, ServeError, serve},
    http::problem::{PROBLEM_TYPES, ProblemType},
    limits::{EdgeLimits, InvalidLimits, Limits, ReadLimits, UploadLimits},
    reads::ReadUpstream,
    run::run,
    stack::router,
};
#[doc(hidden)]
pub use self::{http::service::HttpService, stack::stack_and_routes};
