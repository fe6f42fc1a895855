"""Peak memory of a command.

This file also runs as a script, a small process of its own that starts the command and
prints its peak: on Linux a command inherits the peak of the process that starts it.
"""

import os
import subprocess
import sys


def peak_memory(command: list[str]) -> float:
    """RETURNS (float): Largest resident size of a Python command, in MB.

    command (list[str]): What follows `python`.
    """
    launcher = [sys.executable, __file__, sys.executable, *command]
    result = subprocess.run(launcher, check=True, stdout=subprocess.PIPE, text=True)
    return float(result.stdout.split()[-1])


def main(command: list[str]) -> None:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(os.waitstatus_to_exitcode(status))
    size = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(size / 1e6)


if __name__ == "__main__":
    main(sys.argv[1:])
