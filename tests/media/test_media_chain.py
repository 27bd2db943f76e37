"""Chains: every pair of formats, how it prints, and what it keeps between frames."""

import itertools

import numpy as np
import pytest

from cordboard.media.analysis import dominant_tone
from cordboard.media.chain import (
    L16_8000,
    L16_16000,
    L16_24000,
    L16_44100,
    PCMA_8000,
    PCMU_8000,
    Format,
    UnsupportedConversion,
    build_chain,
    decode,
    encode,
)
from cordboard.media.samples import level_dbfs
from cordboard.media.tones import sine

FORMATS = (PCMU_8000, PCMA_8000, L16_8000, L16_16000, L16_24000, L16_44100)


@pytest.mark.parametrize(
    ("source", "sink", "steps"),
    [
        (PCMU_8000, PCMU_8000, "PCMU/8000 → PCMU/8000"),
        (PCMU_8000, PCMA_8000, "PCMU/8000 → µ-law to A-law → PCMA/8000"),
        (PCMA_8000, PCMU_8000, "PCMA/8000 → A-law to µ-law → PCMU/8000"),
        (PCMU_8000, L16_8000, "PCMU/8000 → decode → L16/8000"),
        (L16_8000, PCMA_8000, "L16/8000 → encode → PCMA/8000"),
        (PCMU_8000, L16_16000, "PCMU/8000 → decode → ×2 → L16/16000"),
        (L16_16000, PCMU_8000, "L16/16000 → ÷2 → encode → PCMU/8000"),
        (L16_16000, L16_8000, "L16/16000 → ÷2 → L16/8000"),
        (PCMU_8000, L16_24000, "PCMU/8000 → decode → ×3 → L16/24000"),
        (L16_24000, L16_16000, "L16/24000 → ×2/3 → L16/16000"),
        (L16_44100, PCMU_8000, "L16/44100 → ×80/441 → encode → PCMU/8000"),
        (Format("PCMU", 16000), PCMA_8000, "PCMU/16000 → decode → ÷2 → encode → PCMA/8000"),
    ],
)
def test_a_chain_prints_its_steps(source: Format, sink: Format, steps: str) -> None:
    assert str(build_chain(source, sink)) == steps


@pytest.mark.parametrize(("source", "sink"), list(itertools.product(FORMATS, FORMATS)))
def test_every_pair_carries_a_tone_frame_by_frame(source: Format, sink: Format) -> None:
    chain = build_chain(source, sink)
    data = encode(sine(1000.0, 1.0, source.rate, -10.0), source)
    size = source.bytes_per_frame
    frames = [chain.process(data[i : i + size]) for i in range(0, len(data), size)]
    assert {len(each) for each in frames} == {sink.bytes_per_frame}
    out = decode(b"".join(frames), sink)[400:]
    assert dominant_tone(out, sink.rate).hz == pytest.approx(1000.0, abs=1.5)
    assert level_dbfs(out) == pytest.approx(-10.0, abs=0.1)
    assert (chain.source, chain.sink, chain.samples_per_frame) == (source, sink, source.samples_per_frame)


@pytest.mark.parametrize("form", FORMATS)
def test_identity_hands_on_the_same_object(form: Format) -> None:
    chain = build_chain(form, form)
    data = bytes(range(160))
    assert chain.process(data) is data
    assert chain.is_identity
    assert chain.delay == 0.0


@pytest.mark.parametrize(("source", "sink"), [(PCMU_8000, L16_16000), (L16_16000, PCMU_8000), (L16_44100, PCMU_8000)])
def test_reset_drops_the_tail_of_the_filter(source: Format, sink: Format) -> None:
    chain = build_chain(source, sink)
    chain.process(encode(sine(440.0, 0.02, source.rate, -3.0), source))
    chain.reset()
    out = decode(chain.process(source.silence), sink)
    assert not out.any()
    assert not chain.is_identity


def test_delay_of_a_change_of_rate_is_about_two_milliseconds() -> None:
    assert build_chain(PCMU_8000, L16_16000).delay == pytest.approx(31 / 16000)
    assert build_chain(L16_16000, PCMU_8000).delay == pytest.approx(15 / 8000)


def test_l16_is_little_endian() -> None:
    samples = np.array([1, -2, 0x1234], np.int16)
    assert encode(samples, L16_8000) == bytes.fromhex("0100feff3412")
    assert decode(bytes.fromhex("0100feff3412"), L16_8000).tolist() == [1, -2, 0x1234]


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError):
        build_chain(L16_16000, PCMU_8000).process(b"\0\0\0")


@pytest.mark.parametrize(
    ("source", "sink", "reason"),
    [
        (Format("L16", 11025), PCMU_8000, "11025 Hz"),
        (PCMU_8000, Format("L16", 48000), "48000 Hz"),
        (Format("opus", 8000), PCMU_8000, "no codec opus"),  # type: ignore[arg-type]
    ],
)
def test_what_no_chain_converts_is_told(source: Format, sink: Format, reason: str) -> None:
    with pytest.raises(UnsupportedConversion, match=reason) as caught:
        build_chain(source, sink)
    assert (caught.value.source, caught.value.sink) == (source, sink)


@pytest.mark.parametrize(
    ("form", "size", "first"), [(PCMU_8000, 160, 0xFF), (PCMA_8000, 160, 0xD5), (L16_8000, 320, 0), (L16_16000, 640, 0)]
)
def test_silence_fills_a_frame(form: Format, size: int, first: int) -> None:
    assert form.silence == bytes([first]) * size
    assert form.bytes_per_frame == size
