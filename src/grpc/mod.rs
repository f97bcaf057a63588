//! gRPC servers with limits, health, reflection and a bounded drain; endpoints of clients.

mod body_budget;
mod endpoint;
mod health;
mod one_message;
mod server;

pub use self::{
    body_budget::BodyBudget,
    endpoint::{channel, endpoint},
    health::Health,
    server::{BrokenContract, add_standard_services, grpc_server, serve_grpc},
};
