//! The options of xargs and GNU parallel, and their counterparts in prun: for messages to people who type
//! them, and for prun-migrating(7), which shows these tables.

mod parallel;
mod xargs;

pub use parallel::PARALLEL;
pub use xargs::XARGS;

/// An option of another tool, with all its spellings.
pub struct Flag {
    /// The option as its own manual spells it: `-n N, --max-args=N`.
    pub theirs: &'static str,
    /// The option of prun, with backquotes; empty if there is none.
    pub ours: &'static str,
    /// The difference, or what to do instead; empty if nothing differs. Without a capital at its beginning
    /// and a full stop at its end.
    pub word: &'static str,
}

const fn flag(theirs: &'static str, ours: &'static str, word: &'static str) -> Flag {
    Flag { theirs, ours, word }
}

impl Flag {
    /// Returns the names: `-n`, `--max-args`.
    pub fn spellings(&self) -> impl Iterator<Item = &'static str> {
        self.theirs.split(", ").map(|spelling| &spelling[..end_of_name(spelling)])
    }

    /// Returns what to do instead of typing it.
    fn advice(&self) -> String {
        match (self.ours, self.word) {
            ("", word) => word.to_owned(),
            (ours, "") => format!("use {ours}"),
            (ours, word) => format!("use {ours}; {word}"),
        }
    }

    /// Returns the head of its entry in the manual, with backquotes around names.
    pub fn head(&self) -> String {
        let marked = self.theirs.split(", ").map(|spelling| {
            let (name, rest) = spelling.split_at(end_of_name(spelling));
            format!("`{name}`{rest}")
        });
        marked.collect::<Vec<_>>().join(", ")
    }

    /// Returns the text of its entry in the manual.
    pub fn text(&self) -> String {
        match (self.ours, self.word) {
            ("", word) => format!("None: {word}."),
            (ours, "") if self.spellings().any(|spelling| names(ours, spelling)) => "The same.".to_owned(),
            (ours, "") => format!("{ours}."),
            (ours, word) => format!("{ours}: {word}."),
        }
    }
}

/// True if prun's option has this name.
fn names(ours: &str, spelling: &str) -> bool {
    let ours = ours.trim_matches('`');
    &ours[..end_of_name(ours)] == spelling
}

fn end_of_name(spelling: &str) -> usize {
    spelling.find([' ', '=', '[']).unwrap_or(spelling.len())
}

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
