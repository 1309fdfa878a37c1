"""What was read as text for people and as JSON for programs. Nothing is read here."""
