"""`benchmarks/run [NAME...] [--json]`: measure, print a line for each figure; the exit code is 1 when one is short."""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import sys
from collections.abc import Iterator, Sequence

from benchmarks import report
from benchmarks.daemon import Daemon, daemon
from benchmarks.figure import Figure, Measured, Unmeasurable, measure
from benchmarks.figures import FIGURES


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what is asked for."""
    arguments = _parser().parse_args(argv)
    if arguments.list:
        print(report.listing(FIGURES))
        return 0
    figures = _chosen(arguments.names, guests=arguments.driver == "qemu")
    _warn_when_busy()
    if not arguments.json:
        print(report.heading())
    done = []
    for measured in _measured(figures, arguments.driver):
        done.append(measured)
        if not arguments.json:
            print(report.line(measured), flush=True)
    if arguments.json:
        print(report.as_json(done))
    return 0 if all(each.met for each in done) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmarks/run", description="Measure ireko beside its peers.", epilog=report.listing(FIGURES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="figures, or what their names begin with (disk); all by default"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, with every value")
    parser.add_argument("--list", action="store_true", help="list the figures and measure nothing")
    parser.add_argument(
        "--driver", choices=["qemu", "fake"], default="qemu", help="fake: only what needs no guest, in seconds"
    )
    return parser


def _warn_when_busy() -> None:
    load, processors = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if load > processors / 2:
        print(
            f"warning: the load is {load:.1f} with {processors} processors: what has a limit rather than a peer may seem short",
            file=sys.stderr,
        )


def _chosen(names: Sequence[str], *, guests: bool) -> list[Figure]:
    """The figures by name, or by a name's beginning. Exits when there is none, or it can't be measured without guests."""
    chosen = [figure for name in names for figure in _named(name)]
    chosen = chosen or [figure for figure in FIGURES if guests or not figure.guests]
    for figure in chosen:
        if figure.guests and not guests:
            sys.exit(f'error: "{figure.name}" means nothing without real guests\nhint: --driver qemu')
    return chosen


def _named(name: str) -> list[Figure]:
    found = [figure for figure in FIGURES if figure.name == name]
    found = found or [figure for figure in FIGURES if figure.name.startswith(f"{name}-")]
    if not found:
        known = ", ".join(figure.name for figure in FIGURES)
        sys.exit(f'error: there is no figure "{name}"\nhint: one of {known}')
    return found


def _measured(figures: Sequence[Figure], driver: str) -> Iterator[Measured]:
    """Each figure in turn, all of them on one daemon, which is started when it is first needed."""
    with contextlib.ExitStack() as stack:

        @functools.cache
        def started() -> Daemon:
            return stack.enter_context(daemon(driver))

        for figure in figures:
            print(f"== {figure.name}: {figure.about}", file=sys.stderr, flush=True)
            try:
                yield measure(figure, started)
            except Unmeasurable as reason:
                print(f"not measured: {reason}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
