//! `stdin.dialogue`: prun answers the prompts of its children.

use crate::meeting::Meeting;
use crate::space::Space;

/// A script that prompts twice and then reads until the end of its input.
const ASKS: &str = "#!/bin/sh\nprintf 'name> '; read -r name; printf 'number> '; read -r n; echo \"$name has $n\"; cat; echo over\n";

const STEPS: &str = r#"[{ expect = "name> ", send = "{1}\n" }, { expect = "number> $", send = "{#}\n" }]"#;

#[test]
fn each_step_waits_for_its_prompt() {
    let space = Space::new();
    space.program("asks", ASKS);
    for (pty, shown) in [(false, "pipes"), (true, "a terminal")] {
        let file = format!(
            "[jobs.a]\neach = [\"ann\", \"bob\"]\npty = {pty}\ncommand = \"./asks\"\nstdin.dialogue = {STEPS}\n[run]\npool = 1"
        );
        let ended = space.file(&file).run();
        let wanted = "name> number> ann has 1\nover\nname> number> bob has 2\nover\n";
        ended.ok().check(ended.stdout == wanted, shown);
    }
}

#[test]
fn what_it_says_need_not_be_shown() {
    let space = Space::new();
    space.program("asks", ASKS);
    let job = format!("[jobs.a]\neach = [\"ann\"]\ncommand = \"./asks\"\nstdin.dialogue = {STEPS}\n");
    space.file(&format!("{job}stdout = \"null\"")).run().ok().quiet();
    space.file(&format!("{job}stdout.file = \"said\"")).run().ok().quiet();
    assert!(space.read("said").contains("ann has 1\nover\n"));
    space.file(&format!("{job}output = \"raw\"")).run().ok().stdout_has("ann has 1\nover\n");
}

#[test]
fn a_password_is_asked_for_on_the_terminal() {
    let space = Space::new();
    let script = r#"printf 'Password: ' >/dev/tty; read -r word </dev/tty; echo "got $word""#;
    let file = format!(
        "[jobs.a]\npty = true\nscript = '''{script}'''\nstdin.dialogue = [{{ expect = \"Password: $\", send = \"secret\\n\" }}]"
    );
    space.file(&file).run().ok().stdout("Password: got secret\n");
}

#[test]
fn python_is_spoken_to() {
    let space = Space::new();
    let code = "a = input('first? ')\nb = input('second? ')\nprint(a + b)";
    for pty in [false, true] {
        let file = format!(
            "[jobs.a]\npty = {pty}\nshell = [\"python3\", \"-c\"]\nscript = '''\n{code}'''\nstdin.dialogue = [{{ expect = 'first\\? ', send = \"1\\n\" }}, {{ expect = 'second\\? ', send = \"2\\n\" }}]"
        );
        space.file(&file).run().ok().stdout_has("12\n");
    }
}

#[test]
fn a_step_that_does_not_come_in_time_fails_the_task() {
    let space = Space::new();
    let file = r#"[jobs.a]
script = 'printf "\033[1mlogin: "; exec cat >/dev/null'
stdin = { dialogue = [{ expect = "> ", send = "x\n" }], timeout = "300ms" }"#;
    for pty in ["", "\npty = true"] {
        let ended = space.file(&format!("{file}{pty}")).run();
        ended.code(1).within(30).stderr_has("waited 300ms for `> `; it had written: ").stderr_has("login:");
        ended.check(!ended.stderr.contains('\x1b'), "no control codes");
    }
}

#[test]
fn each_step_has_its_own_time() {
    let space = Space::new();
    let file = r#"[jobs.a]
script = 'for i in 1 2 3 4; do sleep 0.4; echo "$i> "; read -r x; done'
stdin = { dialogue = [{ expect = "1> ", send = "\n" }, { expect = "2> ", send = "\n" }, { expect = "3> ", send = "\n" }, { expect = "4> ", send = "\n" }], timeout = "1500ms" }"#;
    space.file(file).run().ok();
}

