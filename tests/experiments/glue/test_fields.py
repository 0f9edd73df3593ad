"""Fields of a text classifier's config that have no allowed value."""

import pytest
import small_text

from experiments import build


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data.tasks": ("rte", "rte")}, "must be names, each once"),
        ({"data.tasks": ()}, "data.tasks=() must be names, each once"),
        (
            {"data.tasks": ("rte", "cola")},
            "data.num_classes=(2, 2, 2, 2, 0, 3, 2, 2) must have a number for each of "
            "data.tasks=('rte', 'cola')",
        ),
        (
            {"data.num_classes": (-1,)},
            "data.num_classes=(-1,) must be a tuple of values, each at least 0, such "
            "as (2,).",
        ),
        ({"data.source": "csv"}, "data.source='csv' must be one of tfds, tsv, files"),
        ({"data.length": 0}, "data.length=0 must be at least 1."),
        ({"data.length": 49}, "data.length=49 must be from 1 to the model's number of"),
        (
            {"model.kind": "transformer"},
            "model.readout='query' needs latents to query",
        ),
        ({"model.readout": "cls"}, "model.readout='cls' must be one of query, shared"),
    ],
)
def test_it_is_named(fields, message):
    with pytest.raises(ValueError) as error:
        build.make_model(small_text.glue_config(**fields))
    assert message in str(error.value)
