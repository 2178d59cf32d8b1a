"""Whether the files of a commit are there as they were committed."""

from __future__ import annotations

from collections.abc import Mapping

from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.lake.store import ObjectStore

#: Files of a partition that together are no larger than this are hashed whenever they are read:
#: about 60 ms. Larger ones are compared by their sizes, and by `luigi-traffic verify --deep`.
CHEAP_BYTES = 32 << 20
#: Damaged files named in a message; the rest are counted.
_SHOWN = 3


def file_damage(
    store: ObjectStore,
    manifest: Manifest,
    *,
    deep: bool | None = None,
    sizes: Mapping[str, int] | None = None,
) -> list[str]:
    """What is wrong with the files that a manifest names, in words; nothing if they are whole.

    deep   whether they are hashed; None: if that is cheap
    sizes  key -> size in bytes of what is there, from a listing; None: it is listed now
    """
    if not manifest.files:
        return []
    if sizes is None:
        sizes = {i.key: i.size for i in store.list(Attempt(manifest.prefix).prefix)}
    if deep is None:
        deep = sum(file["size"] for file in manifest.files) <= CHEAP_BYTES
    found = []
    for file in manifest.files:
        key, size = file["key"], sizes.get(file["key"])
        if size is None:
            found.append(f"{key} is missing")
        elif size != file["size"]:
            found.append(f"{key} has {size:,} bytes, but {file['size']:,} were committed")
        elif deep and store.seal(key).checksum != file["checksum"]:
            found.append(f"{key} differs in content from what was committed")
    if len(found) > _SHOWN:
        found[_SHOWN:] = [f"and {len(found) - _SHOWN} more"]
    return found
