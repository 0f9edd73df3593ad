"""The programs of masked language modelling, run as a user runs them."""

import programs


def test_the_bigram_stands_beside_the_model_on_the_same_bytes(pretrained_text):
    done = programs.run("experiments.masked_lm.bigram", f"--workdir={pretrained_text}")
    header, *rows = done.stdout.split("\n\n")[0].splitlines()
    assert header.split()[:3] == ["docs", "model", "bigram"]
    found = {row[:20].strip(): [float(x) for x in row[20:].split()] for row in rows}
    assert set(found) == {"all", "up to 64"}  # the topics are long
    model, bigram = found["all"]
    assert 2.5 < bigram < 5 and model > bigram  # after two steps
    assert "| hidden | filled | true |" in done.stdout


def test_the_papers_tables_of_models():
    done = programs.run("scripts.paper_tables")
    sound, language, flow, video = done.stdout.split("\n\n")
    assert len(sound.splitlines()) == 11
    rows = {line[:24].strip(): line[24:].split() for line in language.splitlines()}
    assert rows["Perceiver IO"][0] == "201,108,230"
    assert len(rows) == 7
    assert "3x3 patches of both frames       41,057,134" in flow
    assert len(flow.splitlines()) == 10
    assert "784 latents, 88x                 19,858,855" in video
