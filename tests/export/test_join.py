"""Words of several runs in one file score as in files of their own, and share what has not moved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from export import signals
from export.join import JoinedWords, export_joined
from export.joined_heads import ConvHeads
from kws.checkpoint import load_model, load_operating_point, save_model
from kws.config import to_dict
from kws.detector import Detector
from kws.encoders.registry import build_encoder
from kws.encoders.truncate import truncate
from kws.errors import ConfigError
from kws.heads import PHRASE_WINDOW, build_head
from kws.heads.conv import ConvHead
from kws.model import ModelConfig, WakeWordModel
from kws.weights import WEIGHTS, read_weights, write_weights
from tests.support.runs import TINY_SHAPE, write_run
from tests.tolerances import ONNX

WAVEFORM = np.concatenate([signals.speech_like(2.4, 3), signals.noise(0.8, 0.3, 4)])


def other_head(run: Path, seed: int, part: str = "head.") -> Path:
    """Draw other weights for a part of a run, as training would."""
    weights = read_weights(run / WEIGHTS)
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in weights.items():
        if name.startswith(part) and tensor.is_floating_point():
            weights[name] = tensor + 0.3 * torch.randn(tensor.shape, generator=generator)
    write_weights(run / WEIGHTS, weights)
    return run


def typed_run(folder: Path, keyword: str, phones: str, seed: int) -> Path:
    """Write a run as ``kws enroll`` leaves it: one layer for the phones, one more below the window."""
    options = {"pronunciations": ((phones,),), "layers": 1}
    config = ModelConfig((keyword,), depth=1, head=PHRASE_WINDOW, head_options=options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        whole = build_encoder("embedded", TINY_SHAPE)
        cut = truncate(whole, 1)
        head = build_head(PHRASE_WINDOW, cut.info.dimension, 1, config.options, whole.layers[1:2])
        torch.manual_seed(11)
        torch.nn.init.normal_(head.phrase.output[1].weight)  # type: ignore[operator,index,arg-type]
    model = WakeWordModel(cut, head, (keyword,)).eval()
    point = load_operating_point(write_run(folder.parent / "any", keywords=(keyword,)))
    values = ModelConfig(**{**to_dict(config), "keywords": (keyword,)})
    save_model(folder, model, values, point, training={}, metrics={}, provenance={})
    return other_head(folder, seed, "head.window")


def assert_scores_as_alone(path: Path, runs: Sequence[Path]) -> None:
    """Compare the columns of a file with the models that they are of."""
    models = [load_model(run) for run in runs]
    wanted = [model.scores(torch.from_numpy(WAVEFORM)[None])[0].numpy() for model in models]
    found = Detector(path).scores(WAVEFORM)
    assert Detector(path).keywords == tuple(keyword for model in models for keyword in model.keywords)
    np.testing.assert_allclose(found, np.concatenate(wanted, axis=1)[: len(found)], atol=ONNX, rtol=0)
    assert len({tuple(column) for column in found.T}) == found.shape[1], "each word scores otherwise"


@pytest.mark.slow
def test_words_over_one_encoder_share_it_and_score_as_alone(tmp_path: Path):
    runs = [
        other_head(write_run(tmp_path / f"run{n}", keywords=words), n)
        for n, words in enumerate([("one",), ("two", "three"), ("four",)])
    ]
    output = tmp_path / "words.onnx"
    joined = export_joined(runs, output)
    assert_scores_as_alone(output, runs)
    assert (joined.runs, joined.encoders) == (3, 1)
    assert joined.largest_alone < joined.weights < joined.sum_alone
    assert Detector(output).thresholds == {"one": 0.5, "two": 0.5, "three": 0.55, "four": 0.5}


@pytest.mark.slow
def test_an_encoder_that_moved_runs_beside_and_shares_what_lies_below(tmp_path: Path):
    runs = [
        write_run(tmp_path / "stays", keywords=("stays",)),
        other_head(write_run(tmp_path / "moved", keywords=("moved",)), 1, "encoder.layers.1"),
        other_head(write_run(tmp_path / "again", "gru", keywords=("again",)), 2),
    ]
    joined = export_joined(runs, tmp_path / "words.onnx")
    assert_scores_as_alone(tmp_path / "words.onnx", runs)
    assert joined.encoders == 2
    below = sum(tensor.numel() for tensor in load_model(runs[0]).encoder.layers[0].parameters())
    assert joined.sum_alone - joined.weights > below, "the first layer is there once"


@pytest.mark.slow
def test_typed_words_join_with_each_other_and_with_trained_ones(tmp_path: Path):
    runs = [
        typed_run(tmp_path / "first", "mail", "M EY L", 1),
        other_head(write_run(tmp_path / "trained", keywords=("trained",), depth=2), 2),
        typed_run(tmp_path / "second", "seven", "S EH V AH N", 3),
    ]
    export_joined(runs, tmp_path / "words.onnx")
    assert_scores_as_alone(tmp_path / "words.onnx", runs)


def test_heads_in_one_product_give_what_each_gives():
    torch.manual_seed(0)
    heads = [ConvHead(16, 2).eval() for _ in range(3)]
    for head in heads:
        torch.nn.init.normal_(head.norm.weight)
        torch.nn.init.normal_(head.norm.bias)
    features = torch.randn(2, 5, 16)
    wanted = torch.cat([head(features, head.initial_state(2))[0] for head in heads], dim=-1)
    together = ConvHeads(heads)
    torch.testing.assert_close(together(features, together.initial_state(2))[0], wanted, atol=1e-5, rtol=1e-5)


def test_runs_that_do_not_fit_in_one_file_are_named(tmp_path: Path):
    first = write_run(tmp_path / "first", keywords=("one",))
    again = write_run(tmp_path / "again", keywords=("two", "one"))
    smooth = write_run(tmp_path / "smooth", keywords=("three",), smoothing_frames=3)
    with pytest.raises(ConfigError, match=r"again: has the keyword 'one', as .*first has"):
        export_joined([first, again], tmp_path / "words.onnx")
    with pytest.raises(
        ConfigError, match=r"smooth: has smoothing_frames 3, .*first has 1; .*train\.decision"
    ):
        export_joined([first, smooth], tmp_path / "words.onnx")
    assert not (tmp_path / "words.onnx").exists()


def test_the_cost_is_counted_in_weights():
    from kws.cli.export import joined_text

    text = joined_text(JoinedWords(3, 2, 1_500_000, 1_000_000, 3_000_000))
    assert text.startswith("3 runs need 2 encoders: 1.50 million weights, 1.50 times those of one")
