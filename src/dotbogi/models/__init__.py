"""Networks that can be chosen by name, a person's own, and what it takes to build and check one."""
