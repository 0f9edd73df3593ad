"""The ledger of what every variant costs."""

import json

import pytest
import small_digits

from experiments import build
from scripts import ledger
from scripts.ledger import Cost


def test_all_variants_are_declared_in_their_order():
    # That they cost what is declared, tests/experiments/test_variants.py looks at.
    assert list(ledger.read()) == ledger.variants()
    assert len(ledger.PATH.read_text().splitlines()) == len(ledger.variants()) + 2


def test_a_variant_is_counted_from_shapes_alone():
    config = small_digits.get_config(data__source="tfds", data__dir="/none")
    cost = ledger.count(config)
    size = build.model_size(config)
    assert cost[:2] == (size.parameters, size.flops)
    assert 2.3 < cost.update / config.batch_size / cost.forward < 4.2


def test_the_ledger_is_written_and_its_changes_are_told(monkeypatch, tmp_path, capsys):
    costs = {"a:x": Cost(5957, 10, 20), "a:y": Cost(5957, 11, 21)}
    monkeypatch.setattr(ledger, "PATH", tmp_path / "ledger.json")
    monkeypatch.setattr(ledger, "ROOT", tmp_path)
    monkeypatch.setattr(ledger, "variants", lambda: list(costs))
    monkeypatch.setattr(ledger, "get_config", lambda name: name)
    monkeypatch.setattr(ledger, "count", costs.get)
    ledger.main([])
    assert capsys.readouterr().out == "a:x is new\na:y is new\n"
    assert ledger.read() == costs
    ledger.check("a:x", costs["a:x"])

    table = json.loads(ledger.PATH.read_text())
    table["a:x"]["parameters"] -= 57
    table["b"] = table.pop("a:y")
    ledger.PATH.write_text(json.dumps(table))
    with pytest.raises(ValueError) as error:
        ledger.check("a:x", costs["a:x"])
    assert "a:x: parameters 5,900 -> 5,957 (+0.97%)" in str(error.value)
    assert "python -m scripts.ledger, and commit ledger.json" in str(error.value)
    ledger.main([])
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("a:x: parameters") and told[1:] == [
        "a:y is new",
        "b is gone",
    ]
    ledger.main([])
    assert capsys.readouterr().out == "No cost has changed.\n"


def test_a_change_of_flops_is_told_from_a_thousandth_on():
    before = Cost(100, 10_000, 1_000_000)
    assert ledger.difference("a", before, before) == ""
    assert ledger.difference("a", before, before._replace(update=1_000_999)) == ""
    told = ledger.difference("a", before, before._replace(forward=9_900))
    assert told == "a: forward 10,000 -> 9,900 (-1.00%)"
    assert "parameters 100 -> 101" in ledger.difference(
        "a", before, before._replace(parameters=101)
    )
