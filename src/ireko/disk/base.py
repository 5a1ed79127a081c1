"""What every disk format does: one interface to read a layer, one to write one.

A layer is one file. It says which parent it was made on, and never looks for it: `ireko.disk.chain` does, within the folders that
the caller allows. Readers read on demand, so that opening takes the same time for any size, and never write. Writers make a new
file in one pass; under its name there is nothing, or all of it.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from types import TracebackType
from typing import NamedTuple, Self

from ireko.disk.closing import Closing
from ireko.disk.errors import Cancelled
from ireko.disk.files import Buffer, DiskFile, WritableBuffer


class ExtentKind(enum.Enum):
    """What a layer holds at a place."""

    DATA = "data"
    ZERO = "zero"
    """Zeros, which hide what the parent holds."""
    ABSENT = "absent"
    """Nothing: the parent's content shows, or zeros when there is none."""


class Extent(NamedTuple):
    """A run of one kind. `offset` and `length` are the guest's, in bytes.

    `file_offset` is where DATA lies in the file, one to one, so that the kernel can copy it; None when it lies there in another
    form (compressed, or changed by a log that is replayed in memory) and must come through `read_into`.
    """

    offset: int
    length: int
    kind: ExtentKind
    file_offset: int | None = None

    @property
    def end(self) -> int:
        """The offset after the run."""
        return self.offset + self.length


class Allocation(enum.Enum):
    """How a disk takes room."""

    FIXED = "fixed"
    DYNAMIC = "dynamic"
    DIFFERENCING = "differencing"


class PathKind(enum.Enum):
    """What a recorded path is relative to."""

    RELATIVE = "relative"
    """The folder of the child."""
    VOLUME = "volume"
    r"""A Windows volume: \\?\Volume{GUID}\folder\name."""
    ABSOLUTE = "absolute"


@dataclass(frozen=True)
class RecordedPath:
    """A path as a disk file records it: data from a stranger, not to be opened as it is."""

    kind: PathKind
    text: str
    windows: bool = False
    """Whether it is written in Windows' way, with backslashes."""

    def pure(self) -> PurePath:
        """The path, taken apart in its own way."""
        return PureWindowsPath(self.text) if self.windows else PurePosixPath(self.text)


@dataclass(frozen=True)
class ParentReference:
    """What a layer says of its parent.

    `paths` stand in the order in which they are to be tried. The parent is right when its `Identity.content` is one of
    `identities`; none when the format records no identity. `format` is the parent's, "" when that isn't recorded.
    """

    paths: tuple[RecordedPath, ...]
    identities: tuple[str, ...] = ()
    format: str = ""


@dataclass(frozen=True)
class Identity:
    """Who a disk is, as UUIDs in their usual lower-case form; "" where the format has none.

    `content` is what a child records of its parent: it changes whenever the content does. `disk` is what the guest sees, and is
    the same along a chain.
    """

    content: str = ""
    disk: str = ""


class Kept(NamedTuple):
    """A part of a file that means nothing here, and goes along when the file is written anew in its own format.

    `name` is a UUID, `of_user` sets such names apart from the format's own. What is `of_disk` belongs to the disk that the guest
    sees: a child takes it over from its parent, and a parent from the child that is merged into it. `is_required`: who doesn't
    know it must not open the file.
    """

    name: str
    data: bytes
    of_user: bool = False
    of_disk: bool = False
    is_required: bool = False


@dataclass(frozen=True)
class LayerInfo:
    """What a layer's file says of itself.

    `size` is the virtual size, `block_size` the unit of allocation, all in bytes. `dirty`: the file was not closed after its last
    use, or is in use right now; what was noted in its log is taken into account. `snapshots` is how many other states of the disk
    the file holds; they are left aside. `kept` goes along when the file is written anew. `details` are facts of the one format,
    for people.
    """

    path: Path
    format: str
    allocation: Allocation
    size: int
    sector_size: int = 512
    physical_sector_size: int = 512
    block_size: int = 0
    identity: Identity = Identity()
    parent: ParentReference | None = None
    dirty: bool = False
    snapshots: int = 0
    kept: tuple[Kept, ...] = ()
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """Something that `Layer.check` found; as in `DiskError`."""

    structure: str
    found: str
    wanted: str
    offset: int | None = None

    def __str__(self) -> str:
        place = "" if self.offset is None else f" at offset {self.offset}"
        return f"{self.structure}{place} is {self.found}, it must be {self.wanted}"


