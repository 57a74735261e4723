import pytest

import astronmf as package

COMMANDS = ("demo", "reduce", "components", "info", "plot")


def test_the_version_is_shown(astronmf):
    outcome = astronmf("--version")
    outcome.assert_done()
    assert outcome.out == f"astronmf {package.__version__}\n"


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_names_every_command(astronmf, flag):
    outcome = astronmf(flag)
    outcome.assert_done()
    assert all(command in outcome.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_has_help(astronmf, command, flag):
    outcome = astronmf(command, flag)
    outcome.assert_done()
    assert "Usage" in outcome.out


WRONG_USAGE = {
    "an unknown command": ["reduces"],
    "an unknown option": ["info", "a.fits", "--colour"],
    "no file": ["info"],
    "no output": ["components", "a.fits"],
    "an option without its value": ["components", "a.fits", "-o"],
    "no components": ["components", "a.fits", "-o", "b.fits", "-k", "0"],
    "a number that is none": ["components", "a.fits", "-o", "b.fits", "-k", "three"],
    "one number for a centre": ["components", "a.fits", "-o", "b.fits", "--center", "3"],
    "a negative radius": ["components", "a.fits", "-o", "b.fits", "--inner", "-1"],
    "a negative tolerance": ["components", "a.fits", "-o", "b.fits", "--tol", "-1"],
}


@pytest.mark.parametrize("args", WRONG_USAGE.values(), ids=WRONG_USAGE)
def test_wrong_usage_is_exit_code_2(astronmf, args):
    outcome = astronmf(*args)
    assert outcome.code == 2
    assert "Traceback" not in outcome.err
    assert outcome.err


def test_wrong_usage_is_exit_code_2_for_a_shell_too(astronmf_process, tmp_path):
    assert astronmf_process("reduce", "--nonsense", cwd=tmp_path).code == 2


def test_a_failure_is_one_line_for_a_shell_too(astronmf_process, tmp_path):
    outcome = astronmf_process("info", "nothing.fits", cwd=tmp_path)
    outcome.assert_failed_in_one_line("nothing.fits: no such file")
    assert outcome.out == ""


def test_a_python_that_is_debugged_sees_the_error_itself(astronmf, files, monkeypatch):
    monkeypatch.setenv("ASTRONMF_DEBUG", "1")
    outcome = astronmf("info", files / "text.fits")
    assert outcome.code == 1
    assert "astronmf: error" not in outcome.err
