"""The helper as a package: it builds, installs typed, and needs nothing but Python; samples link to it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_holds_the_module_and_its_types_and_needs_nothing(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), "agent_tools"]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("cordboard_agent_tools-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        assert b"Requires-Dist" not in archive.read(metadata)
    assert names == {"cordboard_agent_tools/__init__.py", "cordboard_agent_tools/py.typed"}
    program = "import cordboard_agent_tools as t, sys; print(t.call_tools.__name__, t.__file__)"
    alone = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(wheel)!r}); {program}"]
    done = subprocess.run(alone, check=True, capture_output=True, text=True, timeout=30)
    assert done.stdout.startswith("call_tools ")
    assert str(wheel) in done.stdout


def test_the_samples_carry_the_helper_itself() -> None:
    for sample in ("concierge", "front_desk"):
        copy = ROOT / "samples" / "agents" / sample / "cordboard_agent_tools.py"
        assert os.path.samefile(copy, ROOT / "agent_tools" / "cordboard_agent_tools.py")
