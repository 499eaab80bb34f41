"""Owns ``python -m avatar_service``: the same as the ``avatar-service`` command."""

from avatar_service.cli import main

if __name__ == "__main__":  # worker processes import this module again
    main(prog_name="avatar-service")
