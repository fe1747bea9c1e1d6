"""What `textsieve completion` prints makes a shell complete, asked in that shell itself where it is installed."""

import contextlib
import io
import os
import pty
import select
import shutil
import subprocess
import time

import pytest

from filter.command import main

CHECKS = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}


CASES = [
    (["expl"], "explain"),
    (["run", "--by-l"], "--by-language"),
    (["run", "--preset", "gen"], "gentle"),
    (["explain", "art"], "article.txt"),
    (["run", "--rules", "art"], "article.txt"),
    (["run", "x", "-o", "old"], "older"),
]
completes = pytest.mark.parametrize(
    ("words", "expected"), CASES, ids=lambda value: " ".join(value) if isinstance(value, list) else value
)


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shell")
    for shell in CHECKS:
        (folder / f"_textsieve.{shell}").write_text(_printed(shell), encoding="utf-8")
    # zsh finds a command's completion by the name of its file.
    (folder / "zsh").mkdir()
    shutil.copy(folder / "_textsieve.zsh", folder / "zsh" / "_textsieve")
    return folder


@pytest.fixture
def place(tmp_path):
    (tmp_path / "article.txt").touch()
    (tmp_path / "older").mkdir()
    return tmp_path


def needs(shell):
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")


def _printed(shell):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(["completion", shell]) == 0
    return printed.getvalue()


@pytest.mark.parametrize("shell", CHECKS)
def test_the_shell_can_read_it(shell, tmp_path):
    path = tmp_path / "completion"
    path.write_text(_printed(shell), encoding="utf-8")
    assert "explain" in path.read_text(encoding="utf-8")
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed; only that something is printed was tested")
    subprocess.run([*CHECKS[shell], str(path)], check=True)


@completes
def test_bash_completes(words, expected, scripts, place):
    quoted = " ".join(f"'{word}'" for word in ["textsieve", *words])
    script = (
        f". {scripts}/_textsieve.bash; COMP_WORDS=({quoted}); COMP_CWORD={len(words)};"
        f' _shtab_textsieve textsieve "{words[-1]}" ""; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(["bash", "-c", script], cwd=place, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [expected]


@needs("fish")
@completes
def test_fish_completes(words, expected, scripts, place):
    script = f"source {scripts}/_textsieve.fish; complete -C 'textsieve {' '.join(words)}'"
    done = subprocess.run(["fish", "--no-config", "-c", script], cwd=place, capture_output=True, text=True, check=True)
    assert [line.split("\t")[0].rstrip("/") for line in done.stdout.splitlines()] == [expected]


@needs("zsh")
@completes
def test_zsh_completes(words, expected, scripts, place):
    # It completes at a terminal only.
    begin = f"fpath=({scripts}/zsh $fpath); autoload -Uz compinit; compinit -u -D; textsieve() {{ }}; print rea''dy\n"
    terminal, inside = pty.openpty()
    shell = subprocess.Popen(
        ["zsh", "-f", "-i", "+m"],
        cwd=place,
        env={**os.environ, "TERM": "dumb"},
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
    )
    os.close(inside)
    try:
        os.write(terminal, begin.encode())
        assert "ready" in _read_until(terminal, "ready")
        os.write(terminal, f"textsieve {' '.join(words)}\t".encode())
        whole = " ".join(["textsieve", *words[:-1], expected])
        assert whole in _read_until(terminal, whole)
    finally:
        shell.kill()
        shell.wait()
        os.close(terminal)


def _read_until(terminal, expected):
    """Return what a terminal shows, up to what is expected, or all there is in half a minute."""
    shown, end = "", time.monotonic() + 30
    while expected not in shown and time.monotonic() < end:
        if select.select([terminal], [], [], 1)[0]:
            shown += os.read(terminal, 4096).decode(errors="replace")
    return shown
