"""Writing a qcow2 file in one pass: content as it comes, each L2 table behind what it stands for, the header last.

Only the L1 table (32 MiB at most), one L2 table and what is known of one cluster are held in memory, whatever the disk's size.
"""

from __future__ import annotations

from array import array

from ireko.disk.base import LayerWriter, NewLayer
from ireko.disk.copying import copy_range
from ireko.disk.files import DiskFile
from ireko.disk.output import Output
from ireko.disk.qcow2.plan import Plan, Refcounts, plan
from ireko.disk.qcow2.structure import ALL_ALLOCATED, ALL_ZERO, COPIED, SUBCLUSTERS, ZERO, pack_offset
from ireko.disk.tables import packed
from ireko.errors import InvalidInput


def create_qcow2(output: Output, new: NewLayer) -> Qcow2Writer:
    """Begin a qcow2 file. Raises InvalidInput for what qcow2 can't hold.

    A child has subclusters of one sector, which QEMU reads since 5.2, unless `new.block_size` sets its cluster size: then what
    it holds must be whole clusters.
    """
    return Qcow2Writer(output, plan(new))


class _Tables:
    """Writes entries in ascending order, an L2 table at a time."""

    def __init__(self, file: DiskFile, plan: Plan) -> None:
        self._file = file
        self._plan = plan
        self._words = 2 if plan.extended else 1
        self._cluster_size, self._entries = plan.cluster_size, plan.l2_entries
        self._l1 = array("Q", bytes(8 * plan.l1_size))
        self._number = 0
        self._table = self._empty()
        self._used = False
        self.end = plan.content_offset
        """Where the next cluster will lie."""

    def allocate(self, count: int) -> int:
        """Take clusters, and say where they are."""
        offset = self.end
        self.end += count * self._cluster_size
        return offset

    def left(self, cluster: int) -> int:
        """How many clusters from one on are in the same table."""
        return self._entries - cluster % self._entries

    def set_clusters(self, cluster: int, count: int, entry: int, *, step: int = 0, bitmap: int = 0) -> None:
        """Give clusters of one table their entries: `entry`, and `step` more for each that follows."""
        number, place = divmod(cluster, self._entries)
        self._turn(number)
        first, last = place * self._words, (place + count) * self._words
        if count == 1:
            self._table[first] = entry
        else:
            values = range(entry, entry + count * step, step) if step else [entry] * count
            self._table[first : last : self._words] = array("Q", values)
        if self._words == 2:
            self._table[first + 1 : last : 2] = array("Q", [bitmap]) * count
        self._used = True

    def finish(self) -> bytes:
        """Write the last L2 table; the L1 table's bytes."""
        self._turn(self._number + 1)
        return packed(self._l1, "big")

    def _turn(self, number: int) -> None:
        if number == self._number:
            return
        if self._used:
            offset = self.allocate(1)
            self._file.write(offset, packed(self._table, "big"))
            self._l1[self._number] = offset | COPIED
            self._table, self._used = self._empty(), False
        self._number = number

    def _empty(self) -> array[int]:
        return array("Q", bytes(self._cluster_size))


