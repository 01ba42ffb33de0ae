"""Train the embedded encoder on transcribed speech; what ``kws pretrain`` does."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kws.workflows import folders
from kws.workflows.notices import quiet_libraries
from kws.workflows.written_files import PRETRAINING

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from kws.errors import KwsError
    from kws.pretraining.sources import Outputs


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PretrainSummary:
    """What a finished pretraining is.

    Attributes:
        output: its folder.
        metrics: contents of ``metrics.json``.
    """

    output: Path
    metrics: dict[str, Any]

    def lines(self) -> list[str]:
        """Return the sentences to print."""
        listed = self.output / "left_out.jsonl"
        left_out = self.metrics.get("left_out", {}).items()
        notes = [f"note: left out of {name}: {count}; {listed} says why" for name, count in left_out if count]
        names = ("dev_phone_error_rate", "test_phone_error_rate", "test_phone_error_rate_with_ngrams")
        return notes + [
            f"{name} {group}: {100 * rate:.1f} %"
            for name in names
            for group, rate in self.metrics.get(name, {}).items()
        ]


@folders.leaves_nothing(PRETRAINING)
@quiet_libraries()
def pretrain(
    recipe: Path,
    output: Path,
    root: Path | None = None,
    overrides: list[str] | None = None,
    cache: Path | None = None,
) -> PretrainSummary:
    """Run a recipe with the default augmentation.

    Args:
        recipe: YAML of :class:`kws.pretraining.config.PretrainConfig`.
        output: folder for the result.
        root: what relative manifest paths start from; None is the recipe's folder.
        overrides: ``key=value`` changes of the recipe.
        cache: folder for decoded speech; None is ``output/cache``.
    Raises:
        ConfigError, ManifestError, AudioError: the recipe or its data cannot be used.
    """
    from data_prep import manifests
    from data_prep.augmentation.banks import NoiseBank
    from data_prep.augmentation.chain import default_chain
    from data_prep.augmentation.room import RoomBank
    from data_prep.augmentation.spec_augment import SpecAugment
    from data_prep.augmentation.warp import WarpFrequency
    from kws.config import load_config, merge, parse_overrides, read_yaml
    from kws.pretraining.config import PretrainConfig
    from kws.pretraining.loop import pretrain as run_recipe
    from kws.pretraining.task import Mask

    base = root or recipe.parent
    values = merge(read_yaml(recipe), parse_overrides(overrides or []))
    config = load_config(PretrainConfig, values, str(recipe))
    read = {
        name: [base / source.manifest for source in getattr(config, name)]
        for name in ("train", "dev", "test")
    }
    single = {
        name: (path and base / path,) for name, path in (("noise", config.noise), ("init", config.init))
    }
    folders.keep_apart(output, {"recipe": (recipe,), **read, **single})
    folders.claim(output, PRETRAINING)

    noise = None
    if config.noise is not None:
        paths = [recording.path for recording in manifests.read(base / config.noise)]
        noise, unreadable = NoiseBank.of_readable(paths)
        if unreadable:
            first = unreadable[0]
            logger.warning("noise: %d of %d files cannot be read: %s", len(unreadable), len(paths), first)
    rooms = RoomBank()
    if config.augment_strength:  # made here, once, and not in every process that makes batches
        logger.info("%d rooms", len(rooms.responses))
    chain = default_chain(noise, rooms, strength=config.augment_strength, seed=config.seed)
    masks: list[Mask] = [WarpFrequency(config.warp)] if config.warp else []
    masks += [SpecAugment(num_time_masks=config.time_masks)] if config.spec_augment else []

    def mask(features: Tensor, lengths: Tensor, generator: Generator) -> Tensor:
        for change in masks:
            features = change(features, lengths, generator)
        return features

    digest = noise.digest() if noise else ""
    metrics = run_recipe(config, output, chain.augment, mask, base, texts_as_phones, digest, cache)
    return PretrainSummary(output, metrics)


def texts_as_phones(
    texts: list[str], language: str, lexicon: Path | None, outputs: Outputs = "shared"
) -> list[str | KwsError]:
    """Return the phones of each text, with spaces between, or why it has none.

    Args:
        texts: what was said.
        language: eSpeak language code.
        lexicon: ARPAbet pronunciations that override eSpeak's, or None.
        outputs: ``shared`` gives ARPAbet, the others the symbols of the language.
    Raises:
        KwsError: unknown language, or a lexicon that cannot be read.
    """
    from data_prep.synthesis.phones import (
        PronunciationError,
        read_lexicon,
        texts_to_phones,
        texts_to_symbols,
    )

    own = None if lexicon is None else read_lexicon(lexicon)

    def read(part: list[str]) -> list[str | KwsError]:
        """Read texts at once, which is far faster, and in halves where one of them cannot be read."""
        try:
            if outputs == "shared":
                said = texts_to_phones(part, language, own)
            else:
                said = texts_to_symbols(part, language, tones=outputs == "per_language_with_tones")
        except PronunciationError as error:
            if len(part) == 1:
                return [error]
            return read(part[: len(part) // 2]) + read(part[len(part) // 2 :])
        return [" ".join(phones) for phones in said]

    return read(texts)
