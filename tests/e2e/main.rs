//! End-to-end tests: each drives the real `prun`, in a folder of its own. One file holds one feature; all of
//! them are one test program, so that they run side by side.
//!
//! The first group of modules is what tests are built from: [`space`] (the folder, and the check that nothing
//! survives it), [`running`] (one run of prun), [`meeting`] (a socket at which children report), [`tty`] (a
//! terminal).

mod harness;
mod meeting;
mod running;
mod space;
mod tty;

mod aborts;
mod accounting;
mod after;
mod batch;
mod brakes;
mod chains;
mod check;
mod closed;
mod columns;
mod config;
mod contain;
mod data;
mod dialogue;
mod duplex;
mod each;
mod each_command;
mod endless;
mod env;
mod exec;
mod exec_items;
mod exec_pipe;
mod exec_worker;
mod fifos;
mod files;
mod globs;
mod graph;
mod halt;
mod hooks;
mod hostile;
mod idioms;
mod interactive;
mod jobcontrol;
mod jobfiles;
mod jobserver;
mod journal;
mod journal_kills;
mod leftovers;
mod limits;
mod locks;
mod lost_marks;
mod one_file;
mod one_task;
mod output;
mod pipelines;
mod probes;
mod pty;
mod queues;
mod ready;
mod report;
mod report_journal;
mod results;
mod retries;
mod run_hooks;
mod services;
mod shortage;
mod starting;
mod status;
mod stop;
mod stop_scope;
mod survivors;
mod terminal;
mod time;
mod tree;
mod worker_ends;
mod workers;
