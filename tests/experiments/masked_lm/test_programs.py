"""The programs for text, run as a user runs them, on small real text."""

import pydoc_data.topics

import fake_glue
import programs
import pytest

from perceiver_jax.data.text import tokenizer


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Flags of a corpus of files: Python's topics, some held out."""
    folder = tmp_path_factory.mktemp("corpus")
    for name, text in pydoc_data.topics.topics.items():
        split = "test" if name.startswith("a") else "train"
        (folder / f"{split}_{name}.txt").write_text(text, encoding="utf-8")
    return (
        f"--config.data.train=('{folder}/train_*.txt',)",
        f"--config.data.held_out=('{folder}/test_*.txt',)",
    )


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory, corpus):
    """The workdir of a short run on bytes."""
    workdir = tmp_path_factory.mktemp("pretrained")
    programs.run(
        "experiments.train",
        *programs.TEXT,
        *corpus,
        f"--workdir={workdir}",
        "--config.steps=2",
    )
    return workdir


def test_the_bigram_stands_beside_the_model_on_the_same_bytes(pretrained):
    done = programs.run("experiments.masked_lm.bigram", f"--workdir={pretrained}")
    header, *rows = done.stdout.split("\n\n")[0].splitlines()
    assert header.split()[:3] == ["docs", "model", "bigram"]
    found = {row[:20].strip(): [float(x) for x in row[20:].split()] for row in rows}
    assert set(found) == {"all", "up to 64"}  # the topics are long
    model, bigram = found["all"]
    assert 2.5 < bigram < 5 and model > bigram  # after two steps
    assert "| hidden | filled | true |" in done.stdout


def test_a_tokenizer_is_trained_and_trained_with(tmp_path, corpus):
    out = tmp_path / "a.model"
    flags = (*programs.TEXT, *corpus, "--config.model.vocab_size=800")
    done = programs.run("experiments.masked_lm.train_tokenizer", *flags, f"--out={out}")
    assert "docs: " in done.stdout and "bytes a piece, on held-out text" in done.stdout
    assert tokenizer.make(str(out)).vocab_size == 800
    done = programs.run(
        "experiments.train",
        *flags,
        f"--config.data.tokenizer={out}",
        f"--workdir={tmp_path}/run",
        "--config.steps=2",
    )
    assert "docs/bits_per_byte" in done.stderr
    again = programs.run(
        "experiments.masked_lm.train_tokenizer", *flags, f"--out={out}", fails=True
    )
    assert "is there already: choose another --out" in again.stderr


def test_the_papers_tables_of_models():
    done = programs.run("scripts.paper_tables")
    language, flow = done.stdout.split("\n\n")
    rows = {line[:24].strip(): line[24:].split() for line in language.splitlines()}
    assert rows["Perceiver IO"][0] == "201,108,230"
    assert len(rows) == 7
    assert "3x3 patches of both frames       41,057,134" in flow
    assert len(flow.splitlines()) == 10


def test_glue_is_fine_tuned_and_written_as_the_server_wants(tmp_path, pretrained):
    fake_glue.write_tfds(tmp_path / "tfds", ("mnli", "stsb"))
    run = tmp_path / "run"
    done = programs.run(
        "experiments.train",
        "--config=configs/glue.py:mnli,docs",
        f"--workdir={run}",
        f"--config.init_from={pretrained}",
        "--config.data.tasks=('mnli','stsb')",
        *(flag for flag in programs.TEXT[1:] if "data." not in flag),
        "--config.data.length=48",
        f"--config.data.dir={tmp_path}/tfds",
        "--config.epochs=0.0",
        "--config.steps=2",
    )
    # The encoder, the processor, the decoder and the embedding; not what is new.
    assert "left at initialisation, as not in the source: mnli_head" in done.stderr
    assert "not used, as only in the source: learned_queries/queries, " in done.stderr
    out = tmp_path / "submission"
    programs.run("experiments.glue.submission", f"--workdir={run}", f"--out={out}")
    names = sorted(path.name for path in out.iterdir())
    assert names == ["MNLI-m.tsv", "MNLI-mm.tsv", "STS-B.tsv"]
    for name in names:
        header, *rows = (out / name).read_text().splitlines()
        assert header == "index\tprediction"
        indices, answers = zip(*(row.split("\t") for row in rows))
        assert list(indices) == [str(index) for index in range(5)]
        if name == "STS-B.tsv":
            assert all(0 <= float(answer) <= 5 for answer in answers)
        else:
            assert set(answers) <= {"entailment", "neutral", "contradiction"}
