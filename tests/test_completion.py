"""What `textsieve completion` prints makes a shell complete, asked in that shell itself where it is installed."""

import contextlib
import io
import shutil
import subprocess

import pytest

from filter.command import main

CHECKS = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory):
    path = tmp_path_factory.mktemp("shell") / "completion"
    path.write_text(_printed("bash"), encoding="utf-8")
    return path


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


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["expl"], "explain"),
        (["run", "--by-l"], "--by-language"),
        (["run", "--preset", "gen"], "gentle"),
        (["explain", "art"], "article.txt"),
        (["run", "--rules", "art"], "article.txt"),
        (["run", "x", "-o", "old"], "older"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_bash_completes(words, expected, bash_script, tmp_path):
    (tmp_path / "article.txt").touch()
    (tmp_path / "older").mkdir()
    quoted = " ".join(f"'{word}'" for word in ["textsieve", *words])
    script = (
        f". {bash_script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words)};"
        f' _shtab_textsieve textsieve "{words[-1]}" ""; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [expected]
