"""openWakeWord: a small head on its frozen speech embedding, trained here, and its own model of a phrase.

The chain is openWakeWord's: 16 kHz samples in int16 range, mel / 10 + 2, windows of 76 mel frames every 8
frames, a 96-value embedding each, and a head on the last 16 embeddings. The head is openWakeWord's default
shape (one hidden block of 128 with layer norm), trained on the same recordings, negatives, noise and
augmentation as ours, with the hardest negatives drawn more often. The ONNX files are read from the folder
that the recipe names (``peer_files``) and are not part of this project.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from tqdm import tqdm

from kws.audio import atomic_write
from kws.errors import ConfigError
from kws.studies.held_out import UnseenAudio
from kws.studies.peers import PeerRequest
from kws.studies.scoring import TestScores

MEL_HOP, MEL_OVERLAP = 160, 352
"""Samples per mel frame, and samples that a piece shares with the next so that no frame is lost."""
WINDOW_FRAMES, WINDOW_HOP = 76, 8
EMBEDDINGS = 16
"""Embeddings that the head reads: 1.96 s of audio."""
HOP_S = WINDOW_HOP * MEL_HOP / 16_000
FIRST_SAMPLES = (WINDOW_FRAMES + (EMBEDDINGS - 1) * WINDOW_HOP) * MEL_HOP
"""Samples that the first score has heard, but for the overlap; so much silence lies ahead of a recording."""
PIECE_FRAMES = 3000
STEPS, BATCH_POSITIVES, BATCH_NEGATIVES = 1500, 64, 256
AUGMENTED_BATCHES = 60


class Embedding:
    """openWakeWord's mel and embedding files on one thread."""

    def __init__(self, files: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.mel, self.embedding = (
            onnxruntime.InferenceSession(str(files / name), options, providers=["CPUExecutionProvider"])
            for name in ("melspectrogram.onnx", "embedding_model.onnx")
        )

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Return (time, 96) embeddings of int16 samples, one every 80 ms."""
        step = PIECE_FRAMES * MEL_HOP
        mels = []
        for start in range(0, max(1, len(samples) - MEL_OVERLAP), step):
            piece = samples[start : start + step + MEL_OVERLAP].astype(np.float32)[None]
            if piece.shape[1] >= MEL_OVERLAP + MEL_HOP:
                mels.append(self.mel.run(None, {self.mel.get_inputs()[0].name: piece})[0].reshape(-1, 32))
        mel = np.concatenate(mels) / 10 + 2
        windows = np.lib.stride_tricks.sliding_window_view(mel, WINDOW_FRAMES, axis=0)[
            ::WINDOW_HOP
        ].transpose(0, 2, 1)
        name = self.embedding.get_inputs()[0].name
        batches = [np.ascontiguousarray(windows[s : s + 64])[..., None] for s in range(0, len(windows), 64)]
        return np.concatenate(
            [self.embedding.run(None, {name: batch})[0].reshape(-1, 96) for batch in batches]
        )


def inputs_of(embeddings: np.ndarray) -> np.ndarray:
    """Return (time - 15, 16 * 96) head inputs of a stream of embeddings."""
    windows = np.lib.stride_tricks.sliding_window_view(embeddings, EMBEDDINGS, axis=0)  # (time - 15, 96, 16)
    return windows.transpose(0, 2, 1).reshape(-1, EMBEDDINGS * 96)


def stored(path: Path, make: Callable[[], np.ndarray]) -> np.ndarray:
    """Return an array from ``path``, made and kept at first use."""
    if not path.exists():
        values = make()
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.save(file, values)
    array: np.ndarray = np.load(path)
    return array


def embedding_head(request: PeerRequest) -> TestScores:
    """Train a head on the recordings and score the test audio; a peer of a study."""
    embed, work = Embedding(_files(request)), request.cache / "openwakeword"
    if request.positives is None:
        raise ConfigError("peer: a head on openWakeWord's embedding needs recordings; give 1 or more")
    head = train_head(request, request.positives, work, embed)

    def scores_of(inputs: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return torch.sigmoid(head(torch.from_numpy(inputs))).numpy()[:, 0]

    return _scored(request.test, scores_of, embed, work)


def own_model(request: PeerRequest) -> TestScores:
    """Score the test audio with openWakeWord's own model of the keyword; a peer of a study.

    It is the file whose name begins with the keyword, such as ``hey_mycroft_v0.1.onnx``.
    """
    files = _files(request)
    name = request.keyword.replace(" ", "_")
    found = sorted(files.glob(f"{name}*.onnx"))
    if not found:
        raise ConfigError(f"{files}: openWakeWord has no model of {request.keyword!r} there ({name}*.onnx)")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = onnxruntime.InferenceSession(str(found[0]), options, providers=["CPUExecutionProvider"])
    given = model.get_inputs()[0].name

    def scores_of(inputs: np.ndarray) -> np.ndarray:
        windows = inputs.reshape(-1, 1, EMBEDDINGS, 96)
        return np.concatenate([model.run(None, {given: window})[0].reshape(-1) for window in windows])

    return _scored(request.test, scores_of, Embedding(files), request.cache / "openwakeword")


def _files(request: PeerRequest) -> Path:
    if request.files is None:
        raise ConfigError("peer_files: openWakeWord's ONNX files are needed; name their folder")
    return request.files


def _scored(
    test: UnseenAudio, scores_of: Callable[[np.ndarray], np.ndarray], embed: Embedding, work: Path
) -> TestScores:
    """Embed the test audio, once for all cells, and score it."""
    positives = {
        name: [scores_of(each) for each in _embedded(clips, embed, work)]
        for name, clips in test.positives.items()
    }
    (negatives,) = _embedded([test.negatives], embed, work)
    return TestScores(positives, scores_of(negatives), HOP_S)


def _embedded(clips: Sequence[np.ndarray], embed: Embedding, work: Path) -> list[np.ndarray]:
    """Return head inputs of each recording; frame t ends at ``(t + 1) * HOP_S``."""
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(np.int64(len(clip)).tobytes() + np.ascontiguousarray(clip).tobytes())
    path = work / f"test-{digest.hexdigest()[:16]}.npz"
    if not path.exists():
        ahead = np.zeros(FIRST_SAMPLES + MEL_OVERLAP - WINDOW_HOP * MEL_HOP, np.int16)
        bar = tqdm(clips, "embedding", disable=None)
        made = [embed(np.concatenate([ahead, clip])) for clip in bar]
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez(file, joined=np.concatenate(made), lengths=np.array([len(part) for part in made]))
    with np.load(path) as kept:
        parts = np.split(kept["joined"], np.cumsum(kept["lengths"])[:-1])
    return [inputs_of(part) for part in parts]


def train_head(request: PeerRequest, positives: Path, work: Path, embed: Embedding) -> nn.Module:
    """Train the head on augmented windows of the recordings and on all training negatives."""
    from kws.audio_store import AudioStore
    from kws.data import BatchConfig, KeywordBatches
    from kws.manifest import read_manifest
    from kws.workflows.recordings import PreparedData, prepare_training
    from kws.workflows.train.audio import augmentation

    keyword, seed, folder = request.keyword, request.seed, work
    prepared: PreparedData = prepare_training(
        [keyword],
        [positives],
        list(request.negatives),
        list(request.noise),
        folder / positives.stem,
        cache=request.cache,
        num_workers=1,
    )
    clips = read_manifest(prepared.positives)  # the peer holds none out
    other = AudioStore(read_manifest(prepared.negatives), request.cache, 1, "negatives")
    batches = KeywordBatches(
        AudioStore(clips, None, 1, "positives"),
        [0] * len(clips),
        other,
        BatchConfig(),
        num_keywords=1,
        hop_samples=640,
        augment=augmentation(prepared, seed),
        seed=seed,
    )

    def window_input(window: np.ndarray) -> np.ndarray:
        lead = np.zeros(max(0, 32_000 + MEL_OVERLAP - len(window)), np.float32)
        samples = np.clip(np.concatenate([lead, window]) * 32_768, -32_768, 32_767)
        return inputs_of(embed(samples))[-1]

    per_batch = batches.num_positives
    drawn = [batches.batch(step) for step in range(max(34, 8 * len(clips) // per_batch))]
    near = np.stack(
        [
            window_input(w)
            for b in tqdm(drawn, "embedding positives", disable=None)
            for w in b.waveform[:per_batch].numpy()
        ]
    )
    augmented = stored(
        folder / f"augmented-{keyword}-{seed}.npy",
        lambda: np.stack(
            [window_input(w) for b in drawn[:AUGMENTED_BATCHES] for w in b.waveform[per_batch:].numpy()]
        ),
    )
    plain = inputs_of(stored(folder / "train-negatives.npy", lambda: embed(other.samples)))

    torch.manual_seed(seed)
    head = nn.Sequential(
        nn.Linear(EMBEDDINGS * 96, 128), nn.LayerNorm(128), nn.ReLU(),
        nn.Linear(128, 128), nn.LayerNorm(128), nn.ReLU(), nn.Linear(128, 1),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    rng = np.random.default_rng(seed)
    hard = np.arange(len(plain))
    for step in range(STEPS):
        if step and step % 300 == 0:
            with torch.no_grad():
                values = np.concatenate(
                    [head(torch.from_numpy(part))[:, 0].numpy() for part in np.array_split(plain, 50)]
                )
            hard = np.argsort(values)[-2000:]
        far = [
            plain[rng.choice(hard, BATCH_NEGATIVES // 4)],
            plain[rng.integers(len(plain), size=BATCH_NEGATIVES // 2)],
            augmented[rng.integers(len(augmented), size=BATCH_NEGATIVES // 4)],
        ]
        inputs = torch.from_numpy(np.concatenate([near[rng.integers(len(near), size=BATCH_POSITIVES)], *far]))
        targets = torch.zeros(len(inputs), 1)
        targets[:BATCH_POSITIVES] = 1.0
        weights = torch.where(targets > 0, 0.5 / BATCH_POSITIVES, 0.5 / BATCH_NEGATIVES)
        loss = binary_cross_entropy_with_logits(head(inputs), targets, weights, reduction="sum")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return head.eval()
