"""`commit --change`: single Dockerfile instructions applied to an image's config."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import replace

from ireko.engine.specs import merge_environment
from ireko.errors import InvalidInput
from ireko.model.container import Container
from ireko.model.image import ImageConfig


def apply(config: ImageConfig, container: Container, instructions: tuple[str, ...]) -> ImageConfig:
    """The config of an image made of a container: the image's, with what the container was given, with the instructions.

    Raises InvalidInput naming the instruction.
    """
    spec = container.spec
    config = replace(
        config,
        environment=merge_environment(config.environment, spec.environment),
        labels={**config.labels, **spec.labels},
        workdir=spec.workdir or config.workdir,
        user=spec.user or config.user,
        command=spec.command or (() if spec.entrypoint is not None else config.command),
        entrypoint=spec.entrypoint if spec.entrypoint is not None else config.entrypoint,
        exposed_ports=tuple(dict.fromkeys((*config.exposed_ports, *spec.exposed_ports))),
    )
    for instruction in instructions:
        word, _, rest = instruction.strip().partition(" ")
        change = _INSTRUCTIONS.get(word.upper())
        if change is None or not rest.strip():
            raise InvalidInput(
                f'"{instruction}" is no change that commit can make', hint=f"known: {' '.join(sorted(_INSTRUCTIONS))}"
            )
        config = change(config, rest.strip())
    return config


def _argv(text: str) -> tuple[str, ...]:
    if text.startswith("["):
        try:
            words = json.loads(text)
        except ValueError as error:
            raise InvalidInput(f"{text} is no JSON list: {error}") from error
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise InvalidInput(f"{text} is no JSON list of strings")
        return tuple(words)
    return ("/bin/sh", "-c", text)


def _pairs(text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InvalidInput(f"{text}: {error}") from error
    if words and "=" not in words[0]:
        name, _, value = text.partition(" ")
        return [f"{name}={value.strip()}"]
    return words


def _labels(text: str) -> dict[str, str]:
    return {name: value for name, _, value in (pair.partition("=") for pair in _pairs(text))}


def _ports(text: str) -> tuple[str, ...]:
    return tuple(port if "/" in port else f"{port}/tcp" for port in text.split())


def _words(text: str) -> tuple[str, ...]:
    return _argv(text) if text.startswith("[") else tuple(text.split())


_INSTRUCTIONS: dict[str, Callable[[ImageConfig, str], ImageConfig]] = {
    "CMD": lambda config, text: replace(config, command=_argv(text)),
    "ENTRYPOINT": lambda config, text: replace(config, entrypoint=_argv(text)),
    "ENV": lambda config, text: replace(config, environment=merge_environment(config.environment, _pairs(text))),
    "EXPOSE": lambda config, text: replace(
        config, exposed_ports=tuple(dict.fromkeys((*config.exposed_ports, *_ports(text))))
    ),
    "LABEL": lambda config, text: replace(config, labels={**config.labels, **_labels(text)}),
    "STOPSIGNAL": lambda config, text: replace(config, stop_signal=text),
    "USER": lambda config, text: replace(config, user=text),
    "VOLUME": lambda config, text: replace(config, volumes=tuple(dict.fromkeys((*config.volumes, *_words(text))))),
    "WORKDIR": lambda config, text: replace(config, workdir=text),
}
