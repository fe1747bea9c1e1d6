"""The command line: parse, build a Config, call one library function, choose the exit code."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import difflib
import io
import logging
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, get_args

from . import __version__
from .config import COMMAND_TABLES, Config, Detector, Extractor, Preset, read_toml, unknown_option
from .document import LABELS, Document
from .errors import ConfigError, TextsieveError, UsageError

if TYPE_CHECKING:
    from .profiles import Profile
    from .progress import Report
    from .readers import Reader, Rejection
    from .writers import Writer

__all__ = ["build_parser", "main", "program"]

_MAX_WAIT_S = 0.1
"""How long a live filter waits for more before it starts on what is there."""
_INPUTS = (
    "files, folders, patterns, addresses (s3://…), or - for standard input "
    "(.txt .html .htm .jsonl .ndjson .csv .tsv .warc .wet, each also .gz or .zst; .parquet)"
)
_CONFIG = Path("textsieve.toml")
_ANALYSIS = {item.name for item in fields(Config)}
_LANGUAGE_LISTS = {"languages": "languages", "keep_languages": "keep_language", "drop_languages": "drop_language"}
_FILES, _FOLDERS = {"INPUT", "FILE", "PACK", "PROFILE", "GOLD"}, {"OUT", "DIR"}
"""Placeholders of options whose values a shell can complete."""
_SIGNALLED = 128
"""What is added to the number of the signal that ended a process."""
_MAX_PORT = 65_535
_INTERRUPTED = _SIGNALLED + signal.SIGINT
_EXIT_CODES = "exit codes: 0 done; 1 some input was set aside; 2 nothing done, the message says why; 130 interrupted"


def program() -> NoReturn:
    """Run the command as a process of its own: `main`, and then its end.

    One that was stopped by a signal ends at once when its files and processes are seen to. Python's own end takes
    every library apart, and some crash when the signal came while they were being loaded.
    """
    code: Any = _INTERRUPTED
    try:
        code = main()
    except KeyboardInterrupt:
        _fail("interrupted; nothing was begun")
    except SystemExit as error:
        code = error.code
    if isinstance(code, int) and code > _SIGNALLED:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
                stream.flush()
        os._exit(code)
    sys.exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 some input was set aside, 2 wrong use, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = build_parser()
    options = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal of another encoding shows what it cannot show as an escape, and does not stop for it.
        sys.stdout.reconfigure(errors="backslashreplace")
    command: Callable[[argparse.Namespace], int] = options.command
    # What the parser complains of is said in our own words; without a handler Python would print it.
    logging.getLogger("trafilatura").addHandler(logging.NullHandler())
    # So that a terminated run removes its partial files as an interrupted one does. Elsewhere than in the main thread
    # somebody else handles signals.
    handles_signals = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, _terminate) if handles_signals else None
    try:
        if getattr(options, "config", None) and (given := _from_file(options)):
            # Before the others, which so come after them and have the last word.
            options = parser.parse_args([arguments[0], *given, *arguments[1:]])
        return command(options)
    except TextsieveError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail("interrupted; no unfinished file is left", _INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has enough; closing must not complain about it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        out = getattr(options, "out", None)
        if error.filename is None and (out is None or str(out) == "-"):
            return _fail(f"standard output: {error.strerror}; what was written to it ends early")
        return _fail(f"{error.filename or out}: {error.strerror}; no unfinished file is left")
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line, as those of all else are."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        # Each command complains of what it does not know, and not the parser above it, which knows even less.
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            close = difflib.get_close_matches(unknown[0].partition("=")[0], self._option_string_actions, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            self.error(f"unknown argument {unknown[0]!r}{hint}")
        return parsed, unknown


def _terminate(number: int, frame: Any) -> None:
    raise SystemExit(_SIGNALLED + number)


def _fail(message: str, code: int = 2) -> int:
    print(f"textsieve: {message}", file=sys.stderr)
    return code


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; making it loads nothing heavy."""
    parser = _Parser(
        prog="textsieve",
        description="Cleans, classifies and splits scraped articles, with a cause for every removal and nothing lost.",
        epilog=_EXIT_CODES,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False)
        added.set_defaults(command=command, name=name)
        return added

    run = add("run", _run, "clean, classify and split documents")
    run.add_argument("inputs", nargs="+", metavar="INPUT", help=_INPUTS)
    run.add_argument(
        "-o",
        "--out",
        required=True,
        metavar="OUT",
        help="folder for the results, an address of one, or - for JSONL on standard output",
    )
    _add_options_of_run(run)

    learn = add("learn", _learn, "count the lines that come back on the pages of a site, for run --profile")
    learn.add_argument("inputs", nargs="*", metavar="INPUT", help=_INPUTS)
    learn.add_argument("-o", "--out", required=True, type=Path, metavar="PROFILE", help="file for the profile")
    learn.add_argument("--profile", action="append", default=[], metavar="FILE", help="add what this profile counted")
    learn.add_argument(
        "--decisions",
        action="append",
        default=[],
        metavar="GOLD",
        help="what people decided, from textsieve review: lines that always or never belong to a site's furniture",
    )
    learn.add_argument("--force", action="store_true", help="replace a file that is there already")
    _add_site_field(learn)
    _add_reading(learn)
    _add_preparing(learn.add_argument_group("analysis"))

    explain = add("explain", _explain, "show every span of documents with its label, language, score and cause")
    explain.add_argument("inputs", nargs="+", metavar="INPUT", help=_INPUTS)
    _add_options_of_explain(explain)

    config = add("config", _print_config, "print the options that are in force, as a file for --config")
    _add_options_of_run(config)

    restore = add("restore", _restore, "rebuild the input texts from the results of a run")
    restore.add_argument(
        "results", metavar="OUT", help="folder that textsieve run wrote, its address, or a file of its records"
    )
    restore.add_argument("-o", "--out", type=Path, metavar="DIR", help="where to write them (default: OUT/restored)")

    serve = add("serve", _serve, "answer documents over HTTP, for pipelines in other languages")
    _add_options_of_serve(serve)

    review = add("review", _review, "look at the least sure marks of a run in a browser, and decide on them")
    review.add_argument("results", type=Path, metavar="OUT", help="folder that textsieve run wrote")
    review.add_argument(
        "--export", type=Path, metavar="FILE", help="write the decisions, for run --decisions, evaluate and train"
    )
    _add_options_of_review(review)

    report = add("report", _report, "make one page of HTML of the results of a run, with samples to read")
    report.add_argument("results", metavar="OUT", help="folder that textsieve run wrote, or its address")
    report.add_argument("-o", "--out", required=True, type=Path, metavar="FILE", help="the page")
    report.add_argument("--log", type=Path, metavar="FILE", help="what run --log-json wrote, for the slowest documents")
    report.add_argument(
        "--samples", type=_whole, default=300, metavar="N", help="documents of each kind shown in full (default: 300)"
    )
    report.add_argument("--seed", type=int, default=0, metavar="N", help="another one draws other samples (default: 0)")
    report.add_argument("--force", action="store_true", help="replace a file that is there already")

    rules = add("rules", _rules, "list the rules, or check them against their own examples")
    rules.add_argument("--check", action="store_true", help="check every rule's examples; exit 1 if one fails")
    rules.add_argument(
        "--rules", action="append", default=[], metavar="PACK", help="a rule pack (TOML) besides the shipped ones"
    )

    evaluate = add("evaluate", _evaluate, "compare results with hand-labelled documents")
    evaluate.add_argument("gold", type=Path, metavar="GOLD", help="hand-labelled spans (JSONL)")
    _add_options_of_evaluate(evaluate)

    train = add("train", _train, "learn a model from labelled data")
    train.add_argument("model", choices=("lines", "sections", "blocks"), help="which model")
    train.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of labelled data")
    train.add_argument(
        "--gold",
        action="append",
        default=[],
        type=Path,
        metavar="GOLD",
        help="hand-labelled documents (JSONL) to learn lines or sections from as well; review --export writes such",
    )
    train.add_argument(
        "--out", type=Path, default=Path("models"), metavar="DIR", help="folder for the model (default: models)"
    )

    add("schema", _schema, "print the JSON Schema of the output records")

    completion = add("completion", _completion, "print what makes a shell complete commands, options and file names")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"), help="which shell")
    return parser


