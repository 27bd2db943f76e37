"""WAV files: the formats read, files of careless writers, hostile ones, and prompts."""

import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cordboard.media.analysis import dominant_tone
from cordboard.media.chain import L16_16000, PCMA_8000, PCMU_8000, Format, decode
from cordboard.media.g711 import alaw_decode, ulaw_decode
from cordboard.media.prompt import MAX_PROMPT_SECONDS, change_rate, load_prompt
from cordboard.media.samples import level_dbfs
from cordboard.media.tones import sine
from cordboard.media.wav import MAX_CHUNKS, UNKNOWN_SIZE, WavError, form_header, read_wav, write_pcm16

RAMP = np.array([0, 1, -1, 256, -256, 32767, -32768, 4660], np.int16)


def _fmt(tag: int, channels: int, rate: int, bits: int, extra: bytes = b"") -> bytes:
    block = channels * -(-bits // 8)
    return struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits) + extra


def _chunk(kind: bytes, body: bytes, size: int | None = None) -> bytes:
    length = len(body) if size is None else size
    return kind + struct.pack("<I", length) + body + bytes(len(body) & 1)


def _riff(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _file(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "some.wav"
    path.write_bytes(data)
    return path


PCM16 = _chunk(b"fmt ", _fmt(1, 1, 8000, 16))
DATA16 = _chunk(b"data", RAMP.astype("<i2").tobytes())
GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


@pytest.mark.parametrize(
    ("tag", "bits", "octets", "expected"),
    [
        pytest.param(1, 8, bytes([0, 127, 128, 255]), [-32768, -256, 0, 32512], id="8 bits are unsigned"),
        pytest.param(1, 16, bytes.fromhex("0100ffff"), [1, -1], id="16 bits"),
        pytest.param(1, 24, bytes.fromhex("990100 99ffff 000080"), [1, -1, -32768], id="24 bits"),
        pytest.param(1, 32, bytes.fromhex("99990100 0000ff7f"), [1, 32767], id="32 bits"),
        pytest.param(6, 8, b"\xd5\x55\x2a", alaw_decode(b"\xd5\x55\x2a").tolist(), id="A-law"),
        pytest.param(7, 8, b"\xff\x00\x80", ulaw_decode(b"\xff\x00\x80").tolist(), id="µ-law"),
    ],
)
def test_formats(tmp_path: Path, tag: int, bits: int, octets: bytes, expected: list[int]) -> None:
    plain = _riff(_chunk(b"fmt ", _fmt(tag, 1, 8000, bits)), _chunk(b"data", octets))
    extension = struct.pack("<HHIH", 22, bits, 0, tag) + GUID_TAIL
    extensible = _riff(_chunk(b"fmt ", _fmt(0xFFFE, 1, 8000, bits, extension)), _chunk(b"data", octets))
    for data in (plain, extensible):
        sound = read_wav(_file(tmp_path, data))
        assert (sound.rate, sound.channels) == (8000, 1)
        assert sound.mono().tolist() == expected


def test_channels_are_columns_and_mono_is_their_mean(tmp_path: Path) -> None:
    samples = np.array([[100, 300], [-5, -7]], np.int16)
    path = tmp_path / "two.wav"
    write_pcm16(path, samples, 16000)
    sound = read_wav(path)
    assert (sound.rate, sound.channels) == (16000, 2)
    assert np.array_equal(sound.samples, samples)
    assert sound.mono().tolist() == [200, -6]


def test_what_is_written_is_read_by_the_standard_library(tmp_path: Path) -> None:
    path = tmp_path / "plain.wav"
    write_pcm16(path, RAMP, 8000)
    with wave.open(str(path)) as other:
        assert other.getparams()[:4] == (1, 2, 8000, RAMP.size)
        assert other.readframes(100) == RAMP.astype("<i2").tobytes()
    assert read_wav(path).mono().tolist() == RAMP.tolist()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(_riff(PCM16, DATA16), id="exact"),
        pytest.param(_riff(PCM16, _chunk(b"data", DATA16[8:], UNKNOWN_SIZE)), id="size unknown"),
        pytest.param(_riff(PCM16, _chunk(b"data", DATA16[8:], len(DATA16) + 100)), id="size too large"),
        pytest.param(_riff(PCM16, DATA16[:4] + b"\xff" * 4 + DATA16[8:] + b"\x01"), id="half a sample at the end"),
        pytest.param(_riff(_chunk(b"LIST", b"odd"), PCM16, _chunk(b"fact", b"1234"), DATA16), id="other chunks"),
        pytest.param(_riff(PCM16, DATA16, _chunk(b"LIST", b"after")), id="chunk after the sound"),
        pytest.param(b"RIFF" + bytes(4) + _riff(PCM16, DATA16)[8:], id="RIFF size zero"),
    ],
)
def test_careless_writers_are_understood(tmp_path: Path, data: bytes) -> None:
    assert read_wav(_file(tmp_path, data)).mono().tolist() == RAMP.tolist()


