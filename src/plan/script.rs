//! The text of a script: each placeholder is quoted for its context, so that the shell reads exactly the value. Pure.
//!
//! This protects the first reading only. Text that the script passes to another shell (`eval`, `sh -c '… {} …'`)
//! is code there; `$1` is the way to pass a value.

use super::lock_variable;
use super::template::grammar::{Fill, Hole, holes, replacements};
use super::template::{Modifier, Names, Parse, Quote, Source, Template, TextError};

mod context;

use context::{Context, contexts};

/// The shell that runs scripts, without `shell`.
pub const DEFAULT_SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// The text of a script whose placeholders are quoted for their contexts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptText(pub Template);

impl ScriptText {
    /// Parses a text for a POSIX shell.
    ///
    /// # Errors
    /// A placeholder in a context in which no quoting is safe.
    pub fn parse(text: &[u8], names: &Names) -> Result<ScriptText, TextError> {
        let script = quoted(text, holes(text, names)?, names.columns)?;
        let parse: Parse = |text, names| Ok(ScriptText::parse(text, names)?.0);
        Ok(ScriptText(script.0.until_named(text, names, parse)))
    }

    /// Parses a text in which `replace` stands for the item, and braces mean nothing: `-I`.
    ///
    /// # Errors
    /// As [`ScriptText::parse`].
    pub fn parse_replace(text: &[u8], replace: &[u8]) -> Result<ScriptText, TextError> {
        quoted(text, replacements(text, replace), &[])
    }

    /// Returns a text for another interpreter, in which nothing is replaced.
    pub fn literal(text: &[u8]) -> ScriptText {
        ScriptText(Template::literal(text))
    }
}

/// True if the shell is one whose quoting is known.
pub fn is_posix(shell: &str) -> bool {
    let name = shell.rsplit('/').next().unwrap_or(shell);
    matches!(name, "sh" | "ash" | "bash" | "dash" | "ksh" | "mksh" | "zsh")
}

/// Makes a template of a text and its placeholders, each quoted for its context.
fn quoted(text: &[u8], found: Vec<Hole>, columns: &[String]) -> Result<ScriptText, TextError> {
    let ranges: Vec<_> = found.iter().map(|hole| hole.range.clone()).collect();
    let mut placed = Vec::with_capacity(found.len());
    for (hole, context) in found.into_iter().zip(contexts(text, &ranges)) {
        let unsure = matches!(hole.fill, Fill::PerTask { unsure: true, .. });
        let quote = match context {
            // Probably a word of prose in braces, and no reason to refuse the script.
            Context::Comment if unsure => continue,
            Context::Bare => Quote::Bare,
            Context::Single => Quote::Single,
            Context::Double => Quote::Double,
            unquotable => return Err(misplaced(text, &hole, unquotable, columns)),
        };
        if let (Fill::Args([_, _, ..]), Quote::Single | Quote::Double) = (&hole.fill, quote) {
            return Err(TextError {
                range: hole.range,
                message: "`{args}` is several words, but stands within quotes".to_owned(),
                help: Some("take it out of the quotes; `set -- {args}` makes it `\"$@\"`".to_owned()),
            });
        }
        placed.push((hole, quote));
    }
    Ok(ScriptText(Template::assemble(text, placed.into_iter())))
}

/// Returns the mistake of a placeholder in a context in which it can't be quoted.
fn misplaced(text: &[u8], hole: &Hole, context: Context, columns: &[String]) -> TextError {
    let place = match context {
        Context::Comment => "stands in a comment",
        Context::HereDocument => "stands in a here-document",
        Context::Backquotes => "stands within backquotes",
        Context::AnsiQuotes => "stands within `$'…'`",
        Context::Arithmetic => "stands in arithmetic",
        Context::Expansion => "stands within `${…}`",
        Context::AfterBackslash => "comes right after a backslash",
        Context::AfterDollar => "comes right after a `$`",
        Context::Unclear => "stands in a script that is not closed properly, or that shells read differently",
        Context::Bare | Context::Single | Context::Double => unreachable!("these can be quoted"),
    };
    let spelling = String::from_utf8_lossy(&text[hole.range.clone()]).into_owned();
    let help = match (positional(&hole.fill, columns), context) {
        (_, Context::Comment) => "take it out of the comment".to_owned(),
        (Some(parameter), _) => format!("use `{parameter}` instead"),
        (None, _) => format!("put it into a variable first, `v={spelling}`, and use `$v` here"),
    };
    TextError {
        range: hole.range.clone(),
        message: format!("`{spelling}` {place}, where it can't be quoted"),
        help: Some(help),
    }
}

