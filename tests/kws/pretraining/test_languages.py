"""Pretraining with an output for each language: losses and errors by hand, folder, transfer, resuming."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from data_prep.augmentation.spec_augment import SpecAugment
from data_prep.synthesis import espeak
from data_prep.synthesis.corpus import synthesize_corpus
from kws import phones
from kws.config import load_config
from kws.encoders.ctc import PhoneRecognizer
from kws.encoders.registry import load_encoder
from kws.encoders.sources.embedded import EmbeddedConfig, EmbeddedEncoder
from kws.encoders.sources.embedded_weights import load_recognizer, save_recognizer
from kws.enrollment.typed import phrase_model
from kws.errors import CheckpointError, ConfigError, ManifestError
from kws.manifest import Recording
from kws.pretraining import loop as module
from kws.pretraining.batches import CtcBatch, TrainingBatches
from kws.pretraining.config import PretrainConfig
from kws.pretraining.corpus import SpeechCorpus
from kws.pretraining.loop import pretrain
from kws.pretraining.sources import SpeechSourceConfig, load_sources, read_sources
from kws.pretraining.task import (
    CtcTask,
    disagreement,
    ngrams_of,
    over_outputs,
    phone_error_rate,
    twice,
)
from kws.workflows.pretrain import pretrain as pretrain_command
from kws.workflows.pretrain import texts_as_phones
from tests.support.pretraining import FixedRecognizer, no_change, tiny_recipe
from tests.support.training import noise, tone, write_manifest, write_wavs

TINY = EmbeddedConfig(num_mels=8, dimension=12, num_layers=2, kernel=3, drop=0.0)
ENGLISH = ["K AE T", "D AO G", "T AY M"]
MANDARIN = ["你好", "大家好", "喝茶"]
SYMBOLS = ["iɑ", "n", "i", "χ", "ɑu", "t", "ɑ", "tɕ", "o-", "ts.h"]
"""Of the Mandarin texts: n i χ ɑu, t ɑ tɕ iɑ χ ɑu, χ o- ts.h ɑ."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``english.jsonl`` with phones and ``mandarin.jsonl`` with texts, three seconds of tones in each."""
    folder = tmp_path_factory.mktemp("languages")
    waveforms = [tone(0.9, 300 + 150 * n) + noise(0.9, n, 0.01) for n in range(6)]
    paths = write_wavs(folder / "wavs", waveforms)
    common = [{"path": path.relative_to(folder), "duration_s": 0.9, "split": "train"} for path in paths]
    english = [row | {"phones": said} for row, said in zip(common[:3], ENGLISH, strict=True)]
    write_manifest(folder / "english.jsonl", english)
    # ARPAbet phones, as a synthetic corpus has them, are not what an output of its own learns
    mandarin = [
        row | {"text": text, "phones": "M AA"} for row, text in zip(common[3:], MANDARIN, strict=True)
    ]
    write_manifest(folder / "mandarin.jsonl", mandarin)
    return folder


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> PretrainConfig:
    """Two languages, each with an output, four steps."""
    monkeypatch.setattr(module, "STATISTICS_UTTERANCES", 1)
    sources = (
        SpeechSourceConfig(Path("english.jsonl")),
        SpeechSourceConfig(Path("mandarin.jsonl"), language="cmn"),
    )
    return replace(
        tiny_recipe(Path("english.jsonl")),
        train=sources, dev=sources, test=sources, outputs="per_language", encoder=TINY, batch_s=10.0,
    )  # fmt: skip


def run(config: PretrainConfig, folder: Path, output: Path, augment=no_change, mask=None) -> dict:
    return pretrain(config, output, augment, mask, folder, texts_as_phones)


