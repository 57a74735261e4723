import io

import numpy as np
import pytest
from preparation_helpers import make_frames

from astronmf.imaging.preparation import crop, recenter
from astronmf.plotting.preparation import plot_preparation


def draw(figure):
    figure.savefig(io.BytesIO())
    return figure


def test_before_after_and_the_star_s_displacements_are_drawn():
    before = make_frames()
    places = np.array([(16.5 + 0.1 * i, 16.0) for i in range(5)])
    after = crop(recenter(before, places), 21)
    figure = draw(plot_preparation(before, after))
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["before: median of 5 frames", "after: median of 5 frames", "star"]
    np.testing.assert_allclose(panels[2].lines[0].get_ydata(), [-0.2, -0.1, 0, 0.1, 0.2], atol=1e-12)
    np.testing.assert_allclose(panels[0].lines[-1].get_xdata(), places[:, 0])
    assert [text.get_text() for text in panels[2].get_legend().get_texts()] == ["x − 16.70", "y − 16.00"]
    assert "star" in figure._suptitle.get_text()


def test_without_centres_there_is_no_third_panel():
    before = make_frames()
    assert len([axes for axes in draw(plot_preparation(before, crop(before, 21))).axes if axes.get_title()]) == 2


@pytest.mark.parametrize("count", [1, 3])
def test_few_frames_and_frames_without_a_valid_pixel_can_be_drawn(count):
    before = make_frames((count, 33, 35)) if count > 1 else make_frames((1, 33, 35), masked=1.0)
    draw(plot_preparation(before, recenter(before, (17, 16))))
