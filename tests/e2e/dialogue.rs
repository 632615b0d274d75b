//! `stdin.dialogue`: prun answers the prompts of its children.

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
