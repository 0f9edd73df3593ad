"""Files for GLUE's server, from a run of all tasks at once."""

import programs

NAMES = ("CoLA", "MNLI-m", "MNLI-mm", "MRPC", "QNLI", "QQP", "RTE", "SST-2", "STS-B")


def test_a_run_of_all_tasks_writes_all_files(trained, tmp_path):
    flags = (f"--workdir={trained}", f"--out={tmp_path}")
    done = programs.run("experiments.glue.submission", *flags)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"{name}.tsv" for name in NAMES]
    assert sorted(line.rpartition("/")[2] for line in done.stdout.split()) == names
    for path in tmp_path.iterdir():
        assert len(path.read_text().splitlines()) == 1 + 5


def test_a_run_of_another_task_has_nothing_to_submit(pretrained_text, tmp_path):
    flags = (f"--workdir={pretrained_text}", f"--out={tmp_path}")
    done = programs.run("experiments.glue.submission", *flags, fails=True)
    assert done.stderr.endswith("is no model of GLUE's tasks.\n")
