"""Errors of the commands on models name options, as they are typed."""

import pytest

from astronmf.cli.modelling import naming_options, with_options

MESSAGES = {
    "'psf' must be given, for a source that is not convolved yet, got None": (
        "'--psf' must be given, for a source that is not convolved yet"
    ),
    "'a.fits' must be of shape (3, 3), got (2, 2); give its 'pixel_scale'": (
        "'a.fits' must be of shape (3, 3), got (2, 2); give its '--pixel-scale'"
    ),
    "'n_angles' must be an integer of at least 3, got 2": "'--n-angles' must be an integer of at least 3, got 2",
    "'psf_of_mine' must be given, got None": "'psf_of_mine' must be given, got None",
    "no such thing as psf": "no such thing as psf",
}


@pytest.mark.parametrize(("message", "told"), MESSAGES.items(), ids=range(len(MESSAGES)))
def test_arguments_are_named_as_options_and_nothing_else_is_changed(message, told):
    assert with_options(message) == told


def test_a_command_keeps_its_name_its_arguments_and_other_errors():
    @naming_options
    def run(which: type[Exception], message: str = "'psf' must be sharp, got 3") -> None:
        """Say so."""
        raise which(message)

    assert (run.__name__, run.__doc__) == ("run", "Say so.")
    with pytest.raises(ValueError, match="'--psf' must be sharp, got 3"):
        run(ValueError)
    with pytest.raises(OSError, match="disk full"):
        run(OSError, message="disk full")
