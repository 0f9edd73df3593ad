"""The model of bytes: what its numbers mean in both worlds."""

import numpy as np
import oracles

from experiments.masked_lm import released as rows
from perceiver_jax.pretrained import files, huggingface, huggingface_config
from scripts import convert_pretrained

(MODEL,) = rows.MODELS
FOLDER = oracles.DATA / "huggingface" / "mlm"


def test_both_meanings_of_a_text_can_be_had():
    """Hugging Face's padded positions query the latents too, DeepMind's do not."""
    theirs = files.read_safetensors(FOLDER / "model.safetensors")
    ours = huggingface.from_arrays(theirs, rows.HUGGINGFACE)
    batch, expected = oracles.load(FOLDER / "io.npz")
    config = convert_pretrained.config_of(FOLDER, None)
    config.model.mask_queries = True
    found = oracles.run(config, ours, batch)
    valid = batch["token_mask"].astype(bool)
    assert valid.any() and not valid.all()
    assert oracles.relative_error(found[valid], expected[valid]) <= 1e-4
    assert oracles.relative_error(found[~valid], expected[~valid]) > 1e-2


def test_a_model_that_masks_queries_is_exported_with_a_word():
    model = convert_pretrained.released_config(MODEL).model
    _, differs = huggingface_config.to_config(MODEL, model.to_dict(), 768)
    assert differs == ["mask_queries"]


def test_a_batch_as_their_code_takes_it():
    batch = {"tokens": np.arange(6).reshape(2, 3), "token_mask": np.eye(2, 3) > 0}
    arguments = MODEL.comparison.arguments(batch)
    np.testing.assert_array_equal(arguments["inputs"], batch["tokens"])
    np.testing.assert_array_equal(arguments["attention_mask"], batch["token_mask"])
