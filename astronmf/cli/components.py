"""``astronmf components``: build components once, use them many times."""

from __future__ import annotations

from time import perf_counter
from typing import Annotated

import typer

from astronmf.cli import common

__all__ = ["run"]


def run(
    references: common.Inputs,
    output: common.Output,
    n_components: common.NumberOfComponents = None,
    center: common.Center = None,
    pixel_scale: common.PixelScale = None,
    dq_bits: common.DqBits = None,
    mapping: common.Mapping = None,
    inner: common.Inner = None,
    outer: common.Outer = None,
    mask: common.Mask = None,
    refit: Annotated[str, typer.Option("--refit", help="all components at each stage, or the last only.")] = "all",
    tol: common.Tolerance = 1e-5,
    max_iter: common.Iterations = 1000,
    seed: Annotated[int, typer.Option("--seed", help="Random state of the build.")] = 0,
    plot: common.Plot = None,
    overwrite: common.Overwrite = False,
) -> None:
    """Build components from REF frames and keep them: astronmf components REF... -k 10 -o basis.fits."""
    from astronmf import SequentialNMF
    from astronmf.imaging import build_components

    began = perf_counter()
    common.check_outputs(output, overwrite=overwrite, figures=(plot,), inputs=(*references, mask, mapping))
    shared = {"center": center, "pixel_scale": pixel_scale, "dq_bits": dq_bits, "mapping": mapping}
    frames = common.read_frames(references, **shared)
    with common.progress_bar() as progress:
        basis = build_components(
            frames,
            n_components,
            inner_radius=inner,
            outer_radius=outer,
            mask=common.read_mask(mask),
            estimator=SequentialNMF(tol=tol, max_iter=max_iter, refit=refit, random_state=seed),
            progress=progress,
        )
    basis.meta["inputs"] += common.provenance_of(mask=mask, mapping=mapping)
    basis.meta["command"] = common.command_line()
    basis.write(output, overwrite=overwrite)
    if plot is not None:
        from astronmf.plotting import plot_components

        common.save_figure(plot_components(basis), plot, overwrite=overwrite)
    last = basis.history[-1]
    common.summary(
        f"astronmf components: {output}",
        [
            ("components", f"{len(basis)} from {len(frames)} frames"),
            ("χ²/N", f"{last['chi2'] / basis.meta['n_valid']:.4f} over {basis.meta['n_valid']} values"),
            ("variance left", f"{last['fractional_residual_variance']:.3%}"),
            ("pixels", f"{int((~basis.mask).sum())} covered, {int(basis.mask.sum())} not"),
            ("converged", f"{int(basis.history['converged'].sum())} of {len(basis.history)} stages"),
            ("time", f"{perf_counter() - began:.1f} s"),
        ],
    )
