"""A module whose application cannot be called."""

application = "subdomain1.wsgi"
