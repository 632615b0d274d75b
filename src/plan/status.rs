//! The outcome of a pipeline, and prun's own exit status. Pure. The manual has the same rules.
//!
//! Of the stages of a pipeline, judged from the right:
//!
//! 1. A stage is ok if its exit code is one of its `ok`; if a signal ended it, if `ok` has `"signal"`.
//! 2. A stage that SIGPIPE ended is excused if its reader is ok or was excused itself (`yes | cat | head -1`),
//!    or was stopped by prun. The last stage has no reader, unless it writes to a queue (then all jobs that read
//!    that must have ended, and none have failed) or the first one reads it (duplex). An exit code of 141 is no
//!    signal; only `ok` can excuse it.
//! 3. The pipeline fails as its last failing stage does; it is ok if none failed.
//!
//! The exit status, in the convention of timeout(1), env(1) and nice(1):
//!
//! 1. 0 if no task failed. A task that was cancelled or skipped did not fail. A job that was skipped because a daemon
//!    that it needs has ended without a failure counts as one that failed without an exit code, after all others.
//! 2. `count`: how many failed, up to 101. `any`: 1.
//! 3. `first`: of the first failure 124 for a timeout; 126 or 127 if it could not be executed, or was not
//!    found; 128+n for signal n; else its exit code, or 1 if that is an unwelcome 0.
//! 4. `xargs`: of the first failure 124 for a 255; 125 for a signal; 126 and 127 as above; 123 for any other.

use crate::event::{Exit, Outcome, SIGPIPE};
use crate::jobfile::values::{Outcomes, StatusMode};

/// Judges a pipeline by the exit of each stage (`None`: it was never started, or prun stopped it) and its `ok`.
/// `reader_is_fine`: the reader of the last stage's output excuses a SIGPIPE. Returns the outcome of each stage, and
/// of the whole.
pub fn pipeline(stages: &[(Option<Exit>, &Outcomes)], reader_is_fine: bool) -> (Vec<Outcome>, Outcome) {
    let mut outcomes = vec![Outcome::Ok; stages.len()];
    let mut whole = Outcome::Ok;
    let mut reader_is_fine = reader_is_fine;
    for (i, (exit, ok)) in stages.iter().enumerate().rev() {
        let excused = *exit == Some(Exit::Signal(SIGPIPE)) && reader_is_fine;
        let outcome = if excused { Outcome::Ok } else { judge(*exit, ok) };
        reader_is_fine = !outcome.is_failure();
        if !whole.is_failure() && outcome != Outcome::Ok {
            whole = outcome.clone();
        }
        outcomes[i] = outcome;
    }
    (outcomes, whole)
}

/// Judges one stage by itself.
pub fn judge(exit: Option<Exit>, ok: &Outcomes) -> Outcome {
    match exit {
        None => Outcome::Cancelled,
        Some(Exit::Code(code)) if ok.codes.contains(&code) => Outcome::Ok,
        Some(Exit::Code(code)) => Outcome::Failed(code),
        Some(Exit::Signal(_)) if ok.signal => Outcome::Ok,
        Some(Exit::Signal(signal)) => Outcome::Killed(signal),
    }
}

