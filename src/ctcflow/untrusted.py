"""What files of other people may not do: lead to other files, or hold text that is a command."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ctcflow.errors import CONTROL, CtcflowError

if TYPE_CHECKING:
    import h5py


MOST: Final = 10_000
"""Characters of a name or a cell; 300 are the most that were seen in files of any producer."""
_FORMULA: Final = "=@+-＝＠＋－"
"""What a spreadsheet takes for the start of a formula; the last four are the wide forms."""
_SIGNS: Final = "+-＋－"
_CALLS: Final = re.compile(r"[(|!（｜！]")


def why_refused(text: str) -> str:
    """Why a text of others must not come into tables and onto pages; empty if it may.

    Names, barcodes and cells of a sheet end up in tables that are opened in spreadsheets, which
    run what begins like a formula, and are printed to terminals, which obey control characters.
    What begins with a sign is a formula only where it calls something: `+ve`, `-0.5` and HTSeq's
    `--no_feature` are none.
    """
    if len(text) > MOST:
        return f"it has {len(text):,} characters: shorten it to {MOST:,}"
    control = CONTROL.search(text)
    if control:
        return f"it has a control character ({control[0]!r}): remove it"
    bare = text.strip()
    begins = len(bare) > 1 and bare[0] in _FORMULA
    if begins and (bare[0] not in _SIGNS or _CALLS.search(bare)) and not _is_number(bare):
        return "a spreadsheet would run it as a formula: let it begin with a letter or a digit"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def first_refused(texts: Iterable[object]) -> tuple[int, str]:
    """Place of the first text that must not be used, and why; -1 for none.

    Parameters
    ----------
    texts
        Names; looked at together, since a file has millions of them.
    """
    names = [str(text) for text in texts]
    starts = {name.lstrip()[:1] for name in names}
    suspect = any(start and start in _FORMULA for start in starts)
    if (
        not suspect
        and max(map(len, names), default=0) <= MOST
        and not CONTROL.search("".join(names))
    ):
        return -1, ""
    found = ((at, why) for at, name in enumerate(names) if (why := why_refused(name)))
    return next(found, (-1, ""))


def refuse_other_files(path: Path, file: h5py.File) -> None:
    """Refuse HDF5 of which a part is in another file: reading it would read that one.

    An external link, external storage and a virtual array name any file of this machine, whose
    content would come into the results of whoever runs this. Links within the file are fine.

    Parameters
    ----------
    path
        What error messages name.
    file
        The open file. No array is read.

    Raises
    ------
    CtcflowError
        The message names the part, and the file that it leads to.
    """
    import h5py

    inside = (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT)

    # What these return ends the visit; h5py cannot pass on what is raised in the first one.
    def link(name: bytes | str, information: Any) -> str | None:
        if information.type in inside:
            return None
        return name.decode(errors="replace") if isinstance(name, bytes) else name

    def item(name: str, found: Any) -> str | None:
        if not isinstance(found, h5py.Dataset):
            return None
        virtual = found.is_virtual and any(x.file_name != "." for x in found.virtual_sources())
        return name if virtual or found.external else None

    # unlike `visititems`, this sees links, and follows none of them
    elsewhere = file.id.links.visit(link, info=True) or file.visititems(item)
    if elsewhere:
        raise CtcflowError(
            f"`{path}`: `{elsewhere[:100]}` is in another file, which is not read: copy all into"
            " one file, as anndata writes it"
        )
