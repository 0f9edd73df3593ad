"""Labelled lists: own CSV files, and the official ones as they are."""

import pytest

from perceiver_jax.data.video import lists
from perceiver_jax.data.video.lists import Segment


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def test_own_csv(tmp_path):
    touch(tmp_path, "a.mp4", "below/b.wav")
    path = write(
        tmp_path / "x.csv",
        "label, file, start, end, note",
        "dog,a.mp4,,,x",
        "cat,below/b.wav,1.5,4,y",
        "cat,a.mp4,2,,z",
        "cow,below/b.wav,1.5,4,",
        "cat,below/b.wav,1.5,4,twice",
    )
    listing = lists.read_csv(path, tmp_path)
    assert listing.class_names == ["cat", "cow", "dog"]
    a, b = str(tmp_path / "a.mp4"), str(tmp_path / "below" / "b.wav")
    assert list(listing.segments) == [
        Segment(a, (2,), 0.0, None),
        Segment(b, (0, 1), 1.5, 4.0),  # both its classes
        Segment(a, (0,), 2.0, None),
    ]
    known = lists.read_csv(path, tmp_path, ["dog", "cow", "bird", "cat"])
    assert [segment.label for segment in known.segments] == [(0,), (3, 1), (3,)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["file,class", "a.mp4,dog"], r"x\.csv has no column label, but file, class"),
        (["name,class", "a.mp4,dog"], "has no column file and label"),
        (["file,label", "a.mp4,dog", "a.mp4,emu"], r"line 3 has the label 'emu'.*dog"),
        (["file,label", "a.mp4,"], "line 2 has the label ''"),
        (["file,label,start", "a.mp4,dog,soon"], "line 2 has the time 'soon'"),
        (["file,label,start", "a.mp4,dog,-1"], "line 2 has the time '-1'"),
        (["file,label,start,end", "a.mp4,dog,3,3"], "line 2 has the time '3'.*after 3"),
        (["file,label", "a.mp4,dog,3"], "line 2 has 3 fields, the header 2"),
        (["file,label"], "has no rows"),
    ],
)
def test_what_is_wrong_with_a_list_is_said(tmp_path, lines, message):
    touch(tmp_path, "a.mp4")
    path = write(tmp_path / "x.csv", *lines)
    with pytest.raises(ValueError, match=message):
        lists.read_csv(path, tmp_path, ["dog", "cat"])


def test_missing_files_are_counted_and_named(tmp_path, caplog):
    touch(tmp_path, "0.mp4")
    rows = [f"{number}.mp4,dog" for number in range(9)]
    path = write(tmp_path / "x.csv", "file,label", *rows)
    assert len(lists.read_csv(path, tmp_path).segments) == 1
    (message,) = caplog.messages
    assert "left out 8 that have no file" in message
    assert message.endswith("1.mp4, 2.mp4, 3.mp4, 4.mp4, 5.mp4 and 3 more")

    (tmp_path / "0.mp4").unlink()
    with pytest.raises(FileNotFoundError, match=r"none of the 9 files.*0\.mp4, 1\.mp4"):
        lists.read_csv(path, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"gone\.csv"):
        lists.read_csv(tmp_path / "gone.csv", tmp_path)


