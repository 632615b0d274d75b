//! GNU parallel's placeholders that are Perl expressions, which prun refuses.

use super::args::{ExecArgs, ExecError, error};

/// Refuses `{= … =}`. Taken literally, `mv {} '{= s/x/y/ =}'` would move all files onto one.
pub fn check(args: &ExecArgs) -> Result<(), ExecError> {
    // GNU parallel searches the whole line, so that `echo {= s/x/y/ =}` needs no quotes there.
    if args.replace.is_none() && has_perl(&args.command.join(&b' ')) {
        return error(
            "`{= ... =}` is Perl for GNU parallel, and prun has none",
            "use `-c` and what the shell makes of `$1`, or `-I STR`, which leaves all braces alone",
        );
    }
    Ok(())
}

fn has_perl(line: &[u8]) -> bool {
    let find = |text: &[u8], mark: &[u8]| text.windows(mark.len()).position(|part| part == mark);
    find(line, b"{=").is_some_and(|begin| {
        let is_placeholder = begin == 0 || !b"${%".contains(&line[begin - 1]);
        is_placeholder && find(&line[begin + 2..], b"=}").is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perl_has_a_beginning_and_an_end() {
        for word in ["{= s/a/b/ =}", "mv {} {= $_ =} x", "x{=$_++=}y", "{=1 uc() =}"] {
            assert!(has_perl(word.as_bytes()), "{word}");
        }
        for word in ["{{= x =}}", "${=x}=}", "{=", "=}{=", "{a==}", "%{= =}", ""] {
            assert!(!has_perl(word.as_bytes()), "{word}");
        }
    }
}
