//! prun starts processes, feeds them, connects them, limits them, watches them, and tells the truth about
//! how they ended. This page is the map; `docs/design.md` has the reasons, and the way of one task file by file.
//!
//! # The way of one task
//!
//! ```text
//! job file ── jobfile ──┐                                                   ┌─ run::backend ── os::start ── child
//!                       ├─ plan::Plan ─ sched::Supervisor ─ run::event_loop ─┤
//! command line ── cli ──┘                    ▲      │          │             └─ os::poller, pipes, signals
//!                                      Event └──────┘ Action   └─ flow (bytes) ─ run::output ─ fd 1, fd 2
//! ```
//!
//! 1. [`jobfile`] reads TOML text into a `JobFile`; every mistake is reported at once, with its place.
//! 2. [`plan`] turns a job file, or the arguments of `prun exec`, into a [`plan::Plan`]: jobs, how they are
//!    wired, their items (lazy), and templates for what differs from task to task.
//! 3. [`sched`] decides. `Supervisor::handle(now, Event, &mut actions)` is a pure function over its state:
//!    no process, no file, no clock.
//! 4. [`run`] does. One thread waits for the kernel, turns what happened into events, and does the actions. Its map is
//!    in [`run`]'s documentation: a room for each thing that it owns.
//! 5. [`flow`] says which bytes go where and in which order: records, grouping, order, tags.
//! 6. [`os`] is the only place that speaks to the kernel with `unsafe`.
//! 7. [`event`] is what happened, for people and programs; [`ui`] puts it into words and bars; [`journal`] keeps
//!    what has finished, and knows it again in the next run.
//! 8. [`cli`] is clap's definitions and the way from them to a plan.
//!
//! # Arrows
//!
//! `jobfile`, `plan`, `sched`, `flow` and `event` are pure. Modules use each other in one direction only,
//! and `tests/layers.rs` fails on any other `use crate::…`:
//!
//! | module | uses |
//! |---|---|
//! | `jobfile`, `event`, `os` | nothing of the others |
//! | `flow` | `event` |
//! | `plan` | `jobfile`, `event` |
//! | `sched` | `plan`, `event` |
//! | `ui` | `event` |
//! | `journal` | `os`, `event` |
//! | `run` | `plan`, `sched`, `flow`, `os`, `journal`, `event` |
//! | `cli` | all |

#![deny(unsafe_code)]
// The documentation is for contributors, who read it with private items.
#![allow(rustdoc::private_intra_doc_links)]

pub mod cli;
pub mod event;
pub mod flow;
pub mod jobfile;
pub mod journal;
pub mod os;
pub mod plan;
pub mod run;
pub mod sched;
pub mod ui;