def _add_options_of_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--to",
        choices=("jsonl", "parquet", "csv", "warc", "text", "bitext"),
        default="jsonl",
        help="format of the records; text: JSONL, and each part also as OUT/text/ID.LANG.txt; bitext: JSONL, and "
        "translations line by line in OUT/bitext.jsonl",
    )
    parser.add_argument("--by-language", action="store_true", help="one file per language: OUT/documents.en.jsonl")
    parser.add_argument("--force", action="store_true", help="replace results that are there already")
    parser.add_argument(
        "--no-removed-text", action="store_true", help="leave out what was removed; it cannot be restored then"
    )
    _add_reading(parser)
    _add_config(parser)

    _add_work(parser)
    parser.add_argument("--learn", action="store_true", help="first learn the sites of these inputs; reads them twice")
    _add_site_field(parser)


def _add_options_of_explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-color", action="store_true", help="plain text")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw it as a picture instead of printing it")
    parser.add_argument("--width", type=int, metavar="COLUMNS", help="instead of the terminal's width (100 for --svg)")
    _add_reading(parser)
    _add_config(parser)


def _add_options_of_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    _add_config(parser)


def _add_options_of_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", metavar="NAME", help="where to listen (default: 127.0.0.1)")
    parser.add_argument("--port", type=_port, default=8000, metavar="N", help="default: 8000; 0 for any that is free")
    parser.add_argument("--jobs", type=_whole, default=1, metavar="N", help="worker processes (default: 1)")
    parser.add_argument(
        "--max-mb", type=_megabytes, default=64.0, metavar="N", help="size of a request, unpacked (default: 64)"
    )
    parser.add_argument(
        "--max-requests", type=_whole, default=64, metavar="N", help="requests worked on at a time (default: 64)"
    )
    parser.add_argument(
        "--stop-s",
        type=float,
        default=30.0,
        metavar="N",
        help="how long they may take to end when stopped (default: 30)",
    )
    _add_config(parser)


