pub(super) mod sample;

mod bodies;
mod properties;
mod stories;
mod vectors;