class Qcow2Writer(LayerWriter):
    """Makes a qcow2 file."""

    def __init__(self, output: Output, plan: Plan) -> None:
        super().__init__(plan.new)
        self._output = output
        self._file = output.file
        self._plan = plan
        self._size = plan.cluster_size
        self._tables = _Tables(output.file, plan)
        self._overlay = plan.new.parent is not None
        self._cluster, self._place = -1, 0
        self._data = self._zero = 0  # of the present cluster: a bit for each unit
        self._unit = plan.unit if plan.extended else plan.new.sector_size
        self._file.grow(self._tables.end)

    def finish(self) -> None:
        """The header comes last: until it is there, the file is no qcow2 file to anyone."""
        self._close()
        l1 = self._tables.finish()
        size = self._plan.cluster_size
        refcounts = Refcounts(self._tables.end // size, size)
        self._file.grow(refcounts.clusters * size)
        self._file.write(self._plan.l1_offset, l1)
        for number in range(refcounts.blocks):
            offset = refcounts.blocks_offset + number * size
            self._file.write(refcounts.table_offset + number * 8, pack_offset(offset))
            self._file.write(offset, refcounts.block(number))
        self._file.sync()
        self._file.write(0, self._plan.header(refcounts))
        self._output.publish()

    def abort(self) -> None:
        """As promised."""
        self._output.discard()

    def _write_data(self, offset: int, data: memoryview) -> None:
        start, end = offset, offset + len(data)
        while start < end:
            place, stop = self._place_for(start, end)
            self._file.write(place, data[start - offset : stop - offset])
            start = stop

    def _copy_from(self, source: DiskFile, source_offset: int, offset: int, length: int) -> None:
        start, end, shift = offset, offset + length, source_offset - offset
        while start < end:
            place, stop = self._place_for(start, end)
            copy_range(source, start + shift, self._file, place, stop - start)
            start = stop

    def _write_zero(self, offset: int, length: int) -> None:
        if not self._overlay:
            return
        start, end = offset, offset + length
        while start < end:
            number = start // self._size
            stop, count = self._piece(start, end)
            if count:
                self._close()
                entry = 0 if self._plan.extended else ZERO
                self._tables.set_clusters(number, count, entry, bitmap=ALL_ZERO)
            else:
                self._enter(number)
                self._zero |= self._mask(start, stop)
            start = stop

    def _place_for(self, start: int, end: int) -> tuple[int, int]:
        """Make room for what a range of the disk begins with: where it is in the file, and up to where on the disk it goes."""
        number = start // self._size
        stop, count = self._piece(start, end)
        if count:
            self._close()
            place = self._tables.allocate(count)
            self._tables.set_clusters(number, count, place | COPIED, step=self._size, bitmap=ALL_ALLOCATED)
            return place, stop
        self._enter(number)
        self._data |= self._mask(start, stop)
        if not self._place:
            self._place = self._tables.allocate(1)
        return self._place + start % self._size, stop

    def _piece(self, start: int, end: int) -> tuple[int, int]:
        """What a range begins with: a run of whole clusters in one table, or a part of one, as (its end, whole clusters)."""
        size, last = self._size, self.new.size
        number, within = divmod(start, size)
        if not within and (end - start >= size or end == last):
            whole = -(-end // size) if end == last else end // size
            count = min(whole - number, self._tables.left(number))
            return min(end, start + count * size), count
        return min(end, start - within + size), 0

    def _enter(self, number: int) -> None:
        if number != self._cluster:
            self._close()
            self._cluster = number

    def _mask(self, start: int, end: int) -> int:
        """The bits of the present cluster's units that a range touches."""
        base = self._cluster * self._size
        first, last = (start - base) // self._unit, -(-(end - base) // self._unit)
        return (1 << last) - (1 << first)

    def _close(self) -> None:
        """Give the present cluster its entry."""
        if self._cluster < 0:
            return
        entry = self._place | COPIED if self._place else 0
        bitmap = self._zero << SUBCLUSTERS | self._data if self._plan.extended else 0
        if self._overlay and not self._plan.extended:
            self._check_whole()
            entry = entry or ZERO
        self._tables.set_clusters(self._cluster, 1, entry, bitmap=bitmap)
        self._cluster, self._place, self._data, self._zero = -1, 0, 0, 0

    def _check_whole(self) -> None:
        size = self._size
        start = self._cluster * size
        if self._data | self._zero != self._mask(start, min(start + size, self.new.size)):
            raise InvalidInput(
                f'the disk "{self._output.path}" would have a part of the cluster {self._cluster} only: '
                f"with a cluster size of its own, {size} here, an overlay holds whole clusters",
                hint="leave the cluster size out",
            )
