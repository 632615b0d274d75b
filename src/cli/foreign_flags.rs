//! The options of xargs and GNU parallel, and their counterparts in prun: for messages to people who type
//! them, and for prun-migrating(7), which shows these tables.

mod flag;
mod parallel;
mod xargs;

pub use flag::Flag;
pub use parallel::PARALLEL;
pub use xargs::XARGS;

/// Returns what to do instead of `option`, if another tool has it.
pub fn advice(option: &str) -> Option<String> {
    let flags = XARGS.iter().chain(PARALLEL);
    let mut known = flags.filter(|flag| flag.spellings().any(|spelling| spelling == option));
    known.next().map(Flag::advice)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use clap::error::ErrorKind;

    use super::flag::end_of_name;
    use super::*;
    use crate::cli::args::exec::Exec;
    use crate::cli::usage;

    fn flags() -> impl Iterator<Item = &'static Flag> {
        XARGS.iter().chain(PARALLEL)
    }

    /// What is said to an option that `prun exec` does not have.
    fn refusal(option: &str) -> Option<String> {
        let mistake = Exec::try_parse_from(["prun exec", option]).err()?;
        let unknown = mistake.kind() == ErrorKind::UnknownArgument;
        unknown.then(|| usage::explain(&mistake, "prun exec"))
    }

    #[test]
    fn every_flag_is_known_or_refused_with_its_own_advice() {
        let mut wrong = Vec::new();
        for flag in flags() {
            for option in flag.spellings().filter(|spelling| spelling.starts_with('-')) {
                let own = format!("`{option}` is not an option of prun: {}", flag.advice());
                match refusal(option) {
                    Some(said) if said != own => wrong.push(said),
                    None if flag.ours.is_empty() => wrong.push(format!("{option} exists")),
                    _ => {}
                }
            }
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn no_advice_names_an_option_that_is_not_there() {
        let mut wrong = Vec::new();
        for flag in flags() {
            let texts = [flag.ours, flag.word].map(|text| text.split('`').skip(1).step_by(2));
            for code in texts.into_iter().flatten().filter(|code| code.starts_with('-')) {
                let option = if code.starts_with("--") { &code[..end_of_name(code)] } else { &code[..2] };
                wrong.extend(refusal(option));
            }
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn a_word_is_no_sentence() {
        for flag in flags() {
            assert!(
                !flag.word.ends_with('.') && !flag.word.starts_with(char::is_uppercase),
                "{}",
                flag.theirs
            );
            assert!(flag.head().len() < 70, "{} is more than a line of the manual", flag.theirs);
            assert!(!(flag.word.is_empty() && flag.ours.is_empty()), "{}", flag.theirs);
        }
    }
}
