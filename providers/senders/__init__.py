"""Mail systems that send from an IP."""
