"""What is compiled: functions in the part of Python that Numba knows, which also run as they stand, only slowly."""
