//! What is told of ended tasks.

pub mod cause_of_death;
pub mod ledger;
pub mod results_table;
pub mod resume;
