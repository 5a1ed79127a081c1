"""All routes. One that is not here is answered with docker's "page not found"."""

from __future__ import annotations

from ireko.api.routes import (
    archive,
    archives,
    attach,
    containers,
    events,
    execs,
    images,
    importing,
    lifecycle,
    logs,
    networks,
    ours,
    promotion,
    system,
    upkeep,
    volumes,
)

ROUTES = (
    *containers.ROUTES,
    *lifecycle.ROUTES,
    *attach.ROUTES,
    *logs.ROUTES,
    *archive.ROUTES,
    *execs.ROUTES,
    *images.ROUTES,
    *archives.ROUTES,
    *importing.ROUTES,
    *volumes.ROUTES,
    *networks.ROUTES,
    *system.ROUTES,
    *events.ROUTES,
    *ours.ROUTES,
    *promotion.ROUTES,
    *upkeep.ROUTES,
)
