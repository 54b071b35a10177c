"""What may be a seed."""

from rodent.errors import UsageError

_BITS = 63  # more than these PyTorch's generators do not take


def check_seed(seed: int, of: str = "a seed") -> None:
    """Complain of a number that cannot be a seed.

    Args:
        seed: the number.
        of: what it is to be the seed of, in words.

    Raises:
        UsageError: it is negative or of more than 63 bits.
    """
    if seed < 0:
        raise UsageError(f"{of} must be 0 or more, not {seed}")
    if seed >= 2**_BITS:
        raise UsageError(f"{of} must be below 2^{_BITS}, not {seed}")
