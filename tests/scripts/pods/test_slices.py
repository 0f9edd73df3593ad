"""A slice: asked for, waited for, lost, deleted; files to and from its workers."""

import dataclasses

import pytest

from scripts.pods import slices
from scripts.pods.gcloud import Failed


def test_a_slice_is_asked_for_as_its_flags_say(gcloud, pod):
    dataclasses.replace(pod, spot=True).request()
    create = next(call for call in gcloud.calls() if "create" in call)
    assert create == [
        *("compute", "tpus", "queued-resources", "create", "n", "--node-id=n"),
        "--accelerator-type=v5litepod-8",
        "--runtime-version=v2-alpha-tpuv5-lite",
        "--spot",
        *("--zone=z", "--project=p", "--quiet"),
    ]


def test_it_is_asked_for_once(gcloud, pod):
    pod.request()
    pod.request()
    assert gcloud.told() == ["queued-resources create"]
    gcloud.cue(state=["SUSPENDED", "SUSPENDED"])
    pod.request()
    more = ["queued-resources delete", "queued-resources create"]
    assert gcloud.told()[1:] == more


def test_states_are_told_as_they_change(gcloud, pod, capsys):
    pod.request()
    gcloud.cue(state=["WAITING_FOR_RESOURCES", "WAITING_FOR_RESOURCES", "PROVISIONING"])
    pod.wait()
    told = [line.split(": ")[1] for line in capsys.readouterr().out.splitlines()]
    assert told == ["WAITING_FOR_RESOURCES", "PROVISIONING", "is there"]


def test_a_slice_can_be_refused_or_lost_while_waited_for(gcloud, pod):
    pod.request()
    gcloud.cue(state=["FAILED", "SUSPENDING"])
    with pytest.raises(slices.Refused, match="queued-resources describe n --zone=z"):
        pod.wait()
    with pytest.raises(Failed, match="n was taken away before it was there"):
        pod.wait()


def test_it_is_lost_when_either_part_is(gcloud, pod):
    assert pod.is_lost()  # there is none
    pod.request()
    assert not pod.is_lost()
    gcloud.cue(state=["SUSPENDED", "PROVISIONING"])
    assert pod.is_lost() and not pod.is_lost()
    (gcloud.folder / "preempted").touch()
    assert pod.is_lost()


def test_what_is_not_there_need_not_be_deleted(gcloud, pod):
    pod.delete()
    assert gcloud.told() == []
    gcloud.cue(queued_resources__describe=["ERROR: the network is down"])
    with pytest.raises(Failed, match="the network is down"):
        pod.delete()


def test_files_go_to_all_workers_and_come_from_the_first(gcloud, pod, tmp_path):
    pod.request()
    (tmp_path / "code").write_text("text")
    pod.send(str(tmp_path / "code"), "copied")
    first, second = gcloud.workers()
    assert (first / "copied").read_text() == (second / "copied").read_text() == "text"
    pod.fetch(str(first), str(tmp_path / "fetched"))
    assert (tmp_path / "fetched" / "copied").read_text() == "text"


@pytest.mark.parametrize(
    ("type_name", "runtime"),
    [
        ("v4-32", "tpu-ubuntu2204-base"),
        ("v5litepod-8", "v2-alpha-tpuv5-lite"),
        ("v5p-16", "v2-alpha-tpuv5"),
        ("v6e-8", "v2-alpha-tpuv6e"),
    ],
)
def test_a_type_has_its_software(type_name, runtime):
    assert slices.find_runtime(type_name) == runtime


def test_an_unknown_type_needs_its_software_named():
    with pytest.raises(ValueError, match="--type=v9-8 .* give --runtime too"):
        slices.find_runtime("v9-8")
