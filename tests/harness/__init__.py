"""What the scenarios share: a broker to talk to, and packets to talk with."""
