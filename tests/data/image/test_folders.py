"""Images in class folders: which files count, and what is said of others."""

import shutil

import pytest

from perceiver_jax.data.image.folders import FolderSource


@pytest.fixture
def folder(tmp_path):
    """Two classes, `cat` with files b.jpg and a.jpg, and `dog` with c.png."""
    for name in ["dog/c.png", "cat/b.jpg", "cat/a.jpg", "cat/.hidden"]:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path


def test_folder_source_numbers_sorted_classes_and_files(folder):
    source = FolderSource(folder)
    assert source.class_names == ["cat", "dog"]
    assert source.num_classes == 2
    names = [str(folder / name) for name in ["cat/a.jpg", "cat/b.jpg", "dog/c.png"]]
    assert [example["name"] for example in source] == names
    assert [example["label"] for example in source] == [0, 0, 1]
    assert source[2]["image"] == b"dog/c.png"


def test_folder_source_uses_the_ids_of_the_training_classes(folder):
    shutil.rmtree(folder / "cat")
    source = FolderSource(folder, class_names=["bird", "cat", "dog"])
    assert [example["label"] for example in source] == [2]
    assert source.num_classes == 3


def test_folder_source_names_what_is_wrong(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder.*ROOT/CLASS"):
        FolderSource(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="cat holds no class folders.*ROOT/CLASS"):
        FolderSource(folder / "cat")
    with pytest.raises(ValueError, match="not among the 1 known classes: dog"):
        FolderSource(folder, class_names=["cat"])
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no images .* add some, or"):
        FolderSource(folder)
    (folder / "empty" / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"empty holds .*, but .*empty/notes.txt; add"):
        FolderSource(folder)


def test_what_is_left_out_is_counted_and_named_in_one_warning(folder, caplog):
    FolderSource(folder)
    assert not caplog.records
    left_out = ["cat/notes.txt", "dog/links.png", "dog/more.png"]
    for name in ("loose.jpg", "cat/notes.txt", ".hidden.jpg"):
        (folder / name).write_bytes(b"")
    (folder / "dog" / "links.png").symlink_to("nowhere.png")
    (folder / "dog" / "more.png").mkdir()
    (folder / "dog" / "more.png" / "d.png").write_bytes(b"")
    assert len(FolderSource(folder)) == 3
    (record,) = caplog.records
    named = ", ".join(str(folder / name) for name in ["loose.jpg", *left_out])
    assert f"{folder}: left out 4: {named}; an image is" in record.getMessage()
    for number in range(4):
        (folder / "cat" / f"notes{number}.txt").touch()
    FolderSource(folder)
    assert "left out 8: " in caplog.text and " and 3 more; an image" in caplog.text


def test_names_of_images_and_classes_are_of_any_kind(tmp_path):
    names = ["my cat/two words.JPG", "Ärger/ü.Png", "a, b/\udcff.webp"]
    for name in names:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"damaged")
    source = FolderSource(tmp_path)
    assert source.class_names == ["a, b", "my cat", "Ärger"]
    assert [example["label"] for example in source] == [0, 1, 2]
    assert source[2]["name"] == str(tmp_path / "Ärger" / "ü.Png")
    assert source[0]["image"] == b"damaged"
