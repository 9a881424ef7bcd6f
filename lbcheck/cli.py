"""`lbcheck`: the command line beside pytest. Each subcommand imports what it needs when it is called."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import lbcheck
from lbcheck.errors import LbcheckError, UsageError

USAGE_ERROR = 4  # as pytest's


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0, 1 where something was found wrong, 4 for what cannot be carried out."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["serve"]:  # its options are the balancer's own
        return serve(words[1:])
    if words[:1] == ["backend"]:
        return backend(words[1:])
    arguments = _parser().parse_args(words)
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
    except LbcheckError as error:
        print(f"lbcheck: {error}", file=sys.stderr)
        return USAGE_ERROR
    except BrokenPipeError:  # the reader has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lbcheck",
        description="Does this load balancer do what its configuration says, also while things break?",
        epilog="A balancer is judged by pytest: pytest --lb-target=reference",
    )
    parser.add_argument("--version", action="version", version=f"lbcheck {lbcheck.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("doctor", help="what this machine can carry, and how to get what is missing")
    command.set_defaults(run=doctor)
    command = commands.add_parser("schema", help="print the JSON Schema of lb.yaml, for editors")
    command.set_defaults(run=schema)
    command = commands.add_parser(
        "explain", help="what a check claims, why, and what it catches; without ID: list them"
    )
    command.add_argument("id", nargs="?", metavar="ID", help="a check's id, such as ALG-01")
    command.set_defaults(run=explain)
    command = commands.add_parser(
        "demo",
        help="see a red run in seconds: the reference with one defect, then without it",
        description="Runs the checks that name a defect on the reference balancer with that defect, then without it; "
        "no Docker, no root. Exit code: 0 where the first was broken and the second held, 1 where not, 4 for a defect "
        "that is not known.",
    )
    command.add_argument("--defect", metavar="NAME", help="which one (default: post-repeated)")
    command.add_argument("--list", action="store_true", help="name the defects that can be shown")
    command.add_argument("--report-dir", metavar="FOLDER", default="lbcheck-demo", help="default: %(default)s")
    command.set_defaults(run=demo)
    command = commands.add_parser(
        "judge",
        help="judge a saved history again, without its balancer",
        description="Judges a saved history again: the very judgements that its check made, each when it was made, and "
        "what holds of every history. Exit code: 0 all hold, 1 one is broken, 12 one cannot be decided or repeated and "
        "none is broken, 4 the file cannot be judged.",
    )
    command.add_argument("file", metavar="FILE", help="the history.jsonl of a run's evidence")
    command.set_defaults(run=judge)
    command = commands.add_parser(
        "diff",
        help="show what a balancer does otherwise in one run than in another",
        description="Compares two runs case by case: configurations, versions or products. Exit code: 0, 1 where "
        "something got worse (broken, or unsupported where it was kept), 12 where nothing did and something that was "
        "decided no longer is, 4 where a run cannot be read.",
    )
    command.add_argument("old", metavar="OLD", help="a run's run.json, or the folder of its report")
    command.add_argument("new", metavar="NEW", help="the one to be compared with it")
    command.add_argument("--markdown", action="store_true", help="for a pull request, instead of a terminal")
    command.set_defaults(run=diff)
    command = commands.add_parser(
        "certify",
        help="run the whole battery on several balancers: one table of what each keeps",
        description="Runs the battery on each balancer and writes index.html, balancers.md, certificate.json and "
        "outcomes.yaml. Exit code: 0, or 1 where --expected is given and an outcome is another than the file says.",
    )
    command.add_argument("targets", nargs="+", metavar="TARGET", help="as in --lb-target: haproxy nginx reference ...")
    command.add_argument("--report-dir", metavar="FOLDER", default="lbcheck-certificate", help="default: %(default)s")
    command.add_argument("--expected", metavar="FILE", help="outcomes.yaml of an earlier run; differences are told")
    command.add_argument("--only", metavar="IDS", default="", help="these checks alone, as --lb-only")
    command.add_argument("--features", metavar="LIST", default="", help="of exec:COMMAND, as --lb-features")
    command.add_argument("-n", type=int, default=0, metavar="WORKERS", help="pytest-xdist workers (default: none)")
    command.set_defaults(run=certify)
    command = commands.add_parser(
        "init",
        help="write lb.yaml and a CI workflow from a balancer's own configuration",
        description="Reads a configuration and writes lb.yaml, with the line that each field rests on, and "
        ".github/workflows/lbcheck.yml; prints what was understood in part, ignored and refused, each with its reason. "
        "Variables are taken from the environment. Exit code: 0, or 4 where a file is there already or cannot be read.",
    )
    command.add_argument(
        "--from", dest="sources", nargs="+", required=True, metavar="FILE", help="files or folders, in their order"
    )
    command.add_argument("--target", metavar="NAME", help="whose it is: haproxy or nginx (default: the files tell)")
    command.add_argument("--into", default=".", metavar="FOLDER", help="where to write (default: here)")
    command.add_argument("--force", action="store_true", help="overwrite what is there")
    command.set_defaults(run=init)
    command = commands.add_parser("image", help="build the image of the docker lab: lbcheck image build")
    actions = command.add_subparsers(required=True, metavar="build")
    command = actions.add_parser(
        "build",
        help="build it",
        description="Builds the image that containers of the docker lab are made of. Without a registry: --base=host, "
        "an empty image into which this machine's programs are bound, read-only, or --base=debian, made by mmdebstrap "
        "from the machine's own package sources. Exit code: 0, or 4 where it cannot be built.",
    )
    command.add_argument("--base", metavar="IMAGE", default="python:3.12-slim", help="default: %(default)s")
    command.add_argument("--tag", metavar="NAME", default="", help="what to call it (default: lbcheck and its version)")
    command.set_defaults(run=image)
    commands.add_parser("serve", help="run the reference balancer on a spec: lbcheck serve lb.yaml")
    commands.add_parser("backend", help="run an instrumented backend, to stand behind a balancer that runs already")
    return parser


def doctor(_: argparse.Namespace) -> int:
    from lbcheck.doctor import report

    text, code = report()
    print(text)
    return code


def schema(_: argparse.Namespace) -> int:
    from lbcheck.spec.schema import json_schema

    print(json.dumps(json_schema(), indent=2))
    return 0


def explain(arguments: argparse.Namespace) -> int:
    from lbcheck.explanation import card, table
    from lbcheck.plugin.catalogue import everything

    checks = everything()
    if arguments.id is None:
        print(table(checks.values()))
        return 0
    check = checks.get(arguments.id.upper())
    if check is None:
        near = difflib.get_close_matches(arguments.id.upper(), checks, n=1, cutoff=0)
        raise UsageError(f"there is no check {arguments.id!r}", remedy=f"did you mean {near[0]}?" if near else "")
    print(card(check))
    return 0


def demo(arguments: argparse.Namespace) -> int:
    from lbcheck.demo import DEFECT, catching, play, table

    known = catching()
    if arguments.list:
        print(table(known))
        return 0
    try:
        for line in play(arguments.defect or DEFECT, Path(arguments.report_dir), known):
            print(line, flush=True)
    except UsageError:
        raise
    except LbcheckError as error:
        print(f"lbcheck: {error}", file=sys.stderr)
        return 1
    return 0


def certify(arguments: argparse.Namespace) -> int:
    from lbcheck.certification import certify, compare

    folder = Path(arguments.report_dir)
    told = certify(arguments.targets, folder, workers=arguments.n, only=arguments.only, features=arguments.features)
    for line in told:
        print(line, flush=True)
    different = compare(Path(arguments.expected), folder) if arguments.expected else []
    for line in different:
        print(line)
    return 1 if different else 0


def diff(arguments: argparse.Namespace) -> int:
    from lbcheck.plugin.exit_codes import Exit
    from lbcheck.report.comparison import Kind, compared, lines, markdown, worst
    from lbcheck.report.reading import read

    comparison = compared(read(Path(arguments.old)), read(Path(arguments.new)))
    print(markdown(comparison) if arguments.markdown else "\n".join(lines(comparison)))
    codes = {Kind.WORSE: Exit.FAILED, Kind.OPEN: Exit.INCONCLUSIVE}
    kind = worst(comparison.changes)
    return int(codes.get(kind, Exit.OK) if kind is not None else Exit.OK)


def init(arguments: argparse.Namespace) -> int:
    from lbcheck.importation import write

    sources = [Path(source) for source in arguments.sources]
    for line in write(sources, arguments.target, Path(arguments.into), force=arguments.force):
        print(line)
    return 0


def image(arguments: argparse.Namespace) -> int:
    from lbcheck.lab.docker_image import IMAGE, build

    build(arguments.base, arguments.tag or IMAGE, print)
    return 0


def judge(arguments: argparse.Namespace) -> int:
    from lbcheck.plugin.exit_codes import Exit
    from lbcheck.saved.rejudging import judge_again, lines_of
    from lbcheck.verdict import Outcome

    judged = judge_again(Path(arguments.file))
    for line in lines_of(judged):
        print(line)
    codes = {Outcome.HOLDS: Exit.OK, Outcome.BROKEN: Exit.FAILED, Outcome.INCONCLUSIVE: Exit.INCONCLUSIVE}
    return int(codes[judged.outcome])


def serve(words: Sequence[str]) -> int:
    from lbcheck.balancer.serve import main as run

    return int(run(list(words)) or 0)


def backend(words: Sequence[str]) -> int:
    from lbcheck.backends.serve import main as run

    return run(words)


if __name__ == "__main__":
    sys.exit(main())