def _add_options_of_review(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port, default=0, metavar="N", help="of the page (default: any that is free)")
    _add_config_file(parser)


_OPTIONS_OF: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "run": _add_options_of_run,
    "explain": _add_options_of_explain,
    "evaluate": _add_options_of_evaluate,
    "serve": _add_options_of_serve,
    "review_page": _add_options_of_review,
}
"""By table of a configuration file."""


def _add_reading(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("reading")
    group.add_argument(
        "--from",
        dest="kind",
        choices=("text", "html", "jsonl", "csv", "tsv", "parquet", "warc"),
        help="what standard input is, and files whose name does not tell (standard input is guessed by default)",
    )
    for name, text in (("text", "text"), ("html", "page of HTML"), ("url", "address"), ("id", "name")):
        group.add_argument(
            f"--{name}-field",
            default=name,
            metavar="NAME",
            help=f"the field or column that holds a record's {text} (default: {name})",
        )


def _add_work(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("workers and shards")
    group.add_argument(
        "--jobs",
        type=_whole,
        metavar="N",
        help="worker processes; 0: this process, without limits of time and memory (default: 1; 0 for one shard)",
    )
    group.add_argument(
        "--shard-mb",
        type=_megabytes,
        default=16.0,
        metavar="N",
        help="MB of input that are worked on, and lost when the run is stopped, at a time (default: 16)",
    )
    group.add_argument("--no-resume", action="store_true", help="begin anew where a stopped run could go on")
    group.add_argument(
        "--shard", metavar="I/N", help="do the I-th of N shares only; the command without it joins the results"
    )
    group.add_argument("--engine", choices=("local", "dask"), default="local", help="where the workers are")
    group.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask scheduler, or the file it wrote")
    group = parser.add_argument_group("progress")
    group.add_argument("--log-json", action="store_true", help="one JSON object for each event on standard error")
    group.add_argument("--metrics", type=Path, metavar="FILE", help="counts for Prometheus, written every 10 s")


def _whole(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 0 or more")
    return int(text)


def _port(text: str) -> int:
    if (number := _whole(text)) > _MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; they go up to {_MAX_PORT}")
    return number


def _megabytes(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (number := float(text)) < 1e6:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of MB, above 0")


def _add_site_field(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--site-field",
        default="",
        metavar="NAME",
        help="a field that names the site a record is learned for, not its url",
    )


def _add_config_file(group: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--config",
        type=Path,
        default=_CONFIG if _CONFIG.is_file() else None,
        metavar="FILE",
        help=f"options in TOML; those given here come before them (default: {_CONFIG}, if it is there)",
    )


def _add_preparing(group: argparse._ArgumentGroup) -> None:
    _add_config_file(group)
    group.add_argument(
        "--extractor", choices=get_args(Extractor), help="what helps find the main text of HTML (default: trafilatura)"
    )


def _add_config(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("analysis")
    _add_preparing(group)
    group.add_argument(
        "--rules", action="append", default=[], metavar="PACK", help="a rule pack (TOML) besides the shipped ones"
    )
    group.add_argument(
        "--profile", action="append", default=[], metavar="FILE", help="a site profile, made by textsieve learn"
    )
    group.add_argument(
        "--decisions", action="append", default=[], metavar="FILE", help="what people decided, from textsieve review"
    )
    group.add_argument(
        "--preset", choices=get_args(Preset), help="how much genuine text the cleaner may risk (default: balanced)"
    )
    group.add_argument("--detector", choices=get_args(Detector), help="what identifies languages (default: mixture)")
    for option, text in (
        ("--languages", "the only languages there can be, for example en,es"),
        ("--keep-language", "drop the parts in other languages"),
        ("--drop-language", "drop the parts in these languages"),
    ):
        group.add_argument(option, action="append", default=[], metavar="TAG[,TAG]", help=text)
    group.add_argument("--min-part-chars", type=int, metavar="N", help="drop shorter parts")
    group.add_argument(
        "--second-opinion", action="store_true", default=None, help="note what langdetect says of each part's language"
    )
    group.add_argument(
        "--review", action="store_true", default=None, help="also list what is only a little suspicious, to look at"
    )
    group.add_argument(
        "--measures", action="store_true", default=None, help="add numbers about quality (Gopher, C4, FineWeb and more)"
    )
    group.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar="LABEL=ACTION",
        help=f"what is done with {', '.join(LABELS[1:])}: strip, flag or keep",
    )


def _preparing_config(options: argparse.Namespace) -> Config:
    config = Config.from_toml(options.config) if options.config else Config()
    return replace(config, extractor=options.extractor) if options.extractor else config


def _config(options: argparse.Namespace) -> Config:
    config = _preparing_config(options)
    given: dict[str, Any] = {
        name: getattr(options, name)
        for name in ("preset", "detector", "min_part_chars", "second_opinion", "review", "measures")
        if getattr(options, name) is not None
    }
    for name, option in _LANGUAGE_LISTS.items():
        if getattr(options, option):
            given[name] = tuple(tag.strip() for text in getattr(options, option) for tag in text.split(","))
    if options.rules:
        given["rules"] = (*config.rules, *options.rules)
    if options.profile:
        given["profiles"] = (*config.profiles, *options.profile)
    if options.decisions:
        given["decisions"] = (*config.decisions, *options.decisions)
    if options.policy:
        actions = dict(_label_action(text) for text in options.policy)
        wanted = Config.from_mapping({"policy": actions}, where="--policy").policy
        given["policy"] = replace(config.policy, **{label: getattr(wanted, label) for label in actions})
    return replace(config, **given)


def _own_options(table: str) -> dict[str, argparse.Action]:
    """Return the options of a table's command that are no options of the analysis, by their names in a file."""
    everything = argparse.ArgumentParser(add_help=False)
    _OPTIONS_OF[table](everything)
    analysis = argparse.ArgumentParser(add_help=False)
    _add_config(analysis)
    others = {action.dest for action in analysis._actions}
    return {
        action.option_strings[-1].lstrip("-").replace("-", "_"): action
        for action in everything._actions
        if action.dest not in others
    }


def _from_file(options: argparse.Namespace) -> list[str]:
    """Return the command's own options from the configuration file, as they are written on the command line."""
    # Those of other commands are checked too: nobody should find out later.
    tables = _tables(options.config)
    return tables.get({"config": "run", "review": "review_page"}.get(options.name, options.name), [])


def _tables(path: Path) -> dict[str, list[str]]:
    """Return the options in each command's table of a configuration file, as they are written on the command line."""
    tables = read_toml(path)
    given: dict[str, list[str]] = {}
    for key in tables.keys() - _ANALYSIS - set(COMMAND_TABLES):
        if owners := [f"[{name}]" for name in COMMAND_TABLES if key in _own_options(name)]:
            raise ConfigError(f"{path}: {key} is an option of {' and '.join(owners)}; write it below that")
        raise unknown_option(key, _ANALYSIS.union(COMMAND_TABLES), str(path))
    for name in COMMAND_TABLES:
        if not isinstance(tables.get(name, {}), dict):
            raise ConfigError(f"{path}: {name} is a table; write [{name}], and its options below")
        own = _own_options(name)
        given[name] = [
            text for key, value in tables.get(name, {}).items() for text in _argument(key, value, own, path, name)
        ]
    return given


def _argument(key: str, value: Any, own: Mapping[str, argparse.Action], path: Path, table: str) -> list[str]:
    where = f"{path}: [{table}]"
    if key not in own:
        if key in _ANALYSIS:
            raise ConfigError(f"{where}: {key} is an option of the analysis; write it at the top, before all tables")
        raise unknown_option(key, own, where)
    action = own[key]
    option = action.option_strings[-1]
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise ConfigError(f"{where}: {key} = {value!r}: use true or false")
        return [option] * value
    if isinstance(value, bool | list | dict):
        raise ConfigError(f"{where}: {key} = {value!r}: use a single value")
    try:
        wrong = action.type is not None and callable(action.type) and action.type(str(value)) is None
    except (ValueError, argparse.ArgumentTypeError):
        wrong = True
    if wrong or (action.choices is not None and value not in action.choices):
        known = ", ".join(map(str, action.choices)) if action.choices else ""
        known = f"use one of {known}" if known else f"see textsieve {table.removesuffix('_page')} --help"
        raise ConfigError(f"{where}: {key} = {value!r}: {known}")
    return [f"{option}={value}"]


def _print_config(options: argparse.Namespace) -> int:
    config = _config(options)
    values = {item.name: getattr(config, item.name) for item in fields(config) if item.name != "policy"}
    for name, value in values.items():
        print(f"{name} = {_toml(value)}")
    print("\n[policy]")
    for label in LABELS[1:]:
        print(f"{label} = {_toml(config.policy.action(label))}")
    tables = _tables(options.config) if options.config else {}
    for table in COMMAND_TABLES:
        # Those of run may also be given on this command line.
        values_of = options
        if table != "run":
            parser = argparse.ArgumentParser()
            _OPTIONS_OF[table](parser)
            values_of = parser.parse_args(tables.get(table, []))
        print(f"\n[{table}]")
        for name, action in _own_options(table).items():
            value = getattr(values_of, action.dest)
            # What has no value cannot be written down.
            print(f"# {name} is not set" if value is None else f"{name} = {_toml(value)}")
    return 0


def _toml(value: Any) -> str:
    r"""Return a value as TOML writes it; None, which it does not have, as false.

    >>> _toml(("a", "b")), _toml(None), _toml(0.5), _toml(Path("é\\"))
    ('["a", "b"]', 'false', '0.5', '"é\\\\"')
    """
    import json

    if value is None or isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_toml, value))}]"
    # The strings of JSON are strings of TOML, but for DEL.
    return (
        str(value)
        if isinstance(value, int | float)
        else json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007F")
    )


