"""The maker of names, on a few lines as WordNet has them."""

import pytest

from experiments.imagenet import make_class_names

NOUNS = """\
  1 This software and database is being provided to you, the LICENSEE, by  
  2   
  3 WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved.  
00001740 03 n 01 entity 0 003 ~ 00001930 n 0000 | that which is perceived
02099601 05 n 01 golden_retriever 0 001 @ 02099267 n 0000 | an English breed
02510455 05 n 0b giant_panda 0 panda 1 c 0 d 0 e 0 f 0 g 0 h 0 i 0 j 0 k 0 001 @ 1 | big
"""


@pytest.fixture
def wordnet(tmp_path):
    path = tmp_path / "data.noun"
    path.write_text(NOUNS)
    return path


def test_words_of_a_noun_and_the_licence(wordnet):
    nouns, licence = make_class_names.read_nouns(wordnet)
    assert nouns == {
        "n00001740": "entity",
        "n02099601": "golden retriever",
        "n02510455": "giant panda, panda, c, d, e, f, g, h, i, j, k",  # 0b is 11
    }
    lines = licence.splitlines()
    assert lines[0].startswith("This software") and lines[0].endswith("LICENSEE, by")
    assert lines[1] == "" and len(lines) == 3


def test_lines_are_in_the_order_of_the_ids(wordnet):
    nouns, _ = make_class_names.read_nouns(wordnet)
    lines = make_class_names.make_lines(["n02099601", "n00001740"], nouns)
    assert lines == "n02099601\tgolden retriever\nn00001740\tentity\n"


def test_ids_that_are_no_nouns_are_all_named(wordnet):
    nouns, _ = make_class_names.read_nouns(wordnet)
    with pytest.raises(ValueError, match="no noun n00000001, n00000002"):
        make_class_names.make_lines(["n00000001", "n00001740", "n00000002"], nouns)


def test_another_version_of_wordnet_is_refused(wordnet):
    wordnet.write_text(NOUNS.replace("WordNet 3.0", "WordNet 3.1"))
    with pytest.raises(ValueError, match="not of WordNet 3.0"):
        make_class_names.read_nouns(wordnet)
    with pytest.raises(FileNotFoundError, match="wordnet-base"):
        make_class_names.read_nouns(wordnet.with_name("none"))


def test_ids_are_a_thousand():
    ids = make_class_names.read_ids()
    assert len(ids) == 1000 and ids[0] == "n01440764"
