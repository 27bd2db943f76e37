"""How long a simulated ten-minute call takes: with all audio, and with audio elided.

    .venv/bin/python bench/simulator.py [--profile]

Prints wall seconds, the median of three. With audio the caller's phone sends a frame every 20 ms and the agent speaks
for half of the time; elided, nobody speaks and only signalling, reports and the agent's silence pass.
"""

import argparse
import cProfile
import pstats
import statistics
import sys
import time
from pathlib import Path

from cordboard.simulator.simulation import Simulation

TEMPLATE = Path(__file__).parent.parent / "template.yaml"
SECONDS = 600.0
TURN = 10.0
RUNS = 3


def call(*, elided: bool) -> float:
    """Wall seconds of one call, its checks included."""
    began = time.perf_counter()
    with Simulation(TEMPLATE, elided=elided) as sim:
        sim.keys(CARTESIA_API_KEY="bench-key", CARTESIA_AGENT_ID="agent-1", PSTN_CALLER_ID="+15550001111")
        caller = sim.call("+15551234567", "+18005550100")
        end = sim.world.now + SECONDS
        while sim.world.now < end:
            if not elided:
                sim.service.agents[0].say("a sentence", TURN / 2)
            sim.world.advance(TURN)
        assert caller.state == "answered"
        caller.hangup()
        sim.world.settle()
        sim.verify()
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", action="store_true", help="say where the time goes")
    args = parser.parse_args()
    for name, elided in (("with audio", False), ("audio elided", True)):
        if args.profile:
            with cProfile.Profile() as profile:
                call(elided=elided)
            pstats.Stats(profile, stream=sys.stdout).sort_stats("tottime").print_stats(22)
        runs = [call(elided=elided) for _ in range(RUNS)]
        sys.stdout.write(f"ten-minute call {name}: {statistics.median(runs):.2f} s (median of {RUNS})\n")


if __name__ == "__main__":
    main()