def _label_action(text: str) -> tuple[str, str]:
    label, sign, action = text.partition("=")
    if not sign:
        raise UsageError(f"--policy {text}: write it as LABEL=ACTION, for example spam=strip")
    return label, action


def _reader(
    options: argparse.Namespace, config: Config, skip: str | Path | None = None, stdin: BinaryIO | None = None
) -> Reader:
    from .readers import Fields, Reader

    fields = Fields(options.text_field, options.html_field, options.url_field, options.id_field)
    return Reader(config.max_text_chars, options.kind, fields, skip, stdin)


def _run(options: argparse.Namespace) -> int:
    from .progress import SHOWN, Report
    from .readers import STDIN
    from .remote import output_folder

    if not options.out:
        raise UsageError("-o is empty; name a folder, or - for standard output")
    config, scheduler = _config(options), _scheduler(options)
    is_stream = options.out == STDIN
    # A stream has no place for what cannot be used, so all of it is said.
    with Report(shown=None if is_stream else SHOWN, log_json=options.log_json, metrics=options.metrics) as report:
        if is_stream:
            return _run_stream(options, config, None, report)
        with output_folder(options.out, force=options.force) as folder:
            if STDIN in options.inputs:
                return _run_stream(options, config, folder, report)
            return _run_shards(options, config, folder, report, scheduler)


