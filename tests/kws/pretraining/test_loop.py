"""CTC pretraining on a few tones: same batches again, a resumed run as if never stopped, edits counted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor

from data_prep.augmentation.spec_augment import SpecAugment
from data_prep.synthesis.espeak import Voice
from kws import audio, audio_store, phones
from kws.cli import main
from kws.config import load_config, read_yaml
from kws.encoders.ctc import PhoneRecognizer
from kws.encoders.sources.embedded import EmbeddedEncoder
from kws.encoders.sources.embedded_weights import load_recognizer
from kws.errors import CheckpointError, ConfigError, KwsError, ManifestError
from kws.manifest import read_manifest
from kws.pretraining import loop as module
from kws.pretraining.batches import TAIL_S, TrainingBatches, evaluation_batches
from kws.pretraining.config import PretrainConfig
from kws.pretraining.corpus import SpeechCorpus, keep_versions, log_mel, with_tail
from kws.pretraining.loop import begin_with, pretrain
from kws.pretraining.sources import SpeechSourceConfig, load_sources
from kws.pretraining.task import phone_error_rate
from kws.pretraining.word_space import WordSpaceConfig, make_word_space
from kws.workflows.pretrain import pretrain as pretrain_command
from kws.workflows.pretrain import texts_as_phones
from tests.support.encoders import TINY_BLOCKS
from tests.support.pretraining import TINY, FixedRecognizer, no_change
from tests.support.training import tiny_weights, write_manifest
from tests.tolerances import PADDED


def cut(waveform: np.ndarray, item_id: str, seed: int, epoch: int) -> np.ndarray:
    if epoch >= 3:
        raise RuntimeError("the power went out")
    return waveform


def test_a_stopped_run_goes_on_as_if_it_had_not_been(
    config: PretrainConfig, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    metrics = pretrain(config, tmp_path / "whole", no_change, SpecAugment())
    with pytest.raises(RuntimeError, match="the power went out"):
        pretrain(config, tmp_path / "stopped", cut, SpecAugment())
    assert (tmp_path / "stopped" / "checkpoints" / "last.ckpt").is_file()
    capfd.readouterr()
    resumed = pretrain(config, tmp_path / "stopped", no_change, SpecAugment())
    shown = "".join(capfd.readouterr())
    assert "augmenting" not in shown  # no versions are kept
    whole = load_file(tmp_path / "whole" / "weights.safetensors")
    stopped = load_file(tmp_path / "stopped" / "weights.safetensors")
    assert whole.keys() == stopped.keys() and all(torch.equal(whole[name], stopped[name]) for name in whole)
    assert metrics["dev_phone_error_rate"] == resumed["dev_phone_error_rate"]
    groups = {"all", f"corpus={config.dev[0].manifest}", "language=en"}
    assert set(metrics["dev_phone_error_rate"]) == groups
    assert set(metrics["test_phone_error_rate"]) == groups | {"gender=f", "gender=m", "age=adult"}
    assert metrics["steps"] == 4 and metrics["train_utterances"] == 3  # the line without phones is left out
    encoder = load_recognizer(tmp_path / "whole").encoder
    assert encoder.config == TINY
    assert float(encoder.frontend.mean.abs().max()) > 1  # band statistics of the speech, not zeros


def test_speech_is_decoded_once_for_all_runs_with_a_cache(
    config: PretrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    first = pretrain(config, tmp_path / "first", no_change, cache=tmp_path / "cache")
    assert not (tmp_path / "first" / "cache").exists()
    monkeypatch.setattr(audio_store, "_tried", lambda *_: pytest.fail("read again"))
    second = pretrain(config, tmp_path / "second", no_change, cache=tmp_path / "cache")
    again = pretrain(config, tmp_path / "first", no_change, cache=tmp_path / "cache")
    assert first["test_phone_error_rate"] == second["test_phone_error_rate"] == again["test_phone_error_rate"]
    monkeypatch.undo()
    pretrain(config, tmp_path / "third", no_change)
    assert len(list((tmp_path / "third" / "cache").glob("*.int16"))) == 2  # train, and dev that is test


def test_a_run_that_is_older_than_a_key_goes_on(config: PretrainConfig, tmp_path: Path):
    pretrain(config, tmp_path / "whole", no_change)
    with pytest.raises(RuntimeError, match="the power went out"):
        pretrain(config, tmp_path / "old", cut)
    recipe = tmp_path / "old" / "config.yaml"
    stored = read_yaml(recipe)
    first_keys = ("num_mels", "dimension", "num_layers", "kernel", "expansion", "drop")
    stored["encoder"] = {key: stored["encoder"][key] for key in first_keys}
    del stored["words"], stored["consistency"], stored["outputs"], stored["inventories"]
    recipe.write_text(yaml.safe_dump(stored), "utf-8")
    assert pretrain(config, tmp_path / "old", no_change)["steps"] == 4
    assert read_yaml(recipe)["encoder"]["block"] == "separable"
    whole, old = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "old"))
    assert whole.keys() == old.keys() and all(torch.equal(whole[name], old[name]) for name in whole)


def test_the_trainer_takes_the_precision_that_the_machine_computes_with(
    config: PretrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    wished = replace(config, precision="bf16-mixed")
    for capabilities, precision in (({"amx_bf16": True}, "bf16-mixed"), ({"avx2": True}, "32-true")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=capabilities: found)
        assert module._new_trainer(wished, tmp_path).precision == precision


@pytest.mark.parametrize("block", TINY_BLOCKS)
def test_every_kind_of_block_is_trained_in_half_precision_and_read_again(
    config: PretrainConfig, tmp_path: Path, block: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})  # or emulated
    encoder = replace(TINY, block=block, lookahead=1, **TINY_BLOCKS[block])
    metrics = pretrain(
        replace(config, encoder=encoder, precision="bf16-mixed", steps=2), tmp_path, no_change, SpecAugment()
    )
    trained = load_recognizer(tmp_path)
    assert trained.encoder.config == encoder
    rate = phone_error_rate(trained, load_sources(config.dev))["all"]
    assert rate == metrics["dev_phone_error_rate"]["all"]
    assert all(tensor.isfinite().all() for tensor in trained.state_dict().values())


def test_a_run_that_was_stopped_after_its_last_step_saves_the_same_weights(
    config: PretrainConfig, tmp_path: Path
):
    metrics = pretrain(config, tmp_path, no_change)
    saved = (tmp_path / "weights.safetensors").read_bytes()
    (tmp_path / "weights.safetensors").unlink()
    again = pretrain(config, tmp_path, no_change)
    assert (tmp_path / "weights.safetensors").read_bytes() == saved
    assert again["dev_phone_error_rate"] == metrics["dev_phone_error_rate"]


def test_a_run_begins_with_the_weights_of_an_earlier_one(config: PretrainConfig, tmp_path: Path):
    pretrain(config, tmp_path / "first", no_change)
    still = replace(config, init=Path("first"), steps=1, learning_rate=1e-12, matrix_rate=1e-12, seed=5)
    pretrain(still, tmp_path / "second", no_change, root=tmp_path)
    first, second = (load_file(tmp_path / name / "weights.safetensors") for name in ("first", "second"))
    for name in first:
        torch.testing.assert_close(second[name], first[name], atol=1e-3, rtol=0)
    wider = replace(config.encoder, dimension=2 * config.encoder.dimension)
    with pytest.raises(ConfigError, match="init: .*first holds an encoder of another shape"):
        pretrain(replace(still, encoder=wider), tmp_path / "third", no_change, root=tmp_path)
    with pytest.raises(CheckpointError, match="gone: holds no config.yaml"):
        pretrain(replace(still, init=Path("gone")), tmp_path / "fourth", no_change, root=tmp_path)


def test_a_stem_of_another_kind_is_learnt_anew(config: PretrainConfig, tmp_path: Path):
    earlier = load_recognizer(tiny_weights(tmp_path / "earlier", TINY))
    shape = replace(TINY, stem_channels=(3, 4))
    model = PhoneRecognizer(EmbeddedEncoder(shape), earlier.middle)
    stem = {name: tensor.clone() for name, tensor in model.encoder.stem.state_dict().items()}
    begin_with(model, tmp_path / "earlier")
    found, expected = model.state_dict(), earlier.state_dict()
    for name in found:
        if name.startswith("encoder.stem."):
            assert torch.equal(found[name], stem[name.removeprefix("encoder.stem.")]), name
        else:
            assert torch.equal(found[name], expected[name]), name
    again = replace(config, init=tmp_path / "earlier", encoder=shape, steps=1)
    pretrain(again, tmp_path / "run", no_change)
    assert load_recognizer(tmp_path / "run").encoder.config == shape
    wider = PhoneRecognizer(EmbeddedEncoder(replace(shape, dimension=24)), earlier.middle)
    with pytest.raises(ConfigError, match=r"another shape; .* \(`encoder.stem_channels` may differ"):
        begin_with(wider, tmp_path / "earlier")


def test_layers_on_top_of_those_of_an_earlier_run_are_learnt_anew(tmp_path: Path):
    earlier = load_recognizer(tiny_weights(tmp_path / "earlier", TINY))
    deeper = replace(TINY, num_layers=TINY.num_layers + 1)
    model = PhoneRecognizer(EmbeddedEncoder(deeper), earlier.middle)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    begin_with(model, tmp_path / "earlier")
    taken = earlier.state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, taken.get(name, before[name])), name
    on_top = f"encoder.layers.{TINY.num_layers}."
    assert (
        {name for name in before if name not in taken} == {n for n in before if n.startswith(on_top)} != set()
    )
    shallower = replace(TINY, num_layers=TINY.num_layers - 1)
    with pytest.raises(ConfigError, match=r"another shape; .* `encoder.num_layers` may be larger"):
        begin_with(PhoneRecognizer(EmbeddedEncoder(shallower), 1), tmp_path / "earlier")


def test_a_folder_with_a_run_of_another_recipe_is_refused(config: PretrainConfig, tmp_path: Path):
    pretrain(config, tmp_path, no_change)
    before = (tmp_path / "weights.safetensors").read_bytes()
    with pytest.raises(
        ConfigError, match="holds a run of a recipe that differs in seed, steps; give another"
    ):
        pretrain(replace(config, steps=6, seed=2), tmp_path, no_change)
    assert (tmp_path / "weights.safetensors").read_bytes() == before


def test_kept_versions_are_the_recording_and_its_augmented_forms(folder: Path):
    corpus = SpeechCorpus(
        read_manifest(folder / "speech.jsonl")[:5], versions=[3, 3, 0, 0, 0], progress=False
    )
    encoder = EmbeddedEncoder(TINY)

    def scale(waveform: np.ndarray, item_id: str, seed: int, epoch: int) -> np.ndarray:
        return waveform / (1 + epoch)

    keep_versions(corpus, augment=scale, encoder=encoder, seed=1, num_workers=0, progress=False)
    assert [len(kept) for kept in corpus.kept] == [0, 3, 0, 3, 0]  # in order of length: 0.4 0.5 0.6 0.7 0.9 s
    for version, kept in enumerate(corpus.kept[1]):
        expected = log_mel(scale(with_tail(corpus.audio[1]), "", 1, version), encoder)
        np.testing.assert_allclose(kept, expected, rtol=1e-3, atol=1e-2)  # half precision
    drawn = TrainingBatches(
        corpus, batch_s=0.5, augment=None, encoder=encoder, num_steps=40, seed=3, ramp_steps=20
    )
    corpus.weights[:] = [0, 1, 0, 0, 0]
    first = [float(drawn.batch(step).features[0, 0, 0]) for step in range(40)]
    assert first[0] == float(corpus.kept[1][0][0, 0])
    assert set(first[20:]) == {float(kept[0, 0]) for kept in corpus.kept[1]}


def test_corpora_are_sorted_by_length_and_read_as_int16(folder: Path):
    utterances = read_manifest(folder / "speech.jsonl")[:5]
    corpus = SpeechCorpus(utterances, [1, 2, 3, 4, 5], progress=False)
    assert [entry.duration_s for entry in corpus.utterances] == [0.4, 0.5, 0.6, 0.7, 0.9]
    assert corpus.weights.tolist() == [5, 1, 4, 2, 3]
    assert corpus.targets[0] == phones.encode("AH") and corpus.audio[0].dtype == np.int16
    assert corpus.hours == pytest.approx(3.1 / 3600)
    strange = replace(utterances[1], phones="K XX")
    with pytest.raises(ManifestError, match=r"001\.wav: unknown phone 'XX'"):
        SpeechCorpus([strange], progress=False)


def batches(folder: Path, **changes: object) -> TrainingBatches:
    corpus = SpeechCorpus(read_manifest(folder / "speech.jsonl")[:5], progress=False)
    values = {"batch_s": 2.0, "augment": None, "encoder": EmbeddedEncoder(TINY), "num_steps": 6, "seed": 3}
    return TrainingBatches(corpus, **{**values, **changes})


def test_a_batch_depends_on_seed_and_step_alone_so_a_run_goes_on_alike(folder: Path):
    def texts(made: TrainingBatches) -> list[list[int]]:
        return [batch.targets.tolist() for batch in made]

    whole = texts(batches(folder))
    assert len(whole) == 6 and len({tuple(row) for row in whole}) > 1
    assert texts(batches(folder, first_step=4)) == whole[4:]
    assert texts(batches(folder, seed=4)) != whole
    one, other = batches(folder).batch(5), batches(folder, first_step=3).batch(5)
    for left, right in zip(one[:4], other[:4], strict=True):
        assert isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor) and torch.equal(left, right)


def test_batches_are_padded_and_have_a_silent_tail(folder: Path):
    batch = batches(folder).batch(0)
    rows = len(batch.lengths)
    longest = int(batch.lengths.max())
    assert batch.features.shape[0] == rows and batch.features.shape[2] == 8
    assert batch.features.shape[1] in (4 * longest, 4 * longest + 4)
    assert int(batch.target_lengths.sum()) == len(batch.targets)
    seconds = sorted(round(float(length) * 0.04 - TAIL_S, 1) for length in batch.lengths)
    assert set(seconds) <= {0.4, 0.5, 0.6, 0.7, 0.8, 0.9}


def test_weights_decide_what_is_drawn(folder: Path):
    made = batches(folder, batch_s=0.5)
    made.corpus.weights[:] = [0, 0, 1, 0, 0]
    assert {tuple(made.batch(step).targets.tolist()) for step in range(5)} == {tuple(phones.encode("K AE"))}


def test_augmentation_comes_in_over_the_ramp(folder: Path):
    steps = []

    def count(waveform: np.ndarray, item_id: str, seed: int, epoch: int) -> np.ndarray:
        steps.append(epoch)
        return waveform

    made = batches(folder, augment=count, ramp_steps=10)
    sizes = {step: len(made.batch(step).lengths) for step in (0, 5, 10)}
    assert steps.count(0) == 0 and steps.count(10) == sizes[10] and 0 < len(steps) < sum(sizes.values())


def test_evaluation_reads_every_utterance_once_in_batches_of_bounded_length(folder: Path):
    corpus = SpeechCorpus(read_manifest(folder / "speech.jsonl")[:5], progress=False)
    found = list(evaluation_batches(corpus, 1.2, EmbeddedEncoder(TINY)))
    assert [[entry.duration_s for entry in rows] for _, rows in found] == [[0.4, 0.5], [0.6], [0.7], [0.9]]
    alone = list(evaluation_batches(corpus, 0.1, EmbeddedEncoder(TINY)))
    assert len(alone) == 5
    lengths = int(found[0][0].lengths[0]) * 4
    torch.testing.assert_close(
        found[0][0].features[0, :lengths], alone[0][0].features[0, :lengths], rtol=0, atol=PADDED
    )


class KatRecognizer(FixedRecognizer):
    """Hears "K AE" in everything: K K blank AE AE blank ..."""

    def logits(self, hidden: list[Tensor], output: int = 0) -> tuple[Tensor, Tensor]:
        k, ae = phones.encode("K AE")
        best = [k, k, 0, ae, ae]
        logits = torch.zeros(hidden[0].shape[0], hidden[0].shape[1] // 4, phones.NUM_OUTPUTS)
        for frame in range(logits.shape[1]):
            logits[:, frame, best[frame] if frame < len(best) else 0] = 1.0
        return logits, logits


def test_the_phone_error_rate_is_edits_over_reference_phones(folder: Path):
    corpus = SpeechCorpus(read_manifest(folder / "speech.jsonl")[:5], progress=False)
    rates = phone_error_rate(KatRecognizer(), corpus, by=("gender", "age"))
    # heard K AE for: K AE T (1 deletion), D AO G (3), T AY M (3), K AE (0), AH (2); ages 10, 15, 20, 25, 30
    assert rates["all"] == pytest.approx(9 / 12)
    assert rates["gender=f"] == pytest.approx((1 + 3 + 2) / 7)
    assert rates["gender=m"] == pytest.approx((3 + 0) / 5)
    assert rates["age=child"] == pytest.approx((1 + 3) / 6)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"middle": 3}, r"middle: got 3, allowed: 1 to 2 \(encoder.num_layers\)"),
        ({"steps": 0}, "steps: got 0, allowed: above 0"),
        ({"dev": []}, "train and dev: got none, give at least one manifest for each"),
        ({"precision": "8-bit"}, "got '8-bit', allowed: bf16-mixed, 32-true"),
        ({"train": [{"manifest": "a.jsonl", "weight": 0}]}, "a.jsonl: weight 0.0 must be above 0"),
        ({"train": [{"manifst": "a.jsonl"}]}, r"train\[0\]: unknown key `manifst`; did you mean `manifest`"),
        ({"train": [{}]}, r"train\[0\]: .*manifest"),
        ({"encoder": {"kernl": 3}}, "encoder: unknown key `kernl`; did you mean `kernel`"),
        ({"encoder": {"drop": 1.0}}, "encoder.drop: got 1.0"),
        ({"encoder": {"lookahead": 99}}, r"encoder.lookahead: got 99, allowed: 0 to 10"),
        ({"num_workers": -1}, "num_workers: got -1, allowed: 0 or more"),
        ({"seed": -1}, "seed: got -1, allowed: 0 or more"),
        ({"ema_decay": 1.5}, "ema_decay: got 1.5, allowed: 0 to 1"),
        ({"warmup": -0.1}, "warmup: got -0.1, allowed: 0 to 1"),
        ({"max_left_out": 2.0}, "max_left_out: got 2.0, allowed: 0 to 1"),
        ({"train": [{"manifest": "a.jsonl", "versions": -1}]}, "a.jsonl: versions -1 must be 0 or more"),
    ],
)
def test_recipes_that_cannot_work_are_refused(values: dict[str, object], message: str):
    base = {
        "train": [{"manifest": "a.jsonl"}],
        "dev": [{"manifest": "b.jsonl"}],
        "encoder": {"num_layers": 2},
        "middle": 1,
    }
    with pytest.raises(ConfigError, match=message):
        load_config(PretrainConfig, {**base, **values}, "recipe")


def test_the_command_names_what_is_wrong_with_a_recipe(folder: Path, tmp_path: Path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("train: [{splits: [train]}]\ndev: [{manifest: b.jsonl}]\n", "utf-8")
    with pytest.raises(ConfigError, match=r"recipe\.yaml.train\[0\]: .*manifest"):
        pretrain_command(recipe, tmp_path / "out")
    recipe.write_text("train: [{manifest: speech.jsonl}]\ndev: [{manifest: b.jsonl}]\n", "utf-8")
    with pytest.raises(KwsError, match=r"b\.jsonl: cannot be read \(No such file"):
        pretrain_command(recipe, tmp_path / "out", root=folder)
    with pytest.raises(ManifestError, match="holds no recordings with split test"):
        pretrain_command(
            recipe,
            tmp_path / "out",
            root=folder,
            overrides=["train=[{manifest: speech.jsonl, splits: [test]}]"],
        )


def test_texts_are_read_in_the_language_of_the_source(folder: Path, tmp_path: Path):
    write_manifest(tmp_path / "said.jsonl", [
        {"path": folder / "wavs" / "000.wav", "split": "train", "text": "the cat"},
        {"path": folder / "wavs" / "001.wav", "split": "train", "text": "ignored", "phones": "D AO G"},
        {"path": folder / "wavs" / "002.wav", "split": "train"},
    ])  # fmt: skip
    (tmp_path / "own.txt").write_text("CAT K AA T\n", "utf-8")
    source = SpeechSourceConfig(Path("said.jsonl"), language="en-us")
    corpus = load_sources((source,), tmp_path, texts_as_phones)
    assert sorted(str(entry.phones) for entry in corpus.utterances) == ["D AO G", "DH AH K AE T"]
    own = replace(source, lexicon=Path("own.txt"))
    corpus = load_sources((own,), tmp_path, texts_as_phones)
    assert "DH AH K AA T" in [entry.phones for entry in corpus.utterances]
    corpus = load_sources((SpeechSourceConfig(Path("said.jsonl")),), tmp_path, texts_as_phones)
    assert [entry.phones for entry in corpus.utterances] == ["D AO G"]


@pytest.mark.parametrize(
    ("text", "changes", "message"),
    [
        ("the cat", {"language": "xx"}, r"said\.jsonl: .*'xx'"),
        ("[[k@?t]]", {"language": "en-us"}, r"said\.jsonl: .*'\?' in '\[\[k@\?t\]\]' has no ARPAbet phone"),
        ("", {"language": "en-us"}, r"said\.jsonl: no line has phones; give `phones`, or `text` and"),
        (" ... ", {"language": "en-us"}, r"said\.jsonl: .*000\.wav: text ' \.\.\. ' holds nothing to say"),
        (
            "大英雄",
            {"language": "cmn"},
            r"said\.jsonl: .*: text '大英雄': eSpeak's 'cmn' does not read 雄; check",
        ),
        (
            "你好",
            {"language": "en-us"},
            r"said\.jsonl: .*: text '你好': eSpeak's 'en-us' does not read 你 好",
        ),
        (None, {"language": "en-us"}, r"said\.jsonl: no line has phones; give `phones`, or `text` and"),
        ("the cat", {}, r"said\.jsonl: no line has phones"),
        ("the cat", {"language": "en-us", "lexicon": Path("none.txt")}, r"none\.txt: no such lexicon"),
    ],
)
def test_texts_that_cannot_be_read_are_named(
    folder: Path, tmp_path: Path, text: str | None, changes: dict, message: str
):
    rows = [{"path": folder / "wavs" / "000.wav", "split": "train", "text": text}]
    write_manifest(tmp_path / "said.jsonl", rows)
    with pytest.raises(KwsError, match=message):
        load_sources((SpeechSourceConfig(Path("said.jsonl"), **changes),), tmp_path, texts_as_phones)


def test_the_recipe_for_librispeech_runs_on_a_small_sample_of_its_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "STATISTICS_UTTERANCES", 1)
    texts = ("THE BOY WAS THERE", "SHE HAD YOUR DARK SUIT")
    for speaker, part in (("19", "train-clean-5"), ("84", "dev-clean-2"), ("367", "test-other")):
        book = tmp_path / "LibriSpeech" / part / speaker / "5"
        lines = []
        for number, text in enumerate(texts):
            name = f"{speaker}-5-{number:04d}"
            audio.save(book / f"{name}.flac", Voice().speak(text))
            lines.append(f"{name} {text}\n")
        (book / f"{speaker}-5.trans.txt").write_text("".join(lines), "utf-8")
    output = tmp_path / "librispeech"
    prepared = ["prep", "--corpus", "librispeech", str(tmp_path / "LibriSpeech"), "--output", str(output)]
    assert main(prepared) == 0
    small = ["steps=2", "batch_s=4", "evaluate_every=2", "num_workers=0", "middle=1", "precision=32-true"]
    small += ["encoder={num_mels: 8, dimension: 12, num_layers: 2, kernel: 3, lookahead: 1}"]
    with resources.as_file(resources.files("kws.recipes") / "librispeech.yaml") as recipe:
        metrics = pretrain_command(recipe, tmp_path / "run", root=tmp_path, overrides=small).metrics
    assert metrics["train_utterances"] == 2 and metrics["steps"] == 2
    assert 0 < metrics["test_phone_error_rate"]["all"] and load_recognizer(tmp_path / "run") is not None


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["time_masks=5"], SpecAugment(num_time_masks=5)),
        ([], SpecAugment()),
        (["spec_augment=false", "time_masks=5"], None),
    ],
    ids=["five", "default", "none"],
)
def test_a_recipe_says_how_much_time_is_masked(
    overrides: list[str], expected: SpecAugment | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    given = {}
    monkeypatch.setattr(module, "pretrain", lambda *arguments: given.update(mask=arguments[3]) or {})
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("train: [{manifest: a.jsonl}]\ndev: [{manifest: a.jsonl}]\n", "utf-8")
    pretrain_command(recipe, tmp_path / "run", overrides=["augment_strength=0", *overrides])
    features, lengths = torch.randn(2, 300, 8, generator=torch.Generator().manual_seed(0)), [300, 200]

    def masked(mask: Callable[..., torch.Tensor]) -> torch.Tensor:
        return mask(features, torch.tensor(lengths), torch.Generator().manual_seed(1))

    assert torch.equal(masked(given["mask"]), masked(expected) if expected else features)


@pytest.mark.slow
def test_two_processes_train_one_model_with_batches_of_their_own(folder: Path, tmp_path: Path):
    (tmp_path / "recipe.yaml").write_text(
        "train: [{manifest: speech.jsonl}]\ndev: [{manifest: speech.jsonl, splits: [dev]}]\n"
        "encoder: {num_mels: 8, dimension: 12, num_layers: 2, kernel: 3}\nmiddle: 1\nsteps: 2\nbatch_s: 2\n"
        "evaluate_every: 1\nnum_workers: 0\nprecision: 32-true\ndevices: 2\n",
        "utf-8",
    )
    command = [
        sys.executable,
        "-m",
        "kws",
        "pretrain",
        "recipe.yaml",
        "--root",
        str(folder),
        "--output",
        "run",
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "MEMBER: 2/2" in done.stderr  # the second process joined
    assert done.stdout.count("dev_phone_error_rate all") == 1  # and left evaluation to the first
    assert load_recognizer(tmp_path / "run") is not None


def test_processes_draw_different_batches(folder: Path):
    first, second = batches(folder), batches(folder, rank=1)
    same = [torch.equal(first.batch(n).targets, second.batch(n).targets) for n in range(8)]
    assert not all(same)


def test_a_process_of_several_draws_by_its_rank(
    config: PretrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ranks: list[int] = []
    batch = TrainingBatches.batch

    def noted(self: TrainingBatches, step: int) -> object:
        ranks.append(self.rank)
        return batch(self, step)

    monkeypatch.setattr(TrainingBatches, "batch", noted)
    monkeypatch.setattr(module.rank_zero_only, "rank", 1)
    pretrain(config, tmp_path, no_change)
    assert ranks[0] == 0 and set(ranks[-4:]) == {1}  # band statistics are the same in every process


def test_the_maps_of_words_are_learnt_from_the_likeliest_transcribed_utterances(
    config: PretrainConfig, tmp_path: Path
):
    corpora = []

    def noted(model: object, corpus: SpeechCorpus, folder: Path) -> Path:
        corpora.append(corpus)
        return make_word_space(load_recognizer(folder), corpus, folder, WordSpaceConfig(steps=1, batch=2))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "make_word_space", noted)
        pretrain(replace(config, words=2), tmp_path, no_change)
    assert [len(corpus.audio) for corpus in corpora] == [2]
    assert all(corpora[0].targets) and len(corpora[0].utterances) == 2
    assert any(name.startswith("attributes.") for name in load_file(tmp_path / "words.safetensors"))


def test_a_sample_holds_transcribed_utterances_in_order_of_length(folder: Path):
    source = SpeechSourceConfig(folder / "speech.jsonl", unlabeled=True)
    corpus = load_sources((source,))
    part = corpus.sample(9)
    assert len(corpus.audio) == 4 and [entry.phones for entry in part.utterances] == [
        "K AE T",
        "D AO G",
        "T AY M",
    ]
    corpus.weights = np.array([1e-9 if entry.phones == "K AE T" else 1.0 for entry in corpus.utterances])
    assert [entry.phones for entry in corpus.sample(2).utterances] == ["D AO G", "T AY M"]
