//! Configuration as it is written: policy directories and their YAML.

pub mod certificates;
pub mod decode;
pub mod fingerprint;
pub mod inputs;
pub mod language;
pub mod load;
pub mod schema;
pub mod secrets;
pub mod shape;
pub mod yaml;
