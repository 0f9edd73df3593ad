"""Photos to render pairs from."""

import pickle

import fake_flow
import numpy as np
import pytest

from perceiver_jax.data.flow import photos, rendering


def test_photos_of_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no images"):
        photos.folder(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder; give one"):
        photos.folder(tmp_path / "nowhere")
    written = fake_flow.make_pair(0, (8, 9)).frames
    fake_flow.write_image(tmp_path / "a.png", written[0])
    fake_flow.write_image(tmp_path / "deep" / "b.PNG", written[1])
    for name in ("notes.txt", "notes.pdf", "video.mpg", ".a.png"):
        (tmp_path / name).write_text("no photo")
    found = photos.folder(tmp_path)
    assert len(found) == 2
    np.testing.assert_array_equal(np.stack([found[0], found[1]]), written)


def test_a_broken_photo_is_told_and_another_taken(tmp_path, caplog):
    written = fake_flow.make_pair(0, (8, 9)).frames
    fake_flow.write_image(tmp_path / "a.png", written[0])
    fake_flow.write_image(tmp_path / "b.png", written[1])
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:50])
    found = photos.folder(tmp_path)
    np.testing.assert_array_equal(found[0], written[1])
    assert "a.png" in caplog.text
    fake_flow.write_image(tmp_path / "a.png", written[0][:1, :1])
    np.testing.assert_array_equal(photos.folder(tmp_path)[0], written[1])
    assert "a.png: 1x1 pixels are too few" in caplog.text


def test_large_photos_are_shrunk(tmp_path):
    fake_flow.write_image(tmp_path / "a.png", np.full((32, 4096, 3), 7, np.uint8))
    photo = photos.folder(tmp_path)[0]
    assert photo.shape == (16, 2048, 3) and (photo == 7).all()


def test_photos_reach_worker_processes(tmp_path):
    fake_flow.write_image(tmp_path / "a.png", fake_flow.make_pair(0, (8, 9)).frames[0])
    look = rendering.Rendering((16, 16), 1.0)
    source = rendering.RenderedPairs(photos.folder(tmp_path), look, 1)
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(again[0]["frames"], source[0]["frames"])


def test_photos_that_packages_bring():
    for found in (photos.scikit_learn(), photos.matplotlib_portrait()):
        for photo in found:
            assert photo.dtype == np.uint8 and photo.shape[2] == 3
            assert min(photo.shape[:2]) > 400 and photo.std() > 30
