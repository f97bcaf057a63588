//! Compiles `proto/` with a protobuf compiler written in Rust, so that building needs no `protoc`.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;
use tonic_prost_build::Config;

const PROTOS: [&str; 2] = ["oncelog/v1/logging.proto", "oncelog/v1/messages.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;

    // Server reflection serves the same descriptors the code was generated from.
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out_dir.join("oncelog_descriptor.bin"), descriptors.encode_to_vec())?;

    let mut config = Config::new();
    // Decoded bodies are slices of what was received: decoding copies none. What copies a body: the facade
    // detaches short texts, prost encodes, tonic has a receive buffer, the log detaches what it keeps, the
    // journal builds its frame, and the console takes the part that it shows.
    config.bytes(["."]);
    // Made by hand: one is in nearly all bytes that move, the other can carry what is encoded already.
    config.extern_path(".oncelog.v1.Message", "crate::wire::message::Message");
    config.extern_path(".oncelog.v1.ReadResponse", "crate::wire::read_response::ReadResponse");
    tonic_prost_build::configure()
        .codec_path("crate::wire::codec::BoundedCodec")
        .compile_fds_with_config(descriptors, config)?;
    Ok(())
}
