"""Programs on loopback that stand for the outside world, speaking its real protocols."""
