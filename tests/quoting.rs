//! Quoting, tried on real shells: an item in a script is data, whatever bytes it holds, and a command that
//! prun shows can be pasted and run again.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::prelude::*;

use prun::plan::script::ScriptText;
use prun::plan::template::{Names, Scope};
use prun::plan::words;
use prun::plan::{self, Item};

const HOSTILE: [&[u8]; 27] = [
    b"",
    b"-n",
    b"--",
    b"a b",
    b" ",
    b"two\nlines\n",
    b"$(touch PWN)",
    b"`touch PWN`",
    b"; touch PWN;",
    b"'; touch PWN; '",
    b"'$(touch PWN)'",
    b"\"; touch PWN; \"",
    b"\"$(touch PWN)\"",
    b"\\",
    b"\\'; touch PWN; \\'",
    b"\\\"; touch PWN; \\\"",
    b"\\$(touch PWN)",
    b"\ntouch PWN\n",
    b"EOF\ntouch PWN\nEOF",
    b")\ntouch PWN",
    b"$HOME $1 ${x} $((1)) ~ * ?",
    b"!! !x ^a^b",
    b"{} {1} {#} {{}}",
    b"%s\\n%d",
    b"2",
    b"done",
    b"\x81\xff\xfe\x1b[31m\x07",
];

/// Scripts that print their item and a NUL, in every context in which a placeholder is allowed, beside syntax
/// that could confuse the parser.
const SCRIPTS: [&str; 22] = [
    r#"printf '%s\0' {}"#,
    r#"printf '%s\0' '{}'"#,
    r#"printf '%s\0' "{}""#,
    r#"x={}; printf '%s\0' "$x""#,
    r#"x="{}"; printf '%s\0' "$x""#,
    r#"printf '%s\0' ''{}''"" # it's "#,
    "# it's \"\nprintf '%s\\0' {}",
    "cat >/dev/null <<EOF\nit's \" \\$(true \\\nEOF\nEOF\nprintf '%s\\0' {}",
    "cat >/dev/null <<-'E F'; printf '%s\\0' \"{}\"\n\t'\n\tE F\n",
    "cat <<A <<B >/dev/null\n'\nA\n\"\nB\nprintf '%s\\0' '{}'",
    r#"x=$(printf '%s.' {}); printf '%s\0' "${x%.}""#,
    r#"x="$(printf '%s.' "{}")"; printf '%s\0' "${x%'.'}""#,
    r#"x="$(printf '%s.' '{}')" # ' "
printf '%s\0' "${x%.}""#,
    r#"x="$(case {} in ({}) printf '%s.' "{}";; a|'b') ;; esac)"; printf '%s\0' "${x%.}""#,
    "x=$(\n case a in\n  b) true ;;\n  *) printf '%s.' {} ;;\n esac\n)\nprintf '%s\\0' \"${x%.}\"",
    r#"f() { printf '%s\0' "$1"; }; f {} "#,
    r#"(: '(' ; printf '%s\0' "{}")"#,
    r#": $((1 + (2 << 1))) ; printf '%s\0' {}"#,
    r#"y=${z:-"it's"}; printf '%s\0' "{}""#,
    r#"y="${z:-'its'}"; printf '%s\0' '{}'"#,
    r#": `echo "it's" \`true\`` "`echo '"'`"; printf '%s\0' {}"#,
    r#"if true; then { printf '%s\0' \
{} ; } ; fi 2>/dev/null; : '{}{}' "{1}{}" $# $$ "$#" \' \" \$"#,
];

/// Fragments of scripts that matter to quoting; random scripts are made of them.
const PARTS: [&str; 40] = [
    " ",
    "\n",
    "'",
    "\"",
    "\\",
    "`",
    "$(",
    "(",
    ")",
    "${x:-",
    "${x#",
    "}",
    "$",
    "#",
    ";",
    "|",
    "<<E",
    "<<-E",
    "<<'E'",
    "\nE\n",
    "\n\tE\n",
    "case a in ",
    "a) ",
    "(b) ",
    ";;",
    " esac",
    "$((",
    "((",
    "))",
    "$'",
    "$\"",
    "$[",
    "]",
    "echo ",
    "x=",
    "{ ",
    "then ",
    "a",
    "1",
    "<<<",
];

/// Items that leave a file, PWN, if any part of them is run.
const RUNNABLE: [&str; 12] = [
    "$(: >PWN)",
    "'$(: >PWN)",
    "\"$(: >PWN)",
    "`: >PWN`",
    "; : >PWN;",
    "'; : >PWN; '",
    "\"; : >PWN; \"",
    "\n: >PWN\n",
    "\nE\n: >PWN\n",
    "\\$(: >PWN)",
    ") : >PWN;",
    "'\"`$(: >PWN)",
];

