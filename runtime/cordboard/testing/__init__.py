"""What a scenario's tests import."""
