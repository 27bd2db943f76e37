"""What travels in the Lambda layer: contract, scenario, storage and the standard library, and a light import."""

import subprocess
import sys


def test_importing_the_scenario_room_brings_the_layer_alone() -> None:
    code = (
        "import sys; before = set(sys.modules); import cordboard.scenario; "
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)));"
        "print(*sorted(n.split('.')[1] for n in sys.modules if n.startswith('cordboard.') and n.count('.') == 1));"
        "print('sqlite3' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == ["cordboard", "contract scenario storage", "False"]
