//! Wraps a command, so that any POSIX shell starts it with resource limits, a nice value, a umask and variables of its
//! own. Limits are set by prlimit(1), because the units and letters of `ulimit` differ from shell to shell.

use crate::plan::{Attributes, Limit};
use crate::run::launch::attributes::hard_value;

/// Returns the line. `variables` take precedence over those that the command inherits, if it inherits any.
pub fn wrapped(
    setup: &Attributes,
    variables: &[(String, Vec<u8>)],
    quote: fn(&[u8]) -> String,
    command: &str,
) -> String {
    let outer = outer(setup);
    // Assignments before another program than the command itself, and names that no shell takes, need env(1).
    let needs_env =
        !outer.is_empty() || setup.umask.is_some() || !variables.iter().all(|(name, _)| is_name(name));
    let env = match (setup.clear_env, variables.is_empty()) {
        (true, _) => "env -i ",
        (false, false) if needs_env => "env ",
        (false, _) => "",
    };
    let mut line = outer + env;
    for (name, value) in variables {
        let name = if is_name(name) { name.clone() } else { quote(name.as_bytes()) };
        line += &format!("{name}={} ", quote(value));
    }
    match setup.umask {
        Some(umask) => format!("(umask {umask:03o}; exec {line}{command})"),
        None => line + command,
    }
}

/// Returns the programs that stand before the command: nice(1) and prlimit(1).
fn outer(setup: &Attributes) -> String {
    let mut line = String::new();
    if setup.nice != 0 {
        line += &format!("nice -n {} ", setup.nice);
    }
    if !setup.limits.is_empty() {
        line += "prlimit ";
    }
    for &(limit, value) in &setup.limits {
        line += &match hard_value(limit, value) {
            hard if hard == value => format!("--{}={value} ", option(limit)),
            hard => format!("--{}={value}:{hard} ", option(limit)),
        };
    }
    line
}

/// True if shells take the name on the left of an assignment.
fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.bytes().next().is_some_and(letter) && name.bytes().all(|byte| letter(byte) || byte.is_ascii_digit())
}

/// Returns the option of prlimit(1) for a limit.
fn option(limit: Limit) -> &'static str {
    match limit {
        Limit::Cpu => "cpu",
        Limit::Memory => "as",
        Limit::Files => "nofile",
        Limit::Processes => "nproc",
        Limit::FileSize => "fsize",
        Limit::Core => "core",
        Limit::Stack => "stack",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::words::quote;

    fn line(setup: Attributes, variables: &[(&str, &str)]) -> String {
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
        wrapped(&setup, &variables, quote, "cmd x")
    }

    #[test]
    fn only_what_was_asked_for() {
        assert_eq!(line(Attributes::default(), &[]), "cmd x");
        assert_eq!(line(Attributes::default(), &[("A", "1"), ("B", "two 2")]), "A=1 B='two 2' cmd x");
        assert_eq!(line(Attributes { clear_env: true, ..Attributes::default() }, &[]), "env -i cmd x");
        assert_eq!(
            line(Attributes { nice: 5, ..Attributes::default() }, &[("A", "1")]),
            "nice -n 5 env A=1 cmd x"
        );
        assert_eq!(line(Attributes::default(), &[("A.B", "1")]), "env A.B=1 cmd x");
    }

    #[test]
    fn all_of_it() {
        let limits = vec![(Limit::Cpu, 2), (Limit::Memory, 1 << 20), (Limit::Core, 0)];
        let setup =
            Attributes { limits, nice: -5, umask: Some(0o22), clear_env: true, ..Attributes::default() };
        let wanted = "(umask 022; exec nice -n -5 prlimit --cpu=2:7 --as=1048576 --core=0 env -i A=1 cmd x)";
        assert_eq!(line(setup, &[("A", "1")]), wanted);
    }
}