def _own_stdin() -> BinaryIO | None:
    """Return standard input in an object of its own: Python's must not be in use by a thread when the process ends."""
    try:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    except (AttributeError, OSError):  # it is closed, or not a file
        return None


def _run_stream(options: argparse.Namespace, config: Config, folder: Path | None, report: Report) -> int:
    """Work on inputs as they come, in this process."""
    from .batch import run
    from .readers import STDIN
    from .shards import State

    for name in ("jobs", "shard", "scheduler"):
        if getattr(options, name):
            place = "standard input" if folder else "standard output"
            raise UsageError(f"--{name}: {place} is for one process; name files, and a folder with -o")
    # What comes in at one end is waited for at the other.
    is_live = folder is None and options.inputs == [STDIN]
    skip = None if folder is None else options.out
    with contextlib.ExitStack() as stack:
        writer = _writer(options, folder, config)
        if folder:
            stack.enter_context(State(folder)).begin_alone(force=options.force)
        stack.enter_context(writer)
        informed = stack.enter_context(_with_learned(options, config, skip))
        items = _reader(options, config, skip, _own_stdin() if is_live else None).read(options.inputs)
        summary = run(items, writer, informed, report.outcome, _MAX_WAIT_S if is_live else None)
    report.finish(summary, skip)
    return 1 if summary.rejected else 0


