//! Limits on starts beside the pool, and sharing the pool's slots. Pure.

use std::path::PathBuf;

use super::{JobserverStyle, Rate};

/// Limits on starts, beside the size of the pool.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Throttle {
    /// The file (absolute) that holds the pool's size, and is read again when it changes.
    pub pool_file: Option<PathBuf>,
    /// Starts of the whole run; every attempt counts.
    pub rate: Option<Rate>,
    /// Nothing new starts unless the load average is below this.
    pub load: Option<f64>,
    /// Nothing new starts while fewer bytes are free. Below half of it the youngest task is stopped and put back.
    pub memory_free: Option<u64>,
}

/// With whom the run shares its slots, by make's jobserver protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Jobserver {
    /// With nobody.
    #[default]
    None,
    /// With the program that started prun: each slot but the first is asked for.
    Client,
    /// With programs that tasks start.
    Server {
        /// True if they find the jobserver by the path of a FIFO, false if by descriptors.
        fifo: bool,
    },
}

impl Jobserver {
    /// Returns the part that prun plays. `offered`: prun was given a jobserver, and needs none of its own.
    pub fn new(style: JobserverStyle, offered: bool) -> Jobserver {
        match style {
            _ if offered => Jobserver::Client,
            JobserverStyle::Off => Jobserver::None,
            JobserverStyle::Pipe => Jobserver::Server { fifo: false },
            JobserverStyle::Fifo => Jobserver::Server { fifo: true },
        }
    }
}
