import pytest

from filter import Config
from filter.command import main
from filter.config import COMMAND_TABLES, read_toml
from filter.errors import ConfigError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config(capsys, *arguments):
    code = main(["config", *arguments])
    said = capsys.readouterr()
    return code, said.out or said.err


def test_printed_configuration_says_the_same_when_it_is_read(folder, capsys):
    arguments = ["--preset", "gentle", "--policy", "spam=strip", "--languages", "en,es", "--jobs", "3", "--to", "text"]
    code, printed = config(capsys, *arguments)
    assert code == 0
    (folder / "textsieve.toml").write_text(printed)
    assert config(capsys) == (0, printed)
    read = Config.from_toml("textsieve.toml")
    assert (read.preset, read.policy.spam, read.languages) == ("gentle", "strip", ("en", "es"))


def test_command_line_has_the_last_word(folder, capsys):
    (folder / "textsieve.toml").write_text('preset = "gentle"\n[run]\njobs = 3\nlog_json = true\nto = "text"\n')
    (folder / "other.toml").write_text("[run]\njobs = 5\n")
    printed = config(capsys, "--jobs", "7", "--preset", "strict")[1]
    for line in ('preset = "strict"', "jobs = 7", "log_json = true", 'to = "text"'):
        assert line in printed.splitlines()
    printed = config(capsys, "--config", "other.toml")[1]
    for line in ('preset = "balanced"', "jobs = 5", "log_json = false"):
        assert line in printed.splitlines()


def test_tables_of_other_commands_are_printed_with_what_the_file_says(folder, capsys):
    tables = "[explain]\nwidth = 90\n[serve]\nport = 80\nmax_mb = 0.5\nhost = 'a.example'\n[review_page]\nport = 81\n"
    (folder / "textsieve.toml").write_text(tables)
    code, printed = config(capsys)
    assert code == 0
    (folder / "textsieve.toml").write_text(printed)
    assert config(capsys) == (0, printed)
    found = read_toml("textsieve.toml")
    assert found["explain"]["width"] == 90 and found["review_page"] == {"port": 81}
    assert (found["serve"]["port"], found["serve"]["max_mb"], found["serve"]["host"]) == (80, 0.5, "a.example")
    assert found["serve"]["stop_s"] == 30.0


@pytest.mark.parametrize(("command", "table", "port"), [("review", "review_page", 0), ("serve", "serve", 8000)])
def test_every_option_of_serve_and_review_can_stand_in_the_file(folder, monkeypatch, command, table, port):
    seen = []
    monkeypatch.setattr(f"filter.command._{command}", lambda options: seen.append(options.port) or 0)
    arguments = [command] + ["out"] * (command == "review")
    assert main(arguments) == 0
    (folder / "textsieve.toml").write_text(f"[{table}]\nport = 81\n")
    assert main(arguments) == 0 and main([*arguments, "--port", "82"]) == 0
    assert seen == [port, 81, 82]


def test_limits_are_turned_off_with_false(folder, capsys):
    (folder / "textsieve.toml").write_text("page_timeout_s = false\nmax_worker_mb = false\n")
    read = Config.from_toml("textsieve.toml")
    assert (read.page_timeout_s, read.max_worker_mb, read.document_timeout_s) == (None, None, 120.0)
    assert "page_timeout_s = false" in config(capsys)[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('presett = "gentle"', "unknown option 'presett'; did you mean 'preset'?"),
        ("[run]\njob = 3", "[run]: unknown option 'job'; did you mean 'jobs'?"),
        ("[run]\npreset = 'gentle'", "[run]: preset is an option of the analysis; write it at the top"),
        ("jobs = 3", "jobs is an option of [run] and [serve]; write it below that"),
        ("[runn]\njobs = 3", "unknown option 'runn'; did you mean 'run'?"),
        ("min_part_chars = true", "min_part_chars = True: use a whole number, 0 or more"),
        ("[run]\njobs = -1", "[run]: jobs = -1: see textsieve run --help"),
        ("[run]\njobs = true", "[run]: jobs = True: use a single value"),
        ("[run]\nto = 'pdf'", "[run]: to = 'pdf': use one of jsonl, "),
        ("[run]\nforce = 'yes'", "[run]: force = 'yes': use true or false"),
        ("[explain]\nwidht = 3", "[explain]: unknown option 'widht'; did you mean 'width'?"),
        ("run = 3", "run is a table; write [run]"),
        ("[serve]\nprot = 80", "[serve]: unknown option 'prot'; did you mean 'port'?"),
        ("[serve]\nport = 99999", "[serve]: port = 99999: see textsieve serve --help"),
        ("[serve]\nport = -1", "[serve]: port = -1: see textsieve serve --help"),
        ("[review_page]\nexport = 'x'", "[review_page]: unknown option 'export'"),
        ("document_timeout_s = 0", "document_timeout_s = 0: use a number of seconds above 0"),
        ("max_worker_mb = 'all'", "max_worker_mb = 'all': use a number of MB above 0"),
    ],
)
def test_what_is_wrong_with_a_file(folder, capsys, text, message):
    (folder / "textsieve.toml").write_text(text)
    code, said = config(capsys)
    assert code == 2 and said.startswith("textsieve: textsieve.toml: ") and said.count("\n") == 1
    assert message in said


def test_unknown_option_of_a_mapping():
    with pytest.raises(ConfigError, match="did you mean 'languages'"):
        Config.from_mapping({"language": ["en"]})
    # Nobody may take a command's table for an option.
    assert not set(COMMAND_TABLES) & set(Config.__slots__)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": {"spam": "strip"}}, "use a Policy"),
        ({"rules": "mine.toml"}, "rules = 'mine.toml': use a tuple"),
        ({"languages": "en"}, "languages = 'en': use a tuple"),
    ],
)
def test_wrong_type_is_named(options, message):
    with pytest.raises(ConfigError, match=message):
        Config(**options)


def test_list_serves_as_a_tuple():
    assert Config(languages=["en", "es"]) == Config(languages=("en", "es"))
