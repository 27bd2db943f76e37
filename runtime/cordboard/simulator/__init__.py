"""Whole calls in virtual time: the engines, phones, agents and functions stepped by one heap (DESIGN §2, §7.3)."""
