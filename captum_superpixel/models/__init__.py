"""Networks: those of the study and the demonstration, their randomized twins, and those that users bring."""
