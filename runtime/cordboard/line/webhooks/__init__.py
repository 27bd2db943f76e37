"""Webhooks of the stand-in: `envelope` builds the bodies, `outbox` keeps them on disk, `sender` delivers them."""
