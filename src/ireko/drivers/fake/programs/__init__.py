"""The toy guest's programs. They know the few options that tests and people use."""

from __future__ import annotations

from ireko.drivers.fake.process import Program
from ireko.drivers.fake.programs import files, system, text
from ireko.drivers.fake.sh import sh

PROGRAMS: dict[str, Program] = {**text.PROGRAMS, **files.PROGRAMS, **system.PROGRAMS, "sh": sh, "ash": sh, "bash": sh}
