"""timm's models, fitted to the classes and channels at hand."""

import os
import socket
from typing import Any
from urllib.request import getproxies

import timm
from huggingface_hub import try_to_load_from_cache
from timm.models import get_pretrained_cfg
from torch import nn

from dotbogi.models.library import no_connection
from dotbogi.models.model import Wants

HUB = "huggingface.co"
NO_LIMIT = 32  # a least size up to this is met by every data set known by name, or by images made larger


def names() -> list[str]:
    """Returns the models' names, sorted, without the tags of their weights."""
    return timm.list_models()


def knows(name: str) -> bool:
    """Whether a model of that name can be built; names of other places than timm's own registry are none."""
    if not timm.is_model(name) or ":" in name:
        return False
    tag = name.partition(".")[2]
    return not tag or name in timm.list_models(name, pretrained=True)


def wants(name: str) -> Wants:
    """Returns what a model needs: those of one size, and inceptions, want the size of their published weights."""
    published: Any = get_pretrained_cfg(name)
    if published is None:
        return Wants()
    # Inceptions shrink without padding until nothing is left of a small image, which timm does not say.
    one_size = published.fixed_input_size or published.min_input_size or "inception" in name
    return Wants(image_size=tuple(published.input_size[1:]) if one_size else None)


def build(name: str, *, num_classes: int, in_channels: int, image_size: tuple[int, int], pretrained: bool) -> nn.Module:
    """Builds a model for so many classes and channels; timm itself fits the classifier and the first convolution."""
    published: Any = get_pretrained_cfg(name)
    options: dict[str, Any] = {}
    if published is not None and published.fixed_input_size and image_size != tuple(published.input_size[1:]):
        options["img_size"] = image_size
    if pretrained and published is not None:
        _refuse_unreachable(name, published.hf_hub_id)
    return timm.create_model(name, pretrained=pretrained, num_classes=num_classes, in_chans=in_channels, **options)


def _refuse_unreachable(name: str, repository: str | None) -> None:
    """The hub's own client tries for most of a minute before it says so."""
    if repository is None:
        return
    cached = any(
        isinstance(try_to_load_from_cache(repository, file), str) for file in ("model.safetensors", "pytorch_model.bin")
    )
    if not cached and not _hub_answers():
        raise no_connection(f"timm/{name}")


def _hub_answers() -> bool:
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        return False
    if getproxies() or "HF_ENDPOINT" in os.environ:  # names are then looked up elsewhere
        return True
    try:
        socket.getaddrinfo(HUB, 443)
    except OSError:
        return False
    return True
