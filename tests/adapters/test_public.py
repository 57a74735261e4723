import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from astronmf import adapters
from astronmf.adapters._neighbour import needed

NEIGHBOURS = ("vip_hci", "applefy", "pyklip")


def test_dir_lists_the_public_names():
    assert dir(adapters) == sorted(adapters.__all__)


def test_a_name_that_is_not_there_is_named():
    with pytest.raises(AttributeError, match=r"module 'astronmf\.adapters' has no attribute 'nothing'"):
        _ = adapters.nothing


@pytest.mark.parametrize("name", adapters.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert inspect.getdoc(getattr(adapters, name))


def test_importing_every_adapter_imports_no_neighbour():
    modules = "astronmf.adapters, astronmf.adapters.vip, astronmf.adapters.applefy, astronmf.adapters.pyklip"
    command = f"import sys, {modules}; sys.exit(any(name in sys.modules for name in {NEIGHBOURS}))"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0  # noqa: S603


def test_the_package_itself_loads_no_kernels():
    command = "import sys, astronmf.adapters; sys.exit('numba' in sys.modules or 'astronmf.imaging' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0  # noqa: S603


def test_a_package_that_is_not_installed_is_named_with_the_extra_that_has_it():
    message = r"'vip_dataset' needs nosuchpackage, which is not installed: pip install 'astronmf\[benchmark\]'"
    with pytest.raises(ModuleNotFoundError, match=message) as found:
        needed("nosuchpackage.objects", "vip_dataset")
    assert found.value.name == "nosuchpackage"


def test_a_package_that_lacks_one_of_its_own_says_so_itself(tmp_path, monkeypatch):
    Path(tmp_path / "halfpackage.py").write_text("import nosuchpackage\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="No module named 'nosuchpackage'"):
        needed("halfpackage", "vip_dataset")
