mod bodies;
mod properties;
mod sample;
mod signing;
mod spellings;
mod stories;
mod vectors;
