"""The one way to connect to Temporal: same converter and codec in every process."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.envconfig import ClientConfig

from settings import Settings
from store.keys import Keyring
from workflows.codec import SealedPayloads


def keyring(settings: Settings) -> Keyring:
    """The keys of this installation, from the settings or ``var_dir``/secret.keys.

    Raises:
        ValueError: there is no key; the message says how to make one.
    """
    lines = [key.get_secret_value() for key in settings.secret_keys]
    file = Path(settings.var_dir) / "secret.keys"
    if not lines and file.exists():
        lines = [line for line in file.read_text().splitlines() if line.strip()]
    return Keyring.parse(lines)


def converter(keys: Keyring) -> DataConverter:
    """Pydantic models in, sealed payloads and failures out."""
    return dataclasses.replace(
        pydantic_data_converter,
        payload_codec=SealedPayloads(keys),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


async def connect(settings: Settings) -> Client:
    """A client for this process and event loop.

    Raises:
        RuntimeError: Temporal cannot be reached.
    """
    data_converter = converter(keyring(settings))
    if settings.temporal_profile:
        config = dict(ClientConfig.load_client_connect_config(profile=settings.temporal_profile))
        return await Client.connect(**config, data_converter=data_converter)  # type: ignore[arg-type]
    return await Client.connect(
        settings.temporal_address, namespace=settings.temporal_namespace, data_converter=data_converter
    )
