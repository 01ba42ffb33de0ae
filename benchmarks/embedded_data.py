"""Makes the manifests that the recipes of the shipped encoder train on; needs ``apt install flite``.

    python -m benchmarks.embedded_data --data DATA --output WORK
    kws pretrain kws/recipes/embedded.yaml --root WORK --output RUN1
    kws pretrain kws/recipes/embedded_finish.yaml --root WORK --set init=RUN1 --output RUN2
    kws pretrain kws/recipes/embedded_taught.yaml --root WORK --set init=RUN2 --output RUN3 \
        --set teacher.path=PEERS/openwakeword

DATA holds the folders ``speechocean762``, ``ljspeech``, ``speech_to_intent`` and ``noise``, each with
``manifest.jsonl``. Real sentences keep their own phones (speechocean762) or get eSpeak NG's; synthetic speech
reads their words in random order and the sentences themselves, in many voices of eSpeak NG and the four of
Flite. Of the 25 speakers of speechocean762's ``dev`` split every fifth stays there, for the curve; the others
are trained on. Every ``test`` split is left alone. ``speech_to_intent`` has no transcripts: it is unlabelled
speech, of which the teacher alone knows something.

``--native`` adds what a fourth part hears, which was tried and does not ship (docs/log): native sentences of
the folder ``mini_librispeech``, of which synthetic voices read pieces, English words of ``dspspeech``, and
the noise of ``esc``:

    python -m benchmarks.embedded_data --data DATA --output NATIVE --native --synthetic 10000
    kws pretrain kws/recipes/embedded_native.yaml --root NATIVE --set init=RUN3 --output RUN4 \
        --set teacher.path=PEERS/openwakeword
"""

from __future__ import annotations

import argparse
import json
import random
import re
from pathlib import Path

from data_prep.synthesis import corpus, espeak, flite
from data_prep.synthesis.phones import read_lexicon, texts_to_phones
from kws.audio import atomic_write


def read_rows(folder: Path) -> list[dict[str, object]]:
    """Return the manifest rows of a corpus folder, with absolute paths."""
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    for row in rows:
        row["path"] = str((folder.parent / row["path"]).resolve())
    return rows


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    """Write manifest rows."""
    with atomic_write(path) as temporary:
        temporary.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def keep_every_fifth_dev_speaker(rows: list[dict[str, object]]) -> None:
    """Move four of five dev speakers to ``train``."""
    speakers = sorted({str(row["speaker"]) for row in rows if row["split"] == "dev"})
    kept = set(speakers[::5])
    for row in rows:
        if row["split"] == "dev" and row["speaker"] not in kept:
            row["split"] = "train"


def read_english(folder: Path) -> list[dict[str, object]]:
    """Return the English rows of a corpus without phones of its own, with eSpeak NG's.

    A text in capitals alone is read in small letters: eSpeak NG spells some words of capitals out.
    """
    rows = [row for row in read_rows(folder) if row.get("language", "en") == "en"]
    texts = [str(row["text"]) for row in rows]
    small = [text.lower() if text.isupper() else text for text in texts]
    for row, phones in zip(rows, texts_to_phones(small, "en-us"), strict=True):
        row["phones"] = " ".join(phones)
    return rows


def pieces(text: str, rng: random.Random) -> list[str]:
    """Cut a long sentence into stretches of three to nine words; a rest of one or two words is left out."""
    words, found = text.lower().split(), []
    while len(words) >= 3:
        count = rng.randint(3, 9)
        found.append(" ".join(words[:count]))
        words = words[count:]
    return found


def main() -> None:
    """Make every manifest of the recipes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the real corpora")
    parser.add_argument(
        "--output", type=Path, required=True, help="folder for manifests and synthetic speech"
    )
    parser.add_argument(
        "--synthetic", type=int, default=18000, help="utterances by eSpeak NG (default: %(default)s)"
    )
    parser.add_argument("--flite", type=int, default=5000, help="utterances by Flite (default: %(default)s)")
    parser.add_argument(
        "--native", action="store_true", help="with native speech, single words and everyday noise"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes (default: %(default)s)")
    arguments = parser.parse_args()
    data, output = arguments.data, arguments.output
    flite.program()  # before the long work

    speechocean = read_rows(data / "speechocean762")
    keep_every_fifth_dev_speaker(speechocean)
    write_rows(output / "speechocean762.jsonl", speechocean)
    ljspeech = read_english(data / "ljspeech")
    lexicon = read_lexicon(data / "speechocean762" / "lexicon.txt")
    write_rows(output / "ljspeech.jsonl", ljspeech)
    write_rows(output / "speech_to_intent.jsonl", read_rows(data / "speech_to_intent"))
    noise = read_rows(data / "noise")
    native: list[dict[str, object]] = []
    if arguments.native:
        native = read_english(data / "mini_librispeech")
        write_rows(output / "mini_librispeech.jsonl", native)
        write_rows(output / "dspspeech.jsonl", read_english(data / "dspspeech"))
        noise += read_rows(data / "esc")
    write_rows(output / "noise.jsonl", [row for row in noise if row["split"] == "train"])

    train = [str(row["text"]) for row in speechocean if row["split"] == "train"]
    train += [
        clause
        for row in ljspeech
        for clause in re.split(r"[,;:.]\s+", str(row["text"]))
        if len(clause.split()) > 2
    ]
    rng = random.Random(5)
    train += [piece for row in native if row["split"] == "train" for piece in pieces(str(row["text"]), rng)]
    words = sorted(
        {word for text in train for word in re.findall(r"[a-z']+", text.lower())}
        | {w.lower() for w in lexicon}
    )
    salad = corpus.random_texts(
        words, max(1, arguments.synthetic - len(train)), seed=1, min_words=3, max_words=9
    )
    texts = [*train, *salad]
    voices = espeak.voices(400, seed=1, split="train")
    corpus.synthesize_corpus(
        output / "synthetic", texts, arguments.synthetic, voices, 1, "train", arguments.workers
    )
    random.Random(3).shuffle(texts)
    corpus.synthesize_corpus(
        output / "flite", texts, arguments.flite, flite.flite_voices(), 3, "train", arguments.workers
    )


if __name__ == "__main__":
    main()
