//! Configuration as it is written: policy directories and their YAML.

pub mod decode;
pub mod load;
pub mod yaml;
