//! Policies: what users write, what is made of it, and what it says about one request.

pub mod authorise;
pub mod caller;
pub mod case;
pub mod compile;
pub mod cors;
pub mod diff;
pub mod expression;
pub mod field;
pub mod inject;
pub mod level;
pub mod observe;
pub mod pattern;
pub mod revocation;
pub mod role;
pub mod route;
pub mod scope;
pub mod source;
