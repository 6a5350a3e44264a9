"""The most memory that a process has held, asked from inside."""

# Lines for a script that runs as a process of its own; afterwards ``peak()`` answers in bytes.
# getrusage would not do: its figure counts the process that this one was forked from.
PEAK = """
def peak():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
"""