/// Returns prun's exit status. `first`: the first failure, in the order of the file and the items, or the one that
/// stopped the run.
pub fn exit_code(mode: StatusMode, first: Option<&Outcome>, failures: u64) -> u8 {
    let Some(first) = first.filter(|outcome| outcome.is_failure()) else { return 0 };
    match mode {
        StatusMode::Count => failures.clamp(1, 101) as u8,
        StatusMode::Any => 1,
        StatusMode::First => match first {
            Outcome::Timeout => 124,
            Outcome::NotStarted(failure) => failure.code,
            // The largest signal's number is 64.
            Outcome::Killed(signal) => 128_u8.saturating_add(u8::try_from(*signal).unwrap_or(u8::MAX)),
            Outcome::Failed(code) => (*code).max(1),
            Outcome::Fault(_) => 1,
            Outcome::Ok | Outcome::Cancelled | Outcome::Skipped => 0,
        },
        StatusMode::Xargs => match first {
            Outcome::Failed(255) => 124,
            Outcome::Killed(_) => 125,
            Outcome::NotStarted(failure) => failure.code,
            _ => 123,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::StartFailure;

    const PIPE: Exit = Exit::Signal(SIGPIPE);

    fn ok(codes: &[u8], signal: bool) -> Outcomes {
        Outcomes { codes: codes.to_vec(), timeout: false, signal }
    }

    fn whole(exits: &[Exit]) -> Outcome {
        let zero = ok(&[0], false);
        let stages: Vec<_> = exits.iter().map(|exit| (Some(*exit), &zero)).collect();
        pipeline(&stages, false).1
    }

    #[test]
    fn nine_status_vectors() {
        use Exit::{Code, Signal};
        for (exits, expected) in [
            // The first, middle, last stage exits 3.
            ([Code(3), Code(0), Code(0)], Outcome::Failed(3)),
            ([PIPE, Code(3), Code(0)], Outcome::Failed(3)),
            ([PIPE, PIPE, Code(3)], Outcome::Failed(3)),
            // … is killed.
            ([Signal(9), Code(0), Code(0)], Outcome::Killed(9)),
            ([PIPE, Signal(9), Code(0)], Outcome::Killed(9)),
            ([PIPE, PIPE, Signal(9)], Outcome::Killed(9)),
            // … closes its end early.
            ([Code(0), Code(0), Code(0)], Outcome::Ok),
            ([PIPE, Code(0), Code(0)], Outcome::Ok),
            ([PIPE, PIPE, Code(0)], Outcome::Ok),
        ] {
            assert_eq!(whole(&exits), expected, "{exits:?}");
        }
    }

    #[test]
    fn the_last_failing_stage_decides() {
        assert_eq!(whole(&[Exit::Code(3), Exit::Code(4), Exit::Code(0)]), Outcome::Failed(4));
        assert_eq!(whole(&[PIPE]), Outcome::Killed(SIGPIPE), "the last stage has no reader");
        assert_eq!(whole(&[Exit::Code(141), Exit::Code(0)]), Outcome::Failed(141));
    }

    #[test]
    fn stages_are_judged_by_their_own_ok() {
        let (zero, grep, any) = (ok(&[0], false), ok(&[0, 1], false), ok(&[0, 141], true));
        let (each, all) =
            pipeline(&[(Some(PIPE), &zero), (Some(Exit::Code(1)), &grep), (Some(PIPE), &any)], false);
        assert_eq!((each, all), (vec![Outcome::Ok; 3], Outcome::Ok));
        let (each, all) = pipeline(&[(Some(PIPE), &zero), (Some(Exit::Code(2)), &grep)], false);
        assert_eq!(each, [Outcome::Killed(SIGPIPE), Outcome::Failed(2)]);
        assert_eq!(all, Outcome::Failed(2));
    }

    #[test]
    fn what_was_stopped_hides_no_failure() {
        let zero = ok(&[0], false);
        let stages = [(Some(Exit::Code(3)), &zero), (None, &zero)];
        assert_eq!(pipeline(&stages, false).1, Outcome::Failed(3));
        assert_eq!(pipeline(&stages[1..], false).1, Outcome::Cancelled);
        assert_eq!(pipeline(&[(Some(PIPE), &zero), (None, &zero)], false).1, Outcome::Cancelled);
    }

    #[test]
    fn a_reader_behind_a_queue_excuses_the_last_stage_and_so_those_before() {
        let zero = ok(&[0], false);
        let stages = [(Some(PIPE), &zero), (Some(PIPE), &zero)];
        assert_eq!(pipeline(&stages, true).1, Outcome::Ok);
        assert_eq!(pipeline(&stages, false).1, Outcome::Killed(SIGPIPE));
    }

    #[test]
    fn exit_codes() {
        let missing = Outcome::NotStarted(Arc::new(StartFailure { code: 127, why: String::new() }));
        for (outcome, first, xargs) in [
            (Outcome::Failed(7), 7, 123),
            (Outcome::Failed(125), 125, 123),
            (Outcome::Failed(255), 255, 124),
            (Outcome::Failed(0), 1, 123),
            (Outcome::Killed(9), 137, 125),
            (Outcome::Timeout, 124, 123),
            (missing, 127, 127),
        ] {
            assert_eq!(exit_code(StatusMode::First, Some(&outcome), 3), first, "{outcome:?}");
            assert_eq!(exit_code(StatusMode::Xargs, Some(&outcome), 3), xargs, "{outcome:?}");
            assert_eq!(exit_code(StatusMode::Any, Some(&outcome), 3), 1);
            assert_eq!(exit_code(StatusMode::Count, Some(&outcome), 3), 3);
        }
        assert_eq!(exit_code(StatusMode::Count, Some(&Outcome::Timeout), 1000), 101);
        for harmless in [None, Some(&Outcome::Cancelled), Some(&Outcome::Skipped), Some(&Outcome::Ok)] {
            assert_eq!(exit_code(StatusMode::Count, harmless, 0), 0);
        }
    }
}
