"""What the demo model learns from: five generators of questions with their answers, each a file here."""
