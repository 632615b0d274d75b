"""The programs that are measured: prun, the C peers beside this script, and those of others."""

import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TARGET = os.path.join(ROOT, os.environ.get("CARGO_TARGET_DIR") or "target")
TOOLS = os.path.join(TARGET, "bench")
PEERS = os.path.join(ROOT, "bench", "peers")
PATH = os.path.join(TOOLS, "bin") + ":" + TOOLS + ":" + os.environ.get("PATH", os.defpath)

# Programs that a row may need, and how to get them.
OTHERS = {
    "xargs": "apt-get install findutils",
    "parallel": "apt-get install parallel",
    "rust-parallel": "cargo install rust-parallel",
    "valgrind": "apt-get install valgrind",
    "strace": "apt-get install strace",
}


def say(text):
    """Tells the progress: on a terminal in one line that is overwritten."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr)


def warn(text):
    say("")
    print(f"bench: {text}", file=sys.stderr)


def is_there(program):
    return shutil.which(program, path=PATH) is not None


def build_prun():
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
    return os.path.join(TARGET, "release", "prun")


def build_peers():
    """Compiles the C peers that are older than their source."""
    os.makedirs(TOOLS, exist_ok=True)
    if not is_there("cc"):
        return warn("there is no cc, so the rows of C peers that are not compiled yet are left out")
    for file in sorted(os.listdir(PEERS)):
        name, ending = os.path.splitext(file)
        source, program = os.path.join(PEERS, file), os.path.join(TOOLS, name)
        if ending != ".c" or (os.path.exists(program) and os.path.getmtime(program) > os.path.getmtime(source)):
            continue
        say(f"compiling {file}")
        # Two runs at a time each see a whole program.
        with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
            made = os.path.join(folder, name)
            if subprocess.run(["cc", "-O2", "-Wall", "-pthread", "-o", made, source]).returncode == 0:
                os.replace(made, program)
            else:
                warn(f"{file} can't be compiled; its rows are left out")


def install_rust_parallel():
    if is_there("cargo") and not is_there("rust-parallel"):
        say("installing rust-parallel into target/bench")
        command = ["cargo", "install", "--quiet", "--locked", "--root", TOOLS, "rust-parallel"]
        if subprocess.run(command, cwd=ROOT).returncode != 0:
            warn("rust-parallel can't be installed")


def missing():
    """Returns a line for each program that is not there."""
    return [f"{program} ({hint})" for program, hint in OTHERS.items() if not is_there(program)]
