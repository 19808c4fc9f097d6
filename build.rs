//! Compiles the descriptors that gRPC reflection serves, without a system `protoc`.

#![expect(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a build script talks to cargo over standard output and the environment"
)]

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use prost::Message;

const FILES: [&str; 2] = [
    "envoy/service/auth/v3/external_auth.proto",
    "portcullis/audit/v1/audit.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    Ok(())
}
