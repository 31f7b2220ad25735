"""What the measuring scripts share."""

import os, socket


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def can_connect(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def table(rows):
    """Prints rows of name, figure, bar and how they compare; how many missed."""
    print(f"\n{'':60} {'measured':>9} {'bar':>7}  of bar")
    missed = 0
    for name, value, bar, sign in sorted(rows):
        well = {"<": value < bar, "<=": value <= bar, ">=": value >= bar}[sign]
        missed += not well
        print(f"{name:60} {value:9.3f} {sign:>2}{bar:6g}  {f'{value / bar:.0%}' if bar else '':>5}  {'ok' if well else 'OVER'}")
    return missed
