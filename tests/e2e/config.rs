//! The configuration file and `PRUN_*` variables: defaults that options and job files override.

use crate::space::Space;

const CONFIG: &str = "config/prun/config.toml";

#[test]
fn each_level_beats_the_next() {
    let job = |own: &str, run: &str| {
        format!("{run}\n[jobs.a]\neach = [\"x\"]\ncommand = \"echo\"\n{own}\n[jobs.b]\ncommand = \"true\"\n")
    };
    let file = "[run]\ntag = \"file\"";
    let defaults = "[run]\ntag = \"file\"\n[defaults]\ntag = \"defaults\"";
    // The configuration, the job file, the variable, the option, and what is printed in front of the line.
    let levels = [
        ("", job("", ""), "", "", ""),
        ("[run]\ntag = \"config\"", job("", ""), "", "", "config"),
        ("[defaults]\ntag = \"lower\"\n[run]\ntag = \"config\"", job("", ""), "", "", "lower"),
        ("[defaults]\ntag = \"config\"", job("", file), "", "", "file"),
        ("[run]\ntag = \"config\"", job("", file), "env", "", "env"),
        ("[run]\ntag = true", job("", file), "false", "", ""),
        ("[defaults]\ntag = \"config\"", job("", file), "env", "--tag=flag", "flag"),
        ("[run]\ntag = \"config\"", job("", defaults), "env", "--tag=flag", "defaults"),
        ("[run]\ntag = \"config\"", job("tag = \"own\"", defaults), "env", "--tag=flag", "own"),
    ];
    let space = Space::new();
    for (config, job, variable, option, expected) in levels {
        space.write(CONFIG, config).write("prun.toml", &job);
        let line = |tag: &str| if tag.is_empty() { "x\n".to_owned() } else { format!("{tag}\tx\n") };
        let prun = |words: &str| space.prun(words).env("PRUN_TAG", variable).run();
        prun(option).ok().stdout(&line(expected));
        // On a command line there is no job file between.
        let expected = match expected {
            "file" => "config",
            "defaults" | "own" => "flag",
            other => other,
        };
        prun(&format!("exec {option} echo ::: x")).ok().stdout(&line(expected));
        prun(&format!("exec {option} --no-config echo ::: x")).ok().stdout(&line(match expected {
            "config" | "lower" => "",
            other => other,
        }));
    }
}

#[test]
fn defaults_lie_below_those_of_the_file() {
    let space = Space::new();
    space.write(
        CONFIG,
        "[defaults]\nenv = { A = \"config\", B = \"config\", C = \"config\" }\nretries = 2\nok = [3]\n\
         stdout = { file = \"config.out\" }\n",
    );
    space.write(
        "prun.toml",
        "[defaults]\nenv = { B = \"file\", C = \"none\", D = \"file\" }\nstdout = { file = \"{#}.out\" }\n\
         retries = \"none\"\n\n[jobs.a]\nscript = 'echo $A $B $C $D; exit 3'\nenv = { A = \"none\", D = \"own\" }\n\n\
         [jobs.b]\nok = [4]\nscript = 'echo $PRUN_ATTEMPT >>attempts; exit 3'\n",
    );
    space.prun("a").run().ok();
    assert_eq!(space.read("1.out"), "file own\n");
    assert!(!space.exists("config.out"));
    space.prun("b").run().code(3);
    assert_eq!(space.read("attempts"), "1\n");
    space.prun("--no-config a").run().code(3);
}

#[test]
fn defaults_of_a_command_line() {
    let space = Space::new();
    space.write(
        CONFIG,
        "[defaults]\nenv = { A = \"a {}\", B = \"b\" }\nretries = 1\ncwd = \"there\"\nok = [0, 3]\n\
         shell = [\"bash\", \"-eu\", \"-c\"]\nstdout = \"null\"\nstdin = \"item\"\non_success = \"touch hook\"\n",
    );
    space.write("there/file", "");
    let line = "-c 'echo $0 $A $B $PRUN_ATTEMPT; ls; test $PRUN_ATTEMPT = 2; exit 3' ::: x";
    space.exec(&format!("--env B=mine {line}")).run().ok().stdout("bash a x mine 2\nfile\n");
    space.exec(&format!("-C / --retries 0 {line}")).run().code(1);
    // A shell of the configuration makes no script of a command.
    space.exec("echo '$0' ::: x").run().ok().stdout("$0 x\n");
    let sh = "-c 'echo $0' ::: x";
    space.exec(sh).env("PRUN_SHELL", "dash -x").run().code(0).stdout("dash\n").stderr_has("+ echo dash\n");
    space.exec(&format!("--shell sh {sh}")).env("PRUN_SHELL", "dash").run().ok().stdout("sh\n");
    assert!(!space.exists("there/hook") && !space.exists("hook"));
}

#[test]
fn what_children_write_themselves_is_not_prefixed() {
    let space = Space::new();
    space.write(CONFIG, "[run]\ntag = true\nkeep_order = true\n");
    space.exec("-u echo ::: x").run().ok().stdout("x\n");
    space.exec("--results out echo ::: x").env("PRUN_OUTPUT", "raw").run().ok().stdout("");
    assert_eq!(space.read("out/1/x/stdout"), "x\n");
    space.file("[run]\noutput = \"raw\"\n[jobs.a]\ncommand = \"echo x\"\n").run().ok().stdout("x\n");
}

