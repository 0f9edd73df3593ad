"""Google's command-line program, gcloud: run, or only shown."""

import dataclasses
import shlex
import shutil
import subprocess


class Failed(RuntimeError):
    """gcloud ended with an error; the message says what to do."""


# What gcloud says, in lower case, and what to do then.
REMEDIES = {
    "quota": "The project may not have so many chips: ask for more at "
    "https://console.cloud.google.com/iam-admin/quotas, or take another --zone, "
    "--type, or --spot.",
    "resource_exhausted": "Take another --zone or --type, or --spot.",
    "auth login": "Run: gcloud auth login",
    "active account": "Run: gcloud auth login",
    "permission": "The account needs the role 'TPU Admin' in this project "
    "(roles/tpu.admin).",
    "[project]": "Give --project=PROJECT, or run: gcloud config set project PROJECT",
}


@dataclasses.dataclass(frozen=True)
class Gcloud:
    """gcloud for one project and zone.

    Attributes:
      zone: of Google Cloud, such as us-central1-a.
      project: "" for gcloud's own choice.
      dry_run: show commands and run none.
    """

    zone: str
    project: str = ""
    dry_run: bool = False

    def check(self) -> None:
        """Raises Failed where gcloud is not installed, or nobody is logged in."""
        if self.dry_run:
            return
        if shutil.which("gcloud") is None:
            raise Failed(
                "gcloud was not found: install it as "
                "https://cloud.google.com/sdk/docs/install says."
            )
        accounts = ("auth", "list", "--filter=status:ACTIVE", "--format=value(account)")
        if not self._run(["gcloud", *accounts]).strip():
            raise Failed("gcloud has no account. Run: gcloud auth login")

    def tpus(self, *arguments: str, assumed: str = "") -> str:
        """Runs `gcloud compute tpus ...` and returns what it prints.

        Args:
          *arguments: without project and zone.
          assumed: what a dry run takes as printed.

        Raises:
          Failed: it ended with an error.
        """
        command = self.command(*arguments)
        if self.dry_run:
            print(shlex.join(command), flush=True)
            return assumed
        return self._run(command)

    def follow(self, *arguments: str) -> None:
        """Runs `gcloud compute tpus ...` with its output on the terminal."""
        command = self.command(*arguments)
        if self.dry_run:
            print(shlex.join(command), flush=True)
        elif subprocess.run(command).returncode:
            raise Failed(f"{shlex.join(command)} failed.")

    def command(self, *arguments: str) -> list[str]:
        """Returns the whole command line."""
        project = [f"--project={self.project}"] if self.project else []
        where = [f"--zone={self.zone}", *project, "--quiet"]  # without questions
        return ["gcloud", "compute", "tpus", *arguments, *where]

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = done.stderr.strip() or done.stdout.strip()
            remedies = [r for word, r in REMEDIES.items() if word in said.lower()]
            raise Failed(
                f"{shlex.join(command[:5])} ... ended with status {done.returncode}: "
                f"{said[-1000:]} {' '.join(remedies[:1])}".strip()
            )
        return done.stdout
