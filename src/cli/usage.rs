//! Mistakes on the command line, in prun's own words.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::foreign_flags;

/// Returns the message for a mistake, without `prun: `: what is wrong with which argument, and what to do.
pub fn explain(mistake: &clap::Error, command: &str) -> String {
    let get = |kind| match mistake.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        Some(ContextValue::Strings(texts)) => texts.first().map(String::as_str),
        _ => None,
    };
    let option = bare(get(ContextKind::InvalidArg).unwrap_or_default());
    let value = get(ContextKind::InvalidValue).unwrap_or_default();
    let help = format!("`{command} --help` lists all options");
    match mistake.kind() {
        ErrorKind::UnknownArgument => {
            // Options of xargs are expected only where commands are run.
            let runs = matches!(command, "prun" | "prun run" | "prun exec");
            let advice = foreign_flags::advice(option).filter(|_| runs);
            unknown(option, advice.as_deref(), get(ContextKind::SuggestedArg), &help)
        }
        ErrorKind::InvalidValue if value.is_empty() => format!("`{option}` needs a value; {help}"),
        ErrorKind::InvalidValue => {
            let near = get(ContextKind::SuggestedValue);
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            format!("{}: expected {}{near}", given(option, value), alternatives(mistake))
        }
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(mistake).map(ToString::to_string).unwrap_or_default();
            format!("{}: {why}", given(option, value))
        }
        ErrorKind::ArgumentConflict => {
            let prior = bare(get(ContextKind::PriorArg).unwrap_or_default());
            format!("`{option}` and `{prior}` exclude each other; {help}")
        }
        ErrorKind::TooManyValues => format!("`{option}` takes no value, but was given `{value}`; {help}"),
        ErrorKind::NoEquals => format!("the value of `{option}` is joined by `=`: `{option}=VALUE`"),
        ErrorKind::MissingRequiredArgument => format!("`{option}` is missing; {help}"),
        ErrorKind::InvalidUtf8 => "an option's value is not UTF-8".into(),
        _ => format!("{}; {help}", mistake.kind()),
    }
}

/// Returns the name of an argument as clap shows it: `--jobs` of `--jobs <N>`, `--tag` of
/// `--tag[=<TEMPLATE>]`, `SHELL` of `<SHELL>`.
fn bare(name: &str) -> &str {
    let name = name.trim_start_matches(['<', '[']);
    let end = name.find([' ', '=', '[', '>', ']', '.']).unwrap_or(name.len());
    &name[..end]
}

/// Returns an option with its value, or the value of an operand.
fn given(option: &str, value: &str) -> String {
    if option.starts_with('-') { format!("`{option} {value}`") } else { format!("`{value}`") }
}

fn unknown(option: &str, advice: Option<&str>, near: Option<&str>, help: &str) -> String {
    if let Some(instead) = advice {
        return format!("`{option}` is not an option of prun: {instead}");
    }
    if !option.starts_with('-') {
        return format!("unexpected argument `{option}`; {help}");
    }
    match near {
        Some(near) => format!("unknown option `{option}`; did you mean `{near}`?"),
        None => format!("unknown option `{option}`; {help}"),
    }
}

/// Returns the possible values: "`a`, `b` or `c`".
fn alternatives(mistake: &clap::Error) -> String {
    let Some(ContextValue::Strings(words)) = mistake.get(ContextKind::ValidValue) else {
        return "another value".into();
    };
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
