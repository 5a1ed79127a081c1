"""What is done with disks as a whole. Nothing is edited in place: each operation makes a new file, and one rename decides.

Each takes a `Progress`, raises Cancelled when that was cancelled, and leaves what was there as it was when it fails.
"""

from ireko.disk.operations.commit import commit
from ireko.disk.operations.compact import compact
from ireko.disk.operations.compare import first_difference
from ireko.disk.operations.convert import convert_layer, prove_counterpart
from ireko.disk.operations.flatten import flatten
from ireko.disk.operations.merge import merge, write_on_top
from ireko.disk.operations.rebase import rebase
from ireko.disk.operations.repair import repair
from ireko.disk.operations.resize import resize
from ireko.disk.operations.seal import seal

__all__ = [
    "commit",
    "compact",
    "convert_layer",
    "first_difference",
    "flatten",
    "merge",
    "prove_counterpart",
    "rebase",
    "repair",
    "resize",
    "seal",
    "write_on_top",
]