/// Returns the parameter or variable of the shell that has the same value.
fn positional(fill: &Fill, columns: &[String]) -> Option<String> {
    let Fill::PerTask { source, modifier: Modifier::None, .. } = fill else { return None };
    match source {
        Source::Item if columns.len() > 1 => Some("$*".to_owned()),
        Source::Item => Some("$1".to_owned()),
        Source::Column(n) if (1..10).contains(n) => Some(format!("${n}")),
        Source::Column(n) if *n > 0 => Some(format!("${{{n}}}")),
        Source::Column(_) | Source::Tree => None,
        Source::Named(name) => columns.iter().position(|column| column == name).map(|i| match i + 1 {
            n @ 1..10 => format!("${n}"),
            n => format!("${{{n}}}"),
        }),
        Source::Seq => Some("$PRUN_SEQ".to_owned()),
        Source::Slot => Some("$PRUN_SLOT".to_owned()),
        Source::Lock(name) => Some(format!("${}", lock_variable(name))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn parse(text: &str, columns: &[&str], open: bool) -> Result<ScriptText, TextError> {
        let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        let vars = BTreeMap::from([("who".to_owned(), "it's".to_owned())]);
        let args = [b"a b".to_vec(), b"c".to_vec()];
        let names = Names {
            items: true,
            columns: &columns,
            vars: &vars,
            args: Some(&args),
            open,
            ..Names::default()
        };
        ScriptText::parse(text.as_bytes(), &names)
    }

    fn refusal(text: &str) -> (String, String) {
        let error = parse(text, &["url", "file"], false).expect_err(text);
        assert!(text[error.range.clone()].starts_with('{'), "{text}: {:?}", error.range);
        (error.message, error.help.unwrap())
    }

    #[test]
    fn values_known_now_are_quoted_too() {
        let text = parse(r#"echo {who} '{who}' "{who}" {args}"#, &[], false).unwrap();
        assert_eq!(text.0, Template::literal(br#"echo 'it'\''s' 'it'\''s' "it's" 'a b' 'c'"#));
    }

    #[test]
    fn refusals_name_the_parameter() {
        for (text, place, help) in [
            ("cat <<E\n{}\nE", "stands in a here-document", "use `$*` instead"),
            ("cat <<E\n{file}\nE", "stands in a here-document", "use `$2` instead"),
            ("cat <<E\n{11}\nE", "stands in a here-document", "use `${11}` instead"),
            ("x=`echo {1}`", "stands within backquotes", "use `$1` instead"),
            ("echo $'{#}'", "stands within `$'…'`", "use `$PRUN_SEQ` instead"),
            ("echo $((1 + {%}))", "stands in arithmetic", "use `$PRUN_SLOT` instead"),
            ("echo ${x:-{url}}", "stands within `${…}`", "use `$1` instead"),
            ("x=`echo {/.}`", "backquotes", "put it into a variable first, `v={/.}`, and use `$v` here"),
            ("true # {}", "stands in a comment", "take it out of the comment"),
            (r"echo \{}", "comes right after a backslash", "use `$*` instead"),
            (
                "true ) {1}",
                "stands in a script that is not closed properly, or that shells read differently",
                "use `$1` instead",
            ),
        ] {
            let (message, hint) = refusal(text);
            assert!(message.contains(place), "{text}: {message}");
            assert_eq!(hint, help, "{text}");
        }
    }

    #[test]
    fn several_words_within_quotes_are_refused() {
        assert!(refusal(r#"echo "{args}""#).0.contains("several words"));
    }

    #[test]
    fn comments_may_hold_other_words_in_braces() {
        for text in ["true # {\"a\": {\"b\": 1}} ${x} {{.Name}}", "true # see {print}"] {
            let scope = crate::plan::template::Scope::default();
            assert_eq!(parse(text, &[], true).unwrap().0.rendered(&scope), text.as_bytes(), "{text}");
        }
        assert!(parse("cat <<E\n{print}\nE", &[], true).is_err(), "it may be a column");
    }

    #[test]
    fn replacement_string() {
        let text = ScriptText::parse_replace(b"echo X {} 'X'", b"X").unwrap();
        let quotes: Vec<_> = text.0.placeholders().map(|place| place.quote).collect();
        assert_eq!(quotes, [Quote::Bare, Quote::Single]);
        let error = ScriptText::parse_replace(b"echo $X", b"X").unwrap_err();
        assert!(error.message.contains("right after a `$`"), "{}", error.message);
    }
}
