"""In which precision a machine trains: bfloat16 where it is computed, not emulated."""

from __future__ import annotations

import pytest
import torch

from kws.training.precision import Precision, usable_precision


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False, "architecture": "x86_64"}, "32-true"),
        ({"avx512_f": True, "avx512_vnni": True}, "32-true"),
        ({"avx512_f": True, "avx512_bf16": True}, "bf16-mixed"),
        ({"amx_bf16": True}, "bf16-mixed"),
        ({"neon": True, "bf16": True, "architecture": "arm64"}, "bf16-mixed"),
        ({"neon": True}, "32-true"),
    ],
)
def test_a_processor_without_bfloat16_trains_in_32_bit(
    capabilities: dict[str, bool | str], precision: Precision, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert usable_precision("bf16-mixed") == precision
    assert usable_precision("32-true") == "32-true"


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_of_a_gpu_the_gpu_decides(native: bool, precision: Precision, monkeypatch: pytest.MonkeyPatch):
    def supported(including_emulation: bool = True) -> bool:
        return native or including_emulation

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    assert usable_precision("bf16-mixed") == precision
