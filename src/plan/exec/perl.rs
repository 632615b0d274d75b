//! GNU parallel's placeholders that are Perl.

use super::{ExecArgs, ExecError, error};

/// Left as it is, `mv {} '{= s/x/y/ =}'` would move all files onto one.
pub fn check(args: &ExecArgs) -> Result<(), ExecError> {
    if args.replace.is_none() && args.command.iter().any(|word| has_perl(word)) {
        return error(
            "`{= ... =}` is Perl for GNU parallel, and prun has none",
            "use `-c` and what the shell makes of `$1`, or `-I STR`, which leaves all braces alone",
        );
    }
    Ok(())
}

fn has_perl(word: &[u8]) -> bool {
    let find = |text: &[u8], mark: &[u8]| text.windows(mark.len()).position(|part| part == mark);
    find(word, b"{=").is_some_and(|begin| {
        let bare = begin == 0 || !b"${%".contains(&word[begin - 1]);
        bare && find(&word[begin + 2..], b"=}").is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perl_has_a_beginning_and_an_end() {
        for word in ["{= s/a/b/ =}", "x{=$_++=}y", "{=1 uc() =}"] {
            assert!(has_perl(word.as_bytes()), "{word}");
        }
        for word in ["{{= x =}}", "${=x}=}", "{=", "=}{=", "{a==}", "%{= =}", ""] {
            assert!(!has_perl(word.as_bytes()), "{word}");
        }
    }
}
