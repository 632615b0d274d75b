use super::Context::{self, *};
use super::contexts;

/// The contexts of every `@` in a script.
fn at_signs(script: &str) -> Vec<Context> {
    let holes: Vec<_> = script.match_indices('@').map(|(at, _)| at..at + 1).collect();
    let found = contexts(script.as_bytes(), &holes);
    assert_eq!(found.len(), holes.len(), "{script}");
    found
}

#[test]
fn quotes() {
    for (script, expected) in [
        ("@ '@' \"@\" @", vec![Bare, Single, Double, Bare]),
        (r#"a\'@ "\"@" '\'@"#, vec![Bare, Double, Bare]),
        (r#""$(echo @ "@" '@')@" @"#, vec![Bare, Double, Single, Double, Bare]),
        (r#""`echo @ \` "@"`@""#, vec![Backquotes, Backquotes, Double]),
        (r"$'@\'@' @", vec![AnsiQuotes, AnsiQuotes, Bare]),
        (r#""$'@'" $"@" $$@ $#@"#, vec![Double, Double, Bare, Bare]),
        (r#"${x:-@} "${x:-@}" "${x%'.@'}" @"#, vec![Expansion, Expansion, Expansion, Bare]),
        (r#""${x:-it's}" '@' "${x#'}'}""#, vec![Unclear]),
        (r#"${x#'}'@} ${x:-"@"} "${x:-$(echo @)}""#, vec![Expansion, Expansion, Bare]),
        (r#"\@ "\@" \\@ '\@' $@"#, vec![AfterBackslash, AfterBackslash, Bare, Single, AfterDollar]),
        ("a\\\n@ 'a\n@' \"a\n@\"", vec![Bare, Single, Double]),
    ] {
        assert_eq!(at_signs(script), expected, "{script}");
    }
}

#[test]
fn comments() {
    for (script, expected) in [
        ("# '@\n@ #\"@\n@", vec![Comment, Bare, Comment, Bare]),
        ("a#@ $#@ ${#x}@ \\#@", vec![Bare, Bare, Bare, Bare]),
        ("a;#@\n(#@\n@)", vec![Comment, Comment, Bare]),
        ("$(true #)'@\n@)@", vec![Comment, Bare, Bare]),
    ] {
        assert_eq!(at_signs(script), expected, "{script}");
    }
}

#[test]
fn here_documents() {
    for (script, expected) in [
        ("cat <<E @\n@'\nE\n@", vec![Bare, HereDocument, Bare]),
        ("cat <<-E\n\t@\n\tE\n@", vec![HereDocument, Bare]),
        ("cat <<E\n\tE\n@\nE\n@", vec![HereDocument, Bare]),
        ("cat <<'E F' <<\\G\n@\nE F\n@\nG\n@", vec![HereDocument, HereDocument, Bare]),
        ("x=$(cat <<E\n@ )\nE\n)@", vec![HereDocument, Bare]),
        ("cat <<E\n\\\nE\n@\nE\n@", vec![HereDocument, Bare]),
        ("cat <<'E'\n\\\nE\n@", vec![Bare]),
        ("cat <<@\n", vec![HereDocument]),
        ("cat <<<@\n@", vec![Bare, Bare]),
        ("cat <<E \"\n@\"\n@\nE\n@", vec![Double, HereDocument, Bare]),
    ] {
        assert_eq!(at_signs(script), expected, "{script:?}");
    }
}

#[test]
fn groups_and_patterns() {
    for (script, expected) in [
        ("\"$(case @ in a) echo @;; (b|'c') echo @ ;; esac)@\"", vec![Bare, Bare, Bare, Double]),
        ("\"$(case in in in) ;; esac; echo case @ in)@\"", vec![Bare, Double]),
        ("\"$(if true; then case a in a) echo esac;; esac fi)@\"", vec![Double]),
        ("\"$(case x in @(a|b)) echo;;& *) ;; esac)@\"", vec![Bare, Double]),
        ("\"$(f() { case x in x) ;; esac; }; (a; b))@\"", vec![Double]),
        ("\"$(case a in\n  a) case b in b) ;; esac ;;\n  *)\n ;;\nesac\n)@\"", vec![Double]),
        ("a=(1 2) @ <(echo @) @", vec![Bare, Bare, Bare]),
        ("true ) '@' \"", vec![Unclear]),
    ] {
        assert_eq!(at_signs(script), expected, "{script}");
    }
}

#[test]
fn arithmetic() {
    for (script, expected) in [
        ("$((@ + (1) << 2))@\n@", vec![Arithmetic, Bare, Bare]),
        ("\"$((@))@\"", vec![Arithmetic, Double]),
        ("$((echo @); (echo @))@", vec![Bare, Bare, Bare]),
        ("((x << @)); @", vec![Arithmetic, Bare]),
        ("$[@]@", vec![Arithmetic, Bare]),
        ("\"${x:$((@))}@\"", vec![Expansion, Double]),
    ] {
        assert_eq!(at_signs(script), expected, "{script}");
    }
}

#[test]
fn whatever_is_cut_short_is_read_to_its_end() {
    let script = "x=\"$(case a in a) cat <<-'E' ${b:-$'c'} `d` $((1)) # f\n\tE\n;; esac)\" (\\ ";
    for end in 0..=script.len() {
        assert_eq!(at_signs(&format!("{}@", &script[..end])).len(), 1);
    }
}