@pytest.mark.slow
def test_each_language_learns_by_its_own_output(
    config: PretrainConfig, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    losses: dict[int, list[float]] = {0: [], 1: []}
    ctc = CtcTask.ctc

    def noted(task: CtcTask, logits: Tensor, batch: CtcBatch, output: int = 0) -> Tensor:
        assert logits.shape[2] == (phones.NUM_OUTPUTS, len(SYMBOLS) + 1)[output]
        loss = ctc(task, logits, batch, output)
        losses[output].append(float(loss.detach()))
        return loss

    monkeypatch.setattr(CtcTask, "ctc", noted)
    longer = replace(config, steps=100, evaluate_every=100, learning_rate=0.03, ema_decay=0.9)
    metrics = run(longer, folder, tmp_path)
    for output in (0, 1):
        assert np.mean(losses[output][-10:]) < 0.4 * np.mean(losses[output][:10])
    rates = metrics["dev_phone_error_rate"]
    groups = ("language=en", "language=cmn", "corpus=english.jsonl", "corpus=mandarin.jsonl")
    assert set(rates) == set(metrics["test_phone_error_rate"]) == {"all", *groups}
    assert rates["corpus=english.jsonl"] == rates["language=en"] < 0.5
    assert rates["corpus=mandarin.jsonl"] == rates["language=cmn"] < 0.5
    # 9 phones of English, 14 of Mandarin
    assert rates["all"] == pytest.approx((9 * rates["language=en"] + 14 * rates["language=cmn"]) / 23)


def test_the_loss_is_the_mean_over_utterances_each_by_its_output():
    torch.manual_seed(3)
    model = PhoneRecognizer(EmbeddedEncoder(TINY), 1, {"cmn": ["a", "b"], "de": ["x"]})
    source = (SpeechSourceConfig(Path("unused.jsonl")),)
    task = CtcTask(model, PretrainConfig(source, source, encoder=TINY, middle=1))
    batch = CtcBatch(
        torch.randn(4, 40, 8),
        torch.tensor([10, 9, 8, 10]),
        torch.tensor([1, 2, 2, 1, 5]),  # "a b", nothing known, "b a" and one main phone
        torch.tensor([2, 0, 2, 1]),
        outputs=torch.tensor([1, 0, 1, 0]),
    )
    hidden = model.hidden(batch.features)
    logits = [model.logits(hidden, output)[0] for output in range(3)]
    assert [found.shape[2] for found in logits] == [40, 3, 2]
    by_output = [task.ctc(found, batch, output) for output, found in enumerate(logits)]
    assert (
        float(by_output[2].detach()) == 0 and by_output[2].requires_grad
    )  # every output has a gradient in each step

    def alone(row: int, targets: list[int]) -> Tensor:
        output, length = int(batch.outputs[row]), int(batch.lengths[row])
        scores = logits[output][row, :length].log_softmax(1)
        one = torch.tensor([length]), torch.tensor([len(targets)])
        return functional.ctc_loss(scores[:, None], torch.tensor([targets]), *one, reduction="sum") / len(
            targets
        )

    expected = (alone(0, [1, 2]) + alone(2, [2, 1]) + alone(3, [5])) / 3
    torch.testing.assert_close(sum(by_output), expected)


class TwoOutputs(FixedRecognizer):
    """Hears "K AE" with the main output and "n i" with the other, in everything."""

    def logits(self, hidden: list[Tensor], output: int = 0) -> tuple[Tensor, Tensor]:
        heard = phones.encode("K AE") if output == 0 else phones.encode_in(["i", "n"], "n i")
        logits = torch.zeros(len(hidden[0]), hidden[0].shape[1] // 4, 40 if output == 0 else 3)
        for frame in range(logits.shape[1]):
            logits[:, frame, heard[frame] if frame < 2 else 0] = 1
        return logits, logits


def test_copies_are_compared_by_the_output_of_their_language():
    source = (SpeechSourceConfig(Path("unused.jsonl")),)
    model = PhoneRecognizer(EmbeddedEncoder(TINY), 1, {"cmn": ["a", "b"]})
    task = CtcTask(model, PretrainConfig(source, source, encoder=TINY, middle=1))
    lengths, nothing = torch.tensor([5, 5, 5]), torch.tensor([0, 0, 0])
    batch = twice(
        CtcBatch(torch.zeros(3, 20, 8), lengths, nothing[:0], nothing, outputs=torch.tensor([0, 1, 0]))
    )
    main, own = torch.randn(6, 5, 40), torch.randn(6, 5, 3)
    found = over_outputs(task.disagreement, [(main, main), (own, 2 * own)], batch)
    english, mandarin = main[[0, 2, 3, 5]], own[[1, 4]]
    four, two = torch.full((4,), 5), torch.full((2,), 5)
    for scale, value in zip((1, 2), found, strict=True):
        expected = 2 / 3 * disagreement(english, four) + 1 / 3 * disagreement(scale * mandarin, two)
        torch.testing.assert_close(value, expected)


def test_each_output_has_a_language_model_of_its_own_phones(config: PretrainConfig, folder: Path):
    english, mandarin = ngrams_of(
        load_sources(config.train, folder, texts_as_phones, "per_language"), config.train
    )
    # Witten-Bell: (count + kinds / inventory) / (total + kinds); 2 of 9 phones are T, 2 of 14 symbols are ɑu
    kinds = len({phone for said in ENGLISH for phone in said.split()})
    assert english.probability(phones.encode("T")[0], ()) == pytest.approx((2 + kinds / 39) / (9 + kinds))
    symbol = sorted(SYMBOLS).index("ɑu") + 1
    assert mandarin.probability(symbol, ()) == pytest.approx((2 + 10 / 10) / (14 + 10))


def test_random_words_say_nothing_of_what_follows_what(config: PretrainConfig, folder: Path):
    speech = load_sources(config.train, folder, texts_as_phones, "per_language")
    words = [replace(source, sentences=source.language == "") for source in config.train]
    english, mandarin = ngrams_of(speech, words)
    same, _ = ngrams_of(speech, config.train)
    said = phones.encode("T")[0]
    assert english.probability(said, ()) == same.probability(said, ()) != 1 / 39
    assert mandarin.probability(1, (2, 3)) == 1 / len(speech.inventories["cmn"])


def test_the_phone_error_rate_by_language_is_that_of_its_own_phones(folder: Path):
    said = {"000": ("K AE T", "en", ""), "001": ("D AO G", "en", ""), "002": ("AE", "en", "")}
    said |= {"003": ("n i", "cmn", "cmn"), "004": ("n i χ", "cmn", "cmn"), "005": ("i n", "cmn", "cmn")}
    utterances = [
        Recording(folder / "wavs" / f"{name}.wav", duration_s=0.9, phones=text, language=language)
        for name, (text, language, _) in said.items()
    ]
    own = [output for _, _, output in said.values()]
    corpus = SpeechCorpus(utterances, progress=False, languages=own, inventories={"cmn": ["i", "n"]})
    rates = phone_error_rate(TwoOutputs(), corpus, by=("language", "gender"))
    # heard K AE: 1 deletion, 3 others, 1 insertion of 7 phones; n i: right, 1 of 3 (χ is unknown), 2 of 2
    assert rates == pytest.approx({"all": 8 / 14, "language=en": 5 / 7, "language=cmn": 3 / 7})


def test_a_stopped_run_goes_on_alike(config: PretrainConfig, folder: Path, tmp_path: Path):
    def cut(waveform: np.ndarray, item_id: str, seed: int, epoch: int) -> np.ndarray:
        if epoch >= 3:
            raise RuntimeError("the power went out")
        return waveform

    metrics = run(config, folder, tmp_path / "whole", mask=SpecAugment())
    with pytest.raises(RuntimeError, match="the power went out"):
        run(config, folder, tmp_path / "stopped", cut, SpecAugment())
    stored = yaml.safe_load((tmp_path / "stopped" / "config.yaml").read_text("utf-8"))
    assert stored["inventories"] == {"cmn": sorted(SYMBOLS)}
    resumed = run(config, folder, tmp_path / "stopped", mask=SpecAugment())
    whole, stopped = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "stopped"))
    assert whole.keys() == stopped.keys() and "further.cmn.1.1.weight" in whole
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)
    assert resumed["dev_phone_error_rate"] == metrics["dev_phone_error_rate"]