@pytest.mark.parametrize(
    ("data", "chunk", "reason"),
    [
        pytest.param(b"", "RIFF", "begin", id="empty"),
        pytest.param(b"OggS" + bytes(40), "RIFF", "begin", id="another format"),
        pytest.param(_riff(), "fmt ", "missing", id="no chunks"),
        pytest.param(_riff(PCM16), "data", "missing", id="no sound"),
        pytest.param(_riff(DATA16, PCM16), "fmt ", "before data", id="sound first"),
        pytest.param(_riff(_chunk(b"fmt ", b"short"), DATA16), "fmt ", "too few", id="short fmt"),
        pytest.param(_riff(_chunk(b"fmt ", _fmt(3, 1, 8000, 32)), DATA16), "fmt ", "format 3", id="floating point"),
        pytest.param(_riff(_chunk(b"fmt ", _fmt(0xFFFE, 1, 8000, 16)), DATA16), "fmt ", "cut", id="no extension"),
        pytest.param(_riff(_chunk(b"fmt ", _fmt(1, 0, 8000, 16)), DATA16), "fmt ", "0 channels", id="no channels"),
        pytest.param(_riff(_chunk(b"fmt ", _fmt(1, 99, 8000, 16)), DATA16), "fmt ", "99 ch", id="many channels"),
        pytest.param(_riff(_chunk(b"fmt ", _fmt(1, 1, 0, 16)), DATA16), "fmt ", "rate of 0", id="no rate"),
        pytest.param(_riff(_chunk(b"fmt ", _fmt(1, 1, 8000, 40)), DATA16), "fmt ", "40 bits", id="40 bits"),
        pytest.param(_riff(_chunk(b"fmt ", _fmt(7, 1, 8000, 16)), DATA16), "fmt ", "16 bits", id="wide µ-law"),
        pytest.param(
            _riff(_chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 16000, 5, 16)), DATA16),
            "fmt ",
            "blocks of 5",
            id="wrong block",
        ),
        pytest.param(_riff(*[_chunk(b"junk", b"")] * MAX_CHUNKS, PCM16, DATA16), "data", "first", id="many chunks"),
    ],
)
def test_errors_name_the_file_and_the_chunk(tmp_path: Path, data: bytes, chunk: str, reason: str) -> None:
    with pytest.raises(WavError, match=reason) as caught:
        read_wav(_file(tmp_path, data))
    assert (caught.value.name, caught.value.chunk) == ("some.wav", chunk)
    assert str(caught.value).startswith(f"some.wav: {chunk}: ")


@given(place=st.integers(0, 43), octet=st.integers(0, 255), cut=st.integers(0, 60), tail=st.binary(max_size=20))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_broken_files_give_sound_or_a_wav_error(tmp_path: Path, place: int, octet: int, cut: int, tail: bytes) -> None:
    data = bytearray(_riff(PCM16, DATA16))
    data[place] = octet
    try:
        sound = read_wav(_file(tmp_path, bytes(data[:cut]) + tail))
    except WavError:
        return
    assert sound.samples.shape[1] == sound.channels


def test_header_of_a_file_beyond_4_gib_leaves_its_size_open() -> None:
    assert form_header(1, 2, 8000, 2, 1 << 32)[-4:] == b"\xff\xff\xff\xff"
    assert form_header(7, 2, 8000, 1, 100)[-4:] == b"\x64\0\0\0"


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 24000, 44100, 48000])
@pytest.mark.parametrize("form", [PCMU_8000, PCMA_8000, L16_16000])
def test_prompts_of_any_rate_become_frames(tmp_path: Path, rate: int, form: Format) -> None:
    path = tmp_path / "prompt.wav"
    tone = sine(700.0, 0.5, rate, -12.0)
    write_pcm16(path, np.stack((tone, tone), axis=1), rate)
    data = load_prompt(path, form)
    assert len(data) % form.bytes_per_frame == 0
    samples = decode(data, form)
    assert samples.size / form.rate == pytest.approx(0.5, abs=0.021)
    middle = samples[form.rate // 10 : form.rate * 4 // 10]
    assert dominant_tone(middle, form.rate).hz == pytest.approx(700.0, abs=4)
    assert level_dbfs(middle) == pytest.approx(-12.0, abs=0.2)


def test_a_prompt_ends_in_silence_of_its_format(tmp_path: Path) -> None:
    path = tmp_path / "prompt.wav"
    write_pcm16(path, np.full(10, 1000, np.int16), 8000)
    assert load_prompt(path, PCMU_8000)[10:] == b"\xff" * 150


def test_an_endless_prompt_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    write_pcm16(path, np.zeros(MAX_PROMPT_SECONDS * 100 + 1, np.int16), 100)
    with pytest.raises(WavError, match="600 s"):
        load_prompt(path, PCMU_8000)


def test_the_same_rate_changes_nothing() -> None:
    assert change_rate(RAMP, 8000, 8000) is RAMP
