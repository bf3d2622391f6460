"""Number of threads that a process may use."""

from __future__ import annotations


def blas_threads() -> int:
    """Threads that BLAS may use in this process, which is what `--threads` sets."""
    from threadpoolctl import threadpool_info

    pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return max(pools, default=1)