def test_a_run_goes_on_with_the_transcripts_it_was_started_with(
    config: PretrainConfig, folder: Path, tmp_path: Path
):
    run(config, folder, tmp_path / "run")
    (tmp_path / "wavs").symlink_to(folder / "wavs")
    (tmp_path / "english.jsonl").write_bytes((folder / "english.jsonl").read_bytes())
    changed = (
        (folder / "mandarin.jsonl").read_text("utf-8").replace("\\u559d\\u8336", "\\u8dd1\\u6b65")
    )  # 跑步
    (tmp_path / "mandarin.jsonl").write_text(changed, "utf-8")
    with pytest.raises(
        ManifestError, match=r"'跑步' has the phones p ph u, which are not in `inventories.cmn`"
    ):
        run(config, tmp_path, tmp_path / "run")
    with pytest.raises(ConfigError, match="differs in outputs; give another"):
        run(replace(config, outputs="per_language_with_tones"), folder, tmp_path / "run")
    with pytest.raises(ConfigError, match="differs in inventories; give another"):
        run(replace(config, inventories={"cmn": [*SYMBOLS, "p"]}), folder, tmp_path / "run")


def test_the_folder_alone_gives_the_recognizer_back(config: PretrainConfig, folder: Path, tmp_path: Path):
    run(config, folder, tmp_path)
    loaded = load_recognizer(tmp_path)
    assert loaded.inventories == {"cmn": sorted(SYMBOLS)}
    assert loaded.further.cmn[0][1].out_features == len(SYMBOLS) + 1
    again = load_recognizer(tmp_path)
    save_recognizer(tmp_path / "copy", again, replace(config, inventories=again.inventories), {})
    features = torch.randn(1, 40, 8)
    copy = load_recognizer(tmp_path / "copy")
    for output in (0, 1):
        for one, other in zip(
            loaded.logits(loaded.hidden(features), output),
            copy.logits(copy.hidden(features), output),
            strict=True,
        ):
            assert torch.equal(one, other)
    stored = yaml.safe_load((tmp_path / "config.yaml").read_text("utf-8"))
    for broken in (["n", "i"], {"cmn": "n i"}, {"cmn": [1]}):
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(stored | {"inventories": broken}), "utf-8")
        with pytest.raises(
            CheckpointError, match=r"config.yaml: inventories: expected a list of phone symbols"
        ):
            load_recognizer(tmp_path)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(stored | {"inventories": {}}), "utf-8")
    with pytest.raises(CheckpointError, match=r"further\.cmn\.0\.0\.weight is not part of the model"):
        load_recognizer(tmp_path)


