"""What a balancer is told to do: one frozen model for users' files, targets, the reference and every check."""
