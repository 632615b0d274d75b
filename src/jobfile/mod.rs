//! TOML text → [`JobFile`]. Pure.
pub mod values;