#[test]
fn an_end_before_the_last_step_is_a_failure() {
    let space = Space::new();
    let job = |script: &str| {
        format!("[jobs.a]\nscript = '''{script}'''\nstdin.dialogue = [{{ expect = \"> \", send = \"\" }}]")
    };
    let ended = space.file(&job("echo goodbye")).run();
    ended
        .code(1)
        .stdout("goodbye\n")
        .stderr_has("ended while `> ` was waited for; it had written: `goodbye`");
    // A failure of its own stays what it is.
    space.file(&job("echo goodbye; exit 7")).run().code(7).stderr_lacks("was waited for");
    // What it wrote just before its end counts.
    space.file(&job("printf 'done> '")).run().ok();
}

#[test]
fn each_attempt_has_a_dialogue_of_its_own() {
    let space = Space::new();
    let file = r#"[jobs.a]
retries = 2
script = 'printf "word> "; read -r word; echo "$word"; test "$PRUN_ATTEMPT" = 3'
stdin.dialogue = [{ expect = "word> ", send = "hello\n" }]"#;
    space.file(file).run().ok().stdout(&"word> hello\n".repeat(3));
}

#[test]
fn a_fault_is_tried_again() {
    let space = Space::new();
    let file = r#"[jobs.a]
retries = 1
script = 'test "$PRUN_ATTEMPT" = 1 || printf "word> "'
stdin.dialogue = [{ expect = "word> ", send = "hello\n" }]"#;
    space.file(file).run().ok().stdout("word> ");
}

#[test]
fn much_output_before_the_prompt_is_no_matter() {
    let space = Space::new();
    let file = r#"[jobs.a]
stdout = "null"
script = 'puppet out=20000000; printf "prompt> "; read -r word; test "$word" = hello'
stdin.dialogue = [{ expect = "prompt> $", send = "hello\n" }]"#;
    space.file(file).run().ok().within(60);
}

/// Asks as many programs do: the prompt first, then a change of the settings that discards what was typed before, and the
/// same again when the answer has come. What is typed at once is there when it is discarded.
const FLUSHES: &str = r#"
import os, select, sys, termios
def settings(new):
    select.select([0], [], [], 0.03)
    termios.tcsetattr(0, termios.TCSAFLUSH, new)
os.write(1, b"word: ")
old = termios.tcgetattr(0)
new = old[:]
new[3] &= ~termios.ECHO
settings(new)
word = sys.stdin.readline()
settings(old)
os.write(1, b"got " + word.encode())
ends = [sys.stdin.read(), sys.stdin.read()]
sys.exit(word != "tulip\n" or ends != ["", ""])
"#;

const WORD: &str = r#"stdin = { dialogue = [{ expect = "word: ?$", send = "tulip\n" }], timeout = "30s" }"#;

#[test]
fn an_answer_is_typed_when_the_program_is_ready_for_it() {
    let space = Space::new();
    space.write("flushes.py", FLUSHES);
    let toml =
        format!("run.pool = 10\n[jobs.a]\nrepeat = 30\npty = true\ncommand = 'python3 flushes.py'\n{WORD}\n");
    space.file(&toml).run().ok().stdout(&"word: got tulip\n".repeat(30));
}

