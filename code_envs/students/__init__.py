"""Students: they answer prompts."""
