"""A table for a terminal of any width. Ids are never broken: what does not fit beside them is left out from the
right, and told so; long sentences stand below their row; lists are folded."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_GAP = "  "
#: Columns of sentences, which stand below their row.
BELOW = frozenset({"reason", "problem"})
#: Columns that may be folded, where the others would not fit.
FOLDED = frozenset({"after", "bases", "used_by", "value", "source", "schedule", "next_run", "in_words"})
_INDENT = " " * 4
#: The least that a folded column gets.
_NARROW = 16

Row = Mapping[str, Any]
#: From a row and a column to the cell.
Cell = Callable[[Row, str], Text]


class Layout:
    """Which columns of these rows (one at least) fit into `width` cells, and how wide each is. `left_out` are those
    that do not."""

    def __init__(self, rows: Sequence[Row], columns: Sequence[str], cell: Cell, width: int) -> None:
        self._rows, self._cell, self._width = rows, cell, width
        self._below = [column for column in columns if column in BELOW]
        self._widths = {
            column: max(cell_len(heading(column)), *(cell_len(cell(row, column).plain) for row in rows))
            for column in columns
            if column not in BELOW
        }
        self.left_out: list[str] = []
        self._fit()

    def lines(self) -> list[Text]:
        """The heading and each row."""
        titles = {column: Text(heading(column), style="bold") for column in self._widths}
        found = self._side_by_side(titles)
        for row in self._rows:
            found += self._side_by_side({column: self._cell(row, column) for column in self._widths})
            found += self._sentences(row)
        return found

    def _fit(self) -> None:
        while (over := self._total() - self._width) > 0:
            soft = [each for each in self._widths if each in FOLDED and self._widths[each] > _NARROW]
            if soft:
                widest = max(soft, key=self._widths.__getitem__)
                self._widths[widest] = max(_NARROW, self._widths[widest] - over)
            elif len(self._widths) > 1:
                column, _ = self._widths.popitem()
                self.left_out.insert(0, column)
            else:
                return

    def _total(self) -> int:
        return sum(self._widths.values()) + len(_GAP) * (len(self._widths) - 1)

    def _side_by_side(self, cells: Mapping[str, Text]) -> list[Text]:
        folded = {column: _folded(cell, self._widths[column]) for column, cell in cells.items()}
        made = []
        for number in range(max(map(len, folded.values()))):
            line = Text()
            for column, parts in folded.items():
                part = parts[number] if number < len(parts) else Text()
                line.append_text(part)
                line.append(" " * (self._widths[column] - part.cell_len) + _GAP)
            line.rstrip()
            made.append(line)
        return made

    def _sentences(self, row: Row) -> list[Text]:
        room = max(self._width - len(_INDENT), _NARROW)
        cells = [Text(self._cell(row, column).plain, style="dim") for column in self._below]
        return [Text(_INDENT) + line for cell in cells if cell for line in _wrapped(cell, room)]


def heading(column: str) -> str:
    """What stands above a column."""
    return column.replace("_", " ")


def _folded(cell: Text, width: int) -> list[Text]:
    """A cell in lines of this width; as it is where it fits."""
    return [cell] if cell.cell_len <= width else _wrapped(cell, width)


def _wrapped(text: Text, width: int) -> list[Text]:
    """Lines of this width, broken at spaces where there are any."""
    lines = list(text.wrap(Console(width=width), width))
    for line in lines:
        line.rstrip()
    return lines
