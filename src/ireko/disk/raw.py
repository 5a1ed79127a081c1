"""Raw disks: the guest's bytes and nothing else, with holes where the file system can have them."""

from __future__ import annotations

from collections.abc import Iterator

from ireko.disk.base import Allocation, Extent, ExtentKind, Layer, LayerInfo, LayerWriter, NewLayer, Problem, Progress
from ireko.disk.copying import copy_range
from ireko.disk.files import DiskFile
from ireko.disk.formats import Format
from ireko.disk.output import Output
from ireko.errors import InvalidInput, Unsupported

_SECTOR = 512


def open_raw(file: DiskFile) -> RawLayer:
    """Open a raw disk; any file is one. A last sector that is not whole is filled with zeros."""
    return RawLayer(file)


class RawLayer(Layer):
    """A raw disk, open for reading."""

    def __init__(self, file: DiskFile) -> None:
        size = -(-file.length() // _SECTOR) * _SECTOR
        super().__init__(file, LayerInfo(file.path, "raw", Allocation.FIXED, size))

    def check(self, progress: Progress) -> Iterator[Problem]:
        """As promised: there are no structures."""
        progress.begin(0)
        return iter(())

    def allocated(self, start: int = 0, end: int | None = None) -> Iterator[Extent]:
        """As promised: all of it is one run."""
        end = self.info.size if end is None else end
        self._check_range(start, end)
        if start < end:
            yield Extent(start, end - start, ExtentKind.DATA, start)

    def _extents(self, start: int, end: int) -> Iterator[Extent]:
        place = start
        for first, last in self.file.data_ranges(start, end):
            first = max(place, first // _SECTOR * _SECTOR)  # noqa: PLW2901
            last = min(end, -(-last // _SECTOR) * _SECTOR)  # noqa: PLW2901
            yield Extent(place, first - place, ExtentKind.ABSENT)
            yield Extent(first, last - first, ExtentKind.DATA, first)
            place = max(place, last)
        yield Extent(place, end - place, ExtentKind.ABSENT)


def create_raw(output: Output, new: NewLayer) -> RawWriter:
    """Begin a raw disk. Raises Unsupported for one with a parent; InvalidInput for sizes that are not whole sectors."""
    if new.parent or new.allocation is Allocation.DIFFERENCING:
        raise Unsupported("raw disks have no parents", hint="use qcow2 or vhdx")
    if new.size <= 0 or new.size % max(_SECTOR, new.sector_size):
        raise InvalidInput(f"the size is {new.size}, it must be a multiple of {max(_SECTOR, new.sector_size)} above 0")
    return RawWriter(output, new)


class RawWriter(LayerWriter):
    """Makes a raw disk."""

    def __init__(self, output: Output, new: NewLayer) -> None:
        super().__init__(new)
        self._output = output
        self._file = output.file

    def finish(self) -> None:
        """As promised."""
        self._file.grow(self.new.size)
        self._output.publish()

    def abort(self) -> None:
        """As promised."""
        self._output.discard()

    def _write_data(self, offset: int, data: memoryview) -> None:
        self._file.write(offset, data)

    def _copy_from(self, source: DiskFile, source_offset: int, offset: int, length: int) -> None:
        copy_range(source, source_offset, self._file, offset, length)

    def _write_zero(self, offset: int, length: int) -> None:
        pass  # the file is new


FORMAT = Format("raw", (".raw",), lambda _: False, open_raw, create_raw)