def _run_shards(options: argparse.Namespace, config: Config, folder: Path, report: Report, scheduler: str) -> int:
    """Work on shards of the inputs, here or elsewhere, and join the results when all are there."""
    from .batch import check_read
    from .remote import is_remote
    from .shards import State, settings_of
    from .workers import Engine

    share = _share(options)
    if share and is_remote(options.out):
        raise UsageError(
            f"--shard: {options.out} cannot hold the work of several runs; name a folder that all can reach"
        )
    engine = Engine(options.jobs, scheduler)
    if options.learn and (share or engine.scheduler):
        raise UsageError("--learn is for one machine; make a profile with textsieve learn, and name it with --profile")
    removed_text, shard_bytes = not options.no_removed_text, max(1, int(options.shard_mb * 1e6))
    # Made before anything else: it refuses a folder that holds results.
    writer = _writer(options, folder, config)
    with State(folder, share) as state, _with_learned(options, config, options.out) as informed:
        try:
            reader = _reader(options, informed, skip=options.out)
            settings = settings_of(informed, reader, removed_text=removed_text, shard_bytes=shard_bytes)
            if options.no_resume:
                state.clear()
            state.plan(reader.plan(options.inputs, shard_bytes), settings, force=options.force)
            # Read twice rather than held: there may be millions of files.
            size = sum(shard.size for shard in state.to_do(reader, informed, removed_text=removed_text))
            report.begin(state.shards, state.done(), size)
            todo = state.to_do(reader, informed, removed_text=removed_text)
            done = engine.run(todo, report.hear, is_small=state.shards == 1 and not share)
            with contextlib.closing(done):
                for shard in done:
                    report.done(shard)
            if share:
                left = state.shards - state.done()
                report.say(f"share {options.shard} is done; {left:,} of {state.shards:,} shards are left to others")
                report.say("the same command without --shard joins the results when all are done")
                return 0
            with writer:
                state.join(writer, report.joined)
                try:
                    check_read(writer.summary)
                except UsageError:
                    state.clear()  # there is nothing to go on with
                    raise
            state.clear()
        except (KeyboardInterrupt, SystemExit, OSError) as error:
            if is_remote(options.out) or not state.done():
                raise
            return _stopped(error, options.out, f"{state.done():,} of {state.shards:,} shards are done")
    report.finish(writer.summary, options.out)
    return 1 if writer.summary.rejected else 0


def _stopped(error: BaseException, out: str, how_far: str) -> int:
    how_on = f"{how_far}; give the same command again to go on"
    if isinstance(error, KeyboardInterrupt):
        return _fail(f"interrupted; {how_on}", _INTERRUPTED)
    if isinstance(error, OSError):
        return _fail(f"{error.filename or out}: {error.strerror}; {how_on}")
    print(f"textsieve: terminated; {how_on}", file=sys.stderr)
    raise error


def _share(options: argparse.Namespace) -> tuple[int, int] | None:
    if not options.shard:
        return None
    found = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", options.shard)
    if not found or int(found[1]) > int(found[2]):
        raise UsageError(f"--shard {options.shard}: write it as I/N, from 1/N to N/N, for example 3/16")
    if options.force or options.no_resume:
        raise UsageError(
            "--shard shares a run with others, whose work --force and --no-resume would drop; leave them out"
        )
    return int(found[1]), int(found[2])


def _scheduler(options: argparse.Namespace) -> str:
    if (options.engine == "dask") != bool(options.scheduler):
        raise UsageError("--engine dask and --scheduler ADDRESS go together")
    return str(options.scheduler or "")


@contextlib.contextmanager
def _with_learned(options: argparse.Namespace, config: Config, skip: str | None) -> Iterator[Config]:
    """Yield the config, and with --learn a profile of the inputs themselves in it."""
    from .readers import STDIN

    if not options.learn:
        if options.site_field:
            raise UsageError("--site-field goes with --learn; a profile knows its own")
        yield config
        return
    if STDIN in options.inputs:
        raise UsageError("--learn reads the input twice, which standard input cannot be; save it to a file")
    from .profiles import write_profile

    with tempfile.TemporaryDirectory(prefix="textsieve-") as folder:
        path = Path(folder) / "learned.profile"
        # What cannot be read is reported when it is read again.
        write_profile(_learned_profile(options, config, skip, lambda outcome: None), path)
        yield replace(config, profiles=(*config.profiles, str(path)))