def test_transfer_and_enrolment_read_the_main_output_alone(tmp_path: Path):
    torch.manual_seed(4)
    several = PhoneRecognizer(EmbeddedEncoder(TINY), 1, {"cmn": ["n", "i"]})
    alone = PhoneRecognizer(EmbeddedEncoder(TINY), 1)
    main = {name: t for name, t in several.state_dict().items() if not name.startswith("further.")}
    alone.load_state_dict(main)  # strictly: nothing but the further outputs is new
    source = (SpeechSourceConfig(Path("unused.jsonl")),)
    config = PretrainConfig(source, source, encoder=TINY, middle=1)
    chinese = (*source, SpeechSourceConfig(Path("other.jsonl"), language="cmn"))
    own = replace(config, train=chinese, outputs="per_language", inventories=several.inventories)
    save_recognizer(tmp_path / "several", several, own, {})
    save_recognizer(tmp_path / "alone", alone, config, {})
    one, other = (load_encoder("embedded", tmp_path / name) for name in ("several", "alone"))
    assert one.state_dict().keys() == other.state_dict().keys()
    assert all(torch.equal(t, other.state_dict()[name]) for name, t in one.state_dict().items())
    heard = [load_recognizer(tmp_path / n).hear(tone(1.0), 0.3) for n in ("several", "alone")]
    assert torch.equal(*heard) and heard[0].shape[1] == phones.NUM_OUTPUTS
    said = [phrase_model(["cat"], [["K AE T"]], weights=tmp_path / n)[0] for n in ("several", "alone")]
    assert said[0].state_dict().keys() == said[1].state_dict().keys()
    waveform = torch.from_numpy(tone(1.0))[None]
    assert torch.equal(said[0].scores(waveform)[0], said[1].scores(waveform)[0])


