"""Floor 1: networks. They take (x_t, t, **cond) and know nothing of schedules or samplers."""
