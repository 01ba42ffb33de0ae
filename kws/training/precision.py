"""In which precision a machine trains."""

from __future__ import annotations

from typing import Literal

Precision = Literal["bf16-mixed", "32-true"]
"""Of Lightning."""

OF_CPUS = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
"""What processors that compute with bfloat16 have, in the words of ``torch.cpu.get_capabilities``."""


def usable_precision(wished: Precision) -> Precision:
    """Return what is wished, or ``32-true`` where the machine would only emulate bfloat16.

    Processors with AVX2 alone would, where a training step then takes 13 times as long (docs/log).
    """
    import torch

    if wished != "bf16-mixed":
        return wished
    if torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    elif torch.backends.mps.is_available():
        native = True
    else:
        found = torch.cpu.get_capabilities()
        native = any(found.get(name) for name in OF_CPUS)
    return wished if native else "32-true"
