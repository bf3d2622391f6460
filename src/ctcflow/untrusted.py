"""What files of other people may not do: lead to other files, or hold text that is a command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctcflow.errors import CtcflowError

if TYPE_CHECKING:
    import h5py


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