#[test]
fn a_wrong_file_is_shown_with_its_line() {
    let space = Space::new();
    space.write("prun.toml", "[jobs.a]\ncommand = \"touch ran\"\n");
    let cases = [
        ("[run]\npool = 4x\n", "config.toml:2:8\n", "2 | pool = 4x\n"),
        ("\n[run]\nhalt = \"nver\"\n", "config.toml:3:8\n", "^^^^^^"),
        ("[defaults]\nretrys = 2\n", "config.toml:2:1\n", "did you mean `retries`?"),
        (
            "[jobs.a]\ncommand = \"x\"\n",
            "config.toml:1:2\n",
            "the configuration file holds `[run]` and `[defaults]`",
        ),
        ("[defaults]\neach = [1]\n", "config.toml:2:1\n", "`each` can't be a default"),
        ("run = 3\n", "config.toml:1:7\n", "expected a table, found a number"),
    ];
    for (config, place, said) in cases {
        space.write(CONFIG, config);
        for line in ["", "exec touch ran ::: x"] {
            space.prun(line).run().code(125).stdout("").stderr_has(place).stderr_has(said);
        }
        space.exec("--status xargs touch ran ::: x").run().code(1).stderr_has(place);
        assert!(!space.exists("ran"));
        space.exec("--no-config true ::: x").run().ok();
    }
}

#[test]
fn mistakes_of_both_files_tell_which() {
    let space = Space::new();
    space.write(CONFIG, "[run]\ngrace = 3\n\n[defaults]\nenv.X = \"{domian}\"\n");
    let ended = space.file("[vars]\ndomain = \"x\"\n[jobs.a]\ncommand = \"true\"\nafter = [\"b\"]\n").run();
    ended.code(125).stderr_has(" --> prun.toml:5:10\n").stderr_has("config/prun/config.toml:5:10\n");
    ended.stderr_has("5 | env.X = \"{domian}\"\n").stderr_has("did you mean `{domain}`");
}

#[test]
fn a_file_that_can_not_be_read() {
    let space = Space::new();
    space.write("config/prun/config.toml/x", "");
    let ended = space.exec("true ::: x").run();
    ended.code(125).stderr_has("prun: the configuration file `").stderr_has("is a directory; `--no-config`");
    space.exec("--no-config true ::: x").run().ok();
    // A folder that is none holds no file.
    space
        .exec("true ::: x")
        .env("XDG_CONFIG_HOME", &space.path("config/prun/config.toml/x/y").display().to_string())
        .run()
        .ok();
}

#[test]
fn below_the_home_folder() {
    let space = Space::new();
    space.write("home/.config/prun/config.toml", "[run]\ntag = \"home\"\n");
    let home = space.path("home").display().to_string();
    let prun = |xdg: &str| space.exec("echo ::: x").env("HOME", &home).env("XDG_CONFIG_HOME", xdg).run();
    prun("").ok().stdout("home\tx\n");
    prun("home").ok().stdout("home\tx\n");
    prun("/").ok().stdout("x\n");
}

#[test]
fn a_configuration_file_that_would_not_end_is_refused() {
    let space = Space::new();
    space.write("config/prun/x", "");
    let path = space.path("config/prun/config.toml");
    let config = space.path("config").display().to_string();
    space.write("prun.toml", "[jobs.a]\ncommand = 'true'\n");
    let prun = |line: &str| space.prun(line).env("XDG_CONFIG_HOME", &config).run();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("it is made");
    for line in ["prun.toml", "exec true ::: x", "check prun.toml", "graph prun.toml"] {
        prun(line).code(125).stderr_has("is a FIFO, and no regular file; `--no-config` leaves it out");
    }
    prun("exec --no-config true ::: x").ok();
    for (device, told) in [("/dev/zero", Some("is a device, and no regular file")), ("/dev/null", None)] {
        std::fs::remove_file(&path).expect("it is there");
        std::os::unix::fs::symlink(device, &path).expect("it is linked");
        match told {
            Some(told) => prun("prun.toml").code(125).stderr_has(told),
            None => prun("prun.toml").ok(),
        };
    }
}