def test_kinetics(tmp_path, caplog):
    """The official columns; classes with and without their files."""
    path = write(
        tmp_path / "train.csv",
        "label,youtube_id,time_start,time_end,split",
        "testifying,---QUuC4vJs,84,94,train",
        "washing feet,--3ouPhoy2A,20,30,train",
        "eating spaghetti,--4-0ihtnBU,58,68,train",
        "abseiling,_4YTwq0-73Y,1042,1052,train",
    )
    touch(
        tmp_path / "clips",
        "testifying/---QUuC4vJs_000084_000094.mp4",
        "--4-0ihtnBU_000058_000068.mkv",
        "abseiling/_4YTwq0-73Y_001042_001052.mp4",
        "abseiling/other_000000_000010.mp4",
    )
    listing = lists.read_kinetics(path, tmp_path / "clips")
    names = ["abseiling", "eating spaghetti", "testifying", "washing feet"]
    assert listing.class_names == names
    found = [(s.path.rsplit("/", 1)[1], *s[1:]) for s in listing.segments]
    assert found == [
        ("---QUuC4vJs_000084_000094.mp4", (2,), 0.0, None),
        ("--4-0ihtnBU_000058_000068.mkv", (1,), 0.0, None),
        ("_4YTwq0-73Y_001042_001052.mp4", (0,), 0.0, None),
    ]
    assert "left out 1 " in caplog.text and "--3ouPhoy2A_000020_000030" in caplog.text
    with pytest.raises(ValueError, match="line 5 has the label 'abseiling'"):
        lists.read_kinetics(path, tmp_path / "clips", names[1:])

    touch(tmp_path / "clips", "--4-0ihtnBU_000058_000068.mp4")
    with pytest.raises(ValueError, match="_000068.mkv and .*_000068.mp4 have one name"):
        lists.read_kinetics(path, tmp_path / "clips")


CLASSES = (
    "index,mid,display_name",
    '0,/m/09x0r,"Speech"',
    '1,/m/05zppz,"Male speech, man speaking"',
    '2,/t/dd00088,"Gush"',
)
SEGMENTS = (
    "# Segments csv created Sun Mar  5 10:54:31 2017",
    "# num_ytids=4, num_segs=4, num_unique_labels=3, num_positive_labels=5",
    "# YTID, start_seconds, end_seconds, positive_labels",
    '--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"',
    '--ZhevVpy1s, 50.000, 60.000, "/m/05zppz"',
    '--aE2O5G5WE, 0.000, 10.000, "/m/09x0r"',
    '--aO5cdqSAg, 30.000, 40.000, "/m/09x0r"',
)


def test_audioset(tmp_path, caplog):
    """Files of sound and of video, of a segment or whole."""
    path = write(tmp_path / "balanced_train_segments.csv", *SEGMENTS)
    classes = write(tmp_path / "class_labels_indices.csv", *CLASSES)
    folder = tmp_path / "files"
    touch(folder, "--PJHxphWEs_000030_000040.mp4", "--ZhevVpy1s.flac")
    touch(folder, "00/--aE2O5G5WE.m4a")
    listing = lists.read_audioset(path, classes, folder)
    assert listing.class_names == ["Speech", "Male speech, man speaking", "Gush"]
    found = [(s.path.rsplit("/", 1)[1], *s[1:]) for s in listing.segments]
    assert found == [
        ("--PJHxphWEs_000030_000040.mp4", (0, 2), 0.0, None),
        ("--ZhevVpy1s.flac", (1,), 0.0, None),
        ("--aE2O5G5WE.m4a", (0,), 0.0, None),
    ]
    assert "left out 1 " in caplog.text and "--aO5cdqSAg" in caplog.text

    whole = lists.read_audioset(path, classes, folder, whole_videos=True)
    parts = [(segment.start, segment.end) for segment in whole.segments]
    assert parts == [(0, None), (50, 60), (0, 10)]


@pytest.mark.parametrize(
    ("segments", "classes", "message"),
    [
        ([*SEGMENTS, "x, 0, 10"], CLASSES, "line 8 has 3 fields"),
        ([*SEGMENTS, "x, 0, ten, /m/09x0r"], CLASSES, "line 8 has the time 'ten'"),
        (
            [*SEGMENTS, 'x, 0, 9, "/m/09x0r,/m/0"'],
            CLASSES,
            "line 8 has the label '/m/0'",
        ),
        (SEGMENTS, ["index,mid,name", "0,/m/09x0r,Speech"], "no column display_name"),
        (SEGMENTS, [CLASSES[0], CLASSES[2]], "line 2 has the index 1 instead of 0"),
    ],
)
def test_what_is_wrong_with_audioset_is_said(tmp_path, segments, classes, message):
    path = write(tmp_path / "segments.csv", *segments)
    with pytest.raises(ValueError, match=message):
        lists.read_audioset(path, write(tmp_path / "classes.csv", *classes), tmp_path)
