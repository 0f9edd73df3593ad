"""The pages for people: what they name exists, and their commands work as pasted."""

import csv
import functools
import importlib
import pathlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image
from programs import ROOT, environment

from configs import base
from perceiver_jax.data.flow import files
from perceiver_jax.data.video import files as videos
from perceiver_jax.data.video.rendered import RenderedClips
from perceiver_jax.engine.checkpoints import description

README = ROOT / "README.md"
PAGES = [
    README,
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("experiments/*/README.md")),
]
CONFIGS = sorted(path.stem for path in ROOT.glob("configs/*.py"))


def identify(path: pathlib.Path) -> str:
    return str(path.relative_to(ROOT))


each_page = pytest.mark.parametrize("page", PAGES, ids=identify)


def blocks(page: pathlib.Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.S | re.M)


def commands(text: str) -> Iterator[list[str]]:
    """The commands of a shell block, as words."""
    for line in text.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def test_readme_is_short():
    assert len(README.read_text().splitlines()) <= 150


# Links.


def anchors(page: pathlib.Path) -> set[str]:
    """What `page.md#...` may name, as GitHub makes it of headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.S | re.M)
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}


@each_page
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


def test_every_page_is_linked_from_the_readme():
    linked = re.findall(r"\]\(([^)#\s]+)", README.read_text())
    assert {identify(page) for page in PAGES} <= {*linked, "README.md"}


# Names.


@each_page
def test_files_that_are_named_exist(page):
    """Of the repository, in backticks, without capitals that stand for others."""
    folders = "perceiver_jax|experiments|configs|scripts|tests|benchmarks|docs"
    for name in re.findall(rf"`((?:{folders})/[\w/.*-]+)`", page.read_text()):
        if not re.search(r"[A-Z]{3}", name.removesuffix("README.md")):
            assert list(ROOT.glob(name)), name


@each_page
def test_programs_that_are_named_exist(page):
    text = page.read_text()
    modules = re.findall(
        r"python -m\s+((?:experiments|scripts|benchmarks)[\w.]*)", text
    )
    for module in modules:
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module
    assert not re.findall(r"python scripts/", text)  # one way to start a program


@functools.cache
def get_config(name: str) -> dict:
    """The fields of configs/FILE.py:VARIANT, flat."""
    file, _, variant = name.partition(":")
    module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    return description.flatten(
        module.get_config(*[variant] if variant else []).to_dict()
    )


@functools.cache
def all_fields() -> set[str]:
    """The fields that some config has."""
    names = [name for name in CONFIGS if name not in ("__init__", "base")]
    return set(description.flatten(base.get_config().to_dict())).union(
        *(get_config(f"configs/{name}.py") for name in names)
    )


@each_page
def test_configs_and_variants_that_are_named_exist(page):
    for name in re.findall(r"configs/\w+\.py:[\w,]+", page.read_text()):
        assert get_config(name.rstrip(","))


@each_page
def test_fields_that_are_named_exist(page):
    text = page.read_text()
    for field in re.findall(r"--config\.([\w.]*\w)", text):
        assert field in all_fields(), field
    if page.name != "log.md":  # which tells of fields that are gone
        for field in re.findall(
            r"`((?:data|model|optimizer)\.(?!py|safetensors)[\w.]*\w)", text
        ):
            assert field in all_fields(), field


@each_page
def test_commands_have_fields_of_their_own_config(page):
    for block in blocks(page, "bash"):
        for words in commands(block):
            flags = [word.removeprefix("--config") for word in words if "--con" in word]
            named = [flag[1:] for flag in flags if flag.startswith("=configs/")]
            for flag in flags:
                if named and flag.startswith(".") and "TASK" not in named[0]:
                    assert flag[1:].partition("=")[0] in get_config(named[0]), words


# Commands that work as pasted, on small files of one's own.


def blocks_to_test() -> dict[str, list[list[str]]]:
    """Commands below each `<!-- tested: NAME -->`, of all pages, each once."""
    found: dict[str, list[list[str]]] = {}
    pattern = r"<!-- tested: (\w+) -->\n```bash\n(.*?)^```"
    for page in PAGES:
        for name, block in re.findall(pattern, page.read_text(), re.S | re.M):
            known = found.setdefault(name, [])
            known += [words for words in commands(block) if words not in known]
    return found


def make_images(folder: pathlib.Path, rng: np.random.Generator) -> None:
    for split, count in (("train", 6), ("val", 2)):
        for name in ("cats", "dogs"):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 256, (70, 90, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{number}.png")


def make_corpus(folder: pathlib.Path, rng: np.random.Generator) -> None:
    del rng
    for split in ("train", "test"):
        (folder / split / "inside").mkdir(parents=True)
        (folder / split / "inside/a.txt").write_text("The cat sat.\nA dog ran.\n" * 9)


def make_texts(folder: pathlib.Path, rng: np.random.Generator) -> None:
    (folder / "reviews").mkdir(parents=True)
    for split in ("train", "test"):
        with (folder / "reviews" / f"{split}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["text", "label"])
            for number in rng.integers(0, 100, 9):
                rows.writerow([f"I liked it, {number} times.", "good"])
                rows.writerow([f"I left after {number} minutes.", "bad"])


def make_pairs(folder: pathlib.Path, rng: np.random.Generator) -> None:
    for split in ("train", "test"):
        (folder / split).mkdir(parents=True)
        for name in "ab":
            pixels = rng.integers(0, 256, (52, 60, 3), dtype=np.uint8)
            for number, frame in enumerate((pixels, np.roll(pixels, 2, axis=1)), 1):
                Image.fromarray(frame).save(folder / split / f"{name}_img{number}.png")
            flow = np.full((52, 60, 2), (2, 0), np.float32)
            files.write_flow(folder / split / f"{name}_flow.flo", flow)


def make_clips(folder: pathlib.Path, rng: np.random.Generator) -> None:
    del rng
    folder.mkdir()
    rendered = RenderedClips(90, (72, 80), 20, 640)
    for split, first in (("train", 0), ("validate", 60)):
        rows = ["file,label"]
        for number in range(first, first + 4):
            clip = rendered[number]
            name = f"{number}.mp4"
            videos.write(
                folder / name, clip["video"], Fraction(25), clip["audio"], 16_000
            )
            rows.append(f"{name},{'odd' if number % 2 else 'even'}")
        (folder / f"{split}.csv").write_text("\n".join(rows))


def make_photos(folder: pathlib.Path, rng: np.random.Generator) -> None:
    folder.mkdir()
    for name, shape in (("a", (200, 60)), ("b", (190, 90))):
        pixels = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")


MAKERS = {
    "images": make_images,
    "corpus": make_corpus,
    "texts": make_texts,
    "pairs": make_pairs,
    "clips": make_clips,
    "sounds": make_clips,
    "photos": make_photos,
}


def test_all_marked_blocks_are_run():
    assert blocks_to_test().keys() == MAKERS.keys()


@pytest.mark.parametrize("name", MAKERS)
def test_commands_work_as_pasted(name, tmp_path):
    data = tmp_path / name
    MAKERS[name](data, np.random.default_rng(0))
    trained = 0
    for program, *words in blocks_to_test()[name]:
        assert program == "python"
        words = [
            word.replace(name.upper(), str(data)).replace("WORKDIR", str(tmp_path))
            for word in words
        ]
        if "experiments.train" in words:
            trained += 1
            words.append("--config.steps=2")  # the last one counts
        done = subprocess.run(
            [sys.executable, *words],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert trained == 1  # README and the task's page have the same command


# Examples in Python.


def test_examples_of_the_model_run(trained_digits):
    """One after the other, on a checkpoint of the tests."""
    names: dict[str, object] = {}
    for block in blocks(ROOT / "docs/using_the_model.md", "python"):
        exec(block.replace("/tmp/digits", str(trained_digits)), names)
    assert names["outputs"].shape == (2, 100, 32)
    assert names["maps"].keys() == {
        "encoder/cross_attention/attention",
        "decoder/cross_attention/attention",
    }
    assert names["logits"].shape == (1, 10)