class Progress:
    """How far an operation is, and the way to stop it; may be used from any thread.

    `report` is called with (bytes done, bytes in all) by the thread that works.
    """

    def __init__(self, report: Callable[[int, int], None] | None = None) -> None:
        self._report = report
        self._cancelled = False
        self.done = 0
        self.total = 0

    def begin(self, total: int) -> None:
        """Say how much there will be to do."""
        self.done, self.total = 0, total
        self.advance(0)

    def advance(self, count: int) -> None:
        """Say how much more is done. Raises Cancelled when somebody called `cancel`."""
        if self._cancelled:
            raise Cancelled
        self.done += count
        if self._report:
            self._report(self.done, self.total)

    def cancel(self) -> None:
        """Have the operation stop at its next step."""
        self._cancelled = True


class Layer(Closing):
    """One disk file, open for reading: its own content, without its parent's.

    Every call raises DiskDamaged or DiskUnsupported for what the file holds, and the errors of `file_error`. Offsets outside the
    disk are the caller's mistake: ValueError.
    """

    def __init__(self, file: DiskFile, info: LayerInfo) -> None:
        self.file = file
        self.info = info

    def extents(self, start: int = 0, end: int | None = None) -> Iterator[Extent]:
        """What lies between two offsets of the guest's disk: without gaps, in order, neighbours of one kind joined.

        No data is read, only the file's tables. The first and last extent are cut to the range.
        """
        end = self.info.size if end is None else end
        self._check_range(start, end)
        return coalesce(self._extents(start, end))

    def allocated(self, start: int = 0, end: int | None = None) -> Iterator[Extent]:
        """As `extents`, but holes of the file may count as DATA: sooner listed, for those who ask the file for them anyway."""
        return self.extents(start, end)

    def read_into(self, offset: int, buffer: WritableBuffer) -> None:
        """Fill a buffer with this layer's own bytes; ZERO and ABSENT read as zeros."""
        view = memoryview(buffer)
        for extent in self.extents(offset, offset + len(view)):
            piece = view[extent.offset - offset : extent.end - offset]
            if extent.kind is not ExtentKind.DATA:
                piece[:] = bytes(len(piece))
            elif extent.file_offset is None:
                self._read_encoded(extent.offset, piece)
            else:
                count = self.file.read_into(extent.file_offset, piece)
                piece[count:] = bytes(len(piece) - count)

    def read(self, offset: int, length: int) -> bytes:
        """This layer's own bytes; see `read_into`."""
        self._check_range(offset, offset + length)
        buffer = bytearray(length)
        self.read_into(offset, buffer)
        return bytes(buffer)

    @abstractmethod
    def check(self, progress: Progress) -> Iterator[Problem]:
        """Look at every structure of the file, but at no data, and say what breaks the format's rules.

        What can be read all the same is said too (the second of two headers, for one). In a file that is all wrong there may be
        very many: take as many as are wanted.
        """

    @abstractmethod
    def _extents(self, start: int, end: int) -> Iterator[Extent]:
        """As `extents`, for a range that is inside the disk; neighbours need not be joined."""

    def _read_encoded(self, offset: int, view: memoryview) -> None:
        """Fill a view from a DATA extent without a file offset; for formats that have such."""
        raise NotImplementedError

    def close(self) -> None:
        """May be repeated."""
        self.file.close()

    def _check_range(self, start: int, end: int) -> None:
        if not 0 <= start <= end <= self.info.size:
            raise ValueError(f"the range {start} to {end} is not inside a disk of {self.info.size} bytes")


