"""What is told of the machine."""

import subprocess
import sys

GROWN = """
import subprocess, sys
from rodent.machine import peak_memory_gib
before = peak_memory_gib()
subprocess.run([sys.executable, "-c", "len(b'x' * 2**29)"], check=True)
print(before, peak_memory_gib())
"""


def test_the_peak_of_memory_counts_the_largest_process_that_was_waited_for():
    told = subprocess.run([sys.executable, "-c", GROWN], capture_output=True, text=True, check=True).stdout.split()
    before, after = map(float, told)
    assert 0 < before < before + 0.4 < after  # half a GiB, less what an earlier one held


HELD = """
import subprocess
from rodent.machine import peak_memory_gib
held = b"x" * 2**29
before = peak_memory_gib()
subprocess.run(["true"], check=True)
print(before, peak_memory_gib())
"""


def test_what_this_process_held_is_not_counted_twice_where_it_begins_another():
    told = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, check=True).stdout.split()
    before, after = map(float, told)
    assert 0.5 < before <= after < before + 0.1
