"""`benchmarks/run [NAME...] [--json]`: measure, print a line for each figure; the exit code is 1 when one is short."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence

from benchmarks import report
from benchmarks.daemon import daemon
from benchmarks.figure import Figure, Measured, measure
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
    parser.add_argument("names", nargs="*", metavar="NAME", help="the figures to measure; all of them by default")
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
    """The figures by name. Exits when there is none of a name, or it can't be measured without guests."""
    known = {figure.name: figure for figure in FIGURES}
    if unknown := [name for name in names if name not in known]:
        sys.exit(f'error: there is no figure "{unknown[0]}"\nhint: one of {", ".join(known)}')
    chosen = [known[name] for name in names] or [figure for figure in FIGURES if guests or not figure.guests]
    for figure in chosen:
        if figure.guests and not guests:
            sys.exit(f'error: "{figure.name}" means nothing without real guests\nhint: --driver qemu')
    return chosen


def _measured(figures: Sequence[Figure], driver: str) -> Iterator[Measured]:
    """Each figure in turn, all of them on one daemon."""
    with daemon(driver) as made:
        for figure in figures:
            print(f"== {figure.name}: {figure.about}", file=sys.stderr, flush=True)
            yield measure(figure, made)


if __name__ == "__main__":
    sys.exit(main())
