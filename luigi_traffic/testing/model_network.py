"""What a network answers: its shape, finite numbers, each window and link for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from luigi_traffic.api.model import Model
from luigi_traffic.testing.toy import batch, far_from_the_mean, nothing_observed

if TYPE_CHECKING:
    from luigi_traffic.testing.trial import Trial

#: (links, input steps, output steps, windows a batch); None: the model's own.
_SHAPES = ((1, None, None, 1), (5, None, None, 3), (3, 12, 3, 2), (4, 6, 12, 4), (2, 12, 1, 1))
#: Of standard scores: more than rounding in another order, less than any effect.
_NEAR = 1e-3
_STEPS = 6


class NetworkChecks:
    """Networks with fresh weights."""

    model: type[Model]
    trial: Trial

    def test_output_has_its_shape(self) -> None:
        """`(batch, input_steps, links, channels)` in, `(batch, output_steps, links)` out."""
        trial = self.trial
        quantiles = (len(trial.model.quantiles),) if trial.model.quantiles else ()
        for links, t_in, t_out, size in _SHAPES:
            steps = {"input_steps": t_in, "output_steps": t_out}
            config = trial.changed(**{k: v for k, v in steps.items() if v is not None})
            if config is None:
                continue  # the model says that it does not take these
            shape = trial.shape(config, links)
            x = batch(shape, size, links=links)
            with torch.inference_mode():
                got = trial.answer(trial.network(config, shape, links), x)
            wanted = (size, config.output_steps, links, *quantiles)
            assert isinstance(got, torch.Tensor) and tuple(got.shape) == wanted, (
                f"for an input of {tuple(x.shape)} the network answers "
                f"{tuple(got.shape) if isinstance(got, torch.Tensor) else type(got).__name__}, "
                f"expected (batch, output_steps, links{', quantiles' if quantiles else ''}) = "
                f"{wanted}. Take the sizes from `shape` in "
                "build() and from the input in forward()"
                + (
                    ": a per_link model is built for one link and gets any number of links."
                    if trial.model.per_link
                    else "."
                )
            )

    def test_output_is_float32_and_finite(self) -> None:
        """Also where nothing at all was observed: a forecast, not a NaN."""
        trial = self.trial
        shape = trial.shape(trial.config, 5)
        x = batch(shape, 4, links=5)
        for what, given in (
            ("a window", x),
            ("a window without one observation", nothing_observed(x, shape)),
            ("a window with values far from the mean", far_from_the_mean(x, shape)),
        ):
            with torch.inference_mode():
                got = trial.answer(trial.stirred, given)
            assert got.dtype is torch.float32, (
                f"the network answers {got.dtype} to float32. Make constants and buffers float32 "
                "(torch.tensor(…, dtype=torch.float32), no numpy float64)."
            )
            assert bool(torch.isfinite(got).all()), (
                f"{what} is forecast as NaN or infinite. Do not divide by a count that may be 0 "
                "(.clamp(min=1)), take no log or root of a value that may be 0, and never mask a "
                "whole softmax."
            )

    def test_windows_do_not_mix(self) -> None:
        """A window's forecast is the same whatever else is in the batch."""
        trial = self.trial
        x = batch(trial.shape(trial.config, 5), 6, links=5)
        with torch.inference_mode():
            whole = trial.answer(trial.stirred, x)
            alone = torch.cat([trial.answer(trial.stirred, x[n : n + 1]) for n in range(len(x))])
        assert torch.allclose(whole, alone, rtol=_NEAR, atol=_NEAR / 10), (
            "the forecast of a window depends on the rest of its batch (by up to "
            f"{float((whole - alone).abs().max()):.3g} standard deviations). Do not use "
            "statistics over the batch in eval mode, and check view/reshape/permute for mixed "
            "axes."
        )

    def test_links_do_not_mix(self) -> None:
        """`per_link` says that a link is forecast from its own channels alone."""
        trial = self.trial
        if not trial.model.per_link:
            pytest.skip("per_link is False: the model may look at all links")
        x = batch(trial.shape(trial.config, 1), 3, links=6)
        with torch.inference_mode():
            whole = trial.answer(trial.stirred, x)
            alone = torch.cat(
                [trial.answer(trial.stirred, x[:, :, n : n + 1]) for n in range(6)], dim=2
            )
        assert torch.allclose(whole, alone, rtol=_NEAR, atol=_NEAR / 10), (
            "per_link is True, but the forecast of a link depends on the other links of the batch "
            f"(by up to {float((whole - alone).abs().max()):.3g} standard deviations). Fold links "
            "into the batch before any layer, or set per_link = False."
        )

    def test_every_parameter_learns(self) -> None:
        """Each gets a gradient, finite and not always 0."""
        trial = self.trial
        if trial.fitted_at_once:
            pytest.skip("the model is fitted in one go by Model.fit: it needs no gradients")
        shape = trial.shape(trial.config, 5)
        network = trial.network(trial.config, shape)
        # As the loop trains; a head that begins at zero passes nothing on in the first step.
        network.train()
        trained = [p for p in network.parameters() if p.requires_grad]
        assert trained, (
            "the network has no trainable parameter. If this is intended, override Model.fit."
        )
        optimizer = torch.optim.Adam(trained, lr=1e-2)
        reached: set[str] = set()
        for step in range(_STEPS):
            x = batch(shape, 16, seed=step)
            made = torch.Generator().manual_seed(step)
            answer = network(x)
            got, more = answer if isinstance(answer, tuple) else (answer, 0.0)
            loss = (got - torch.randn(got.shape, generator=made)).square().mean() + more
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            for name, parameter in network.named_parameters():
                if parameter.requires_grad and parameter.grad is not None:
                    assert bool(torch.isfinite(parameter.grad).all()), (
                        f"the gradient of {name} is not finite. Avoid sqrt, norm, log and "
                        "division at 0, also inside torch.where."
                    )
                    if bool(parameter.grad.any()):
                        reached.add(name)
            optimizer.step()
        dead = [n for n, p in network.named_parameters() if p.requires_grad and n not in reached]
        assert not dead, (
            f"{', '.join(dead)} got no gradient in {_STEPS} steps: nothing trains it. Use it in "
            "forward() (not behind detach() or no_grad()), or remove it; make a constant a "
            "buffer."
        )

    def test_same_seed_same_network(self) -> None:
        """A training can be repeated: weights begin where torch's seed says."""
        trial = self.trial
        shape = trial.shape(trial.config, 5)
        one, two = (trial.network(trial.config, shape, seed=3).state_dict() for _ in range(2))
        other = [name for name in one if name not in two or not torch.equal(one[name], two[name])]
        assert not other and one.keys() == two.keys(), (
            f"two networks of the same seed differ in {', '.join(other)}. Draw all initial weights "
            "from torch's generator (torch.nn.init), not from numpy, random or the time."
        )

    def test_eval_is_deterministic(self) -> None:
        """The same window has the same forecast."""
        trial = self.trial
        x = batch(trial.shape(trial.config, 5), 4, links=5)
        with torch.inference_mode():
            torch.manual_seed(0)
            first = trial.answer(trial.stirred, x)
            torch.manual_seed(1)
            second = trial.answer(trial.stirred, x)
        assert torch.equal(first, second), (
            "in eval mode the same window is forecast differently a second time. Pass "
            "training=self.training to functional dropout, or use torch.nn.Dropout; draw nothing "
            "in forward(), and keep no state from one call to the next."
        )

    def test_gpu_agrees_with_cpu(self) -> None:
        """Everything moves with `.to(device)`."""
        if not torch.cuda.is_available():
            pytest.skip("torch sees no GPU here: the model was tested only on the CPU")
        trial = self.trial
        x = batch(trial.shape(trial.config, 5), 4, links=5)
        with torch.inference_mode():
            expected = trial.answer(trial.stirred, x)
            try:
                got = trial.answer(trial.stirred.to("cuda"), x.to("cuda")).cpu()
            except RuntimeError as e:
                raise AssertionError(
                    f"the network does not run on the GPU: {e}. Register constants as buffers, and "
                    "make tensors in forward() on the input's device."
                ) from None
            finally:
                trial.stirred.to("cpu")
        assert torch.allclose(got, expected, rtol=1e-2, atol=1e-2), (
            "GPU and CPU forecast differently (by up to "
            f"{float((got - expected).abs().max()):.3g} standard deviations)."
        )
