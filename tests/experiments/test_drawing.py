"""Which attention maps are shown, and how they are laid over what was looked at."""

import numpy as np

from experiments import drawing
from experiments.predicting import Folder


def test_latents_are_chosen_peaked_and_unlike_each_other():
    maps = np.full((1, 6, 2, 2), 0.25)
    maps[0, 1] = maps[0, 2] = [[0.97, 0.01], [0.01, 0.01]]
    maps[0, 4] = [[0.01, 0.01], [0.01, 0.97]]
    assert sorted(drawing.choose_latents(maps, 2)) in ([1, 4], [2, 4])
    assert len(set(drawing.choose_latents(maps, 9))) == 6


def test_attention_to_texts_is_saved_as_arrays_and_as_a_page(tmp_path):
    encoder, decoder = np.arange(4.0), np.arange(2.0)
    rows = [("A", np.array([0.2]))]
    arrays, page = drawing.save_text_attention(
        Folder(tmp_path), "x", encoder, decoder, ["a"], rows
    )
    with np.load(arrays) as found:
        np.testing.assert_array_equal(found["encoder"], encoder)
        np.testing.assert_array_equal(found["decoder"], decoder)
    assert page == str(tmp_path / "x_attention.html") and "<h4>A" in open(page).read()


def test_html_colours_each_character_by_its_share_of_the_largest_weight(tmp_path):
    path = tmp_path / "page.html"
    weights = np.array([0.2, 0.1, 0.0])
    drawing.write_text_html(path, ["a", "<", "\n"], [("A & B", weights)])
    page = path.read_text()
    assert "<h4>A &amp; B</h4>" in page
    assert 'rgba(230,80,0,1.00)" title="0.2000">a</span>' in page
    assert 'rgba(230,80,0,0.50)" title="0.1000">&lt;</span>' in page
    assert 'rgba(230,80,0,0.00)" title="0.0000">\n</span>' in page
