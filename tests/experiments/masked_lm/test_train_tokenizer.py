"""A tokenizer is trained, by the program."""

import programs

from perceiver_jax.data.text import tokenizer


def test_a_tokenizer_is_trained_and_trained_with(tmp_path, text_corpus):
    out = tmp_path / "a.model"
    flags = (*programs.TEXT, *text_corpus, "--config.model.vocab_size=800")
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


def test_what_is_missing_is_said(tmp_path):
    program = "experiments.masked_lm.train_tokenizer"
    done = programs.run(program, f"--out={tmp_path}/a.model", fails=True)
    assert "Say --config=FILE:VARIANT and --out=FILE." in done.stderr + done.stdout
