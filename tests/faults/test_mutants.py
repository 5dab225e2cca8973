"""Each known defect is a patch that fits the tree of today; a patch that no longer does is to be made again."""

import subprocess

import pytest

from mutants import DEFECTS, FITTING, patch
from servers import REPOSITORY


@pytest.mark.parametrize("name", FITTING)
def test_the_patch_of_a_defect_fits(name):
    done = subprocess.run(["git", "apply", "--check", patch(name)], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_each_patch_has_a_schedule():
    assert {path.stem for path in DEFECTS.glob("*.patch")} == set(FITTING)
