import subprocess
import sys

import torch

from dotbogi.runs.surroundings import torch_set_for


def test_determinism_is_switched_on_and_put_back():
    with torch_set_for(True):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
    assert not torch.are_deterministic_algorithms_enabled()


def test_determinism_does_not_import_torchs_compiler():
    # It takes longer than everything else before the first step.
    code = (
        "import sys\n"
        "from dotbogi.runs.surroundings import torch_set_for\n"
        "for deterministic in (False, True):\n"
        "    with torch_set_for(deterministic):\n"
        "        pass\n"
        "print('torch._inductor' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