/// Returns the POSIX shells of this machine, each under one name.
fn shells() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["sh", "bash", "dash", "zsh", "ksh", "mksh"];
    let find = |name: &str| std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.exists());
    let mut shells: Vec<PathBuf> = names.iter().filter_map(|name| find(name)).collect();
    let real = |shell: &PathBuf| shell.canonicalize().unwrap_or_default();
    shells.sort_by_key(real);
    shells.dedup_by_key(|shell| real(shell));
    shells
}

/// Returns the command that runs `script` for an item; `None` if the script is refused.
fn command(shell: &Path, script: &str, item: &[u8], folder: &Path) -> Option<Command> {
    let vars = BTreeMap::new();
    let names = Names {
        items: true,
        columns: &[],
        locks: &[],
        untaken: &[],
        width: None,
        one_item: true,
        vars: &vars,
        args: None,
        open: false,
    };
    let text = ScriptText::parse(script.as_bytes(), &names).ok()?;
    let what = plan::Command::Script {
        shell: vec![shell.display().to_string(), "-c".to_owned()],
        text,
        posix: true,
        parameters: true,
    };
    let items = [Item::new(vec![item.to_vec()])];
    let scope = Scope { items: &items, names: &[], seq: 1, slot: 1, ..Scope::default() };
    let mut argv = Vec::new();
    what.for_each_arg("job", &scope, &mut Vec::new(), &mut |word| {
        argv.push(OsStr::from_bytes(word).to_owned())
    });
    let mut command = Command::new(&argv[0]);
    command.args(&argv[1..]).current_dir(folder).stdin(Stdio::null());
    Some(command)
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().expect("the shell is there");
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {complaints}");
    output.stdout
}

fn check(shell: &Path, script: &str, item: &[u8], folder: &Path) {
    let printed = output(&mut command(shell, script, item, folder).expect(script));
    let expected = [item, b"\0"].concat();
    let shown = String::from_utf8_lossy(item);
    assert!(
        printed == expected,
        "{shell:?}: {script}\nfor: {shown:?}\ngave: {:?}",
        String::from_utf8_lossy(&printed)
    );
    assert!(!folder.join("PWN").exists(), "{shell:?}: {script}\nran {shown:?}");
}

#[test]
fn hostile_items_are_data_in_every_context() {
    let folder = tempfile::tempdir().expect("a folder");
    for shell in shells() {
        for script in SCRIPTS {
            for item in HOSTILE {
                check(&shell, script, item, folder.path());
            }
        }
    }
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    let special = prop::sample::select(&b"'\"\\$`(){};&|<>*?[]~#!^= \t\n-%"[..]);
    prop::collection::vec(prop_oneof![3 => special, 1 => 1_u8..], 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_item_is_data(item in bytes(30), script in prop::sample::select(&SCRIPTS[..])) {
        let folder = tempfile::tempdir().expect("a folder");
        check(Path::new("sh"), script, &item, folder.path());
    }

    /// The script may be nonsense to the shell, but the item must not be run.
    #[test]
    fn no_script_runs_an_item(
        parts in prop::collection::vec(prop::sample::select(&PARTS[..]), 1..12),
        at in 0_usize..12,
        item in prop::sample::select(&RUNNABLE[..]),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let (before, after) = parts.split_at(at.min(parts.len()));
        let script = format!("{}{{}}{}", before.concat(), after.concat());
        for shell in shells() {
            let Some(mut command) = command(&shell, &script, item.as_bytes(), folder.path()) else { continue };
            command.output().expect("the shell is there");
            prop_assert!(!folder.path().join("PWN").exists(), "{:?} ran {:?} in {:?}", shell, item, script);
        }
    }

    #[test]
    fn shown_words_can_be_run_again(typed in prop::collection::vec(bytes(20), 1..5)) {
        let line = typed.iter().map(|word| words::quote(word)).collect::<Vec<_>>().join(" ");
        prop_assert!(!line.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{:?}", line);
        let printed = output(Command::new("sh").args(["-c", &format!("printf '%s\\0' {line}")]));
        let expected: Vec<u8> = typed.iter().flat_map(|word| [word, &b"\0"[..]].concat()).collect();
        prop_assert_eq!(printed, expected, "{}", line);
    }

    #[test]
    fn commands_are_split_as_a_shell_splits_them(command in "[abé '\"\\\\\t=#-]{0,20}") {
        let Ok(split) = words::split(&command) else { return Ok(()) };
        let printed = output(Command::new("sh").args(["-c", &format!("printf '%s\\0' - {command}")]));
        let mut expected = b"-\0".to_vec();
        for word in split {
            expected.extend_from_slice(word.text.as_bytes());
            expected.push(0);
        }
        prop_assert_eq!(printed, expected);
    }
}