#[test]
fn programs_that_ask_for_passwords_get_them() {
    let space = Space::new();
    let getpass = "import getpass, sys\nprint('got', getpass.getpass('word: '), sys.stdin.read() == '')\n";
    // As sudo does: byte by byte, with the prompt on stderr.
    let sudo = "import os, termios\nos.write(2, b'[sudo] word: ')\nold = termios.tcgetattr(0)\nnew = old[:]\n\
                new[3] &= ~termios.ECHO\ntermios.tcsetattr(0, termios.TCSAFLUSH, new)\nb = b''\n\
                while not b.endswith(b'\\n'): b += os.read(0, 1) or exit(9)\n\
                termios.tcsetattr(0, termios.TCSAFLUSH, old)\nprint('got', b, os.read(0, 1))\n";
    space
        .write("getpass_.py", getpass)
        .write("sudo.py", sudo)
        .write("plain", "hello, ssl\n")
        .write("zipped", "hello, zip\n");
    let encrypted = "-aes-256-cbc -pbkdf2";
    let jobs = [
        ("getpass", "python3 getpass_.py".to_owned(), 1, "got tulip True"),
        ("sudo", "python3 sudo.py".to_owned(), 1, "got b'tulip\\n' b''"),
        ("bash", "bash -c 'read -rsp \"word: \" w; echo \"got $w\"; cat; cat'".to_owned(), 1, "got tulip"),
        (
            "openssl",
            format!(
                "openssl enc {encrypted} -in plain -out e$PRUN_SEQ && openssl enc -d {encrypted} -in e$PRUN_SEQ"
            ),
            3,
            "hello, ssl",
        ),
        ("zip", "zip -qe z$PRUN_SEQ zipped && unzip -qP tulip -p z$PRUN_SEQ".to_owned(), 2, "hello, zip"),
    ];
    let mut toml = "run.pool = 8\nrun.output = 'group'\n[defaults]\npty = true\n".to_owned();
    for (name, script, steps, _) in &jobs {
        let steps = vec![r#"{ expect = "word: ?$", send = "tulip\n" }"#; *steps].join(", ");
        toml += &format!(
            "[jobs.{name}]\nrepeat = 10\nscript = '''{script}'''\nstdin = {{ dialogue = [{steps}], timeout = '60s' }}\n"
        );
    }
    let ended = space.file(&toml).run();
    ended.ok();
    for (name, .., says) in &jobs {
        ended.check(ended.stdout.lines().filter(|line| line.ends_with(says)).count() >= 10, name);
    }
}

#[test]
fn who_reads_on_behind_the_last_answer_finds_the_end_of_input_each_time() {
    let space = Space::new();
    let script = "printf \"word: \"; stty eof ^X; read -r w; cat; cat; cat; echo over $w";
    let toml = format!("[jobs.a]\npty = true\nscript = '{script}'\n{WORD}\n");
    space.file(&toml).run().ok().stdout("word: over tulip\n");
}

#[test]
fn the_last_step_has_its_time_on_a_terminal() {
    let space = Space::new();
    // Discards the answer long after its prompt, and never gives up.
    let late = "import os, select, termios, tty\nos.write(1, b'word: ')\nselect.select([0], [], [])\n\
                tty.setraw(0, termios.TCSAFLUSH)\nwhile b'\\n' not in os.read(0, 9): pass\n";
    space.write("late.py", late);
    let toml = |command: &str| format!("[jobs.a]\npty = true\n{command}\n{}\n", WORD.replace("30s", "700ms"));
    let lost = space.file(&toml("command = 'python3 late.py'")).run();
    lost.code(1).stderr_has("still waits for input 700ms after the answer to `word: ?$`").within(60);
    let unread = space.file(&toml("script = 'printf \"word: \"; exec sleep 1000'")).run();
    unread.code(1).stderr_has("did not read the answer to `word: ?$` within 700ms").within(60);
}

#[test]
fn a_task_that_works_on_after_its_last_answer_may_take_its_time() {
    let space = Space::new();
    let meeting = Meeting::open(&space);
    let toml = format!(
        "[jobs.a]\npty = true\nscript = 'printf \"word: \"; read -r w; exec puppet meet=a hold'\n{}\n\
         [jobs.timer]\ncommand = 'sleep 1'\non_exit = 'echo elapsed'\n",
        WORD.replace("30s", "300ms")
    );
    let running = space.file(&toml).start();
    let mut guest = meeting.guest();
    running.shows("elapsed\n");
    guest.tell("exit=0");
    running.end().ok();
}

#[test]
fn without_a_source_the_terminal_stays_at_its_end() {
    let space = Space::new();
    let flush = "import sys, termios; termios.tcsetattr(0, termios.TCSAFLUSH, termios.tcgetattr(0)); print(repr(sys.stdin.read()))";
    space.write("flush.py", flush);
    let toml = "[jobs.a]\npty = true\nscript = 'cat; cat; python3 flush.py; cat; echo over'\n";
    space.file(toml).run().ok().stdout("''\nover\n");
}
