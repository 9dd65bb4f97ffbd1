"""Measurements, each as a ratio measured in one run."""
