"""GLUE's programs, run as a user runs them, on small files in the true formats."""

import fake_glue
import programs


def test_glue_is_fine_tuned_and_written_as_the_server_wants(tmp_path, pretrained_text):
    fake_glue.write_tfds(tmp_path / "tfds", ("mnli", "stsb"))
    run = tmp_path / "run"
    done = programs.run(
        "experiments.train",
        "--config=configs/glue.py:mnli,docs",
        f"--workdir={run}",
        f"--config.init_from={pretrained_text}",
        "--config.data.tasks=('mnli','stsb')",
        "--config.data.num_classes=(3,0)",
        *(flag for flag in programs.TEXT[1:] if "data." not in flag),
        "--config.data.length=48",
        f"--config.data.dir={tmp_path}/tfds",
        "--config.epochs=0.0",
        "--config.steps=2",
    )
    # The encoder, the processor, the decoder and the embedding; not what is new.
    assert "left at initialisation, as not in the source: mnli_head" in done.stderr
    assert "not used, as only in the source: learned_queries/queries, " in done.stderr
    out = tmp_path / "submission"
    programs.run("experiments.glue.submission", f"--workdir={run}", f"--out={out}")
    names = sorted(path.name for path in out.iterdir())
    assert names == ["MNLI-m.tsv", "MNLI-mm.tsv", "STS-B.tsv"]
    for name in names:
        header, *rows = (out / name).read_text().splitlines()
        assert header == "index\tprediction"
        indices, answers = zip(*(row.split("\t") for row in rows))
        assert list(indices) == [str(index) for index in range(5)]
        if name == "STS-B.tsv":
            assert all(0 <= float(answer) <= 5 for answer in answers)
        else:
            assert set(answers) <= {"entailment", "neutral", "contradiction"}
