//! The real binary, end to end; one file a feature. One program, so that all of them run side by side.

mod harness;
mod meeting;
mod running;
mod space;

mod after;
mod chains;
mod data;
mod dialogue;
mod duplex;
mod exec;
mod exec_pipe;
mod exec_worker;
mod files;
mod halt;
mod hooks;
mod hostile;
mod idioms;
mod jobfiles;
mod journal;
mod journal_kills;
mod output;
mod pipelines;
mod pty;
mod queues;
mod report;
mod report_journal;
mod retries;
mod starting;
mod status;
mod stop;
mod terminal;
mod time;
mod worker_ends;
mod workers;