def test_a_run_begins_with_earlier_weights_of_other_outputs(
    config: PretrainConfig, folder: Path, tmp_path: Path
):
    still = replace(config, steps=1, learning_rate=1e-12, matrix_rate=1e-12, test=())
    english = replace(still, train=config.train[:1], dev=config.dev[:1], outputs="shared")
    run(english, folder, tmp_path / "english")
    run(replace(still, init=tmp_path / "english", seed=5), folder, tmp_path / "both")
    run(replace(still, init=tmp_path / "both", seed=6), folder, tmp_path / "again")
    tones = replace(still, init=tmp_path / "both", outputs="per_language_with_tones", seed=7)
    run(tones, folder, tmp_path / "tones")
    weights = {
        name: load_file(tmp_path / name / "weights.safetensors")
        for name in ("english", "both", "again", "tones")
    }
    for name, tensor in weights["english"].items():
        for later in ("both", "again", "tones"):
            torch.testing.assert_close(weights[later][name], tensor, atol=1e-3, rtol=0)
    for name, tensor in weights["both"].items():
        torch.testing.assert_close(weights["again"][name], tensor, atol=1e-3, rtol=0)
    assert (
        len(weights["tones"]["further.cmn.0.1.weight"]) == len(SYMBOLS) + 1 + 5 - 1
    )  # no second tone is said


def test_tones_are_dropped_or_kept_by_choice(config: PretrainConfig, folder: Path):
    tones = load_sources(config.train, folder, texts_as_phones, "per_language_with_tones")
    assert set(tones.inventories["cmn"]) - set(SYMBOLS) == {"214", "35", "51", "55"}
    plain = load_sources(config.train, folder, texts_as_phones, "per_language")
    assert {u.phones for u in plain.utterances if u.language == "cmn"} == {
        "n i χ ɑu",
        "t ɑ tɕ iɑ χ ɑu",
        "χ o- ts.h ɑ",
    }


def test_one_inventory_takes_the_nearest_english_phones(config: PretrainConfig, folder: Path, tmp_path: Path):
    rows = (folder / "mandarin.jsonl").read_text("utf-8").replace('"phones": "M AA"', '"phones": null')
    (tmp_path / "texts.jsonl").write_text(rows, "utf-8")
    (tmp_path / "wavs").symlink_to(folder / "wavs")
    corpus = load_sources(
        (SpeechSourceConfig(Path("texts.jsonl"), language="cmn"),), tmp_path, texts_as_phones
    )
    assert corpus.inventories == {} and corpus.outputs == [0, 0, 0]
    assert {u.phones for u in corpus.utterances} == {"N IY HH AW", "D AA JH Y AA HH AW", "HH AH CH AA"}
    assert {u.language for u in corpus.utterances} == {"cmn"}


def test_phones_that_training_does_not_hold_are_kept_out_of_it_and_are_errors_elsewhere(
    config: PretrainConfig, folder: Path, caplog: pytest.LogCaptureFixture
):
    inventories = {"cmn": [symbol for symbol in SYMBOLS if symbol != "o-"]}
    corpus = load_sources(config.dev, folder, texts_as_phones, "per_language", inventories)
    assert "1 utterances hold phones that no training text holds" in caplog.text
    assert [targets.count(phones.UNKNOWN) for targets in corpus.targets].count(1) == 1
    with pytest.raises(ManifestError, match=r"\d\.wav: has phones that no output gives; read speech to tr"):
        TrainingBatches(corpus, batch_s=1.0, augment=None, encoder=EmbeddedEncoder(TINY), num_steps=1)
    lines = read_sources(config.train, folder, texts_as_phones, "per_language", inventories)
    train = lines.corpus(known_only=True)
    assert train.unknown == [] and len(train.audio) == 5
    (left,) = train.left_out
    assert left.where == f"{folder / 'mandarin.jsonl'}, line 3" and left.is_fault
    assert re.search(
        r"\d\.wav: '喝茶' has the phones o-, which are not in `inventories.cmn`; mend", left.reason
    )
    with pytest.raises(
        ManifestError, match=r"1 of 6 lines cannot be used .*, line 3: .*'喝茶' has the phones o-"
    ):
        lines.corpus(max_left_out=0.1, known_only=True)


