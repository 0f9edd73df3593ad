"""Fields of a masked language model's config that have no allowed value."""

import re

import pytest
import small_text

from experiments import build


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("data.source", "file", "'file' must be one of tfds, files, python_docs"),
        ("data.masking", "letters", "'letters' must be one of words, tokens"),
        ("data.mask_rate", 1.5, "1.5 must be more than 0 and less than 1."),
        ("data.mask_rate", 1.0, "1.0 must be more than 0 and less than 1."),
        ("data.weights", (0.0,), "(0.0,) must be a tuple of values, each more than 0"),
        ("data.documents", 0, "0 must be at least 1."),
        ("data.length", 0, "0 must be at least 1."),
        ("data.max_held_out", 0, "0 must be at least 1."),
        ("data.num_workers", -1, "-1 must be at least 0."),
        ("model.input_channels", -3, "-3 must be at least 1."),
    ],
)
def test_it_is_named(field, value, message):
    config = small_text.masked_lm_config(**{field: value})
    with pytest.raises(ValueError, match=re.escape(f"{field}={message}")):
        build.make_model(config)