#[test]
fn a_folder_that_can_not_be_searched_is_a_warning() {
    if !nix::unistd::geteuid().is_root() {
        return; // Only root can become another user.
    }
    let space = Space::new();
    space.write("home/.config/prun/config.toml", "[run]\ntag = \"home\"\n");
    space.write("prun.toml", "[jobs.a]\ncommand = 'true'\n");
    std::fs::set_permissions(space.path("home"), std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .expect("ours");
    let home = space.path("home").display().to_string();
    let as_other = |line: &str| {
        let line =
            format!("exec setpriv --bounding-set=-all --inh-caps=-all --reuid=65534 --clear-groups {line}");
        space.sh(&line).env("HOME", &home).env("XDG_CONFIG_HOME", "").run()
    };
    let told = "/.config/prun/config.toml` is not known (permission denied): prun goes on without it";
    for line in ["prun exec echo ::: x", "prun prun.toml", "prun check prun.toml", "prun graph prun.toml"] {
        as_other(line).code(0).stderr_has(told);
    }
    as_other("prun exec -q echo ::: x").ok().stdout("x\n");
    as_other("prun exec --no-config echo ::: x").ok();
}

#[test]
fn a_wrong_variable_is_named() {
    let space = Space::new();
    space.write("prun.toml", "[jobs.a]\ncommand = \"touch ran\"\n");
    let told = "prun: `PRUN_HALT=nver` in the environment: expected";
    space.prun("").env("PRUN_HALT", "nver").run().code(125).stderr_has(told);
    space.exec("true ::: x").env("PRUN_HALT", "nver").run().code(125).stderr_has(told);
    space.exec("--status xargs true ::: x").env("PRUN_HALT", "nver").run().code(1).stderr_has(told);
    // An option does not hide it: the next line may be without.
    space.exec("--halt never true ::: x").env("PRUN_HALT", "nver").run().code(125).stderr_has(told);
    space.exec("true ::: x").env("PRUN_HALT", "").env("PRUN_HELT", "x").run().ok();
    assert!(!space.exists("ran"));
    space.write("size", "many\n");
    let ended = space.exec("true ::: x").env("PRUN_POOL", "size").run();
    ended.code(125).stderr_has("`PRUN_POOL=size`: the file");
}

#[test]
fn a_prun_within_a_task() {
    let space = Space::new();
    let inner = "prun exec -c \"echo \\$PRUN_JOB-\\$PRUN_SEQ\" ::: a b";
    space.write("prun.toml", "[jobs.outer]\ncommand = [\"sh\", \"-c\", \"exec prun exec -k -c 'echo $PRUN_JOB-$PRUN_SEQ-${PRUN_JOURNAL-none}' ::: a b\"]\n");
    space.prun("").env("PRUN_OUTPUT", "group").run().ok().stdout("sh-1-none\nsh-2-none\n");
    // The journal is that of the outer run alone.
    let line = format!("-c {}", shlex::try_quote(&format!("{inner} >>log")).expect("no NUL"));
    for _ in 0..2 {
        let run = space.exec(&format!("{line} ::: x"));
        run.env("PRUN_JOURNAL", "journal").env("PRUN_RESUME", "1").env("PRUN_POOL", "1").run().ok();
    }
    assert_eq!(space.read("log"), "sh-1\nsh-2\n");
    assert_eq!(space.read("journal").lines().filter(|line| line.contains("\"outcome\"")).count(), 1);
}

#[test]
fn a_journal_of_the_configuration() {
    let space = Space::new();
    space.write(CONFIG, "[run]\njournal = \"finished\"\nresume = true\n");
    space.write("sub/prun.toml", "[jobs.a]\ncommand = \"sh -c 'echo ran >>log'\"\n");
    // It lies where the file would have it: beside the job file, or where the line is typed.
    for _ in 0..2 {
        space.prun("sub/prun.toml").run().ok();
        space.exec("-c 'echo {} >>log' ::: x").run().ok();
    }
    assert_eq!((space.read("sub/log"), space.read("log")), ("ran\n".into(), "x\n".into()));
    assert!(space.exists("sub/finished") && space.exists("finished"));
    // How to go on says nothing where there is no journal; as an option it would be a mistake.
    space.write(CONFIG, "[run]\nresume = true\n");
    space.prun("sub/prun.toml").run().ok();
    space.exec("true ::: x").env("PRUN_RESUME", "failed").run().ok();
    space.exec("--resume true ::: x").run().code(125).stderr_has("--resume");
    space.write(CONFIG, "").write("sub/prun.toml", "[run]\nresume = true\n[jobs.a]\ncommand = \"true\"\n");
    space.prun("sub/prun.toml").run().code(125).stderr_has("`resume` without a journal");
}

#[test]
fn colours() {
    let space = Space::new();
    // The option, PRUN_COLOR, NO_COLOR, CLICOLOR_FORCE; stderr is no terminal here.
    let cases = [
        ("", "", "", "", false),
        ("", "", "", "1", true),
        ("", "", "1", "1", false),
        ("", "always", "1", "", true),
        ("", "never", "", "1", false),
        ("", "auto", "", "1", true),
        ("--color never", "always", "", "1", false),
        ("--color always", "never", "1", "", true),
        ("--color auto", "always", "", "", false),
    ];
    for (option, own, no, force, expected) in cases {
        let ended = space
            .exec(&format!("{option} false ::: x"))
            .env("PRUN_COLOR", own)
            .env("NO_COLOR", no)
            .env("CLICOLOR_FORCE", force)
            .run();
        let shown = format!("`{option}` PRUN_COLOR={own} NO_COLOR={no} CLICOLOR_FORCE={force}");
        ended.code(1).check(ended.stderr.contains('\x1b') == expected, &shown);
    }
    let help = |own: &str| space.prun("-h").env("PRUN_COLOR", own).run().ok().stdout.contains('\x1b');
    assert_eq!((help("always"), help("")), (true, false));
}
