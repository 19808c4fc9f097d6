//! Configuration as it is written: policy directories and their YAML.

pub mod decode;
pub mod fingerprint;
pub mod inputs;
pub mod load;
pub mod yaml;