def test_lines_of_a_further_language_that_cannot_be_read_are_left_out(
    config: PretrainConfig, folder: Path, tmp_path: Path
):
    for name in ("wavs", "english.jsonl"):
        (tmp_path / name).symlink_to(folder / name)
    texts = ["你好", "大英雄", " ", None]  # eSpeak does not read the last of the second
    rows = [
        {"path": f"wavs/00{n}.wav", "split": "train", "text": text, "phones": "M AA"}
        for n, text in enumerate(texts)
    ]
    write_manifest(tmp_path / "mandarin.jsonl", rows)
    lines = read_sources(config.train, tmp_path, texts_as_phones, "per_language")
    assert lines.languages == ["", "", "", "cmn"] and lines.inventories == {"cmn": sorted("n i χ ɑu".split())}
    found = {left.where.split(", line ")[1]: left.reason for left in lines.left_out}
    assert found.keys() == {"2", "3", "4"}
    assert "'大英雄': eSpeak's 'cmn' does not read 雄" in found["2"]
    assert "text ' ' holds nothing to say" in found["3"]
    assert found["4"].endswith("; give `text`")  # phones of a manifest are ARPAbet


def test_the_maps_of_words_are_learnt_from_the_main_output(config: PretrainConfig, folder: Path):
    corpus = load_sources(config.train, folder, texts_as_phones, "per_language")
    assert sorted(str(u.phones) for u in corpus.sample(9).utterances) == sorted(ENGLISH)


@pytest.mark.slow
def test_the_multilingual_recipe_runs_on_a_small_sample(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "STATISTICS_UTTERANCES", 1)
    for name in ("speechocean762", "ljspeech", "synthetic/train"):
        rows = [
            {"path": folder / "wavs" / f"00{n}.wav", "phones": said, "split": split, "duration_s": 0.9}
            for n, said in enumerate(ENGLISH)
            for split in espeak.SPLITS
        ]
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_manifest(tmp_path / f"{name}.jsonl", rows)
    for split in espeak.SPLITS:
        voices = espeak.voices(2, accents=("cmn",), split=split)
        synthesize_corpus(tmp_path / "mandarin", MANDARIN, 2, voices, 1, split)
    small = ["steps=2", "batch_s=4", "evaluate_every=2", "num_workers=0", "middle=1", "precision=32-true"]
    small += ["encoder={num_mels: 8, dimension: 12, num_layers: 2, kernel: 3, lookahead: 1}"]
    small += ["noise=null", "augment_strength=0"]
    with resources.as_file(resources.files("kws.recipes") / "multilingual.yaml") as recipe:
        metrics = pretrain_command(recipe, tmp_path / "run", root=tmp_path, overrides=small).metrics
    assert set(metrics["test_phone_error_rate"]) == {
        "all",
        "corpus=speechocean762.jsonl",
        "corpus=mandarin/test.jsonl",
        "language=en",
        "language=cmn",
    }
    assert set(load_recognizer(tmp_path / "run").inventories["cmn"]) < set(SYMBOLS)  # of the first two texts


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"train": [{"manifest": "a.jsonl", "language": "en-gb"}]},
            "outputs: got per_language, but no source",
        ),
        (
            {"train": [{"manifest": "c.jsonl", "language": "cmn"}]},
            "train: with outputs per_language no source",
        ),
        (
            {"dev": [{"manifest": "d.jsonl", "language": "de"}]},
            "d.jsonl: language 'de' has no output, allowed: cmn",
        ),
        (
            {"test": [{"manifest": "c.jsonl", "language": "cmn", "lexicon": "w.txt"}]},
            "c.jsonl: a lexicon holds ARPAbet, which the output of 'cmn' does not have",
        ),
        ({"inventories": {"de": ["a"]}}, "inventories: 'de' has no output; remove it, or name it in train"),
        ({"inventories": {"cmn": ["a", "a"]}}, r"inventories.cmn: expected different symbols without spaces"),
        ({"inventories": {"cmn": ["a b"]}}, r"inventories.cmn: expected different symbols"),
        (
            {"outputs": "per_speaker"},
            "outputs: got 'per_speaker', allowed: shared, per_language, per_language_w",
        ),
    ],
)
def test_recipes_whose_outputs_cannot_work_are_refused(values: dict[str, object], message: str):
    base = {
        "train": [{"manifest": "a.jsonl"}, {"manifest": "c.jsonl", "language": "cmn"}],
        "dev": [{"manifest": "b.jsonl"}],
        "outputs": "per_language",
    }
    load_config(PretrainConfig, base)
    with pytest.raises(ConfigError, match=message):
        load_config(PretrainConfig, {**base, **values}, "recipe")
