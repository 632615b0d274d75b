//! What holds starts back.

pub mod gauges;
pub mod jobserver;
