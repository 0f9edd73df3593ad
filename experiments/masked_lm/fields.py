"""What the fields of a masked language model's config may be."""

from experiments.checks import COUNT, SIZE, Each, Number, OneOf

RANGES = {
    "data.source": OneOf(("tfds", "files", "python_docs", "synthetic")),
    "data.weights": Each(Number(0, open_low=True)),
    "data.max_held_out": COUNT,
    "data.documents": COUNT,
    "data.length": COUNT,
    "data.masking": OneOf(("words", "tokens")),
    "data.mask_rate": Number(0, 1, open_low=True, open_high=True),
    "data.num_workers": SIZE,
    "model.kind": OneOf(("perceiver", "transformer")),
    "model.vocab_size": COUNT,
    "model.max_length": COUNT,
    "model.input_channels": COUNT,
}

# They change none of a run's numbers. Another tokenizer would: its name is compared by
# itself, as the same one may lie in another place.
FREE = ("data.dir", "data.cache", "data.num_workers", "data.tokenizer")
