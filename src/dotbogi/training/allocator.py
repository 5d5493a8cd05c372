"""Keeps the memory that a step frees for the next step."""

import ctypes
import platform
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's <malloc.h>
_LARGEST = 2**31 - 1
# Newer versions of glibc take any size, older ones at most this.
_SIZES = (2**30, 2**25)


@cache
def keep_freed_memory() -> bool:
    """Tells glibc to reuse large freed blocks instead of handing them back to the kernel; once per process.

    Every step allocates the same tensors. Blocks of more than a few megabytes would come
    from the kernel anew each time and be filled with zeros page by page: a third of a step of
    a small CNN in float32. Other allocators are left as they are.

    Returns:
        Whether anything was set.

    Source: mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return any(mallopt(_MMAP_THRESHOLD, size) for size in _SIZES) and bool(mallopt(_TRIM_THRESHOLD, _LARGEST))
