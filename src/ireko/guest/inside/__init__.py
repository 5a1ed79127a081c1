"""What runs inside a guest: the sources of its agent, which recipes compile."""