def _learned_profile(
    options: argparse.Namespace, config: Config, skip: str | None, report: Callable[[Rejection], None]
) -> Profile:
    from .batch import Analysed, prepare_items
    from .profiles import learn

    def documents() -> Iterator[Document]:
        is_empty = True
        for outcome in prepare_items(_reader(options, config, skip).read(options.inputs), config):
            if isinstance(outcome, Analysed):
                is_empty = False
                yield outcome.document
            else:
                report(outcome)
        if is_empty:
            raise UsageError("nothing could be read; name files or folders that exist")

    return learn(documents(), site_field=options.site_field)


def _learn(options: argparse.Namespace) -> int:
    from .decisions import load_decisions
    from .profiles import merge, read_profile, with_decisions, write_profile
    from .progress import Report

    if not options.inputs and not options.profile:
        raise UsageError("nothing to learn from; name an INPUT, or profiles to add up with --profile")
    if options.out.exists() and not options.force:
        raise UsageError(f"{options.out}: is there already; name another file, or replace it with --force")
    if not options.out.parent.is_dir():
        raise UsageError(f"{options.out.parent}: no such folder; make it first")
    profiles = [read_profile(path) for path in options.profile]
    decisions = load_decisions(tuple(options.decisions))
    report = Report()
    if options.inputs:
        profiles.append(_learned_profile(options, _preparing_config(options), None, report.reject))
    decided = {
        host: {key: span.label == "boilerplate" for key, span in lines.items() if span is not None}
        for host, lines in decisions.by_site.items()
    }
    profile = with_decisions(merge(profiles), decided)
    report.say_how_many_more()
    hosts = profile.hosts.values()
    if not hosts:
        field = f"field {options.site_field!r}" if options.site_field else "url"
        print(f"textsieve: no site has two different pages; a record names its site in its {field}", file=sys.stderr)
    write_profile(profile, options.out)
    facts = [
        f"sites with two pages or more: {len(hosts):,}",
        f"their pages: {sum(host.pages for host in hosts):,}",
        f"lines that come back: {sum(len(host.lines) for host in hosts):,}",
        f"set aside {report.rejections:,}",
    ]
    print(f"{'; '.join(facts)}; profile in {options.out}", file=sys.stderr)
    return 1 if report.rejections else 0


def _writer(options: argparse.Namespace, folder: Path | None, config: Config) -> Writer:
    from .exports import ENDINGS
    from .writers import FolderWriter, StreamWriter

    keeps_removed = not options.no_removed_text
    if folder is not None:
        return FolderWriter(
            folder,
            config,
            text=options.to == "text",
            bitext=options.to == "bitext",
            by_language=options.by_language,
            export=options.to if options.to in ENDINGS else None,
            force=options.force,
            removed_text=keeps_removed,
        )
    if options.to != "jsonl":
        raise UsageError(f"--to {options.to} writes files; name a folder with -o")
    if options.by_language:
        raise UsageError("--by-language writes files; name a folder with -o")
    return StreamWriter(sys.stdout.buffer, removed_text=keeps_removed)


def _explain(options: argparse.Namespace) -> int:
    from .batch import Analysed, analyse
    from .explain import console_for, legend, picture, render
    from .shards import write_whole

    config = _config(options)
    is_picture = options.svg is not None
    console = console_for(options.width or (100 if is_picture else None), color=not options.no_color, record=is_picture)
    failed = shown = 0
    for outcome in analyse(_reader(options, config).read(options.inputs), config):
        if isinstance(outcome, Analysed):
            if not shown:
                console.print(legend(outcome.document))
            console.print(render(outcome.document), crop=False)
            shown += 1
        else:
            failed += 1
            print(f"textsieve: {outcome.error}", file=sys.stderr)
    if not shown:
        raise UsageError("nothing to show; every input was set aside")
    if is_picture:
        write_whole(options.svg, picture(console).encode())
    return 1 if failed else 0


