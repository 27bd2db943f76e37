"""Prompts: which names lead to a file of the folder, and what a file becomes."""

from pathlib import Path

import numpy as np
import pytest

from cordboard.media.chain import PCMU_8000
from cordboard.media.prompt import NoSuchPrompt, load_prompt, prompt_path
from cordboard.media.wav import WavError, write_pcm16


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "prompts"
    (inside / "en").mkdir(parents=True)
    write_pcm16(inside / "hold.wav", np.zeros(4410, np.int16), 44_100)
    write_pcm16(inside / "en" / "hello.wav", np.zeros(8000, np.int16), 8000)
    (tmp_path / "secret.wav").write_bytes(b"x")
    (inside / "link.wav").symlink_to(tmp_path / "secret.wav")
    return inside


@pytest.mark.parametrize("name", ["hold.wav", "prompts/hold.wav", "en/hello.wav", "prompts/en/hello.wav"])
def test_a_name_leads_below_the_folder(folder: Path, name: str) -> None:
    assert prompt_path(folder, name).is_file()


@pytest.mark.parametrize(
    "name", ["../secret.wav", "prompts/../../secret.wav", "/etc/passwd", "nowhere.wav", "en", "link.wav", "a\0b", ""]
)
def test_no_name_leads_out_of_it(folder: Path, name: str) -> None:
    with pytest.raises(NoSuchPrompt, match="prompts folder"):
        prompt_path(folder, name)


def test_a_prompt_is_whole_frames_of_the_format(folder: Path) -> None:
    data = load_prompt(folder / "hold.wav", PCMU_8000)
    assert len(data) == 800
    assert set(data) <= {0x7F, 0xFF}, "µ-law has two zeros"
    with pytest.raises(WavError):
        load_prompt(folder / "link.wav", PCMU_8000)
