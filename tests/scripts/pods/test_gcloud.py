"""gcloud's command lines, and what its errors tell a user to do."""

import pytest

from scripts.pods.gcloud import Failed, Gcloud


def test_a_command_has_its_zone_and_project(gcloud):
    with pytest.raises(Failed, match="NOT_FOUND: n"):
        Gcloud("z", "p").tpus("queued-resources", "describe", "n")
    where = ["--zone=z", "--project=p", "--quiet"]
    described = ["compute", "tpus", "queued-resources", "describe", "n"]
    assert gcloud.calls() == [[*described, *where]]
    assert Gcloud("z").command("x") == ["gcloud", *described[:2], "x", *where[::2]]


def test_a_dry_run_shows_commands_and_runs_none(gcloud, capsys):
    dry = Gcloud("z", "p", dry_run=True)
    dry.check()
    assert dry.tpus("tpu-vm", "ssh", "--command=a b", assumed="c") == "c"
    dry.follow("tpu-vm", "ssh")
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("gcloud compute tpus tpu-vm ssh '--command=a b' --zone=z")
    assert second == "gcloud compute tpus tpu-vm ssh --zone=z --project=p --quiet"
    assert gcloud.calls() == []


def test_gcloud_must_be_there_and_have_an_account(gcloud, monkeypatch):
    Gcloud("z").check()
    gcloud.cue(account=[" "])
    with pytest.raises(Failed, match="no account. Run: gcloud auth login"):
        Gcloud("z").check()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Failed, match="gcloud was not found: install it"):
        Gcloud("z").check()


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("ERROR: Quota limit 'TPUV5s' has been exceeded. Limit: 0", "iam-admin/quotas"),
        ("ERROR: RESOURCE_EXHAUSTED: no more capacity in the zone", "another --zone"),
        ("You do not currently have an active account selected.", "gcloud auth login"),
        ("ERROR: PERMISSION_DENIED: tpu.nodes.create", "roles/tpu.admin"),
        ("The required property [project] is not currently set.", "--project=PROJECT"),
        ("ERROR: something else", "something else"),
    ],
)
def test_errors_say_what_to_do(gcloud, said, remedy):
    gcloud.cue(queued_resources__create=[said])
    with pytest.raises(Failed) as error:
        Gcloud("z").tpus("queued-resources", "create", "n")
    assert said in str(error.value) and remedy in str(error.value)


def test_a_command_that_is_followed_may_fail(gcloud, capfd):
    gcloud.cue(tpu_vm__ssh=["no route"])
    with pytest.raises(Failed, match="tpu-vm ssh n .* failed"):
        Gcloud("z").follow("tpu-vm", "ssh", "n")
    assert "no route" in capfd.readouterr().err