def _restore(options: argparse.Namespace) -> int:
    from .progress import SHOWN
    from .remote import is_remote, local_copy
    from .restore import restore

    if options.out is None and is_remote(options.results):
        raise UsageError(f"{options.results}: say where to restore to, with -o DIR")
    results = Path(options.results)
    folder = options.out or (results if results.is_dir() else results.parent) / "restored"
    written = failed = 0
    with local_copy(options.results) as copy:
        for result in restore(copy, folder):
            if isinstance(result, Path):
                written += 1
            else:
                failed += 1
                if failed <= SHOWN:
                    print(f"textsieve: {result}", file=sys.stderr)
    if failed > SHOWN:
        print(f"textsieve: and {failed - SHOWN:,} more", file=sys.stderr)
    print(f"{written:,} restored to {folder}, {failed:,} not", file=sys.stderr)
    return 1 if failed else 0


def _serve(options: argparse.Namespace) -> int:
    from .serve import Limits, serve

    limits = Limits(round(options.max_mb * 1e6), max(1, options.max_requests), stop_s=options.stop_s)
    serve(_config(options), limits, host=options.host, port=options.port, jobs=max(1, options.jobs))
    return 0


def _review(options: argparse.Namespace) -> int:
    if options.export is None:
        from .review_page import serve_review

        serve_review(options.results, port=options.port)
        return 0
    from .review import JOURNAL, Journal, Run, export
    from .shards import write_whole

    run = Run(options.results)
    if not (options.results / JOURNAL).is_file():
        raise UsageError(f"{options.results / JOURNAL}: no decisions yet; run textsieve review {options.results} first")
    journal = Journal(options.results / JOURNAL)
    lines = list(export(run, journal))
    journal.close()
    write_whole(options.export, b"".join(lines))
    print(f"textsieve: decisions about {len(lines):,} documents in {options.export}", file=sys.stderr)
    return 0


def _report(options: argparse.Namespace) -> int:
    from .progress import Report
    from .readers import Rejection
    from .remote import local_copy
    from .report import build_report
    from .shards import write_whole

    if options.out.exists() and not options.force:
        raise UsageError(f"{options.out}: is there already; name another file, or replace it with --force")
    if not options.out.parent.is_dir():
        raise UsageError(f"{options.out.parent}: no such folder; make it first")
    told = Report()
    with local_copy(options.results) as copy:
        page = build_report(
            copy,
            tell=lambda error: told.reject(Rejection(error)),
            log=options.log,
            samples=options.samples,
            seed=options.seed,
            name=options.results.rstrip("/").rpartition("/")[2].strip("."),  # a copy has a name of its own
        )
    told.say_how_many_more()
    write_whole(options.out, page)
    print(f"textsieve: {len(page) / 1e6:,.1f} MB in {options.out}; open it in a browser", file=sys.stderr)
    return 1 if told.rejections else 0


def _rules(options: argparse.Namespace) -> int:
    from .rules import check, load_packs

    rules = load_packs(options.rules, every=True)
    if options.check:
        problems = check(rules)
        for problem in problems:
            print(f"textsieve: {problem}", file=sys.stderr)
        print(f"{len(rules.rules):,} rules, {len(problems):,} problems", file=sys.stderr)
        return 1 if problems else 0
    for rule in rules.rules:
        kind = f"{rule.label}/{rule.category}" if rule.category else rule.label
        print(f"{rule.source:<32} {kind:<24} {rule.lang or '-':<4} {' '.join(rule.why.split())}")
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from .evaluation import evaluate

    result = evaluate(options.gold, _config(options))
    print(result.table())
    if options.json:
        import json

        from .shards import write_whole

        text = json.dumps(result.as_dict(), indent=2, ensure_ascii=False)
        write_whole(options.json, f"{text}\n".encode())
    return 0


def _train(options: argparse.Namespace) -> int:
    if not options.data.is_dir():
        raise UsageError(f"{options.data}: no such folder; name the one with the labelled data")
    if options.model == "lines":
        from .training import train_lines

        train_lines(options.data, options.out, gold=options.gold)
    elif options.model == "blocks":
        if options.gold:
            raise UsageError("--gold labels text; blocks are learned from pages of HTML, leave it out")
        from .training_blocks import train_blocks

        train_blocks(options.data, options.out)
    else:
        from .training_sections import train_sections

        train_sections(options.data, options.out, options.gold)
    return 0


def _schema(options: argparse.Namespace) -> int:
    print((Path(__file__).parent / "output.schema.json").read_text(encoding="utf-8"), end="")
    return 0


def _completion(options: argparse.Namespace) -> int:
    import shtab

    def complete_files(parser: argparse.ArgumentParser) -> None:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for sub in action.choices.values():
                    complete_files(sub)
            elif action.metavar in _FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            elif action.metavar in _FOLDERS:
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]

    parser = build_parser()
    complete_files(parser)
    print(shtab.complete(parser, shell=options.shell))
    return 0