def coalesce(extents: Iterable[Extent]) -> Iterator[Extent]:
    """Join neighbours that can be read as one, and drop empty ones."""
    begun, end, kind, first = 0, 0, ExtentKind.ABSENT, None
    wanted: int | None = None  # where the file goes on
    for offset, length, new_kind, place in extents:
        if length <= 0:
            continue
        if offset != end or new_kind is not kind or place != wanted:
            if begun < end:
                yield Extent(begun, end - begun, kind, first)
            begun, kind, first = offset, new_kind, place
        end = offset + length
        wanted = None if place is None else place + length
    if begun < end:
        yield Extent(begun, end - begun, kind, first)


def clip(extent: Extent, start: int, end: int) -> Extent:
    """The part of an extent between two offsets; its length is 0 or less when there is none."""
    offset, length, kind, file_offset = extent
    if start <= offset and offset + length <= end:
        return extent
    first, last = max(offset, start), min(offset + length, end)
    return Extent(first, last - first, kind, None if file_offset is None else file_offset + first - offset)


@dataclass(frozen=True)
class NewLayer:
    """What a new layer is to be. 0 and "" stand for the format's own default.

    `parent` makes it a differencing one; its paths are recorded as they are. `content_id` and `disk_id` are UUIDs; by default
    new ones. `disk_id` must be the parent's when there is a parent. `kept` is for formats that have such; others leave it out.
    """

    size: int
    allocation: Allocation = Allocation.DYNAMIC
    sector_size: int = 512
    physical_sector_size: int = 0
    block_size: int = 0
    parent: ParentReference | None = None
    content_id: str = ""
    disk_id: str = ""
    kept: tuple[Kept, ...] = ()


class LayerWriter(ABC):
    """Makes one layer's file, in one pass.

    Content comes in ascending order, without overlaps, in multiples of the sector size; what is left out is ABSENT. Nobody looks
    for zeros here: DATA is stored as data. Calls out of order are the caller's mistake: ValueError. All calls raise NoSpace and
    the other errors of `file_error`. As a context manager it aborts unless `finish` was called.
    """

    def __init__(self, new: NewLayer) -> None:
        self.new = new
        self._position = 0

    def write_data(self, offset: int, data: Buffer) -> None:
        """Store data."""
        self._claim(offset, len(data))
        self._write_data(offset, memoryview(data))

    def copy_from(self, source: DiskFile, source_offset: int, offset: int, length: int) -> None:
        """Store data that lies in another file, one to one; the kernel copies it where it can. Past the file's end are zeros.

        Holes of the other file aren't looked for here, as whoever calls this knows them. It may be copied any time until `finish`
        returns or the source is closed, so the source must stay as it is.
        """
        self._claim(offset, length)
        self._copy_from(source, source_offset, offset, length)

    def write_zero(self, offset: int, length: int) -> None:
        """Store zeros that hide the parent's content; without a parent it is as good as leaving them out."""
        self._claim(offset, length)
        self._write_zero(offset, length)

    @abstractmethod
    def finish(self) -> None:
        """Complete the file, have it on the disk and give it its name."""

    @abstractmethod
    def abort(self) -> None:
        """Leave nothing. May be repeated, and called after `finish`, when it does nothing."""

    @abstractmethod
    def _write_data(self, offset: int, data: memoryview) -> None: ...

    @abstractmethod
    def _copy_from(self, source: DiskFile, source_offset: int, offset: int, length: int) -> None: ...

    @abstractmethod
    def _write_zero(self, offset: int, length: int) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def _claim(self, offset: int, length: int) -> None:
        """Hold the caller to the order."""
        if offset % self.new.sector_size or length % self.new.sector_size:
            raise ValueError(f"{length} bytes at {offset} are not whole sectors of {self.new.sector_size} bytes")
        if offset < self._position or offset + length > self.new.size:
            where = f"between {self._position} and {self.new.size}"
            raise ValueError(f"{length} bytes at {offset} are not {where}, where content may still come")
        self._position = offset + length
