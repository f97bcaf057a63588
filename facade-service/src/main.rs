//! Wires the service.
fn main() {}
